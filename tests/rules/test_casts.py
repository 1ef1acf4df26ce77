"""What rules about casts share: the format that is meant, the limits, and the ways out."""

import pytest

from ivdoctor.evidence import judged, loads_as
from ivdoctor.facts import Asked, Cast, CastRun, Half, Kept, Place
from ivdoctor.finding import Severity
from ivdoctor.lines import INPUTS
from ivdoctor.rules._casts import gravity, loading, ranked_casts, ways_out
from ivdoctor.testing import a_cast, a_checkpoint, a_model, a_place, some_packages, some_weights

T4 = a_place("sm_75", "Tesla T4")
P40 = a_place("sm_61", "Tesla P40")
A100 = a_place("sm_80", "NVIDIA A100-SXM4-80GB")
M2 = a_place("mps", "Apple M2")
M3 = a_place("mps", "Apple M3 Max")
UNLISTED = a_place("gfx1300", "AMD Unknown")
PLAIN_CPU = a_place("cpu", features=("avx2",))
AMX_CPU = a_place("cpu", features=("amx_bf16", "avx512_bf16", "avx512_fp16"))

OLD = some_packages({"transformers": "4.57.6"})
NEW = some_packages({"transformers": "5.0.0"})


def run(**figures: float) -> CastRun:
    """A run with nothing but these figures out of order."""
    return CastRun(**{"dtype": "bf16", "status": "ran", "cosine": 1.0} | figures)  # type: ignore[arg-type]  # fields by name


def order(place: Place, asked: Asked, cast: Cast | None = None, but: str = "") -> list[str]:
    """The formats advised, best first."""
    return [trial.computes_in for trial in ranked_casts(cast or a_cast(place.name), place, asked, but=but)]


@pytest.mark.parametrize(("version", "dtype"), [("4.40.0", "fp32"), ("4.57.6", "fp32"), ("5.0.0", "bf16"), ("5.0.0rc1", "bf16"), ("5.23.0", "bf16")])
def test_a_model_is_loaded_in_fp32_before_transformers_5_and_in_its_own_dtype_since(version: str, dtype: str) -> None:
    """Where no dtype is given to from_pretrained."""
    assert loads_as(a_model(), None, some_packages({"transformers": version})) == dtype


def test_without_transformers_the_models_own_dtype_is_what_would_be_loaded() -> None:
    """Whoever installs it gets a new one."""
    assert loads_as(a_model(), None, some_packages({})) == "bf16"
    assert loads_as(a_model(), None, None) == "bf16"


def test_the_weights_tell_where_the_configuration_does_not() -> None:
    """And where neither does, nobody can say."""
    assert loads_as(a_model(dtype=""), a_checkpoint(some_weights("float16")), NEW) == "fp16"
    assert loads_as(a_model(dtype="float32"), a_checkpoint(some_weights("float16")), NEW) == "fp32"
    assert loads_as(a_model(dtype=""), None, NEW) is None
    assert loads_as(a_model(dtype="float8_e4m3fn"), None, NEW) is None
    assert loads_as(None, a_checkpoint(), NEW) is None


def test_the_format_that_is_judged_is_the_one_asked_for_else_the_one_that_would_be_loaded() -> None:
    """A name given on the command line needs no model."""
    assert judged(Asked(dtype="fp16"), None, None, None) == "fp16"
    assert judged(Asked(dtype="fp32"), a_model(), None, NEW) == "fp32"
    assert judged(Asked(), a_model(), None, NEW) == "bf16"
    assert judged(Asked(), a_model(), None, OLD) == "fp32"
    assert judged(Asked(), None, None, None) is None


@pytest.mark.parametrize(
    ("asked", "loaded", "severity"),
    [
        (Asked(dtype="bf16"), "bf16", Severity.ERROR),
        (Asked(dtype="bf16"), None, Severity.ERROR),
        (Asked(dtype="fp16"), "fp16", Severity.NOTE),
        (Asked(), "bf16", Severity.WARNING),
        (Asked(), "fp32", Severity.NOTE),
        (Asked(), None, Severity.NOTE),
    ],
)
def test_what_was_asked_for_is_graver_than_what_would_be_loaded(asked: Asked, loaded: Half | None, severity: Severity) -> None:
    """And what is neither is a note, as all of the miniature is."""
    assert gravity(run(), asked, loaded, a_cast()) is severity
    assert gravity(run(), asked, loaded, a_cast(how="miniature")) is Severity.NOTE


