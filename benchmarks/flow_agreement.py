"""
Whether the dtype flow foretells what really happens: tiny models of transformers' types, nine cells, loaded and cast, on the CPU.

`python -m benchmarks.flow_agreement OUT.jsonl [KEY ...]` writes one JSON object a type: every cell as it really came out and as the flow
foretold it, on the same configuration and the same inputs. It prints how many agree in outcome and in line, and each that does not.
`--show OUT.jsonl` prints the same of a file; `--again OLD.jsonl OUT.jsonl [KEY ...]` foretells anew and takes from a file what was really run. Every type has a process of its own.
"""

import json
import multiprocessing
import os
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "critical")
warnings.filterwarnings("ignore")

import torch  # noqa: E402  # after the switches above
import transformers  # noqa: E402
from transformers.models.auto.configuration_auto import CONFIG_MAPPING  # noqa: E402
from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES  # noqa: E402

from benchmarks import flow_models  # noqa: E402
from ivdoctor.facts import Flowed  # noqa: E402
from ivdoctor.flow.classes import classes_of  # noqa: E402
from ivdoctor.flow.feeds import said  # noqa: E402
from ivdoctor.flow.miniature_build import smallest  # noqa: E402
from ivdoctor.flow.miniature_cells import Small, cells_run  # noqa: E402
from ivdoctor.flow.world import Stopped, World  # noqa: E402

PATIENCE = 90
"""Seconds for a type."""


def predicted(small: Small) -> tuple[Flowed, ...]:
    """As the flow has it."""
    from ivdoctor.flow.cells import cells_of, flowing

    return cells_of(flowing(small.cls, small.config, World(), small.feed))


def cell(one: Flowed) -> dict[str, Any]:
    """What is compared, and what helps to see why."""
    site = one.location
    return {
        "status": one.status,
        "step": one.step,
        "error": one.error,
        "message": one.message[:200],
        "line": f"{site.file}:{site.line}" if site and site.file else "",
        "module": site.module if site else "",
        "op": site.op if site else "",
    }


def measured(model_type: str, known: dict[str, Any]) -> dict[str, Any]:
    """Everything of one type; the reason where it does not run. What is known of the same class and inputs is not run again."""
    began = time.monotonic()
    maker = CONFIG_MAPPING[model_type]
    try:
        small = smallest(maker.from_dict(flow_models.default(model_type)), classes_of(model_type), began + PATIENCE / 3)
    except Exception as error:  # noqa: BLE001  # it is told
        return {"type": model_type, "failed": f"{type(error).__name__}: {error}"[:400]}
    row: dict[str, Any] = {"type": model_type, "class": small.cls.__name__, "inputs": said(small.feed), "steps": small.steps, "floats": small.floats}
    ready = time.monotonic()
    small.until = began + PATIENCE / 2
    alike = (known.get("class"), known.get("inputs"), tuple(known.get("steps", ()))) == (row["class"], row["inputs"], small.steps)
    row["real"] = known["real"] if alike else {one.case: cell(one) for one in cells_run(small)}
    row["seconds"] = {"ready": round(ready - began, 1), "real": round(time.monotonic() - ready, 1)}
    ready = time.monotonic()
    try:
        row["flow"] = {one.case: cell(one) for one in predicted(small)}
    except (Exception, Stopped) as error:  # noqa: BLE001  # it is told
        row["unforetold"] = f"{type(error).__name__}: {error}"[:400]
    row["seconds"]["flow"] = round(time.monotonic() - ready, 1)
    return row


def child(model_type: str, path: str, known: dict[str, Any]) -> None:
    """In a process of its own."""
    torch.set_num_threads(1)
    row = measured(model_type, known)
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def compared(rows: list[dict[str, Any]]) -> Iterator[str]:
    """The figures, and every cell that is not as foretold."""
    counts: Counter[str] = Counter()
    apart: list[str] = []
    for row in rows:
        counts["types"] += "real" in row
        counts["types foretold"] += "flow" in row
        for case, real in row.get("real", {}).items() if "flow" in row else ():
            flow = row["flow"].get(case)
            if flow is None or "unknown" in (flow["status"], real["status"]):
                counts["cells unknown"] += 1
                apart.append(f"{row['type']} {case} unknown: {flow and flow['message']} | {real['message']}")
                continue
            counts["cells"] += 1
            counts["same outcome"] += flow["status"] == real["status"]
            counts["foretold ok and fails"] += (flow["status"], real["status"]) == ("ran", "raised")
            both = flow["status"] == real["status"] == "raised"
            counts["both raise"] += both
            counts["same line"] += both and (flow["step"], flow["line"]) == (real["step"], real["line"])
            counts["same message"] += both and flow["message"] == real["message"]
            if flow["status"] != real["status"] or (both and (flow["step"], flow["line"]) != (real["step"], real["line"])):
                apart.append(f"{row['type']} {row['class']} {case}\n  flow: {_told(flow)}\n  real: {_told(real)}")
    yield from apart
    yield from (f"{row['type']}: not foretold: {row['unforetold']}" for row in rows if "unforetold" in row)
    yield from (f"{row['type']}: not run: {row['failed']}" for row in rows if "failed" in row)
    yield from (f"{name}: {count}" for name, count in counts.items())
    if counts["cells"]:
        yield f"outcome {counts['same outcome'] / counts['cells']:.2%}, line {counts['same line'] / max(counts['both raise'], 1):.2%}"


def _told(one: dict[str, Any]) -> str:
    return f"{one['status']} {one['step']} {one['line']} {one['module']} {one['op']} {one['error']}: {one['message']}"


def main() -> None:
    """One type after the other."""
    first, *wanted = sys.argv[1:]
    if first == "--show":
        print("\n".join(compared(read(wanted[0]))))
        return
    known = {row["type"]: row for row in read(wanted.pop(0))} if first == "--again" else {}
    path = wanted.pop(0) if first == "--again" else first
    transformers.PreTrainedModel, transformers.GenerationMixin  # noqa: B018  # imported once, for all that are forked
    context = multiprocessing.get_context("fork")
    for model_type in wanted or list(known) or list(MODEL_MAPPING_NAMES):
        process = context.Process(target=child, args=(model_type, path, known.get(model_type, {})))
        process.start()
        process.join(PATIENCE)
        if process.is_alive():
            process.kill()
            process.join()
            print(model_type, "took too long", file=sys.stderr)
    print("\n".join(compared(read(path))))


def read(path: str) -> list[dict[str, Any]]:
    """The rows of a file."""
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


if __name__ == "__main__":
    main()
