"""What each stored tensor is to the model: weights, several weights packed in one number, or what belongs to packed ones."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from operator import itemgetter
from typing import NamedTuple

from ..facts import Role, Stored
from ..facts.checkpoint import order
from ..tables import table
from .dtypes import DTYPES
from .header import Tensor
from .widths import PLAUSIBLE, Width

LOGICAL = frozenset({"float4_e2m1fn_x2", "float6_e2m3", "float6_e3m2"})
"""Dtypes that say themselves how many weights they hold."""

FORM: Callable[[Tensor], tuple[str, tuple[int, ...]]] = itemgetter(1, 2)
"""Dtype and shape, which nearly all tensors of a large model share with thousands of others."""

PROVING = ("qzeros", "zero_point", "g_idx")

BITS = dict(DTYPES.values())

BLOCKS = {"float8_e4m3fn": 16, "float8_e8m0fnu": 32, "uint8": 32}
"""Weights that share a scale of this dtype: NVFP4's, and those of the OCP microscaling formats, whose exponents are often called bytes."""

OF_A_BLOCK = (4, 6, 8)
"""Bits of a weight there."""


class Row(NamedTuple):
    """One dialect: how the names follow from what they have in common, and what tells the bits."""

    dialect: str
    weight: str
    """Ending of the weight's name, behind the same beginning as the scale's."""
    dtypes: frozenset[str]
    bits: tuple[str, ...]
    beside: tuple[str, ...]
    """Endings of other tensors, behind the same beginning as the scale's."""
    module: tuple[str, ...]
    """And behind the name of the module."""

    def among(self, leaves: set[str]) -> "Row":
        """Only those besides it that may be there."""
        beside, module = (tuple(end for end in ends if _among(end, leaves)) for ends in (self.beside, self.module))
        return self._replace(beside=beside, module=module)


class Kind(NamedTuple):
    """What a tensor is."""

    role: Role
    weights: int


Widths = Callable[[], tuple[Width, ...]]
"""Asked only where a packed tensor needs it: what the configuration says."""


def stored_of(tensors: Iterable[Tensor], widths: Widths) -> tuple[Stored, ...]:
    """All tensors by dtype and role, largest share first and scales last; a name that is there twice counts once."""
    found = {tensor.name: tensor for tensor in tensors}
    kinds = kinds_of(found, widths)
    alike = Counter(zip(map(FORM, found.values()), map(kinds.get, found), strict=True))
    sizes = {FORM(tensor): tensor.end - tensor.start for tensor in found.values()}
    sums: dict[tuple[str, Role], Counter[str]] = {}
    for ((dtype, shape), kind), count in alike.items():
        role, weights = kind or _alone(dtype, shape)
        one = sums.setdefault((dtype, role), Counter())
        one.update(tensors=count, parameters=count * weights, bytes=count * sizes[dtype, shape])
    stored = [Stored(dtype=dtype, role=role, **one) for (dtype, role), one in sums.items()]
    return tuple(sorted(stored, key=order))


def kinds_of(tensors: Mapping[str, Tensor], widths: Widths) -> dict[str, Kind]:
    """Of the tensors that belong to a dialect of `packed_tensors.csv`; any other is weights as they are stored."""
    leaves = {f".{name.rpartition('.')[2]}" for name in tensors}
    rows = {end: tuple(one.among(leaves) for one in dialects) for end, dialects in _rows().items() if _among(end, leaves)}
    looked = _Look(tensors=tensors, widths=widths)
    for end, dialects in rows.items():
        for name in [name for name in tensors if name.endswith(end)]:
            looked.at(name, name[: -len(end)], dialects)
    if looked.kinds:
        loose = tuple(end for end in _loose() if _among(end, leaves))
        looked.scales(*(name for name in tensors if name.endswith(loose) and name not in looked.kinds))
    return looked.kinds


def _among(end: str, leaves: set[str]) -> bool:
    """Whether a name may end so, by the last parts of all names."""
    last = end[end.rfind(".") :] if "." in end else end
    return last in leaves or any(leaf.endswith(last) for leaf in leaves)


