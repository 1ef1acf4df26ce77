"""How IVD410 tells a cell that raises: in words, how grave it is, and how sure."""

from collections.abc import Iterator

from ..evidence_flow import Meant, Outcome, outcome
from ..facts import Flow, Flowed, Miniature, Place
from ..facts.flow import Way
from ..finding import Confidence, Severity
from ..text import say
from ._flow import site


def told(flow: Flow, one: Flowed) -> str:
    """The failure in one line, with where it raises and torch's own words."""
    how = say("loaded in {dtype}", dtype=one.model) if one.way == "loaded" else say("cast to {dtype}", dtype=one.model)
    what = say("{model} {how} raises", model=flow.model, how=how)
    if flow.floats:
        what = say("{model} {how} with inputs in {input} raises", model=flow.model, how=how, input=one.input)
    line = site(one.location)
    at = say(" at {line}", line=line) if line else ""
    return f"{what}{at}: {one.error}: {one.message}" if one.error else f"{what}{at}: {one.message}"


def operands(one: Flowed) -> Iterator[str]:
    """What the operator was given, and in which pass."""
    if one.operands and one.location and one.location.op:
        yield say("{op} is given {operands}", op=one.location.op, operands=", ".join(one.operands))
    if one.step == "decode":
        yield say("the first pass runs: it raises with one more token and the cache")


def apart(loaded: Outcome, after: Outcome) -> Iterator[str]:
    """What the other way of getting to the dtype does."""
    one, other = loaded.raised, after.raised
    if one and other:
        if site(one.location) != site(other.location):
            yield say("cast after loading it raises too, at {site}", site=site(other.location) or other.message)
    elif one and after.flowed and after.flowed.status == "ran":
        yield say("loaded in float32 and cast afterwards it runs: what the loader keeps in float32 clashes")
    elif other and loaded.flowed and loaded.flowed.status == "ran":
        yield say("loaded in that dtype at once it runs: the loader keeps in float32 what the cast does not")


def on_miniature(failed: Outcome, miniature: Miniature | None) -> Iterator[str]:
    """What the miniature did, where one was run."""
    if miniature is None or failed.tried is None or failed.tried.status == "unknown":
        return
    changes = ", ".join(miniature.changes[:4]) or say("nothing made smaller")
    if failed.confirmed:
        yield say("a miniature of it, really run on the CPU, raises at the same line ({changes})", changes=changes)
    elif failed.tried.status == "ran":
        yield say("a miniature of it, really run on the CPU, does not raise ({changes})", changes=changes)
    elif failed.flowed is None or failed.flowed.status != "raised":
        yield say("seen on a miniature of it, really run on the CPU ({changes})", changes=changes)
    else:
        where = site(failed.tried.location) or failed.tried.message
        yield say("a miniature of it, really run on the CPU, raises at {site} ({changes})", site=where, changes=changes)


def severity(flow: Flow, miniature: Miniature | None, cell: Meant, loaded: Outcome) -> Severity:
    """As the rule's page has it; a warning at most where the miniature really ran what the flow says raises."""
    if loaded.raised is None or (loaded.contradicted and loaded.tried and loaded.tried.status == "ran"):
        return Severity.WARNING
    own = outcome(flow, miniature, "loaded", cell.dtype, cell.dtype)
    cured = not cell.named and own.raised is None and own.flowed is not None and own.flowed.status == "ran"
    return Severity.WARNING if cured else Severity.ERROR


def worst(flow: Flow, miniature: Miniature | None, way: Way, cell: Meant) -> Outcome:
    """Of the judged cell; where nobody named the inputs' dtype and a cast of them does not cure it, the failure that is left with them cast."""
    found = outcome(flow, miniature, way, cell.dtype, cell.input)
    if cell.named or found.raised is None:
        return found
    own = outcome(flow, miniature, way, cell.dtype, cell.dtype)
    return own if own.raised else found


def confidence(failed: Outcome, place: Place) -> Confidence:
    """Certain where it was really run on this place's own operators; a shadow alone never is."""
    if failed.contradicted and failed.tried and failed.tried.status == "ran":
        return "possible"
    seen = failed.confirmed or (failed.flowed is None and failed.tried is not None) or (failed.raised is failed.tried)
    return "certain" if seen and place.kind == "cpu" else "likely"
