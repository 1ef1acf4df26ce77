"""IVD7xx: training, AMP, adapters, sharding."""

from dataclasses import replace

import pytest

from ivdoctor.facts import HALVES, Amp, Asked, Half, Misuse, Place, Trial
from ivdoctor.finding import Finding, Severity
from ivdoctor.rule import Rule
from ivdoctor.rules.ivd7xx import (
    SIZE,
    autocast_step_fails,
    embeddings_outside_autocast,
    fp16_weights_under_gradscaler,
    gradscaler_with_bf16,
    half_inside_autocast,
)
from ivdoctor.testing import a_place, a_torch, a_torch_without_cuda, an_amp, findings

CPU = a_place("cpu", features=("avx2",))
AMX = a_place("cpu", features=("amx_bf16", "avx512_bf16", "avx512_fp16"))
T4 = a_place("sm_75", "Tesla T4")
P40 = a_place("sm_61", "Tesla P40")
A100 = a_place("sm_80", "NVIDIA A100-SXM4-80GB")
MPS = a_place("mps", "Apple M3 Max")
PLACES = [CPU, AMX, T4, P40, A100]
NO_CODE = a_torch(arch_list=("sm_90",))

NO_KERNEL = "\"slow_conv2d_cpu\" not implemented for 'Half'"
NO_SCALER = "The operator 'aten::_amp_foreach_non_finite_check_and_unscale_' is not currently implemented for the MPS device."


def found(rule: Rule, place: Place, amp: Amp | None = None, *others: object) -> list[Finding]:
    """What a rule says there; the healthy step unless another is given."""
    return findings(rule, a_torch(), amp or an_amp(place.name), place, *others)


def without(name: str, status: str, place: Place = A100) -> Amp:
    """The healthy step, with one misuse that did not raise."""
    amp = an_amp(place.name)
    tamed = tuple(replace(one, status=status, location=None) if one.name == name else one for one in amp.misuses)  # type: ignore[arg-type]
    return replace(amp, misuses=tamed)


@pytest.mark.parametrize(("place", "dtype"), [(A100, "bf16"), (A100, "fp16"), (T4, "fp16"), (AMX, "bf16"), (MPS, "fp16")])
def test_ivd701_fires_as_a_warning_where_the_format_is_native(place: Place, dtype: Half) -> None:
    """Who checks whether a model runs has not failed because it would not train. The message is torch's, and the other formats that trained are the ways out."""
    (one,) = found(autocast_step_fails, place, an_amp(place.name, refused={dtype: "no kernel"}))
    (asked,) = found(autocast_step_fails, place, an_amp(place.name, refused={dtype: "no kernel"}), Asked(dtype=dtype))
    assert one.severity is asked.severity is Severity.WARNING
    assert one.message == f"a training step under {dtype} autocast fails on {place.name}: no kernel"
    assert one.location
    assert one.fixes[0].trial.status == "passed"
    assert one.fixes[-1].title == "Update torch, this is 2.6.0+cu124"
    assert not [fix for fix in one.fixes if {"fp16": "torch.float16", "bf16": "torch.bfloat16"}[dtype] in fix.code]


@pytest.mark.parametrize(("place", "dtype"), [(T4, "bf16"), (P40, "bf16"), (CPU, "fp16"), (CPU, "bf16")])
def test_ivd701_fires_as_a_note_where_the_format_is_emulated_and_as_a_warning_where_it_was_asked_for(place: Place, dtype: Half) -> None:
    """Nobody should train in it there; who wants to must know."""
    amp = an_amp(place.name, refused={dtype: "no kernel"})
    (one,) = found(autocast_step_fails, place, amp)
    (asked,) = found(autocast_step_fails, place, amp, Asked(dtype=dtype))
    assert (one.severity, asked.severity) == (Severity.NOTE, Severity.WARNING)


def test_ivd701_fires_as_a_note_where_another_format_was_asked_for() -> None:
    """It is beside the question."""
    (one,) = found(autocast_step_fails, A100, an_amp("cuda:0", refused={"fp16": "no kernel"}), Asked(dtype="bf16"))
    assert one.severity is Severity.NOTE


def test_ivd701_fires_as_a_warning_where_the_scaler_alone_lacks_its_kernel() -> None:
    """A Mac of 2024 infers in fp16 and cannot scale its gradients: that is no reason to call it not ready."""
    (one,) = found(autocast_step_fails, MPS, an_amp("mps", refused={"fp16": NO_SCALER}))
    assert one.severity is Severity.WARNING


@pytest.mark.parametrize(
    ("place", "dtype", "category"), [(CPU, "fp16", "cpu-half-op-unsupported"), (CPU, "bf16", "bf16-op-unsupported"), (A100, "fp16", "")]
)
def test_ivd701_fires_in_the_category_of_the_missing_kernel(place: Place, dtype: Half, category: str) -> None:
    """As the reproduction's does."""
    (one,) = found(autocast_step_fails, place, an_amp(place.name, refused={dtype: NO_KERNEL}))
    assert one.category == category


