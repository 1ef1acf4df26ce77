"""How slow a format is on this machine, and what an exception says."""

import pytest

pytest.importorskip("torch")

from ivdoctor.trials.subject import said, slowness


def test_slowness_is_a_ratio_of_real_products() -> None:
    """On the CPU it is measured; an accelerator is not asked."""
    assert all(0 < slowness("cpu", dtype) < 1e5 for dtype in ("bf16", "fp16"))
    assert slowness("cuda:0", "bf16") == 1


def test_an_exception_is_one_line_without_the_way_to_a_file() -> None:
    """A model may open what it likes; where its owner keeps it is not told."""
    assert said(FileNotFoundError("/srv/people/jane/vocab.txt is gone\nand so on")) == "FileNotFoundError: vocab.txt is gone"
