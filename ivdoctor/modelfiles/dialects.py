"""What compressed-tensors calls a scheme, which ModelOpt and Quark have taken over, and how torchao writes its own."""

import re
from dataclasses import dataclass
from typing import Any

from .parts import Config, text_of

MOST_GROUPS = 64
MOST_TARGETS = 256
LARGEST_GROUP = 2**20
"""No row of a weight is longer, so no group of one is."""

FULL = 16
"""Bits of what is not quantised at all."""

MX_GROUP, NV_GROUP = 32, 16
"""Weights that share a scale in MXFP4 and in NVFP4, by their definitions."""

WORDS = {("float", 8): "fp8", ("float", 4): "nvfp4", ("int", 8): "int8", ("int", 4): "int4"}
SPARSE = ("marlin-24",)
"""Formats with half of the weights left out, which the engines' rows are not about."""

PRESET = re.compile(r"W([2-8])A(4|8|16)(?:_ASYM)?|(FP8)(?:_DYNAMIC|_BLOCK)?|(NVFP4)(A16)?|(MXFP4)(A16)?")
"""Schemes by name alone, as llm-compressor has them."""

QUARK = re.compile(r"(u?int|fp)([2-8])(?:_e\dm\d)?")
"""`fp8_e4m3`, `int4`, `uint4`: Quark's dtype stands for kind and bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """How one group of modules is quantised."""

    kind: str
    """`int` or `float`; empty where it is not said."""
    bits: int
    group: int
    block: tuple[int, int] | None
    symmetric: bool
    activations: str
    targets: tuple[str, ...] = ()
    dialect: str = ""

    def format(self, dialect: str) -> str:
        """The engines' word for it; empty where they have none, as for int8 weights with 16-bit activations."""
        name = self.dialect or dialect
        if name.startswith("mxfp8") or name in SPARSE:
            return ""
        word = WORDS.get((self.kind, self.bits), "")
        if word == "nvfp4" and (name.startswith("mxfp4") or self.group == MX_GROUP):
            return "mxfp4"
        odd = {"int8": not self.activations, "int4": bool(self.activations)}
        return "" if odd.get(word) else word

    def storage(self, dialect: str) -> str:
        """The dtype that the weights are packed in, by torch's name."""
        if (self.dialect or dialect) in (*SPARSE, "pack-quantized"):
            return "int32"
        return {"fp8": "float8_e4m3fn", "nvfp4": "uint8", "int8": "int8"}.get(WORDS.get((self.kind, self.bits), ""), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Schemes:
    """Every group that quantises weights."""

    all: tuple[Scheme, ...]

    @property
    def main(self) -> Scheme | None:
        """The one with the fewest bits."""
        return min(self.all, key=lambda one: one.bits or 99, default=None)

    @property
    def dialect(self) -> str:
        """The main group's own format, where the groups have one each."""
        return self.main.dialect if self.main else ""


def compressed(block: Config) -> Schemes:
    """The groups of `config_groups`: dictionaries, or lists of targets under the name of a preset."""
    groups = block.get("config_groups")
    found = [_group(name, group) for name, group in list(groups.items())[:MOST_GROUPS]] if isinstance(groups, dict) else []
    return Schemes(all=tuple(one for one in found if one))


def _group(name: object, group: object) -> Scheme | None:
    if isinstance(group, list):
        return _preset(text_of(name), _targets(group))
    if not isinstance(group, dict):
        return None
    return scheme_of(
        group.get("weights"), group.get("input_activations"), targets=_targets(group.get("targets")), dialect=text_of(group.get("format"))
    )


def scheme_of(weights: object, activations: object, *, targets: tuple[str, ...] = (), dialect: str = "") -> Scheme | None:
    """One scheme by its weights and activations; None where the weights are not quantised."""
    if not isinstance(weights, dict):
        return None
    kind, bits = _kind(weights)
    per_group = weights.get("strategy") in (None, "group", "tensor_group")
    return Scheme(
        kind=kind,
        bits=bits,
        group=_size(weights.get("group_size")) if per_group else 0,
        block=block_of(weights.get("block_structure")),
        symmetric=weights.get("symmetric") is not False,
        activations=_activations(activations),
        targets=targets,
        dialect=dialect,
    )


def block_of(said: object) -> tuple[int, int] | None:
    """Rows and columns; None for what is no pair of sizes."""
    pair = [_size(one) for one in said[:3]] if isinstance(said, list) else []
    match pair:
        case [rows, columns] if rows and columns:
            return rows, columns
    return None


def _kind(said: Config) -> tuple[str, int]:
    quark = QUARK.fullmatch(text_of(said.get("dtype")))
    if quark:
        return ("float" if quark[1] == "fp" else "int"), int(quark[2])
    bits, kind = said.get("num_bits"), text_of(said.get("type"))
    return (kind if kind in ("int", "float") else ""), bits if type(bits) is int and 0 < bits <= FULL else 0


def _activations(said: object) -> str:
    """`fp8`, `int8` or `fp4`."""
    kind, bits = _kind(said) if isinstance(said, dict) else ("", 0)
    return {"float": f"fp{bits}", "int": f"int{bits}"}.get(kind, "") if 0 < bits < FULL else ""


def _preset(name: str, targets: tuple[str, ...]) -> Scheme | None:
    found = PRESET.fullmatch(name)
    if not found:
        return None
    weights, activations, fp8, nvfp4, nvfp4_alone, mxfp4, mxfp4_alone = found.groups()
    kind = "int" if weights else "float"
    bits = int(weights) if weights else 8 if fp8 else 4
    used = f"int{activations}" if weights and activations != "16" else "fp8" if fp8 else ""
    if (nvfp4 and not nvfp4_alone) or (mxfp4 and not mxfp4_alone):
        used = "fp4"
    group = NV_GROUP if nvfp4 else MX_GROUP if mxfp4 else 0
    return Scheme(kind=kind, bits=bits, group=group, block=None, symmetric="ASYM" not in name, activations=used, targets=targets)


def _targets(value: object) -> tuple[str, ...]:
    return tuple(filter(None, map(text_of, value[:MOST_TARGETS]))) if isinstance(value, list) else ()


def _size(value: object) -> int:
    return value if type(value) is int and 0 < value <= LARGEST_GROUP else 0


def torchao(quant_type: object) -> tuple[str, int]:
    """The name of torchao's configuration and its group size: a text in older files, a dictionary under `default` in newer ones."""
    if isinstance(quant_type, str):
        return text_of(quant_type), 0
    chosen: Any = quant_type.get("default", quant_type) if isinstance(quant_type, dict) else None
    if not isinstance(chosen, dict):
        return text_of(chosen), 0
    data = chosen.get("_data")
    return text_of(chosen.get("_type")), _size(data.get("group_size")) if isinstance(data, dict) else 0
