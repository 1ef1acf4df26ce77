"""IVD6xx: numbers that go wrong without an exception."""

from dataclasses import replace
from pathlib import Path

import pytest

from ivdoctor.facts import Asked, Half, Kept, Limits, Mismatch, Model, Packages, Place, Rounding
from ivdoctor.finding import Finding, Severity
from ivdoctor.rules.ivd6xx import (
    cast_changes_the_output,
    cast_overflows,
    fp16_for_a_bf16_model,
    little_fp16_headroom,
    rotary_frequencies_cast,
    router_bias_cast,
    weights_rounded_twice,
)
from ivdoctor.testing import a_cast, a_mismatch, a_model, a_place, findings, recorded, some_packages

MACHINES = Path(__file__).parent.parent / "machines"
NATIVE = [a_place("sm_80", "NVIDIA A100-SXM4-80GB"), a_place("gfx942", "AMD Instinct MI300X"), a_place("cpu", features=("amx_bf16",))]
EMULATED = [a_place("sm_75", "Tesla T4"), a_place("sm_61", "Tesla P40"), a_place("cpu", features=("avx2",))]
A100, T4, P40, PLAIN_CPU = NATIVE[0], *EMULATED
M2 = a_place("mps", "Apple M2")
EVERYWHERE = [*NATIVE, *EMULATED, M2]

OLD, NEW = some_packages({"transformers": "4.57.6"}), some_packages({"transformers": "5.0.0"})
ROTARY = Kept(name="model.rotary_emb.inv_freq", what="rotary", off={"bf16": 0.36, "fp16": 0.16}, position=4096)
ROUTER = Kept(name="model.layers.3.mlp.gate.e_score_correction_bias", what="router")
QUESTIONS = [Asked(), Asked(dtype="bf16"), Asked(dtype="fp16"), Asked(dtype="fp32")]


def title(place: Place) -> str:
    return place.title


def loaded_in(finding: Finding) -> list[str]:
    """The formats its fixes compute in, best first."""
    return [fix.code.rpartition("torch.")[2].rstrip(")") for fix in finding.fixes]


def with_rounding(changed: float) -> Mismatch:
    """The reproduction, with this many weights on another value after the second rounding."""
    mismatch = a_mismatch()
    trials = [replace(one, metrics=one.metrics | {"weights_changed": changed}) if one.remedy == "half-then-bf16" else one for one in mismatch.trials]
    return replace(mismatch, trials=tuple(trials))


@pytest.mark.parametrize("place", NATIVE, ids=lambda place: place.title)
def test_ivd601_fires_with_the_count_and_leads_with_one_cast(place: Place) -> None:
    """The counts are the trial's, and the line that was tried in its stead is the fix."""
    (found,) = findings(weights_rounded_twice, with_rounding(693.0), place)
    assert found.severity is Severity.NOTE
    assert found.category == "silent-wrong-dtype"
    assert found.message == ".half().to(torch.bfloat16) changes 693 of 11408 fp32 weights against one cast"
    assert found.evidence == ("counted on the miniature, on cpu",)
    assert found.fixes[0].code == "model = model.to(torch.bfloat16)"
    assert (found.fixes[0].trial.status, found.fixes[0].trial.after) == ("passed", "ran, output bfloat16")


def test_ivd601_fires_on_the_recorded_run() -> None:
    """Some of the miniature's random weights really end on another bfloat16 value."""
    (found,) = findings(weights_rounded_twice, *recorded(MACHINES / "cpu.json"))
    assert "of 0 fp32 weights" not in found.message


@pytest.mark.parametrize("place", EMULATED, ids=lambda place: place.title)
def test_ivd601_fires_without_leading_to_bf16_where_it_is_emulated(place: Place) -> None:
    """One rounding is better than two, and none of bf16 at all is better there."""
    for found in findings(weights_rounded_twice, with_rounding(693.0), place):
        assert not any("bfloat16" in fix.code for fix in found.fixes[:1])


def test_ivd601_silent_where_nothing_changed_or_nothing_was_tried() -> None:
    """A count of zero is no finding, and without trials there is no count."""
    place = NATIVE[0]
    assert findings(weights_rounded_twice, with_rounding(0.0), place) == []
    assert findings(weights_rounded_twice, Mismatch(cells=(), towers=(), trials=()), place) == []


