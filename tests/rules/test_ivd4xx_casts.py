"""IVD406 and IVD407, of a model that was really run; and what its run makes IVD401 to IVD403 keep to themselves."""

from dataclasses import replace

import pytest

from ivdoctor.facts import Asked, Fed, Half, Place
from ivdoctor.finding import Severity
from ivdoctor.lines import INPUTS
from ivdoctor.rules.ivd4xx import (
    cast_model_raises,
    inputs_left_uncast,
    loaded_model_fails,
    patch_convolution_dtype_differs,
    projector_dtype_differs,
    visual_tokens_dtype_differs,
)
from ivdoctor.testing import a_cast, a_mismatch, a_model, a_place, a_torch, findings, some_packages

T4 = a_place("sm_75", "Tesla T4")
P40 = a_place("sm_61", "Tesla P40")
A100 = a_place("sm_80", "NVIDIA A100-SXM4-80GB")
M2 = a_place("mps", "Apple M2")
PLAIN_CPU = a_place("cpu", features=("avx2",))
EVERYWHERE = [A100, T4, P40, M2, PLAIN_CPU]

CLASH = "RuntimeError: Input type (float) and bias type (c10::BFloat16) should be the same"
FED: dict[tuple[Half, Half], str] = {("bf16", "fp32"): CLASH, ("fp16", "fp32"): CLASH.replace("BFloat16", "Half")}
NO_KERNEL = "RuntimeError: \"fft_r2c\" not implemented for 'BFloat16'"
OLD, NEW = some_packages({"transformers": "4.57.6"}), some_packages({"transformers": "5.0.0"})


def title(place: Place) -> str:
    return place.title


def test_ivd406_fires_for_each_format_in_which_uncast_inputs_raise() -> None:
    """With the line of the model, the clash's category, and what was seen with the inputs cast."""
    bf16, fp16 = findings(inputs_left_uncast, a_cast("cuda:0", fed=FED), A100, a_model(), NEW)
    assert bf16.message == f"model in bf16 with inputs in fp32 raises: {CLASH}"
    assert bf16.category == "conv-input-param-dtype-mismatch"
    assert bf16.evidence == ("with its inputs cast too it runs: 2 sentences of ten words through the model's own tokenizer",)
    assert bf16.location is not None
    assert bf16.location.file == "transformers/models/vit/modeling_vit.py"
    assert [fix.code for fix in bf16.fixes] == [INPUTS]
    assert (bf16.fixes[0].trial.status, bf16.fixes[0].trial.how, bf16.fixes[0].trial.before) == ("passed", "real-run", CLASH)
    assert fp16.message.startswith("model in fp16 with inputs in fp32 raises: ")


@pytest.mark.parametrize(
    ("asked", "bf16", "fp16"),
    [
        (Asked(dtype="bf16", input_dtype="fp32"), Severity.ERROR, Severity.NOTE),
        (Asked(dtype="bf16"), Severity.WARNING, Severity.NOTE),
        (Asked(dtype="fp16", input_dtype="fp32"), Severity.NOTE, Severity.ERROR),
        (Asked(dtype="fp32"), Severity.NOTE, Severity.NOTE),
        (Asked(), Severity.WARNING, Severity.NOTE),
    ],
)
def test_ivd406_fires_as_an_error_only_where_both_dtypes_were_named(asked: Asked, bf16: Severity, fp16: Severity) -> None:
    """A caller nobody knows may cast the inputs: a warning."""
    found = findings(inputs_left_uncast, a_cast("cuda:0", fed=FED), A100, a_model(), NEW, asked)
    assert [one.severity for one in found] == [bf16, fp16]


def test_ivd406_fires_as_a_note_where_the_model_is_loaded_in_fp32() -> None:
    """As transformers before 5 does where no dtype is named: the inputs fit."""
    assert {one.severity for one in findings(inputs_left_uncast, a_cast(fed=FED), PLAIN_CPU, a_model(), OLD)} == {Severity.NOTE}


