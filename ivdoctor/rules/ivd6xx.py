"""IVD6xx: numbers that go wrong without an exception."""

from collections.abc import Iterator

from ..facts import Mismatch, Place
from ..finding import Fix, Problem, Severity, Tried
from ..rule import rule
from ..text import say
from ._remedies import untried


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
    once = next((one for one in mismatch.trials if one.remedy == "cast-model" and one.case == "fp32/bf16"), None)
    yield Problem(
        message=say(
            ".half().to(torch.bfloat16) changes {changed} of {all} fp32 weights against one cast",
            changed=int(trial.metrics["weights_changed"]),
            all=int(trial.metrics["weights"]),
        ),
        evidence=(say("counted on the miniature, on {place}", place=trial.where),),
        fixes=(
            Fix(
                title=say("Cast once"),
                code="model = model.to(torch.bfloat16)",
                trial=Tried.of(once) if once else untried(say("that cell did not raise here")),
            ),
        )
        if place.dtypes.bf16 != "emulated"
        else (),
    )
