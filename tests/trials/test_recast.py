"""A cast that can be taken back: what a deep copy's `.to(dtype)` gives, and afterwards the same bits as before."""

import copy
import gc
from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402  # torch first

from ivdoctor.trials.recast import recast  # noqa: E402

DTYPES = [torch.bfloat16, torch.float16, torch.float32, torch.float64]


class Mixed(nn.Module):
    """Parameters and buffers of several dtypes, a tied pair, a buffer that no checkpoint holds, and a part named twice."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.embed, self.head = nn.Embedding(9, 4), nn.Linear(4, 9, bias=False)
        self.head.weight = self.embed.weight
        self.narrow = nn.Linear(4, 4).half()
        self.norm, self.again = nn.BatchNorm1d(4), self.narrow
        self.register_buffer("ids", torch.arange(5))
        self.register_buffer("table", torch.randn(3, 7), persistent=False)
        self.register_buffer("flags", torch.tensor([True, False]))
        self.register_buffer("nothing", None)
        self.empty = nn.Parameter(torch.empty(0))


def tensors(model: nn.Module) -> dict[str, Tensor]:
    """Under every name."""
    return {**dict(model.named_parameters(remove_duplicate=False)), **dict(model.named_buffers(remove_duplicate=False))}


def bits(tensor: Tensor) -> tuple[Any, tuple[int, ...], bytes]:
    """Everything that two equal tensors have in common, NaN included."""
    data = tensor.detach().contiguous()
    return data.dtype, tuple(data.shape), data.reshape(-1).view(torch.uint8).numpy().tobytes() if data.numel() else b""


def size(model: nn.Module) -> int:
    """Bytes of the parameters and buffers, each counted once."""
    return sum(one.numel() * one.element_size() for one in {id(one): one for one in tensors(model).values()}.values())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["bert", "llama", "deepseek", "mixed"])
def test_it_is_what_to_would_have_made_of_a_copy(name: str, dtype: Any, request: pytest.FixtureRequest) -> None:
    """Every parameter and buffer, under every name: dtype and bits; and afterwards each is the very same as before."""
    model = Mixed() if name == "mixed" else request.getfixturevalue("made")(name)
    expected = copy.deepcopy(model).to(dtype)
    before = {name: (id(one), one.data_ptr(), bits(one)) for name, one in tensors(model).items()}

    with recast(model, dtype, "cpu") as bytes_taken:
        assert {name: bits(one) for name, one in tensors(model).items()} == {name: bits(one) for name, one in tensors(expected).items()}
        assert bytes_taken == size(expected)

    assert {name: (id(one), one.data_ptr(), bits(one)) for name, one in tensors(model).items()} == before


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_it_is_taken_back_when_the_body_raises(error: type[BaseException]) -> None:
    """Whatever it raised, which comes out unchanged."""
    model = Mixed()
    before = {name: bits(one) for name, one in tensors(model).items()}

    def body() -> None:
        model.norm.running_mean.add_(1)  # type: ignore[union-attr]  # it has one
        raise error("planted")

    with pytest.raises(error, match="planted"), recast(model, torch.float16, "cpu"):
        body()

    assert {name: bits(one) for name, one in tensors(model).items()} == before


def test_it_is_taken_back_when_the_cast_itself_fails() -> None:
    """As on a device that is not there, or whose memory ends in the middle."""
    model = Mixed()
    before = {name: bits(one) for name, one in tensors(model).items()}

    with pytest.raises(RuntimeError), recast(model, torch.float16, "no such device"):
        raise AssertionError("unreachable")

    assert {name: bits(one) for name, one in tensors(model).items()} == before


def test_tied_weights_stay_tied() -> None:
    """One tensor under both names, before, during and after; a change to one is a change to the other."""
    model = Mixed()

    with recast(model, torch.bfloat16, "cpu"):
        assert model.head.weight is model.embed.weight
        assert model.head.weight.data_ptr() == model.embed.weight.data_ptr()
        assert model.head.weight.dtype == torch.bfloat16
    assert model.head.weight is model.embed.weight


def test_tied_weights_of_a_real_model_stay_tied(made: Callable[[str], Any]) -> None:
    model = made("llama")

    with recast(model, torch.float16, "cpu") as taken:
        assert model.lm_head.weight.data_ptr() == model.model.embed_tokens.weight.data_ptr()
    assert taken == size(copy.deepcopy(model).to(torch.float16))


def test_without_a_dtype_everything_is_moved_and_nothing_cast() -> None:
    """A baseline is the model as it was loaded."""
    model = Mixed()
    before = {name: one.dtype for name, one in tensors(model).items()}

    with recast(model, None, "cpu") as taken:
        assert {name: one.dtype for name, one in tensors(model).items()} == before
        assert taken == size(model)


@pytest.mark.filterwarnings("ignore:Casting complex values to real:UserWarning")
def test_complex_buffers_go_the_way_of_to() -> None:
    """Rotary tables kept as complex numbers lose their imaginary part, and torch warns of it once."""
    model: Any = nn.Linear(2, 2)
    model.register_buffer("turns", torch.polar(torch.ones(3), torch.arange(3.0)))
    expected = copy.deepcopy(model).to(torch.bfloat16)
    before = bits(torch.view_as_real(model.turns))

    with recast(model, torch.bfloat16, "cpu"):
        assert bits(model.turns) == bits(expected.turns)

    assert bits(torch.view_as_real(model.turns)) == before


def test_there_is_one_copy_more_and_never_two() -> None:
    """All memory that tensors hold, looked up with the collector: the weights, and what the cast says it takes."""
    model = nn.Sequential(*(nn.Linear(64, 64) for _ in range(8)))

    def held() -> int:
        gc.collect()
        found = [one for one in gc.get_objects() if issubclass(type(one), Tensor) and one.device.type == "cpu"]
        return sum({one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in found}.values())

    before = held()
    with recast(model, torch.bfloat16, "cpu") as taken:
        assert held() - before == taken == size(model)
        assert taken == 8 * (64 * 64 + 64) * 2
    with recast(model, torch.float32, "cpu"):
        assert held() == before, "the same dtype needs no copy"
    assert held() == before
