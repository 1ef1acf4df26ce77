"""Facts in, a format and its reason out."""

import re
from dataclasses import replace

import pytest

from ivdoctor.choice import choose, decide, quantised, sized, trained
from ivdoctor.facts import COLLAPSED, TORCH_NAME, Asked, Cast, CastRun, Checkpoint, Half, Limits, Operation, Place, Stored, Trial
from ivdoctor.testing import a_place, a_precision, an_operation

T4 = a_place("sm_75", "Tesla T4", name="cuda:0", memory_mib=15360)
A100 = a_place("sm_80", "NVIDIA A100-SXM4-80GB")


@pytest.mark.parametrize(
    ("place", "plain", "from_fp32", "from_fp16", "from_bf16"),
    [
        (T4, "fp16", "fp16", "fp16", "fp32"),
        (A100, "bf16", "bf16", "fp16", "bf16"),
        (a_place("sm_61", "Tesla P40"), "fp32", "fp32", "fp32", "fp32"),
        (a_place("sm_70", "Tesla V100-SXM2-16GB"), "fp16", "fp16", "fp16", "fp32"),
        (a_place("mps", "Apple M1"), "fp16", "fp16", "fp16", "fp32"),
        (a_place("mps", "Apple M2"), "fp16", "fp16", "fp16", "fp32"),
        (a_place("mps", "Apple M3 Max"), "bf16", "bf16", "fp16", "bf16"),
        (a_place("gfx942", "AMD Instinct MI300X"), "bf16", "bf16", "fp16", "bf16"),
        (a_place("gfx1030", "AMD Radeon RX 6800"), "fp16", "fp16", "fp16", "fp32"),
        (a_place("gfx1300", "AMD Unknown"), "fp32", "fp32", "fp32", "fp32"),
        (a_place(features=("avx2",)), "fp32", "fp32", "fp32", "fp32"),
        (a_place(features=("avx512_bf16",)), "bf16", "bf16", "bf16", "bf16"),
        (a_place(features=("avx512_bf16", "avx512_fp16")), "bf16", "bf16", "fp16", "bf16"),
    ],
    ids=lambda one: one.title if isinstance(one, Place) else None,
)
def test_the_fastest_native_format_the_model_survives(place: Place, plain: Half, from_fp32: Half, from_fp16: Half, from_bf16: Half) -> None:
    """The model's own half where native, else bf16, else fp16 for all but those made in bf16."""
    assert [choose(place, made_in).dtype for made_in in ("", "float32", "float16", "bfloat16")] == [plain, from_fp32, from_fp16, from_bf16]


@pytest.mark.parametrize(
    ("place", "made_in", "reason"),
    [
        (T4, "bfloat16", "the model was made in bfloat16, which Tesla T4 does not compute natively; float16 is faster, and .* untested"),
        (T4, "", "ends at 65504, and whether this model stays below is untested"),
        (A100, "float16", "made in float16, and NVIDIA A100-SXM4-80GB computes it natively"),
        (a_place("sm_61", "Tesla P40"), "bfloat16", "^Tesla P40 computes neither float16 nor bfloat16 natively$"),
        (a_place("gfx1300", "AMD Unknown"), "", "AMD Unknown computes natively is not known: not in the tables"),
    ],
)
def test_the_reason_is_the_one_that_decided(place: Place, made_in: str, reason: str) -> None:
    """What a user reads above the variable."""
    assert re.search(reason, choose(place, made_in).reason)


def test_a_format_that_does_not_work_is_passed_over_and_the_reason_says_so() -> None:
    """Each is asked after in turn; float32 is never asked: nothing is behind it."""
    asked: list[Half] = []

    def objection(dtype: Half) -> str:
        asked.append(dtype)
        return f"{dtype} is broken"

    pick = choose(A100, "float16", objection=objection)

    assert (pick.dtype, pick.reason, asked) == ("fp32", "fp16 is broken; bf16 is broken", ["fp16", "bf16"])
    assert choose(A100, "", objection=lambda dtype: "no" if dtype == "bf16" else "").reason.startswith("no; NVIDIA A100")


@pytest.mark.parametrize(
    ("config", "stored", "made_in"),
    [
        ("", "", ""),
        ("bfloat16", "", "bfloat16"),
        ("", "bfloat16", "bfloat16"),
        ("float16", "bfloat16", "bfloat16"),  # a legacy torch_dtype beside bf16 weights
        ("bfloat16", "float32", "bfloat16"),  # transformers 4 has loaded it
        ("float16", "float32", "float16"),
        ("float32", "", "float32"),
        ("", "float64", "float64"),
    ],
)
def test_bfloat16_in_either_place_makes_a_bfloat16_model(config: str, stored: str, made_in: str) -> None:
    assert trained(config, stored) == made_in


