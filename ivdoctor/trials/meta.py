"""The architecture of a configuration on torch's meta device: shapes and dtypes, and no data."""

import os
from collections import Counter
from importlib import import_module
from typing import Any

import torch

from ..facts import Anatomy, Stored
from ..modelfiles import read_config
from ..modelfiles.parts import dtype_of, parts_of, quantization_of
from ..probe import Absent
from ..text import say
from .load import OFFLINE, class_of, told_of

MOST_LAYERS = 10_000
"""Modules are made one by one even without data."""


def counted(path: str) -> Anatomy:
    """
    Every parameter once, in the dtype the configuration names, float32 where it names none; buffers that are saved too.

    Raises:
        Absent: it cannot be built, in one line; a quantised model is not, for its layers are others than those of the files.
    """
    raw = read_config(path)
    if any(map(quantization_of, parts_of(raw))):
        raise Absent(say("a quantised model is not built: its files hold other tensors"))
    if any(value > MOST_LAYERS for part in parts_of(raw) for key, value in part.items() if "layers" in key and type(value) is int):
        raise Absent(say("more than {count} layers: it is not built", count=MOST_LAYERS))
    os.environ.update(OFFLINE)
    try:
        transformers: Any = import_module("transformers")
    except ImportError as error:
        raise Absent(say("transformers is not there: {error}", error=error)) from error
    transformers.logging.set_verbosity_error()
    try:
        config = transformers.AutoConfig.from_pretrained(path, trust_remote_code=False, local_files_only=True)
        with torch.device("meta"):
            maker = class_of(transformers, config)
            model = maker.from_config(config, trust_remote_code=False) if maker is transformers.AutoModel else maker(config)
    except Exception as error:
        raise Absent(say("transformers {version} cannot build it: {error}", version=transformers.__version__, error=told_of(error, path))) from error
    named = dtype_of(raw) or next(filter(None, map(dtype_of, parts_of(raw))), "float32")
    return Anatomy(how="meta", stored=_stored(model, named))


def _stored(model: Any, dtype: str) -> tuple[Stored, ...]:
    """By dtype; what is kept in fp32 whatever the configuration says is not known before a load, and is small."""
    counts: dict[str, Counter[str]] = {}
    seen: dict[int, Any] = {id(one): one for one in model.parameters()}
    saved = {name.rpartition(".")[2] for name in model.state_dict()}
    buffers = {id(one): one for name, one in model.named_buffers() if name.rpartition(".")[2] in saved}
    for one in (*seen.values(), *buffers.values()):
        kind = dtype if one.is_floating_point() else str(one.dtype).removeprefix("torch.")
        width = getattr(torch, kind).itemsize
        counts.setdefault(kind, Counter()).update(tensors=1, parameters=one.numel(), bytes=one.numel() * width)
    made = [Stored(dtype=kind, tensors=one["tensors"], parameters=one["parameters"], bytes=one["bytes"]) for kind, one in counts.items()]
    return tuple(sorted(made, key=lambda one: (-one.parameters, one.dtype)))
