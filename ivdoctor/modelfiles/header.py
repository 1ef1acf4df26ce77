"""
The header of one safetensors file, checked as strictly as the library of that name does: what that reads is not called torn.

But for one thing: of two tensors of one name the library takes the last (0.8.0), other readers may take the first, and nobody means it.
"""

import os
import re
from collections import Counter
from operator import itemgetter
from typing import Any, NamedTuple

from ..text import say
from .dtypes import DTYPES
from .reading import POINTER, Refused, Torn, Unreadable, opened, parsed, read, shown

LARGEST = 100_000_000
"""Bytes of a header, by the format."""

MOST_PARTS = 1_500_000
"""Objects and lists in a header, three a tensor; of commas and colons twice as many. More would take gigabytes of memory to look at."""

MOST = 2**63
"""Elements and bytes below which everything real stays."""


COUNTS = frozenset({"dtype", "shape", "data_offsets", "__metadata__"})
"""The words of the format itself."""


SEEN: dict[str, Any] = {}
"""Stands for an object that was looked at and is not kept."""


class Tensor(NamedTuple):
    """One tensor of a checkpoint."""

    name: str
    dtype: str
    """torch's name: `bfloat16`."""
    shape: tuple[int, ...]
    file: str
    """Relative to the folder."""
    start: int
    """First byte, counted from the beginning of the file."""
    end: int

    @property
    def elements(self) -> int:
        """How many numbers it holds; of a format that packs two in a byte, each."""
        count = 1
        for size in self.shape:
            count *= size
        return count


def read_header(path: str, file: str) -> tuple[int, tuple[Tensor, ...]]:
    """
    Length of the header, and the tensors in the order in which they lie in the file.

    Raises:
        Nothing: there is no such file.
        Torn: header and file do not agree.
        Unreadable: it cannot be opened or read, or has a dtype that is newer than this table.
    """
    with opened(path, file) as source:
        size = os.fstat(source.fileno()).st_size
        first = read(source, 8, file)
        length = int.from_bytes(first, "little")
        wrong = _length(first, length, size, first + read(source, len(POINTER) - 8, file) == POINTER)
        if wrong:
            raise Torn(f"{shown(file)}: {wrong}")
        source.seek(8)
        text = read(source, length, file)
        if len(text) < length or os.fstat(source.fileno()).st_size != size:
            raise Torn(say("{file}: it changes while it is read", file=shown(file)))
    if text.count(b"{") + text.count(b"[") > MOST_PARTS or max(text.count(b","), text.count(b":")) > 2 * MOST_PARTS:
        raise Unreadable(say("{file}: a header of more than {count} parts", file=shown(file), count=MOST_PARTS))
    try:
        plain = b"true" not in text and b"false" not in text
        return length, _tensors(_entries(text, file), file, 8 + length, size, plain=plain)
    except Refused as error:
        raise Torn(f"{shown(file)}: {error}") from None