def test_weights_of_eight_bits_are_quantised_without_a_config_that_says_so() -> None:
    assert quantised("awq", "int32") == "awq"
    assert quantised("", "float8_e4m3fn") == "float8_e4m3fn"
    assert not quantised("", "bfloat16")


def a_run(dtype: Half = "fp16", **changes: object) -> CastRun:
    return CastRun(**{"dtype": dtype, "status": "ran", "relative_l2": 1.4e-3, "cosine": 1.0} | changes)  # type: ignore[arg-type]  # a row of a table


def a_cast(*runs: CastRun, **changes: object) -> Cast:
    return Cast(**{"model": "tiny", "how": "real-run", "inputs": "2 sentences", "runs": runs} | changes)  # type: ignore[arg-type]  # as above


def a_load(**changes: object) -> Trial:
    """The model loaded in fp16 at once."""
    given = {"remedy": "load-in-fp16", "case": "cast", "how": "real-run", "where": "cuda:0", "before": "", "computes_in": "fp16"}
    return Trial(**given | {"status": "passed", "after": "ran", "metrics": {"relative_l2": 0.002}} | changes)  # type: ignore[arg-type]  # as above


def picked(place: Place, made_in: str, cast: Cast | None = None, asked: Asked | None = None, **more: object) -> str:
    return decide(place, asked or Asked(), made_in, cast=cast, **{"precision": None} | more).dtype  # type: ignore[arg-type]  # as above


def test_a_run_within_the_limits_proves_fp16_for_a_model_made_in_bf16() -> None:
    """And says that it did; a run of the built-in miniature proves nothing about this model."""
    pick = decide(T4, Asked(), "bfloat16", cast=a_cast(a_run()), precision=None)

    assert (pick.dtype, pick.reason) == ("fp16", "Tesla T4 computes float16 natively, and a run of this model in it stayed within the limits")
    assert picked(T4, "bfloat16", a_cast(a_run(), how="miniature")) == "fp32"
    assert picked(T4, "bfloat16", a_cast(a_run("bf16"))) == "fp32"


@pytest.mark.parametrize(
    ("cast", "reason"),
    [
        (a_cast(a_run(relative_l2=0.2)), "fp16 was run here and changes too much: relative L2 0.2, limit 0.1"),
        (a_cast(a_run(cosine=0.98)), "fp16 was run here and changes too much: cosine 0.9800, limit 0.99"),
        (
            a_cast(a_run(top1=0.5, kl=0.4)),
            "fp16 was run here and changes too much: the same first choice at 50.0% of positions, limit 90%; KL divergence 0.4 nats, limit 0.1",
        ),
        (a_cast(a_run(), headroom=0.7), "fp16 was run here and changes too much: headroom 0.7, limit 0.5"),
        (a_cast(a_run(nonfinite=3, relative_l2=-1.0)), "fp16 was run here, and its output is not finite"),
        (a_cast(a_run(status="raised", message="no kernel")), "fp16 was run here and raises: no kernel"),
        (a_cast(baseline="fp16", headroom=0.7), "fp16 was run here and changes too much: headroom 0.7, limit 0.5"),
        (a_cast(baseline="fp16", nonfinite=3), "fp16 was run here, and its output is not finite"),
        (
            a_cast(a_run(), trials=(a_load(status="failed", after="RuntimeError: no"),)),
            "the model was loaded in fp16 here and fails: RuntimeError: no",
        ),
    ],
)
@pytest.mark.parametrize("made_in", ["", "float16", "bfloat16"])
def test_a_format_that_was_run_and_lost_is_not_chosen(cast: Cast, reason: str, made_in: str) -> None:
    """Not even one that was asked for by name."""
    assert picked(T4, made_in, cast) == "fp32"

    pick = decide(T4, Asked(dtype="fp16"), made_in, cast=cast, precision=None)

    assert pick.dtype == "fp32"
    assert pick.reason.startswith(f"fp16 was asked for, but {reason}; ")


def test_a_cast_that_fails_is_nothing_against_a_format_in_which_the_model_loads() -> None:
    """The loader gives the dtype to `from_pretrained`, and casts nothing afterwards."""
    for broken in (a_run(nonfinite=3, relative_l2=-1.0), a_run(relative_l2=0.2), a_run(status="raised")):
        assert picked(T4, "bfloat16", a_cast(broken, headroom=1.6, trials=(a_load(),))) == "fp16"
        assert picked(T4, "bfloat16", a_cast(broken, headroom=1.6)) == "fp32"


