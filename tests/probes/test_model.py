"""A model's configuration: families that name things differently, and values that cannot be."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivdoctor import codec
from ivdoctor.facts import Asked, Cache, Model
from ivdoctor.modelfiles import Unreadable
from ivdoctor.probe import Absent
from ivdoctor.probes.model import model
from ivdoctor.rooms import Answer

Look = Callable[..., Answer]

SIZES = {"hidden_size": 512, "num_hidden_layers": 6, "num_attention_heads": 8, "vocab_size": 1000, "max_position_embeddings": 2048}
VISION = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "dtype": "float32"}


def described(folder: Path, config: dict[str, Any]) -> Model:
    """The fact for this configuration."""
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    found = model(asked=Asked(model=str(folder)))
    assert isinstance(found, Model)
    return found


def test_a_model_is_described_in_its_room(look: Look, tmp_path: Path) -> None:
    """Every field, through the real room."""
    folder = tmp_path / "tiny-llama"
    folder.mkdir()
    (folder / "config.json").write_text(
        json.dumps({**SIZES, "model_type": "llama", "architectures": ["LlamaForCausalLM"], "torch_dtype": "bfloat16", "rope_theta": 10000})
    )

    answer = look(model, asked=Asked(model=str(folder)))

    assert answer.status == "ok", answer.reason
    assert codec.build(answer.fact, Model) == Model(
        name="tiny-llama",
        model_type="llama",
        architectures=("LlamaForCausalLM",),
        dtype="bfloat16",
        hidden_size=512,
        layers=6,
        head_dim=64,
        rope_theta=10000.0,
        context=2048,
        vocabulary=1000,
        cache=Cache(per_token=2 * 6 * 512),
    )


def test_without_a_model_there_is_none(look: Look) -> None:
    """An answer, and not a failure."""
    answer = look(model, asked=Asked())

    assert (answer.status, answer.reason) == ("absent", "no model was named")


@pytest.mark.parametrize(("name", "reason"), [("nowhere", "there is no file or folder of that name"), ("", "config.json: not there")])
def test_what_is_not_there_is_absent(name: str, reason: str, look: Look, tmp_path: Path) -> None:
    """And the reason has no path."""
    answer = look(model, asked=Asked(model=str(tmp_path / name)))

    assert (answer.status, answer.reason) == ("absent", reason)


def test_what_cannot_be_read_is_a_failure_to_look(look: Look, tmp_path: Path) -> None:
    """Neither absent nor fine: the verdict stays open."""
    (tmp_path / "config.json").write_text('{"model_type": ')

    answer = look(model, asked=Asked(model=str(tmp_path)))

    assert (answer.status, answer.reason) == ("failed", "Torn: config.json: no JSON: Expecting value, line 1 column 16")


@pytest.mark.parametrize(
    ("config", "dtype"),
    [
        ({"dtype": "bfloat16"}, "bfloat16"),
        ({"torch_dtype": "float16"}, "float16"),
        ({"torch_dtype": "torch.float16"}, "float16"),
        ({"torch_dtype": "bf16"}, "bfloat16"),
        ({"dtype": "bfloat16", "torch_dtype": "float16"}, "bfloat16"),
        ({"dtype": "auto", "torch_dtype": "float16"}, "float16"),
        ({"dtype": None, "text_config": {"torch_dtype": "bfloat16"}, "vision_config": VISION}, "bfloat16"),
        ({"vision_config": VISION, "llm_config": {**SIZES, "torch_dtype": "bfloat16"}}, "bfloat16"),
        ({"audio_config": {"dtype": "float32"}, "thinker_config": {"text_config": {**SIZES, "dtype": "bfloat16"}}}, "bfloat16"),
        ({"vision_config": VISION}, "float32"),
        ({"dtype": "float16", "text_config": {**SIZES, "dtype": "bfloat16"}}, "float16"),
        ({"quantization_config": {"dtype": "float16", "bnb_4bit_compute_dtype": "float16"}}, ""),
        ({"dtype": "abc"}, ""),
        ({"dtype": 16}, ""),
        ({"dtype": ["bfloat16"]}, ""),
        ({}, ""),
    ],
)
def test_the_dtype_is_the_models_own_before_its_parts(config: dict[str, Any], dtype: str, tmp_path: Path) -> None:
    """By either key; a part's is taken where the whole says nothing, the language model's first."""
    assert described(tmp_path, config).dtype == dtype


@pytest.mark.parametrize(
    ("config", "head_dim"),
    [
        (SIZES, 64),
        ({**SIZES, "head_dim": 128}, 128),
        ({**SIZES, "hidden_size": 500}, 0),
        ({**SIZES, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "head_dim": 64}, 192),
        ({"d_model": 512, "num_layers": 6, "num_heads": 8, "d_kv": 32}, 32),
        ({"n_embd": 768, "n_layer": 12, "n_head": 12}, 64),
        ({"text_config": SIZES, "vision_config": VISION, "head_dim": 7}, 64),
        ({**SIZES, "num_attention_heads": 0}, 0),
        ({}, 0),
    ],
)
def test_the_width_of_a_head(config: dict[str, Any], head_dim: int, tmp_path: Path) -> None:
    """Said, or by division where it goes without a remainder; DeepSeek's query has two parts."""
    assert described(tmp_path, config).head_dim == head_dim


