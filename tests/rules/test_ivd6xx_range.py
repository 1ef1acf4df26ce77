"""IVD604 and IVD605: float16's range, and who was made in another."""

import pytest

from ivdoctor.facts import Asked, Kept, Limits, Model, Place
from ivdoctor.finding import Finding, Severity
from ivdoctor.rules.ivd6xx import (
    fp16_for_a_bf16_model,
    little_fp16_headroom,
)
from ivdoctor.testing import a_cast, a_checkpoint, a_model, a_place, findings, some_packages, some_weights

NATIVE = [a_place("sm_80", "NVIDIA A100-SXM4-80GB"), a_place("gfx942", "AMD Instinct MI300X"), a_place("cpu", features=("amx_bf16",))]
EMULATED = [a_place("sm_75", "Tesla T4"), a_place("sm_61", "Tesla P40"), a_place("cpu", features=("avx2",))]
A100, T4, P40, PLAIN_CPU = NATIVE[0], *EMULATED
M2 = a_place("mps", "Apple M2")
EVERYWHERE = [*NATIVE, *EMULATED, M2]

OLD, NEW = some_packages({"transformers": "4.57.6"}), some_packages({"transformers": "5.0.0"})
ROTARY = Kept(name="model.rotary_emb.inv_freq", what="rotary", off={"bf16": 0.36, "fp16": 0.16}, position=4096)
QUESTIONS = [Asked(), Asked(dtype="bf16"), Asked(dtype="fp16"), Asked(dtype="fp32")]


def title(place: Place) -> str:
    return place.title


def loaded_in(finding: Finding) -> list[str]:
    """The formats its fixes compute in, best first."""
    return [fix.code.rpartition("torch.")[2].rstrip(")") for fix in finding.fixes]


@pytest.mark.parametrize(
    ("asked", "model", "severity"),
    [
        (Asked(dtype="fp16"), a_model(), Severity.WARNING),
        (Asked(), a_model(dtype="float16"), Severity.WARNING),
        (Asked(), a_model(), Severity.NOTE),
        (Asked(dtype="bf16"), a_model(), Severity.NOTE),
    ],
)
def test_ivd604_fires_beyond_half_of_the_range(asked: Asked, model: Model, severity: Severity) -> None:
    """It ran: never an error."""
    (found,) = findings(little_fp16_headroom, a_cast("cuda:0", headroom=0.8), A100, model, NEW, asked)
    assert found.severity is severity
    assert found.message == "the largest activation is 80% of what float16 holds, in encoder.layer.0.output.dense"


@pytest.mark.parametrize("place", EVERYWHERE, ids=title)
def test_ivd604_fires_and_leads_away_from_fp16(place: Place) -> None:
    """Also where it was asked for, and where bf16 is emulated."""
    for asked in QUESTIONS:
        (found,) = findings(little_fp16_headroom, a_cast(place.name, headroom=0.8), place, a_model(), asked)
        assert sorted(loaded_in(found)) == ["bfloat16", "float32"]
        if place.kind != "cpu" and place.dtypes.bf16 != "native":
            assert loaded_in(found)[0] == "float32"


def test_ivd604_silent_with_room_and_where_fp16_did_not_run() -> None:
    """At the limit one doubling is left; an overflow is IVD603's."""
    for cast in (a_cast(), a_cast(headroom=0.5), a_cast(headroom=None), a_cast(how="miniature"), a_cast(overflow=("fp16",))):
        assert findings(little_fp16_headroom, cast, A100, a_model(), Asked(dtype="fp16")) == []
    assert findings(little_fp16_headroom, a_cast(headroom=0.8, raised={"fp16": "no"}), A100, a_model(), Asked(dtype="fp16")) == []
    roomy = Asked(dtype="fp16", limits=Limits(headroom=0.9))
    assert findings(little_fp16_headroom, a_cast(headroom=0.8), A100, a_model(), roomy) == []


@pytest.mark.parametrize(
    ("place", "asked"), [(A100, Asked(dtype="fp16")), (T4, Asked()), (T4, Asked(dtype="bf16")), (M2, Asked()), (T4, Asked(dtype="fp16"))]
)
def test_ivd605_fires_with_what_a_run_showed(place: Place, asked: Asked) -> None:
    """Half an answer: these inputs. A note, and the line that was run."""
    (found,) = findings(fp16_for_a_bf16_model, a_model(), place, a_cast(place.name), NEW, asked)
    assert found.severity is Severity.NOTE
    assert found.message == "float16 for a model made in bfloat16: on these inputs it stays within 0.3% of the range"
    assert found.evidence[1] == "the largest activation is in encoder.layer.0.output.dense"
    assert loaded_in(found) == ["float16"]
    assert (found.fixes[0].title, found.fixes[0].trial.status) == ("Test it on your longest inputs, then use it", "passed")


