"""What the files of a checkpoint hold, by its weights and by how they are quantised."""

from collections import Counter
from collections.abc import Callable, Iterable
from math import prod
from typing import NamedTuple

from ..facts import Quantisation, Role, Stored
from ..facts.checkpoint import order
from ..modelfiles.dtypes import DTYPES
from ..text import say
from .weight import Unknown, Weight

BYTES = {name: bits // 8 for name, bits in DTYPES.values()}
FP8 = "float8_e4m3fn"

BNB_BLOCK, BNB_NESTED = 64, 256
"""Weights that share a scale of bitsandbytes, and scales that share one in turn: its functional.py, quantize_4bit."""

BNB_STATE = 90
"""About the bytes of the JSON text that describes one tensor to bitsandbytes."""


class Part(NamedTuple):
    """One tensor of those that hold a weight."""

    dtype: str
    role: Role
    elements: int
    parameters: int
    """Weights; of scales, their own number."""


def scales(dtype: str, *elements: int) -> list[Part]:
    """Tensors that belong to packed weights."""
    return [Part(dtype, "scales", count, count) for count in elements]


def packed(dtype: str, weights: int, elements: int) -> list[Part]:
    """Several weights in a number."""
    return [Part(dtype, "packed", elements, weights)]


Packer = Callable[[int, int, str, Quantisation], list[Part]]
"""Of rows, columns, the model's dtype and the quantisation: the tensors of one linear layer's weight."""


def stored(weights: Iterable[Weight], dtype: str, quantisation: Quantisation | None, *, nested: bool = False) -> tuple[Stored, ...] | None:
    """
    All tensors by dtype and role; None where the quantisation's files are not known.

    Args:
        dtype: the configuration's, by torch's name; empty counts as float32.
        nested: whether scales of bitsandbytes are themselves quantised.
    """
    try:
        return laid_out(weights, dtype, quantisation, nested=nested)
    except Unknown:
        return None


def laid_out(weights: Iterable[Weight], dtype: str, quantisation: Quantisation | None, *, nested: bool = False) -> tuple[Stored, ...]:
    """
    As `stored`.

    Raises:
        Unknown: with the reason where that gives None.
    """
    weights, dtype = tuple(weights), dtype or "float32"
    if dtype not in BYTES:
        raise Unknown(say("how {dtype} is stored is not known to ivdoctor", dtype=dtype))
    out, module_of = _left_out(weights, quantisation)
    packer = _packer(quantisation, nested=nested) if quantisation else None
    alike = Counter(
        (one.shape, one.times, one.buffer, one.expert, _fused(one), packer is not None and one.linear and module_of(one) not in out)
        for one in weights
    )
    sums: dict[tuple[str, Role], list[int]] = {}
    for (shape, times, buffer, expert, fused, inside), count in alike.items():
        if inside and packer and quantisation:
            parts = _quantised(shape, packer, dtype, quantisation, expert=expert, fused=fused)
        else:
            parts = [_plain(shape, dtype, buffer=buffer)]
        for part in parts:
            one = sums.setdefault((part.dtype, part.role), [0, 0, 0])
            one[0] += count * (1 if fused else times)
            one[1] += count * times * part.parameters
            one[2] += count * times * part.elements * BYTES[part.dtype]
    found = (Stored(dtype=name, role=role, tensors=one[0], parameters=one[1], bytes=one[2]) for (name, role), one in sums.items())
    return tuple(sorted(found, key=order))


def _left_out(weights: tuple[Weight, ...], quantisation: Quantisation | None) -> tuple[set[str], Callable[[Weight], str]]:
    """Modules that stay as they are, and how a weight's is called; most models are not quantised, and do not pay for the patterns."""
    if quantisation is None:
        return set(), lambda weight: weight.name
    from .kept import kept, module_of

    return kept(weights, quantisation), module_of


def _plain(shape: tuple[int, ...], dtype: str, *, buffer: bool = False) -> Part:
    count = prod(shape)
    return Part("float32", "weights", count, 0) if buffer else Part(dtype, "weights", count, count)


def _fused(one: Weight) -> bool:
    """Whether all experts are one tensor."""
    return one.times > 1 and ".experts.0." not in one.name


def _quantised(shape: tuple[int, ...], packer: Packer, dtype: str, quantisation: Quantisation, *, expert: bool, fused: bool) -> list[Part]:
    if fused and quantisation.method != "mxfp4":
        raise Unknown(say("how {method} stores experts that are one tensor is not known to ivdoctor", method=quantisation.method))
    if quantisation.method == "mxfp4" and not expert:
        return [_plain(shape, dtype)]
    rows, columns = shape
    return packer(rows, columns, dtype, quantisation)


def _packer(quantisation: Quantisation, *, nested: bool) -> Packer:
    """By method and dialect."""
    method, dialect = quantisation.method.lower().replace("_", "-"), quantisation.dialect.lower()
    found = {
        "compressed-tensors": COMPRESSED.get(dialect),
        "fp8": _blocks,
        "fbgemm-fp8": _rows,
        "awq": _awq if dialect in ("", "gemm") else None,
        "gptq": _gptq if dialect in ("", "gptq", "gptq_v2") else None,
        "mxfp4": _mxfp4,
        "modelopt": MODELOPT.get(dialect),
        "modelopt-fp4": MODELOPT.get(dialect),
    }.get(method)
    if method == "bitsandbytes":
        found = _int8 if quantisation.bits == 8 else _nested if nested else _nf4  # noqa: PLR2004
        found = found if quantisation.bits in (4, 8) and quantisation.storage in ("uint8", "int8") else None
    if method == "compressed-tensors" and quantisation.targets not in ((), ("Linear",)):
        found = None
    if found is None:
        named = " ".join(filter(None, (quantisation.method, quantisation.dialect)))
        raise Unknown(say("how {method} stores weights is not known to ivdoctor", method=named))
    return found


def _groups(columns: int, quantisation: Quantisation) -> int:
    """Scales of a row."""
    return -(-columns // quantisation.group) if quantisation.group else 1


def _bits(quantisation: Quantisation) -> int:
    if quantisation.bits not in (2, 3, 4, 8):
        raise Unknown(say("its quantisation does not say how many bits a weight has"))
    return quantisation.bits


def _packed_int(rows: int, columns: int, dtype: str, quantisation: Quantisation) -> list[Part]:
    """As in compressed-tensors 0.20.0, compressors/pack_quantized/base.py: weight_packed, weight_scale, weight_shape, weight_zero_point."""
    bits, groups = _bits(quantisation), _groups(columns, quantisation)
    parts = packed("int32", rows * columns, rows * -(-columns * bits // 32)) + scales(dtype, rows * groups) + scales("int64", 2)
    return parts if quantisation.symmetric else parts + scales("int32", -(-rows * bits // 32) * groups)


def _numbers(rows: int, columns: int, dtype: str, quantisation: Quantisation) -> list[Part]:
    """As in compressed-tensors 0.20.0, compressors/naive_quantized/base.py: a number a weight, scales of the model's dtype."""
    storage = quantisation.storage or FP8
    if quantisation.bits != 8 or BYTES.get(storage) != 1:  # noqa: PLR2004
        raise Unknown(say("its quantisation does not say how many bits a weight has"))
    groups = rows * _groups(columns, quantisation)
    if quantisation.block:
        groups = -(-rows // quantisation.block[0]) * -(-columns // quantisation.block[1])
    parts = [Part(storage, "weights", rows * columns, rows * columns), *scales(dtype, groups)]
    return parts if quantisation.symmetric else parts + scales("int8", groups)


def _nvfp4(rows: int, columns: int, _dtype: str, quantisation: Quantisation) -> list[Part]:
    """As in compressed-tensors 0.20.0, compressors/nvfp4/base.py, and modelopt 0.47.0: two numbers a byte, a scale of fp8 for each 16."""
    group = quantisation.group or 16
    ends = 2 if quantisation.activations else 1
    return packed("uint8", rows * columns, rows * -(-columns // 2)) + scales(FP8, rows * -(-columns // group)) + scales("float32", *[1] * ends)


def _mxfp4(rows: int, columns: int, _dtype: str, _quantisation: Quantisation) -> list[Part]:
    """As in transformers 5.23.0, integrations/mxfp4.py: blocks of 32 numbers in 16 bytes, each with an exponent of a byte."""
    blocks = -(-columns // 32)
    return packed("uint8", rows * columns, rows * blocks * 16) + scales("uint8", rows * blocks)


def _blocks(rows: int, columns: int, _dtype: str, quantisation: Quantisation) -> list[Part]:
    """As in transformers 5.23.0, integrations/finegrained_fp8.py FP8Linear."""
    high, wide = quantisation.block or (rows, columns)
    count = -(-rows // high) * -(-columns // wide)
    return [Part(quantisation.storage or FP8, "weights", rows * columns, rows * columns), *scales("float32", count)]


def _rows(rows: int, columns: int, _dtype: str, _quantisation: Quantisation) -> list[Part]:
    """As in transformers 5.23.0, integrations/fbgemm_fp8.py: a scale for each row."""
    return [Part(FP8, "weights", rows * columns, rows * columns), *scales("float32", rows)]


def _tensor(rows: int, columns: int, _dtype: str, _quantisation: Quantisation) -> list[Part]:
    """As in modelopt 0.47.0, torch/export/quant_utils.py: a scale for the tensor and one for its input."""
    return [Part(FP8, "weights", rows * columns, rows * columns), *scales("float32", 1, 1)]


def _awq(rows: int, columns: int, dtype: str, quantisation: Quantisation) -> list[Part]:
    """As in autoawq 0.2.9, modules/linear/gemm.py: qweight of all columns and an eighth of the rows, scales and zero points for each group."""
    bits, groups = _bits(quantisation), _groups(columns, quantisation)
    if rows * bits % 32:
        return [Part(dtype, "weights", rows * columns, rows * columns)]
    return (
        packed("int32", rows * columns, columns * (rows * bits // 32))
        + scales("float16", groups * rows)
        + scales("int32", groups * (rows * bits // 32))
    )


def _gptq(rows: int, columns: int, _dtype: str, quantisation: Quantisation) -> list[Part]:
    """As in gptqmodel 7.7.0, nn_modules/qlinear: qweight, qzeros, scales, g_idx."""
    bits, groups = _bits(quantisation), _groups(columns, quantisation)
    words = packed("int32", rows * columns, -(-columns * bits // 32) * rows)
    return words + scales("int32", groups * -(-rows * bits // 32), columns) + scales("float16", groups * rows)


def _nf4(rows: int, columns: int, _dtype: str, _quantisation: Quantisation) -> list[Part]:
    """As in bitsandbytes 0.50.2, functional.py QuantState.as_dict: absmax, quant_map and a text beside the packed weight."""
    count = rows * columns
    return packed("uint8", count, -(-count // 2)) + scales("float32", -(-count // BNB_BLOCK), 16) + scales("uint8", BNB_STATE)


def _nested(rows: int, columns: int, _dtype: str, _quantisation: Quantisation) -> list[Part]:
    """The same with `bnb_4bit_use_double_quant`: a byte a scale, and scales of those."""
    count = rows * columns
    blocks = -(-count // BNB_BLOCK)
    more = scales("uint8", blocks, BNB_STATE) + scales("float32", -(-blocks // BNB_NESTED), 16, 256)
    return packed("uint8", count, -(-count // 2)) + more


def _int8(rows: int, columns: int, _dtype: str, _quantisation: Quantisation) -> list[Part]:
    """As in bitsandbytes 0.50.2, nn/modules.py Linear8bitLt: SCB, a scale for each row, and the format of the weight."""
    return [Part("int8", "weights", rows * columns, rows * columns), *scales("float32", rows), *scales("uint8", 1)]


COMPRESSED: dict[str, Packer] = {
    "pack-quantized": _packed_int,
    "int-quantized": _numbers,
    "float-quantized": _numbers,
    "naive-quantized": _numbers,
    "nvfp4-pack-quantized": _nvfp4,
}
MODELOPT: dict[str, Packer] = {"fp8": _tensor, "nvfp4": _nvfp4}
"""By `quant_algo`."""
