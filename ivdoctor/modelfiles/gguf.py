"""One GGUF file: its metadata and where its tensors lie. No weight is read, and what tokenizers bring along is passed over."""

import os
from itertools import pairwise
from operator import attrgetter
from struct import Struct
from typing import Any, BinaryIO, NamedTuple

from ..text import say
from .header import MOST, Tensor
from .reading import POINTER, Refused, Torn, Unreadable, opened, read, shown

MAGIC = b"GGUF"
OLDER = (b"lmgg", b"fmgg", b"tjgg", b"algg")
"""What llama.cpp wrote before, as bytes of a little-endian number: ggml, ggmf, ggjt, ggla."""

VERSIONS = (2, 3)
"""Those that llama.cpp and gguf-py read (gguf 0.19, 2026-11-23); version 1 had shorter counts, and a number above is one that is not known yet."""

ALIGNMENT = 32
"""Of a file that does not say."""

TYPES = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    9: ("Q8_1", 32, 40),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1),
    25: ("I16", 1, 2),
    26: ("I32", 1, 4),
    27: ("I64", 1, 8),
    28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
    40: ("NVFP4", 64, 36),
    41: ("Q1_0", 128, 18),
}
"""
GGML's number of a type: its name, elements in a block, bytes of a block.

Source: GGML_QUANT_SIZES of gguf 0.19.0 (2026-11-23). 4, 5, 31 to 33 and 36 to 38 were taken back, and nobody reads them any more.
"""

NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""The format's types of values that are one number, as `struct` writes them."""

TEXT, ARRAY = 8, 9

PIECE = 2**20
"""Bytes that are read at once, and held."""

MOST_HEADER = 2**28
"""Bytes before the weights: real ones have some ten million, a tokenizer of a million words under a hundred."""

MOST_KEYS = 5_000
MOST_TENSORS = 100_000
MOST_TEXTS = 10_000_000
"""In arrays: they are passed over one by one."""

LONGEST_NAME = 1024
LONGEST_TEXT = 4096
"""Bytes of a text that is kept; a chat template is longer, and says nothing here."""

LONGEST_LIST = 4096
"""Numbers of an array that is kept: one a layer."""

MOST_DIMENSIONS = 4


class Many(NamedTuple):
    """Stands for a value that was passed over."""

    size: int
    """Elements of an array, bytes of a text."""


class Gguf(NamedTuple):
    """What the front of the file says."""

    metadata: dict[str, Any]
    """Numbers, short texts and short lists of numbers as they are; `Many` for the rest."""
    tensors: tuple[Tensor, ...]
    """In the order in which they lie there; dtypes are GGML's own names, shapes as torch would write them."""


def read_gguf(path: str, file: str) -> Gguf:
    """
    The front of one file of versions 2 and 3, in either byte order.

    Raises:
        Nothing: there is no such file.
        Torn: it breaks the format, ends too soon, or changes while it is read.
        Unreadable: it cannot be opened or read, is of another version, has a newer type of tensor, or is larger than anything real.
    """
    with opened(path, file) as source:
        size = os.fstat(source.fileno()).st_size
        front = _Front(source, file, size)
        try:
            found = _gguf(front)
        except Refused as error:
            raise Torn(f"{shown(file)}: {error}") from None
        if os.fstat(source.fileno()).st_size != size:
            raise Torn(say("{file}: it changes while it is read", file=shown(file)))
    return found


