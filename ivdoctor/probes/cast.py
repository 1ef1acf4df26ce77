"""Cast, then infer: the built-in miniature, or the model that was named, on one device."""

from ..facts import Asked, Cast, Place, Torch
from ..probe import Absent, probe
from ..text import say


@probe(room="trial", timeout=180, wants="no-model")
def miniature(torch: Torch, place: Place) -> Cast:
    """The built-in model, in a few dozen milliseconds."""
    return _cast(torch, place, Asked())


@probe(room="trial", timeout=1800, memory_mib=0, wants="model")
def model(torch: Torch, place: Place, asked: Asked) -> Cast:
    """May take minutes and whatever memory is free; whether it fits is asked before it is loaded."""
    return _cast(torch, place, asked)


def _cast(torch: Torch, place: Place, asked: Asked) -> Cast:
    if not place.reachable:
        raise Absent(say("torch {version} cannot reach {title}", version=torch.version, title=place.title))
    from ..trials.cast import cast_then_infer

    return cast_then_infer(place.name, asked)