@dataclass(slots=True, kw_only=True)
class _Look:
    """Tensors by what they are, as far as is known."""

    tensors: Mapping[str, Tensor]
    widths: Widths
    kinds: dict[str, Kind] = field(default_factory=dict)
    known: dict[tuple[object, ...], Kind] = field(default_factory=dict)
    """By the dialect and all shapes: experts are alike in thousands."""

    def at(self, name: str, stem: str, rows: tuple[Row, ...]) -> None:
        """A scale is one where the weights that it scales are there."""
        for row in rows:
            weight = self.tensors.get(stem + row.weight)
            if weight is not None and weight.dtype in row.dtypes:
                beside = [stem + end for end in row.beside]
                if row.module:
                    module = stem.rpartition(".")[0]
                    beside += [module + end for end in row.module]
                others = [other for other in beside if other in self.tensors]
                self.kinds[weight.name] = self._kind(row, weight, self.tensors[name], others)
                self.scales(name, *others)
                return

    def _kind(self, row: Row, weight: Tensor, scale: Tensor, others: list[str]) -> Kind:
        third = next((self.tensors[name] for name in others if name.endswith(PROVING)), None)
        key = (row, FORM(weight), FORM(scale), third and (FORM(third), third.name[-5:]))
        kind = self.known.get(key)
        if kind is None:
            bits, width = _bits(row, weight, scale, third, self.widths), BITS[weight.dtype]
            kind = self.known[key] = Kind("weights" if bits == width else "packed", weight.elements * width // (bits or width))
        return kind

    def scales(self, *names: str) -> None:
        """They are counted as they are."""
        for name in names:
            shape = self.tensors[name].shape
            kind = self.known.get(shape)
            if kind is None:
                kind = self.known[shape] = Kind("scales", self.tensors[name].elements)
            self.kinds[name] = kind


def _bits(row: Row, weight: Tensor, scale: Tensor, third: Tensor | None, widths: Widths) -> int:
    """Of one weight, by the first proof that holds; 0 where none does."""
    width = BITS[weight.dtype]
    for proof in row.bits:
        if proof.isdigit():
            return int(proof)
        if proof == "config":
            bits = _agreed(weight, scale, widths())
        elif proof in SHAPES:
            bits = SHAPES[proof](width, weight, scale)
        else:
            bits = BESIDE[proof](width, weight, scale, third) if third and third.name.endswith(proof) else 0
        if bits in PLAUSIBLE and bits <= width:
            return bits
    return 0


def _part(whole: int, over: int, under: int) -> int:
    """The quotient of the product, where it is whole; else 0."""
    return whole * over // under if under and whole * over % under == 0 else 0


def _of_block(width: int, weight: Tensor, scale: Tensor) -> int:
    bits = _part(width, weight.elements, BLOCKS.get(scale.dtype, 0) * scale.elements)
    return bits if bits in OF_A_BLOCK else 0


def _of_rows(width: int, weight: Tensor, scale: Tensor) -> int:
    """Where several rows lie in one, and the scales have them all."""
    bits = _part(width, weight.shape[-2], scale.shape[-2]) if min(len(weight.shape), len(scale.shape)) > 1 else 0
    return bits if bits < width else 0


def _of_turned(width: int, weight: Tensor, scale: Tensor) -> int:
    """The scales of torchao's int4 lie the other way round than those of int8."""
    if len(weight.shape) != len(scale.shape) or len(weight.shape) < 2 or weight.shape[-2] != scale.shape[-1]:  # noqa: PLR2004  # rows and columns
        return 0
    return 4 if weight.shape[-2] != scale.shape[-2] and scale.shape[-2] > 0 and width * weight.shape[-1] // 4 % scale.shape[-2] == 0 else 0


SHAPES: dict[str, Callable[[int, Tensor, Tensor], int]] = {"block": _of_block, "rows": _of_rows, "turned": _of_turned}
"""What the shapes of a weight and its scale prove."""


def _of_qzeros(_: int, __: Tensor, scale: Tensor, zeros: Tensor) -> int:
    """GPTQ and AWQ pack zero points along the columns, as many bits each as a weight."""
    integers = zeros.dtype == "int32" and zeros.shape and scale.shape
    return _part(BITS[zeros.dtype], zeros.shape[-1], scale.shape[-1]) if integers else 0


def _of_zero_point(_: int, __: Tensor, scale: Tensor, zeros: Tensor) -> int:
    """compressed-tensors packs them along the rows."""
    integers = zeros.dtype == "int32" and min(len(zeros.shape), len(scale.shape)) > 1
    return _part(BITS[zeros.dtype], zeros.shape[-2], scale.shape[-2]) if integers else 0


def _of_g_idx(width: int, weight: Tensor, _: Tensor, order: Tensor) -> int:
    """A number for each input: GPTQ packs inputs along the rows, compressed-tensors along the columns."""
    if len(weight.shape) < 2 or len(order.shape) != 1:  # noqa: PLR2004  # rows and columns
        return 0
    return _part(width, weight.shape[0 if weight.name.endswith(".qweight") else -1], order.shape[0])


BESIDE: dict[str, Callable[[int, Tensor, Tensor, Tensor], int]] = {"qzeros": _of_qzeros, "zero_point": _of_zero_point, "g_idx": _of_g_idx}
"""What a third tensor of that name proves."""


def _agreed(weight: Tensor, scale: Tensor, widths: tuple[Width, ...]) -> int:
    """The bits that the configuration gives, and of several those that fit the scales."""
    stored = weight.elements * BITS[weight.dtype]
    whole = {1, *(weight.elements // size for size in weight.shape if size)}
    fits = {one.bits for one in widths if (scale.elements * one.group * one.bits == stored if one.group else scale.elements in whole)}
    for agreed in (fits, {one.bits for one in widths}):
        if len(agreed) == 1:
            return agreed.pop()
    return 0


def _alone(dtype: str, shape: tuple[int, ...]) -> Kind:
    """A tensor that belongs to no dialect; GGUF's dtypes say by their names that they are packed."""
    weights = Tensor("", dtype, shape, "", 0, 0).elements
    return Kind("packed" if dtype in LOGICAL or (dtype not in BITS and dtype not in PLAIN_GGML) else "weights", weights)


PLAIN_GGML = frozenset({"F64", "F32", "F16", "BF16", "I8", "I16", "I32", "I64"})


@cache
def _rows() -> dict[str, tuple[Row, ...]]:
    """The dialects by the ending of their scales, in the table's order."""
    rows: dict[str, tuple[Row, ...]] = {}
    for row in table("packed_tensors"):
        if row["weight"]:
            end, beside = row["scale"][1:], row["beside"].split(";")
            one = Row(
                dialect=row["dialect"],
                weight=row["weight"][1:],
                dtypes=frozenset(row["dtypes"].split(";")),
                bits=tuple(row["bits"].split(";")),
                beside=tuple(name[1:] for name in beside if name.startswith("*")),
                module=tuple(name[1:] for name in beside if name.startswith("~")),
            )
            rows[end] = (*rows.get(end, ()), one)
    return rows


@cache
def _loose() -> tuple[str, ...]:
    """Endings of scales that belong to no weight."""
    return tuple(name[1:] for row in table("packed_tensors") if not row["weight"] for name in (row["scale"], *filter(None, row["beside"].split(";"))))
