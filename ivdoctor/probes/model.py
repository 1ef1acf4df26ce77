"""A model's configuration."""

import re
from collections.abc import Iterable
from typing import Any

from ..facts import Asked, Model
from ..modelfiles import Nothing, name_of, read_config
from ..modelfiles.header import DTYPES
from ..modelfiles.reading import shown
from ..probe import Absent, probe
from ..text import say

Config = dict[str, Any]

MOST_PARTS = 256
"""Parts of a configuration that are looked at: a model of vision, speech and text has a dozen."""

LARGEST = 2**40
"""No size of a model is above it."""

NO_PARTS = frozenset({"quantization_config", "compression_config", "auto_map", "rope_scaling", "rope_parameters", "id2label", "label2id"})

TEXT = re.compile(r"text|llm|lm_|language|thinker|decoder")
"""How the part that writes is called."""

DTYPE_NAMES = frozenset(name for name, _ in DTYPES.values())
SHORT = {"half": "float16", "fp16": "float16", "bf16": "bfloat16", "float": "float32", "fp32": "float32", "double": "float64"}

LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers")
HIDDEN = ("hidden_size", "d_model", "n_embd", "dim")
HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads", "encoder_attention_heads")
HEAD_DIM = ("head_dim", "attention_head_dim", "kv_channels", "d_kv")
CONTEXT = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length", "max_target_positions")
VOCABULARY = ("vocab_size", "padded_vocab_size")
"""The names that families give them; the first that is there holds."""


@probe(wants="model")
def model(asked: Asked) -> Model:
    """What is no usable value, a size of "abc" or -1, is taken as not said."""
    if not asked.model:
        raise Absent(say("no model was named"))
    try:
        config = read_config(asked.model)
    except Nothing as error:
        raise Absent(str(error)) from error
    parts = parts_of(config)
    main = main_part(parts)
    writes = [main] if _count(main, VOCABULARY) else []
    return Model(
        name=name_of(asked.model),
        model_type=_text(config.get("model_type")),
        architectures=_texts(config.get("architectures")),
        dtype=next(filter(None, map(dtype_of, [config, *writes, *parts])), ""),
        remote_code=any(bool(part.get("auto_map")) for part in parts),
        quantization=next(filter(None, map(quantization_of, [config, main])), ""),
        hidden_size=_count(main, HIDDEN),
        layers=_count(main, LAYERS),
        head_dim=_head_dim(main),
        rope_theta=_theta(main) or _theta(config),
        context=_count(main, CONTEXT) or _count(config, CONTEXT),
        vocabulary=_count(main, VOCABULARY) or _count(config, VOCABULARY),
    )


def parts_of(config: Config) -> list[Config]:
    """The whole, then its parts, nearest first; on one level those that write before those that see and hear."""
    found = [config]
    for part in found:  # it grows on the way
        inner = [(key, value) for key, value in part.items() if isinstance(value, dict) and key not in NO_PARTS]
        found += [value for _, value in sorted(inner, key=lambda pair: not TEXT.match(pair[0]))]
        if len(found) >= MOST_PARTS:
            break
    return found[:MOST_PARTS]


def main_part(parts: list[Config]) -> Config:
    """The whole where it says how many layers there are, else the part with layers and a vocabulary, else any with layers."""
    layered = [part for part in parts if _count(part, LAYERS)]
    if not layered or layered[0] is parts[0]:
        return parts[0]
    return next((part for part in layered if _count(part, VOCABULARY)), layered[0])


def _count(part: Config, names: Iterable[str]) -> int:
    values = (part.get(name) for name in names)
    return next((value for value in values if type(value) is int and 0 < value < LARGEST), 0)


def _head_dim(part: Config) -> int:
    """Of a query: where it has a part with and one without rotation (DeepSeek's attention), both together."""
    still, rotary = _count(part, ["qk_nope_head_dim"]), _count(part, ["qk_rope_head_dim"])
    if still and rotary:
        return still + rotary
    hidden, heads = _count(part, HIDDEN), _count(part, HEADS)
    return _count(part, HEAD_DIM) or (hidden // heads if heads and hidden % heads == 0 else 0)


def _theta(part: Config) -> float:
    """Beside the sizes, or with the other parameters of the rotation; where kinds of layers differ, that of full attention."""
    rope = [value for key in ("rope_parameters", "rope_scaling") if isinstance(value := part.get(key), dict)]
    kinds = [value for one in rope for _, value in sorted(one.items(), key=lambda pair: pair[0] != "full_attention") if isinstance(value, dict)]
    values: Iterable[Any] = (one.get(name) for one in (part, *rope, *kinds) for name in ("rope_theta", "rotary_emb_base"))
    return next((float(value) for value in values if type(value) in (int, float) and 0 < value < LARGEST), 0.0)


def dtype_of(part: Config) -> str:
    """Name of torch, by the newer key or the older; `auto` and what is no dtype say nothing."""
    for key in ("dtype", "torch_dtype"):
        value = part.get(key)
        name = value.removeprefix("torch.") if isinstance(value, str) else ""
        name = SHORT.get(name, name)
        if name in DTYPE_NAMES:
            return name
    return ""


def quantization_of(part: Config) -> str:
    """The method by its name, `unknown` where it has none; empty for a model that is not quantised."""
    for key in ("quantization_config", "compression_config"):
        config = part.get(key)
        if isinstance(config, dict) and config:
            older = "bitsandbytes" if config.get("load_in_8bit") or config.get("load_in_4bit") else "unknown"
            return _text(config.get("quant_method")) or older
    return ""


def _texts(value: object) -> tuple[str, ...]:
    """A few of them: a class per task at most."""
    return tuple(filter(None, map(_text, value[:8]))) if isinstance(value, list) else ()


def _text(value: object) -> str:
    return shown(value) if isinstance(value, str) else ""
