"""What a cast did to a model, as people read it: a table of figures, the drift module by module, and its picture."""

from collections.abc import Iterator

from .facts import Cast, CastRun, Place
from .report import Chart, Grid, GridCell, Series
from .text import say, share

STEPS = 400
"""Modules in one picture."""


def grids(place: Place, cast: Cast) -> Iterator[Grid]:
    """The figures of each format, and every module's distance."""
    yield Grid(
        title=say("Cast, then infer: {model}", model=cast.model),
        place=place.name,
        columns=(
            say("format"),
            say("result"),
            say("relative L2"),
            say("largest difference"),
            say("cosine"),
            say("top-1"),
            say("KL (nats)"),
            say("time"),
            say("memory"),
            say("most is lost at"),
        ),
        rows=tuple(_row(run) for run in cast.runs),
        caption=caption(cast),
        detail=cast.how == "miniature",
    )
    ran = _drifting(cast)
    if ran:
        yield Grid(
            title=_drift_title(cast),
            place=place.name,
            columns=(say("module"), say("class"), *(run.dtype for run in ran)),
            rows=tuple(_modules(ran)),
            caption=_unit(cast),
            detail=True,
        )


def charts(place: Place, cast: Cast, limit: float) -> Iterator[Chart]:
    """The drift as a picture; none for the miniature, whose drift tells nobody anything about a model."""
    ran = _drifting(cast)
    if not ran or cast.how == "miniature":
        return
    names = _drawn(ran)
    by_name = [{one.module: one.relative_l2 for one in run.modules} for run in ran]
    yield Chart(
        title=_drift_title(cast),
        place=place.name,
        steps=tuple(names),
        unit=say("relative L2 distance from {baseline}", baseline=cast.baseline),
        series=tuple(Series(label=run.dtype, values=tuple(known[name] for name in names)) for run, known in zip(ran, by_name, strict=True)),
        limit=limit,
        alternative=" ".join(_in_words(run) for run in ran),
        caption=_unit(cast) + _cut(len(names), len(_common(ran))),
    )


def caption(cast: Cast) -> str:
    """What was compared with what."""
    parts = [say("{inputs}; {output} against {baseline}.", inputs=_capital(cast.inputs), output=cast.output, baseline=cast.baseline)]
    if cast.baseline_reason:
        parts.append(_capital(cast.baseline_reason) + ".")
    if cast.unrun:
        parts.append(say("These inputs did not reach {parts}.", parts=", ".join(cast.unrun)))
    if cast.nonfinite:
        parts.append(say("In {baseline} itself {count} NaN or Inf come out.", baseline=cast.baseline, count=cast.nonfinite))
    if cast.headroom is not None:
        parts.append(
            say(
                "The largest activation is {share} of what float16 holds, in {module}.",
                share=share(cast.headroom),
                module=cast.headroom_module,
            )
        )
    if any(run.time_ratio is not None for run in cast.runs):
        parts.append(say("Time is of a warm pass, memory of the weights and what a pass adds, both over {baseline}'s.", baseline=cast.baseline))
    return " ".join(parts)


def survival(cast: Cast, limit: float) -> str:
    """What a cast did to the model, in the words of who asked; empty where none was run, and for the miniature."""
    if cast.how == "miniature":
        return ""
    figures = ", ".join(f"{run.dtype} {run.relative_l2:.2g}" for run in cast.runs if run.usable)
    beyond = [run.dtype for run in cast.runs if run.usable and not run.relative_l2 <= limit]
    more = say("; beyond it: {formats}", formats=", ".join(beyond)) if beyond else ""
    moved = say("relative L2 after a cast to {figures} (limit {limit:g}{more})", figures=figures, limit=limit, more=more) if figures else ""
    alone = say("{baseline} is what they were compared with, and was compared with nothing", baseline=cast.baseline) if cast.baseline_reason else ""
    return "; ".join(filter(None, [moved, alone]))


def told(cast: Cast) -> str:
    """One line for the summary."""
    return "; ".join([*(f"{run.dtype}: {_said(run)}" for run in cast.runs), cast.inputs])


