"""One file of torch.save, told from the archive's listing and the opcodes of its pickle: nothing is unpickled, and no weight is read."""

import os
import struct
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from ..facts import Stored
from ..text import say
from .dtypes import DTYPES
from .opcodes import Built, Scan, Storage, scan
from .reading import POINTER, Torn, Unreadable, opened, read, reason, shown

if TYPE_CHECKING:
    from zipfile import ZipFile, ZipInfo

KINDS = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "ComplexDoubleStorage": "complex128",
    "ComplexFloatStorage": "complex64",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "QInt8Storage": "qint8",
    "QUInt8Storage": "quint8",
    "QInt32Storage": "qint32",
    "UntypedStorage": "uint8",
}
"""torch's class of a storage, and the dtype of its elements; an untyped one counts bytes."""

BITS = dict(DTYPES.values()) | {"complex128": 128, "qint8": 8, "quint8": 8, "qint32": 32}

PICKLE = "data.pkl"
LARGEST_PICKLE = 64 * 2**20
"""Bytes: a hundred for each tensor, and a few kilobytes of names."""

LARGEST_LISTING = 8 * 2**20
"""Bytes of the archive's listing: a hundred for each storage."""

ZIP, LEGACY, TAR = b"PK\x03\x04", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19", (257, b"ustar")
"""First bytes of what torch writes since 1.6, of what it wrote before, and of what it wrote before that."""


class Pickled(NamedTuple):
    """What the pickle would make."""

    stored: tuple[Stored, ...]
    """All tensors of the file; what several share is counted once; largest share first."""
    foreign: tuple[str, ...]
    """Globals that torch.save does not write for tensors, `os.system`: unpickling imports them, and may call them."""
    unknown: str = ""
    """Why nobody can say how much of it is the model, where `stored` is empty for that."""


def read_pickled(path: str, file: str) -> Pickled:
    """
    The tensors of one archive of torch.save (1.6 and later).

    Raises:
        Nothing: there is no such file.
        Torn: it is cut off, or its listing and its pickle do not agree.
        Unreadable: it cannot be opened or read, or is another kind of file.
    """
    with opened(path, file) as source:
        size = os.fstat(source.fileno()).st_size
        _kind(read(source, 512, file), size, file)
        listing, data = _archive(source, size, file)
    found = scan(data, file)
    try:
        _agree(found.storages, listing, file)
        return Pickled(_stored(found, file), found.foreign)
    except Torn:
        raise
    except Unreadable as error:  # what it would import is known all the same
        return Pickled((), found.foreign, str(error))


def _kind(first: bytes, size: int, file: str) -> None:
    if not size:
        raise Torn(say("{file}: it is empty", file=shown(file)))
    if first.startswith(POINTER):
        raise Torn(say("{file}: a Git LFS pointer, whose content was not downloaded", file=shown(file)))
    if first.startswith(ZIP):
        return
    if first.startswith(LEGACY):
        raise Unreadable(say("{file}: saved as torch did before 1.6, so what it holds is unknown: convert it to safetensors", file=shown(file)))
    if first[TAR[0] :].startswith(TAR[1]):
        raise Unreadable(say("{file}: a tar archive, so what it holds is unknown: convert it to safetensors", file=shown(file)))
    raise Unreadable(say("{file}: no archive of torch.save, so what it holds is unknown: convert it to safetensors", file=shown(file)))