class _Front:
    """A file's beginning, a piece at a time; nothing is asked of it that the file's size does not allow."""

    def __init__(self, source: BinaryIO, file: str, size: int) -> None:
        self.file, self.size = file, size
        self.order = "<"
        self._source = source
        self._piece, self._at, self._begin = b"", 0, 0

    @property
    def position(self) -> int:
        return self._begin + self._at

    def peek(self, count: int) -> bytes:
        """As `take`, and stay where it is."""
        self._allow(count)
        if self._at + count > len(self._piece):
            rest = self._piece[self._at :]
            self._begin, self._at = self.position, 0
            self._piece = rest + read(self._source, max(PIECE, count - len(rest)), self.file)
            if len(self._piece) < count:
                raise Refused(say("it changes while it is read"))
        return self._piece[self._at : self._at + count]

    def take(self, count: int) -> bytes:
        taken = self.peek(count)
        self._at += count
        return taken

    def skip(self, count: int) -> None:
        self._allow(count)
        if self._at + count <= len(self._piece):
            self._at += count
            return
        self._begin, self._at, self._piece = self.position + count, 0, b""
        self._source.seek(self._begin)

    def number(self, code: str) -> Any:
        kind = Struct(self.order + code)
        return kind.unpack(self.take(kind.size))[0]

    def text(self, longest: int) -> str | None:
        """None for a longer one, which is passed over."""
        length = self.number("Q")
        if length > longest:
            self.skip(length)
            return None
        return self.take(length).decode(errors="replace")

    def skip_texts(self, count: int) -> None:
        """A million of them in a fifth of a second: a call for each would take ten times that."""
        length = Struct(self.order + "Q").unpack_from
        while count:
            self.peek(8)  # the first length is in the piece from here on
            piece, at, last = self._piece, self._at, len(self._piece) - 8
            while count and at <= last:
                at += 8 + length(piece, at)[0]
                count -= 1
            self.skip(at - self._at)

    def refuse(self, why: str) -> Unreadable:
        return Unreadable(f"{shown(self.file)}: {why}")

    def _allow(self, count: int) -> None:
        end = self.position + count
        if end > self.size:
            raise Refused(say("its header runs past the end of the file, {size} bytes", size=self.size))
        if end > MOST_HEADER:
            raise self.refuse(say("a header of more than {limit} MiB", limit=MOST_HEADER // 2**20))


def _gguf(front: _Front) -> Gguf:
    _begin(front)
    tensors, keys = front.number("Q"), front.number("Q")
    left = front.size - front.position
    if 24 * tensors + 13 * keys > left:  # what the shortest of each take
        raise Refused(say("{tensors} tensors and {keys} keys, for which its {size} bytes have no room", tensors=tensors, keys=keys, size=front.size))
    if tensors > MOST_TENSORS or keys > MOST_KEYS:
        raise front.refuse(say("{tensors} tensors and {keys} keys, more than anything real", tensors=tensors, keys=keys))
    metadata = _metadata(front, keys)
    alignment = metadata.get("general.alignment", ALIGNMENT)
    if type(alignment) is not int or alignment < 1 or alignment & (alignment - 1):
        raise Refused(say("its alignment is no power of two"))
    described = [_tensor(front) for _ in range(tensors)]
    data = -(-front.position // alignment) * alignment
    return Gguf(metadata, _laid_out(front, [_placed(one, data, alignment, front) for one in described]))


def _begin(front: _Front) -> None:
    """Magic and version, whose byte order is the file's."""
    if not front.size:
        raise Refused(say("it is empty"))
    first = front.peek(min(front.size, len(POINTER)))
    if first == POINTER:
        raise Refused(say("a Git LFS pointer, whose content was not downloaded"))
    if first[:4] in OLDER:
        raise front.refuse(say("a format of llama.cpp before GGUF, unknown to ivdoctor"))
    if first[:4] != MAGIC:
        raise Refused(say("no GGUF file, by its first bytes"))
    if len(first) < 24:  # noqa: PLR2004  # magic, version and two counts
        raise Refused(say("it ends after {size} bytes, before its header", size=front.size))
    front.skip(8)
    front.order = "<" if int.from_bytes(first[4:8], "little") & 0xFFFF else ">"
    version = int.from_bytes(first[4:8], "little" if front.order == "<" else "big")
    if version not in VERSIONS:
        raise front.refuse(say("GGUF of version {version}, unknown to ivdoctor", version=version))


def _metadata(front: _Front, keys: int) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    for _ in range(keys):
        key = front.text(LONGEST_NAME)
        if key is None:
            raise front.refuse(say("a key of more than {count} bytes", count=LONGEST_NAME))
        if key in metadata:
            raise Refused(say("the key {key} is there twice", key=shown(key)))
        metadata[key] = _value(front, key, front.number("I"))
    return metadata


def _value(front: _Front, key: str, kind: int) -> Any:
    if kind in NUMBERS:
        return front.number(NUMBERS[kind])
    if kind == TEXT:
        begin, text = front.position, front.text(LONGEST_TEXT)
        return Many(front.position - begin - 8) if text is None else text
    if kind == ARRAY:
        return _array(front, key, front.number("I"), front.number("Q"))
    raise Refused(say("the key {key} has a value of the type {kind}, which there is not", key=shown(key), kind=kind))


def _array(front: _Front, key: str, kind: int, count: int) -> Any:
    if kind == TEXT:
        if 8 * count > front.size - front.position:
            raise Refused(say("the key {key} has {count} texts, for which the file has no room", key=shown(key), count=count))
        if count > MOST_TEXTS:
            raise front.refuse(say("the key {key} has {count} texts, more than anything real", key=shown(key), count=count))
        front.skip_texts(count)
        return Many(count)
    if kind not in NUMBERS:
        raise front.refuse(say("the key {key} has an array of the type {kind}, unknown to ivdoctor", key=shown(key), kind=kind))
    width = Struct("<" + NUMBERS[kind]).size
    if count > LONGEST_LIST:
        front.skip(count * width)
        return Many(count)
    return list(Struct(f"{front.order}{count}{NUMBERS[kind]}").unpack(front.take(count * width)))


def _tensor(front: _Front) -> tuple[str, tuple[int, ...], int, int]:
    """Name, shape, type and offset."""
    name = front.text(LONGEST_NAME)
    if name is None:
        raise front.refuse(say("a tensor's name of more than {count} bytes", count=LONGEST_NAME))
    dimensions = front.number("I")
    if dimensions > MOST_DIMENSIONS:
        raise Refused(
            say("the tensor {name} has {count} dimensions, where there are {limit}", name=shown(name), count=dimensions, limit=MOST_DIMENSIONS)
        )
    shape = tuple(front.number("Q") for _ in range(dimensions))[::-1]  # the file has the innermost first
    return name, shape, front.number("I"), front.number("Q")


def _placed(described: tuple[str, tuple[int, ...], int, int], data: int, alignment: int, front: _Front) -> Tensor:
    """With its bytes, which begin where its offset says."""
    name, shape, kind, offset = described
    if kind not in TYPES:
        raise front.refuse(say("the tensor {name} has the type {kind}, unknown to ivdoctor", name=shown(name), kind=kind))
    dtype, block, width = TYPES[kind]
    one = Tensor(name, dtype, shape, front.file, data + offset, 0)
    if one.elements >= MOST or (shape[-1] if shape else 1) % block:
        raise Refused(say("the tensor {name} has no shape that {dtype} could have", name=shown(name), dtype=dtype))
    if offset % alignment:
        raise Refused(say("the tensor {name} does not begin at a multiple of {alignment} bytes", name=shown(name), alignment=alignment))
    return one._replace(end=one.start + one.elements // block * width)


def _laid_out(front: _Front, tensors: list[Tensor]) -> tuple[Tensor, ...]:
    """All together: no name twice, no byte twice, none past the end."""
    if len({tensor.name for tensor in tensors}) < len(tensors):
        raise Refused(say("two of its tensors have the same name"))
    tensors.sort(key=attrgetter("start", "end"))
    for tensor in tensors:
        if tensor.end > front.size:
            raise Refused(
                say("the tensor {name} ends at byte {end}, and the file has {size}", name=shown(tensor.name), end=tensor.end, size=front.size)
            )
    for one, following in pairwise(tensors):
        if one.end > following.start:
            raise Refused(say("the tensors {one} and {other} overlap", one=shown(one.name), other=shown(following.name)))
    return tuple(tensors)
