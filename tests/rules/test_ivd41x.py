"""IVD410 to IVD416: the dtype flow of a model without weights."""

from dataclasses import replace
from typing import Any

import pytest

from ivdoctor.facts import Asked, Held, InputCast, Replay, Site
from ivdoctor.finding import Severity
from ivdoctor.lines import INPUTS
from ivdoctor.rules.ivd41x import (
    cast_throws_out_of_float32,
    flow_casts_inputs,
    flow_raises,
    flow_unknown,
    its_own_code_does_not_fit,
    narrowed,
    operator_missing_here,
    operator_missing_there,
)
from ivdoctor.targets import target
from ivdoctor.testing import a_cast, a_flow, a_miniature, a_model, a_place, a_replay, a_torch, findings, some_packages

CPU = a_place("cpu", features=("avx512_bf16", "avx512_fp16"))
A100 = a_place("sm_80", "NVIDIA A100-SXM4-80GB")
T4 = a_place("sm_75", "Tesla T4")
MODEL = a_model(model_type="internvl", architectures=("InternVLForConditionalGeneration",))
NEW = some_packages({"transformers": "5.23.0"})
CLASH = "RuntimeError: Input type (float) and bias type (c10::BFloat16) should be the same"
DEEPER = "RuntimeError: \"histc\" not implemented for 'BFloat16'"
BF16 = Asked(dtype="bf16")
NAMED = Asked(dtype="bf16", input_dtype="fp32")


def raises(*facts: Any, **flow: Any) -> list[Any]:
    return findings(flow_raises, a_flow(**flow), MODEL, NEW, *facts)


# --- IVD410


@pytest.mark.parametrize(
    ("asked", "severity"),
    [(NAMED, Severity.ERROR), (BF16, Severity.WARNING), (Asked(), Severity.WARNING), (Asked(input_dtype="fp32"), Severity.ERROR)],
)
def test_ivd410_fires_as_an_error_only_where_the_inputs_were_named(asked: Asked, severity: Severity) -> None:
    """A caller nobody knows may cast them: a warning. The line, the cause and torch's words are in it."""
    (found,) = findings(flow_raises, a_flow({"bf16/fp32": CLASH}), MODEL, NEW, CPU, asked, a_miniature({"bf16/fp32": CLASH}))
    assert found.severity is severity
    assert found.message == f"model loaded in bf16 with inputs in fp32 raises at modeling_internvl.py:291: {CLASH}"
    assert found.evidence[0] == "aten.convolution is given float32, bfloat16, bfloat16"
    assert found.location is not None
    assert found.origin is not None
    assert (found.location.line, found.origin.module, found.origin.dtype) == (291, "pixel_values", "float32")
    assert found.category == "conv-input-param-dtype-mismatch"


def test_ivd410_fires_as_certain_where_the_miniature_raised_the_same_on_this_cpu_and_nowhere_else() -> None:
    """A shadow alone is likely, and what the CPU's operators do is likely on another device."""
    shadow, miniature = a_flow({"bf16/fp32": CLASH}), a_miniature({"bf16/fp32": CLASH})
    sure = [findings(flow_raises, shadow, MODEL, NEW, BF16, place, miniature)[0].confidence for place in (CPU, A100)]
    assert sure == ["certain", "likely"]
    assert findings(flow_raises, shadow, MODEL, NEW, BF16, CPU)[0].confidence == "likely"
    elsewhere = replace(miniature, cells=tuple(replace(one, location=Site(file="other.py", line=1)) for one in miniature.cells))
    (found,) = findings(flow_raises, shadow, MODEL, NEW, BF16, CPU, elsewhere)
    assert found.confidence == "likely"
    assert "raises at other.py:1" in " ".join(found.evidence)


def test_ivd410_fires_as_no_more_than_possible_where_the_miniature_really_ran() -> None:
    """What a shadow says and a real run denies is no error."""
    (found,) = findings(flow_raises, a_flow({"bf16/fp32": CLASH}), MODEL, NEW, NAMED, CPU, a_miniature())
    assert (found.severity, found.confidence) == (Severity.WARNING, "possible")
    assert "does not raise" in " ".join(found.evidence)


