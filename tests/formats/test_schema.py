"""The contract's schema is the dataclasses', and the JSON keeps to it."""

import json
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest

from ivdoctor.formats.json import json as json_format
from ivdoctor.report import Report
from ivdoctor.schema import PATH, dump, schema


def test_checked_in_file_is_fresh() -> None:
    """schemas/report-v1.json is what `python -m ivdoctor.schema` writes."""
    assert PATH.read_text(encoding="utf-8") == dump()


def test_is_a_schema() -> None:
    """The schema keeps to its own draft."""
    jsonschema.Draft202012Validator.check_schema(schema())


def test_json_keeps_to_the_contract(report: Report) -> None:
    """Every field emitted is in the schema, with its type, and every field required is emitted."""
    jsonschema.Draft202012Validator(_closed(schema())).validate(json.loads(json_format.render(report)))


def test_schema_has_no_null() -> None:
    """A field without a value is left out, so null is nowhere allowed."""
    assert "null" not in dump()


@pytest.mark.parametrize(
    ("field", "value"),
    [("verdict", "maybe"), ("schema", "ivdoctor.report/2"), ("exit_code", "1"), ("findings", [{"code": "IVD401"}]), ("places", None)],
)
def test_schema_refuses(clash: Report, field: str, value: object) -> None:
    """A report with one field wrong is refused."""
    raw = json.loads(json_format.render(clash)) | {field: value}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(raw, schema())


def _closed(made: dict[str, Any]) -> dict[str, Any]:
    """The same with no field allowed that it does not name; readers must allow them, this test must not."""
    kinds = {name: kind | {"additionalProperties": False} if "properties" in kind else kind for name, kind in made["$defs"].items()}
    return made | {"$defs": kinds}
