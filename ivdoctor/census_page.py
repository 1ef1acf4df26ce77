"""The census as people and programs read it: a table, Markdown, JSON, CSV. All of one object, so that they never disagree."""

from collections.abc import Iterable, Iterator
from typing import Any

from . import __version__
from .census_row import Census, Row
from .facts import SHORT_NAME, Stored
from .text import count, say

SCHEMA = "ivdoctor.census/1"

SUFFIXES = {".md": "markdown", ".json": "json", ".csv": "csv"}
"""What the suffix of a file says of the format."""

MOST_SHARES = 3
"""Dtypes that a cell names."""

SCALE = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K"))

LEGEND = (
    """loads as: what from_pretrained without a dtype gives. A target's word is that of `ivdoctor check MODEL --target NAME`: nothing was run. """
    """no: not ready; unknown: not proven there, with what the tables and headers say; anything else: ready."""
)


def rendered(census: Census, format: str) -> str:
    """As `table`, `markdown`, `json` or `csv`."""
    return {"table": page, "markdown": markdown, "json": document, "csv": sheet}[format](census)


def page(census: Census) -> str:
    """For a terminal: a line a model, and below the table what is wrong with any of them."""
    heads, rows = _heads(census), [_cells(row) for row in census.rows]
    parts = [[_summary(census)]]
    if rows:
        widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
        lines = (heads, ["-" * width for width in widths], *rows)
        parts.append(["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines])
        parts += filter(None, [[f"{row.called}: {what}" for row in census.rows for what in troubles(row)]])
        parts.append([_legend(census)])
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def markdown(census: Census) -> str:
    """The same as GitHub shows it."""
    from .formats._markdown import cell, prose, table

    parts = [prose(_summary(census))]
    if census.rows:
        parts.append(table([cell(head) for head in _heads(census)], [[cell(text) for text in _cells(row)] for row in census.rows]))
        parts += filter(None, ["\n".join(f"- {prose(f'{row.called}: {what}')}" for row in census.rows for what in troubles(row))])
        parts.append(prose(_legend(census)))
    return "\n\n".join(parts) + "\n"


def document(census: Census) -> str:
    """One JSON object; every key is always there, null where nobody says."""
    import json

    told = {
        "schema": SCHEMA,
        "tool": {"name": "ivdoctor", "version": __version__},
        "transformers": census.transformers or None,
        "targets": list(census.targets),
        "complete": census.whole,
        "cut": census.cut or None,
        "remarks": list(census.remarks),
        "models": [_object(row) for row in census.rows],
    }
    return json.dumps(told, indent=1, ensure_ascii=False) + "\n"


def sheet(census: Census) -> str:
    """For spreadsheets: numbers as numbers, and no text that one would run as a formula."""
    import csv
    import io

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    plain = ("name", "revision", "kind", "state", "model_type", "architecture", "quantization", "parameters", "bytes", "files", "loads_as", "base")
    writer.writerow([*plain, "stored", "troubles", *(f"on {name}" for name in census.targets)])
    for row in census.rows:
        told = _object(row)
        cells = [told[name] for name in plain]
        words = [one.word for one in row.cells] or [""] * len(census.targets)
        writer.writerow(map(_inert, [*cells, shares(row.stored), "; ".join(troubles(row)), *words]))
    return out.getvalue()


def _inert(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@")) else value


def _summary(census: Census) -> str:
    rows = census.rows
    number = count("{number} model", "{number} models", len(rows))
    parts = [say("{number}, {size} of weights.", number=number, size=gib(sum(row.bytes for row in rows)) + " GiB")]
    if census.transformers:
        parts.append(say("Loading is as transformers {version} does it, which is installed here.", version=census.transformers))
    else:
        parts.append(say("No transformers is installed here: loading is as its release 5 does it."))
    if not census.targets:
        parts.append(say("Only what is stored was looked at, and no accelerator: --target NAME says where a model is fit to run."))
    return " ".join(parts)


def _legend(census: Census) -> str:
    return say(LEGEND) if census.targets else say("loads as: what from_pretrained without a dtype gives.")


def _heads(census: Census) -> list[str]:
    known = (say("model"), say("type"), say("stored"), say("quantised"), say("parameters"), "GiB", say("files"), say("loads as"))
    return [*known, *census.targets]


def _cells(row: Row) -> list[str]:
    kind = {"adapter": say("adapter {method}", method=row.method), "gguf": "gguf"}.get(row.kind, "")
    told = [
        row.called,
        " ".join(filter(None, (kind, row.model_type or row.architecture))) or "-",
        shares(row.stored) or "-",
        row.quantization or "-",
        parameters(row) or "-",
        gib(row.bytes) if row.bytes else "-",
        files(row),
        loads(row) or "-",
    ]
    return [*told, *(one.word for one in row.cells)]


def shares(stored: Iterable[Stored]) -> str:
    """`bfloat16 98%, float32 2%`, by parameters; scales and zero points of packed weights are none."""
    held = [one for one in stored if one.role != "scales" and one.parameters]
    whole = sum(one.parameters for one in held)
    names = [f"{one.dtype} {say('packed')}" if one.role == "packed" else one.dtype for one in held]
    if len(held) == 1:
        return names[0]
    told = [f"{name} {_percent(one.parameters, whole)}" for name, one in zip(names, held, strict=True)]
    more = [say("{number} more", number=len(told) - MOST_SHARES)] if len(told) > MOST_SHARES else []
    return ", ".join([*told[:MOST_SHARES], *more])


def _percent(part: int, whole: int) -> str:
    """Never 0 nor 100 of what is neither."""
    found = 100 * part / whole
    if found < 1:
        return "<1%"
    return ">99%" if found > 99 else f"{found:.0f}%"  # noqa: PLR2004  # per cent


def parameters(row: Row) -> str:
    """`8.03 B`; marked where the configuration alone says so."""
    number = next((f"{row.parameters / unit:.3g} {name}" for unit, name in SCALE if row.parameters >= unit), str(row.parameters or ""))
    return say("{number} (config)", number=number) if number and row.counted == "configuration" else number


def gib(size: int) -> str:
    """`14.96`."""
    found = size / 2**30
    return f"{found:.2f}" if found >= 0.01 or not size else "<0.01"  # noqa: PLR2004  # the last digit shown


def files(row: Row) -> str:
    """In a word or two."""
    lacks = [say("{number} missing", number=len(row.missing))] if row.missing else []
    lacks += [say("{number} torn", number=len(row.torn))] if row.torn else []
    if row.state == "unreadable":
        return say("unreadable")
    if row.unfinished and row.state != "whole":
        return ", ".join([say("download incomplete"), *lacks])
    return ", ".join(lacks) or {"whole": say("whole"), "no weights": say("no weights"), "not downloaded": say("not downloaded")}.get(
        row.state, row.state
    )


def loads(row: Row) -> str:
    """`bf16`, or `fp16 (cast from bf16)`."""
    if row.cast_from:
        return say("{dtype} (cast from {stored})", dtype=row.loads_as, stored=row.cast_from)
    return row.loads_as or ""


def troubles(row: Row) -> Iterator[str]:
    """What is wrong with a model, a sentence each; nothing where all is well."""
    if row.problem:
        yield row.problem
    yield from (say("missing: {file}", file=one) for one in row.missing[:4])
    if len(row.missing) > 4:  # noqa: PLR2004  # as many as are shown
        yield say("and {count} more", count=len(row.missing) - 4)
    yield from (say("torn: {line}", line=one) for one in row.torn[:4])
    if row.unfinished and row.state == "whole":
        yield count("beside it {number} download was not finished", "beside it {number} downloads were not finished", row.unfinished)
    if row.cast_from and SHORT_NAME.get(row.declared) == row.loads_as:
        yield say("config.json says {config} and most weights are {stored}: loading casts them in silence", config=row.loads_as, stored=row.cast_from)
    if row.base:
        yield say("belongs to {base}", base=row.base)


def _object(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "revision": row.revision or None,
        "kind": row.kind,
        "state": row.state,
        "model_type": row.model_type or None,
        "architecture": row.architecture or None,
        "stored": [
            {"dtype": one.dtype, "role": one.role, "tensors": one.tensors, "parameters": one.parameters, "bytes": one.bytes} for one in row.stored
        ],
        "quantization": row.quantization or None,
        "parameters": row.parameters or None,
        "parameters_from": row.counted or None,
        "bytes": row.bytes,
        "files": row.files,
        "missing": list(row.missing),
        "torn": list(row.torn),
        "unfinished_downloads": row.unfinished,
        "config_dtype": row.declared or None,
        "loads_as": row.loads_as,
        "cast_from": row.cast_from or None,
        "adapter": row.method or None,
        "base": row.base or None,
        "problem": row.problem or None,
        "targets": [
            {"target": one.target, "verdict": one.verdict, "word": one.word, "reason": one.reason, "codes": list(one.codes)} for one in row.cells
        ],
    }
