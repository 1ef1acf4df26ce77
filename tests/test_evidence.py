"""What a cast proves of a format, and what is known of float16's range."""

import pytest

from ivdoctor.evidence import Range, at_once, beyond, concerned, fp16_range, kept_its_numbers, sound, within
from ivdoctor.facts import HALVES, Asked, Cast, CastRun, Checkpoint, Limits, Model, Packages, Place
from ivdoctor.targets import target
from ivdoctor.testing import a_cast, a_checkpoint, a_model, a_place, some_packages, some_weights

LIMITS = Limits()


def run(**figures: float) -> CastRun:
    """A run with nothing but these figures out of order."""
    return CastRun(**{"dtype": "bf16", "status": "ran", "cosine": 1.0} | figures)  # type: ignore[arg-type]  # fields by name


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({"relative_l2": 0.11}, "relative L2 0.11, limit 0.1"),
        ({"cosine": 0.98}, "cosine 0.9800, limit 0.99"),
        ({"top1": 0.875}, "the same first choice at 87.5% of positions, limit 90%"),
        ({"kl": 0.25}, "KL divergence 0.25 nats, limit 0.1"),
        ({"relative_l2": float("inf")}, "relative L2 inf, limit 0.1"),
    ],
)
def test_a_figure_beyond_its_limit_is_said_with_it(figures: dict[str, float], said: str) -> None:
    """One at a time."""
    assert list(beyond(run(**figures), LIMITS)) == [said]


def test_a_figure_at_its_limit_is_within_it() -> None:
    """And without logits nothing is said of first choices."""
    assert list(beyond(run(relative_l2=0.1, cosine=0.99, top1=0.9, kl=0.1), LIMITS)) == []
    assert list(beyond(run(relative_l2=0.1), LIMITS)) == []


def test_a_limit_moves() -> None:
    """As `--limit` moves it."""
    assert list(beyond(run(relative_l2=0.2), Limits(relative_l2=0.3))) == []
    assert len(list(beyond(run(relative_l2=0.02), Limits(relative_l2=0.01)))) == 1


def test_a_format_is_sound_only_where_it_ran_within_the_limits() -> None:
    """What raised, overflowed, drifted or was not run is none; the baseline is what all are measured by."""
    assert [sound(a_cast(), dtype, LIMITS) for dtype in ("fp32", "bf16", "fp16")] == [True, True, True]
    assert not sound(a_cast(overflow=("fp16",)), "fp16", LIMITS)
    assert not sound(a_cast(raised={"bf16": "no kernel"}), "bf16", LIMITS)
    assert not sound(a_cast(skipped={"bf16": "8 minutes"}), "bf16", LIMITS)
    assert not sound(a_cast(drift={"bf16": 0.3}), "bf16", LIMITS)
    assert sound(a_cast(drift={"bf16": 0.3}), "bf16", Limits(relative_l2=0.5, cosine=0.9))
    assert not sound(a_cast(baseline="bf16"), "fp32", LIMITS)
    assert sound(a_cast(baseline="bf16"), "bf16", LIMITS)


def test_fp16_near_its_end_is_not_sound_and_bf16_beside_it_is() -> None:
    """IVD604 warns of it: another rule must not advise it."""
    near = a_cast(headroom=0.8)
    assert not sound(near, "fp16", LIMITS)
    assert sound(near, "bf16", LIMITS)
    assert sound(near, "fp16", Limits(headroom=0.9))


def test_a_figure_that_is_no_number_is_beyond_any_limit() -> None:
    """Against a baseline that is not finite every distance is NaN, and NaN is greater than nothing."""
    nan = float("nan")
    assert [line.partition(" nan")[0] for line in beyond(run(relative_l2=nan, cosine=nan, kl=nan), Limits(relative_l2=1e9, cosine=-1.0, kl=1e9))] == [
        "relative L2",
        "cosine",
        "KL divergence",
    ]


def test_a_baseline_that_is_not_finite_is_no_sound_format() -> None:
    """Whatever the others are compared with, it is no way out."""
    lost = a_cast(nonfinite=9984)
    assert not sound(lost, "fp32", LIMITS)
    assert not kept_its_numbers(lost, "fp32", LIMITS)
    assert [one.status for one in lost.trials if one.computes_in == "fp32"] == ["failed"]


def test_loading_at_once_counts_where_only_the_cast_afterwards_breaks() -> None:
    """Not where both run, and not where the load is beyond the limit too."""
    for broken in ({"overflow": ("fp16",)}, {"raised": {"fp16": "no"}}, {"drift": {"fp16": 0.3}}):
        cast = a_cast(loaded={"fp16": 0.002}, **broken)
        trial = at_once(cast, "fp16", LIMITS)
        assert trial
        assert (trial.remedy, within(trial, LIMITS)) == ("load-in-fp16", True)
        assert at_once(cast, "fp16", Limits(relative_l2=0.001)) is None
        assert at_once(cast, "bf16", LIMITS) is None
    assert at_once(a_cast(loaded={"fp16": 0.002}), "fp16", LIMITS) is None
    assert at_once(a_cast(overflow=("fp16",), loaded={"fp16": -1.0}), "fp16", LIMITS) is None
    assert at_once(a_cast(overflow=("fp16",), loaded={"fp16": "no"}), "fp16", LIMITS) is None


