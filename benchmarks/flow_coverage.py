"""
The dtype flow over every type of model that transformers has, from its default configuration in full size.

`python -m benchmarks.flow_coverage OUT.jsonl [KEY ...]` writes one JSON object a key: class, inputs, what became of the eighteen cells, what they cost.
`python -m benchmarks.flow_coverage --page OUT.jsonl REAL.jsonl > reports/flow-coverage.md` makes the page of it, with every key that does not finish and its reason;
REAL.jsonl is of `benchmarks.flow_agreement`, and says which of the architectures that break were really run, small, and broke at the same line.
Each key has a process of its own, bounded in time and memory.
"""

import json
import multiprocessing
import resource
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import psutil
import torch
import transformers

from benchmarks import flow_models
from ivdoctor.facts import Flowed
from ivdoctor.flow.cells import Flowing, cells_of, flowing, unfit
from ivdoctor.flow.classes import classes_of
from ivdoctor.flow.world import Stopped, World

CLASSES = 4
"""Of a type that are tried."""

PATIENCE = 100
"""Seconds for a key; these machines are shared."""

MEMORY = 3 * 1024**3


def measured(key: str) -> dict[str, Any]:
    """The first class that finishes; the reasons where none does."""
    row: dict[str, Any] = {"key": key, "ok": False, "reasons": []}
    began = time.perf_counter()
    try:
        flow_models.configured(key)
    except LookupError as error:
        return row | {"reasons": [str(error)]}
    best: dict[str, Any] = {}
    for place in range(min(CLASSES, len(classes_of(key)))):
        cls, config = flow_models.configured(key, place=place)
        world = World(seconds=PATIENCE - 10)
        try:
            made = flowing(cls, config, world)
            found = done(made, time.perf_counter() - began)
        except (Exception, Stopped) as error:  # noqa: BLE001  # it is told
            row["reasons"].append(f"{cls.__name__}: {unfit(error)} [{last(error)}]")
            row["reasons"] += [f"{cls.__name__}: {one}" for one in getattr(error, "args", ())[:3]] if isinstance(error, LookupError) else []
            continue
        if not found["unrun"]:
            return row | found
        best = best or found
    return row | best


def last(error: BaseException) -> str:
    """The innermost line of code that is not torch's or ours."""
    frames = [one for one in traceback.extract_tb(error.__traceback__) if "/transformers/" in one.filename]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""