@pytest.mark.parametrize(
    ("config", "theta"),
    [
        ({"rope_theta": 1000000}, 1e6),
        ({"rope_parameters": {"rope_theta": 500000.0, "rope_type": "default"}}, 5e5),
        ({"rope_scaling": {"rope_theta": 500000.0, "factor": 2.0}}, 5e5),
        ({"rope_parameters": {"sliding_attention": {"rope_theta": 1e4}, "full_attention": {"rope_theta": 1e6}}}, 1e6),
        ({"text_config": {**SIZES, "rope_parameters": {"rope_theta": 1e5}}, "vision_config": {**VISION, "rope_theta": 7}}, 1e5),
        ({"text_config": SIZES, "rope_theta": 1e5}, 1e5),
        ({"rotary_emb_base": 10000}, 1e4),
        ({"rope_theta": None}, 0.0),
        ({"rope_theta": -1}, 0.0),
        ({"rope_theta": True}, 0.0),
        ({"rope_theta": float("nan")}, 0.0),
        ({"rope_theta": float("inf")}, 0.0),
        ({"rope_parameters": [1]}, 0.0),
    ],
)
def test_the_base_of_the_rotation(config: dict[str, Any], theta: float, tmp_path: Path) -> None:
    """Beside the sizes until transformers 4, among the parameters of the rotation from 5 on."""
    assert described(tmp_path, config).rope_theta == theta


def test_sizes_are_those_of_the_part_that_writes(tmp_path: Path) -> None:
    """Not the vision tower's, wherever it stands, and not those that the whole has for its projector."""
    found = described(tmp_path, {"hidden_size": 99, "audio_config": {**VISION, "num_hidden_layers": 32}, "text_config": SIZES})

    assert (found.hidden_size, found.layers, found.context, found.vocabulary) == (512, 6, 2048, 1000)


def test_a_part_is_known_by_its_vocabulary_where_its_name_is_new(tmp_path: Path) -> None:
    """Layers alone has every tower."""
    found = described(tmp_path, {"aaa": VISION, "zzz": {"mm": SIZES}})

    assert (found.layers, found.vocabulary) == (6, 1000)


@pytest.mark.parametrize("value", ["abc", -1, 0, 1e308, 2.5, True, [512], {"a": 1}, None, 10**30])
def test_a_size_that_cannot_be_is_not_said(value: Any, tmp_path: Path) -> None:
    """Zero stands for that, and nothing is divided by it."""
    found = described(tmp_path, dict.fromkeys(SIZES, value) | {"rope_theta": "abc"})

    assert found == Model(name=tmp_path.name)


