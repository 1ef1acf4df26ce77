"""Which of a model's layers keep every token, which the last few, and which only a state."""

from collections.abc import Callable, Iterator

from .parts import Config, count_of

KEPT = frozenset({"full_attention", "attention", "hybrid"})
WINDOWED = frozenset({"sliding_attention", "chunked_attention"})
STATEFUL = frozenset({"linear_attention", "mamba", "mamba2", "conv", "hybrid"})
NOTHING = frozenset({"moe", "mlp", "dummy", CROSS := "cross_attention_layers"})
"""Kinds as `layer_types` names them; a hybrid layer has attention and a state beside it."""

EVERY = frozenset({"mistral", "mixtral", "starcoder2", "phi3", "phimoe", "ministral"})
"""All layers have the window, where the configuration has one."""

PATTERNS = {
    "gemma2": 2,
    "vaultgemma": 2,
    "gpt_oss": 2,
    "gemma3": 6,
    "gemma3_text": 6,
    "gemma3n": 5,
    "gemma3n_text": 5,
    "gemma4": 6,
    "gemma4_text": 6,
    "gemma4_unified_text": 6,
    "cohere2": 4,
    "exaone4": 4,
    "exaone_moe": 4,
    "olmo3": 4,
}
"""One layer of so many keeps every token, the last of each group. Source: transformers 5.23.0, configuration_*.py (2026-11-23)."""

LATER = frozenset({"qwen2", "qwen3", "qwen2_vl", "qwen2_vl_text", "qwen2_5_vl", "qwen2_5_vl_text"})
"""The window begins at a layer, and only where `use_sliding_window` says so."""

LETTERS = {"M": "mamba", "*": "attention", "-": "mlp", "E": "moe", "L": "sliding_attention", "G": "full_attention"}
"""Of `hybrid_override_pattern` (Nemotron-H) and `sliding_window_pattern` (EXAONE 4)."""


def kinds_of(part: Config, family: str, layers: int) -> list[str] | None:
    """The kind of each layer that keeps anything of its own; None where one of them is of a kind that is not known."""
    kinds = _listed(part, layers)
    if kinds is None:
        kinds = _hybrid(part, family, layers) or _windowed(part, family, layers)
    if len(kinds) != layers or not set(kinds) <= KEPT | WINDOWED | STATEFUL | NOTHING:
        return None
    shared = count_of(part, ["num_kv_shared_layers"])
    across = part.get(CROSS)
    if isinstance(across, list):
        kinds = [kind for index, kind in enumerate(kinds) if index not in across]
    return kinds[: max(layers - shared, 0)]


def window_of(part: Config) -> int:
    """Tokens that a windowed layer keeps; 0 where the configuration does not say."""
    return count_of(part, ["sliding_window", "attention_chunk_size"])


def _listed(part: Config, layers: int) -> list[str] | None:
    for name in ("layer_types", "layers_block_type"):
        value = part.get(name)
        if isinstance(value, list) and value:
            return [str(one) for one in value[: layers + 1]]
    return None


def _hybrid(part: Config, family: str, layers: int) -> list[str]:
    """By the other ways to say which layers have attention; empty where none of them is used."""
    if family in ("mamba", "mamba2", "falcon_mamba"):
        return ["mamba"] * layers
    if family == "falcon_h1":
        return ["hybrid"] * layers
    letters = part.get("hybrid_override_pattern")
    if isinstance(letters, str):
        return [LETTERS.get(one, one) for one in letters[: layers + 1]]
    flags = part.get("attn_type_list")
    if isinstance(flags, list):
        return ["full_attention" if one == 1 else "linear_attention" for one in flags[: layers + 1]]
    attends = _attends(part)
    other = "conv" if family.startswith("lfm") else "linear_attention"
    return ["full_attention" if attends(index) else other for index in range(layers)] if attends else []


