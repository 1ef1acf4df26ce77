"""What keeps a yes about hardware that is not here from being a guess."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ivdoctor.checkup import judged
from ivdoctor.evidence import fp16_range
from ivdoctor.facts import Asked, Checkpoint, Half, Limits, Model, Native, Package, Packages, Quantisation, Version
from ivdoctor.foretold import undecided
from ivdoctor.gate import Answer
from ivdoctor.plugins import plugins
from ivdoctor.systems_page import outcomes
from ivdoctor.tables import table
from ivdoctor.targets import target
from ivdoctor.testing import a_checkpoint, a_model, some_weights

SYSTEMS = Path(__file__).parent / "systems"
PACKAGES = Packages(installed=(Package(name="transformers", version=Version("5.23.0")),), shadowed=(), broken=())


def told(
    name: str, model: Model, dtype: Half, checkpoint: Checkpoint | None = None, *, parameters: int = 10**9, asked: Asked | None = None
) -> list[str]:
    """Of a model of this many weights in bfloat16."""
    native = Native(version=Version("5.23.0"), model_type=model.model_type, known=True)
    checkpoint = checkpoint or a_checkpoint(some_weights("bfloat16", parameters))
    asked = asked or Asked(dtype=dtype)
    return list(undecided(target(name), asked, dtype, model=model, checkpoint=checkpoint, anatomy=None, packages=PACKAGES, native=native))


@pytest.mark.parametrize("family", ["gemma3", "qwen2", "qwen2_vl"])
@pytest.mark.parametrize("name", ["T4", "A100-80", "zen3-64GB"])
def test_a_family_that_leaves_float16s_range_is_no_yes_in_it(family: str, name: str) -> None:
    """Its cells ran with random weights, in all formats; real ones are known to give NaN."""
    model = a_model(model_type=family)
    assert told(name, model, "fp16") == [f"in float16 models of {family} are known to leave its range"]
    assert told(name, model, "fp32") == []


@pytest.mark.parametrize(
    ("name", "dtype", "yes"),
    [
        ("AutoGLM-Phone-9B", "auto", True),
        ("AutoGLM-Phone-9B", "bf16", True),
        ("AutoGLM-Phone-9B", "fp16", False),
        ("AutoGLM-Phone-9B", "fp32", False),
        ("Kimi-K2-Thinking", "auto", True),
        ("Kimi-K2-Thinking", "fp32", False),
        ("GLM-4.6V-FP8", "fp16", False),
    ],
)
def test_a_recipe_is_about_the_dtype_that_it_was_written_for(name: str, dtype: Any, yes: bool) -> None:
    """Eight H200 are documented to serve all three as they are, and in nothing else."""
    asked = Asked(model=str(SYSTEMS / f"{name}.json"), targets=("8xH200",), engine="vllm", dtype=dtype)
    found = judged(outcomes(SYSTEMS / f"{name}.json"), asked, registered=plugins(), targets=(target("8xH200"),))
    assert (found.verdict is Answer.READY) is yes
    assert yes or "is documented, but not in" in found.reason


def test_a_yes_wants_a_tenth_of_the_memory_free() -> None:
    """22.4 of 24 GiB are loaded, and then nobody knows."""
    model = a_model(model_type="qwen2")
    assert told("RTX 4090", model, "bf16", parameters=11 * 10**9) == []
    (one,) = told("RTX 4090", model, "bf16", parameters=12 * 10**9)
    assert "nine tenths" in one


def test_a_mac_shares_its_memory_with_its_system() -> None:
    """Of 24 GiB Metal recommends 16."""
    model = a_model(model_type="qwen2")
    assert told("M3", model, "bf16", parameters=8 * 10**9) == []
    (one,) = told("M3", model, "bf16", parameters=9 * 10**9)
    assert "macOS" in one


def test_a_format_that_a_mac_converts_is_no_yes() -> None:
    """An M1 computes bfloat16 in float32; an M3 has it."""
    model = a_model(model_type="qwen2")
    assert told("M1", model, "bf16") == ["M1 converts bfloat16, and which operations do was not tried"]
    assert told("M3", model, "bf16") == []


def test_nobody_says_whether_transformers_knows_a_type_that_the_tables_do_not() -> None:
    """The page of the eight systems has no look at a transformers: a family without a row is not unknown to it."""
    quantised = Quantisation(method="fp8", format="fp8")
    model = replace(a_model(model_type="llama"), quantization="fp8", quantised=quantised)
    assert any("were not run" in one for one in told("H100", model, "bf16"))


def test_the_page_of_systems_calls_no_type_unknown_that_has_no_row(tmp_path: Path) -> None:
    """llama has none, and every transformers knows it."""
    (tmp_path / "config.json").write_text('{"model_type": "llama", "architectures": ["LlamaForCausalLM"]}')
    assert not any(one.subject == "native" for one in outcomes(tmp_path))
    assert any(one.subject == "native" for one in outcomes(SYSTEMS / "Kimi-K2-Thinking.json"))


@pytest.mark.parametrize("family", ["gemma2", "gemma3", "gemma3_text", "glm4"])
def test_a_family_that_an_engine_keeps_out_of_float16_is_led_there_by_nobody(family: str) -> None:
    """vLLM's list, but for what transformers does not know: the reason that it names is the numbers, which are the same with any engine."""
    assert any(row["model_type"] == family and row["format"] == "fp16" for row in table("engine_families"))
    assert fp16_range(family, None, Limits()) == "overflows"
