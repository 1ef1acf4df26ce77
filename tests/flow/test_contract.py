"""Contracts are the operator's own answer on small tensors."""

import pytest

pytest.importorskip("torch")

import torch  # it may not be there

from ivdoctor.flow.contract import Contracts  # it imports torch
from ivdoctor.flow.shadow import like

aten = torch.ops.aten


def meta(*size: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return like(torch.empty(*size, dtype=dtype, device="meta"))


def test_the_answer_gives_the_dtypes_of_the_result() -> None:
    """Of all of them, in order."""
    found = Contracts().answer(aten.topk.default, (meta(4000, 5000, dtype=torch.bfloat16), 3), {})
    assert found.dtypes == (torch.bfloat16, torch.int64)
    assert found.proven


def test_a_failure_of_dtypes_is_told_from_one_of_shapes() -> None:
    """What fails in float32 too is not for a contract to say."""
    contracts = Contracts()
    assert contracts.answer(aten.mm.default, (meta(2, 3), meta(3, 4, dtype=torch.float16)), {}).error is not None
    shapes = contracts.answer(aten.mm.default, (meta(20, 30), meta(40, 50)), {})
    assert shapes.error is None
    assert not shapes.proven


def test_an_index_that_floats_is_a_failure_of_dtypes() -> None:
    """It runs with whole numbers in its place."""
    found = Contracts().answer(aten.index_select.default, (meta(4, 3), 0, meta(2)), {})
    assert isinstance(found.error, RuntimeError)


def test_it_takes_no_time_for_large_tensors() -> None:
    """Stand-ins are small: these would be a terabyte."""
    found = Contracts().answer(aten.bmm.default, (meta(64, 1 << 17, 1 << 17), meta(64, 1 << 17, 128)), {})
    assert found.proven
