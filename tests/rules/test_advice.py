"""The advice of all rules together, on every kind of device and for every question: what a hardware engineer would object to."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from ivdoctor.engine import judge
from ivdoctor.facts import (
    HALVES,
    Adapter,
    Amp,
    Anatomy,
    Asked,
    Cast,
    Checkpoint,
    Driver,
    Environ,
    Failure,
    Gpu,
    Half,
    Kept,
    Mismatch,
    Model,
    Native,
    Packages,
    Place,
    Precision,
    Torch,
    Version,
)
from ivdoctor.finding import Finding
from ivdoctor.lines import INPUTS
from ivdoctor.plugins import plugins
from ivdoctor.testing import (
    OPERATIONS,
    a_cast,
    a_checkpoint,
    a_mismatch,
    a_model,
    a_place,
    a_precision,
    a_torch,
    an_amp,
    an_environ,
    an_operation,
    some_packages,
)

T4 = a_place("sm_75", "Tesla T4")
V100 = a_place("sm_70", "Tesla V100-SXM2-32GB")
P40 = a_place("sm_61", "Tesla P40")
A100 = a_place("sm_80", "NVIDIA A100-SXM4-80GB")
H100 = a_place("sm_90", "NVIDIA H100 80GB HBM3")
MI300X = a_place("gfx942", "AMD Instinct MI300X")
MI50 = a_place("gfx906", "AMD Instinct MI50")
PLAIN_CPU = a_place("cpu", "a CPU with AVX2", features=("avx2",))
AMX_CPU = a_place("cpu", "a CPU with AMX", features=("amx_bf16", "avx512_bf16", "avx512_fp16"))

QUESTIONS = [
    Asked(dtype=dtype, input_dtype=given)  # type: ignore[arg-type]  # the product of the words it takes
    for dtype, given in product(("auto", *HALVES), (None, *HALVES))
]
FP16 = ("half()", "float16")


def questions(place: Place) -> list[Asked]:
    """Those whose answer is the place's: on a CPU a format asked for by name is kept, because it is only slow."""
    return [asked for asked in QUESTIONS if place.kind != "cpu" or asked.dtype == "auto"]


def about(place: Place, asked: Asked, *others: object) -> Iterator[Finding]:
    """Every finding at a place of a machine that is well but for the other facts given."""
    native = place.dtypes.bf16 == "native"
    facts: dict[type, object] = {
        Asked: asked,
        Place: place,
        Torch: a_torch(cuda=None, hip=Version("6.2.4"), arch_list=("gfx906", "gfx942")) if place.kind == "rocm" else a_torch(),
        Gpu: Gpu(devices=()),
        Packages: some_packages(),
        Environ: an_environ(),
        Precision: a_precision() if place.kind == "cpu" else a_precision(bf16_flag=True, bf16_flag_native=native),
        Mismatch: a_mismatch(place.name),
        Cast: a_cast(place.name, how="miniature"),
        Amp: an_amp(place.name),
    }
    facts |= {type(one): one for one in others}
    for verdict in judge(plugins().rules, facts, place=place.name):
        assert not verdict.error
        assert not verdict.skipped or {Adapter, Anatomy, Checkpoint, Driver, Failure, Model, Native} & {need for _, need in verdict.rule.needs}
        yield from verdict.findings


def runs_bf16(code: str) -> bool:
    """Whether the line makes something bfloat16 without asking the hardware first."""
    return "bfloat16" in code and " if " not in code


@pytest.mark.parametrize("place", [T4, V100, P40, MI50, PLAIN_CPU], ids=lambda place: place.title)
def test_nothing_leads_with_bf16_where_it_is_not_native(place: Place) -> None:
    """Whatever was asked for."""
    leads = [(asked, one.code) for asked in questions(place) for one in about(place, asked) if one.fixes and runs_bf16(one.fixes[0].code)]
    assert leads == []


@pytest.mark.parametrize("place", [P40, PLAIN_CPU], ids=lambda place: place.title)
def test_nothing_leads_with_fp16_where_it_is_not_native(place: Place) -> None:
    """Whatever was asked for; a line that asks the hardware first has tests of its own."""
    code = [one.fixes[0].code for asked in questions(place) for one in about(place, asked) if one.fixes]
    assert not [line for line in code if any(word in line for word in FP16) and "bfloat16" not in line]