@pytest.mark.parametrize(
    ("place", "asked", "expected"),
    [
        (A100, Asked(), ["bf16", "fp16", "fp32"]),
        (A100, Asked(dtype="fp16"), ["fp16", "bf16", "fp32"]),
        (A100, Asked(dtype="fp32"), ["fp32", "bf16", "fp16"]),
        (T4, Asked(), ["fp16", "fp32", "bf16"]),
        (T4, Asked(dtype="bf16"), ["fp16", "fp32", "bf16"]),
        (T4, Asked(dtype="fp32"), ["fp32", "fp16", "bf16"]),
        (P40, Asked(), ["fp32", "bf16", "fp16"]),
        (P40, Asked(dtype="fp16"), ["fp32", "fp16", "bf16"]),
        (M2, Asked(), ["fp16", "fp32", "bf16"]),
        (M3, Asked(), ["bf16", "fp16", "fp32"]),
        (PLAIN_CPU, Asked(), ["fp32", "bf16", "fp16"]),
        (PLAIN_CPU, Asked(dtype="bf16"), ["bf16", "fp32", "fp16"]),
        (AMX_CPU, Asked(), ["bf16", "fp16", "fp32"]),
        (UNLISTED, Asked(dtype="bf16"), ["bf16", "fp16", "fp32"]),
    ],
    ids=lambda value: value.title if isinstance(value, Place) else value.dtype if isinstance(value, Asked) else "",
)
def test_ways_out_are_native_first_then_the_format_wanted_then_the_narrowest(place: Place, asked: Asked, expected: list[str]) -> None:
    """On a CPU a format that was asked for by name is only slow, so it is kept."""
    assert order(place, asked) == expected


@pytest.mark.parametrize("place", [A100, T4, P40, M2, PLAIN_CPU, AMX_CPU], ids=lambda place: place.title)
@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
def test_no_way_out_leads_to_what_failed(place: Place, dtype: Half) -> None:
    """Whatever was asked for: not the format to be got out of, nor one that overflowed, raised, drifted, is near its end or was not run."""
    spoilt = [a_cast(overflow=(dtype,)), a_cast(raised={dtype: "no"}), a_cast(drift={dtype: 0.3}), a_cast(skipped={dtype: "no"})]
    for asked in (Asked(), Asked(dtype="fp16"), Asked(dtype="bf16"), Asked(dtype="fp32")):
        assert dtype not in order(place, asked, but=dtype)
        assert all(dtype not in order(place, asked, cast) and "fp32" in order(place, asked, cast) for cast in spoilt)
        assert "fp16" not in order(place, asked, a_cast(headroom=0.8))


def test_a_way_out_says_how_far_fp16_was_from_its_end() -> None:
    """As seen on these inputs; a miniature has seen nothing of the kind."""
    (fix, *_) = ways_out(a_cast("cuda:0"), T4, Asked(), a_model(), but="bf16")
    assert fix.title == "Run the model in float16 (on these inputs its activations stay within 0.3% of float16's range, which ends at 65504)"
    (fix, *_) = ways_out(a_cast("cuda:0", how="miniature"), T4, Asked(), None, but="bf16")
    assert "whether this model stays below is unknown" in fix.title
    assert fix.code == "model = model.to(torch.float16)"


def test_a_way_out_says_that_a_format_is_emulated() -> None:
    """Where it is the last of them."""
    fixes = ways_out(a_cast("cuda:0", baseline="bf16", overflow=("fp16",)), T4, Asked(), a_model(), but="fp16")
    assert [fix.title for fix in fixes] == ["Run the model in bfloat16 (bf16 is emulated here, so it is slow)"]
    (_, *others) = ways_out(a_cast("cuda:0"), P40, Asked(), a_model(), but="")
    assert all("emulated here" in fix.title for fix in others)


