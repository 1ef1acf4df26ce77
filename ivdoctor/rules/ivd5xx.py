"""IVD5xx: operators that lack a kernel for a dtype."""

from collections.abc import Iterator

from ..facts import HALVES, Asked, Place, Precision, Torch
from ..finding import Fix, Problem, Severity
from ..rule import rule
from ..text import say
from ..wheels import lacks_code
from ._remedies import untried


@rule("IVD501", severity=Severity.WARNING)
def operator_refuses_dtype(place: Place, precision: Precision, torch: Torch, asked: Asked) -> Iterator[Problem]:
    """
    An operator of an everyday class has no kernel for a format on this device.

    Older PyTorch lacks most float16 arithmetic on the CPU (until 2.2, LayerNorm until 2.3), and some bfloat16 operators
    everywhere. On an accelerator a format the tables call native is IVD203's matter. An error where the format was asked for, and for float32.

    ## Fix
    Update PyTorch, compute that operator in float32, or use a format that runs.
    """
    if lacks_code(torch, place, precision):
        return
    for dtype in HALVES:
        failed = precision.refused(dtype)
        native = place.dtypes.of(dtype) == "native"
        if not failed or (native and (place.kind != "cpu" or dtype == "fp32")):
            continue
        yield Problem(
            message=say("{dtype} on {place}: {names} cannot be used", dtype=dtype, place=place.name, names=", ".join(one.name for one in failed)),
            evidence=tuple(f"{one.name}: {one.message or say('wrong result, relative L2 {error:.1e}', error=one.error)}" for one in failed),
            severity=Severity.ERROR if dtype == "fp32" or asked.concerns(dtype) else None,
            category={"fp16": "cpu-half-op-unsupported", "bf16": "bf16-op-unsupported"}.get(dtype, "") if place.kind == "cpu" else "",
            fixes=_ways_out(dtype, [one.name for one in failed], torch),
        )


def _ways_out(dtype: str, names: list[str], torch: Torch) -> tuple[Fix, ...]:
    """A model is matrix products: without them it has to run in fp32; a rarer operator can be stepped around."""
    update = Fix(
        title=say("Update torch, this is {version}", version=torch.version),
        kind="command",
        trial=untried(say("ivdoctor installs nothing")),
    )
    if dtype == "fp32":
        return (update,)
    if {"matmul", "linear"} & set(names):
        code = "model = model.float()\npixel_values = pixel_values.float()"
        return Fix(title=say("Run model and input in float32"), code=code, trial=untried(say("see the reproduction"))), update
    around = Fix(
        title=say("Compute in float32 around it, or update torch (this is {version})", version=torch.version),
        code="output = operator(input.float()).to(input.dtype)",
        trial=untried(say("it is a line of the model's code")),
    )
    return (around,)