class _Bounded:
    """A file that zipfile may read from, but not at any length: it takes that of the listing on trust."""

    def __init__(self, source: BinaryIO, file: str) -> None:
        self.tell, self.seek, self.seekable = source.tell, source.seek, source.seekable
        self._source, self._file = source, file

    def read(self, count: int = -1) -> bytes:
        data = self._source.read(LARGEST_LISTING + 1 if count < 0 else min(count, LARGEST_LISTING + 1))
        if len(data) > LARGEST_LISTING:
            raise Unreadable(
                say("{file}: an archive with a listing of more than {limit} MiB", file=shown(self._file), limit=LARGEST_LISTING // 2**20)
            )
        return data


def _archive(source: BinaryIO, size: int, file: str) -> tuple[dict[str, int], bytes]:
    """Bytes of each storage by its key, and the pickle whole."""
    from zipfile import BadZipFile, ZipFile

    try:
        with ZipFile(_Bounded(source, file)) as archive:
            members = _members(archive, size, file)
            return _listed(members, archive, file)
    except OSError as error:
        raise Unreadable(say("{file}: cannot be read: {reason}", file=shown(file), reason=reason(error))) from error
    except (BadZipFile, NotImplementedError, ValueError, OverflowError, EOFError, RuntimeError, struct.error) as error:
        raise Torn(say("{file}: no whole archive: its end is cut off, or its listing is damaged", file=shown(file))) from error


def _members(archive: "ZipFile", size: int, file: str) -> "dict[str, ZipInfo]":
    """By name, each once, stored as they are, and together no larger than the file."""
    members = {member.filename: member for member in archive.infolist()}
    if len(members) < len(archive.infolist()):
        raise Unreadable(say("{file}: two members of the archive have one name, so what it holds is unknown", file=shown(file)))
    if any(name.endswith("/constants.pkl") for name in members):
        raise Unreadable(say("{file}: a TorchScript archive, code and weights in one, so what it holds is unknown", file=shown(file)))
    packed = next((name for name, one in members.items() if one.compress_type or one.flag_bits & 1), None)
    if packed is not None:
        raise Unreadable(say("{file}: {name} is compressed or encrypted, which torch does not do: unknown", file=shown(file), name=shown(packed)))
    lying = any(one.compress_size != one.file_size or one.header_offset + one.file_size > size for one in members.values())
    if lying or sum(one.file_size for one in members.values()) > size:
        raise Torn(say("{file}: its listing promises more than its {size} bytes", file=shown(file), size=size))
    return members


def _listed(members: "dict[str, ZipInfo]", archive: "ZipFile", file: str) -> tuple[dict[str, int], bytes]:
    roots = [name.removesuffix(PICKLE) for name in members if name.endswith(f"/{PICKLE}") and name.count("/") == 1]
    if len(roots) != 1:
        raise Unreadable(say("{file}: an archive without one {name}, so what it holds is unknown", file=shown(file), name=PICKLE))
    (root,) = roots
    program = members[root + PICKLE]
    if program.file_size > LARGEST_PICKLE:
        raise Unreadable(
            say(
                "{file}: a pickle of {size} bytes, and not read: the limit is {limit} MiB",
                file=shown(file),
                size=program.file_size,
                limit=LARGEST_PICKLE // 2**20,
            )
        )
    with archive.open(program) as member:
        data = b"".join(iter(lambda: member.read(2**20), b""))
    begin = f"{root}data/"
    return {name.removeprefix(begin): one.file_size for name, one in members.items() if name.startswith(begin)}, data


def _agree(storages: Iterable[Storage], listing: dict[str, int], file: str) -> None:
    """Every storage of the pickle is a member of that size, under one type."""
    kinds: dict[str, str] = {}
    for one in storages:
        dtype = KINDS.get(one.kind.rpartition(".")[2], "")
        if not dtype:
            raise Unreadable(say("{file}: a storage of the type {kind}, unknown to ivdoctor", file=shown(file), kind=shown(one.kind)))
        if kinds.setdefault(one.key, one.kind) != one.kind:
            raise Torn(say("{file}: the storage {key} has two types", file=shown(file), key=shown(one.key)))
        if one.key not in listing:
            raise Torn(say("{file}: the storage {key} is not in the archive", file=shown(file), key=shown(one.key)))
        needed = one.elements * BITS[dtype] // 8
        if listing[one.key] != needed:
            raise Torn(
                say(
                    "{file}: the storage {key} has {size} bytes, and by the pickle {needed}",
                    file=shown(file),
                    key=shown(one.key),
                    size=listing[one.key],
                    needed=needed,
                )
            )


def _stored(found: Scan, file: str) -> tuple[Stored, ...]:
    """
    Tensors that are the same part of one storage count once, and a storage no more than it holds.

    A part would be taken for all, and what lies beside a model for a part of it: then nothing is said.
    """
    if found.beside:
        raise Unreadable(say("{file}: it holds {name} as well, so how much of it is the model is unknown", file=shown(file), name=found.beside))
    if {one for one in found.storages if one.elements}.difference([one.storage for one in found.built]):
        raise Unreadable(say("{file}: a storage of no tensor that ivdoctor knows, so what it holds is unknown", file=shown(file)))
    views: dict[tuple[Storage, str], set[tuple[int, tuple[int, ...]]]] = {}
    for one in found.built:
        views.setdefault((one.storage, _dtype(one, file)), set()).add((one.offset, one.shape))
    counts: dict[str, Counter[str]] = {}
    for (storage, dtype), parts in views.items():
        held = storage.elements * BITS[KINDS[storage.kind.rpartition(".")[2]]] // 8
        count = counts.setdefault(dtype, Counter())
        count["tensors"] += len(parts)
        count["parameters"] += min(held * 8 // BITS[dtype], sum(map(_elements, parts)))
        count["bytes"] += held
    stored = [Stored(dtype=dtype, tensors=one["tensors"], parameters=one["parameters"], bytes=one["bytes"]) for dtype, one in counts.items()]
    return tuple(sorted(stored, key=lambda one: (-one.parameters, one.dtype)))


def _dtype(one: Built, file: str) -> str:
    dtype = one.dtype or KINDS[one.storage.kind.rpartition(".")[2]]
    if dtype not in BITS:
        raise Unreadable(say("{file}: a tensor of the dtype {dtype}, unknown to ivdoctor", file=shown(file), dtype=shown(dtype)))
    return dtype


def _elements(part: tuple[int, tuple[int, ...]]) -> int:
    count = 1
    for size in part[1]:
        count *= size
    return count
