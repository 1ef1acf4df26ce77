"""One safetensors file: read to the byte, and called torn only where the library of that name refuses it too."""

import json
import os
import re
import struct
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivdoctor.facts import Checkpoint, Stored
from ivdoctor.modelfiles import Tensor, Torn, Unreadable, read_checkpoint, reading, tensors
from ivdoctor.modelfiles import header as headers
from ivdoctor.modelfiles.dtypes import DTYPES
from ivdoctor.modelfiles.header import read_header
from ivdoctor.testing import a_safetensors_file

WHOLE = a_safetensors_file()


def header(entries: Any, data: bytes = b"", *, pad: int = 0) -> bytes:
    """A file with this header, as text or as JSON."""
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return struct.pack("<Q", len(text) + pad) + text + data


def torn(folder: Path, content: bytes) -> str:
    """What is said of a file with this content, which must be the same in every way of asking."""
    file = folder / "model.safetensors"
    file.write_bytes(content)
    (line,) = read_checkpoint(str(folder)).torn
    with pytest.raises(Torn, match=re.escape(line)):
        list(tensors(str(folder)))
    assert line.startswith("model.safetensors: ")
    return line.removeprefix("model.safetensors: ")


def test_a_file_is_read_to_the_byte(tmp_path: Path) -> None:
    """Tensors in the order in which they lie there, with their places in the file."""
    (tmp_path / "model.safetensors").write_bytes(a_safetensors_file({"b": ("BF16", (2, 3)), "a": ("I64", ()), "none": ("F32", (0, 7))}))
    begin = 8 + int.from_bytes((tmp_path / "model.safetensors").read_bytes()[:8], "little")

    assert list(tensors(str(tmp_path))) == [
        Tensor("b", "bfloat16", (2, 3), "model.safetensors", begin, begin + 12),
        Tensor("a", "int64", (), "model.safetensors", begin + 12, begin + 20),
        Tensor("none", "float32", (0, 7), "model.safetensors", begin + 20, begin + 20),
    ]
    assert read_checkpoint(str(tmp_path)) == Checkpoint(
        format="safetensors",
        files=1,
        bytes=begin + 20,
        stored=(
            Stored(dtype="bfloat16", tensors=1, parameters=6, bytes=12),
            Stored(dtype="int64", tensors=1, parameters=1, bytes=8),
            Stored(dtype="float32", tensors=1, parameters=0, bytes=0),
        ),
    )


def test_every_dtype_of_the_format_is_counted_by_its_width(tmp_path: Path) -> None:
    """Those of four and six bits too."""
    (tmp_path / "model.safetensors").write_bytes(a_safetensors_file({kind: (kind, (4, 2)) for kind in DTYPES}))

    found = {one.dtype: one.bytes for one in read_checkpoint(str(tmp_path)).stored}

    assert found == dict(DTYPES.values())
    assert {"float8_e4m3fn": 8, "float4_e2m1fn_x2": 4, "float6_e2m3": 6, "bool": 8, "complex64": 64}.items() <= found.items()


def test_what_the_library_writes_is_read(tmp_path: Path) -> None:
    """Against safetensors itself: names, shapes, dtypes and bytes."""
    torch = pytest.importorskip("torch")
    save_file = pytest.importorskip("safetensors.torch").save_file
    weights = {
        "embed.weight": torch.arange(12, dtype=torch.float32).reshape(3, 4),
        "norm": torch.ones(4, dtype=torch.bfloat16),
        "scale": torch.tensor(2.0, dtype=torch.float16),
        "mask": torch.ones(5, dtype=torch.bool),
        "packed": torch.ones(2, 2, dtype=torch.int32),
        "empty": torch.ones(0, 3),
    }
    save_file(weights, str(tmp_path / "model.safetensors"))
    content = (tmp_path / "model.safetensors").read_bytes()

    found = {one.name: one for one in tensors(str(tmp_path))}

    assert {name: (str(one.dtype), tuple(one.shape)) for name, one in weights.items()} == {
        name: (f"torch.{one.dtype}", one.shape) for name, one in found.items()
    }
    assert content[found["embed.weight"].start : found["embed.weight"].end] == weights["embed.weight"].numpy().tobytes()


