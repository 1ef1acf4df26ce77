"""What the tables say of an accelerator that nobody ran anything on: the lines and tables of a target."""

from collections.abc import Iterable, Iterator
from typing import Literal

from .builds import carried
from .facts import Asked, Place
from .kernels import ENGINES, FORMATS, Engine, Kernel, engine_rows, kernels
from .report import Grid, GridCell, Line
from .tables import DTYPES
from .text import say
from .traps import MACHINES, builds

Mark = Literal["good", "bad", "poor", "none"]

MARKS: dict[str, Mark] = {"native": "good", "weight-only": "poor", "dequantised": "poor", "emulated": "poor", "slow": "poor", "refused": "bad"}


def targeted(found: Iterable[Place], asked: Asked) -> Iterator[Line]:
    """One line a target: what it is, how its name was understood, and that it is not here."""
    found = tuple(found)
    several = len(found) > 1
    for place in found:
        if place.kind == "target":
            count = f"{place.count} x " if place.count > 1 else ""
            memory = say(", {gib} GiB", gib=f"{place.memory_mib / 1024:g}") if place.memory_mib else ""
            note = f" ({place.note})" if place.note else ""
            about = f" ({named(place)})" if named(place) not in ("", place.title) else ""
            yield Line(
                label="target",
                text=say("{title}{about}{memory}, from the tables: nothing was run there", title=count + place.title, about=about, memory=memory)
                + note,
            )
            carriers = carried(place)
            if not carriers and place.backend in ("cuda", "rocm") and not any(builds(place, machine) for machine in MACHINES):
                carriers = say("none that is published is known to have code for it")
            if carriers:
                yield Line(label=say("builds"), text=f"{place.title}: {carriers}" if several else carriers)
    if asked.targets and asked.torch:
        yield Line(label="--torch", text=say("{version}, supposed to be there", version=asked.torch))


def named(place: Place) -> str:
    """`Turing, sm_75`, `CDNA3, gfx942`, `M2`."""
    return ", ".join(dict.fromkeys(filter(None, (place.architecture, "" if place.identifier == place.title else place.identifier))))


def libraries(place: Place, torch: tuple[int, ...] | None = None) -> Iterator[Grid]:
    """Which kernels and libraries take which format there; nothing where no row is about this hardware."""
    rows = kernels(place, torch)
    if not rows:
        return
    by_key = {(one.kernel, one.dtype): one for one in rows}
    names = list(dict.fromkeys(one.kernel for one in rows))
    columns = [dtype for dtype in DTYPES if any(one.dtype == dtype for one in rows)]
    yield Grid(
        title=say("Kernels and libraries"),
        place=place.name,
        columns=(say("kernel"), *columns),
        rows=tuple((GridCell(text=name), *(cell(by_key.get((name, dtype))) for dtype in columns)) for name in names),
        caption=say("By the tables; nothing was run for this."),
        detail=True,
    )


def engines(place: Place, asked: Asked) -> Iterator[Grid]:
    """What each engine does with each kind of checkpoint there, the one that was asked about alone where there is one."""
    rows = {engine: {one.format: one for one in engine_rows(engine, place)} for engine in ENGINES if asked.engine in ("", engine)}
    formats = [format for format in FORMATS if any(format in found for found in rows.values())]
    if formats:
        yield Grid(
            title=say("Engines"),
            place=place.name,
            columns=(say("checkpoint"), *rows),
            rows=tuple((GridCell(text=format), *(cell(found.get(format)) for found in rows.values())) for format in formats),
            caption=say("By the tables: what each does with a checkpoint of that kind on this hardware."),
        )


def cell(row: Kernel | Engine | None) -> GridCell:
    """The outcome in a word, with what is known beside it."""
    if row is None:
        return GridCell(text="-")
    return GridCell(text=row.note or row.outcome, brief=row.outcome, mark=MARKS[row.outcome])
