"""`config.json`."""

import os
import re
from typing import Any

from ..text import say
from .reading import Nothing, Torn, Unreadable, is_folder, parsed, shown, small

CONFIG, ADAPTER_CONFIG = "config.json", "adapter_config.json"
GGUF_END = ".gguf"

LARGEST = 10 * 2**20
"""Bytes of a configuration: real ones have a few thousand, those that list a vocabulary some hundred thousand."""

DEEPEST = 64
"""Levels of nesting: more than any model has parts within parts, few enough for whoever walks it by recursion."""


def read_config(path: str) -> dict[str, Any]:
    """
    The configuration of a folder, or of the file itself; a GGUF file's metadata stand for one, also in a folder that has no other.

    Raises:
        Nothing: the folder has none, or is not there.
        Unreadable: it is too large, no regular file, no JSON, or no object.
    """
    folder = is_folder(path)
    lone = _lone_gguf(path) if folder else path if path.lower().endswith(GGUF_END) else ""
    if lone:
        from .single import gguf_config

        return gguf_config(lone)
    if not folder and path.lower().endswith(".safetensors"):
        raise Nothing(say("weights alone, and no configuration: name their folder"))
    file = CONFIG if folder else os.path.basename(path)
    config = parsed(small(os.path.join(path, CONFIG) if folder else path, file, LARGEST), file)
    if not isinstance(config, dict):
        raise Torn(say("{file}: no JSON object", file=shown(file)))
    _measure(config, file)
    return config


def described(path: str) -> None:
    """
    Whether there is a model, or an adapter for one.

    Raises:
        Nothing: there is neither.
        Unreadable: its configuration is none.
    """
    try:
        read_config(path)
    except Nothing:
        if not os.path.lexists(os.path.join(path, ADAPTER_CONFIG)):
            raise


def folder_of(path: str) -> str:
    """
    The folder whose weights belong to what the user named.

    Raises:
        Nothing: it is not there, or is a configuration by itself.
        Unreadable: the way there is closed.
    """
    if is_folder(path):
        return path
    if os.path.basename(path) != CONFIG:
        raise Nothing(say("only a configuration was named, and no folder with weights"))
    return os.path.dirname(path) or os.curdir


def _lone_gguf(folder: str) -> str:
    """The first GGUF file of a folder whose weights are such, and that has no configuration; empty for any other. What sees is no model."""
    if os.path.lexists(os.path.join(folder, CONFIG)):
        return ""
    from .layout import PROJECTOR, layout_of

    try:
        layout = layout_of(folder)
    except Unreadable:
        return ""
    files = sorted(layout.files, key=lambda file: (bool(PROJECTOR.search(file)), file))
    return os.path.join(folder, files[0]) if layout.format == "gguf" and files else ""


def _measure(config: dict[str, Any], file: str) -> None:
    """Level by level: a walk that called itself would end where it should warn."""
    level: list[Any] = [config]
    for _ in range(DEEPEST):
        level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one) if isinstance(inner, (dict, list))]
        if not level:
            return
    raise Unreadable(say("{file}: nested deeper than {levels} levels", file=shown(file), levels=DEEPEST))


def name_of(path: str) -> str:
    """
    What reports call the model: the folder's own name, or a file's, without the path.

    A snapshot in the cache of huggingface_hub lies in a folder named for its commit, and has the repository's name.
    """
    full = os.path.abspath(path)
    if os.path.basename(full) == CONFIG and not os.path.isdir(full):
        full = os.path.dirname(full)
    cached = re.search(r"[\\/]models--([^\\/]+)[\\/]snapshots[\\/][^\\/]+$", full)
    if cached:
        return shown(cached[1].replace("--", "/", 1))
    name = os.path.basename(full)
    return shown(name.removesuffix(".json") or "model")