@pytest.mark.parametrize("made_in", ["", "float32", "float16", "bfloat16"])
def test_a_family_known_to_overflow_is_not_led_to_fp16(made_in: str) -> None:
    """Unless it was run, or asked for by name: then its own loader falls back, and the reason warns."""
    assert picked(T4, made_in, family="t5") == "fp32"
    assert picked(A100, made_in, family="t5") == "bf16"
    assert picked(T4, made_in, a_cast(a_run()), family="t5") == "fp16"
    asked = decide(T4, Asked(dtype="fp16"), made_in, cast=None, precision=None, family="t5")
    assert (asked.dtype, asked.reason) == ("fp16", "fp16 was asked for; models of this family are known to overflow in it")
    assert "known to overflow" in choose(T4, made_in, fp16="overflows").reason
    assert picked(a_place("sm_61", "Tesla P40"), made_in, family="t5") == "fp32"


def test_the_users_own_limits_count() -> None:
    cast = a_cast(a_run(relative_l2=0.2))

    assert picked(T4, "bfloat16", cast, Asked(limits=Limits(relative_l2=0.3))) == "fp16"
    assert picked(T4, "float16", a_cast(a_run()), Asked(limits=Limits(relative_l2=1e-3))) == "fp32"


def test_a_run_that_was_skipped_says_nothing() -> None:
    skipped = a_cast(a_run(status="skipped", message="it does not fit"))

    assert picked(T4, "float16", skipped) == "fp16"
    assert picked(T4, "bfloat16", skipped) == "fp32"


def test_of_the_miniature_only_what_does_not_run_counts() -> None:
    """Its weights are random: how far it drifts is not how far the model does."""
    assert picked(A100, "", a_cast(a_run("bf16", relative_l2=0.36), how="miniature")) == "bf16"
    assert picked(A100, "", a_cast(a_run("bf16", nonfinite=1), how="miniature")) == "fp16"


@pytest.mark.parametrize(("dtype", "place"), [("bf16", T4), ("fp16", a_place("sm_61", "Tesla P40")), ("fp32", A100), ("bf16", a_place())])
def test_what_was_asked_for_wins_where_it_runs_at_all(dtype: Half, place: Place) -> None:
    """Emulated or not, and that it is slow is said; whether the tables call it fast is the user's business."""
    pick = decide(place, Asked(dtype=dtype), "", cast=None, precision=a_precision())

    assert pick.dtype == dtype
    assert pick.name == TORCH_NAME[dtype]
    assert ("slow" in pick.reason) == (place.dtypes.of(dtype) == "emulated")


def test_a_refused_operator_is_enough_against_a_format_but_not_against_the_one_asked_for() -> None:
    """The model may do without it; where nothing runs, the asker is told."""
    one = a_precision(an_operation("bf16", "layer_norm", "not implemented for 'BFloat16'"))
    every = a_precision(*(an_operation("bf16", name, "refused") for name in ("matmul", "linear", "conv2d", "attention", "layer_norm")))
    equal = a_precision()
    equal = replace(equal, operations=(*equal.operations, an_operation("bf16", "matmul on cuda:1", "refused")))

    rare, daily = (a_precision(Operation(dtype="bf16", name=name, status="works", ratio=COLLAPSED)) for name in ("conv3d", "linear"))

    assert picked(A100, "", precision=one) == "fp16"
    assert picked(A100, "", precision=equal) == "bf16"
    assert (picked(A100, "", precision=rare), picked(A100, "", precision=daily)) == ("bf16", "fp16")
    assert picked(A100, "", asked=Asked(dtype="bf16"), precision=one) == "bf16"
    pick = decide(A100, Asked(dtype="bf16"), "", cast=None, precision=every)
    assert pick.dtype == "fp16"
    assert pick.reason.startswith("bf16 was asked for, but matmul gives no right result in bf16 here; matmul gives")


def test_weights_larger_than_the_device_are_a_warning() -> None:
    """7e9 parameters in fp32 are 26 GiB."""
    seven = Checkpoint(format="safetensors", files=2, bytes=14, stored=(Stored(dtype="bfloat16", tensors=1, parameters=7_000_000_000, bytes=14),))

    assert sized(choose(T4, "bfloat16"), T4, seven).reason.endswith("; in fp32 its weights take 26 GiB, and Tesla T4 has 15")
    assert sized(choose(T4, ""), T4, seven) == choose(T4, "")
    assert sized(choose(T4, "bfloat16"), T4, None) == choose(T4, "bfloat16")
