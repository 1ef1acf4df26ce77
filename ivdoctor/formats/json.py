"""For machines: the contract `ivdoctor.report/1`, with its schema beside it."""

import json as stdlib

from .. import codec
from ..report import Report
from . import Format


def render(report: Report) -> str:
    """Fields without a value are left out; keys stand in the contract's order."""
    return stdlib.dumps(_lean(codec.plain(report)), indent=1, ensure_ascii=False, allow_nan=False).encode(errors="replace").decode() + "\n"


def _lean(value: object) -> object:
    """Without empty texts, lists and objects, but for those the contract always has."""
    if isinstance(value, dict):
        lean = {key: inner if key == "fact" else _lean(inner) for key, inner in value.items()}  # an empty variable is set
        return {key: inner for key, inner in lean.items() if inner not in ("", [], {}) or key in ALWAYS}
    if isinstance(value, list):
        return [_lean(inner) for inner in value]
    return value


ALWAYS = frozenset({"places", "findings", "subjects", "skipped", "errors", "reason", "message", "fact"})

json = Format(name="json", suffix=".json", render=render)