def done(made: Flowing, built: float) -> dict[str, Any]:
    """Of a key that finished."""
    began = time.perf_counter()
    cells = cells_of(made)
    row: dict[str, Any] = {"ok": all(one.status != "unknown" for one in cells), "class": type(made.build.model).__name__, "feed": made.said}
    row["decodes"], row["unrun"], row["parameters"] = made.decodes, list(made.unrun), made.build.parameters
    row["reasons"] = sorted({one.message for one in cells if one.status == "unknown"})
    row["raised"] = {one.case: told(one) for one in cells if one.status == "raised"}
    row["unproven"] = list(made.world.unproven)
    row["seconds"] = [round(built, 2), round(time.perf_counter() - began, 2)]
    return row | {"mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}


def told(cell: Flowed) -> str:
    """Where, and what."""
    where = f"{cell.location.file.rpartition('/')[2]}:{cell.location.line} {cell.location.op}" if cell.location else "?"
    return f"{where} {cell.error}: {cell.message}"


def child(key: str, pipe: Any) -> None:
    """In a process of its own."""
    torch.set_num_threads(1)
    try:
        pipe.send(measured(key))
    except (Exception, Stopped) as error:  # noqa: BLE001  # it is told
        pipe.send({"key": key, "ok": False, "reasons": [f"{type(error).__name__}: {str(error)[:200]} [{last(error)}]"]})


def alone(key: str) -> dict[str, Any]:
    """The row, made in a process that is stopped when it takes too long or too much."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=child, args=(key, theirs))
    process.start()
    theirs.close()
    row: dict[str, Any] = {"key": key, "ok": False, "reasons": [f"it took over {PATIENCE} seconds"]}
    until = time.monotonic() + PATIENCE
    try:
        while time.monotonic() < until:
            if ours.poll(0.05):
                row = ours.recv()
                break
            if psutil.Process(process.pid).memory_info().rss > MEMORY:
                row["reasons"] = [f"it took over {MEMORY // 1024**3} GiB"]
                break
    except (EOFError, psutil.NoSuchProcess):
        row["reasons"] = ["its process died"]
    process.kill()
    process.join()
    return row


def page(rows: list[dict[str, Any]], real: dict[str, dict[str, Any]]) -> str:
    """Markdown."""
    fine = [row for row in rows if row["ok"]]
    lines = ["# The dtype flow over every model type of transformers", ""]
    lines += [
        f"transformers {transformers.__version__}, torch {torch.__version__}, no other library of models; made by `python -m benchmarks.flow_coverage`.",
        "",
    ]
    lines += [
        f"{len(fine)} of {len(rows)} keys of `MODEL_MAPPING_NAMES` ({len(fine) / len(rows):.1%}) finish all eighteen cells, in the full size of their default"
    ]
    lines += ["configuration; defaults that are broken in themselves are repaired by `benchmarks/flow_repairs*.py`, each with its reason.", ""]
    lines += ["## Those that do not finish", "", "| key | reason |", "|---|---|"]
    lines += [f"| {row['key']} | {escaped(row['reasons'][0] if row['reasons'] else '?')} |" for row in rows if not row["ok"]]
    lines += ["", "## Those whose inputs do not reach every part", "", "| key | class | not reached |", "|---|---|---|"]
    lines += [f"| {row['key']} | {row['class']} | {', '.join(row['unrun'])} |" for row in fine if row["unrun"]]
    lines += ["", "## Those that break in float16 or bfloat16, with inputs in the same format", ""]
    lines += [
        "*loaded*: by `from_pretrained(dtype=)`; *cast*: by `.to()` or `.half()` afterwards. *confirmed*: a small model of the same class, with random",
        "",
    ]
    lines[-1:] = [
        "weights, was really run on the CPU and raised at the same line.",
        "",
        "| key | class | cells | where and what | confirmed |",
        "|---|---|---|---|---|",
    ]
    for row in fine:
        for what in dict.fromkeys(row["raised"].values()):
            cells = [case for case, one in row["raised"].items() if one == what and case.partition(":")[2] in {"fp16/fp16", "bf16/bf16"}]
            if cells:
                lines.append(
                    f"| {row['key']} | {row['class']} | {', '.join(cells)} | {escaped(what)} | {confirmed(real.get(row['key'], {}), cells, what)} |"
                )
    return "\n".join(lines) + "\n"


def confirmed(real: dict[str, Any], cells: list[str], what: str) -> str:
    """Whether every one of these cells raised at this line when it was really run."""
    known = [real.get("real", {}).get(case) for case in cells]
    if not known or any(one is None or one["status"] == "unknown" for one in known):
        return "not run"
    line = what.partition(" ")[0]
    return "yes" if all(one["status"] == "raised" and one["line"].rpartition("/")[2] == line for one in known) else "no"


def escaped(text: str) -> str:
    """In a cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")[:300]


def main() -> None:
    """One key after the other, or the page."""
    path, *wanted = sys.argv[1:]
    if path == "--page":
        rows, real = ([json.loads(line) for line in Path(one).read_text(encoding="utf-8").splitlines()] for one in wanted)
        print(page(rows, {row["type"]: row for row in real}), end="")
        return
    with Path(path).open("a", encoding="utf-8") as file:
        for key in wanted or flow_models.keys():
            row = alone(key)
            file.write(json.dumps(row) + "\n")
            file.flush()
            if not row["ok"]:
                print(key, *row["reasons"][:2], file=sys.stderr)


if __name__ == "__main__":
    main()