def test_ivd406_fires_without_a_first_fix_that_computes_in_what_the_device_emulates() -> None:
    """On a T4 model and inputs go to fp16 together; the cast to bf16 comes last, and its price is said."""
    found = findings(inputs_left_uncast, a_cast("cuda:0", fed={("bf16", "fp32"): CLASH}), T4, a_model(), NEW)
    lead, *_, last = found[0].fixes
    assert lead.code == f"model = LlamaForCausalLM.from_pretrained(path, dtype=torch.float16)\n{INPUTS}"
    assert last.code == INPUTS
    assert "bf16 is emulated here, so it is slow" in last.title


def test_ivd406_fires_with_the_cast_on_a_cpu_where_a_half_format_is_only_slow() -> None:
    """The smallest change, and the price said."""
    (found,) = findings(inputs_left_uncast, a_cast(fed={("bf16", "fp32"): CLASH}), PLAIN_CPU, a_model(), NEW)
    assert [fix.code for fix in found.fixes] == [INPUTS]
    assert "slow" in found.fixes[0].title


@pytest.mark.parametrize("place", EVERYWHERE, ids=title)
def test_ivd406_fires_without_sending_the_inputs_where_the_numbers_go_wrong(place: Place) -> None:
    """Cast inputs cure the clash, not an overflow: then another format for both, and no word that it runs."""
    cast = a_cast(place.name, fed={("fp16", "fp32"): CLASH}, overflow=("fp16",))
    (found,) = findings(inputs_left_uncast, cast, place, a_model(), Asked(dtype="fp16", input_dtype="fp32"))
    assert found.evidence[0].startswith("with its inputs cast too its output is not finite")
    assert found.fixes
    assert not [fix for fix in found.fixes if fix.code == INPUTS or "float16" in fix.code.replace("bfloat16", "")]
    drifts = a_cast(place.name, fed={("fp16", "fp32"): CLASH}, drift={"fp16": 0.3})
    (found,) = findings(inputs_left_uncast, drifts, place, a_model(), Asked(dtype="fp16", input_dtype="fp32"))
    assert not [fix for fix in found.fixes if fix.code == INPUTS]


def test_ivd406_fires_under_no_category_where_none_is_known() -> None:
    """An operator that is in no list of failures is none of them."""
    fed = Fed(model="bf16", input="fp32", status="raised", message="RuntimeError: expected BFloat16")
    (found,) = findings(inputs_left_uncast, replace(a_cast(), fed=(fed,)), PLAIN_CPU)
    assert (found.category, found.location) == ("", None)


def test_ivd406_silent_where_the_inputs_run_as_they_are() -> None:
    """Some models cast their inputs themselves; a text model has none that float."""
    assert findings(inputs_left_uncast, a_cast(fed={("bf16", "fp32"): ""}), PLAIN_CPU, Asked(dtype="bf16", input_dtype="fp32")) == []
    assert findings(inputs_left_uncast, a_cast(), PLAIN_CPU, Asked(dtype="bf16", input_dtype="fp32")) == []
    assert findings(inputs_left_uncast, a_cast(how="miniature"), PLAIN_CPU, Asked(dtype="bf16", input_dtype="fp32")) == []


@pytest.mark.parametrize(
    ("asked", "severity"),
    [
        (Asked(dtype="bf16"), Severity.ERROR),
        (Asked(), Severity.ERROR),
        (Asked(dtype="fp16"), Severity.NOTE),
        (Asked(dtype="fp32"), Severity.NOTE),
        (Asked(dtype="fp32", input_dtype="bf16"), Severity.NOTE),
    ],
)
def test_ivd407_fires_on_a_format_that_raises(asked: Asked, severity: Severity) -> None:
    """An error where it was asked for or would be loaded."""
    (found,) = findings(cast_model_raises, a_cast("cuda:0", raised={"bf16": NO_KERNEL}), A100, a_model(), NEW, asked)
    assert found.severity is severity
    assert found.message == f"model cast to bf16 raises: {NO_KERNEL}"
    assert found.evidence == ("in fp32 it runs: 2 sentences of ten words through the model's own tokenizer",)
    assert found.location is not None
    assert found.location.module == "encoder.layer.0.attention"


