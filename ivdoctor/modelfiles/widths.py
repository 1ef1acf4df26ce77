"""In how many bits a configuration says that weights are packed."""

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any, NamedTuple

PLAUSIBLE = range(1, 9)
"""Bits of a weight."""

NAMES = ("bits", "num_bits", "w_bit", "wbits", "nbits", "weight_bits")
GROUPS = ("group_size", "q_group_size")
"""As the configurations of the dialects call them."""

WHOLE = {"bitnet": 2}
"""Methods whose name says the bits."""

CONFIGS = ("quantization_config", "compression_config", "quantization")
NO_WEIGHTS = ("activation", "input", "output", "kv_cache")
"""Parts of a configuration that describe something else."""

MOST_WORDS = 20_000
"""Of a configuration that are looked at."""


class Width(NamedTuple):
    """One way in which weights are packed, by the configuration."""

    bits: int
    group: int
    """Weights that share a scale; 0 where the configuration does not say, or has one for a whole row."""


def _said(words: Mapping[str, Any]) -> int:
    """Bits by the method's name, or by a dtype as Quark writes it; 0 where neither tells."""
    dtype = re.fullmatch(r"u?int([2-8])", str(words.get("dtype")))
    return int(dtype[1]) if dtype else WHOLE.get(str(words.get("quant_method")), 0)


def widths_of(config: Mapping[str, Any]) -> tuple[Width, ...]:
    """Each way of packing weights that a configuration names; none where it names none."""
    found: list[Width] = []
    level: list[Any] = [value for key in CONFIGS if isinstance(value := config.get(key), dict)]
    level += [inner for part in config.values() if isinstance(part, dict) for key in CONFIGS if isinstance(inner := part.get(key), dict)]
    left = MOST_WORDS
    while level and left > 0:
        for one in level:
            bits = next((value for name in NAMES if type(value := one.get(name)) is int), _said(one))
            group = next((value for name in GROUPS if type(value := one.get(name)) is int), 0)
            if bits in PLAUSIBLE:
                found.append(Width(bits, max(group, 0)))
        inner = ((key, value) for one in level for key, value in one.items() if isinstance(value, dict))
        level = [value for key, value in islice(inner, left) if not any(word in key for word in NO_WEIGHTS)]
        left -= len(level)
    return tuple(dict.fromkeys(found))
