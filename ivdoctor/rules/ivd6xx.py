"""IVD6xx: numbers that go wrong without an exception."""

from collections.abc import Iterator

from ..facts import TORCH_NAME, Asked, Mismatch, Place
from ..finding import Fix, Problem, Severity, Tried
from ..rule import rule
from ..text import say
from ._remedies import caveat, untried, wanted


@rule("IVD601", severity=Severity.NOTE, category="silent-wrong-dtype")
def weights_rounded_twice(mismatch: Mismatch, place: Place) -> Iterator[Problem]:
    """
    `.half().to(torch.bfloat16)` rounds float32 weights twice, and some end on another bfloat16 value.

    The line stands in the model card that followed the bug, and in its copies. It runs; it also loses everything outside fp16's
    range on the way. Weights stored as bfloat16 are hurt only below 2^-17 and above 65504.

    ## Fix
    Load in bfloat16 at once, or cast once.
    """
    trial = next((one for one in mismatch.trials if one.remedy == "half-then-bf16" and one.metrics.get("weights_changed")), None)
    if trial is None:
        return
    yield Problem(
        message=say(
            ".half().to(torch.bfloat16) changes {changed} of {all} fp32 weights against one cast",
            changed=int(trial.metrics["weights_changed"]),
            all=int(trial.metrics["weights"]),
        ),
        evidence=(say("counted on the miniature, on {place}", place=trial.where),),
        fixes=(_once(mismatch, place),),
    )


def _once(mismatch: Mismatch, place: Place) -> Fix:
    """One cast, to a format this place computes in."""
    best = wanted(place, Asked())
    line = f"model = model.to(torch.{TORCH_NAME[best]})"
    tried = next((one for one in mismatch.trials if one.remedy == "cast-model" and one.case == f"fp32/{best}"), None)
    return Fix(
        title=say("Cast once, to {dtype}", dtype=f"torch.{TORCH_NAME[best]}") + caveat(best, place),
        code=line,
        trial=Tried.of(tried) if tried else untried(say("the miniature starts in that format")),
    )
