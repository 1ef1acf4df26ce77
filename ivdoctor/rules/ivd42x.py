"""IVD42x: what the dtype flow shows beside the combination that is judged, and what it cannot show."""

from collections.abc import Iterator

from ..choice import trained
from ..evidence_flow import carried, covers, meant, outcome
from ..facts import FP16_MAX, HALVES, Asked, Cast, Checkpoint, Flow, Flowed, Miniature, Model, Packages, Place
from ..finding import Fix, Problem, Severity
from ..rule import rule
from ..text import say
from ._flow import site
from ._remedies import elsewhere


@rule("IVD420", severity=Severity.NOTE, confidence="likely", category="operand-dtype-mismatch")
def other_cells_raise(
    flow: Flow, asked: Asked, model: Model | None, checkpoint: Checkpoint | None, packages: Packages | None, cast: Cast | None
) -> Iterator[Problem]:
    """
    In other combinations of model and input dtype, which nobody asked for, the model raises.

    One note for all of them; the table of the dtype flow has each with its line. Formats that fail although model and inputs agree are named
    first: no cast of the inputs cures those. Silent where the model itself was run.

    ## Fix
    Keep to a combination that runs.
    """
    cell = meant(asked, model, checkpoint, packages)
    if cast and cast.how == "real-run":
        return
    judged = {(cell.dtype, cell.input), (cell.dtype, cell.dtype)} if cell else set()
    columns = HALVES if flow.floats else HALVES[:1]
    cells = [flow.cell("loaded", dtype, given) for dtype in HALVES for given in columns]
    raised = [one for one in cells if one and one.status == "raised" and (one.model, one.input) not in judged]
    if not flow.floats:
        raised = [one for one in raised if not cell or one.model != cell.dtype]
    if not raised:
        return
    raised.sort(key=lambda one: flow.floats and one.model != one.input)
    names = ", ".join(_named(one, flow) for one in raised)
    yield Problem(
        message=say("raises in other combinations of model and input dtype too: {names}", names=names)
        if flow.floats
        else say("raises in other dtypes too: {names}", names=names),
        evidence=tuple(f"{_named(one, flow)}: {': '.join(filter(None, (site(one.location), one.error, one.message)))}" for one in raised),
        location=raised[0].location,
        origin=raised[0].origin,
    )


def _named(one: Flowed, flow: Flow) -> str:
    return f"{one.model}/{one.input}" if flow.floats else one.model


@rule("IVD421", severity=Severity.NOTE, category="fp16-overflow")
def range_is_not_shown(
    flow: Flow,
    miniature: Miniature | None,
    asked: Asked,
    model: Model | None,
    checkpoint: Checkpoint | None,
    packages: Packages | None,
    cast: Cast | None,
    place: Place,
) -> Iterator[Problem]:
    """
    In float16 the model's operators run, and whether its numbers stay within float16's range only its weights tell.

    A dtype flow has no numbers, and a miniature has random ones: float16 ends at 65504, and a larger activation becomes Inf without an
    exception. Said where no other rule says it: of a model made in bfloat16 IVD605 does, of one that was run IVD603 and IVD604.

    ## Fix
    Check the model with its weights.
    """
    cell = meant(asked, model, checkpoint, packages)
    if cell is None or cell.dtype != "fp16" or covers(cast, cell) or (cast and cast.how == "real-run"):
        return
    if trained(model.dtype if model else "", checkpoint.dtype if checkpoint else "") == "bfloat16":
        return
    shown = carried(flow, miniature, cell)
    found = outcome(flow, None, "loaded", cell.dtype, shown or cell.input).flowed
    if found is None or found.status != "ran":
        return
    yield Problem(
        message=say("float16's operators run; whether {model} stays below {end:.0f} only its weights tell", model=flow.model, end=FP16_MAX),
        fixes=(
            Fix(
                title=say("Test it where its weights fit"),
                kind="command",
                command="ivdoctor check PATH --dtype fp16",
                trial=elsewhere(place, say("there are none here")),
            ),
        ),
    )
