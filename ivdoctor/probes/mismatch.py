"""The dtype-mismatch reproduction on one device."""

from ..facts import Mismatch, Place, Torch
from ..probe import Absent, probe
from ..text import say


@probe(room="trial", timeout=180)
def mismatch(torch: Torch, place: Place) -> Mismatch:
    """Every cell is really run, and every remedy really tried."""
    if not place.reachable:
        raise Absent(say("torch {version} cannot reach {title}", version=torch.version, title=place.title))
    from ..trials.reproduction import reproduce

    return reproduce(place.name)
