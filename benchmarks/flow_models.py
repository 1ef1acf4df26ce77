"""
Every type of model that transformers has, from its default configuration: what builds, and what it may be called with.

`python -m benchmarks.flow_models OUT.jsonl [KEY ...]` runs each as a tiny model on the CPU, in float32 with random weights, and writes one JSON object a key.
`@text` and `@vision` stand for all keys without and with pictures. Each key has a process of its own, bounded in time and memory.
"""

import inspect
import itertools
import json
import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Iterator
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "critical")
warnings.filterwarnings("ignore")

import psutil  # noqa: E402  # after the switches above
import torch  # noqa: E402
import transformers.generation  # noqa: E402
import transformers.modeling_utils  # noqa: E402  # once, before the processes are forked
from transformers.models.auto import modeling_auto  # noqa: E402
from transformers.models.auto.configuration_auto import CONFIG_MAPPING  # noqa: E402

from benchmarks.flow_repairs import REPAIRS  # noqa: E402
from benchmarks.flow_repairs_vision import REPAIRS as PICTURED  # noqa: E402
from ivdoctor.flow.classes import classes_of  # noqa: E402
from ivdoctor.flow.feeds import SIGHTS, decode_step, first_feed, said  # noqa: E402
from ivdoctor.flow.shrink import LEVELS, shrunk  # noqa: E402

LARGEST = 450_000_000
"""Parameters of a model that is really built."""

CLASSES = 3
"""Of a key that are tried."""

PATIENCE = 60
"""Seconds for a key."""

MEMORY = 3 * 1024**3
"""Bytes for a key."""


class Unavailable(LookupError):
    """There is nothing to run."""


def keys(group: str = "") -> list[str]:
    """All, or those of `text` (no class takes a picture) or `vision`."""
    every = list(modeling_auto.MODEL_MAPPING_NAMES)
    return [key for key in every if not group or (group == "vision") == sees(key)]


def sees(key: str) -> bool:
    """Whether one of its classes takes pictures or videos."""
    return any(name.startswith(SIGHTS) for cls in classes_of(key) for name in inspect.signature(cls.forward).parameters)  # type: ignore[attr-defined]


def default(key: str) -> dict[str, Any]:
    """
    Its default configuration, repaired.

    Raises:
        Unavailable: there is none, with the reason.
    """
    try:
        plain: dict[str, Any] = CONFIG_MAPPING[key]().to_dict()
    except Exception as error:
        raise Unavailable(f"its default configuration cannot be made: {type(error).__name__}: {str(error)[:200]}") from error
    more = {**REPAIRS, **PICTURED}.get(key, ({}, ""))[0]
    whole: dict[str, Any] = (
        CONFIG_MAPPING[key].from_dict(_merged(plain, more)).to_dict() if more else plain
    )  # a part that was put in says all of itself
    return whole


def _merged(config: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """With the values of `more` in it, level by level; a part that names its own type replaces what was there."""
    found = dict(config)
    for key, value in more.items():
        inner = isinstance(value, dict) and "model_type" not in value and isinstance(found.get(key), dict)
        found[key] = _merged(found[key], value) if inner else value
    return found


def configured(key: str, level: str = "", place: int = 0) -> tuple[Any, Any]:
    """
    Class and configuration: the default one repaired, and made small where a level is named.

    Args:
        place: of the class among those the key has, the likeliest first.

    Raises:
        Unavailable: there is none, with the reason.
    """
    plain = default(key)
    found = classes_of(key)
    if place >= len(found):
        raise Unavailable("it has no other class" if found else missing(key))
    return found[place], CONFIG_MAPPING[key].from_dict(shrunk(plain, level) if level else plain)


def missing(key: str) -> str:
    """Why none of its classes can be run."""
    names = modeling_auto.MODEL_MAPPING_NAMES[key]
    found = []
    for name in [names] if isinstance(names, str) else names:
        cls = getattr(transformers, name, None)
        wants = " and ".join(getattr(cls, "_backends", ()))
        said = f"wants {wants}" if wants else "has no forward pass of its own" if cls else "is in transformers' table and not in transformers"
        found.append(f"{name} {said}")
    return ", ".join(found)


def built(key: str, reasons: list[str]) -> Iterator[tuple[Any, Any, str]]:
    """Model, configuration and level, each class from the smallest that its family's invariants may allow."""
    for place, level in itertools.product(range(min(CLASSES, len(classes_of(key))) or 1), LEVELS):
        name = ""
        try:
            cls, config = configured(key, level, place)
            name = cls.__name__
            with torch.device("meta"):
                size = sum(one.numel() for one in cls(config).parameters())
            if size > LARGEST:
                reasons.append(f"{name} {level}: {size} parameters")
                continue
            torch.manual_seed(0)
            model = cls(config).eval()
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001  # the next one
            reasons.append(f"{name} {level}: not built: {type(error).__name__}: {' '.join(str(error).split())[:200]}")
            continue
        yield model, config, level


def measured(key: str) -> dict[str, Any]:
    """The first class and level that run; the reasons where none does."""
    reasons: list[str] = []
    began = time.perf_counter()
    try:
        for model, config, level in built(key, reasons):

            def attempt(feed: dict[str, Any], model: Any = model) -> None:
                with torch.no_grad():
                    model(**feed)

            name = type(model).__name__
            try:
                feed, refused = first_feed(model, config, attempt)
            except LookupError as error:
                reasons += [f"{name} {level}: {one}" for one in error.args]
                continue
            row = {"key": key, "class": name, "level": level, "feed": said(feed), "ok": True, "place": len(refused), "refused": refused[:4]}
            row |= {"parameters": sum(one.numel() for one in model.parameters()), "decode": decoded(model, config, feed), "before": reasons[:6]}
            return row | {"seconds": round(time.perf_counter() - began, 2)}
    except Unavailable as error:
        reasons.append(str(error))
    return {"key": key, "ok": False, "reasons": [*reasons[:10], *reasons[10:][-6:]], "seconds": round(time.perf_counter() - began, 2)}


def decoded(model: Any, config: Any, feed: dict[str, Any]) -> str:
    """Whether one more token runs with the cache."""
    try:
        with torch.no_grad():
            more = decode_step(model, config, feed, model(**feed))
            if more is None:
                return "no cache"
            model(**more)
    except Exception as error:  # noqa: BLE001  # it is told
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return "ran"


def child(key: str, pipe: Any) -> None:
    """In a process of its own."""
    torch.set_num_threads(1)
    try:
        pipe.send(measured(key))
    except Exception as error:  # noqa: BLE001  # it is told
        pipe.send({"key": key, "ok": False, "reasons": [f"{type(error).__name__}: {str(error)[:200]}"]})


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
            if ours.poll(0.1):
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


def main() -> None:
    """One key after the other."""
    path, *wanted = sys.argv[1:]
    chosen = [key for one in wanted or [""] for key in (keys(one.removeprefix("@")) if one.startswith("@") or not one else [one])]
    with open(path, "w", encoding="utf-8") as file:
        for key in chosen:
            row = alone(key)
            file.write(json.dumps(row) + "\n")
            file.flush()
            if not row["ok"]:
                print(key, *row["reasons"][-2:], file=sys.stderr)


if __name__ == "__main__":
    main()
