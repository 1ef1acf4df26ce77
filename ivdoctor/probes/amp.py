"""One training step under autocast on one device, and what goes wrong when it is written otherwise."""

from ..facts import Amp, Place, Torch
from ..probe import Absent, probe
from ..text import say


@probe(room="trial", timeout=120)
def amp(torch: Torch, place: Place) -> Amp:
    """Every step is really made, and every remedy really tried."""
    if not place.reachable:
        raise Absent(say("torch {version} cannot reach {title}", version=torch.version, title=place.title))
    from ..trials.amp import steps, trainee
    from ..trials.misuse import misuses, trials

    learner = trainee(place.name)
    return Amp(steps=steps(learner), misuses=misuses(learner), trials=tuple(trials(learner)))
