"""Facts as people read them: the summary's lines and the tables. Formats render these and know no facts."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from . import views_cast, views_flow, views_formats, views_memory, views_model, views_target
from .facts import (
    HALVES,
    Asked,
    Attempt,
    Cast,
    Cpu,
    Driver,
    Environ,
    Flow,
    Gpu,
    Host,
    Limits,
    Miniature,
    Mismatch,
    Packages,
    Place,
    Precision,
    Replay,
    Torch,
    Trial,
    release,
)
from .outcome import Outcome, known
from .report import Chart, Grid, GridCell, Line
from .text import say


def summary(outcomes: Iterable[Outcome]) -> Iterator[Line]:
    """The machine in a few lines; what could not be looked at says so."""
    texts: dict[str, Callable[[Any], str]] = {
        "model": views_model.model_line,
        "adapter": views_model.adapter_line,
        "checkpoint": views_model.checkpoint_line,
        "anatomy": views_model.anatomy_line,
        "native": views_model.native_line,
        "flow": views_flow.told,
        "miniature": views_flow.miniature_told,
        "host": _host,
        "cpu": _cpu,
        "driver": _driver,
        "gpu": _gpu,
        "torch": _torch,
        "packages": _packages,
        "environ": _environ,
    }
    outcomes = tuple(outcomes)
    by_subject = {one.subject: one for one in outcomes if not one.place}
    for subject, text in texts.items():
        outcome = by_subject.get(subject)
        if outcome is None or _needless(subject, by_subject):
            continue
        told = text(outcome.fact) if outcome.fact is not None else f"{outcome.status}: {outcome.reason}"
        yield Line(label=subject, text=told)
        if subject == "checkpoint":
            yield from _casts(outcomes)
        if subject == "model":
            yield from views_model.about(known(outcomes))


def _needless(subject: str, outcomes: Mapping[str, Outcome]) -> bool:
    """No adapter where there is none, and no count of weights by the configuration where their own headers say it."""
    checkpoint = outcomes.get("checkpoint")
    counted = checkpoint is not None and checkpoint.fact is not None and bool(checkpoint.fact.stored)
    return (subject == "adapter" and outcomes[subject].status == "absent") or (subject == "anatomy" and counted)


def _casts(outcomes: Iterable[Outcome]) -> Iterator[Line]:
    """What came of the model's run at each place."""
    for one in outcomes:
        if one.subject == "cast":
            told = views_cast.told(one.fact) if isinstance(one.fact, Cast) else f"{one.status}: {one.reason}"
            yield Line(label="cast", text=f"{one.place}: {told}")


def _host(host: Host) -> str:
    extras = [name for name, is_so in (("WSL", host.wsl), (say("container"), host.container)) if is_so]
    where = f" ({', '.join(extras)})" if extras else ""
    python = f"{host.implementation or 'Python'} {host.python}" if host.python else ""
    memory = _gib(host.memory_mib) if host.memory_mib else ""
    return ", ".join(filter(None, (f"{host.system} {host.machine}{where}", python, memory)))


def _cpu(cpu: Cpu) -> str:
    features = ", ".join(cpu.features) or say("no half-precision instructions")
    return f"{cpu.name} ({cpu.microarchitecture}), {say('{count} cores', count=cpu.cores)}: {features}"


def _driver(driver: Driver) -> str:
    names = ", ".join(device.name for device in driver.devices) or say("no devices")
    return f"NVIDIA {driver.version}, CUDA {driver.cuda[0]}.{driver.cuda[1]}: {names}"


def _gpu(gpu: Gpu) -> str:
    if not gpu.devices:
        return say("torch sees no accelerator")
    return "; ".join(
        f"{one.name}"
        + (f" (sm_{one.compute_capability[0]}{one.compute_capability[1]})" if one.compute_capability else f" ({one.gfx})" if one.gfx else "")
        for one in gpu.devices
    )


def _torch(torch: Torch) -> str:
    if torch.hip:
        build = f"ROCm {torch.hip}"
    elif torch.cuda:
        build = f"CUDA {torch.cuda[0]}.{torch.cuda[1]}"
    else:
        build = say("built without CUDA")
    code = f", {' '.join(torch.arch_list)}" if torch.arch_list else ""
    return f"{torch.version}, {build}{code}"


def _packages(packages: Packages) -> str:
    return ", ".join(f"{one.name} {one.version}" for one in packages.installed) or say("none of those that matter")


def _environ(environ: Environ) -> str:
    return ", ".join(f"{one.name}={one.value}" for one in environ.variables) or say("nothing set that bears on precision")


def _gib(mib: int) -> str:
    return f"{mib / 1024:.0f} GiB"


