"""Shadows behave as tensors of their dtypes would, and never have numbers."""

import contextlib

import pytest

pytest.importorskip("torch")

import torch  # it may not be there

from ivdoctor.flow.shadow import Shadow, like  # it imports torch
from ivdoctor.flow.world import Stopped, World

f, h, b = torch.float32, torch.float16, torch.bfloat16


def shadow(*size: int, dtype: torch.dtype = f) -> Shadow:
    return like(torch.empty(*size, dtype=dtype, device="meta"))


def test_a_weight_of_a_terabyte_takes_no_memory() -> None:
    """Factories of floats give shadows, small or whole numbers are real."""
    with World():
        weight, ids, rates = torch.empty(1 << 20, 1 << 20), torch.arange(5), torch.linspace(0, 1, 5)
    assert isinstance(weight, Shadow)
    assert weight.device.type == "cpu"
    assert ids.tolist() == [0, 1, 2, 3, 4]
    assert rates.tolist()[-1] == 1


def test_a_large_table_of_whole_numbers_is_a_shadow_too() -> None:
    """A mask of a million positions squared is not made."""
    with World():
        assert isinstance(torch.ones(1 << 20, 1 << 20, dtype=torch.bool), Shadow)


@pytest.mark.parametrize(("one", "other"), [(h, b), (f, h), (b, f)])
def test_a_product_of_two_formats_raises_torchs_own_words(one: torch.dtype, other: torch.dtype) -> None:
    """Word for word what tensors raise."""
    with pytest.raises(RuntimeError) as real:
        torch.nn.functional.linear(torch.ones(2, 3, dtype=one), torch.ones(4, 3, dtype=other))
    with World(), pytest.raises(RuntimeError) as ours:
        torch.nn.functional.linear(shadow(2, 3, dtype=one), shadow(4, 3, dtype=other))
    assert str(ours.value) == str(real.value)


def test_index_put_of_another_format_raises() -> None:
    """The write that the meta device lets through in silence."""
    target = shadow(2, 4, dtype=b)
    mask = torch.tensor([[True, False, True, False], [False] * 4])
    with World(), pytest.raises(RuntimeError, match="Index put requires the source and destination dtypes match"):
        target[mask] = shadow(2, dtype=h)
    with World():
        target[mask] = shadow(2, dtype=b)


def test_promotion_is_torchs_own() -> None:
    """A float32 weight makes a bfloat16 stream float32; a number of no dimension does not."""
    with World():
        assert (shadow(2, 3, dtype=b) * shadow(3)).dtype == f
        assert (shadow(2, 3, dtype=b) * torch.tensor(2.0)).dtype == b


def test_autocast_casts_shadows() -> None:
    """The raw switches hold for them as for tensors."""
    with World(), torch.autocast("cpu", torch.bfloat16):
        assert torch.nn.functional.linear(shadow(2, 3), shadow(4, 3, dtype=b)).dtype == b


def test_masks_choose_as_many_as_they_say() -> None:
    """Whole numbers are real, so sizes that hang on them are right."""
    with World():
        chosen = shadow(4, 8)[torch.tensor([True, False, True, True])]
    assert chosen.shape == (3, 8)


def test_numbers_that_are_read_are_plausible() -> None:
    """A mean is a number, nothing is infinite, the best of a row is in it."""
    with World():
        one = shadow(3, 5)
        assert one.mean().item() == 1.0
        assert not torch.isnan(one).any()
        assert torch.topk(one, 2).indices.max() < 5
        assert one.argmax(-1).tolist() == [0, 0, 0]
        assert one[0].tolist() == [1.0] * 5


def test_attention_is_checked_as_torch_does() -> None:
    """Query and key of two formats are refused."""
    q = shadow(1, 2, 4, 8, dtype=h)
    with World(), pytest.raises(RuntimeError, match="same dtype"):
        torch.nn.functional.scaled_dot_product_attention(q, shadow(1, 2, 4, 8, dtype=b), q)


def test_a_value_out_of_range_is_found() -> None:
    """float32's lowest number does not fit float16, and torch says so."""
    with World(), pytest.raises(RuntimeError, match="without overflow"):
        shadow(4, dtype=h).masked_fill(torch.ones(4, dtype=torch.bool), torch.finfo(f).min)


def test_a_shape_that_does_not_fit_is_no_matter_of_dtypes() -> None:
    """It raises in float32 as well, with the words of the operator."""
    with World(), pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        torch.mm(shadow(2, 3), shadow(4, 5))


def test_operators_are_asked_once() -> None:
    """Another size of the same ranks and dtypes is known already."""
    world = World()
    with world:
        torch.mm(shadow(20, 30), shadow(30, 50))
        asked = world.contracts.asked
        torch.mm(shadow(200, 30), shadow(30, 50))
        torch.mm(shadow(20, 30), shadow(30, 50))
    assert asked > 0
    assert world.contracts.asked == asked


def test_it_stops_what_does_not_end() -> None:
    """Neither an `except Exception` nor patience keeps it going."""

    def endless() -> None:
        with World(operators=1000):
            one = shadow(2)
            while True:
                with contextlib.suppress(Exception):  # as a model's code might
                    one.sum().item()

    with pytest.raises(Stopped, match="more operators"):
        endless()


def test_a_shape_changes_in_place() -> None:
    """Whoever holds the tensor sees it."""
    with World():
        one = shadow(1, 3, 1)
        other = one
        one.squeeze_(0)
        one.unsqueeze_(-1)
    assert other.shape == (3, 1, 1)
    assert other.dtype == f


def test_a_shadow_outside_its_world_says_so() -> None:
    """It never gives a wrong number in silence."""
    with pytest.raises(RuntimeError, match="outside its world"):
        shadow(2) + 1