F32 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
PLAIN = header({"a": F32}, bytes(8))

TORN = {
    "empty": (b"", "it is empty"),
    "a few bytes": (b"\x10\0\0", "it ends after 3 bytes, before its header"),
    "Git LFS": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 90868376\n",
        "a Git LFS pointer, whose content was not downloaded",
    ),
    "a length beyond everything": (struct.pack("<Q", 2**63) + b"{}", "a header of 9223372036854775808 bytes, where the format allows 100000000"),
    "all ones": (b"\xff" * 64, "a header of 18446744073709551615 bytes, where the format allows 100000000"),
    "a length beyond the file": (header({"a": F32}, pad=100), "its header has 161 bytes, and the file 69"),
    "no header": (struct.pack("<Q", 0), "no JSON: Expecting value, line 1 column 1"),
    "no object": (header([1]), "its header is no JSON object"),
    "a length that lies": (struct.pack("<Q", 20) + PLAIN[8:], "no JSON: Unterminated string starting at, line 1 column 17"),
    "no UTF-8": (header(b'{"\xff": 1}'), "no UTF-8"),
    "cut in its data": (PLAIN[:-1], "its header describes 77 bytes, and the file has 76"),
    "more than it describes": (PLAIN + b"\0", "its header describes 77 bytes, and the file has 78"),
    "an overlap": (
        header({"a": F32, "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}}, bytes(12)),
        "the tensor b begins at byte 135, where 139 was due",
    ),
    "a hole": (header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}, bytes(8)), "the tensor a begins at byte 73, where 69 was due"),
    "too few bytes": (header({"a": {**F32, "shape": [3]}}, bytes(8)), "the tensor a has 8 bytes, which its dtype and shape do not take"),
    "half a byte": (
        header({"a": {"dtype": "F4", "shape": [3], "data_offsets": [0, 1]}}, bytes(1)),
        "the tensor a has 1 bytes, which its dtype and shape do not take",
    ),
    "backwards": (
        header({"a": {"dtype": "F32", "shape": [0], "data_offsets": [8, 0]}}, bytes(8)),
        "the tensor a has -8 bytes, which its dtype and shape do not take",
    ),
    "a negative shape": (header({"a": {**F32, "shape": [-1, -2]}}, bytes(8)), "the tensor a has no usable shape or offsets"),
    "a shape of fractions": (header({"a": {**F32, "shape": [2.0]}}, bytes(8)), "the tensor a has no usable shape or offsets"),
    "a shape of truth": (header({"a": {**F32, "shape": [True, 2]}}, bytes(8)), "the tensor a has no usable shape or offsets"),
    "a shape that is a text": (header({"a": {**F32, "shape": "2"}}, bytes(8)), "the tensor a has no usable shape or offsets"),
    "a shape beyond everything": (
        header({"a": {**F32, "shape": [2**62] * 5000}}, bytes(8)),
        "the tensor a has 8 bytes, which its dtype and shape do not take",
    ),
    "offsets beyond everything": (header({"a": {**F32, "data_offsets": [0, 2**64]}}, bytes(8)), "the tensor a has no usable shape or offsets"),
    "endless offsets": (
        header(b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, ' + b"9" * 10**6 + b"]}}"),
        "an integer of 1000000 digits",
    ),
    "one offset": (header({"a": {**F32, "data_offsets": [0]}}, bytes(8)), "its header does not describe the tensor a"),
    "no shape": (header({"a": {"dtype": "F32", "data_offsets": [0, 8]}}, bytes(8)), "its header does not describe the tensor a"),
    "a tensor that is a number": (header({"a": 1}), "its header does not describe the tensor a"),
    "a dtype that is none": (header({"a": {**F32, "dtype": "float32"}}, bytes(8)), "the tensor a has no dtype"),
    "a dtype that is a list": (header({"a": {**F32, "dtype": ["F32"]}}, bytes(8)), "its header does not describe the tensor a"),
    "not a number": (header(b'{"a": NaN}'), "NaN in its header"),
    "metadata that are no texts": (header({"__metadata__": {"a": 1}}), "its metadata are no texts"),
    "deep": (header(b'{"a":' + b"[" * 10**5), "nested too deep"),
    "a name to break a page with": (
        header({"\x1b]0;x\x07<script>\n" + "y" * 200: 1}),
        r"its header does not describe the tensor \x1b]0;x\x07<script>\n" + "y" * 81 + "…",
    ),
}


