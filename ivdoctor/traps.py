"""What is likely to go wrong on an accelerator, by the tables: flags that mislead, formats that are slow, builds and engines that stop short."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from .builds import Carrier, carriers, machine_of
from .catalogue import FORMAT, NAMED, notes
from .facts import FP16_MAX, HALVES, Place, release
from .kernels import CONVERTED, ENGINES, Engine, Kernel, kernels
from .kernels import engine_rows as _engine_rows
from .tables import holds, newest, table
from .text import say
from .wheels import EXACT, carries

WARNINGS = (
    *("FNUZ", "flush", "NaN", "one pass", "no float64 in hardware", "no tensor cores", "no matrix unit"),
    *("do not run on it", "out of ROCm", "graphs only", "discontinued"),
)
"""Words of a row's note that a user should know before a first run."""

NO_IMAGE = "CUDA error: no kernel image is available for execution on the device"
"""What torch says where its build has no code for the device."""

MACHINES = ("x86_64", "aarch64")
"""The machines of `wheels.csv`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trap:
    """One thing that a user is likely to get wrong there."""

    text: str
    source: str


def traps(place: Place) -> tuple[Trap, ...]:
    """What a user of this place is likely to get wrong, what concerns most models first; empty where the tables tell of nothing."""
    rows = kernels(place)
    found = (*_halves(place), *_flag(place), *_told(place), *_fp8(place), *_attention(rows), *_refusals(rows))
    return (*found, *_code(place), *_limits(place), *_engines(place))


@cache
def builds(place: Place, machine: str) -> tuple[Carrier, ...]:
    """`carriers` of a place, once: of one without compute capability or gfx number there are none."""
    return carriers(place.compute_capability, place.gfx, machine) if place.compute_capability or place.gfx else ()


def machines(place: Place) -> tuple[str, ...]:
    """The processors that a device may stand beside: NVIDIA's superchips and Jetsons have their own."""
    return MACHINES if machine_of(place) == MACHINES[0] else MACHINES[1:]


@cache
def engine_rows(engine: str, place: Place) -> tuple[Engine, ...]:
    """As in `kernels`, once for each place."""
    return _engine_rows(engine, place)


def newest_release() -> dict[str, str]:
    """The newest row of `torch_releases.csv`."""
    return max(table("torch_releases"), key=lambda row: release(row["torch"]))


def _halves(place: Place) -> Iterator[Trap]:
    """The 16-bit formats that are no faster than fp32, or not there at all."""
    for dtype in ("fp16", "bf16"):
        support = place.dtypes.of(dtype)
        if support not in CONVERTED:
            continue
        other = next((one for one in ("fp16", "bf16", "fp32") if place.dtypes.of(one) == "native"), "fp32")
        why = _about(place, dtype)
        instead = say("take {dtype}", dtype=other)
        if other == "fp16":
            instead = say("take {dtype}, whose range ends at {limit}", dtype=other, limit=f"{FP16_MAX:g}")
        text = say("{dtype} is emulated{why}: {instead}.", dtype=dtype, why=why, instead=instead)
        if support == "none":
            text = say("There is no {dtype}{why}: {instead}.", dtype=dtype, why=why, instead=instead)
        yield Trap(text=text, source=place.dtypes.source)


def _flag(place: Place) -> Iterator[Trap]:
    """That torch calls bf16 supported, where a build that says so runs on the device at all."""
    rows = [row for row in table("bf16_flag") if row["backend"] == place.backend and row["below_sm80"] == "True"]
    if not rows or place.dtypes.bf16 not in CONVERTED:
        return
    row = rows[-1]
    if not any(release(one.torch_last) >= release(row["torch_from"]) for one in builds(place, machines(place)[0])):
        return
    ask = say("; ask {call}", call="torch.cuda.is_bf16_supported(including_emulation=False)") if row["argument"] == "yes" else ""
    text = say(
        "{call} is True here from torch {version} on, which only says that it {means}{ask}.",
        call="torch.cuda.is_bf16_supported()",
        version=row["torch_from"],
        means=row["bare_means"],
        ask=ask,
    )
    yield Trap(text=text, source=_source(row))


def _told(place: Place) -> Iterator[Trap]:
    """What the row's note warns of, and whether the device reports the same as better ones."""
    rows = [row for row in table("architectures") if row["architecture"] == place.architecture and row["note"] == place.dtypes.note and row["match"]]
    plain = [one["architecture"] for one in table("architectures") if rows and one["id"] == rows[0]["id"] and not one["match"]]
    for part in place.dtypes.note.split("; "):
        if any(word in part for word in WARNINGS):
            beside = say(", although it reports {id} as {architecture} does", id=rows[0]["id"], architecture=plain[0]) if plain else ""
            yield Trap(text=say("{warning}{beside}.", warning=_begun(part), beside=beside if "cores" in part else ""), source=place.dtypes.source)


