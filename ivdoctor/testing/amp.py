"""The training step for testing: what a run of `probes/amp.py` would give, made up."""

from collections.abc import Iterator, Mapping

from ..facts import Amp, Half, Misuse, Site, Step, Trial
from ..facts.amp import MisuseName

LOSS = {"fp32": 3.2959, "fp16": 3.2959, "bf16": 3.297}
AUTOCAST: tuple[Half, ...] = ("bf16", "fp16")

SCALER = Site(file="ivdoctor/trials/amp.py", line=1, code="scaler.step(optimizer)")
CAT = Site(module="vision", file="ivdoctor/trials/miniature.py", line=1, op="aten.cat")
SCATTER = Site(file="ivdoctor/trials/misuse.py", line=1, op="torch.masked_scatter")
NO_BF16_SCALER = "\"_amp_foreach_non_finite_check_and_unscale_cuda\" not implemented for 'BFloat16'"

MISUSES: tuple[tuple[MisuseName, str, str, Site], ...] = (
    ("fp16-weights-scaled", "ValueError", "Attempting to unscale FP16 gradients.", SCALER),
    ("bf16-scaled", "NotImplementedError", NO_BF16_SCALER, SCALER),
    ("half-inside-autocast", "RuntimeError", "Unexpected floating ScalarType in at::autocast::prioritize", CAT),
    (
        "embeddings-outside-autocast",
        "RuntimeError",
        "masked_scatter: expected self and source to have same dtypes but gotFloat and BFloat16",
        SCATTER,
    ),
)
"""Their names, and what raises where."""

REMEDIES: dict[str, dict[str, Half]] = {
    "bf16-step": {"fp16-autocast": "fp16", "everything-fp32": "fp32"},
    "fp16-step": {"bf16-autocast": "bf16", "everything-fp32": "fp32"},
    "fp16-weights-scaled": {"fp16-autocast": "fp16", "bf16-autocast": "bf16", "everything-bf16": "bf16", "everything-fp32": "fp32"},
    "bf16-scaled": {"no-scaler": "bf16", "bf16-autocast": "bf16", "fp16-autocast": "fp16", "everything-fp32": "fp32"},
    "half-inside-autocast": {"no-half": "bf16"},
    "embeddings-outside-autocast": {"cast-at-scatter": "bf16", "everything-bf16": "bf16", "everything-fp32": "fp32"},
}
"""By what they are tried on, and the format each computes in."""


def an_amp(where: str = "cpu", *, refused: Mapping[str, str] | None = None, overflow: tuple[Half, ...] = ()) -> Amp:
    """
    The training step in the shape it has on a healthy device: both formats train, and the misuses raise.

    Made up, and checked against a real run by ivdoctor's own tests. On the CPU a GradScaler takes bf16 gradients.

    Args:
        where: the place it is said to have run on.
        refused: messages by format (`fp16`) for formats whose step raises, and every remedy with it.
        overflow: formats whose gradients are never finite.
    """
    gone = refused or {}
    steps = tuple(_step(dtype, gone.get(dtype, ""), dtype in overflow) for dtype in AUTOCAST)
    raised = [one for one in MISUSES if where != "cpu" or one[0] != "bf16-scaled"]
    before = {f"{one.dtype}-step": f"RuntimeError: {one.message}" if one.status == "raised" else one.message for one in steps if not one.usable}
    before |= {name: f"{error}: {message}" for name, error, message, _ in raised}
    misuses = tuple(
        Misuse(name=name, status="raised", message=message, location=site)
        if name in before
        else Misuse(name=name, status="ran", message=_ran("bf16"))
        for name, _, message, site in MISUSES
    )
    trials = (trial for case, said in before.items() for trial in _trials(case, said, where, gone, overflow))
    return Amp(steps=steps, misuses=misuses, trials=tuple(trials))


def _step(dtype: Half, refused: str, overflow: bool) -> Step:
    if refused:
        site = Site(module="vision.patch_embedding", file="ivdoctor/trials/miniature.py", line=1, op="aten.convolution")
        return Step(dtype=dtype, scaled=dtype == "fp16", status="raised", message=refused, location=site)
    message = "ran, and the gradients are not finite" if overflow else ""
    return Step(
        dtype=dtype, scaled=dtype == "fp16", status="ran", message=message, loss=LOSS[dtype], gradients_finite=not overflow, moved=not overflow
    )


def _trials(case: str, before: str, where: str, refused: Mapping[str, str], overflow: tuple[Half, ...]) -> Iterator[Trial]:
    for remedy, dtype in REMEDIES[case].items():
        passed = dtype not in refused and dtype not in overflow
        failed = f"RuntimeError: {refused[dtype]}" if dtype in refused else "ran, and the gradients are not finite"
        yield Trial(
            remedy=remedy,
            case=case,
            status="passed" if passed else "failed",
            how="miniature",
            where=where,
            before=before,
            after=_ran(dtype) if passed else failed,
            computes_in=dtype,
            metrics={"loss": LOSS[dtype]} if passed else {},
        )


def _ran(dtype: Half) -> str:
    return f"ran, loss {LOSS[dtype]:.4f}, gradients finite"
