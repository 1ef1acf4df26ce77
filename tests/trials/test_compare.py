"""Two outputs compared: numpy's figures in float64, NaN and Inf counted apart, and the tensor found in whatever wraps it."""

import math
from collections import OrderedDict
from typing import Any

import pytest

torch = pytest.importorskip("torch")
np = pytest.importorskip("numpy")

from ivdoctor.trials.compare import compared, distance, floating, main_output  # noqa: E402  # torch first

INF, NAN = math.inf, math.nan


def pair(*shape: int, dtype: Any = torch.bfloat16, scale: float = 3.0) -> tuple[Any, Any]:
    """A baseline, and what a low format leaves of it."""
    torch.manual_seed(11)
    baseline = torch.randn(*shape) * scale
    return baseline.to(dtype), baseline


def arrays(*tensors: Any) -> list[Any]:
    return [tensor.to(torch.float64).numpy() for tensor in tensors]


def softmax(logits: Any) -> Any:
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_figures_are_numpys_in_float64(dtype: Any) -> None:
    """Over the whole output, whatever its shape."""
    output, baseline = pair(3, 5, 40, dtype=dtype)
    mine, other = (one.ravel() for one in arrays(output, baseline))

    found = compared(output, baseline, logits=False)

    assert found.relative_l2 == pytest.approx(math.sqrt(((mine - other) ** 2).sum() / (other**2).sum()), rel=1e-12)
    assert found.max_abs == max(abs(one - two) for one, two in zip(mine, other, strict=True))
    assert found.cosine == pytest.approx(mine @ other / math.sqrt((mine @ mine) * (other @ other)), rel=1e-12)
    assert (found.top1, found.kl, found.nonfinite) == (None, None, 0)


def test_top1_and_kl_are_those_of_the_distributions() -> None:
    """Numpy's softmax, position by position; the noise is large enough that some choices differ."""
    torch.manual_seed(3)
    baseline = torch.randn(4, 25, 8)
    output = baseline + 0.4 * torch.randn(4, 25, 8)
    mine, other = map(softmax, arrays(output, baseline))

    found = compared(output, baseline, logits=True)

    assert found.top1 == (mine.argmax(-1) == other.argmax(-1)).mean()
    assert found.top1 not in (0, 1)
    assert found.kl == pytest.approx((other * np.log(other / mine)).sum(-1).mean(), rel=1e-9)


def test_padding_is_left_out_of_top1_and_kl() -> None:
    """The positions whose mask is 0 may say what they like; the distance is still of the whole output."""
    baseline = torch.tensor([[[4.0, 0.0], [4.0, 0.0], [4.0, 0.0]]])
    output = torch.tensor([[[4.0, 0.0], [0.0, 4.0], [0.0, 4.0]]])
    mine, other = map(softmax, arrays(output[0], baseline[0]))
    by_position = (other * np.log(other / mine)).sum(-1)

    whole = compared(output, baseline, logits=True)
    first_two = compared(output, baseline, logits=True, mask=torch.tensor([[1, 1, 0]]))

    assert [whole.top1, first_two.top1] == pytest.approx([1 / 3, 1 / 2])
    assert [whole.kl, first_two.kl] == pytest.approx([by_position.mean(), by_position[:2].mean()])
    assert whole.relative_l2 == first_two.relative_l2


@pytest.mark.parametrize("mask", [torch.ones(1, 7), torch.zeros(1, 2), torch.ones(2)])
def test_a_mask_of_other_positions_is_no_mask(mask: Any) -> None:
    """An encoder's says nothing of the decoder's positions, and one of zeros alone nothing at all."""
    output, baseline = pair(1, 2, 9)

    assert compared(output, baseline, logits=True, mask=mask) == compared(output, baseline, logits=True)


def test_equal_outputs_are_equal() -> None:
    """Exactly, and not to within a rounding of the cosine or the divergence."""
    _, baseline = pair(2, 3, 50)

    found = compared(baseline, baseline, logits=True)

    assert (found.relative_l2, found.max_abs, found.top1, found.kl, found.nonfinite) == (0.0, 0.0, 1.0, 0.0, 0)
    assert found.cosine == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("planted", "count"), [([NAN], 1), ([INF, -INF], 2), ([NAN, INF, NAN], 3)])
def test_what_is_not_finite_is_counted_and_nothing_else_is_claimed(planted: list[float], count: int) -> None:
    """No distance, and no share of right choices, for a NaN is chosen by argmax."""
    output, baseline = pair(2, 4, 10, dtype=torch.float16)
    output.view(-1)[5 : 5 + len(planted)] = torch.tensor(planted)

    found = compared(output, baseline, logits=True)

    assert (found.nonfinite, found.relative_l2, found.max_abs, found.cosine, found.top1, found.kl) == (count, -1, -1, 0, None, None)


def test_positions_that_the_baseline_masks_are_no_fault() -> None:
    """Minus infinity where the baseline has it: neither counted, nor part of any figure."""
    output, baseline = pair(2, 4, 10)
    finite = compared(output[..., 3:], baseline[..., 3:], logits=False)
    for one in (output, baseline):
        one[..., :3] = -INF

    found = compared(output, baseline, logits=False)

    assert found.nonfinite == 0
    assert [found.relative_l2, found.max_abs, found.cosine] == pytest.approx([finite.relative_l2, finite.max_abs, finite.cosine])