@pytest.mark.parametrize(("dtype", "category"), [("fp16", "fp16-overflow"), ("bf16", "")])
def test_ivd701_fires_where_gradients_are_not_finite(dtype: Half, category: str) -> None:
    """And does not lay it on torch's age."""
    (one,) = found(autocast_step_fails, A100, an_amp("cuda:0", overflow=(dtype,)))
    assert one.message.endswith("ran, and the gradients are not finite")
    assert one.category == category
    assert all(fix.trial.status == "passed" for fix in one.fixes)
    assert one.evidence


@pytest.mark.parametrize("place", [*PLACES, MPS], ids=lambda place: place.title)
def test_ivd701_silent_where_both_steps_train(place: Place) -> None:
    """Whatever was asked."""
    for dtype in ("auto", *HALVES):
        assert found(autocast_step_fails, place, None, Asked(dtype=dtype)) == []  # type: ignore[arg-type]  # the words it takes


def test_ivd701_silent_where_torch_has_no_such_autocast() -> None:
    """Absence is no failure: 1.13 has no GradScaler for the CPU."""
    amp = an_amp()
    absent = replace(amp, steps=tuple(replace(one, status="absent", loss=0.0, moved=False, message="no GradScaler") for one in amp.steps))
    assert found(autocast_step_fails, AMX, absent, Asked(dtype="fp16")) == []


def test_ivd701_silent_where_the_scaler_backed_off_and_then_trained() -> None:
    """Every scaler does so at the start."""
    amp = an_amp()
    after = replace(amp, steps=tuple(replace(one, message="the scaler backed off: it skipped 3 steps") for one in amp.steps))
    assert found(autocast_step_fails, AMX, after) == []


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.title)
def test_ivd702_fires_with_what_a_scaler_says(place: Place) -> None:
    """Where bf16 is native it leads; where only fp16 is, fp32 weights under fp16 autocast; else fp32 without either."""
    (one,) = found(fp16_weights_under_gradscaler, place)
    assert (one.severity, one.category) == (Severity.NOTE, "amp-gradscaler-misuse")
    assert one.message == "a GradScaler given the gradients of fp16 weights raises: Attempting to unscale FP16 gradients."
    assert one.location
    lead = one.fixes[0]
    device = "cpu" if place.kind == "cpu" else "cuda"
    bf16 = (
        f'model = model.float()\nwith torch.autocast("{device}", torch.bfloat16):\n    loss = model(**batch).loss\nloss.backward()\noptimizer.step()'
    )
    fp16 = f'model = model.float()\nwith torch.autocast("{device}", torch.float16):\n    loss = model(**batch).loss'
    fp32 = "model = model.float()\nloss = model(**batch).loss\nloss.backward()\noptimizer.step()"
    assert lead.code == {A100: bf16, AMX: bf16, T4: fp16}.get(place, fp32)
    assert (lead.trial.status, lead.trial.how, lead.trial.where) == ("passed", "miniature", place.name)
    assert lead.trial.before == "ValueError: Attempting to unscale FP16 gradients."
    assert all("65504" in fix.title for fix in one.fixes if "torch.float16" in fix.code)


def test_ivd702_fires_with_one_fix_a_format() -> None:
    """The smallest change of each."""
    (one,) = found(fp16_weights_under_gradscaler, A100)
    assert len(one.fixes) == 3
    assert "model = model.to(torch.bfloat16)" not in {fix.code.splitlines()[0] for fix in one.fixes}


def test_ivd703_fires_where_the_scaler_has_no_kernel_for_bf16() -> None:
    """CUDA's message, and the scaler dropped."""
    (one,) = found(gradscaler_with_bf16, A100)
    assert (one.severity, one.category) == (Severity.NOTE, "amp-gradscaler-misuse")
    assert "\"_amp_foreach_non_finite_check_and_unscale_cuda\" not implemented for 'BFloat16'" in one.message
    assert (one.fixes[0].title, one.fixes[0].code) == ("Drop the GradScaler: bf16 has the range of fp32", "loss.backward()\noptimizer.step()")


def test_ivd703_fires_on_a_t4_and_leads_away_from_bf16() -> None:
    """A scaler is right there, and bf16 is not: adapters in bf16 beside `fp16=True` are how people get here."""
    (one,) = found(gradscaler_with_bf16, T4)
    assert "torch.float16" in one.fixes[0].code


def test_ivd703_silent_on_the_cpu_where_it_runs() -> None:
    """Useless is not failing."""
    assert found(gradscaler_with_bf16, CPU) == []


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.title)
def test_ivd704_fires_with_the_operator_that_has_no_answer(place: Place) -> None:
    """And one line, right in every format."""
    (one,) = found(half_inside_autocast, place)
    assert one.severity is Severity.NOTE
    assert one.message == "a vision tower in .half() under bf16 autocast raises: Unexpected floating ScalarType in at::autocast::prioritize"
    assert one.location
    assert one.location.op == "aten.cat"
    assert [(fix.title, fix.code) for fix in one.fixes] == [
        ("Remove the .half(): autocast casts what it computes", "vit_embeds = model.vision(pixel_values)")
    ]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.title)
