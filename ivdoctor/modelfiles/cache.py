"""The key/value cache of a model, counted from its configuration alone."""

import re
from collections import Counter

from ..facts import Cache
from .cache_defaults import defaults_of
from .cache_layers import CROSS, KEPT, STATEFUL, WINDOWED, kinds_of, state_of, window_of
from .parts import LAYERS as ALL_LAYERS
from .parts import Config, count_of, main_part, parts_of

HIDDEN = ("hidden_size", "d_model", "n_embd", "dim")
LAYERS = ("decoder_layers", "num_decoder_layers", *ALL_LAYERS)
HEADS = ("decoder_attention_heads", "num_decoder_attention_heads", "num_attention_heads", "n_head", "n_heads", "num_heads", "attention_heads")
KEY_VALUE_HEADS = ("num_key_value_heads", "num_kv_heads", "n_head_kv", "n_kv_heads", "kv_n_heads", "multi_query_group_num")
HEAD_DIM = ("head_dim", "attention_head_dim", "kv_channels", "d_kv")
"""The names that families give them; the first that is there holds."""

MOST_LAYERS = 4096
LARGEST = 2**32
"""Numbers of one token: the largest models in public have some millions."""

GENERATES = re.compile(
    r".*(?:ForCausalLM|LMHeadModel|ForConditionalGeneration|ForImageTextToText|ForVision2Seq|ForSpeechSeq2Seq|ChatModel|ChatGLM).*"
)
ENCODES = re.compile(r".*(?:ForMaskedLM|ForPreTraining|EncoderModel|ForTokenClassification|ForSequenceClassification|ForQuestionAnswering)")
"""What the class of a model that writes is called, and of one that only reads."""

DECODERS = frozenset(
    [
        "gpt2",
        "gpt_neo",
        "gpt_neox",
        "gptj",
        "codegen",
        "bloom",
        "mpt",
        "opt",
        "falcon",
        "RefinedWeb",
        "RefinedWebModel",
        "gpt_bigcode",
        "chatglm",
        "qwen",
        "ctrl",
        "biogpt",
        "xglm",
        "mamba",
        "mamba2",
        "falcon_mamba",
    ]
)
"""Families that write and do not say so by key/value heads."""

ENCODERS = frozenset(
    [
        "bert",
        "bert-generation",
        "big_bird",
        "camembert",
        "data2vec-text",
        "electra",
        "ernie",
        "megatron-bert",
        "rembert",
        "roberta",
        "roberta-prelayernorm",
        "roc_bert",
        "roformer",
        "xlm-roberta",
        "xlm-roberta-xl",
        "xmod",
    ]
)
"""Families that write only where `is_decoder` says so, whatever their class."""

UNCOUNTED = frozenset(
    [
        "reformer",
        "openai-gpt",
        "cpmant",
        "hy_v4",
        "rwkv",
        "xlnet",
        "xlm",
        "transfo-xl",
        "xlstm",
        "blt",
        "csm",
        "moshi",
        "prophetnet",
        "longcat_flash",
        "deepseek_v4",
        "kimi_linear",
        "mimo_v2_flash",
        "dots3_note",
        "gpt_neo",
        "hrm_text",
        "recurrent_gemma",
        "zamba",
        "zamba2",
        "zaya",
        "phi3small",
        "openelm",
        "nemotron-nas",
        "deci",
        "bailing_hybrid",
        "minimax_m3_vl_text",
        "qwen4_exp",
        "qwen4_exp_text",
        "flaubert",
    ]
)
"""Families that keep something else than the arithmetic here says: heads that differ by layer, several caches a layer, or none of keys."""


def cache_of(config: Config) -> Cache | None:
    """
    What the model keeps of every token; None for one that keeps nothing, and where the sizes are not said, absurd, or of an unknown kind.

    Of an encoder-decoder the decoder's own attention is counted; what its cross-attention keeps of the encoder's output, and an image's in
    cross-attention layers, is left out, for it grows with the input and not with what is written. A layer of a kind that nobody told to be
    windowed keeps every token. Source: transformers 5.23.0, cache_utils.py and the families' own code, and tests against real passes.
    """
    part = main_part(parts_of(config))
    layers = count_of(part, LAYERS)
    family = str(part.get("model_type") or config.get("model_type") or "")
    if not layers or layers > MOST_LAYERS or family in UNCOUNTED or not _writes(config, part, family):
        return None
    if count_of(part, ["kv_lora_rank"]):
        return _latent(part, layers)
    kinds = kinds_of(part, family, layers)
    state = state_of(part, family) if kinds and STATEFUL & set(kinds) else 0
    if kinds is None or state is None:
        return None
    pair, wide = _pair(part, family), _global(part, family)
    if pair is None and (KEPT | WINDOWED) & set(kinds):
        return None
    return _counted(part, kinds, pair or 0, wide or pair or 0, state, grouped=_grouped(part, family))


