"""A configuration's parts: a model of several towers describes each in a dictionary of its own."""

import re
from collections.abc import Iterable
from typing import Any

from ..facts import Quantisation
from .dtypes import DTYPES
from .reading import shown

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
VOCABULARY = ("vocab_size", "padded_vocab_size")
"""The names that families give them; the first that is there holds."""


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
    layered = [part for part in parts if count_of(part, LAYERS)]
    if not layered or layered[0] is parts[0]:
        return parts[0]
    return next((part for part in layered if count_of(part, VOCABULARY)), layered[0])


def count_of(part: Config, names: Iterable[str]) -> int:
    """The first of these that is a size; 0 where none is."""
    values = (part.get(name) for name in names)
    return next((value for value in values if type(value) is int and 0 < value < LARGEST), 0)


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
            return text_of(config.get("quant_method")) or older
    return ""


def quantised_by(parts: Iterable[Config]) -> Quantisation | None:
    """What the first quantised part says of it; most models are not, and do not pay for reading its dialects."""
    quantised = next(filter(quantization_of, parts), None)
    if quantised is None:
        return None
    from .quantisation import quantisation_of

    return quantisation_of(quantised)


def text_of(value: object) -> str:
    """As it may be shown; empty for what is no text."""
    return shown(value) if isinstance(value, str) else ""