@pytest.mark.parametrize("what", TORN)
def test_a_torn_file_says_what_is_wrong(what: str, tmp_path: Path) -> None:
    """In one printable line, the same for the checkpoint and for whoever loads from it."""
    content, line = TORN[what]

    said = torn(tmp_path, content)

    assert said == line
    assert said.isprintable()


@pytest.mark.parametrize("what", TORN)
def test_what_is_called_torn_the_library_does_not_read_either(what: str, tmp_path: Path) -> None:
    """No file is refused that safetensors itself would take."""
    safetensors = pytest.importorskip("safetensors")
    (tmp_path / "model.safetensors").write_bytes(TORN[what][0])

    with pytest.raises(safetensors.SafetensorError):
        safetensors.deserialize(TORN[what][0])


SOUND = {
    "a blank before it": (header(b" {}"), 0),
    "blanks behind it": (header(b"{}    "), 0),
    "metadata without tensors": (header({"__metadata__": {"format": "pt"}}), 0),
    "no metadata": (header({"__metadata__": None, "a": F32}, bytes(8)), 2),
    "a word too many": (header({"a": {**F32, "note": "?"}}, bytes(8)), 2),
    "metadata that say a word twice": (header(b'{"__metadata__": {"x": "1", "x": "2"}, "a": %b}' % json.dumps(F32).encode(), bytes(8)), 2),
    "a tensor that is called as the format's own words": (header({"data_offsets": F32, "shape": {**F32, "data_offsets": [8, 16]}}, bytes(16)), 4),
    "a backslash": (header({'a\\u0061"': F32}, bytes(8)), 2),
    "an unknown word twice": (header(b'{"a": {"dtype":"F32","shape":[2],"data_offsets":[0,8],"note":1,"note":2.5}}', bytes(8)), 2),
    "truth beside it": (header({"a": {**F32, "note": True}}, bytes(8)), 2),
    "another order": (
        header({"b": {**F32, "data_offsets": [8, 16]}, "none": {"dtype": "U8", "shape": [0], "data_offsets": [8, 8]}, "a": F32}, bytes(16)),
        4,
    ),
}


@pytest.mark.parametrize("what", SOUND)
def test_what_the_library_takes_is_not_called_torn(what: str, tmp_path: Path) -> None:
    """Odd, and sound."""
    content, parameters = SOUND[what]
    (tmp_path / "model.safetensors").write_bytes(content)

    found = read_checkpoint(str(tmp_path))

    assert (found.torn, found.parameters) == ((), parameters)
    pytest.importorskip("safetensors").deserialize(content)


TWICE = {
    "a": header(b'{"a": %b, "a": %b}' % ((json.dumps(F32).encode(),) * 2), bytes(8)),
    "a, written otherwise": header(b'{"a": %b, "\\u0061": %b}' % ((json.dumps(F32).encode(),) * 2), bytes(8)),
    "a, in two places": header(
        b'{"a": %b, "b": %b, "a": %b}' % (json.dumps(F32).encode(), json.dumps(F32).encode(), json.dumps({**F32, "data_offsets": [8, 16]}).encode()),
        bytes(16),
    ),
    "__metadata__": header(b'{"__metadata__": {}, "__metadata__": {}, "a": %b}' % json.dumps(F32).encode(), bytes(8)),
    "shape": header(b'{"a": {"dtype": "F32", "shape": [2], "shape": [2], "data_offsets": [0, 8]}}', bytes(8)),
    "data_offsets": header(b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], "data_offsets": [0, 8]}}', bytes(8)),
}


