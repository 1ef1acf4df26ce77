"""Sizes of weights as rules speak of them, and the format in which they would fit."""

from ..facts import TORCH_NAME, Half, Place
from ..memory import CAST, SHARE, Weights, weights_of
from ..text import say
from ._remedies import SUPPORT

__all__ = ["CAST", "SHARE", "Weights", "counted", "gib", "smaller", "some", "torch_name", "weights_of"]


def smaller(weights: Weights, place: Place, dtype: str) -> Half | None:
    """
    The half format in which plain weights take less than in this one and fit, native before emulated; None where there is none.

    On an accelerator bfloat16 only where it is native: what is emulated there breaks or crawls.
    """
    room = SHARE * place.memory_mib * 2**20
    halves: tuple[Half, ...] = ("bf16", "fp16")
    if not weights.stored or weights.packed:
        return None
    runs = [one for one in halves if _runs(place, one)]
    fits = [one for one in runs if weights.loaded(one) < weights.loaded(dtype) and weights.loaded(one) <= room]
    return min(fits, key=lambda one: SUPPORT.index(place.dtypes.of(one)), default=None)


def _runs(place: Place, dtype: Half) -> bool:
    support = place.dtypes.of(dtype)
    return support == "native" if dtype == "bf16" and place.backend != "cpu" else support != "none"


def counted(weights: Weights) -> tuple[str, ...]:
    """How they were counted, where it was not by their own headers."""
    told = {
        "size": say("by the size of the files: their tensors are not known"),
        "arithmetic": say("counted from the configuration: there are no weights here"),
        "meta": say("counted on the architecture, built without data: there are no weights here"),
        "published": say("as its makers say: nothing here tells"),
    }
    return tuple(filter(None, (told.get(weights.how, ""),)))


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
