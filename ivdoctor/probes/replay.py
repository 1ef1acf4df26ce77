"""The model's inventory of operators, each pair really run in small shapes on one device."""

from ..facts import Flow, Place, Replay, Torch
from ..probe import Absent, probe
from ..text import say


@probe(room="trial", timeout=180, wants="model")
def replay(torch: Torch, place: Place, flow: Flow) -> Replay:
    """An operator that the device lacks for a dtype is found before any weight is there."""
    if not place.reachable:
        raise Absent(say("torch {version} cannot reach {title}", version=torch.version, title=place.title))
    if not flow.pairs:
        raise Absent(say("the flow saw no operator"))
    from ..flow.replay import replay_of

    return replay_of(flow, place.name)