@pytest.mark.parametrize(("place", "dtype"), [(A100, "float16"), (T4, "float16"), (M2, "float16"), (P40, "float32"), (PLAIN_CPU, "float32")])
def test_ivd407_fires_and_leads_with_a_format_that_ran_and_is_native(place: Place, dtype: str) -> None:
    """Sixteen bits where the device has them; proven there."""
    (found,) = findings(cast_model_raises, a_cast(place.name, raised={"bf16": NO_KERNEL}), place, a_model(), Asked(dtype="bf16"))
    assert found.fixes[0].code == f"model = LlamaForCausalLM.from_pretrained(path, dtype=torch.{dtype})"
    assert (found.fixes[0].trial.status, found.fixes[0].trial.where) == ("passed", place.name)
    assert not [fix for fix in found.fixes if "bfloat16" in fix.code]


def test_ivd407_fires_with_the_one_way_left_where_the_baseline_is_bf16() -> None:
    """fp32 did not fit and fp16 raises: bf16 is what ran."""
    (found,) = findings(cast_model_raises, a_cast("cuda:0", baseline="bf16", raised={"fp16": "no"}), A100, a_model(), Asked(dtype="fp16"))
    assert [fix.title for fix in found.fixes] == ["Run the model in bfloat16"]
    assert found.evidence[0].startswith("in bf16 it runs")


def test_ivd407_silent_on_the_miniature() -> None:
    """IVD404 says that, once."""
    assert findings(cast_model_raises, a_cast(how="miniature", raised={"fp16": "no"}), PLAIN_CPU, Asked(dtype="fp16")) == []


def test_ivd407_silent_where_every_format_ran_or_was_not_tried() -> None:
    """Wrong numbers are IVD602's and IVD603's; a format that was skipped raised nothing."""
    for cast in (a_cast(), a_cast(how="miniature"), a_cast(overflow=("fp16",)), a_cast(drift={"bf16": 0.5}), a_cast(skipped={"bf16": "8 minutes"})):
        assert findings(cast_model_raises, cast, A100, Asked(dtype="bf16")) == []


@pytest.mark.parametrize("asked", [Asked(), Asked(dtype="bf16"), Asked(dtype="fp16", input_dtype="fp32")])
def test_ivd401_ivd402_and_ivd403_are_silent_where_the_users_own_model_was_run(asked: Asked) -> None:
    """What a stand-in does is no news of it."""
    cast = a_cast()
    assert findings(patch_convolution_dtype_differs, a_torch(), a_mismatch(), PLAIN_CPU, asked, cast) == []
    assert findings(visual_tokens_dtype_differs, a_mismatch(), PLAIN_CPU, asked, cast) == []
    assert findings(projector_dtype_differs, a_mismatch(), PLAIN_CPU, asked, cast) == []


@pytest.mark.parametrize("asked", [Asked(), Asked(dtype="bf16"), Asked(dtype="fp16", input_dtype="fp32")])
def test_ivd401_ivd402_and_ivd403_fire_as_ever_beside_the_miniatures_own_cast(asked: Asked) -> None:
    """It is the same stand-in."""
    cast = a_cast(how="miniature")
    for given in ((), (cast,)):
        assert len(findings(patch_convolution_dtype_differs, a_torch(), a_mismatch(), PLAIN_CPU, asked, *given)) == 1
        assert len(findings(visual_tokens_dtype_differs, a_mismatch(), PLAIN_CPU, asked, *given)) == 1
        assert len(findings(projector_dtype_differs, a_mismatch(), PLAIN_CPU, asked, *given)) == 1