@pytest.mark.parametrize(
    ("config", "method"),
    [
        ({"quantization_config": {"quant_method": "compressed-tensors"}}, "compressed-tensors"),
        ({"text_config": {**SIZES, "quantization_config": {"quant_method": "fp8"}}}, "fp8"),
        ({"compression_config": {"quant_method": "sparseml"}}, "sparseml"),
        ({"quantization_config": {"load_in_4bit": True}}, "bitsandbytes"),
        ({"quantization_config": {"bits": 4}}, "unknown"),
        ({"quantization_config": {"quant_method": ["gptq"]}}, "unknown"),
        ({"quantization_config": {}}, ""),
        ({"quantization_config": None}, ""),
        ({"quantization_config": "gptq"}, ""),
    ],
)
def test_how_it_is_quantised(config: dict[str, Any], method: str, tmp_path: Path) -> None:
    """By name; before names there were flags."""
    assert described(tmp_path, config).quantization == method


@pytest.mark.parametrize(
    ("config", "brings"),
    [
        ({"auto_map": {"AutoModel": "modeling_x.X"}}, True),
        ({"llm_config": {"auto_map": {"AutoModel": "modeling_x.X"}}}, True),
        ({"auto_map": {}}, False),
        ({"auto_map": None}, False),
        ({}, False),
    ],
)
def test_whether_it_brings_code(config: dict[str, Any], brings: bool, tmp_path: Path) -> None:
    """The whole, or a part of it."""
    assert described(tmp_path, config).remote_code is brings


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"auto_map": {"AutoConfig": "configuration_x.XConfig", "AutoModel": "modeling_x.XModel"}}, ("configuration_x", "modeling_x")),
        ({"auto_map": {"AutoModel": "owner/repo--modeling_x.XModel"}}, ("modeling_x",)),
        ({"auto_map": {"AutoTokenizer": ["tokenization_x.Slow", None]}}, ("tokenization_x",)),
        ({"llm_config": {"auto_map": {"AutoModel": "modeling_y.Y"}}, "auto_map": {"AutoModel": "modeling_x.X"}}, ("modeling_x", "modeling_y")),
        ({"auto_map": {"AutoModel": "NoModule", "AutoConfig": 3, "b": [4, {}], "c": {"d": "e.f"}}}, ()),
        ({"auto_map": "modeling_x.X"}, ()),
        ({}, ()),
    ],
)
def test_the_modules_of_its_code(config: dict[str, Any], code: tuple[str, ...], tmp_path: Path) -> None:
    """By their names, without the repository and the class; sorted, each once."""
    assert described(tmp_path, config).code == code


def test_names_are_kept_as_text_short_and_on_one_line(tmp_path: Path) -> None:
    """The formats make them harmless; a report must only stay writable."""
    nasty = "<script>|`\x1b[31m\n\ud800" + "x" * 500

    found = described(tmp_path, {"model_type": nasty, "architectures": [nasty] * 1000 + [1], "quantization_config": {"quant_method": nasty}})

    assert found.model_type == r"<script>|`\x1b[31m\n\ud800" + "x" * 79 + "…"
    assert found.architectures == (found.model_type,) * 8
    assert found.quantization == found.model_type
    assert codec.build(codec.load(codec.dump(found)), Model) == found


def test_a_configuration_of_endless_parts_is_walked_for_a_while(tmp_path: Path) -> None:
    """Each with parts of its own."""
    found = described(tmp_path, {"layers": {str(one): {"inner": SIZES} for one in range(20000)}, **SIZES})

    assert found.layers == 6


KEYS = st.sampled_from(
    [*SIZES, "dtype", "torch_dtype", "head_dim", "rope_theta", "rope_parameters", "text_config", "auto_map", "quantization_config", "architectures"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["bfloat16", "auto"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@given(config=st.dictionaries(KEYS, VALUES))
def test_any_configuration_gives_a_fact_that_can_be_written(config: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever its fields hold."""
    folder = tmp_path_factory.getbasetemp() / "any"
    folder.mkdir(exist_ok=True)

    found = described(folder, config)

    assert codec.build(codec.load(codec.dump(found)), Model) == found


def test_bad_input_in_this_process_too(tmp_path: Path) -> None:
    """What a room turns into an outcome is one of two exceptions."""
    with pytest.raises(Absent):
        model(asked=Asked(model=str(tmp_path)))
    (tmp_path / "config.json").mkdir()
    with pytest.raises(Unreadable):
        model(asked=Asked(model=str(tmp_path)))
