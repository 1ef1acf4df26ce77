"""IVD65x: numbers went wrong."""

import pytest

from ivdoctor.facts import Place
from ivdoctor.finding import Severity
from ivdoctor.rules.ivd65x import constant_beyond_the_dtype, numbers_not_finite, values_beyond_float16
from ivdoctor.testing import a_failure, a_place, findings, operands

T4 = a_place("sm_75", "Tesla T4")
P40 = a_place("sm_61", "Tesla P40")
A100 = a_place("sm_80", "NVIDIA A100-SXM4-80GB")


@pytest.mark.parametrize(
    ("place", "actions"),
    [(None, ["bf16", "fp32"]), (A100, ["bf16", "fp32"]), (a_place(), ["bf16", "fp32"]), (T4, ["fp32"]), (P40, ["fp32"])],
    ids=["none", "a100", "cpu", "t4", "p40"],
)
def test_ivd650_fires_with_bf16_only_where_the_hardware_has_it(place: Place | None, actions: list[str]) -> None:
    """Where it is not known, what bf16 needs is said; float16 is never offered, and clamping is avoided."""
    (found,) = findings(values_beyond_float16, a_failure("fp16-overflow", family="scale-at-minimum"), *filter(None, [place]))
    assert [fix.action for fix in found.fixes] == actions
    assert ("8.0" in found.fixes[0].title) is (place is None)
    assert not found.fixes[0].title.startswith("Or ")
    assert "clamping" in found.avoid[0]
    assert any("bfloat16 on a" in one for one in found.avoid) is (place in (T4, P40))
    assert "--dtype fp16" in found.look_next[0]


@pytest.mark.parametrize(
    ("family", "command"),
    [("webui-nan", "webui.sh --no-half"), ("nan-latents", "accelerate launch SCRIPT --no_half_vae"), ("scale-at-minimum", "")],
)
def test_ivd650_fires_with_the_web_uis_own_flag(family: str, command: str) -> None:
    """The VAE is what overflows there."""
    (found,) = findings(values_beyond_float16, a_failure("fp16-overflow", family=family), T4)
    assert found.fixes[-1].command == command


@pytest.mark.parametrize(("place", "actions"), [(A100, ["cast-input", "bf16", "fp32"]), (T4, ["cast-input", "fp32"])], ids=["a100", "t4"])
def test_ivd650_fires_with_the_mask_first_where_a_constant_is_too_large(place: Place, actions: list[str]) -> None:
    """Its own dtype's minimum fits everywhere; the constant is the fault and not the model."""
    (found,) = findings(values_beyond_float16, a_failure("fp16-overflow", family="constant"), place)
    assert [fix.action for fix in found.fixes] == actions
    assert "torch.finfo(scores.dtype).min" in found.fixes[0].code
    assert "another constant" in found.avoid[0]
    assert found.look_next == ()


@pytest.mark.parametrize(
    ("family", "count", "severity"), [("scaler-steps", 3, "note"), ("scaler-steps", 40, "warning"), ("scale-at-minimum", 1, "error")]
)
def test_ivd650_fires_as_gravely_as_the_scaler_stepped_down_often(family: str, count: int, severity: str) -> None:
    """From 65536 to 1 it takes sixteen steps, and a few at the start are normal."""
    (found,) = findings(values_beyond_float16, a_failure("fp16-overflow", family=family, count=count), A100)
    assert found.severity.value == severity
    assert ("a few times at the start" in found.message) is (family == "scaler-steps")


def test_ivd650_silent_where_no_dtype_is_known() -> None:
    """NaN alone is no overflow."""
    assert findings(values_beyond_float16, a_failure("neg-nonprecision-nan"), A100) == []


def test_ivd651_fires_as_a_possible_warning_with_a_search() -> None:
    """No dtype is changed before the first module that is not finite is known; the other causes are named."""
    (found,) = findings(numbers_not_finite, a_failure("neg-nonprecision-nan"))
    assert (found.severity, found.confidence) == (Severity.WARNING, "possible")
    (fix,) = found.fixes
    assert (fix.action, "register_forward_hook" in fix.code) == ("other", True)
    assert "change of dtype" in found.avoid[0]
    assert len(found.look_next) == 3


def test_ivd651_fires_with_code_that_names_the_first_module_that_is_not_finite() -> None:
    """It runs as it stands."""
    torch = pytest.importorskip("torch")
    (found,) = findings(numbers_not_finite, a_failure("neg-nonprecision-nan"))
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    with torch.no_grad():
        model[1].weight.fill_(float("inf"))
    exec(found.fixes[0].code, {"torch": torch, "model": model})
    with pytest.raises(RuntimeError, match=r"1: first not finite, torch\.float32"):
        model(torch.ones(1, 2))


def test_ivd651_silent_where_float16_is_known_to_overflow() -> None:
    """Which has a cure."""
    assert findings(numbers_not_finite, a_failure("fp16-overflow")) == []


@pytest.mark.parametrize(
    ("dtypes", "said"), [({"input": "uint8"}, "torch.uint8"), ({"input": "bfloat16"}, "torch.bfloat16"), ({}, "the tensor's dtype")]
)
def test_ivd652_fires_with_the_limits_of_the_tensors_own_dtype(dtypes: dict[str, str], said: str) -> None:
    """float32's minimum does not fit into bfloat16 either."""
    (found,) = findings(constant_beyond_the_dtype, a_failure("constant-overflow", operands=operands(**dtypes)))
    assert found.message == f"a constant does not fit into {said}"
    (fix,) = found.fixes
    assert (fix.action, "finfo(scores.dtype).min" in fix.code) == ("cast-input", True)
    assert "change of the model's dtype" in found.avoid[0]


def test_ivd652_silent_where_the_constant_is_beyond_float16() -> None:
    """IVD650 answers, with ways out for the whole model."""
    assert findings(constant_beyond_the_dtype, a_failure("fp16-overflow", family="constant")) == []
