"""What is known of single models: rows that answer to a name and a type, and hardware that recipes take in."""

import re
from dataclasses import replace

import pytest

from ivdoctor.facts import Quantisation
from ivdoctor.systems import recipe_of, recipes_of, system_of
from ivdoctor.tables import table
from ivdoctor.targets import target
from ivdoctor.testing import a_model

KIMI = a_model(
    name="Kimi-K2-Thinking",
    model_type="kimi_k2",
    quantization="compressed-tensors",
    quantised=Quantisation(method="compressed-tensors", format="int4"),
)
AUTOGLM = a_model(name="AutoGLM-Phone-9B", model_type="glm4v")


def test_a_model_is_known_by_type_and_name() -> None:
    """As a folder's name and as a repository's, in any case; what has another type or another name is not it."""
    spark = a_model(name="Spark-Formalizer-X1-7B", model_type="spark")
    found = system_of(spark)
    assert found is not None
    assert (found.parameters, found.bytes, found.stored) == (7_000_000_000, 28_000_000_000, "float32")
    assert system_of(replace(spark, name="iflytek/spark-formalizer-x1-7b")) == found
    assert system_of(replace(spark, model_type="llama")) is None
    assert system_of(replace(spark, name="Spark-Prover-X1-7B")) is None


def test_what_a_models_own_code_asks_for_is_told_apart() -> None:
    """Pins are requirements, one each; back ends are torch's names."""
    found = system_of(a_model(name="zai-org/GLM-TTS", model_type=""))
    assert found is not None
    assert found.pins == ("torch==2.3.1", "transformers==4.57.3", "numpy==1.26.4")
    assert (found.backends, found.loads, found.parameters) == (("cuda",), "float32", 0)


@pytest.mark.parametrize(
    ("name", "served"),
    [("8xH200", True), ("8xH20", True), ("16xH200", True), ("4xH200", False), ("H200", False), ("8xH100", False), ("8xA100-SXM4-80GB", False)],
)
def test_a_recipe_is_about_the_devices_it_names(name: str, served: bool) -> None:
    """And about no fewer of them."""
    assert (recipe_of(KIMI, "vllm", target(name)) is not None) is served


@pytest.mark.parametrize(("name", "served"), [("RTX 4090", True), ("H100", True), ("A10", True), ("T4", False), ("2xT4", False), ("RTX 3080", False)])
def test_a_recipe_of_memory_and_capability_is_about_all_that_have_both(name: str, served: bool) -> None:
    """Two T4 have the memory, and not the capability."""
    assert (recipe_of(AUTOGLM, "vllm", target(name)) is not None) is served


def test_a_recipe_is_about_one_engine_and_one_format() -> None:
    """What vLLM serves packed says nothing of another engine, nor of the same weights in bf16."""
    place = target("8xH200")
    assert recipe_of(KIMI, "sglang", place) is None
    assert recipe_of(replace(KIMI, quantised=None), "vllm", place) is None
    assert recipe_of(a_model(), "vllm", place) is None
    assert [row["engine"] for row in recipes_of(KIMI)] == ["vllm"]
    assert recipes_of(a_model()) == ()


def test_the_rows_can_be_read() -> None:
    """Patterns compile, numbers are numbers, and every recipe says on what: devices, or memory and capability."""
    for row in table("systems"):
        re.compile(row["name"])
        assert all(not row[key] or row[key].isdigit() for key in ("parameters", "bytes"))
        assert all(pin.count("==") == 1 for pin in row["pins"].split(";") if pin)
    for row in table("recipes"):
        assert bool(row["device"]) != bool(row["memory_gib"] and row["capability"])
        assert int(row["count"]) > 0
        assert row["engine"] in ("vllm", "sglang", "tensorrt-llm", "transformers")