@pytest.mark.parametrize(
    ("cast", "t5", "gemma4", "llama"),
    [
        (None, "overflows", "stays", "unknown"),
        (a_cast(how="miniature"), "overflows", "stays", "unknown"),
        (a_cast(skipped={"fp16": "8 minutes"}), "overflows", "stays", "unknown"),
        (a_cast(), "fits", "fits", "fits"),
        (a_cast(overflow=("fp16",), loaded={"fp16": 0.002}), "fits", "fits", "fits"),
        (a_cast(overflow=("fp16",)), "lost", "lost", "lost"),
        (a_cast(drift={"fp16": 0.3}), "lost", "lost", "lost"),
        (a_cast(headroom=0.8), "lost", "lost", "lost"),
        (a_cast(baseline="fp16"), "fits", "fits", "fits"),
        (a_cast(baseline="fp16", nonfinite=3), "lost", "lost", "lost"),
    ],
)
def test_a_run_is_asked_before_the_table_and_the_table_before_nobody(cast: Cast | None, t5: Range, gemma4: Range, llama: Range) -> None:
    """The miniature's weights are random: it proves nothing of a family."""
    assert [fp16_range(family, cast, LIMITS) for family in ("t5", "gemma4", "llama")] == [t5, gemma4, llama]


T4, HERE = target("T4"), a_place("sm_75", "Tesla T4")


def about(
    place: Place, asked: Asked, model: Model | None = None, checkpoint: Checkpoint | None = None, packages: Packages | None = None
) -> list[str]:
    """The formats that a verdict there is about."""
    return [dtype for dtype in HALVES if concerned(dtype, place, asked, model=model, checkpoint=checkpoint, packages=packages)]


@pytest.mark.parametrize("place", [T4, HERE, target("A100"), target("zen3"), a_place()], ids=lambda place: f"{place.title}, {place.kind}")
@pytest.mark.parametrize("engine", ["", "vllm", "transformers"])
def test_a_verdict_is_about_what_was_asked_for_by_name(place: Place, engine: str) -> None:
    """For the model or for its input, everywhere, whatever the model was saved in and whatever the engine would do."""
    assert about(place, Asked(dtype="fp16", engine=engine), a_model()) == ["fp16"]
    assert about(place, Asked(dtype="bf16", input_dtype="fp32", engine=engine)) == ["fp32", "bf16"]


@pytest.mark.parametrize("place", [T4, target("A100"), target("zen3")], ids=lambda place: place.title)
def test_at_a_target_a_verdict_is_about_what_the_model_would_be_loaded_in(place: Place) -> None:
    """Its configuration's dtype, or its weights', where no dtype was named; nobody knows without a model."""
    assert about(place, Asked(), a_model()) == ["bf16"]
    assert about(place, Asked(), a_model(dtype="float16")) == ["fp16"]
    assert about(place, Asked(), a_model(dtype=""), a_checkpoint(some_weights("float16"))) == ["fp16"]
    assert about(place, Asked(), a_model(dtype="")) == []
    assert about(place, Asked(), a_model(dtype="float8_e4m3fn")) == []
    assert about(place, Asked(), None, a_checkpoint()) == []
    assert about(place, Asked(dtype="fp16"), a_model()) == ["fp16"]


@pytest.mark.parametrize(("version", "formats"), [("4.57.0", ["fp32"]), ("5.0.0", ["bf16"])])
def test_at_a_target_a_verdict_is_about_what_the_installed_transformers_loads(version: str, formats: list[str]) -> None:
    """Before 5.0 that was float32 unless a dtype was named."""
    assert about(T4, Asked(), a_model(), packages=some_packages({"transformers": version})) == formats


@pytest.mark.parametrize("place", [HERE, a_place(), a_place("sm_80")], ids=lambda place: place.title)
def test_here_a_verdict_is_about_no_format_that_was_not_asked_for(place: Place) -> None:
    """What the model does in each is run instead."""
    assert about(place, Asked(), a_model(), a_checkpoint()) == []


def test_at_a_target_a_verdict_is_not_about_a_format_that_the_engine_replaces() -> None:
    """vLLM takes a bf16 checkpoint in fp16 below 8.0; transformers takes it as it is, and an A100 has bf16."""
    assert about(T4, Asked(engine="vllm"), a_model()) == []
    assert about(T4, Asked(engine="transformers"), a_model()) == ["bf16"]
    assert about(target("A100"), Asked(engine="vllm"), a_model()) == ["bf16"]
    assert about(T4, Asked(engine="vllm"), a_model(dtype="float16")) == ["fp16"]
