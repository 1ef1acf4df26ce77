"""All that the tables say of one target: as a page of text, and as JSON."""

from collections.abc import Iterable, Iterator

from .builds import Carrier, driver_floor, usual
from .catalogue import accelerators, memory, summary, wrapped
from .facts import Place, release
from .kernels import ENGINES, Engine, Kernel, kernels
from .tables import DTYPES, newest, table
from .text import say
from .titles import Accelerator
from .traps import Trap, builds, engine_rows, first_torch, instead, machines, newest_release, traps, wheel_source, wholesale
from .wheels import cuda_release

INDEX = "https://download.pytorch.org/whl/"

DRIVEN = {
    "cpu": f"pip install torch --index-url {INDEX}cpu",
    "mps": "pip install torch",
    "xpu": f"pip install torch --index-url {INDEX}xpu",
}
"""What to install for a backend of whose builds the tables list no device code."""

XPU = "PyTorch 2.15, notes/get_start_xpu, 2026-11-23"

MEANING = "native: at full rate. emulated: by conversion, or at a crippled rate. none: no route in PyTorch or the usual engines."

FIRST_CUDA = {(8, 6): "11.1", (8, 9): "11.8", (9, 0): "11.8", (10, 0): "12.8", (10, 3): "12.9", (12, 0): "12.8", (12, 1): "12.9"}
"""The CUDA release that knew a device first: no driver older than that release's knows it. CUDA release notes (from knowledge, 2026-11-23)."""

SHOWN = 6
"""Names of products that stand in a line; more are only counted."""


def page(place: Place) -> str:
    """What it is, its formats, what goes wrong there, the builds of torch, kernels and engines, and at the end all sources."""
    rows, found = kernels(place), traps(place)
    by_engine: dict[str, tuple[Engine, ...]] = {engine: engine_rows(engine, place) for engine in ENGINES}
    told: tuple[Kernel | Engine | Trap, ...] = (*rows, *(row for known in by_engine.values() for row in known), *found)
    parts = (_heading(place), _formats(place), _traps(found), _builds(place), _kernels(rows), _engines(by_engine, place), _sources(place, told))
    return "\n\n".join("\n".join(part) for part in map(list, parts) if part) + "\n"


def document(place: Place) -> str:
    """The same as one JSON object; its keys are in the order of the page."""
    import json

    known = summary(
        place.dtypes,
        name=place.title,
        vendor=place.vendor,
        architecture=place.architecture,
        identifier=identifier(place),
        gib=place.memory_mib / 1024,
    )
    more = {
        "count": place.count,
        "understood": place.note,
        "products": [one.product for one in products(place)],
        "traps": [_fields(one) for one in traps(place)],
        "builds": {machine: [_fields(one) for one in builds(place, machine)] for machine in machines(place)},
        "install": {machine: command for machine in machines(place) if (command := install(place, machine))},
        "kernels": [_fields(one) for one in kernels(place)],
        "engines": [_fields(one) for engine in ENGINES for one in engine_rows(engine, place)],
        "tables": newest(),
    }
    return json.dumps({**known, **more}, indent=2) + "\n"


def identifier(place: Place) -> str:
    """As in `architectures.csv`: `sm_75`, `gfx942`, `m2`; a processor's is its own name."""
    return place.identifier or next((row["id"] for row in table("accelerators") if row["product"] == place.name), place.name)


def products(place: Place) -> tuple[Accelerator, ...]:
    """The products of an architecture that was named itself; of a product there are none."""
    if place.name != identifier(place):
        return ()
    return tuple(one for one in accelerators() if one.id == place.name and one.row == place.dtypes)


def install(place: Place, machine: str) -> str:
    """The command that brings a torch with code for the place; pinned where a newer one may have none. Empty where none is known."""
    if place.backend in DRIVEN and not place.architecture.startswith("Gaudi"):
        return DRIVEN[place.backend]
    best = usual(builds(place, machine), machine)
    if not best:
        return ""
    default = newest_release()["pypi_build" if machine == "x86_64" else "pypi_aarch64"]
    if best.latest and best.build == default:
        return "pip install torch"
    pinned = "torch" if best.latest else f'"torch=={best.torch_last}.*"'
    return f"pip install {pinned} --index-url {INDEX}{best.build}"


