"""How the weights are quantised: `quantization_config` in the words of every method that transformers knows, and of ModelOpt's."""

import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from ..facts import Quantisation
from .dialects import LARGEST_GROUP, Schemes, block_of, compressed, scheme_of, torchao
from .parts import DTYPE_NAMES, SHORT, Config, quantization_of, text_of

MOST_IGNORED = 4096
"""Modules that are kept: a real list names each layer of a large model at most."""

MOST_BITS = 64
IGNORED = (
    "ignore",
    "modules_to_not_convert",
    "ignored_layers",
    "llm_int8_skip_modules",
    "exclude_modules",
    "exclude",
    "skip_modules",
    "linear_weights_not_to_quantize",
)
"""The names that methods give the list of what they leave alone."""

BITS = ("bits", "nbits", "num_bits", "w_bit")
GROUPS = ("group_size", "q_group_size", "in_group_size")

ALGORITHMS = {
    "FP8": (8, "fp8", "fp8"),
    "FP8_PER_CHANNEL_PER_TOKEN": (8, "fp8", "fp8"),
    "FP8_PB_WO": (8, "fp8", ""),
    "NVFP4": (4, "nvfp4", "fp4"),
    "NVFP4_AWQ": (4, "nvfp4", "fp4"),
    "W4A16_AWQ": (4, "", ""),
    "W4A8_AWQ": (4, "", "fp8"),
    "MXFP8": (8, "", "fp8"),
    "INT8_SQ": (8, "", "int8"),
}
"""ModelOpt's `quant_algo`: bits of a weight, the engines' word, and what activations become."""


def quantisation_of(part: Config) -> Quantisation | None:
    """
    What a configuration's part says of it; None where the part says nothing.

    A value that cannot be, bits of "abc" or -1, counts as not said.
    """
    method = quantization_of(part)
    block = next((value for key in ("quantization_config", "compression_config") if isinstance(value := part.get(key), dict) and value), None)
    if not method or block is None:
        return None
    block = _opened(block)
    said = _METHODS.get(method.lower(), _plain)(block) or {}
    common = {
        "ignored": _names(block, IGNORED),
        "targets": _names(block, ("targets", "modules_in_block_to_quantize", "modules_to_convert")),
        "kv_cache": _kv_cache(block),
    }
    return Quantisation(**{**common, **said, "method": method})


def _opened(block: Config) -> Config:
    """ModelOpt puts what matters one level deeper, under `quantization`."""
    inner = block.get("quantization")
    return {**block, **inner} if isinstance(inner, dict) else block


def _compressed(block: Config) -> Config:
    schemes = compressed(block)
    return _schemed(schemes, schemes.dialect or text_of(block.get("format")))


def _schemed(schemes: Schemes, dialect: str) -> Config:
    """Of several groups the one with the fewest bits: where they differ it holds the experts, which are most of the weights."""
    main = schemes.main
    if main is None:
        return {"dialect": dialect}
    return {
        "dialect": dialect,
        "format": main.format(dialect),
        "bits": main.bits,
        "group": main.group,
        "block": main.block,
        "symmetric": main.symmetric,
        "storage": main.storage(dialect),
        "activations": main.activations,
        "targets": tuple(dict.fromkeys(target for one in schemes.all for target in one.targets))[:MOST_IGNORED],
    }


def _fp8(block: Config) -> Config:
    wide = "e5m2" in text_of(block.get("fmt"))
    return {
        "dialect": text_of(block.get("activation_scheme")),
        "format": "fp8",
        "bits": 8,
        "block": block_of(block.get("weight_block_size")),
        "storage": "float8_e5m2" if wide else "float8_e4m3fn",
        "activations": "fp8",
    }


def _awq(block: Config) -> Config:
    bits = _number(block, BITS, MOST_BITS)
    dialect = text_of(block.get("version")) or text_of(block.get("format"))
    zero = block.get("zero_point")
    return {**_grouped(block), "dialect": dialect.lower(), "format": "awq" if bits in (0, 4) else "", "symmetric": zero is False, "storage": "int32"}