@pytest.mark.parametrize("place", [P40, PLAIN_CPU], ids=title)
def test_ivd605_fires_without_advice_to_use_fp16_where_it_crawls(place: Place) -> None:
    """That it stays within the range is no reason to run it at 1/64 of the rate."""
    (found,) = findings(fp16_for_a_bf16_model, a_model(), place, a_cast(place.name), Asked(dtype="fp16"))
    assert loaded_in(found)[0] == "float32"
    assert "float16" not in loaded_in(found)
    for model in (a_model(), a_model(model_type="gemma4"), a_model(model_type="t5")):
        (found,) = findings(fp16_for_a_bf16_model, model, place, Asked(dtype="fp16"))
        assert loaded_in(found) == ["float32"]


def test_ivd605_fires_with_the_trial_of_a_loader_and_not_of_cast_inputs() -> None:
    """Two trials compute in fp16 besides; the line that loads is proven by neither."""
    cast = a_cast("cuda:0", fed={("fp16", "fp32"): "RuntimeError: clash"})
    (found,) = findings(fp16_for_a_bf16_model, a_model(), T4, cast)
    assert found.fixes[0].trial.before == ""
    (found,) = findings(fp16_for_a_bf16_model, a_model(), T4, a_cast("cuda:0", kept=(ROTARY,)))
    assert loaded_in(found) == ["float16"]


@pytest.mark.parametrize(
    ("asked", "severity"),
    [(Asked(dtype="fp16"), Severity.WARNING), (Asked(dtype="fp32", input_dtype="fp16"), Severity.WARNING), (Asked(), Severity.NOTE)],
)
def test_ivd605_fires_with_what_is_publicly_known(asked: Asked, severity: Severity) -> None:
    """A family that overflows, with its source; graver where fp16 was named."""
    (found,) = findings(fp16_for_a_bf16_model, a_model(model_type="t5"), T4, asked)
    assert found.severity is severity
    assert found.message == "float16 for a model made in bfloat16: t5 is known to overflow"
    assert "65504" in found.evidence[0]
    assert found.evidence[1].startswith("source: huggingface/transformers issues 5651")
    assert loaded_in(found) == ["float32"]
    assert found.fixes[0].trial.status == "not-tried"


def test_ivd605_fires_and_leads_to_bf16_where_it_is_native() -> None:
    """The format the model was made in."""
    (found,) = findings(fp16_for_a_bf16_model, a_model(model_type="t5"), A100, Asked(dtype="fp16"))
    assert loaded_in(found) == ["bfloat16"]


def test_ivd605_fires_as_a_note_on_a_family_known_to_stay() -> None:
    """Then testing comes first, not a format of twice the size."""
    (found,) = findings(fp16_for_a_bf16_model, a_model(model_type="gemma4"), T4, Asked(dtype="fp16"))
    assert found.severity is Severity.NOTE
    assert found.message.endswith("gemma4 is known to stay within the range")
    assert found.fixes[0].command == "ivdoctor check PATH --dtype fp16"


@pytest.mark.parametrize("cast", [None, a_cast(how="miniature"), a_cast(skipped={"fp16": "8 minutes"})])
def test_ivd605_fires_with_a_test_where_nobody_knows(cast: object) -> None:
    """Of a family in no table, whose weights were not run in fp16; the miniature proves nothing of it."""
    given = (cast,) if cast else ()
    (found,) = findings(fp16_for_a_bf16_model, a_model(), T4, Asked(dtype="fp16"), *given)
    assert found.severity is Severity.WARNING
    assert found.message.endswith("whether it stays within the range is unknown")
    assert [fix.command for fix in found.fixes] == ["ivdoctor check PATH --dtype fp16", ""]
    assert loaded_in(found)[1] == "float32"
    assert findings(fp16_for_a_bf16_model, a_model(), T4, *given)[0].severity is Severity.NOTE


def test_ivd605_fires_by_the_weights_where_the_configuration_is_silent() -> None:
    """They are bfloat16 all the same."""
    (found,) = findings(fp16_for_a_bf16_model, a_model(dtype=""), T4, a_checkpoint(some_weights("bfloat16")))
    assert found.severity is Severity.NOTE


def test_ivd605_silent_where_another_rule_has_the_answer() -> None:
    """A run that overflowed, drifted, raised, or ended near the range's end: nothing here may say `use it`, or `not run`."""
    for cast in (a_cast(overflow=("fp16",)), a_cast(drift={"fp16": 0.3}), a_cast(raised={"fp16": "no"}), a_cast(headroom=0.9)):
        assert findings(fp16_for_a_bf16_model, a_model(), T4, cast, Asked(dtype="fp16")) == []


def test_ivd605_silent_where_fp16_is_in_nobodys_mind() -> None:
    """Made in another format, or on a device that has bf16, or one that has neither."""
    for model in (a_model(dtype="float16"), a_model(dtype="float32")):
        assert findings(fp16_for_a_bf16_model, model, T4, Asked(dtype="fp16")) == []
    for place in (*NATIVE, P40, PLAIN_CPU, a_place("gfx1300", "AMD Unknown")):
        assert findings(fp16_for_a_bf16_model, a_model(), place, NEW) == []
