"""The inventory, run for real."""

import pytest

pytest.importorskip("torch")

import torch  # it may not be there

from ivdoctor.facts import Flow, Pair  # torch may not be there
from ivdoctor.flow.replay import read, replay_of, written

aten = torch.ops.aten
CUDA = pytest.param("cuda:0", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"))


def pair(func: object, *args: object, **kwargs: object) -> Pair:
    dtypes = tuple(str(one.dtype).removeprefix("torch.") for one in args if isinstance(one, torch.Tensor))
    return Pair(op=str(func), dtypes=dtypes, count=1, modules=("layer",), example=written(func, args, kwargs))


def meta(*size: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.empty(*size, dtype=dtype, device="meta")


@pytest.mark.parametrize("device", ["cpu", CUDA])
def test_what_the_device_lacks_is_found(device: str) -> None:
    """A determinant in bfloat16 has no kernel; a product has one."""
    pairs = (
        pair(aten.mm.default, meta(4096, 4096, dtype=torch.bfloat16), meta(4096, 4096, dtype=torch.bfloat16)),
        pair(aten.linalg_inv_ex.default, meta(4, 4, dtype=torch.bfloat16)),
    )
    found = replay_of(Flow(model="m", architecture="M", library="l", inputs="", pairs=pairs, paired="loaded:bf16/fp32"), device)
    assert [one.status for one in found.pairs] == ["ran", "raised"]
    assert "BFloat16" in found.pairs[1].message
    assert found.pairs[1].modules == ("layer",)
    assert found.paired == "loaded:bf16/fp32"


def test_a_call_is_read_as_it_was_written() -> None:
    """Shapes, strides, dtypes, and the arguments that are no tensors."""
    weight = meta(3, 4, dtype=torch.float16).t()
    text = written(aten.sum.dim_IntList, (weight, [1], True), {"dtype": torch.float32})
    func, args, kwargs = read(text)
    assert func is aten.sum.dim_IntList
    assert (args[0].shape, args[0].stride(), args[0].dtype) == (weight.shape, weight.stride(), weight.dtype)
    assert args[1:] == [[1], True]
    assert kwargs == {"dtype": torch.float32}


@pytest.mark.parametrize("example", ["", '{"f": "aten.gone_since.default", "a": [], "k": {}}', "no json"])
def test_what_cannot_be_read_is_unknown(example: str) -> None:
    """Never a pass."""
    one = Pair(op="aten.x", dtypes=(), count=1, modules=(), example=example)
    found = replay_of(Flow(model="m", architecture="M", library="l", inputs="", pairs=(one,)), "cpu")
    assert found.pairs[0].status == "unknown"
    assert found.pairs[0].message
