"""One attempt: what ran, what raised, what was lost."""

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402  # torch first

from ivdoctor.probe import DeviceFault  # noqa: E402
from ivdoctor.trials.miniature import Miniature, build  # noqa: E402
from ivdoctor.trials.run import attempt  # noqa: E402


class Raising(nn.Module):
    """A layer that raises what it was given."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def forward(self, _: Tensor) -> Tensor:
        raise self.error


def patient() -> tuple[Miniature, Tensor, Tensor, Tensor]:
    model, pixels, ids = build("cpu")
    with torch.no_grad():
        return model, pixels, ids, model(pixels, ids).double()


def sick(error: Exception) -> Any:
    """A miniature whose language model raises, run once."""
    model, pixels, ids, expected = patient()
    model.lm.layers[0] = Raising(error)
    return attempt(model, pixels, ids, expected)


@pytest.mark.parametrize(
    "message", ["CUDA error: device-side assert triggered\nCompile with `TORCH_USE_CUDA_DSA`", "CUDA error: unspecified launch failure"]
)
def test_a_lost_device_ends_everything(message: str) -> None:
    """It is no outcome of this cell: the process must be left, with the first line as the reason."""
    with pytest.raises(DeviceFault) as info:
        sick(RuntimeError(message))

    assert message.splitlines()[0] == str(info.value)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: no kernel image is available for execution on the device\nhints"),
        RuntimeError("CUDA error: CUBLAS_STATUS_NOT_SUPPORTED when calling `cublasGemmEx(...)`"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        TypeError("Trying to convert BFloat16 to the MPS backend"),
        ValueError("RNN input dtype (torch.float16) does not match weight dtype (torch.float32)."),
        NotImplementedError("Could not run 'aten::x'"),
        AssertionError("Torch not compiled with CUDA enabled"),
    ],
)
def test_an_error_of_one_call_is_its_outcome(error: Exception) -> None:
    """With its type, its first line, and the module that raised."""
    found = sick(error)

    assert ("raised", type(error).__name__, str(error).splitlines()[0]) == (found.status, found.error, found.message)
    assert found.location.module == "lm.layers.0"


def test_a_mistake_in_the_doctors_own_code_is_not_an_outcome() -> None:
    """A NameError is no answer of torch: it must come out, as a failure of the probe."""
    with pytest.raises(NameError):
        sick(NameError("x"))


def test_a_run_is_measured_against_the_reference() -> None:
    """The same weights give no distance; others give one."""
    model, pixels, ids, expected = patient()
    same = attempt(model, pixels, ids, expected)
    assert (same.status, same.output, same.relative_l2) == ("ran", "float32", 0.0)

    other = attempt(model, pixels, ids, expected * 2)
    assert pytest.approx(other.relative_l2) == 0.5


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_logits_that_are_no_numbers_have_no_distance(value: float) -> None:
    """Overflow or NaN anywhere in the output: it ran, and the distance says that there is none."""
    model, pixels, ids, expected = patient()
    with torch.no_grad():
        model.lm.lm_head.bias[3] = value

    found = attempt(model, pixels, ids, expected)

    assert (found.status, found.relative_l2) == ("ran", -1.0)


def test_where_it_was_raised_can_be_left_out() -> None:
    """Locating costs a second run, which a remedy's failure does not need."""
    model, pixels, ids, expected = patient()

    found = attempt(model.half(), pixels.to(torch.bfloat16), ids, expected, locate=False)

    assert (found.status, found.location, found.origin) == ("raised", None, None)
