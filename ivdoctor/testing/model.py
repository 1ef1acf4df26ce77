"""A model, by its configuration and the headers of its weights."""

import json
from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Any

from ..facts import Adapter, Anatomy, Checkpoint, Model, Native, Stored, Version
from ..modelfiles.dtypes import DTYPES

PARAMETERS = 8_030_261_248


def a_model(**changes: Any) -> Model:
    """A language model of 8 billion parameters that says bfloat16 and nothing unusual."""
    model = Model(
        name="model",
        model_type="llama",
        architectures=("LlamaForCausalLM",),
        dtype="bfloat16",
        hidden_size=4096,
        layers=32,
        head_dim=128,
        rope_theta=500000.0,
        context=8192,
        vocabulary=128256,
    )
    return replace(model, **changes)


def a_checkpoint(*stored: Stored, **changes: Any) -> Checkpoint:
    """Four whole safetensors files: the weights of `a_model` in bfloat16, unless others are given."""
    held = stored or (some_weights(),)
    checkpoint = Checkpoint(format="safetensors", files=4, bytes=sum(one.bytes for one in held) + 40000, stored=held)
    return replace(checkpoint, **changes)


def an_anatomy(*stored: Stored, **changes: Any) -> Anatomy:
    """The weights of `a_model` in bfloat16, counted from its configuration, unless others are given."""
    return replace(Anatomy(how="arithmetic", stored=stored or (some_weights(),)), **changes)


def an_adapter(**changes: Any) -> Adapter:
    """A LoRA of rank 16 in float32 for a base that is at hand, in bfloat16."""
    stored = (Stored(dtype="float32", tensors=128, parameters=13_631_488, bytes=54_525_952),)
    return replace(Adapter(method="LORA", base="org/base", rank=16, stored=stored, base_dtype="bfloat16"), **changes)


def a_native(model_type: str = "llama", **changes: Any) -> Native:
    """Transformers 5.23, which knows this type."""
    return replace(Native(version=Version("5.23.0"), model_type=model_type, known=True), **changes)


def some_weights(dtype: str = "bfloat16", parameters: int = PARAMETERS, width: float = 2, **changes: Any) -> Stored:
    """All tensors of one dtype; `width` is its bytes."""
    return replace(Stored(dtype=dtype, tensors=291, parameters=parameters, bytes=int(parameters * width)), **changes)


def a_safetensors_file(tensors: Mapping[str, tuple[str, tuple[int, ...]]] | None = None) -> bytes:
    """A whole file of zeros: dtype as the format writes it, `F32`, and shape by name."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (dtype, shape) in ({"weight": ("F32", (2, 3))} if tensors is None else tensors).items():
        begin, end = end, end + prod(shape) * DTYPES[dtype][1] // 8
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + bytes(end)