def _gptq(block: Config) -> Config:
    dialect = text_of(block.get("checkpoint_format")) or text_of(block.get("format"))
    dynamic = block.get("dynamic")
    left = [f"re:{key[2:]}" for key in dynamic if isinstance(key, str) and key.startswith("-:")] if isinstance(dynamic, dict) else []
    kept = tuple(map(text_of, left[:MOST_IGNORED]))
    return {
        **_grouped(block),
        "dialect": dialect.lower(),
        "format": "gptq",
        "storage": _dtype(block.get("pack_dtype")) or "int32",
        **({"ignored": kept} if kept else {}),
    }


def _bitsandbytes(block: Config) -> Config:
    if block.get("load_in_4bit"):
        return {
            "dialect": text_of(block.get("bnb_4bit_quant_type")) or "fp4",
            "format": "bnb-4bit",
            "bits": 4,
            "storage": _dtype(block.get("bnb_4bit_quant_storage")) or "uint8",
            "compute": _dtype(block.get("bnb_4bit_compute_dtype")),
        }
    if block.get("load_in_8bit"):
        return {"dialect": "llm.int8", "format": "bnb-int8", "bits": 8, "storage": "int8", "activations": "int8"}
    return {}


def _modelopt(block: Config) -> Config:
    """By `quant_algo`; newer files describe groups as compressed-tensors does as well."""
    algorithm = text_of(block.get("quant_algo")).upper()
    bits, format, activations = ALGORITHMS.get(algorithm, (0, "", ""))
    schemes = _schemed(compressed(block), algorithm) if not bits else {}
    stored = {"nvfp4": "uint8", "fp8": "float8_e4m3fn"}.get(format, "")
    return schemes or {**_grouped(block), "dialect": algorithm, "bits": bits, "format": format, "activations": activations, "storage": stored}


def _quark(block: Config) -> Config:
    """One scheme for all layers; the engines' word is left open, for they bring kernels of their own for it."""
    main = block.get("global_quant_config")
    scheme = scheme_of(main.get("weight"), main.get("input_tensors")) if isinstance(main, dict) else None
    if scheme is None:
        return {}
    return {"bits": scheme.bits, "group": scheme.group, "symmetric": scheme.symmetric, "activations": scheme.activations, "dialect": scheme.kind}


def _torchao(block: Config) -> Config:
    """By its configuration's name: activations before `Dynamic`, weights behind it."""
    dialect, group = torchao(block.get("quant_type"))
    before, dynamic, behind = dialect.lower().partition("dynamic")
    bits = re.search(r"(?:int|float|nvfp|mxfp)([1-8])(?![0-9])", behind if dynamic else before)
    used = ("fp8" if "float8" in before else "int8" if "int8" in before else "") if dynamic else ""
    return {"dialect": dialect, "bits": int(bits[1]) if bits else 0, "group": group, "activations": used}


def _aqlm(block: Config) -> Config:
    books, each, group = (_number(block, [name], LARGEST_GROUP) for name in ("num_codebooks", "nbits_per_codebook", "in_group_size"))
    return {"bits": round(books * each / group) if books and each and group and books * each <= group * MOST_BITS else 0, "group": group}


def _named(block: Config) -> Config:
    """Quanto and EETQ say `weights: int8`."""
    weights = text_of(block.get("weights"))
    width = re.fullmatch(r"(?:int|float)([1-8])", weights)
    return {"dialect": weights, "bits": int(width[1]) if width else 0, "activations": text_of(block.get("activations"))}


def _hqq(block: Config) -> Config:
    inner = block.get("quant_config")
    weights = inner.get("weight_quant_params") if isinstance(inner, dict) else None
    return {**_grouped(weights if isinstance(weights, dict) else block), "symmetric": False}


def _rounded(block: Config) -> Config:
    """AutoRound packs as GPTQ or AWQ do."""
    return {**_grouped(block), "dialect": text_of(block.get("packing_format")), "storage": "int32"}