def test_ivd410_fires_on_what_the_miniature_raised_and_the_flow_did_not_see() -> None:
    """The real run outranks the shadow; unknown or ran, it makes no difference."""
    for flow in (a_flow(), a_flow(unknown={"bf16/bf16": "a loop that never ends"})):
        (found,) = findings(flow_raises, flow, MODEL, NEW, Asked(dtype="bf16", input_dtype="bf16"), CPU, a_miniature({"bf16/bf16": DEEPER}))
        assert (found.severity, found.confidence) == (Severity.ERROR, "certain")
        assert "seen on a miniature of it" in " ".join(found.evidence)


def test_ivd410_fires_with_fixes_that_a_miniature_has_run_first_and_says_how_each_is_known() -> None:
    """Tried ones before foretold ones; the smallest change leads, and all are lines to write."""
    (found,) = raises(NAMED, CPU, a_miniature({"bf16/fp32": CLASH}), raised={"bf16/fp32": CLASH})
    assert found.fixes[0].code == INPUTS
    assert {(fix.trial.status, fix.trial.how) for fix in found.fixes} == {("passed", "miniature")}
    assert [fix.action for fix in found.fixes] == ["cast-input", "fp16", "fp32"]
    assert found.fixes[-1].code == f"model = InternVLForConditionalGeneration.from_pretrained(path, dtype=torch.float32)\n{INPUTS}"
    assert found.fixes[0].trial.before == CLASH


def test_ivd410_fires_with_what_other_cells_foretell_where_nothing_was_tried() -> None:
    """Predicted, and by which cell."""
    (found,) = raises(NAMED, A100, raised={"bf16/fp32": CLASH})
    lead = found.fixes[0]
    assert (lead.code, lead.trial.status, lead.trial.how) == (INPUTS, "passed", "shadow")
    assert lead.trial.after == "loaded:bf16/bf16 runs in the flow"
    assert all(fix.trial.how == "shadow" for fix in found.fixes)


def test_ivd410_fires_without_advice_that_the_miniature_has_seen_fail() -> None:
    """Neither as tried nor as predicted; it is told among the evidence."""
    small = a_miniature({"bf16/fp32": CLASH}, {"bf16/fp32": {"cast-input": "RuntimeError: still", "everything-fp32": ""}})
    (found,) = raises(NAMED, CPU, small, raised={"bf16/fp32": CLASH})
    assert INPUTS not in [fix.code for fix in found.fixes]
    assert "does not help: casting the inputs: RuntimeError: still" in found.evidence


def test_ivd410_fires_with_the_layer_itself_where_a_cast_there_was_tried() -> None:
    """Lines that need no change of the model's code, and that are Python."""
    small = a_miniature({"bf16/fp32": CLASH}, {"bf16/fp32": {"cast-module": "", "autocast": ""}})
    (found,) = raises(NAMED, CPU, small, raised={"bf16/fp32": CLASH})
    codes = [fix.code for fix in found.fixes]
    assert any('model.get_submodule("model.vision_tower.embeddings.patch_embedding")' in code for code in codes)
    for code in codes:
        compile(code, "fix", "exec")


def test_ivd410_fires_with_the_failure_that_a_cast_of_the_inputs_leaves() -> None:
    """An error whoever calls: agreeing dtypes raise too, and that is what is told."""
    (found,) = raises(BF16, CPU, raised={"bf16/fp32": CLASH, "bf16/bf16": DEEPER})
    assert found.severity is Severity.ERROR
    assert found.message.startswith("model loaded in bf16 with inputs in bf16 raises")
    assert DEEPER in found.message
    assert INPUTS not in [fix.code for fix in found.fixes]


def test_ivd410_fires_with_the_other_way_of_loading_where_that_runs() -> None:
    """Kept in float32 and clashing: cast afterwards. Thrown out and clashing: load at once, a warning, for nobody said that it is cast."""
    (loaded,) = raises(Asked(dtype="bf16", input_dtype="bf16"), CPU, raised={"loaded:bf16/bf16": DEEPER})
    assert loaded.severity is Severity.ERROR
    assert loaded.fixes[0].code.splitlines()[0].endswith("dtype=torch.float32).to(torch.bfloat16)")
    assert "loaded in float32 and cast afterwards it runs: what the loader keeps in float32 clashes" in loaded.evidence
    (cast,) = raises(Asked(dtype="bf16", input_dtype="bf16"), CPU, raised={"cast:bf16/bf16": DEEPER})
    assert cast.severity is Severity.WARNING
    assert cast.message.startswith("model cast to bf16 ")
    assert cast.fixes[0].code.splitlines()[0].endswith("dtype=torch.bfloat16)")


