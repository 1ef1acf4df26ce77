"""What a folder's weights are, by the headers of their files."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial

from ..facts import Checkpoint, Role, Stored
from ..facts.checkpoint import order
from ..text import say
from .config import read_config
from .header import Tensor, read_header
from .layout import MOST_TENSORS, Layout, layout_of
from .reading import Nothing, Torn, Unreadable, opened, shown, size_of
from .roles import stored_of
from .widths import Width, widths_of

MOST_HEADERS = 256 * 2**20
"""Bytes of all headers together, for the sake of time."""

MOST_FOREIGN = 100
"""Globals of pickles that are named."""


def read_checkpoint(folder: str) -> Checkpoint:
    """
    What the folder stores; missing and torn files are part of the answer.

    Raises:
        Nothing: there are no weights.
        Unreadable: files that may be sound cannot be looked at, or nobody can say which are the model's.
    """
    return of_layout(folder, layout_of(folder))


def of_layout(folder: str, layout: Layout) -> Checkpoint:
    """What these files of the folder store; missing and torn ones are added to the layout. Raises as `read_checkpoint`."""
    stored, foreign = _READERS[layout.format](folder, layout)
    there = [file for file in layout.files if file not in set(layout.missing)]
    return Checkpoint(
        format=layout.format,
        files=len(there),
        bytes=sum(size_of(os.path.join(folder, file)) for file in there),
        stored=stored,
        missing=tuple(map(shown, sorted(layout.missing))),
        torn=tuple(layout.torn),
        foreign=foreign,
    )


_Read = tuple[tuple[Stored, ...], tuple[str, ...]]


def _safetensors(folder: str, layout: Layout) -> _Read:
    found: list[Tensor] = []
    headers = 0
    for file in layout.files:
        with _kept(file, layout):
            length, of_file = _header(folder, file, layout)
            headers += length
            found += of_file
        if headers > MOST_HEADERS:
            raise Unreadable(say("the headers of the weights are larger than {limit} MiB together", limit=MOST_HEADERS // 2**20))
        if len(found) > MOST_TENSORS:
            raise Unreadable(say("the weights are more than {limit} tensors", limit=MOST_TENSORS))
    return stored_of(found, cache(partial(_widths, folder))), ()


def _gguf(folder: str, layout: Layout) -> _Read:
    from .gguf import read_gguf

    found: list[Tensor] = []
    for file in layout.files:
        with _kept(file, layout):
            found += read_gguf(os.path.join(folder, file), file).tensors
        if len(found) > MOST_TENSORS:
            raise Unreadable(say("the weights are more than {limit} tensors", limit=MOST_TENSORS))
    return stored_of(found, tuple), ()


def _pickled(folder: str, layout: Layout) -> _Read:
    """Where one file does not say what it holds, or nobody says that all are one model, nothing is said of the whole: it would be taken for true."""
    from .pickled import read_pickled

    found: list[Stored] = []
    foreign: dict[str, None] = {}
    known = not layout.several
    for file in layout.files:
        path = os.path.join(folder, file)
        with _kept(file, layout):
            opened(path, file).close()  # a file that nobody may open is another matter than one that does not say
            try:
                one = read_pickled(path, file)
            except (Torn, Nothing):
                raise
            except Unreadable:
                known = False
                continue
            known = known and not one.unknown
            found += one.stored
            foreign.update(dict.fromkeys(one.foreign))
    return _together(found) if known else (), tuple(foreign)[:MOST_FOREIGN]


_READERS: dict[str, Callable[[str, Layout], _Read]] = {
    "safetensors": _safetensors,
    "gguf": _gguf,
    "pickle": _pickled,
    "other": lambda _folder, _layout: ((), ()),
}


@contextmanager
def _kept(file: str, layout: Layout) -> Iterator[None]:
    """Torn and missing files are part of the answer."""
    try:
        yield
    except Torn as error:
        layout.torn.append(str(error))
    except Nothing:  # deleted since the folder was listed
        layout.missing.append(file)


def _together(parts: list[Stored]) -> tuple[Stored, ...]:
    """Those of several files, by dtype and role."""
    sums: dict[tuple[str, Role], Counter[str]] = {}
    for one in parts:
        sums.setdefault((one.dtype, one.role), Counter()).update(tensors=one.tensors, parameters=one.parameters, bytes=one.bytes)
    return tuple(sorted((Stored(dtype=dtype, role=role, **one) for (dtype, role), one in sums.items()), key=order))


def _widths(folder: str) -> tuple[Width, ...]:
    """By the configuration, where there is one that can be read."""
    try:
        return widths_of(read_config(folder))
    except Unreadable:
        return ()


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
    lacking = set(layout.tensors.get(file, ())).difference([tensor.name for tensor in found])
    if lacking:
        raise Torn(say("{file}: lacks {count} tensor(s) of the index, {name} first", file=shown(file), count=len(lacking), name=shown(min(lacking))))
    return length, found