@pytest.mark.parametrize("there", [-INF, -65504.0])
def test_a_choice_that_the_baseline_forbids_is_never_the_first(there: float) -> None:
    """A logit of minus infinity has the probability 0, also where every other logit is below 0."""
    baseline = torch.tensor([[-INF, -5.0, -6.0], [-INF, -6.0, -5.0]])
    output = torch.tensor([[there, -6.0, -5.0], [there, -6.5, -5.0]])
    mine, other = map(softmax, arrays(output[:, 1:], baseline[:, 1:]))

    found = compared(output, baseline, logits=True)

    assert found.top1 == 0.5
    assert found.kl == pytest.approx((other * np.log(other / mine)).sum(-1).mean(), rel=1e-9)


def test_a_baseline_of_zeros() -> None:
    """Zeros again are equal; anything else is at no measurable distance, and points nowhere near."""
    nothing, something = torch.zeros(2, 5), torch.full((2, 5), 0.5)

    same, other = compared(nothing, nothing, logits=False), compared(something, nothing, logits=False)

    assert (same.relative_l2, same.max_abs, same.cosine) == (0, 0, 1)
    assert (other.max_abs, other.cosine, other.nonfinite) == (0.5, 0, 0)
    assert 1 < other.relative_l2 < INF, "a report is JSON, which has no infinity"


@pytest.mark.parametrize("logits", [True, False])
@pytest.mark.parametrize("shape", [(0,), (2, 0, 5), (2, 0)])
def test_an_empty_output_is_equal_to_itself(shape: tuple[int, ...], logits: bool) -> None:
    """There is nothing to be wrong, and no position to choose at."""
    found = compared(torch.zeros(shape), torch.zeros(shape), logits=logits)

    assert (found.relative_l2, found.max_abs, found.top1, found.kl, found.nonfinite) == (0, 0, None, None, 0)


@pytest.mark.parametrize("shape", [(), (1,), (6, 1)])
def test_one_number_is_no_choice(shape: tuple[int, ...]) -> None:
    """A regression's output is called logits too."""
    found = compared(torch.ones(shape), torch.ones(shape), logits=True)

    assert (found.top1, found.kl) == (None, None)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_distance_is_the_relative_l2_of_a_plain_script(dtype: Any) -> None:
    """In fp32."""
    output, baseline = pair(7, 33, dtype=dtype)
    mine, other = arrays(output, baseline)

    assert distance(output, baseline) == pytest.approx(np.linalg.norm(mine - other) / np.linalg.norm(other), rel=1e-5)


def test_distance_of_large_values_does_not_overflow() -> None:
    """The square of 1e30 is beyond fp32."""
    baseline = torch.tensor([1e30, -2e30, 2e30])

    assert distance(baseline * 1.5, baseline) == pytest.approx(0.5, rel=1e-6)


@pytest.mark.parametrize("planted", [NAN, INF, -INF])
def test_distance_says_what_is_not_finite(planted: float) -> None:
    """By -1; not where the baseline is not finite itself, for a mask is no fault."""
    baseline = torch.tensor([1.0, 2.0, 2.0])
    broken = torch.tensor([1.0, planted, 2.0])
    masked = torch.tensor([1.0, -INF, 2.0])

    assert distance(broken, baseline) == -1
    assert distance(broken, masked) == 0
    assert distance(torch.tensor([2.0, planted, 2.0]), masked) == pytest.approx(1 / math.sqrt(5))


F, I = torch.ones(2, 3), torch.ones(2, dtype=torch.int64)  # noqa: E741  # a floating tensor and one of integers


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (F, True),
        (I, False),
        (None, False),
        ("text", False),
        (3.5, False),
        ((), False),
        ({}, False),
        ((None, I, F), True),
        ([[], [I, [F]]], True),
        ({"ids": I, "deep": {"hidden": (None, F)}}, True),
        ((None, [I], {"x": None}), False),
    ],
)
def test_the_floating_tensor_is_found_in_whatever_wraps_it(value: Any, found: bool) -> None:
    assert floating(value) is (F if found else None)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (OrderedDict(loss=torch.tensor(0.1), last_hidden_state=torch.zeros(1), logits=F), "logits"),
        (OrderedDict(pooler_output=torch.zeros(1), last_hidden_state=F), "last_hidden_state"),
        ({"ids": I, "embeddings": F}, "embeddings"),
        ({"past": (I, (None, F))}, "past"),
        (F, "output"),
        ((I, F), "output"),
        ([F], "output"),
    ],
)
def test_the_main_output_is_named(value: Any, name: str) -> None:
    """Logits before a hidden state before the first there is."""
    assert main_output(value) == (name, F)


@pytest.mark.parametrize("value", [None, I, (), {}, {"ids": I}, (None, I), "text", {"logits": None}])
def test_what_holds_no_floating_tensor_has_no_main_output(value: Any) -> None:
    assert main_output(value) is None


def test_logits_that_are_no_floating_numbers_are_passed_over() -> None:
    """Some models answer with the classes themselves under that name."""
    assert main_output({"logits": I, "last_hidden_state": F}) == ("last_hidden_state", F)


def test_a_model_output_of_transformers_is_taken_apart(library: Any) -> None:
    """It is a dictionary that leaves out what is None."""
    found = main_output(library.modeling_outputs.CausalLMOutputWithPast(loss=None, logits=F, past_key_values=None))

    assert found == ("logits", F)
