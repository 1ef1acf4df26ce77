"""Language models that were run in a format: what the table says, and that it is what a run says."""

import pytest

from ivdoctor.facts import HALVES
from ivdoctor.tables import table
from ivdoctor.text_runs import ran_with


@pytest.mark.parametrize("model_type", ["llama", "mistral", "qwen3", "gemma2", "t5", "bert"])
def test_the_everyday_ones_ran_in_every_format(model_type: str) -> None:
    """With the release that was measured."""
    assert {ran_with(model_type, dtype) for dtype in HALVES} == {"5.23.0"}


def test_of_others_nothing_is_said() -> None:
    """A type that was not measured, and one that is none."""
    assert ran_with("internvl_chat", "bf16") == ran_with("", "bf16") == ""


def test_a_row_says_ran_or_what_was_raised() -> None:
    """In each format."""
    for row in table("text_runs"):
        for dtype in HALVES:
            assert row[dtype] == "ran" or ": " in row[dtype], row
            assert ran_with(row["model_type"], dtype) == (row["transformers"] if row[dtype] == "ran" else "")


def test_a_run_says_the_same() -> None:
    """A tiny llama, in the three formats, as the script does it."""
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    if not transformers.__version__.startswith("5.23."):
        pytest.skip("another transformers than was measured")
    from benchmarks.text_runs import measured

    row = measured("llama")
    (kept,) = (one for one in table("text_runs") if one["model_type"] == "llama")
    assert {dtype: row[dtype] for dtype in HALVES} == {dtype: kept[dtype] for dtype in HALVES}
