"""What a folder's weights are, by the headers of their files."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator

from ..facts import Checkpoint, Stored
from ..text import say
from .config import CONFIG
from .header import Tensor, read_header
from .layout import Layout, layout_of
from .reading import Nothing, Torn, Unreadable, is_folder, shown, size_of

MOST_HEADERS = 256 * 2**20
"""Bytes of all headers together, for the sake of time."""


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


def read_checkpoint(folder: str) -> Checkpoint:
    """
    What the folder stores; missing and torn files are part of the answer.

    Raises:
        Nothing: there are no weights.
        Unreadable: files that may be sound cannot be looked at, or nobody can say which are the model's.
    """
    layout = layout_of(folder)
    counts: dict[str, Counter[str]] = {}
    headers = 0
    for file in layout.files if layout.format == "safetensors" else ():
        try:
            length, found = _header(folder, file, layout)
        except Torn as error:
            layout.torn.append(str(error))
            continue
        except Nothing:  # deleted since the folder was listed
            layout.missing.append(file)
            continue
        headers += length
        if headers > MOST_HEADERS:
            raise Unreadable(say("the headers of the weights are larger than {limit} MiB together", limit=MOST_HEADERS // 2**20))
        _count(found, counts)
    stored = [Stored(dtype=dtype, tensors=one["tensors"], parameters=one["parameters"], bytes=one["bytes"]) for dtype, one in counts.items()]
    there = [file for file in layout.files if file not in layout.missing]
    return Checkpoint(
        format=layout.format,
        files=len(there),
        bytes=sum(size_of(os.path.join(folder, file)) for file in there),
        stored=tuple(sorted(stored, key=lambda one: (-one.parameters, one.dtype))),
        missing=tuple(map(shown, sorted(layout.missing))),
        torn=tuple(layout.torn),
    )


def tensors(folder: str) -> Iterator[Tensor]:
    """
    Every tensor of a safetensors checkpoint, file by file, in the order in which they lie there.

    Raises:
        Nothing: there are no weights, or one of their files is missing.
        Unreadable: a file is torn or cannot be looked at, or the weights are of another format.
    """
    layout = layout_of(folder)
    if layout.format != "safetensors":
        raise Unreadable(say("the weights are no safetensors files"))
    for file in layout.missing:
        raise Nothing(say("{file}: not there", file=shown(file)))
    for line in layout.torn:
        raise Torn(line)
    for file in layout.files:
        yield from _header(folder, file, layout)[1]


def _header(folder: str, file: str, layout: Layout) -> tuple[int, tuple[Tensor, ...]]:
    """A file's header, which must hold what the index promises."""
    length, found = read_header(os.path.join(folder, file), file)
    lacking = sorted(set(layout.tensors.get(file, ())).difference(tensor.name for tensor in found))
    if lacking:
        raise Torn(say("{file}: lacks {count} tensor(s) of the index, {name} first", file=shown(file), count=len(lacking), name=shown(lacking[0])))
    return length, found


def _count(found: Iterable[Tensor], counts: dict[str, Counter[str]]) -> None:
    for tensor in found:
        one = counts.setdefault(tensor.dtype, Counter())
        one["tensors"] += 1
        one["parameters"] += tensor.elements
        one["bytes"] += tensor.end - tensor.start