def tied_of(config: Config) -> bool | None:
    """Whether the head is the table of embeddings, by the whole's own word or the writing part's; None where neither says."""
    said = (part.get("tie_word_embeddings") for part in (config, main_part(parts_of(config))))
    return next((value for value in said if isinstance(value, bool)), None)


def _counted(part: Config, kinds: list[str], pair: int, wide: int, state: int, *, grouped: int) -> Cache | None:
    """
    All layers together.

    Args:
        wide: of a layer that keeps every token, where it differs from one with a window.
        grouped: the groups of a token in a layer, where transformers keeps more than them.
    """
    counts = Counter("kept" if kind in KEPT else "windowed" for kind in kinds if kind in KEPT | WINDOWED)
    window = window_of(part) if counts["windowed"] else 0
    if counts["windowed"] and not window:
        counts["kept"], counts["windowed"] = counts["kept"] + counts["windowed"], 0
    found = Cache(
        per_token=counts["kept"] * wide,
        windowed=counts["windowed"] * pair,
        window=window,
        compressed=counts["kept"] * grouped,
        state=sum(kind in STATEFUL for kind in kinds) * state,
    )
    return found if 0 < found.numbers(1) < LARGEST else None


def _latent(part: Config, layers: int) -> Cache | None:
    """Multi-head latent attention (DeepSeek): expanded, and the latent with the part that is rotated, which all heads share."""
    names = ("kv_lora_rank", "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim")
    rank, rotated, still, value = (count_of(part, [name]) for name in names)
    heads = count_of(part, HEADS)
    if not (rank and rotated and still and value and heads) or part.get("linear_attn_config"):
        return None
    index = count_of(part, ["index_head_dim"])
    per_token = layers * (heads * (still + rotated + value) + index)
    return Cache(per_token=per_token, compressed=layers * (rank + rotated + index)) if per_token < LARGEST else None


def _pair(part: Config, family: str) -> int | None:
    """Keys and values of one token in one layer."""
    heads = count_of(part, HEADS)
    groups, size = _groups(part, family, heads), _head_dim(part, family, heads)
    return groups * (size + (count_of(part, ["v_head_dim"]) or size)) if groups and size else None


def _groups(part: Config, family: str, heads: int) -> int:
    """Key/value heads as transformers caches them; 0 where nobody can say."""
    if family in ("falcon", "RefinedWeb", "RefinedWebModel"):
        newer = part.get("new_decoder_architecture", family == "RefinedWeb")
        return 1 if part.get("multi_query", not newer) and not newer else heads
    if family == "gpt_bigcode":
        return 1 if part.get("multi_query", True) else heads
    if part.get("multi_query_attention") is False:
        return heads
    if _said(part) or _odd(part):
        return _said(part)
    null = any(name in part for name in KEY_VALUE_HEADS)  # which stands for as many as there are heads, and not for the family's default
    return (0 if null else defaults_of(family)[0]) or heads


def _said(part: Config) -> int:
    inner = part.get("attn_config")
    return count_of(part, KEY_VALUE_HEADS) or (count_of(inner, ["kv_n_heads"]) if isinstance(inner, dict) else 0)


def _odd(part: Config) -> bool:
    """Whether it says something of its heads that is no number, such as one for each layer."""
    return any(part.get(name) is not None for name in KEY_VALUE_HEADS)


def _grouped(part: Config, family: str) -> int:
    """Falcon's newer architecture: transformers keeps the groups repeated for every head, engines keep them once."""
    heads = count_of(part, HEADS)
    groups = _said(part) if family in ("falcon", "RefinedWeb") and _groups(part, family, heads) == heads else 0
    return groups * 2 * _head_dim(part, family, heads) if groups < heads else 0


def _head_dim(part: Config, family: str, heads: int) -> int:
    said = count_of(part, HEAD_DIM) or (defaults_of(family)[1] if "head_dim" not in part else 0)
    hidden = count_of(part, HIDDEN)
    return said or (hidden // heads if heads and hidden % heads == 0 else 0)


def _global(part: Config, family: str) -> int | None:
    """Gemma 4: the layers without a window have heads of their own size and number."""
    if not family.startswith("gemma4"):
        return None
    own = count_of(part, ["num_global_key_value_heads"]) if part.get("attention_k_eq_v") else 0
    return (own or _groups(part, family, 0)) * 2 * (count_of(part, ["global_head_dim"]) or 512)


def _writes(config: Config, part: Config, family: str) -> bool:
    """Whether it keeps keys and values at all: encoders have layers and heads too."""
    if family in ENCODERS:
        return part.get("is_decoder") is True
    names = [name for one in (config, part) for name in _texts(one.get("architectures"))]
    if any(map(GENERATES.fullmatch, names)):
        return True
    if any(map(ENCODES.fullmatch, names)):
        return False
    if config.get("is_encoder_decoder"):
        return not names
    return bool(part.get("is_decoder")) or family in DECODERS or _said(part) > 0 or bool(part.get(CROSS))


def _texts(value: object) -> list[str]:
    return [one for one in value[:8] if isinstance(one, str)] if isinstance(value, list) else []