@pytest.mark.parametrize(
    ("asked", "severity"), [(Asked(dtype="bf16"), Severity.WARNING), (Asked(), Severity.WARNING), (Asked(dtype="fp16"), Severity.NOTE)]
)
def test_ivd407_fires_as_a_warning_at_most_where_the_model_loads_in_the_format(asked: Asked, severity: Severity) -> None:
    """Only a cast afterwards breaks it: the first fix leaves the cast out."""
    cast = a_cast("cuda:0", raised={"bf16": NO_KERNEL}, loaded={"bf16": 0.01})
    (found,) = findings(cast_model_raises, cast, A100, a_model(), NEW, asked)
    assert found.severity is severity
    assert found.fixes[0].title == "Load in bfloat16 at once, and cast nothing afterwards"
    assert found.fixes[0].code == "model = LlamaForCausalLM.from_pretrained(path, dtype=torch.bfloat16)"
    assert (found.fixes[0].trial.status, len({fix.code for fix in found.fixes})) == ("passed", 3)
    beyond = a_cast("cuda:0", raised={"bf16": NO_KERNEL}, loaded={"bf16": 0.3})
    (found,) = findings(cast_model_raises, beyond, A100, a_model(), NEW, Asked(dtype="bf16"))
    assert found.severity is Severity.ERROR
    assert not [fix for fix in found.fixes if "bfloat16" in fix.code]


@pytest.mark.parametrize(
    ("came", "said"),
    [
        ("RuntimeError: expected Float", "model loaded in bf16 fails: RuntimeError: expected Float"),
        (-1.0, "model loaded in bf16 fails: ran, and the output is not finite"),
        (0.3, "model loaded in bf16 fails: ran, output bfloat16; relative L2 0.3, limit 0.1"),
    ],
)
def test_ivd408_fires_where_the_loaded_model_fails_and_the_cast_one_runs(came: float | str, said: str) -> None:
    """The line is the cast that ran, after loading in fp32."""
    cast = a_cast("cuda:0", loaded={"bf16": came})
    (found,) = findings(loaded_model_fails, cast, A100, a_model(), NEW, Asked(dtype="bf16"))
    assert (found.severity, found.message) == (Severity.ERROR, said)
    assert found.evidence == ("loaded in fp32 and cast afterwards it runs: 2 sentences of ten words through the model's own tokenizer",)
    lead, *others = found.fixes
    assert lead.code == "model = LlamaForCausalLM.from_pretrained(path, dtype=torch.float32).to(torch.bfloat16)"
    assert (lead.trial.status, lead.title) == ("passed", "Load in fp32 and cast afterwards")
    assert [fix.code.rpartition("torch.")[2] for fix in others] == ["float16)", "float32)"]


def test_ivd408_fires_as_a_note_on_what_nobody_would_load_and_leads_to_what_is_native() -> None:
    """bf16 on a T4: the cast to it comes last."""
    cast = a_cast("cuda:0", loaded={"bf16": "no"})
    (found,) = findings(loaded_model_fails, cast, T4, a_model(), NEW, Asked(dtype="fp16"))
    assert found.severity is Severity.NOTE
    assert found.fixes[0].code == "model = LlamaForCausalLM.from_pretrained(path, dtype=torch.float16)"
    assert found.fixes[-1].code.endswith(".to(torch.bfloat16)")
    assert "slow" in found.fixes[-1].title


def test_ivd408_silent_where_loading_helps_or_the_cast_fails_as_well() -> None:
    """IVD407, IVD602 and IVD603 say the second."""
    for cast in (
        a_cast(),
        a_cast(loaded={"bf16": 0.01, "fp16": 0.002}),
        a_cast(loaded={"bf16": "no"}, raised={"bf16": "no"}),
        a_cast(loaded={"bf16": -1.0}, overflow=("bf16",)),
        a_cast(loaded={"bf16": 0.3}, drift={"bf16": 0.3}),
        a_cast(how="miniature"),
    ):
        assert findings(loaded_model_fails, cast, A100, a_model(), NEW, Asked(dtype="bf16")) == []
