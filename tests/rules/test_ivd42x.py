"""IVD420 and IVD421: the other cells of a dtype flow, and what it cannot show."""

import pytest

from ivdoctor.facts import Asked
from ivdoctor.finding import Severity
from ivdoctor.rules.ivd42x import other_cells_raise, range_is_not_shown
from ivdoctor.testing import a_cast, a_flow, a_miniature, a_model, a_place, findings, some_packages

CPU = a_place()
NEW = some_packages({"transformers": "5.23.0"})
BF16, FP16 = Asked(dtype="bf16"), Asked(dtype="fp16")
CLASH = "RuntimeError: Input type (float) and bias type (c10::Half) should be the same"


def test_ivd420_fires_once_for_all_other_cells_with_agreeing_dtypes_first() -> None:
    """One note, each cell with its line."""
    flow = a_flow({"fp32/bf16": CLASH, "fp16/fp32": CLASH, "fp16/fp16": "RuntimeError: no kernel", "bf16/fp32": CLASH})
    (found,) = findings(other_cells_raise, flow, a_model(), NEW, BF16)
    assert found.severity is Severity.NOTE
    assert found.message == "raises in other combinations of model and input dtype too: fp16/fp16, fp32/bf16, fp16/fp32"
    assert found.evidence[0] == "fp16/fp16: modeling_internvl.py:291: RuntimeError: no kernel"


def test_ivd420_fires_by_the_models_format_alone_where_no_input_floats() -> None:
    """The three columns are one."""
    flow = a_flow(dict.fromkeys(("fp16/fp32", "fp16/fp16", "fp16/bf16"), CLASH), floats=False)
    assert findings(other_cells_raise, flow, a_model(), NEW, BF16)[0].message == "raises in other dtypes too: fp16"


def test_ivd420_silent_where_all_others_run_or_the_model_itself_was_run() -> None:
    """What is judged is IVD410's."""
    assert findings(other_cells_raise, a_flow({"bf16/fp32": CLASH, "bf16/bf16": CLASH}), a_model(), NEW, BF16) == []
    assert findings(other_cells_raise, a_flow({"fp16/fp32": CLASH}), a_model(), NEW, BF16, a_cast()) == []


@pytest.mark.parametrize("miniature", [(), (a_miniature(),)])
def test_ivd421_fires_where_float16_runs_without_numbers(miniature: tuple[object, ...]) -> None:
    """A flow shows dtypes, never a range."""
    (found,) = findings(range_is_not_shown, a_flow(), a_model(dtype="float16"), NEW, CPU, FP16, *miniature)
    assert found.severity is Severity.NOTE
    assert "65504" in found.message


def test_ivd421_silent_where_another_rule_says_it_or_it_is_no_float16() -> None:
    """IVD605 of a model made in bfloat16; what was run has numbers; what raises has none."""
    assert findings(range_is_not_shown, a_flow(), a_model(dtype="bfloat16"), NEW, CPU, FP16) == []
    assert findings(range_is_not_shown, a_flow(), a_model(dtype="float16"), NEW, CPU, BF16) == []
    assert findings(range_is_not_shown, a_flow(), a_model(dtype="float16"), NEW, CPU, FP16, a_cast()) == []
    assert findings(range_is_not_shown, a_flow({"fp16/fp32": CLASH}), a_model(dtype="float16"), NEW, CPU, FP16) == []