@pytest.mark.parametrize("place", NATIVE, ids=title)
def test_ivd601_fires_with_the_count_of_the_models_own_weights(place: Place) -> None:
    """Instead of the miniature's, whose trials lie beside it."""
    (found,) = findings(weights_rounded_twice, a_cast(place.name), a_mismatch(), a_model(), place)
    assert found.message == ".half().to(torch.bfloat16) changes 1,371,655 of 22,713,216 weights against one cast"
    assert found.evidence == ("counted on the weights of model, stored as float32",)
    assert [fix.title for fix in found.fixes] == ["Load in bfloat16 at once, and cast nothing afterwards"]
    assert loaded_in(found) == ["bfloat16"]
    assert (found.fixes[0].trial.status, found.fixes[0].trial.how) == ("passed", "real-run")


@pytest.mark.parametrize(("place", "dtype"), [(T4, "float16"), (M2, "float16"), (P40, "float32"), (PLAIN_CPU, "float32")])
def test_ivd601_fires_on_a_model_without_leading_to_bf16_where_it_is_emulated(place: Place, dtype: str) -> None:
    """One rounding, to what the device computes in."""
    (found,) = findings(weights_rounded_twice, a_cast(place.name), a_model(), place)
    assert loaded_in(found) == [dtype]


def test_ivd601_fires_without_leading_to_a_format_that_failed() -> None:
    """Rounded once or twice, it drifts."""
    (found,) = findings(weights_rounded_twice, a_cast("cuda:0", drift={"bf16": 0.4}), a_model(), A100)
    assert loaded_in(found) == ["float16"]


def test_ivd601_silent_on_a_model_whose_weights_all_survive() -> None:
    """The miniature's count is no news of it; without a count there is nothing to say."""
    whole = Rounding(stored="bfloat16", weights=10, changed=0)
    assert findings(weights_rounded_twice, a_cast(rounding=whole), with_rounding(693.0), a_model(), A100) == []
    assert findings(weights_rounded_twice, a_cast(rounding=None), with_rounding(693.0), a_model(), A100) == []


@pytest.mark.parametrize(
    ("asked", "packages", "severity"),
    [
        (Asked(dtype="bf16"), NEW, Severity.ERROR),
        (Asked(dtype="bf16"), OLD, Severity.ERROR),
        (Asked(), NEW, Severity.WARNING),
        (Asked(), OLD, Severity.NOTE),
        (Asked(dtype="fp16"), NEW, Severity.NOTE),
        (Asked(dtype="fp32"), NEW, Severity.NOTE),
    ],
)
def test_ivd602_fires_on_a_drift_and_weighs_it_by_what_was_asked(asked: Asked, packages: Packages, severity: Severity) -> None:
    """What would be loaded depends on the installed transformers."""
    (found,) = findings(cast_changes_the_output, a_cast("cuda:0", drift={"bf16": 0.3}), A100, a_model(), packages, asked)
    assert found.severity is severity
    assert found.message == "bf16 changes what model says: relative L2 0.3, limit 0.1; cosine 0.9578, limit 0.99"
    assert found.evidence == (
        "most is lost at encoder.layer.3, BertLayer, from there on 0.3",
        "2 sentences of ten words through the model's own tokenizer; last_hidden_state 2x13x384 against fp32",
    )


def test_ivd602_fires_on_logits_whose_first_choices_differ() -> None:
    """A distance within the limit, and another token at one position in five."""
    cast = a_cast("cuda:0", drift={"bf16": 0.09}, logits={"bf16": (0.8, 0.02), "fp16": (1.0, 1e-5)})
    (found,) = findings(cast_changes_the_output, cast, A100, a_model())
    assert found.message == "bf16 changes what model says: the same first choice at 80.0% of positions, limit 90%"
    (found,) = findings(cast_changes_the_output, a_cast(logits={"bf16": (1.0, 0.5), "fp16": (1.0, 0.0)}), A100, a_model())
    assert found.message == "bf16 changes what model says: KL divergence 0.5 nats, limit 0.1"


