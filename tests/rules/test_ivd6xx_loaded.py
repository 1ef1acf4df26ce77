"""IVD6xx where loading differs from a cast, where the baseline itself is lost, and where a part was not run."""

import pytest

from ivdoctor.facts import Asked
from ivdoctor.finding import Finding, Severity
from ivdoctor.rules.ivd6xx import cast_changes_the_output, cast_overflows, fp16_for_a_bf16_model, part_not_run
from ivdoctor.testing import a_cast, a_checkpoint, a_model, a_place, findings, some_packages, some_weights

A100 = a_place("sm_80", "NVIDIA A100-SXM4-80GB")
T4 = a_place("sm_75", "Tesla T4")
NEW = some_packages({"transformers": "5.0.0"})


def loaded_in(finding: Finding) -> list[str]:
    """The formats its fixes compute in, best first."""
    return [fix.code.rpartition("torch.")[2].rstrip(")") for fix in finding.fixes]


@pytest.mark.parametrize(
    ("far", "asked", "severity"),
    [
        (0.99, Asked(), Severity.WARNING),
        (1.0, Asked(), Severity.ERROR),
        (1.5, Asked(), Severity.ERROR),
        (1.5, Asked(dtype="bf16"), Severity.ERROR),
        (1.5, Asked(dtype="fp16"), Severity.NOTE),
    ],
)
def test_ivd602_fires_as_an_error_from_the_outputs_own_size_on(far: float, asked: Asked, severity: Severity) -> None:
    """Garbage is garbage, asked for by name or not."""
    (found,) = findings(cast_changes_the_output, a_cast("cuda:0", drift={"bf16": far}), A100, a_model(), NEW, asked)
    assert found.severity is severity


@pytest.mark.parametrize(("asked", "severity"), [(Asked(dtype="fp16"), Severity.WARNING), (Asked(dtype="bf16"), Severity.NOTE)])
def test_ivd602_and_ivd603_fire_as_a_warning_at_most_where_the_model_loads_in_the_format(asked: Asked, severity: Severity) -> None:
    """T5 in fp16: `from_pretrained` keeps what overflows, and a cast afterwards does not."""
    for rule, broken in ((cast_overflows, {"overflow": ("fp16",)}), (cast_changes_the_output, {"drift": {"fp16": 1.5}})):
        cast = a_cast("cuda:0", loaded={"fp16": 0.002}, **broken)
        (found,) = findings(rule, cast, A100, a_model(), NEW, asked)
        assert found.severity is severity
        assert found.fixes[0].title.startswith("Load in float16 at once, and cast nothing afterwards")
        assert "65504" in found.fixes[0].title
        assert "160" not in found.fixes[0].title
        assert found.fixes[0].trial.status == "passed"
        assert loaded_in(found) == ["float16", "bfloat16", "float32"]
        failing = a_cast("cuda:0", loaded={"fp16": "no"}, **broken)
        (found,) = findings(rule, failing, A100, a_model(), NEW, Asked(dtype="fp16"))
        assert (found.severity, loaded_in(found)) == (Severity.ERROR, ["bfloat16", "float32"])


@pytest.mark.parametrize(
    ("asked", "severity"), [(Asked(dtype="fp32"), Severity.ERROR), (Asked(), Severity.NOTE), (Asked(dtype="bf16"), Severity.NOTE)]
)
def test_ivd603_fires_on_a_baseline_that_is_not_finite_and_does_not_offer_it(asked: Asked, severity: Severity) -> None:
    """Nothing was cast, and its numbers are lost all the same."""
    (found,) = findings(cast_overflows, a_cast("cuda:0", nonfinite=7), A100, a_model(), NEW, asked)
    assert (found.severity, found.category) == (severity, "")
    assert found.message == "model in fp32 gives 7 NaN or Inf before any cast"
    assert "float32" not in loaded_in(found)
    (found,) = findings(cast_overflows, a_cast("cuda:0", baseline="fp16", nonfinite=7), A100, a_model(), NEW, Asked(dtype="fp16"))
    assert (found.severity, found.category) == (Severity.ERROR, "fp16-overflow")
    assert loaded_in(found) == ["bfloat16"]


def test_ivd605_fires_by_the_weights_whatever_the_configuration_says() -> None:
    """bf16 weights under float16 or float32: a legacy line of the configuration makes no other model of it."""
    for says in ("float16", "float32"):
        (found,) = findings(fp16_for_a_bf16_model, a_model(dtype=says), T4, a_checkpoint(some_weights("bfloat16")), Asked(dtype="fp16"))
        assert found.severity is Severity.WARNING


def test_ivd605_silent_where_only_loading_at_once_keeps_fp16_finite() -> None:
    """IVD603 has the line; `stays within 160% of the range` would be no news."""
    cast = a_cast("cuda:0", overflow=("fp16",), loaded={"fp16": 0.002})
    assert findings(fp16_for_a_bf16_model, a_model(), T4, cast, Asked(dtype="fp16")) == []


def test_ivd608_fires_with_the_parts_that_no_input_reached() -> None:
    """A warning where a model was named."""
    (found,) = findings(part_not_run, a_cast(unrun=("vision_tower", "multi_modal_projector")))
    assert found.severity is Severity.WARNING
    assert found.message == "these inputs did not reach vision_tower, multi_modal_projector: what is said of the cast is not said of it"
    assert found.evidence == ("2 sentences of ten words through the model's own tokenizer",)
    assert (found.fixes[0].command, found.fixes[0].trial.status) == ("ivdoctor check PATH --inputs FILE.safetensors", "not-tried")
    assert findings(part_not_run, a_cast(how="miniature", unrun=("vision",)))[0].severity is Severity.NOTE


def test_ivd608_silent_where_every_part_ran() -> None:
    """As all of a text model does."""
    assert findings(part_not_run, a_cast()) == []