def test_ivd410_fires_without_leading_where_the_device_only_emulates() -> None:
    """On a T4 the cast of the inputs to bf16 does not come first."""
    (found,) = raises(NAMED, T4, raised={"bf16/fp32": CLASH})
    assert found.fixes[0].action == "fp16"


def test_ivd410_silent_where_the_judged_cell_runs() -> None:
    """Whatever others do; and where nobody can say which cell that is, or another engine is asked."""
    others = {"fp16/fp32": CLASH, "fp16/fp16": DEEPER, "fp32/bf16": CLASH}
    assert raises(NAMED, CPU, a_miniature(), raised=others) == []
    unnamed = a_model(dtype="")
    assert findings(flow_raises, a_flow({"bf16/fp32": CLASH}), unnamed, NEW, CPU) == []
    assert raises(Asked(dtype="bf16", engine="vllm"), CPU, raised={"bf16/bf16": DEEPER}) == []
    assert findings(flow_raises, a_flow({"bf16/bf16": DEEPER}), replace(MODEL, quantization="awq"), NEW, CPU, BF16) == []


def test_ivd410_silent_where_the_model_was_really_run_in_that_cell() -> None:
    """IVD406 to IVD408 say what came of it; of parts that its inputs did not reach the flow speaks."""
    flow = {"bf16/fp32": CLASH, "bf16/bf16": DEEPER}
    assert raises(NAMED, CPU, a_cast(fed={("bf16", "fp32"): CLASH}), raised=flow) == []
    assert raises(BF16, CPU, a_cast(raised={"bf16": DEEPER}), raised=flow) == []
    assert raises(NAMED, CPU, a_cast(how="miniature"), raised=flow) != []
    assert raises(NAMED, CPU, a_cast(skipped={"bf16": "too slow"}), raised=flow) != []
    assert raises(NAMED, CPU, replace(a_cast(fed={("bf16", "fp32"): ""}), unrun=("vision_tower",)), raised=flow) != []


def test_ivd410_fires_without_a_word_of_inputs_where_none_floats() -> None:
    """The three columns are one, and a cast of ids is no advice."""
    flow = a_flow({"bf16/fp32": DEEPER, "bf16/bf16": DEEPER, "bf16/fp16": DEEPER}, floats=False)
    (found,) = findings(flow_raises, flow, MODEL, NEW, CPU, BF16)
    assert found.message.startswith("model loaded in bf16 raises")
    assert not [fix for fix in found.fixes if "inputs" in fix.code]


# --- IVD411


def casts(*through: str) -> dict[str, tuple[InputCast, ...]]:
    return {"bf16/fp32": (InputCast(input="pixel_values", through=through, location=Site(file="transformers/a/modeling_a.py", line=9)),)}


def test_ivd411_fires_as_a_warning_where_precision_is_lost_on_the_way() -> None:
    """float32 -> float16 -> bfloat16 loses the range; with the line and a way out."""
    (found,) = findings(flow_casts_inputs, a_flow(casts=casts("float32", "float16", "bfloat16")), MODEL, NEW, BF16)
    assert found.severity is Severity.WARNING
    assert found.message == "pixel_values goes through float16 on its way: float32 -> float16 -> bfloat16"
    assert found.location is not None
    assert found.location.line == 9
    assert found.fixes[0].trial.how == "shadow"


def test_ivd411_fires_as_a_note_where_the_model_only_casts() -> None:
    """Nothing is lost that the model's own dtype would hold."""
    (found,) = findings(flow_casts_inputs, a_flow(casts=casts("float32", "bfloat16")), MODEL, NEW, BF16)
    assert (found.severity, found.evidence) == (Severity.NOTE, ("pixel_values: float32 -> bfloat16, modeling_a.py:9",))


def test_ivd411_silent_where_it_casts_nothing_in_the_judged_cell() -> None:
    """Another cell's casts are in the table."""
    flow = a_flow(casts=casts("float32", "float16", "bfloat16"))
    assert findings(flow_casts_inputs, a_flow(), MODEL, NEW, BF16) == []
    assert findings(flow_casts_inputs, flow, MODEL, NEW, Asked(dtype="fp16")) == []


