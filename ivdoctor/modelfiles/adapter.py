"""A folder of PEFT's: the adapter's configuration, the headers of its weights, and its base where that is at hand."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from ..facts import Adapter, Stored
from ..text import say
from .cached import cached
from .checkpoint import read_checkpoint
from .config import ADAPTER_CONFIG, name_of, read_config
from .header import read_header
from .parts import count_of, dtype_of, main_part, parts_of, quantization_of, text_of
from .pickled import read_pickled
from .reading import Nothing, Torn, Unreadable, parsed, shown, small

WEIGHTS, PICKLED = "adapter_model.safetensors", "adapter_model.bin"
"""Source: peft 0.21.2, utils/constants.py (2026-11-23); the first of the weights that is there is loaded."""

LARGEST = 10 * 2**20
"""Bytes of the configuration: real ones have a few thousand."""

RANKS = ("r", "rank")
MOST_MODULES = 64

REPOSITORY = re.compile(r"[\w.-]{1,96}(?:/[\w.-]{1,96})?", re.ASCII)


def read_adapter(folder: str) -> Adapter:
    """
    What the folder says, `stored` empty where it has no weights; the base is looked for on this machine alone.

    Raises:
        Nothing: the folder has no adapter.
        Unreadable: its configuration or its weights are torn, or cannot be looked at.
    """
    config = parsed(small(os.path.join(folder, ADAPTER_CONFIG), ADAPTER_CONFIG, LARGEST), ADAPTER_CONFIG)
    if not isinstance(config, dict):
        raise Torn(say("{file}: no JSON object", file=ADAPTER_CONFIG))
    base = config.get("base_model_name_or_path")
    base = base if isinstance(base, str) else ""
    dtype, quantization = _base(folder, base, config.get("revision"))
    return Adapter(
        method=text_of(config.get("peft_type")),
        base=_shown(base),
        rank=count_of(config, RANKS),
        stored=_stored(folder),
        base_dtype=dtype,
        base_quantization=quantization,
        merged=_texts(config.get("modules_to_save")),
    )


def _stored(folder: str) -> tuple[Stored, ...]:
    """Of the file that PEFT would load; empty where neither is there."""
    counts: dict[str, Counter[str]] = {}
    try:
        _, tensors = read_header(os.path.join(folder, WEIGHTS), WEIGHTS)
    except Nothing:
        return _pickled(folder)
    for tensor in tensors:
        one = counts.setdefault(tensor.dtype, Counter())
        one.update(tensors=1, parameters=tensor.elements, bytes=tensor.end - tensor.start)
    stored = [Stored(dtype=dtype, tensors=one["tensors"], parameters=one["parameters"], bytes=one["bytes"]) for dtype, one in counts.items()]
    return tuple(sorted(stored, key=lambda one: (-one.parameters, one.dtype)))


def _pickled(folder: str) -> tuple[Stored, ...]:
    try:
        return read_pickled(os.path.join(folder, PICKLED), PICKLED).stored
    except Nothing:
        return ()


def _base(folder: str, name: str, revision: object) -> tuple[str, str]:
    """The dtype of most of its weights, or what it was saved in by its configuration, and its method of quantisation; empty where unknown."""
    for place in _places(folder, name, revision):
        dtype = method = ""
        try:
            config = read_config(place)
            parts = parts_of(config)
            dtype = next(filter(None, map(dtype_of, parts)), "")
            method = next(filter(None, map(quantization_of, [config, main_part(parts)])), "")
        except Unreadable:
            continue
        try:
            return read_checkpoint(place).dtype or dtype, method
        except Unreadable:
            return dtype, method
    return "", ""


def _places(folder: str, name: str, revision: object) -> Iterator[str]:
    """Where PEFT would find it without a network: a folder by its path, beside the adapter too, or a snapshot in the cache."""
    if not name or "\0" in name or name.startswith(("\\\\", "//")):  # the last two are another machine's
        return
    for path in (name, os.path.join(folder, name)):
        if os.path.isdir(path):
            yield path
    snapshot = cached(f"{name}@{revision}" if isinstance(revision, str) and revision else name)
    if snapshot:
        yield snapshot


def _shown(name: str) -> str:
    """A repository as it is; of a path the last name alone, or the repository's where it is a snapshot."""
    if REPOSITORY.fullmatch(name) and not name.startswith(".") and not os.path.isdir(name):
        return shown(name)
    path = name.replace("\\", "/").rstrip("/")
    return name_of("/" + path.lstrip("/")) if path.strip("./") else ""


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(filter(None, map(text_of, value[:MOST_MODULES]))) if isinstance(value, list) else ()