def test_ivd705_fires_and_leads_with_the_cast_at_the_scatter(place: Place) -> None:
    """No format is named in it, so it is right on a T4 as well."""
    (one,) = found(embeddings_outside_autocast, place)
    assert (one.severity, one.category) == (Severity.NOTE, "index-write-dtype-mismatch")
    assert "gotFloat and BFloat16" in one.message
    assert one.fixes[0].code == "inputs_embeds = inputs_embeds.masked_scatter(mask, vit_embeds.to(inputs_embeds.dtype))"
    assert one.fixes[0].trial.status == "passed"


def test_ivd702_and_ivd703_and_ivd704_and_ivd705_silent_where_the_misuse_ran_or_could_not_be_shown() -> None:
    """A PyTorch that lets it pass, or that has no scaler, shows nothing."""
    for status in ("ran", "absent"):
        assert found(fp16_weights_under_gradscaler, A100, without("fp16-weights-scaled", status)) == []
        assert found(gradscaler_with_bf16, A100, without("bf16-scaled", status)) == []
        assert found(half_inside_autocast, A100, without("half-inside-autocast", status)) == []
        assert found(embeddings_outside_autocast, A100, without("embeddings-outside-autocast", status)) == []
    nothing = Amp(steps=())
    for rule in (autocast_step_fails, fp16_weights_under_gradscaler, gradscaler_with_bf16, half_inside_autocast, embeddings_outside_autocast):
        assert found(rule, A100, nothing) == []


def test_ivd701_and_ivd702_and_ivd703_and_ivd704_and_ivd705_silent_where_the_build_has_no_code_for_the_device() -> None:
    """`no kernel image` says nothing about autocast; IVD103 says it once."""
    amp = an_amp("cuda:0", refused={"fp16": "no kernel image is available", "bf16": "no kernel image is available"})
    for rule in (autocast_step_fails, fp16_weights_under_gradscaler, gradscaler_with_bf16, half_inside_autocast, embeddings_outside_autocast):
        assert findings(rule, NO_CODE, amp, A100) == []
        assert findings(rule, a_torch(), amp, A100) != []


def test_every_message_is_one_line() -> None:
    """A note is read in passing."""
    for rule in (fp16_weights_under_gradscaler, gradscaler_with_bf16, half_inside_autocast, embeddings_outside_autocast):
        (one,) = found(rule, A100)
        assert len(one.message.splitlines()) == 1
        assert one.evidence == ()


def test_a_fix_says_what_its_format_costs_there() -> None:
    """On a T4 bf16 is emulated."""
    (one,) = found(embeddings_outside_autocast, T4)
    assert "emulated" not in one.fixes[0].title
    assert [fix.title for fix in one.fixes if "bfloat16" in fix.code] == [
        "Train in bfloat16, without autocast and scaler (bf16 is emulated here, so it is slow)"
    ]


def test_a_remedy_that_failed_is_not_advised() -> None:
    """Whatever it was to cure."""
    amp = an_amp("cuda:0", overflow=("bf16",))
    codes = [fix.code for rule in (fp16_weights_under_gradscaler, gradscaler_with_bf16) for one in found(rule, A100, amp) for fix in one.fixes]
    assert codes
    assert not [code for code in codes if "bfloat16" in code or code.startswith("loss.backward")]


def test_the_rules_know_every_remedy_of_a_real_run_and_read_its_misuses() -> None:
    """What the trials try, the rules can advise; on this CPU the real fact gives what the builder gives."""
    library = pytest.importorskip("torch")
    from ivdoctor.probes.amp import amp as look

    threads = library.get_num_threads()
    real = look(torch=a_torch_without_cuda(), place=CPU)
    library.set_num_threads(threads)
    assert isinstance(real, Amp)
    assert {trial.remedy for trial in real.trials} <= set(SIZE)
    raised: dict[str, Misuse] = {one.name: one for one in real.misuses if one.status == "raised"}
    rules = {
        "fp16-weights-scaled": fp16_weights_under_gradscaler,
        "bf16-scaled": gradscaler_with_bf16,
        "half-inside-autocast": half_inside_autocast,
        "embeddings-outside-autocast": embeddings_outside_autocast,
    }
    assert found(autocast_step_fails, CPU, real) == []
    for name, rule in rules.items():
        seen = found(rule, CPU, real)
        assert len(seen) == (name in raised)
        for one in seen:
            assert one.message.endswith(raised[name].message)
            assert one.fixes[0].trial.status == "passed"


def test_the_rules_know_every_remedy_there_is() -> None:
    """Those for steps that fail included."""
    made: tuple[Trial, ...] = (*an_amp("cuda:0", overflow=("bf16",)).trials, *an_amp("cuda:0", overflow=("fp16",)).trials)
    assert {trial.remedy for trial in made} == set(SIZE)