@pytest.mark.parametrize(
    ("through", "middle"),
    [
        (("float32", "bfloat16", "float16"), "bfloat16"),
        (("float32", "float16", "bfloat16"), "float16"),
        (("float32", "bfloat16", "float32"), "bfloat16"),
        (("bfloat16", "float32", "float16"), ""),
        (("float32", "bfloat16", "bfloat16"), ""),
        (("float32", "float16"), ""),
        (("float32", "float99", "float16"), ""),
    ],
)
def test_what_a_middle_dtype_loses_is_told_by_its_bits(through: tuple[str, ...], middle: str) -> None:
    """Fraction or exponent, against the poorer of both ends."""
    assert narrowed(through) == middle


# --- IVD412

BIAS = Held(name="model.layers.*.mlp.gate.e_score_correction_bias", what="buffer", formats=("bf16", "fp16"), tensors=58, elements=58 * 256)


def test_ivd412_fires_on_what_a_cast_throws_out_of_float32() -> None:
    """With its cost where it is kept, and the way that keeps it."""
    (found,) = findings(cast_throws_out_of_float32, a_flow(held=(BIAS,)), MODEL, NEW, CPU, BF16)
    assert found.severity is Severity.NOTE
    assert "58 tensors" in found.message
    assert found.evidence[-1] == "kept in float32 they take 0.028 MiB more"
    assert found.fixes[0].code == "model = InternVLForConditionalGeneration.from_pretrained(path, dtype=torch.bfloat16)"
    assert found.fixes[0].trial.how == "shadow"


def test_ivd412_fires_without_a_way_that_raises() -> None:
    """IVD410 says what to do then."""
    (found,) = findings(cast_throws_out_of_float32, a_flow({"loaded:bf16/bf16": DEEPER}, held=(BIAS,)), MODEL, NEW, CPU, BF16)
    assert found.fixes == ()


def test_ivd412_silent_where_a_run_has_said_it_or_nothing_is_kept() -> None:
    """IVD606 and IVD607, with their figures; in another format nothing is thrown out."""
    assert findings(cast_throws_out_of_float32, a_flow(held=(BIAS,)), MODEL, NEW, CPU, BF16, a_cast()) == []
    assert findings(cast_throws_out_of_float32, a_flow(held=(BIAS,)), MODEL, NEW, CPU, Asked(dtype="fp32")) == []
    assert findings(cast_throws_out_of_float32, a_flow(), MODEL, NEW, CPU, BF16) == []


# --- IVD413

NO_KERNEL = "\"native_layer_norm\" not implemented for 'BFloat16'"


def test_ivd413_fires_on_an_operator_that_raised_here() -> None:
    """An error in the judged precision, with the modules that call it; on a device, likely, for the shapes are small."""
    (found,) = findings(operator_missing_here, a_replay({"aten.native_layer_norm": NO_KERNEL}), a_flow(), a_miniature(), MODEL, NEW, A100, BF16)
    assert (found.severity, found.confidence) == (Severity.ERROR, "likely")
    assert found.message == f"aten.native_layer_norm of bfloat16, bfloat16, bfloat16 raises on {A100.name}: {NO_KERNEL}"
    assert found.evidence == ("called in model.vision_tower.encoder.layer.*.norm1",)
    assert found.fixes[0].code == "model = model.to(torch.float32)"
    assert found.fixes[0].trial.status == "not-tried"


def test_ivd413_fires_as_a_note_where_the_inventory_is_of_another_precision() -> None:
    """Nobody asked for that one."""
    replay = a_replay({"aten.linear": NO_KERNEL})
    assert [one.severity for one in findings(operator_missing_here, replay, MODEL, NEW, A100, Asked(dtype="fp16"))] == [Severity.NOTE]


def test_ivd413_silent_where_every_pair_runs_or_the_model_itself_was_run() -> None:
    """And on a CPU where its miniature ran: small shapes are not the model."""
    replay = a_replay({"aten.linear": NO_KERNEL})
    assert findings(operator_missing_here, a_replay(), MODEL, NEW, A100, BF16) == []
    assert findings(operator_missing_here, replay, a_flow(), a_miniature(), MODEL, NEW, CPU, BF16) == []
    assert findings(operator_missing_here, replay, MODEL, NEW, A100, BF16, a_cast(A100.name, fed={("bf16", "fp32"): ""})) == []
    assert findings(operator_missing_here, Replay(paired="loaded:bf16/fp32", pairs=()), MODEL, NEW, A100, BF16) == []