def _fields(one: object) -> dict[str, object]:
    return {name: getattr(one, name) for name in getattr(one, "__slots__", ())}


def _heading(place: Place) -> Iterator[str]:
    times = say("{number} x ", number=place.count) if place.count > 1 else ""
    yield times + place.title
    major, minor = place.compute_capability or (0, 0)
    number = say("compute capability {number}", number=f"{major}.{minor}") if place.compute_capability else ""
    own = identifier(place)
    what = (place.vendor, place.architecture, "" if own.lower() == place.architecture.lower() else own, number, _memory(place))
    yield f"  {', '.join(filter(None, what))}"
    if place.note:
        yield from wrapped(say("Understood: {note}.", note=place.note))
    if found := products(place):
        more = say(", and {number} more", number=len(found) - SHOWN) if len(found) > SHOWN else ""
        yield from wrapped(say("Products: {names}{more}.", names=", ".join(one.product for one in found[:SHOWN]), more=more))
    yield say("  By the tables of {date}; nothing was run.", date=newest())


def _memory(place: Place) -> str:
    gib = memory(place.memory_mib / 1024)
    if not gib:
        return ""
    if place.vendor == "Apple":
        return say("up to {gib} GiB", gib=gib)
    return say("{gib} GiB each", gib=gib) if place.count > 1 else say("{gib} GiB", gib=gib)


def _formats(place: Place) -> Iterator[str]:
    yield say("Number formats")
    for dtype in DTYPES:
        yield f"  {dtype:<8}  {place.dtypes.of(dtype)}"
    if place.dtypes.note:
        yield from wrapped(say("Note: {note}.", note=place.dtypes.note))
    yield from wrapped(say(MEANING))


def _traps(found: tuple[Trap, ...]) -> Iterator[str]:
    if found:
        yield say("What goes wrong here")
    for one in found:
        yield from wrapped(one.text, indent="    ", first="  - ")


def _builds(place: Place) -> Iterator[str]:
    yield say("PyTorch")
    if not any(builds(place, machine) for machine in machines(place)):
        yield from _without_code(place)
        return
    for machine in machines(place):
        found = builds(place, machine)
        if not found:
            yield say("  {machine}: no build with code for it is known", machine=machine)
            continue
        yield say("  {machine}: {reach}", machine=machine, reach=_reach(place, machine))
        yield f"    {install(place, machine)}"
        width = max(len(one.build) for one in found)
        for one in found:
            yield f"      {one.build:<{width}}  {_span(one)}{_driver(one.build, place)}".rstrip()


def _without_code(place: Place) -> Iterator[str]:
    """Of what torch drives without device code of its own, or not at all."""
    if command := install(place, machines(place)[0]):
        yield f"  {command}"
    if place.backend in ("cuda", "rocm"):
        yield say("  No published build is known to carry code for it.")
    elif not command:
        yield say("  PyTorch's own builds do not drive it; the vendor's do.")
    elif place.backend == "xpu":
        yield say("  From torch 2.5 ({source}); what code each build carries is not in the tables.", source=XPU)
    elif place.backend == "mps":
        yield say("  On macOS for arm64.")


def _reach(place: Place, machine: str) -> str:
    """Over which releases of torch any build has code, and whether the newest has."""
    releases = sorted((row["torch"] for row in table("torch_releases")), key=release)
    found, first = builds(place, machine), first_torch(place, machine)
    last = found[0].torch_last
    begun = say("{first} or older", first=first) if first == releases[0] else first
    if found[0].latest:
        return say("from torch {first} to {last}, the newest", first=begun, last=last)
    kind = "rocm" if found[0].build.startswith("rocm") else "cu"
    if any(row["build"].startswith(kind) and not row["torch_before"] for row in table("wheels")):
        return say("from torch {first} to {last}; the builds end there, {newest} has no code for it", first=begun, last=last, newest=releases[-1])
    return say("from torch {first} to {last}; which code the builds of {newest} carry is not known", first=begun, last=last, newest=releases[-1])


def _span(one: Carrier) -> str:
    return (
        say("torch {first} to {last}", first=one.torch_from, last=one.torch_last) if one.torch_from != one.torch_last else f"torch {one.torch_last}"
    )