@pytest.mark.parametrize("what", TWICE)
def test_what_is_twice_in_a_header_is_torn(what: str, tmp_path: Path) -> None:
    """The library takes the last of two tensors and says nothing, so which of them a program sees is chance; the rest it refuses as well."""
    assert torn(tmp_path, TWICE[what]) == f"{what.partition(',')[0]} is twice in its header"


CACHED = {
    "a truth for a one": ([1, 8], [True, 8]),
    "a fraction for a whole": ([1, 8], [1.0, 8]),
    "a text for nothing": ([], ""),
    "an object for nothing": ([], {}),
    "nothing at all": ([], None),
}


@pytest.mark.parametrize("what", CACHED)
def test_a_shape_that_is_taken_for_another_is_still_looked_at(what: str, tmp_path: Path) -> None:
    """Python calls them equal, and the first of them was whole."""
    sound, other = CACHED[what]
    size = 4 * (8 if sound else 1)
    entries = {
        "a": {"dtype": "F32", "shape": sound, "data_offsets": [0, size]},
        "b": {"dtype": "F32", "shape": other, "data_offsets": [size, 2 * size]},
    }

    assert re.fullmatch(
        r"(?:its header does not describe the tensor b|the tensor b has no usable shape or offsets)", torn(tmp_path, header(entries, bytes(2 * size)))
    )


def test_a_dtype_of_tomorrow_is_unknown_and_not_torn(tmp_path: Path) -> None:
    """The format grows; "download it again" would be wrong."""
    (tmp_path / "model.safetensors").write_bytes(header({"a": {**F32, "dtype": "F2_E1M0"}}, bytes(8)))

    with pytest.raises(Unreadable, match=r"^model.safetensors: the tensor a has the dtype F2_E1M0, unknown to ivdoctor$") as caught:
        read_checkpoint(str(tmp_path))
    assert not isinstance(caught.value, Torn)


@pytest.mark.parametrize("many", [b"[],", b"1,1,1,", b'"":1,"":1,"":1,'])
def test_a_header_of_millions_of_parts_is_refused_before_it_is_built(many: bytes, tmp_path: Path) -> None:
    """A few bytes each in the file, a hundred in memory; the file may be whole, so it is not called torn."""
    (tmp_path / "model.safetensors").write_bytes(header(many * (headers.MOST_PARTS + 1)))

    with pytest.raises(Unreadable, match=r"^model.safetensors: a header of more than 1500000 parts$") as caught:
        read_checkpoint(str(tmp_path))
    assert not isinstance(caught.value, Torn)


def test_a_folder_named_like_a_file_is_torn(tmp_path: Path) -> None:
    """It is there, and no loader can read it."""
    (tmp_path / "model.safetensors").mkdir()

    assert read_checkpoint(str(tmp_path)).torn == ("model.safetensors: no regular file",)


def test_a_fifo_named_like_a_file_is_not_waited_for(tmp_path: Path) -> None:
    """Nobody will ever write to it."""
    os.mkfifo(tmp_path / "model.safetensors")

    assert read_checkpoint(str(tmp_path)).torn == ("model.safetensors: no regular file",)