# --- IVD414


def test_ivd414_fires_on_an_operator_that_the_targets_torch_lacks() -> None:
    """An old CPU wheel in float16, by the table."""
    pairs = tuple(replace(one, dtypes=tuple("float16" for _ in one.dtypes)) for one in a_flow().pairs)
    facts = (a_flow(pairs=pairs), MODEL, NEW, target("zen3"), Asked(dtype="fp16", targets=("zen3",), torch="2.1"))
    (found,) = findings(operator_missing_there, a_torch(version="2.1.0"), *facts)
    assert (found.severity, found.confidence) == (Severity.WARNING, "likely")
    assert "torch 2.1.0 on a CPU has no fp16 kernel for conv2d, conv3d, linear" in found.message.replace("conv1d, ", "")
    assert found.fixes[0].code == "model = model.float()"


def test_ivd414_silent_where_no_table_knows_the_operator_there() -> None:
    """Of GPUs none does; a new torch has them; the flow never met them in bf16."""
    facts = (MODEL, NEW, Asked(dtype="bf16", targets=("zen3",)))
    assert findings(operator_missing_there, a_flow(), a_torch(version="2.13.0"), target("zen3"), *facts) == []
    assert findings(operator_missing_there, a_flow(), a_torch(version="2.1.0"), target("T4"), *facts) == []
    assert findings(operator_missing_there, a_flow(), target("zen3"), *facts) == []
    assert findings(operator_missing_there, a_flow(pairs=()), a_torch(version="1.13.0"), target("zen3"), *facts) == []


# --- IVD415


def test_ivd415_fires_where_the_flow_could_not_be_carried_through() -> None:
    """With its reason; a cell that was not made is one too."""
    (found,) = findings(flow_unknown, a_flow(unknown={"bf16/fp32": "its forward takes `mel_lens`, which nobody knows"}), MODEL, NEW, CPU, BF16)
    assert found.severity is Severity.NOTE
    assert found.message.endswith("is unknown: its forward takes `mel_lens`, which nobody knows")
    assert findings(flow_unknown, a_flow(cells=()), MODEL, NEW, CPU, BF16)[0].message.endswith("the flow has no such cell")
    assert findings(flow_unknown, a_flow(unrun=("vision_tower",)), MODEL, NEW, CPU, BF16)[0].message.endswith("did not reach vision_tower")


def test_ivd415_silent_where_it_ran_or_the_model_itself_did() -> None:
    """A real run of the same cell needs no shadow."""
    unknown = a_flow(unknown={"bf16/fp32": "no"})
    assert findings(flow_unknown, a_flow({"bf16/fp32": CLASH}), MODEL, NEW, CPU, BF16) == []
    assert findings(flow_unknown, unknown, MODEL, NEW, CPU, BF16, a_cast(fed={("bf16", "fp32"): ""})) == []
    assert findings(flow_unknown, unknown, MODEL, NEW, CPU, Asked(dtype="fp16")) == []
    assert findings(flow_unknown, a_flow(cells=(), misfit="ImportError: no"), MODEL, NEW, CPU, BF16) == []


# --- IVD416


def test_ivd416_fires_where_the_repositorys_code_breaks_on_the_installed_transformers() -> None:
    """Before any talk of dtypes."""
    misfit = a_flow(cells=(), pairs=(), misfit="ImportError: cannot import name 'is_torch_fx_available'")
    (found,) = findings(its_own_code_does_not_fit, misfit, a_model(model_type="ours", remote_code=True), NEW)
    assert found.severity is Severity.ERROR
    assert found.message == "the code of model does not run with transformers 5.23.0: ImportError: cannot import name 'is_torch_fx_available'"
    assert findings(flow_raises, misfit, MODEL, NEW, CPU, NAMED) == []


def test_ivd416_silent_where_the_code_fits_or_the_tables_know_better() -> None:
    """IVD320 names the release that it takes."""
    assert findings(its_own_code_does_not_fit, a_flow(), MODEL, NEW) == []
    known = a_model(model_type="internvl_chat", name="InternVideo2_5_Chat_8B", remote_code=True, code=("modeling_internvl_chat_hico2",))
    assert findings(its_own_code_does_not_fit, a_flow(cells=(), misfit="ImportError: no"), known, NEW) == []
