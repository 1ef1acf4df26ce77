"""Which cells of a dtype flow a verdict is about, and what the flow, its replay and the miniature prove of them together. Pure."""

from dataclasses import dataclass

from .evidence import judged
from .facts import HALVES, TORCH_NAME, Asked, Cast, Checkpoint, Flow, Flowed, Half, Miniature, Model, Packages, Place, Replay
from .facts.flow import Way

EMITTED: Half = "fp32"
"""What processors give."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meant:
    """The cell that the verdict is about."""

    dtype: Half
    """Of the model."""
    input: Half
    """Of its float inputs: what was named, else what a processor emits."""
    named: bool
    """Whether the user named the inputs' format: the caller is known then."""


def meant(asked: Asked, model: Model | None, checkpoint: Checkpoint | None, packages: Packages | None) -> Meant | None:
    """None where nobody can say in which format the model would be loaded."""
    dtype = judged(asked, model, checkpoint, packages)
    return Meant(dtype=dtype, input=asked.input_dtype or EMITTED, named=asked.input_dtype is not None) if dtype else None


def cell_at(found: Flow | Miniature, way: Way, dtype: Half, given: Half, *, floats: bool) -> Flowed | None:
    """
    The cell, or None where it was not made.

    Args:
        floats: whether any input floats; where none does, any column stands for all three.
    """
    columns = (given,) if floats else (given, *HALVES)
    return next(filter(None, (found.cell(way, dtype, column) for column in columns)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What is known of one cell, from the flow and from the miniature that was really run."""

    flowed: Flowed | None
    tried: Flowed | None
    """The miniature's."""

    @property
    def raised(self) -> Flowed | None:
        """The failure: the flow's, else the miniature's; None where neither saw one."""
        return next((one for one in (self.flowed, self.tried) if one and one.status == "raised"), None)

    @property
    def confirmed(self) -> bool:
        """Whether the miniature raised the same, at the same line where both know theirs."""
        one, other = self.flowed, self.tried
        if one is None or other is None or (one.status, other.status) != ("raised", "raised"):
            return False
        lines = [(each.location.file, each.location.line) for each in (one, other) if each.location]
        return len(set(lines)) < 2  # noqa: PLR2004  # one line, or none known

    @property
    def contradicted(self) -> bool:
        """Whether the miniature really ran what the flow says raises, or raised what the flow says runs."""
        known = [one.status for one in (self.flowed, self.tried) if one and one.status != "unknown"]
        return len(set(known)) > 1

    @property
    def ran(self) -> bool:
        """Whether it runs by both: the flow of the whole model, and the miniature of it, really run."""
        return all(one is not None and one.status == "ran" for one in (self.flowed, self.tried))


def outcome(flow: Flow, miniature: Miniature | None, way: Way, dtype: Half, given: Half) -> Outcome:
    """Of this cell."""
    tried = cell_at(miniature, way, dtype, given, floats=flow.floats) if miniature else None
    return Outcome(flowed=cell_at(flow, way, dtype, given, floats=flow.floats), tried=tried)


def carried(flow: Flow, miniature: Miniature | None, wanted: Meant) -> Half | None:
    """
    The inputs' format with which the judged model runs as it is loaded, by the flow and by the miniature; None where that is not shown.

    The one in question; where the user named none and only that one clashes, the model's own, for a cast at the call cures it. Of a part that
    the inputs did not reach nothing is shown.
    """
    if flow.unrun:
        return None
    first = outcome(flow, miniature, "loaded", wanted.dtype, wanted.input)
    if first.ran:
        return wanted.input
    cured = not wanted.named and first.raised is not None
    return wanted.dtype if cured and outcome(flow, miniature, "loaded", wanted.dtype, wanted.dtype).ran else None


def replayed(replay: Replay | None, place: Place, dtype: Half) -> bool:
    """
    Whether every operator of the model is known to run at the place in this format.

    On the CPU the miniature has shown it. Elsewhere the inventory must be of this format, and every pair of it must have run.
    """
    if place.kind == "cpu":
        return True
    same = replay is not None and replay.paired.partition(":")[2].partition("/")[0] == dtype
    return same and replay is not None and bool(replay.pairs) and all(one.status == "ran" for one in replay.pairs)


def covers(cast: Cast | None, wanted: Meant) -> bool:
    """Whether the user's own model was really run in the judged cell: then a shadow of it is no news."""
    if cast is None or cast.how != "real-run" or cast.unrun:
        return False
    run = cast.run(wanted.dtype)
    if wanted.dtype != cast.baseline and (run is None or run.status == "skipped"):
        return False
    if run is not None and run.status == "raised":
        return True
    own = cast.floats in ("", TORCH_NAME[wanted.dtype]) and not wanted.named
    fed = any((one.model, one.input) == (wanted.dtype, wanted.input) for one in cast.fed)
    return fed or own or not cast.floats or wanted.input == wanted.dtype