def _attends(part: Config) -> Callable[[int], bool] | None:
    for name in ("attn_layer_indices", "full_attn_idxs"):
        value = part.get(name)
        if isinstance(value, list):
            return value.__contains__
    for name, offset in (("attn_layer_period", part.get("attn_layer_offset")), ("full_attention_interval", -1)):
        period = count_of(part, [name])
        if period and isinstance(offset, int):
            return lambda index: (index - offset) % period == 0
    return None


def _windowed(part: Config, family: str, layers: int) -> list[str]:
    """What the family does with a window; everything kept where it is not known to do anything, which is never too little."""
    return ["sliding_attention" if one else "full_attention" for one in _slides(part, family, layers)]


def _slides(part: Config, family: str, layers: int) -> Iterator[bool]:
    pattern = part.get("sliding_window_pattern", PATTERNS.get(family)) if family in PATTERNS else None
    begins = part.get("max_window_layers") if family in LATER and part.get("use_sliding_window") else None
    rotated = _rotated(part, layers) if family in ("llama4", "llama4_text") else []
    for index in range(layers):
        if rotated:
            yield rotated[index]
        elif isinstance(pattern, str) and pattern:
            yield pattern[index % len(pattern)] == "L" and index < layers - 1
        elif type(pattern) is int and pattern > 0:
            yield (index + 1) % pattern != 0
        elif type(begins) is int:
            yield index >= begins
        else:
            yield family in EVERY


def _rotated(part: Config, layers: int) -> list[bool]:
    """Llama 4: layers with a rotation attend to a chunk, and every fourth has none."""
    said = part.get("no_rope_layers")
    if isinstance(said, list) and len(said) == layers:
        return [bool(one) for one in said]
    period = count_of(part, ["no_rope_layer_interval"]) or 4
    return [(index + 1) % period != 0 for index in range(layers)]


def state_of(part: Config, family: str) -> int | None:
    """Numbers that one layer with a state keeps, whatever the length; None where the sizes are not said."""
    hidden = count_of(part, ["hidden_size", "d_model"])
    if family.startswith("lfm"):
        return hidden * count_of(part, ["conv_L_cache"]) or None
    if family == "minimax":
        heads, size = count_of(part, ["num_attention_heads"]), count_of(part, ["head_dim"])
        return heads * (size or hidden // max(heads, 1)) ** 2 or None
    if count_of(part, ["linear_num_value_heads"]):
        return _gated(part)
    return _mamba(part, family, hidden)


def _gated(part: Config) -> int | None:
    """Gated DeltaNet: a matrix for each value head, and the convolution's last steps."""
    sides = ("linear_num_key_heads", "linear_key_head_dim", "linear_num_value_heads", "linear_value_head_dim", "linear_conv_kernel_dim")
    keys, key, values, value, kernel = (count_of(part, [name]) for name in sides)
    return values * key * value + (2 * keys * key + values * value) * kernel or None


def _mamba(part: Config, family: str, hidden: int) -> int | None:
    """State-space layers: the state, and the convolution's last steps; those of the second kind have heads."""
    state, kernel = count_of(part, ["mamba_d_state", "ssm_state_size", "state_size"]), count_of(part, ["mamba_d_conv", "conv_kernel", "d_conv"])
    inner = count_of(part, ["mamba_d_ssm", "mamba_intermediate"]) or count_of(part, ["mamba_expand", "expand"]) * hidden
    heads = count_of(part, ["mamba_n_heads", "mamba_num_heads", "num_heads"])
    if family in ("mamba", "falcon_mamba"):
        inner = count_of(part, ["intermediate_size"]) or inner
    if family in ("mamba", "falcon_mamba", "jamba"):
        return inner * (state + kernel) or None
    size = count_of(part, ["mamba_d_head", "mamba_head_dim", "head_dim"])
    inner = heads * size if heads and size else inner
    groups = count_of(part, ["mamba_n_groups", "n_groups"]) or 1
    return inner * state + (inner + 2 * groups * state) * kernel or None