@pytest.mark.parametrize(
    ("place", "formats"),
    [
        (A100, ["float16", "float32"]),
        (T4, ["float16", "float32"]),
        (M2, ["float16", "float32"]),
        (P40, ["float32", "float16"]),
        (PLAIN_CPU, ["float32", "float16"]),
    ],
    ids=lambda value: value.title if isinstance(value, Place) else "",
)
def test_ivd602_fires_and_leads_to_a_native_format_within_the_limits(place: Place, formats: list[str]) -> None:
    """Never back to the one that drifts, though its trial, which asks for less, passed."""
    cast = a_cast(place.name, drift={"bf16": 0.3})
    assert {one.status for one in cast.trials} == {"passed"}
    for asked in (Asked(), Asked(dtype="bf16")):
        (found,) = findings(cast_changes_the_output, cast, place, a_model(), asked)
        assert loaded_in(found) == formats


def test_ivd602_fires_on_each_format_and_leaves_fp32() -> None:
    """On an A100 too: two formats drift, one is left."""
    both = findings(cast_changes_the_output, a_cast("cuda:0", drift={"bf16": 0.3, "fp16": 2.0}), A100, a_model(), Asked(dtype="fp16"))
    assert [(one.severity, loaded_in(one)) for one in both] == [(Severity.NOTE, ["float32"]), (Severity.ERROR, ["float32"])]


def test_ivd602_fires_and_does_not_advise_fp16_near_its_end() -> None:
    """What IVD604 warns of is no way out of a drift."""
    (found,) = findings(cast_changes_the_output, a_cast("cuda:0", drift={"bf16": 0.3}, headroom=0.9), T4, a_model(), Asked(dtype="bf16"))
    assert loaded_in(found) == ["float32"]


def test_ivd602_fires_on_a_model_that_clamps_what_has_overflowed() -> None:
    """Finite at the end, and not on the way: T5 does so. The module is named, and no distance of -1."""
    cast = a_cast("cuda:0", drift={"fp16": 0.5})
    overflowed = a_cast("cuda:0", overflow=("fp16",)).run("fp16")
    assert overflowed is not None
    runs = tuple(
        replace(one, first_nonfinite=overflowed.first_nonfinite, lost_at=overflowed.lost_at, modules=overflowed.modules)
        if one.dtype == "fp16"
        else one
        for one in cast.runs
    )
    (found,) = findings(cast_changes_the_output, replace(cast, runs=runs, headroom=1.6), A100, a_model())
    assert found.evidence[0] == "NaN or Inf on the way, first in encoder.layer.2.output.dense"
    assert not any("-1" in line for line in found.evidence)


def test_ivd602_silent_within_the_limits_and_where_there_is_nothing_to_compare() -> None:
    """Rounding is no drift; what overflowed, raised or was not run is another's matter."""
    for cast in (
        a_cast(),
        a_cast(how="miniature"),
        a_cast(overflow=("fp16",)),
        a_cast(raised={"bf16": "no"}),
        a_cast(skipped={"bf16": "8 minutes"}),
        a_cast(logits={"bf16": (0.97, 0.004), "fp16": (1.0, 1e-5)}),
    ):
        assert findings(cast_changes_the_output, cast, A100, a_model(), Asked(dtype="bf16")) == []


def test_ivd602_silent_where_the_limit_was_raised() -> None:
    """`--limit relative_l2=0.5 --limit cosine=0.9`."""
    asked = Asked(dtype="bf16", limits=Limits(relative_l2=0.5, cosine=0.9))
    assert findings(cast_changes_the_output, a_cast(drift={"bf16": 0.3}), A100, a_model(), asked) == []


@pytest.mark.parametrize(
    ("asked", "model", "severity"),
    [
        (Asked(dtype="fp16"), a_model(), Severity.ERROR),
        (Asked(), a_model(dtype="float16"), Severity.ERROR),
        (Asked(), a_model(), Severity.NOTE),
        (Asked(dtype="bf16"), a_model(dtype="float16"), Severity.NOTE),
    ],
)
def test_ivd603_fires_with_the_first_module_that_is_not_finite(asked: Asked, model: Model, severity: Severity) -> None:
    """And with how loud the baseline is, which says why."""
    (found,) = findings(cast_overflows, a_cast("cuda:0", overflow=("fp16",)), A100, model, NEW, asked)
    assert found.severity is severity
    assert found.category == "fp16-overflow"
    assert found.message == "model in fp16 gives 9984 NaN or Inf, first in encoder.layer.2.output.dense"
    assert found.evidence[0] == "in fp32 the largest activation is 1.05e+05, in encoder.layer.2.output.dense; float16 ends at 65504"


