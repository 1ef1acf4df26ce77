"""How much slower a half format is on a CPU: by the clock of this machine, else by the instructions it has."""

from collections.abc import Iterator

from ..facts import Cast, Cpu, Place, Precision
from ..text import say

NAIVE = "{formats}: matrix products ran 50 to 180 times slower than fp32, linear layers 4 to 14 times (1024^3, one thread, torch 2.13.0, 2026-11-23)"
CONVERTED = "bf16: oneDNN converts, and matrix products ran about 4.5 times slower than fp32 (1024^3, one thread, torch 2.13.0, 2026-11-22)"

PRODUCTS = ("matmul", "linear", "conv2d")
"""What falls to plain loops."""


def times(precision: Precision) -> bool:
    """Whether anything was timed."""
    return any(one.ratio and one.dtype != "fp32" for one in precision.operations)


def is_slow(dtype: str, place: Place, precision: Precision | None) -> bool:
    """By the clock where it was asked, else by the instructions."""
    clocked = [one for one in precision.timed(dtype) if one.name in PRODUCTS] if precision else []
    return any(one.slow for one in clocked) if clocked else place.dtypes.of(dtype) == "emulated"


def timed(slow: list[str], precision: Precision) -> Iterator[str]:
    """The ratios of this machine's own run, the slowest first."""
    for dtype in slow:
        ratios = ", ".join(f"{one.name} {one.ratio:g}x" for one in precision.timed(dtype) if one.slow)
        if ratios:
            yield say("measured here, {dtype} beside fp32 on one thread: {ratios}", dtype=dtype, ratios=ratios)


SLOWER = 1.3
"""A ratio of two times that is no noise."""


def measured(slow: list[str], cast: Cast | None) -> Iterator[str]:
    """Nothing where no model was timed, and where its inputs were too short, or the machine too busy, to show it."""
    for run in cast.runs if cast else ():
        if run.dtype in slow and run.time_ratio is not None and run.time_ratio > SLOWER:
            yield say(
                "measured: a pass of {model} in {dtype} takes {ratio:.2g} times as long as in {baseline}",
                model=cast.model if cast else "",
                dtype=run.dtype,
                ratio=run.time_ratio,
                baseline=cast.baseline if cast else "",
            )


def how_slow(slow: list[str], cpu: Cpu | None) -> Iterator[str]:
    """As measured with the instructions of this CPU; nothing where they are not known, or not an x86's."""
    features = cpu.features if cpu else ()
    converted = "bf16" in slow and "avx512f" in features
    naive = [dtype for dtype in slow if not (converted and dtype == "bf16")]
    if naive and ("avx2" in features or "avx512f" in features):
        yield say(NAIVE, formats=say(" and ").join(naive))
    if converted:
        yield say(CONVERTED)