def _driver(build: str, place: Place) -> str:
    """What the build asks for, or the device itself where that is more."""
    cuda = cuda_release(build)
    floor = driver_floor(cuda) if cuda else ""
    own = next((row["linux"] for row in table("cuda_drivers") if row["cuda"] == FIRST_CUDA.get(place.compute_capability or (0, 0))), "")
    if floor and own:
        floor = max(floor, own, key=release)
    return say(", Linux driver {floor} or newer", floor=floor) if floor else ""


def _kernels(rows: tuple[Kernel, ...]) -> Iterator[str]:
    if not rows:
        return
    yield say("Kernels and libraries, and what they do with a format")
    names = list(dict.fromkeys(one.kernel for one in rows))
    columns = [dtype for dtype in DTYPES if any(one.dtype == dtype for one in rows)]
    cells = {(one.kernel, one.dtype): one.outcome for one in rows}
    yield from _table([(say("kernel"), *columns), *((name, *(cells.get((name, dtype), ".") for dtype in columns)) for name in names)])
    yield from wrapped(say("weight-only: unpacked for each product. slow: works, without the fast units. A dot: not in the tables."))
    for name in names:
        yield from _notes(name, [(one.dtype, one.note or _said(one.message)) for one in rows if one.kernel == name])


def _engines(rows: dict[str, tuple[Engine, ...]], place: Place) -> Iterator[str]:
    known = {engine: {one.format: one for one in found} for engine, found in rows.items() if found}
    if not known:
        return
    yield say("Engines, and what they do with a checkpoint")
    formats = [one for one in dict.fromkeys(row["format"] for row in table("engines")) if any(one in found for found in known.values())]
    head = (say("checkpoint"), *known)
    yield from _table([head, *((format, *(found[format].outcome if format in found else "." for found in known.values())) for format in formats)])
    yield from wrapped(say("weight-only: unpacked for each product. dequantised: unpacked at load, in 16-bit memory. A dot: not in the tables."))
    for engine, found in known.items():
        if not wholesale(rows[engine]):  # what goes wrong says so already
            yield from _notes(engine, [(one.format, _advice(one, place)) for one in found.values()])


def _said(message: str) -> str:
    return f'"{message.rstrip(".")}"' if message else ""


def _advice(one: Engine, place: Place) -> str:
    told, other = one.note or _said(one.message), instead(one, place)
    return "; ".join(filter(None, (told, say("instead: {instead}", instead=other) if other else "")))


def _table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    for row in (rows[0], tuple("-" * width for width in widths), *rows[1:]):
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _notes(name: str, told: Iterable[tuple[str, str]]) -> Iterator[str]:
    """What is to be said of a kernel's or an engine's formats, equal words once; the formats are left out where it holds for all."""
    by_text: dict[str, list[str]] = {}
    for format, text in told:
        by_text.setdefault(text, []).append(format)
    for text, formats in by_text.items():
        if text:
            which = f" {', '.join(formats)}" if len(by_text) > 1 else ""
            yield from wrapped(f"{name}{which}: {text}.", indent="    ", first="  - ")


def _sources(place: Place, rows: Iterable[Kernel | Engine | Trap]) -> Iterator[str]:
    """Each once, behind what it is the source of; an engine's version that the source itself begins with is left out."""
    told: dict[str, list[str]] = {place.dtypes.source: [say("formats")]} if place.dtypes.source else {}
    for machine in machines(place):
        best = usual(builds(place, machine), machine)
        if best:
            told.setdefault(wheel_source(best.build, best.torch_last, machine), []).append(f"torch {best.torch_last}+{best.build} {machine}")
    for one in rows:
        if isinstance(one, Kernel):
            told.setdefault(one.source, []).append(one.kernel)
        elif isinstance(one, Engine):
            engine, _, source = one.source.partition(": ")
            told.setdefault(source, []).extend([] if source.lower().startswith(engine) else [engine])
        elif not any(source in one.source for source in told):
            told[one.source] = [say("what goes wrong")]
    yield say("Sources")
    for source, names in told.items():
        about = f"{', '.join(dict.fromkeys(names))}: " if names else ""
        yield from wrapped(about + source, indent="    ", first="  - ")
