"""The JSON Schema of the report, made from the dataclasses; `python -m ivdoctor.schema` writes it."""

from pathlib import Path
from typing import Any

from .formats.json import ALWAYS
from .report import SCHEMA, Report

PATH = Path(__file__).with_name("schemas") / "report-v1.json"

SCALARS = frozenset({"boolean", "integer", "number"})
"""Types without an empty value."""

NAMES = frozenset({"code", "command", "label", "name", "tables", "version"})
"""Texts that are never empty where a dataclass asks for them."""


def schema() -> dict[str, Any]:
    """What `formats/json.py` emits: there is no null in it, and a field may be required only where it is never left out."""
    import msgspec

    made = msgspec.json.schema(Report)
    kinds = {name: _lean(kind, made["$defs"]) for name, kind in made["$defs"].items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": SCHEMA,
        "description": "The report of ivdoctor. A field without a value is left out. Fields may be added within version 1.",
        "$ref": made["$ref"],
        "$defs": kinds,
    }


def dump() -> str:
    """The file's text, stable to the byte."""
    import json

    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def _lean(kind: dict[str, Any], kinds: dict[str, Any]) -> dict[str, Any]:
    kind = {key: value for key, value in kind.items() if key != "title"}
    if "properties" not in kind:
        return kind
    required = _required(kind, kinds)
    return kind | {"properties": {name: _without_null(field) for name, field in kind["properties"].items()}, "required": required}


def _required(kind: dict[str, Any], kinds: dict[str, Any]) -> list[str]:
    fields = kind.get("properties", {}).items()
    return [name for name, field in fields if name in ALWAYS or (name in NAMES and name in kind["required"]) or _never_empty(field, kinds)]


def _without_null(field: dict[str, Any]) -> dict[str, Any]:
    """The field as it is where it has a value."""
    options: list[dict[str, Any]] = [option for option in field.get("anyOf", ()) if option != {"type": "null"}]
    if "default" in field and field["default"] is None:
        field = {key: value for key, value in field.items() if key != "default"}
    if len(options) == 1:
        return {key: value for key, value in field.items() if key != "anyOf"} | options[0]
    return field


def _never_empty(field: dict[str, Any], kinds: dict[str, Any]) -> bool:
    """Whether a value of this kind is never left out; an object is, when all its fields are."""
    if "$ref" in field:
        kind = kinds[field["$ref"].rpartition("/")[2]]
        return "enum" in kind or bool(_required(kind, kinds))
    return field.get("type") in SCALARS or ("enum" in field and None not in field["enum"])


if __name__ == "__main__":
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(dump(), encoding="utf-8")