@pytest.mark.parametrize("place", EVERYWHERE, ids=title)
def test_ivd603_fires_and_leads_to_bf16_only_where_it_is_native(place: Place) -> None:
    """fp32 elsewhere, and never fp16 again."""
    for asked in (Asked(), Asked(dtype="fp16")):
        (found,) = findings(cast_overflows, a_cast(place.name, overflow=("fp16",)), place, a_model(), asked)
        assert loaded_in(found) == (["bfloat16", "float32"] if place.dtypes.bf16 == "native" else ["float32", "bfloat16"])
        assert {(fix.trial.status, fix.trial.where) for fix in found.fixes} == {("passed", place.name)}


def test_ivd603_fires_on_bf16_under_no_category() -> None:
    """It is no overflow of fp16's; and its range explains nothing."""
    (found,) = findings(cast_overflows, a_cast("cuda:0", overflow=("bf16",)), A100, a_model(), Asked(dtype="bf16"))
    assert found.category == ""
    assert not any("65504" in line for line in found.evidence)
    assert loaded_in(found) == ["float16", "float32"]


def test_ivd603_fires_without_a_module_where_none_was_seen() -> None:
    """The output alone may be beyond."""
    cast = a_cast("cuda:0", overflow=("fp16",))
    runs = tuple(replace(one, first_nonfinite="") for one in cast.runs)
    (found,) = findings(cast_overflows, replace(cast, runs=runs), A100, a_model())
    assert found.message == "model in fp16 gives 9984 NaN or Inf"


def test_ivd603_silent_where_every_number_is_finite() -> None:
    """However far it is; and a format that did not run gave no numbers. Of the miniature IVD404 says it."""
    for cast in (
        a_cast(),
        a_cast(how="miniature", overflow=("fp16",)),
        a_cast(drift={"fp16": 3.0}),
        a_cast(raised={"fp16": "no"}),
        a_cast(skipped={"fp16": "no"}),
    ):
        assert findings(cast_overflows, cast, A100, a_model(), Asked(dtype="fp16")) == []


def test_ivd606_fires_with_the_worst_of_the_models_own_frequencies() -> None:
    """At the position where the share was taken."""
    mild = replace(ROTARY, name="vision.rotary.inv_freq", off={"bf16": 0.1, "fp16": 0.0}, position=512)
    (found,) = findings(rotary_frequencies_cast, a_cast("cuda:0", kept=(mild, ROTARY)), A100, a_model())
    assert found.severity is Severity.NOTE
    assert found.category == "silent-wrong-dtype"
    assert found.message == (
        ".to(dtype) rounds model.rotary_emb.inv_freq: at position 4096 36% in bf16 and 16% in fp16 of the cosines are off by more than 0.1"
    )
    assert found.evidence == ("vision.rotary.inv_freq", "model.rotary_emb.inv_freq")
    assert [fix.title for fix in found.fixes] == ["Load in bfloat16 at once, and cast nothing afterwards"]


def test_ivd606_silent_where_no_cosine_is_off_and_on_other_tensors() -> None:
    """A short context, or no rotary embedding."""
    near = replace(ROTARY, off={"bf16": 0.0, "fp16": 0.0}, position=128)
    for kept in ((), (near,), (ROUTER,)):
        assert findings(rotary_frequencies_cast, a_cast(kept=kept), A100, a_model()) == []


def test_ivd607_fires_with_the_tensors_that_a_cast_reaches() -> None:
    """Counted, the first of them named."""
    other = Kept(name="model.embed_scale", what="other")
    (found,) = findings(router_bias_cast, a_cast("cuda:0", kept=(other, ROUTER, ROTARY)), A100, a_model())
    assert found.severity is Severity.NOTE
    assert found.message == ".to(dtype) casts 2 tensors that from_pretrained(dtype=) keeps in fp32: model.embed_scale"
    assert found.evidence == ("model.embed_scale: bf16, fp16", f"{ROUTER.name}: bf16, fp16")
    assert loaded_in(found) == ["bfloat16"]


