"""A model's configuration."""

from collections.abc import Iterable
from typing import Any

from ..facts import Asked, Model
from ..modelfiles import Nothing, name_of, read_config
from ..modelfiles.cache import cache_of, tied_of
from ..modelfiles.parts import LARGEST, LAYERS, VOCABULARY, Config, count_of, dtype_of, main_part, parts_of, quantised_by, quantization_of, text_of
from ..probe import Absent, probe
from ..text import say

HIDDEN = ("hidden_size", "d_model", "n_embd", "dim")
HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads", "encoder_attention_heads")
HEAD_DIM = ("head_dim", "attention_head_dim", "kv_channels", "d_kv")
CONTEXT = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length", "max_target_positions")
"""The names that families give them; the first that is there holds."""


MOST_CODE = 16
"""Modules of a repository's own code: real ones have three or four."""


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
    writes = [main] if count_of(main, VOCABULARY) else []
    return Model(
        name=name_of(asked.model),
        model_type=text_of(config.get("model_type")),
        architectures=_texts(config.get("architectures")),
        dtype=next(filter(None, map(dtype_of, [config, *writes, *parts])), ""),
        remote_code=any(bool(part.get("auto_map")) for part in parts),
        code=_code(parts),
        quantization=next(filter(None, map(quantization_of, [config, main])), ""),
        quantised=quantised_by([config, main]),
        hidden_size=count_of(main, HIDDEN),
        layers=count_of(main, LAYERS),
        head_dim=_head_dim(main),
        rope_theta=_theta(main) or _theta(config),
        context=count_of(main, CONTEXT) or count_of(config, CONTEXT),
        vocabulary=count_of(main, VOCABULARY) or count_of(config, VOCABULARY),
        cache=cache_of(config),
        tied=tied_of(config),
    )


def _head_dim(part: Config) -> int:
    """Of a query: where it has a part with and one without rotation (DeepSeek's attention), both together."""
    still, rotary = count_of(part, ["qk_nope_head_dim"]), count_of(part, ["qk_rope_head_dim"])
    if still and rotary:
        return still + rotary
    hidden, heads = count_of(part, HIDDEN), count_of(part, HEADS)
    return count_of(part, HEAD_DIM) or (hidden // heads if heads and hidden % heads == 0 else 0)


def _theta(part: Config) -> float:
    """Beside the sizes, or with the other parameters of the rotation; where kinds of layers differ, that of full attention."""
    rope = [value for key in ("rope_parameters", "rope_scaling") if isinstance(value := part.get(key), dict)]
    kinds = [value for one in rope for _, value in sorted(one.items(), key=lambda pair: pair[0] != "full_attention") if isinstance(value, dict)]
    values: Iterable[Any] = (one.get(name) for one in (part, *rope, *kinds) for name in ("rope_theta", "rotary_emb_base"))
    return next((float(value) for value in values if type(value) in (int, float) and 0 < value < LARGEST), 0.0)


def _code(parts: list[Config]) -> tuple[str, ...]:
    """`modeling_x` of `owner/repo--modeling_x.Class`; of a tokenizer there is a list: its slow class and its fast one, either of which may be null."""
    maps = [value for part in parts if isinstance(value := part.get("auto_map"), dict)]
    named = [one for value in maps for entry in value.values() for one in (entry[:2] if isinstance(entry, list) else [entry])]
    modules = [one.rpartition("--")[2].rpartition(".")[0] for one in named if isinstance(one, str)]
    return tuple(sorted({text_of(module) for module in modules if module}))[:MOST_CODE]


def _texts(value: object) -> tuple[str, ...]:
    """A few of them: a class per task at most."""
    return tuple(filter(None, map(text_of, value[:8]))) if isinstance(value, list) else ()