def _fp8(place: Place) -> Iterator[Trap]:
    lacks = [one for one in ("fp8_e4m3", "fp8_e5m2") if place.dtypes.of(one) in CONVERTED]
    if not lacks:
        return
    name = "fp8" if len(lacks) > 1 else lacks[0]
    text, sources = say("No {dtype} arithmetic{why}.", dtype=name, why=_about(place, lacks[0])), [place.dtypes.source]
    otherwise = next((one for one in engine_rows("transformers", place) if one.format == "fp8" and one.outcome == "dequantised"), None)
    if otherwise:
        text += " " + say("{engine} does not keep an fp8 checkpoint: {note}.", engine="transformers", note=otherwise.note)
        sources.append(otherwise.source)
    yield Trap(text=text, source="; ".join(sources))


def _about(place: Place, dtype: str) -> str:
    """What the row's note says of a format, in parentheses; not that there is none, which is said already."""
    told = notes(place.dtypes.note)[dtype]
    return f" ({told})" if FORMAT.search(told) and not told.startswith("no ") else ""


def _attention(rows: tuple[Kernel, ...]) -> Iterator[Trap]:
    """What is left of torch's own attention where its flash kernel refuses."""
    own = [one for one in rows if one.kernel.startswith("sdpa-")]
    left: dict[tuple[str, str], list[str]] = {}
    for dtype in HALVES[1:]:
        refused = [one.kernel for one in own if one.dtype == dtype and one.outcome == "refused"]
        takes = [f"{one.kernel} ({one.outcome})" for one in own if one.dtype == dtype and one.outcome != "refused"]
        if "sdpa-flash" in refused:
            left.setdefault((", ".join(refused), ", ".join(takes) or say("nothing")), []).append(dtype)
    for (refused_names, taking), dtypes in left.items():
        text = say("torch's attention in {dtypes}: {refused} refuse; left: {left}.", dtypes=_and(dtypes), refused=refused_names, left=taking)
        yield Trap(text=text, source="; ".join(dict.fromkeys(one.source for one in own if one.kernel == "sdpa-flash" and one.dtype in dtypes)))


def _refusals(rows: tuple[Kernel, ...]) -> Iterator[Trap]:
    """Of the kernels that most models meet: FlashAttention's packages, the newest that could run there, and torch.compile's compiler."""
    old = any(one.kernel == "flash-attn 2" and one.outcome == "refused" and one.dtype == "fp16" for one in rows)
    for name in ("flash-attn 2" if old else "flash-attn 3", "triton"):
        told: dict[tuple[str, str, str], list[str]] = {}
        for one in rows:
            if one.kernel == name and one.outcome == "refused" and one.dtype in HALVES[1:]:
                told.setdefault((one.note, one.message, one.source), []).append(one.dtype)
        for (note, message, source), dtypes in told.items():
            yield Trap(text=say("{kernel} refuses {dtypes}{why}.", kernel=name, dtypes=_and(dtypes), why=because(note, message)), source=source)


def _code(place: Place) -> Iterator[Trap]:
    """What torch's published builds carry for the device."""
    if place.backend not in ("cuda", "rocm"):
        return
    row = newest_release()
    every = [(machine, one) for machine in machines(place) for one in builds(place, machine)]
    if place.compute_capability in EXACT:
        yield Trap(
            text=say("An integrated GPU: it runs only code built for it, not its generation's. That holds for every package below."),
            source=place.dtypes.source,
        )
    if not every:
        source = say("the lists of device code in {file}, {date}", file="wheels.csv", date=newest())
        yield Trap(text=say("No published build of torch is known to carry code for it."), source=source)
        return
    if place.backend == "rocm":
        text = say("`pip install torch` brings the build for {build}, which does not drive it: name a ROCm build's index.", build=row["pypi_build"])
        yield Trap(text=text, source=_source(row))
    machine, last = max(every, key=lambda one: release(one[1].torch_last))
    if place.backend == "cuda" and not last.latest:
        text = say(
            "`pip install torch` brings {newest}+{build}, which has no code for it ({message}); the newest torch known to have it is {last}.",
            newest=row["torch"],
            build=row["pypi_build"],
            message=f'"{NO_IMAGE}"',
            last=last.torch_last,
        )
        yield Trap(
            text=text, source=f"{wheel_source(last.build, last.torch_last, machine)}; {wheel_source(row['pypi_build'], row['torch'], machine)}"
        )
    first = min((first_torch(place, machine) for machine in machines(place) if builds(place, machine)), key=release)
    if release(first) > min(release(one["torch"]) for one in table("torch_releases")):
        sources = [_source(one) for one in _wheels(place, machines(place)) if one["torch_from"] == first]
        yield Trap(text=say("torch before {version} has no code for it.", version=first), source="; ".join(dict.fromkeys(sources)))


