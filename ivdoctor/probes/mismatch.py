"""The dtype-mismatch reproduction on one device."""

from ..facts import Mismatch, Place, Torch
from ..probe import Absent, probe


@probe(room="trial", timeout=180)
def mismatch(torch: Torch, place: Place) -> Mismatch:
    """Every cell is really run, and every remedy really tried."""
    if not place.reachable:
        raise Absent(f"torch {torch.version} cannot reach {place.title}")
    from ..trials.reproduction import reproduce

    return reproduce(place.name)
