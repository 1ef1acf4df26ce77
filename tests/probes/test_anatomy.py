"""A model's weights counted from its configuration, through the real room."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ivdoctor import codec
from ivdoctor.facts import Anatomy, Asked, Stored
from ivdoctor.probe import Absent
from ivdoctor.probes.anatomy import anatomy
from ivdoctor.rooms import Answer

Look = Callable[..., Answer]

TINY = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "vocab_size": 100,
    "torch_dtype": "bfloat16",
}
WEIGHTS = 2 * 100 * 64 + 4 * 64 * 64 + 3 * 64 * 128 + 3 * 64


def counted(folder: Path, config: dict[str, Any]) -> Anatomy:
    """The fact for this configuration."""
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    found = anatomy(asked=Asked(model=str(folder)))
    assert isinstance(found, Anatomy)
    return found


def test_a_model_is_counted_in_its_room(look: Look, tmp_path: Path) -> None:
    """From its config.json alone, named by itself; there is no file of weights."""
    file = tmp_path / "config.json"
    file.write_text(json.dumps(TINY))

    answer = look(anatomy, asked=Asked(model=str(file)))

    assert answer.status == "ok", answer.reason
    stored = Stored(dtype="bfloat16", tensors=12, parameters=WEIGHTS, bytes=2 * WEIGHTS)
    assert codec.build(answer.fact, Anatomy) == Anatomy(how="arithmetic", stored=(stored,))


@pytest.mark.parametrize(
    ("config", "dtype"),
    [
        ({**TINY, "dtype": "float16"}, "float16"),
        ({**TINY, "torch_dtype": None}, "float32"),
        ({"model_type": "llava", "text_config": TINY}, "bfloat16"),
    ],
)
def test_the_dtype_is_the_configurations(config: dict[str, Any], dtype: str, tmp_path: Path) -> None:
    """Its own or its part's; float32 where it names none."""
    assert [one.dtype for one in counted(tmp_path, config).stored] == [dtype]


def test_a_quantised_model_is_counted_as_it_is_stored(tmp_path: Path) -> None:
    """The head left alone, double quantisation by its flag."""
    block = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True}

    found = counted(tmp_path, {**TINY, "quantization_config": block})

    assert {(one.dtype, one.role) for one in found.stored} == {
        ("uint8", "packed"),
        ("bfloat16", "weights"),
        ("float32", "scales"),
        ("uint8", "scales"),
    }
    assert found.parameters == WEIGHTS


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"model_type": "spark"}, "how spark counts its weights is not known to ivdoctor"),
        ({**TINY, "architectures": ["LlamaForX"]}, "the class LlamaForX is not counted"),
        ({**TINY, "quantization_config": {"quant_method": "vptq"}}, "how vptq stores weights is not known to ivdoctor"),
        ({**TINY, "hidden_size": "wide"}, "its configuration's hidden_size is no size"),
    ],
)
def test_what_cannot_be_counted_is_absent(config: dict[str, Any], reason: str, tmp_path: Path) -> None:
    """With the reason, so that another way may be tried."""
    with pytest.raises(Absent) as caught:
        counted(tmp_path, config)

    assert str(caught.value) == reason


def test_without_a_model_there_is_nothing_to_count(look: Look) -> None:
    """An answer, and not a failure."""
    answer = look(anatomy, asked=Asked())

    assert (answer.status, answer.reason) == ("absent", "no model was named")


def test_a_folder_without_a_configuration_is_absent(look: Look, tmp_path: Path) -> None:
    """And the reason has no path."""
    answer = look(anatomy, asked=Asked(model=str(tmp_path)))

    assert (answer.status, answer.reason) == ("absent", "config.json: not there")


def test_a_file_of_weights_says_itself_what_it_holds(tmp_path: Path) -> None:
    """A lone GGUF is not counted by what its metadata describe."""
    with pytest.raises(Absent, match="says itself"):
        anatomy(asked=Asked(model=str(tmp_path / "model.Q4_K_M.GGUF")))
