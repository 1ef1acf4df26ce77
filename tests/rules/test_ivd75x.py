"""IVD75x: training, sharding and communication."""

import pytest

from ivdoctor.facts import Place
from ivdoctor.rules.ivd75x import gradscaler_refuses, ranks_gather_two_dtypes, sharded_parameters_differ
from ivdoctor.testing import a_failure, a_place, findings, operands

T4 = a_place("sm_75", "Tesla T4")
P40 = a_place("sm_61", "Tesla P40")
A100 = a_place("sm_80", "NVIDIA A100-SXM4-80GB")


def there(place: Place | None) -> list[Place]:
    return [place] if place else []


@pytest.mark.parametrize(
    ("family", "place", "actions"),
    [
        ("unscale-fp16", None, ["cast-module", "bf16", "version"]),
        ("unscale-fp16", A100, ["cast-module", "bf16", "version"]),
        ("unscale-fp16", T4, ["cast-module", "version"]),
        ("unscale-bf16", None, ["bf16", "cast-module", "version"]),
        ("unscale-bf16", A100, ["bf16", "cast-module", "version"]),
        ("unscale-bf16", T4, ["cast-module", "version"]),
        ("unscale-bf16", P40, ["cast-module", "version"]),
    ],
)
def test_ivd750_fires_with_float32_parameters_or_bf16_without_a_scaler(family: str, place: Place | None, actions: list[str]) -> None:
    """bf16 only where the hardware has it; trainable parameters are never cast to float16."""
    (found,) = findings(gradscaler_refuses, a_failure("amp-gradscaler-misuse", family=family), *there(place))
    assert [fix.action for fix in found.fixes] == actions
    assert ("bfloat16" in found.message) is (family == "unscale-bf16")
    assert not any("float16" in fix.code for fix in found.fixes)
    switch = [fix for fix in found.fixes if fix.action == "bf16"]
    assert all(("8.0" in fix.title) is (place is None) for fix in switch)
    assert "casting trainable parameters to float16" in found.avoid[0]


def test_ivd750_fires_without_any_dtype_where_no_gradient_was_seen() -> None:
    """The loss did not go through the scaler, or nothing requires a gradient."""
    (found,) = findings(gradscaler_refuses, a_failure("amp-gradscaler-misuse", family="no-inf-checks"), A100)
    assert [fix.action for fix in found.fixes] == ["other"]
    assert "scaler.scale(loss).backward()" in found.fixes[0].code
    assert "p.grad is not None" in found.look_next[0]


def test_ivd750_silent_where_the_loss_scale_ran_out() -> None:
    """That is an overflow."""
    assert findings(gradscaler_refuses, a_failure("fp16-overflow", family="scale-at-minimum"), T4) == []


@pytest.mark.parametrize(("place", "dtype"), [(None, "bfloat16"), (A100, "bfloat16"), (a_place(), "bfloat16"), (T4, "float16"), (P40, "float16")])
def test_ivd751_fires_with_storage_adapters_and_norms_in_one_dtype(place: Place | None, dtype: str) -> None:
    """The packed weights are stored in it and not cast."""
    failure = a_failure("fsdp-uniform-dtype", message="Must flatten tensors", operands=operands(first="bfloat16", second="float32"))
    (found,) = findings(sharded_parameters_differ, failure, *there(place))
    assert found.message == "FSDP needs one dtype in each unit, and found torch.bfloat16 and torch.float32"
    assert [fix.action for fix in found.fixes] == ["load-dtype", "cast-module", "version"]
    assert found.fixes[0].code.startswith(f"dtype = torch.{dtype}\n")
    assert "bnb_4bit_quant_storage=dtype" in found.fixes[0].code
    assert ("8.0" in found.fixes[0].title) is (place is None)


def test_ivd751_fires_without_fsdp2_where_that_is_what_raised() -> None:
    """Its word is `expects`."""
    (found,) = findings(sharded_parameters_differ, a_failure("fsdp-uniform-dtype", message="FSDP expects uniform original parameter dtype"), A100)
    assert [fix.action for fix in found.fixes] == ["load-dtype", "cast-module"]


def test_ivd751_fires_without_the_dtypes_where_the_text_does_not_say() -> None:
    """Several is all that is known."""
    (found,) = findings(sharded_parameters_differ, a_failure("fsdp-uniform-dtype", operands=()))
    assert found.message == "FSDP needs one dtype in each unit, and found several"


def test_ivd751_silent_where_ranks_gather() -> None:
    """That is ZeRO's."""
    assert findings(sharded_parameters_differ, a_failure("distributed-dtype-mismatch"), A100) == []


@pytest.mark.parametrize(
    ("place", "dtypes", "dtype", "section"),
    [
        (None, ("float16", "float32"), "float16", "fp16"),
        (None, ("float32", "bfloat16"), "bfloat16", "bf16"),
        (None, (), "bfloat16", "bf16"),
        (A100, ("float16", "bfloat16"), "bfloat16", "bf16"),
        (T4, ("bfloat16", "float32"), "float16", "fp16"),
        (T4, (), "float16", "fp16"),
        (P40, ("bfloat16", "float32"), "float16", "fp16"),
    ],
)
def test_ivd752_fires_with_loading_and_the_configurations_section_in_one_dtype(
    place: Place | None, dtypes: tuple[str, ...], dtype: str, section: str
) -> None:
    """The 16-bit one that is there, if the hardware has it."""
    failure = a_failure("distributed-dtype-mismatch", operands=operands(**{f"t{number}": one for number, one in enumerate(dtypes)}))
    (found,) = findings(ranks_gather_two_dtypes, failure, *there(place))
    assert [fix.action for fix in found.fixes] == ["load-dtype", "cast-module", "version"]
    assert f"torch_dtype=torch.{dtype})" in found.fixes[0].code
    assert f'ds_config["{section}"]' in found.fixes[0].code
    assert "autocast_adapter_dtype=False" in found.fixes[1].code
    assert "a cast inside the collective" in found.avoid[0]


def test_ivd752_silent_where_fsdp_flattens() -> None:
    """One process is enough for that."""
    assert findings(ranks_gather_two_dtypes, a_failure("fsdp-uniform-dtype"), A100) == []
