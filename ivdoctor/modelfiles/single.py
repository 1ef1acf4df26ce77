"""A single file that is all of a model: GGUF, or safetensors without a configuration."""

import os
from typing import Any

from ..facts import Checkpoint
from .checkpoint import of_layout
from .layout import GGUF, Layout
from .reading import opened

MOST_PARTS = 1_000
"""Files of a split one that are looked at."""


def read_single(path: str) -> Checkpoint:
    """
    What the file stores, with its other parts where it is the first of several.

    Raises:
        Nothing: there is no such file.
        Unreadable: it is torn, or cannot be looked at.
    """
    folder, file = os.path.split(path)
    opened(path, file).close()
    folder = folder or os.curdir
    if not GGUF.fullmatch(file):
        return of_layout(folder, Layout(format="safetensors", files=[file]))
    parts = _parts(file)
    there = [one for one in parts if os.path.lexists(os.path.join(folder, one))]
    return of_layout(folder, Layout(format="gguf", files=there, missing=[one for one in parts if one not in there]))


def gguf_config(path: str) -> dict[str, Any]:
    """
    The metadata of a GGUF file in the words of a config.json.

    Raises:
        Nothing: there is no such file.
        Unreadable: it is torn, or cannot be looked at.
    """
    from .gguf import read_gguf
    from .gguf_config import config_of

    found = read_gguf(path, os.path.basename(path))
    return config_of(found.metadata, found.tensors)


def _parts(file: str) -> list[str]:
    """All parts of a split file, by the name of its first."""
    match = GGUF.fullmatch(file)
    assert match
    if match[3] is None:
        return [file]
    end = file[match.end(3) :]
    return [f"{match[1]}-{number:05}-of-{match[3]}{end}" for number in range(1, min(int(match[3]), MOST_PARTS) + 1)]