def test_a_way_out_is_loaded_only_where_that_was_tried() -> None:
    """`load-in-bf16` is its own trial where the loader keeps tensors in fp32; where it fails, the cast that passed is the line."""
    kept = (Kept(name="rotary_emb.inv_freq", what="rotary", off={"bf16": 0.375}, position=4096),)
    (fix, *_) = ways_out(a_cast(kept=kept), A100, Asked(), a_model(), but="fp16")
    assert fix.code == "model = LlamaForCausalLM.from_pretrained(path, dtype=torch.bfloat16)"
    cast = a_cast(kept=kept)
    refused = tuple(one for one in cast.trials if one.remedy != "load-in-bf16")
    (fix, *_) = ways_out(a_cast(kept=kept, trials=refused), A100, Asked(), a_model(), but="fp16")
    assert fix.code == "model = LlamaForCausalLM.from_pretrained(path, dtype=torch.float32).to(torch.bfloat16)"


@pytest.mark.parametrize(("version", "keyword"), [("4.40.2", "torch_dtype"), ("4.55.4", "torch_dtype"), ("4.56.0", "dtype"), ("5.23.0", "dtype")])
def test_the_line_that_loads_uses_the_installed_transformers_own_keyword(version: str, keyword: str) -> None:
    """Before 4.56 `dtype=` reaches the model's constructor, which refuses it."""
    line = loading("bf16", a_model(), some_packages({"transformers": version}))
    assert line == f"model = LlamaForCausalLM.from_pretrained(path, {keyword}=torch.bfloat16)"


@pytest.mark.parametrize("architectures", [(), ("os.system('x')",), ("Two Words",)])
def test_the_line_that_loads_names_a_class_only_where_there_is_a_name(architectures: tuple[str, ...]) -> None:
    """A configuration is a stranger's text."""
    assert loading("fp32", a_model(architectures=architectures)) == "model = AutoModel.from_pretrained(path, dtype=torch.float32)"
    assert loading("fp32", None) == "model = AutoModel.from_pretrained(path, dtype=torch.float32)"


@pytest.mark.parametrize("place", [T4, M2], ids=lambda place: place.title)
def test_a_family_known_to_overflow_is_led_to_fp16_only_by_its_own_run(place: Place) -> None:
    """The built-in miniature ran in it, and proves nothing of the family."""
    t5, small = a_model(model_type="t5"), a_cast(place.name, how="miniature")
    for asked in (Asked(), Asked(dtype="fp16"), Asked(dtype="bf16")):
        fixes = ways_out(small, place, asked, t5, but="bf16")
        assert [fix.code.rpartition("torch.")[2] for fix in fixes] == ["float32)", "float16)"]
        assert "known to overflow" in fixes[1].title
        assert "float16" in ways_out(a_cast(place.name), place, asked, t5, but="bf16")[0].code


def test_every_line_that_loads_casts_the_inputs_where_a_run_without_raised() -> None:
    """Else the fix that was verified raises the very bug; only in the formats in which it did."""
    cast = a_cast("cuda:0", fed={("fp16", "fp32"): "RuntimeError: clash", ("bf16", "fp32"): ""})
    lines = {fix.trial.after: fix.code for fix in ways_out(cast, A100, Asked(), a_model(), but="")}
    assert [dtype for dtype in ("bfloat16", "float16", "float32") if INPUTS in lines[f"ran, output {dtype}"]] == ["float16"]
    assert lines["ran, output float16"] == f"model = LlamaForCausalLM.from_pretrained(path, dtype=torch.float16)\n{INPUTS}"
    both = a_cast("cuda:0", fed={("fp16", "fp32"): "RuntimeError: clash"}, loaded={"fp16": "RuntimeError: no"})
    code = next(fix.code for fix in ways_out(both, A100, Asked(dtype="fp16"), a_model(), but="") if "float16)" in fix.code.replace("bfloat16", ""))
    assert code == f"model = LlamaForCausalLM.from_pretrained(path, dtype=torch.float32).to(torch.float16)\n{INPUTS}"


def test_the_line_names_the_class_that_was_loaded() -> None:
    """The configuration's may exist nowhere."""
    (lead, *_) = ways_out(a_cast(architecture="BertModel"), A100, Asked(), a_model(), but="")
    assert lead.code.startswith("model = BertModel.from_pretrained(")
