"""What rules about families share: which dtype to take at a place, and the lines that use one variable for model and inputs."""

from ..evidence import BARRED, Range
from ..facts import TORCH_NAME, Asked, Half, Model, Packages, Place
from ..families import Family
from ..finding import Fix
from ..lines import class_name, from_pretrained
from ..text import say
from ._remedies import caveat, elsewhere


def wanted_here(dtype: Half, place: Place, asked: Asked, fp16: Range) -> Half:
    """The format in question where the place computes in it or it was asked for by name on a CPU; else its other half format, else fp32."""
    if place.dtypes.of(dtype) == "native" or (place.backend == "cpu" and asked.dtype == dtype):
        return dtype
    if place.dtypes.fp16 == "native" and fp16 not in BARRED:
        return "fp16"
    return "bf16" if place.dtypes.bf16 == "native" else "fp32"


def one_variable(use: Half, model: Model, place: Place, family: Family | None, packages: Packages | None, fp16: Range) -> Fix:
    """Model and inputs from one name, so that they cannot differ."""
    inputs = family.input if family and family.input.isidentifier() else "inputs"
    older = bool(family and family.loads_with)  # its code is of the days of `torch_dtype`, which newer releases take too
    return Fix(
        title=say("Load the model and cast {inputs} with one variable, {dtype}", inputs=inputs, dtype=TORCH_NAME[use]) + caveat(use, place, fp16),
        action="cast-input",
        code=(
            f"dtype = torch.{TORCH_NAME[use]}\n"
            f"model = {from_pretrained(class_name(model), 'path', 'dtype', None if older else packages, model, older=older)}\n"
            f"{inputs} = {inputs}.to(model.device, dtype)"
        ),
        trial=elsewhere(place, say("the model was not run")),
    )