def _entries(text: bytes, file: str) -> dict[str, Any]:
    """By name, each name once. What is there twice is looked for only where the count of entries leaves it open: it takes its time."""
    header = parsed(text, file, parse_constant=_no_constant, parse_float=str)  # no number that could be taken for a size
    if not isinstance(header, dict):
        raise Refused(say("its header is no JSON object"))
    metadata = header.pop("__metadata__", None)
    odd = next((name for name, entry in header.items() if type(entry) is not dict), None)
    if odd is not None:
        raise Refused(say("its header does not describe the tensor {name}", name=shown(odd)))
    counts = {text.count(word) for word in (b'"dtype"', b'"shape"', b'"data_offsets"')}
    if b"\\" in text or counts != {len(header)} or text.count(b'"__metadata__"') > 1:
        parsed(text, file, object_pairs_hook=_once)
    if metadata is not None and not (isinstance(metadata, dict) and all(isinstance(value, str) for value in metadata.values())):
        raise Refused(say("its metadata are no texts"))
    return header


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuses an object that says twice what counts: the library takes the last of two tensors, and does not read the rest."""
    if len({name for name, _ in pairs}) < len(pairs):
        counts = Counter(name for name, value in pairs if isinstance(value, dict) or name in COUNTS)
        twice = next((name for name, count in counts.items() if count > 1), None)
        if twice is not None:
            raise Refused(say("{name} is twice in its header", name=shown(twice)))
    return SEEN


def _length(first: bytes, length: int, size: int, pointer: bool) -> str:
    """What is wrong with the first eight bytes, if anything."""
    if not size:
        return say("it is empty")
    if pointer:
        return say("a Git LFS pointer, whose content was not downloaded")
    if len(first) < 8:  # noqa: PLR2004  # the format's own number
        return say("it ends after {size} bytes, before its header", size=size)
    if length > LARGEST:
        return say("a header of {length} bytes, where the format allows {limit}", length=length, limit=LARGEST)
    if length > size - 8:
        return say("its header has {length} bytes, and the file {size}", length=length, size=size)
    return ""


def _no_constant(name: str) -> None:
    raise Refused(say("{name} in its header", name=name))


def _tensors(entries: dict[str, Any], file: str, begin: int, size: int, *, plain: bool) -> tuple[Tensor, ...]:
    """
    Each with a known dtype, a shape, and offsets that fit both; all together one behind the other to the end of the file.

    Nearly all tensors of a large model have one of a few shapes and begin where the last one ended: what was checked once is looked up.
    `plain` says that no number can be a truth in disguise, which a look-up would not tell apart.
    """
    found: list[Tensor] = []
    checked: dict[tuple[object, ...], tuple[str, tuple[int, ...], int]] = {}
    due, ordered = begin, True
    for name, entry in entries.items():
        try:
            start, end = entry["data_offsets"]
            key = (type(entry["shape"]), entry["dtype"], *entry["shape"])
            known = checked.get(key)
        except (KeyError, TypeError, ValueError):
            raise Refused(say("its header does not describe the tensor {name}", name=shown(name))) from None
        if known is None or not plain or start != due - begin or end != start + known[2]:
            known = checked[key] = _checked(name, entry, file)
            ordered = ordered and begin + start == due
        due = begin + end
        found.append(Tensor(name, known[0], known[1], file, begin + start, due))
    return tuple(found) if ordered and due == size else _laid_out(found, begin, size)


def _checked(name: str, entry: dict[str, Any], file: str) -> tuple[str, tuple[int, ...], int]:
    """Dtype, shape and bytes of one tensor, each of the type it should be, and all in agreement."""
    kind, shape, (start, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    dtype, bits = DTYPES.get(kind, ("", 0))
    if not dtype:
        raise _unknown(kind, name, file)
    if type(shape) is not list or not all(type(number) is int and 0 <= number < MOST for number in (*shape, start, end)):
        raise Refused(say("the tensor {name} has no usable shape or offsets", name=shown(name)))
    if _bits(shape, bits) != 8 * (end - start):
        raise Refused(say("the tensor {name} has {bytes} bytes, which its dtype and shape do not take", name=shown(name), bytes=end - start))
    return dtype, tuple(shape), end - start


def _unknown(kind: object, name: str, file: str) -> Exception:
    """The format grows: a dtype that looks like one is no fault of the file."""
    if isinstance(kind, str) and re.fullmatch(r"[A-Z][A-Z0-9_]{1,15}", kind):
        return Unreadable(say("{file}: the tensor {name} has the dtype {dtype}, unknown to ivdoctor", file=shown(file), name=shown(name), dtype=kind))
    return Refused(say("the tensor {name} has no dtype", name=shown(name)))


def _bits(shape: list[int], bits: int) -> int:
    """Of the whole tensor; -1 once it is beyond anything real, so that a long shape costs no long numbers."""
    if 0 in shape:
        return 0
    for size in shape:
        bits *= size
        if bits >= 8 * MOST:
            return -1
    return bits


def _laid_out(tensors: list[Tensor], begin: int, size: int) -> tuple[Tensor, ...]:
    """All together: one behind the other, from the header to the end of the file."""
    tensors.sort(key=itemgetter(4, 5))
    for tensor in tensors:
        if tensor.start != begin:
            raise Refused(
                say("the tensor {name} begins at byte {start}, where {begin} was due", name=shown(tensor.name), start=tensor.start, begin=begin)
            )
        begin = tensor.end
    if begin != size:
        raise Refused(say("its header describes {described} bytes, and the file has {size}", described=begin, size=size))
    return tuple(tensors)
