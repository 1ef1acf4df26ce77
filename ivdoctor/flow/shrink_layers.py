"""Which layers of a model are left when it is made small: one of each kind."""

from typing import Any

LAYERS = (
    "num_hidden_layers",
    "num_layers",
    "encoder_layers",
    "decoder_layers",
    "depth",
    "n_layer",
    "n_layers",
    "num_encoder_layers",
    "num_decoder_layers",
)
"""How configurations name the number of their layers."""

MORE: tuple[str, ...] = (
    "encoder_num_hidden_layers",
    "decoder_num_hidden_layers",
    "speech_encoder_layers",
    "t2u_encoder_layers",
    "t2u_decoder_layers",
)
MORE += (
    "l_layers",
    "r_layers",
    "x_layers",
    "conf_num_hidden_layers",
    "num_timestamp_prediction_layers",
    "num_pooler_layers",
    "pred_num_hidden_layers",
)
"""How they name that of a part beside it."""

INDEXES: tuple[str, ...] = (
    "cross_attention_layers",
    "deepstack_visual_indexes",
    "fullatt_block_indexes",
    "global_attn_indexes",
    "hybrid_layer_ids",
    "mlp_only_layers",
)
INDEXES += ("moe_layers", "rope_scaling_layers", "attn_layer_indices", "full_attn_idxs", "ple_layer_ids")
"""Lists of the layers that are of one kind."""

FIRST = ("first_k_dense_replace", "num_dense_layers", "moe_layer_start_index")
"""So many layers at the beginning are of another kind."""

LAST = ("num_kv_shared_layers",)
"""So many at the end are."""

SOURCES = ("kv_source_layers",)
"""Lists that name for every layer the one it takes something from."""

PERIODS = {
    "attn_layer_period": "attn_layer_offset",
    "expert_layer_period": "expert_layer_offset",
    "decoder_sparse_step": "",
    "moe_layer_interval": "",
}
"""Every so many layers one is of another kind, counted from an offset: by default the last of the period."""

OTHER = ("target_layer_ids",)
"""Lists of layers of another model."""

FEW = 2
"""Layers that are left where all are alike."""

MOST = 6
"""Layers that are left of however many kinds."""


def fewer(config: dict[str, Any]) -> dict[str, Any]:
    """The keys of one level of a configuration that say how many layers there are, and of which kind: with one of each kind, two at least."""
    key = next((key for key in LAYERS if type(config.get(key)) is int), "")
    count = config.get(key, 0)
    stages = [name for name in ("depths", "layer_depths") if isinstance(config.get(name), list)]
    if stages:  # the number of layers is then that of the stages
        return {name: [min(one, FEW) if type(one) is int else one for one in config[name]] for name in stages}
    found = {name: min(config[name], FEW) for name in (*LAYERS, *MORE) if type(config.get(name)) is int}
    if count <= FEW:
        return found
    kept = _kept(config, count)
    found[key] = len(kept)
    found |= {name: [value[layer] for layer in kept] for name, value in config.items() if _each(name, value, count)}
    found |= {name: [kept.index(config[name][layer]) for layer in kept] for name in SOURCES if name in found}
    found |= {name: [place for place, layer in enumerate(kept) if layer in config[name]] for name in INDEXES if _lists(config, name, count)}
    found |= {name: sum(layer < config[name] for layer in kept) for name in FIRST if type(config.get(name)) is int}
    found |= {name: sum(layer >= count - config[name] for layer in kept) for name in LAST if type(config.get(name)) is int}
    if isinstance(config.get("per_layer_config"), dict):
        found["per_layer_config"] = _renumbered(config["per_layer_config"], kept)
    return found


def _kept(config: dict[str, Any], count: int) -> list[int]:
    """The first layer of each kind, in order."""
    kinds = _kinds(config, count)
    first = sorted({kind: layer for layer, kind in reversed(list(enumerate(kinds)))}.values())[:MOST]
    for layer in range(count):
        if len(first) < FEW and layer not in first:
            first.append(layer)
    if _periods(config):
        return list(range(max(first) + 1))  # which layers are of which kind is counted from the first
    sources = {config[name][layer] for name in SOURCES if _each(name, config.get(name), count) for layer in first}
    return sorted({*first, *sources})


def _kinds(config: dict[str, Any], count: int) -> list[tuple[Any, ...]]:
    """What tells each layer from the others."""
    each = {name: value for name, value in config.items() if _each(name, value, count) and name not in SOURCES}
    lists = [value for value in each.values() if len(set(map(repr, value))) <= MOST]
    marks = [[repr(one) for one in value] for value in lists]
    marks += [[str(layer == source) for layer, source in enumerate(config[name])] for name in SOURCES if _each(name, config.get(name), count)]
    marks += [[str(layer % period == offset) for layer in range(count)] for period, offset in _periods(config)]
    marks += [[str(layer in config[name]) for layer in range(count)] for name in INDEXES if _lists(config, name, count)]
    marks += [[str(layer < config[name]) for layer in range(count)] for name in FIRST if type(config.get(name)) is int]
    marks += [[str(layer >= count - config[name]) for layer in range(count)] for name in LAST if type(config.get(name)) is int]
    other = config.get("per_layer_config")
    if isinstance(other, dict):
        named = {int(name): repr(value) for name, value in other.items() if str(name).isdigit()}
        marks.append([named.get(layer, "") for layer in range(count)])
    return [tuple(mark[layer] for mark in marks) for layer in range(count)]


def _each(name: str, value: Any, count: int) -> bool:
    """Whether it says something of every layer."""
    return isinstance(value, list) and len(value) == count and name not in OTHER


def _periods(config: dict[str, Any]) -> list[tuple[int, int]]:
    """The period and its offset, where it is longer than one layer."""
    found = [(config.get(name), config.get(offset)) for name, offset in PERIODS.items()]
    return [(period, offset if type(offset) is int else period - 1) for period, offset in found if type(period) is int and period > 1]


def _lists(config: dict[str, Any], name: str, count: int) -> bool:
    """Whether it lists layers, rather than say something of every one."""
    value = config.get(name)
    whole = isinstance(value, list) and all(type(one) is int and 0 <= one < count for one in value) and len(set(value)) == len(value)
    return whole and (len(value or ()) < count or value == list(range(count)))


def _renumbered(layers: dict[Any, Any], kept: list[int]) -> dict[str, Any]:
    """What is said of single layers, of those that are left."""
    named = {int(name): value for name, value in layers.items() if str(name).isdigit()}
    return {str(place): named[layer] for place, layer in enumerate(kept) if layer in named}