def _row(run: CastRun) -> tuple[GridCell, ...]:
    if run.status != "ran":
        blank = tuple(GridCell(text="-") for _ in range(8))
        brief = say("raises") if run.status == "raised" else say("not run")
        mark = "bad" if run.status == "raised" else "poor"
        return (GridCell(text=run.dtype), GridCell(text=run.message, brief=brief, mark=mark), *blank)  # type: ignore[arg-type]  # two of the marks
    finite = not run.nonfinite
    result = GridCell(text=say("finite"), mark="good") if finite else GridCell(text=_nonfinite(run), brief=say("not finite"), mark="bad")
    figures = (f"{run.relative_l2:.3g}", f"{run.max_abs:.3g}", f"{run.cosine:.6f}") if finite else ("-", "-", "-")
    choices = ("-" if run.top1 is None else f"{run.top1:.1%}", "-" if run.kl is None else f"{run.kl:.3g}")
    ratios = (_ratio(run.time_ratio), _ratio(run.memory_ratio))
    return (GridCell(text=run.dtype), result, *(GridCell(text=text) for text in (*figures, *choices, *ratios, run.lost_at or "-")))


def _nonfinite(run: CastRun) -> str:
    if not run.first_nonfinite:
        return say("{count:,} NaN or Inf", count=run.nonfinite)
    return say("{count:,} NaN or Inf, first in {module}", count=run.nonfinite, module=run.first_nonfinite)


def _said(run: CastRun) -> str:
    if run.status != "ran":
        return run.message
    return _nonfinite(run) if run.nonfinite else say("relative L2 {error}", error=f"{run.relative_l2:.2g}")


def _drifting(cast: Cast) -> list[CastRun]:
    return [run for run in cast.runs if run.status == "ran" and run.modules]


def _common(ran: list[CastRun]) -> list[str]:
    """Modules that every format reached, in the order they ran."""
    every = [{one.module for one in run.modules} for run in ran]
    return [one.module for one in ran[0].modules if all(one.module in names for names in every)]


def _drawn(ran: list[CastRun]) -> list[str]:
    """Every module; of a large model the repeated layers and the end alone, so that the last layers, where most is lost, are never cut off."""
    names = _common(ran)
    if len(names) <= STEPS:
        return names
    blocks = {one.module for one in ran[0].modules if one.block}
    return ([name for name in names[:-1] if name in blocks] or names[:-1])[-STEPS + 1 :] + names[-1:]


def _cut(drawn: int, every: int) -> str:
    return "" if drawn == every else " " + say("{drawn} of {every} modules are drawn; the table has them all.", drawn=drawn, every=every)


def _modules(ran: list[CastRun]) -> Iterator[tuple[GridCell, ...]]:
    by_name = [{one.module: one for one in run.modules} for run in ran]
    for name in _common(ran):
        distances = (_distance(known[name].relative_l2) for known in by_name)
        yield (GridCell(text=name), GridCell(text=by_name[0][name].kind), *distances)


def _distance(value: float) -> GridCell:
    return GridCell(text=say("not finite"), mark="bad") if value < 0 else GridCell(text=f"{value:.3g}")


def _in_words(run: CastRun) -> str:
    """A sentence for who does not see the picture."""
    finite = [one for one in run.modules if one.relative_l2 >= 0]
    if run.first_nonfinite and run.nonfinite:
        return say("{dtype} is not finite from {module} on.", dtype=run.dtype, module=run.first_nonfinite)
    if run.first_nonfinite:
        end = f"{run.relative_l2:.2g}"
        return say("{dtype} is not finite in {module}, and ends at {end} all the same.", dtype=run.dtype, module=run.first_nonfinite, end=end)
    worst = max(finite, key=lambda one: one.relative_l2)
    return say(
        "{dtype} ends at {end}, is worst at {worst} in {module}, and loses most in {lost}.",
        dtype=run.dtype,
        end=f"{run.relative_l2:.2g}",
        worst=f"{worst.relative_l2:.2g}",
        module=worst.module,
        lost=run.lost_at or say("no single module"),
    )


def _drift_title(cast: Cast) -> str:
    return say("Drift per module: {model}", model=cast.model)


def _unit(cast: Cast) -> str:
    return say("Each module's output after the cast, its distance from {baseline} over the size in {baseline}.", baseline=cast.baseline)


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}x"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
