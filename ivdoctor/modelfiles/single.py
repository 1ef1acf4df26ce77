"""A single file that is all of a model: GGUF, or safetensors without a configuration."""

import os
from typing import Any

from ..facts import Checkpoint
from ..text import say
from .checkpoint import of_layout
from .layout import GGUF, SHARD, Format, Layout
from .reading import Unreadable, opened, shown

MOST_PARTS = 10_000
"""Files of a split one: real ones have some dozen."""


def read_single(path: str) -> Checkpoint:
    """
    What the file stores, with its other parts where it is one of several.

    Raises:
        Nothing: there is no such file.
        Unreadable: it is torn, or cannot be looked at.
    """
    folder, file = os.path.split(path)
    opened(path, file).close()
    folder, parts = folder or os.curdir, _parts(file)
    there = [one for one in parts if os.path.lexists(os.path.join(folder, one))]
    kind: Format = "gguf" if GGUF.fullmatch(file) else "safetensors"
    return of_layout(folder, Layout(format=kind, files=there, missing=[one for one in parts if one not in there]))


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
    alone = found.metadata.get("split.count", 1) in (0, 1) and len(_parts(os.path.basename(path))) == 1
    return config_of(found.metadata, found.tensors, whole=alone)


def _parts(file: str) -> list[str]:
    """All parts of a split file, by the name of one."""
    match = GGUF.fullmatch(file) or SHARD.fullmatch(file)
    if match is None or match[3] is None:
        return [file]
    number, total, end = int(match[2]), int(match[3]), file[match.end(3) :]
    first = min(number, 1)  # some sets of safetensors begin with 0
    if not first <= number < first + total <= MOST_PARTS:
        raise Unreadable(say("{file}: there can be no such set of files", file=shown(file)))
    return [f"{match[1]}-{one:05}-of-{match[3]}{end}" for one in range(first, first + total)]