def _plain(block: Config) -> Config:
    """A method that has no words of its own; ModelOpt's older files name none."""
    return _modelopt(block) if "quant_algo" in block else _grouped(block)


def _fixed(values: Config, block: Config) -> Config:
    """What follows from the method alone, where the file says no other."""
    return {**values, **{key: value for key, value in _grouped(block).items() if value and key != "symmetric"}}


_METHODS: dict[str, Callable[[Config], Config]] = {
    "compressed-tensors": _compressed,
    "compressed_tensors": _compressed,
    "fp8": _fp8,
    "mxfp8": lambda block: {**_fp8(block), "format": "", "group": 32, "block": None},
    "fbgemm_fp8": partial(_fixed, {"format": "fp8", "bits": 8, "storage": "float8_e4m3fn", "activations": "fp8"}),
    "awq": _awq,
    "gptq": _gptq,
    "bitsandbytes": _bitsandbytes,
    "mxfp4": partial(_fixed, {"format": "mxfp4", "bits": 4, "group": 32, "storage": "uint8"}),
    "nvfp4": partial(_fixed, {"format": "nvfp4", "bits": 4, "group": 16, "storage": "uint8", "activations": "fp4"}),
    "modelopt": _modelopt,
    "modelopt_fp4": lambda block: {**_modelopt(block), "format": "nvfp4", "bits": 4, "storage": "uint8"},
    "modelopt_mixed": _modelopt,
    "quark": _quark,
    "torchao": _torchao,
    "aqlm": _aqlm,
    "quanto": _named,
    "eetq": partial(_fixed, {"bits": 8, "storage": "int8", "dialect": "int8"}),
    "hqq": _hqq,
    "auto-round": _rounded,
    "intel/auto-round": _rounded,
    "bitnet": partial(_fixed, {"bits": 2, "storage": "uint8"}),
    "fp_quant": lambda block: {"dialect": text_of(block.get("forward_dtype")), "bits": 4},
    "fouroversix": lambda block: {"dialect": text_of(block.get("dtype")), "bits": 4},
    "gguf": lambda _block: {"format": "gguf"},
}
"""The reader of each method's words; the others have bits and a group size, and no more."""


def _grouped(block: Config) -> Config:
    """Bits, group and symmetry under the names that most methods give them."""
    return {
        "bits": _number(block, BITS, MOST_BITS),
        "group": _number(block, GROUPS, LARGEST_GROUP),
        "symmetric": block.get("sym") is not False and block.get("symmetric") is not False,
    }


def _number(block: Config, names: Iterable[str], most: int) -> int:
    """The first of these that is a number from 1 to the most; 0 where none is: a group of -1 is a whole row."""
    values: Iterable[Any] = (block.get(name) for name in names)
    return next((value for value in values if type(value) is int and 0 < value <= most), 0)


def _names(block: Config, keys: Iterable[str]) -> tuple[str, ...]:
    """The first of these that is a list with any names in it; a list of lists is taken flat."""
    for key in keys:
        value = block.get(key)
        flat = [one for inner in value[:MOST_IGNORED] for one in (inner if isinstance(inner, list) else [inner])] if isinstance(value, list) else []
        names = tuple(filter(None, map(text_of, flat[:MOST_IGNORED])))
        if names:
            return names
    return ()


def _dtype(value: object) -> str:
    """Name of torch; empty for what is no dtype."""
    name = value.removeprefix("torch.") if isinstance(value, str) else ""
    name = SHORT.get(name, name)
    return name if name in DTYPE_NAMES else ""


def _kv_cache(block: Config) -> str:
    """`fp8`, `int8` or `nvfp4`, by a scheme or by ModelOpt's word."""
    said = text_of(block.get("kv_cache_quant_algo")).lower()
    scheme = scheme_of(block.get("kv_cache_scheme"), None)
    if scheme is None:
        return said
    return {("float", 8): "fp8", ("int", 8): "int8", ("float", 4): "nvfp4"}.get((scheme.kind, scheme.bits), "")