@pytest.mark.parametrize("place", [A100, H100, MI300X, AMX_CPU], ids=lambda place: place.title)
def test_the_founding_failure_leads_with_the_whole_model_in_bf16(place: Place) -> None:
    """The maintainers' answer, word for word, where the hardware has bf16."""
    (found,) = [one for one in about(place, Asked()) if one.code == "IVD401"]
    assert found.fixes[0].code == "model = model.to(torch.bfloat16)"


@pytest.mark.parametrize("place", [T4, V100, P40, A100, H100, MI300X, MI50, PLAIN_CPU, AMX_CPU], ids=lambda place: place.title)
def test_every_fix_that_computes_in_fp16_says_where_fp16_ends(place: Place) -> None:
    """bf16 weights and activations may lie beyond 65504, and no miniature can tell."""
    for asked in QUESTIONS:
        for fix in (fix for one in about(place, asked) for fix in one.fixes):
            if fix.trial.after == "ran, output float16" or any(line.endswith((".half()", "to(torch.float16)")) for line in fix.code.splitlines()):
                assert "65504" in fix.title


@pytest.mark.parametrize("place", [A100, H100, MI300X, AMX_CPU], ids=lambda place: place.title)
def test_nobody_is_told_to_round_twice(place: Place) -> None:
    """Not as the first fix, and not as the last."""
    every = [fix.code for asked in QUESTIONS for one in about(place, asked) for fix in one.fixes]
    assert not [code for code in every if "half().to(torch.bfloat16)" in code]


@pytest.mark.parametrize("place", [T4, H100, PLAIN_CPU], ids=lambda place: place.title)
def test_what_is_called_passed_was_run_here(place: Place) -> None:
    """A trial on one device proves nothing for another, and a fix without a trial says why."""
    for fix in (fix for asked in QUESTIONS for one in about(place, asked) for fix in one.fixes):
        if fix.trial.status == "passed":
            assert (fix.trial.how, fix.trial.where) == ("miniature", place.name)
            assert fix.trial.after
        else:
            assert fix.trial.status == "not-tried"
            assert fix.trial.reason


@pytest.mark.parametrize("place", [a_place("sm_120", "NVIDIA GeForce RTX 5090"), P40], ids=lambda place: place.title)
def test_a_build_without_code_for_the_device_is_one_error_and_no_cast(place: Place) -> None:
    """`no kernel image` is no matter of dtype: nothing that ran there says anything about formats."""
    refused = [an_operation(dtype, name, "no kernel image is available") for name in OPERATIONS for dtype in HALVES]
    nothing = Mismatch(cells=(), towers=(), trials=())
    found = list(about(place, Asked(), nothing, a_precision(*refused), a_torch(arch_list=("sm_75", "sm_80"))))
    assert [one.code for one in found if one.severity.value == "error"] == ["IVD103"]
    assert not [one.code for one in found if one.code == "IVD501"]


@pytest.mark.parametrize("place", [T4, V100, P40, A100, H100, MI300X, MI50, PLAIN_CPU, AMX_CPU], ids=lambda place: place.title)
def test_every_finding_has_evidence_or_a_way_out(place: Place) -> None:
    """A message alone helps nobody."""
    for one in (one for asked in QUESTIONS for one in about(place, asked)):
        assert one.fixes or one.evidence, one.code
        assert one.message
        assert all(fix.title for fix in one.fixes)


M2 = a_place("mps", "Apple M2")
EVERYWHERE = [T4, V100, P40, A100, MI300X, MI50, M2, PLAIN_CPU, AMX_CPU]
KEPT = (
    Kept(name="rotary_emb.inv_freq", what="rotary", off={"bf16": 0.36, "fp16": 0.16}, position=4096),
    Kept(name="mlp.gate.e_score_correction_bias", what="router"),
)
FED: dict[tuple[Half, Half], str] = {("bf16", "fp32"): "RuntimeError: clash", ("fp16", "fp32"): "RuntimeError: clash"}


def with_a_model(place: Place, asked: Asked, **changes: Any) -> list[Finding]:
    """Every finding where a model was named and really run; it takes floating inputs, and its loader keeps tensors in fp32."""
    return list(about(place, asked, a_cast(place.name, **{"kept": KEPT, **changes}), a_model(), a_checkpoint()))