def grids(outcomes: Iterable[Outcome], found: Iterable[Place], asked: Asked, *, ran: bool = True) -> Iterator[Grid]:
    """
    The model's dtype flow; per place: which formats it carries, what libraries and engines make of them, and the reproduction with its remedies.

    Args:
        asked: names an engine or none.
        ran: False for a snapshot made by hand, whose operations nobody ran.
    """
    outcomes = tuple(outcomes)
    torch = next((release(one.fact.version) for one in outcomes if isinstance(one.fact, Torch)), None)
    machine = known(outcomes)
    replays = {one.place: one.fact for one in outcomes if isinstance(one.fact, Replay)}
    yield from views_flow.grids(machine.get(Flow), machine.get(Miniature), replays)
    for place in found:
        here = {type(one.fact): one.fact for one in outcomes if one.place == place.name and one.fact is not None}
        if Cast in here and here[Cast].how == "real-run":
            yield from views_cast.grids(place, here[Cast])
        yield views_formats.formats(place, here.get(Precision), torch, ran=ran)
        yield from views_memory.grids(place, known(outcomes), asked)
        if place.kind == "target":
            yield from views_target.libraries(place, torch)
        if place.kind == "target" or asked.engine:
            yield from views_target.engines(place, asked)
        if Mismatch in here:
            yield _cells(place, here[Mismatch], detail=Flow in machine or (Cast in here and here[Cast].how == "real-run"))
            yield _towers(place, here[Mismatch])
            yield _remedies(place, here[Mismatch])
        if Cast in here and here[Cast].how == "miniature":
            yield from views_cast.grids(place, here[Cast])


def charts(outcomes: Iterable[Outcome], found: Iterable[Place], limits: Limits) -> Iterator[Chart]:
    """Per place: how a cast drifts through the model."""
    casts = {one.place: one.fact for one in outcomes if isinstance(one.fact, Cast)}
    for place in found:
        if place.name in casts:
            yield from views_cast.charts(place, casts[place.name], limits.relative_l2)


def _cells(place: Place, mismatch: Mismatch, *, detail: bool) -> Grid:
    rows = []
    for model in HALVES:
        row = [GridCell(text=model)]
        for given in HALVES:
            cell = mismatch.cell(model, given)
            row.append(_cell(cell.attempt) if cell else GridCell(text="-"))
        rows.append(tuple(row))
    return Grid(
        title=say("The InternVideo2.5 failure, reproduced: model dtype by pixel dtype"),
        place=place.name,
        columns=(say("model \\ pixels"), *HALVES),
        rows=tuple(rows),
        caption=say("A miniature with random weights, built into ivdoctor and really run here. Relative L2 is against its fp32 logits."),
        detail=detail,
    )


def _cell(attempt: Attempt) -> GridCell:
    if attempt.status == "raised":
        return GridCell(text=f"{attempt.error}: {attempt.message}", brief=say("raises"), mark="bad")
    if not attempt.usable:
        return GridCell(text=attempt.said(), brief=say("wrong"), mark="bad")
    error = f"{attempt.relative_l2:.1e}" if attempt.relative_l2 else "0"
    return GridCell(text=say("ran, relative L2 {error}", error=error), brief=say("ran"), mark="good")


def _towers(place: Place, mismatch: Mismatch) -> Grid:
    rows = []
    for one in mismatch.towers:
        where = f"{one.attempt.location.module or 'forward'}: {one.attempt.location.op}" if one.attempt.location else ""
        rows.append((*(GridCell(text=part) for part in (one.vision, one.projector, one.lm)), _cell(one.attempt), GridCell(text=where)))
    return Grid(
        title=say("Parts loaded in different formats"),
        place=place.name,
        columns=(say("vision"), say("projector"), "LM", say("result"), say("where")),
        rows=tuple(rows),
        caption=say("The pixels are in the vision tower's format."),
        detail=True,
    )


def _remedies(place: Place, mismatch: Mismatch) -> Grid:
    cases = list(dict.fromkeys(trial.case for trial in mismatch.trials if trial.case.count("/") == 1))
    remedies = list(dict.fromkeys(trial.remedy for trial in mismatch.trials if trial.case in cases))
    by_key = {(trial.case, trial.remedy): trial for trial in mismatch.trials}
    rows = [(GridCell(text=case), *(_tried(by_key.get((case, remedy))) for remedy in remedies)) for case in cases]
    return Grid(
        title=say("Remedies, tried on each failing cell"),
        place=place.name,
        columns=(say("model/pixels"), *remedies),
        rows=tuple(rows),
        caption=say("Passed: the miniature ran with the remedy applied, in the format named."),
        detail=True,
    )


def _tried(trial: Trial | None) -> GridCell:
    if trial is None:
        return GridCell(text="-")
    if trial.status == "passed":
        return GridCell(text=say("passed, {dtype}", dtype=trial.computes_in), mark="good")
    return GridCell(text=say("failed"), mark="bad")