def test_ivd607_silent_where_only_rotary_frequencies_are_kept() -> None:
    """Those are IVD606's."""
    assert findings(router_bias_cast, a_cast(kept=(ROTARY,)), A100, a_model()) == []
    assert findings(router_bias_cast, a_cast(), A100, a_model()) == []


@pytest.mark.parametrize(
    ("place", "asked", "dtype"),
    [
        (A100, Asked(), "bfloat16"),
        (A100, Asked(dtype="fp16"), "float16"),
        (T4, Asked(), "float16"),
        (T4, Asked(dtype="bf16"), "float16"),
        (P40, Asked(), "float32"),
        (P40, Asked(dtype="fp16"), "float32"),
        (M2, Asked(), "float16"),
        (PLAIN_CPU, Asked(), "float32"),
        (PLAIN_CPU, Asked(dtype="bf16"), "bfloat16"),
    ],
)
def test_ivd606_and_ivd607_lead_to_the_format_of_the_place_as_a_loader_leaves_it(place: Place, asked: Asked, dtype: str) -> None:
    """A half format is not wanted where the device has none."""
    cast = a_cast(place.name, kept=(ROTARY, ROUTER))
    for rule in (rotary_frequencies_cast, router_bias_cast):
        (found,) = findings(rule, cast, place, a_model(), asked)
        assert loaded_in(found) == [dtype]
        assert "from_pretrained" in found.fixes[0].code


@pytest.mark.parametrize("dtype", ["fp16", "bf16"])
def test_ivd606_and_ivd607_never_lead_to_a_format_that_failed(dtype: Half) -> None:
    """Asked for or not."""
    for cast in (a_cast(kept=(ROTARY, ROUTER), overflow=(dtype,)), a_cast(kept=(ROTARY, ROUTER), raised={dtype: "no"})):
        for asked in QUESTIONS:
            for rule in (rotary_frequencies_cast, router_bias_cast):
                (found,) = findings(rule, cast, A100, a_model(), asked)
                assert loaded_in(found) != [{"fp16": "float16", "bf16": "bfloat16"}[dtype]]


def test_ivd606_and_ivd607_lead_to_a_format_in_which_loading_was_proven() -> None:
    """Where `load-in-bf16` failed and the cast passed, bf16 by a loader is no advice."""
    cast = a_cast("cuda:0", kept=(ROTARY, ROUTER))
    trials = tuple(replace(one, status="failed", after="RuntimeError") if one.remedy == "load-in-bf16" else one for one in cast.trials)
    for rule in (rotary_frequencies_cast, router_bias_cast):
        (found,) = findings(rule, replace(cast, trials=trials), A100, a_model())
        assert loaded_in(found) == ["float16"]


def test_the_lines_of_an_older_transformers_use_its_own_keyword() -> None:
    """In every rule of this hundred that loads: `dtype=` raises before 4.56."""
    older = some_packages({"transformers": "4.44.2"})
    cast = a_cast("cuda:0", kept=(ROTARY, ROUTER), overflow=("fp16",), drift={"bf16": 0.3})
    found = [
        *findings(weights_rounded_twice, cast, a_model(), A100, older),
        *findings(cast_changes_the_output, cast, a_model(), A100, older),
        *findings(cast_overflows, cast, a_model(), A100, older),
        *findings(little_fp16_headroom, a_cast("cuda:0", headroom=0.9), a_model(), A100, older),
        *findings(fp16_for_a_bf16_model, a_cast("cuda:0"), a_model(), T4, older),
        *findings(fp16_for_a_bf16_model, a_model(), T4, older),
        *findings(rotary_frequencies_cast, cast, a_model(), A100, older),
        *findings(router_bias_cast, cast, a_model(), A100, older),
    ]
    lines = [fix.code for one in found for fix in one.fixes if fix.code]
    assert len(lines) >= len(found) == 8
    assert all("torch_dtype=torch." in line for line in lines)