def first_torch(place: Place, machine: str) -> str:
    """The oldest release of torch of which a build has code for the place; there is one."""
    return min((row["torch_from"] for row in _wheels(place, (machine,))), key=release)


def _wheels(place: Place, machines: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """The rows of the builds that carry a place; `carriers` tells of each build the newest stretch alone."""
    for row in table("wheels"):
        able = place.gfx in row["arch_list"].split() if place.gfx else carries(tuple(row["arch_list"].split()), place.compute_capability or (0, 0))
        if able and row["machine"] in machines:
            yield row


def wheel_source(build: str, torch: str, machine: str) -> str:
    """The source of what a build of torch carries."""
    for row in table("wheels"):
        if (row["build"], row["machine"]) == (build, machine) and holds(row, release(torch)):
            return _source(row)
    return ""


def _limits(place: Place) -> Iterator[Trap]:
    """What MPS refuses, one line a format."""
    if place.backend != "mps":
        return
    for row in table("mps_limits"):
        when = [_releases(row["torch_from"], row["torch_before"])] if row["torch_from"] or row["torch_before"] else []
        when += [say("macOS before {version}", version=row["macos_before"])] if row["macos_before"] else []
        under = say(" with {when}", when=", ".join(when)) if when else ""
        text = say("MPS refuses {dtype}{under}{why}.", dtype=row["dtype"], under=under, why=because("", row["message"]))
        yield Trap(text=text, source=_source(row))


def _releases(first: str, before: str) -> str:
    if first and before:
        return say("torch from {first} and before {before}", first=first, before=before)
    return say("torch from {version}", version=first) if first else say("torch before {version}", version=before)


def _engines(place: Place) -> Iterator[Trap]:
    """Engines that refuse the device itself, and those that refuse a plain checkpoint."""
    for engine in ENGINES:
        rows = engine_rows(engine, place)
        refused = [one for one in rows if one.format in HALVES and one.outcome == "refused"]
        if refused and wholesale(rows):
            yield Trap(text=say("{engine} does not run on it{why}.", engine=engine, why=_why(refused[0], place)), source=refused[0].source)
            continue
        for one in refused:
            yield Trap(text=say("{engine} refuses {format}{why}.", engine=engine, format=one.format, why=_why(one, place)), source=one.source)


def wholesale(rows: tuple[Engine, ...]) -> bool:
    """Whether an engine refuses every format there, plain ones too; not where plain ones are not known."""
    return any(one.format in HALVES for one in rows) and all(one.outcome == "refused" for one in rows)


def _why(one: Engine, place: Place) -> str:
    """With what to do instead."""
    other = instead(one, place)
    return because(one.note, one.message) + (say("; instead: {instead}", instead=other) if other else "")


def instead(one: Engine, place: Place) -> str:
    """What to do about a row; empty where there is nothing to do about, and where it is an engine that is not known to run there."""
    other = one.instead.lower()
    idle = other in ENGINES and not any(row.format in HALVES and row.outcome != "refused" for row in engine_rows(other, place))
    if idle or one.outcome == "native" or not one.instead:
        return ""
    return one.instead + (say(" (its range ends at 65504)") if "float16" in other.replace("bfloat16", "") else "")


def because(note: str, message: str) -> str:
    """`: note ("message")`, of which each may be empty."""
    said = f' ("{message.rstrip(".")}")' if message else ""
    return f": {note}{said}" if note else said


def _source(row: dict[str, str]) -> str:
    return f"{row['source']} ({row['date']})"


def _and(names: list[str]) -> str:
    return say("{first} and {last}", first=", ".join(names[:-1]), last=names[-1]) if len(names) > 1 else "".join(names)


def _begun(text: str) -> str:
    """As a sentence begins; a format's name stays as it is."""
    return text if text.startswith(tuple(NAMED)) else text[:1].upper() + text[1:]