def in_half(code: str, dtype: Half) -> bool:
    """Whether the line makes something of this format."""
    return "torch.bfloat16" in code if dtype == "bf16" else ("half()" in code or "torch.float16" in code)


@pytest.mark.parametrize("place", EVERYWHERE, ids=lambda place: place.title)
@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
def test_nobody_is_sent_to_a_format_in_which_the_own_model_failed(place: Place, dtype: Half) -> None:
    """By no rule and in no fix, whatever a miniature did and whatever was asked for."""
    broken: list[dict[str, Any]] = [{"overflow": (dtype,)}, {"raised": {dtype: "no kernel"}}, {"drift": {dtype: 0.3}}]
    broken += [{"headroom": 0.8}] if dtype == "fp16" else []
    for asked, changes in product(QUESTIONS, broken):
        assert [one.code for one in with_a_model(place, asked, **changes) for fix in one.fixes if in_half(fix.code, dtype)] == []


@pytest.mark.parametrize("place", EVERYWHERE, ids=lambda place: place.title)
def test_no_rule_leads_a_model_to_a_format_that_is_not_native(place: Place) -> None:
    """Nor to casting its inputs to one; on a CPU a format asked for by name is kept."""
    for asked in questions(place):
        for one in (one for one in with_a_model(place, asked, fed=FED) if one.fixes):
            lead = one.fixes[0]
            assert not [dtype for dtype in HALVES if in_half(lead.code, dtype) and dtype != "fp32" and place.dtypes.of(dtype) != "native"], one.code
            emulated = one.code == "IVD406" and place.kind != "cpu" and lead.trial.before
            assert not emulated or place.dtypes.of("fp16" if "in fp16" in one.message else "bf16") == "native"


@pytest.mark.parametrize("place", EVERYWHERE, ids=lambda place: place.title)
def test_what_is_called_passed_was_the_users_own_model_here(place: Place) -> None:
    """A rule about casts proves nothing by another device, and says why it proves nothing."""
    for asked in QUESTIONS:
        for one in with_a_model(place, asked, fed=FED, drift={"bf16": 0.3}):
            for fix in one.fixes:
                assert fix.trial.status != "passed" or fix.trial.where == place.name
                assert fix.trial.status != "failed", one.code
                assert fix.trial.status != "not-tried" or fix.trial.reason


@pytest.mark.parametrize("place", [T4, V100, M2], ids=lambda place: place.title)
def test_no_rule_leads_a_family_that_overflows_to_fp16(place: Place) -> None:
    """Made in whatever format and asked about whatever, as long as it was not run in it."""
    casts = (a_cast(place.name, how="miniature"), a_cast(place.name, skipped={"fp16": "8 minutes"}))
    for asked, made, cast in product(QUESTIONS, ("bfloat16", "float32", "float16"), casts):
        for one in about(place, asked, cast, a_model(model_type="gemma3", dtype=made), a_checkpoint()):
            assert not one.fixes or not in_half(one.fixes[0].code, "fp16") or one.code in NAMED, (one.code, one.fixes[0].code)
            for fix in one.fixes:
                assert fix.trial.after != "ran, output float16" or "known to overflow" in fix.title or one.code in NAMED


NAMED = {"IVD307"}
"""It repeats the dtype of the weights, and makes no choice."""


@pytest.mark.parametrize("place", EVERYWHERE, ids=lambda place: place.title)
def test_every_line_that_loads_a_model_whose_inputs_clashed_casts_them(place: Place) -> None:
    """What is called verified was run with its inputs cast."""
    ends: list[dict[str, Any]] = [{}, {"drift": {"bf16": 0.3}}, {"overflow": ("fp16",)}, {"loaded": {"bf16": "no"}}]
    for asked, changes in product(questions(place), ends):
        for one in with_a_model(place, asked, fed=FED, **changes):
            for fix in (fix for fix in one.fixes if fix.trial.status == "passed" and fix.trial.how == "real-run"):
                assert not (in_half(fix.code, "bf16") or in_half(fix.code, "fp16")) or INPUTS in fix.code, one.code