def test_a_file_that_changes_while_it_is_read_is_never_half_believed(tmp_path: Path) -> None:
    """Grown and cut again and again from another thread: whole, or torn with a reason."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(WHOLE)
    done = threading.Event()

    def worry() -> None:
        while not done.is_set():
            with path.open("r+b") as file:
                file.truncate(20)
                file.truncate(len(WHOLE) + 5)
                file.seek(0)
                file.write(WHOLE)
                file.truncate(len(WHOLE))

    other = threading.Thread(target=worry)
    other.start()
    try:
        for _ in range(300):
            found = read_checkpoint(str(tmp_path))
            assert found.torn or found.parameters == 6
    finally:
        done.set()
        other.join()


def test_a_file_that_grows_behind_its_header_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written to between the two looks at its size."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(WHOLE)

    def read(source: Any, count: int, file: str) -> bytes:
        with path.open("ab") as other:
            other.write(b"more")
        return reading.read(source, count, file)

    monkeypatch.setattr(headers, "read", read)

    with pytest.raises(Torn, match=r"^model.safetensors: it changes while it is read$"):
        read_header(str(path), path.name)


NAMES = st.text(max_size=8)
ENTRIES = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "BF16", "F4", "I64"]) | st.text(max_size=3),
        "shape": st.lists(st.integers(-1, 5), max_size=3) | st.none(),
        "data_offsets": st.lists(st.integers(-1, 40), min_size=1, max_size=3) | st.text(max_size=2),
    }
)


@given(
    st.dictionaries(NAMES, ENTRIES | st.integers() | st.none(), max_size=4).map(lambda one: json.dumps(one).encode()) | st.binary(max_size=60),
    st.binary(max_size=40),
    st.integers(-2, 2),
)
def test_any_bytes_are_a_checkpoint_or_torn(entries: bytes, data: bytes, lie: int) -> None:
    """Nothing else ever escapes, and what is read is read to the last byte."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        path.write_bytes(struct.pack("<Q", max(0, len(entries) + lie)) + entries + data)
        found = maybe(folder)
        if found and not found.torn:
            assert sum(one.bytes for one in found.stored) == path.stat().st_size - 8 - len(entries) - lie


def maybe(folder: str) -> Checkpoint | None:
    """What is read there; None for a dtype of tomorrow, which hypothesis invents now and then."""
    try:
        found = read_checkpoint(folder)
    except Unreadable as error:
        if "unknown to ivdoctor" not in str(error):
            raise
        return None
    assert all(line.isprintable() for line in found.torn)
    return found


SMALL = a_safetensors_file({"a": ("F32", (2, 3)), "b": ("BF16", (4,)), "c": ("I8", ())})


@given(st.lists(st.tuples(st.integers(0, len(SMALL) - 1), st.integers(0, 255)), min_size=1, max_size=3), st.integers(-2, 2))
def test_a_damaged_file_is_called_torn_only_where_the_library_agrees(damage: list[tuple[int, int]], longer: int) -> None:
    """A few bytes of a whole file changed, the end cut or lengthened."""
    safetensors = pytest.importorskip("safetensors")
    content = bytearray(SMALL)
    for place, value in damage:
        content[place] = value
    content = content[: len(content) + min(longer, 0)] + bytes(max(longer, 0))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "model.safetensors").write_bytes(content)
        found = maybe(folder)
    if found is not None and found.torn:
        with pytest.raises(safetensors.SafetensorError):
            safetensors.deserialize(bytes(content))


@given(st.lists(st.tuples(st.sampled_from(sorted(DTYPES)), st.lists(st.integers(0, 4), max_size=3)), max_size=5))
def test_whatever_is_whole_is_counted_whole(kinds: list[tuple[str, list[int]]]) -> None:
    """Every byte of the data belongs to a tensor, every tensor is counted once."""
    wanted = {f"t{number}": (kind, (2, *shape)) for number, (kind, shape) in enumerate(kinds) if not kind.startswith(("F6", "F4"))}
    with tempfile.TemporaryDirectory() as folder:
        content = a_safetensors_file(wanted)
        (Path(folder) / "model.safetensors").write_bytes(content)
        found = read_checkpoint(folder)
    assert found.torn == ()
    assert sum(one.tensors for one in found.stored) == len(wanted)
    assert sum(one.bytes for one in found.stored) == len(content) - 8 - int.from_bytes(content[:8], "little")
