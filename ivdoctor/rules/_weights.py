"""What stored weights take once they are loaded."""

from ..facts import TORCH_NAME, Asked, Checkpoint, Half, Place
from ..text import say
from ._remedies import SUPPORT

CAST = frozenset({"float64", "float32", "float16", "bfloat16"})
"""What a loader casts; integers and packed formats stay as they are stored."""

SHARE = 0.9
"""Of the memory, for the weights: activations, caches and the runtime need the rest, and often more."""


def loaded(checkpoint: Checkpoint, dtype: str) -> int:
    """
    Bytes of the weights in this format, or as they are stored (`auto`); 0 where nothing says.

    Of pickled files the size alone is known, and the least they can take is counted: as if they were stored in float32.
    """
    half = dtype in ("fp16", "bf16")
    if checkpoint.format == "pickle":
        return checkpoint.bytes // 2 if half else checkpoint.bytes
    if dtype == "auto":
        return sum(one.bytes for one in checkpoint.stored)
    return sum(one.parameters * (2 if half else 4) if one.dtype in CAST else one.bytes for one in checkpoint.stored)


def smaller(checkpoint: Checkpoint, place: Place, asked: Asked) -> Half | None:
    """The half format in which the weights take less and fit, native before emulated; None where there is none."""
    room = SHARE * place.memory_mib * 2**20
    halves: tuple[Half, ...] = ("bf16", "fp16")
    known = halves if checkpoint.stored else ()
    able = [one for one in known if loaded(checkpoint, one) < loaded(checkpoint, asked.dtype) and place.dtypes.of(one) != "none"]
    return min((one for one in able if loaded(checkpoint, one) <= room), key=lambda one: SUPPORT.index(place.dtypes.of(one)), default=None)


def gib(count: float) -> str:
    """`14.9 GiB`; small models in MiB."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"


def torch_name(dtype: Half) -> str:
    """`torch.bfloat16`."""
    return f"torch.{TORCH_NAME[dtype]}"


def some(lines: tuple[str, ...], most: int = 8) -> tuple[str, ...]:
    """The first few, and how many more there are."""
    left = len(lines) - most
    return (*lines[:most], say("and {count} more", count=left)) if left > 0 else lines
