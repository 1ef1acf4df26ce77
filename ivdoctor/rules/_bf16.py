"""Ways out of bfloat16 where the hardware has none."""

from ..evidence import BARRED, Range
from ..facts import TORCH_NAME, Cast, Half, Model, Packages, Place
from ..families import family_of
from ..finding import Fix
from ..memory import Weights, room_of
from ..text import say
from ._casts import loading
from ._family import one_variable
from ._remedies import caveat, elsewhere, untried
from ._weights import gib

FLOAT = "model = model.float()\npixel_values = pixel_values.float()"


def untried_fp32(cast: Cast, model: Model | None, packages: Packages | None) -> Fix:
    """What is left where every format that was run is bf16 or failed."""
    reason = cast.baseline_reason or say("it was not run")
    return Fix(title=say("Run the model in {dtype}", dtype=TORCH_NAME["fp32"]), code=loading("fp32", model, packages, cast), trial=untried(reason))


def without_bf16(place: Place, fp16: Range, model: Model | None, packages: Packages | None, weights: Weights | None) -> tuple[Fix, ...]:
    """Of a model that was not run: its other format, by its family where that is known; a quantised one is not cast."""
    if model and model.quantization:
        return (
            Fix(
                title=say("Take a device with bfloat16, or weights that an engine keeps packed there: quantised weights are not cast"),
                kind="hardware",
                trial=elsewhere(place, say("the reproduction did not run here")),
            ),
        )
    if model:
        use: Half = "fp16" if place.dtypes.fp16 == "native" and fp16 not in BARRED else "fp32"
        if use == "fp32" and weights and place.memory_mib and weights.loaded(use) > room_of(place):
            size = gib(weights.loaded(use))
            return (
                Fix(
                    title=say("Take a device with bfloat16: in float32 the weights are {size}, and do not fit", size=size),
                    kind="hardware",
                    trial=elsewhere(place, say("it is arithmetic: {size} of weights", size=size)),
                ),
            )
        return (one_variable(use, model, place, family_of(model), packages, fp16),)
    return (_by_hand(place, fp16),)


def _by_hand(place: Place, fp16: Range) -> Fix:
    if place.dtypes.fp16 == "native" and fp16 not in BARRED:
        title = say("Use float16 for model and input") + caveat("fp16", place, fp16)
        return Fix(
            title=title,
            code="model = model.half()\npixel_values = pixel_values.half()",
            trial=elsewhere(place, say("the reproduction did not run here")),
        )
    return Fix(
        title=say("Use float32 for model and input"),
        code=FLOAT,
        trial=elsewhere(place, say("the reproduction did not run here")),
    )
