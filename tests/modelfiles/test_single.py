"""A single file that is named, and the parts that belong to it."""

import struct
from pathlib import Path

import pytest

from ivdoctor.modelfiles import Unreadable, read_config, read_single
from ivdoctor.testing import a_safetensors_file


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def a_gguf(architecture: str, *names: str, parts: int = 0) -> bytes:
    """A file of version 3 with the architecture's name and these tensors, each of 2 by 4."""
    values = [text("general.architecture") + struct.pack("<I", 8) + text(architecture)]
    values += [text("split.count") + struct.pack("<IH", 2, parts)] if parts else []
    front = struct.pack("<4sIQQ", b"GGUF", 3, len(names), len(values)) + b"".join(values)
    front += b"".join(text(name) + struct.pack("<IQQIQ", 2, 4, 2, 0, 32 * number) for number, name in enumerate(names))
    return front + bytes(-len(front) % 32) + bytes(32 * len(names))


@pytest.mark.parametrize("name", ["x" * 240 + ".gguf", ".gguf", "two\nlines.gguf"])
def test_a_gguf_file_of_any_name_is_read_as_one(name: str, tmp_path: Path) -> None:
    """It was taken for torn safetensors where its name was long, empty or of two lines."""
    (tmp_path / name).write_bytes(a_gguf("llama", "token_embd.weight"))
    found = read_single(str(tmp_path / name))
    assert (found.format, found.parameters, found.torn) == ("gguf", 8, ())


@pytest.mark.parametrize("name", ["m-00001-of-00000.gguf", "m-00003-of-00002.gguf", "m-00001-of-99999.gguf", "m-00003-of-00002.safetensors"])
def test_parts_that_cannot_be_are_refused(name: str, tmp_path: Path) -> None:
    """Nothing at all was read of a file that is there."""
    (tmp_path / name).write_bytes(a_gguf("llama"))
    with pytest.raises(Unreadable, match=r"there can be no such set of files$"):
        read_single(str(tmp_path / name))


@pytest.mark.parametrize(("first", "second"), [(1, 2), (0, 1)])
def test_a_shard_stands_for_its_set(first: int, second: int, tmp_path: Path) -> None:
    """One of two by itself is no model of half the size."""
    names = [f"model-{number:05}-of-00002.safetensors" for number in (first, second)]
    (tmp_path / names[0]).write_bytes(a_safetensors_file({"a": ("BF16", (2, 2))}))
    if first:
        assert read_single(str(tmp_path / names[0])).missing == (names[1],)
    (tmp_path / names[1]).write_bytes(a_safetensors_file({"b": ("BF16", (2, 2))}))
    assert read_single(str(tmp_path / names[0])).parameters == 8


def test_what_sees_does_not_say_what_the_model_is(tmp_path: Path) -> None:
    """Its name comes before many models'."""
    (tmp_path / "mmproj-f16.gguf").write_bytes(a_gguf("clip"))
    (tmp_path / "model-f16.gguf").write_bytes(a_gguf("llama", "token_embd.weight"))
    assert read_config(str(tmp_path))["model_type"] == "llama"


def test_one_part_does_not_say_that_the_head_is_the_embedding(tmp_path: Path) -> None:
    """The output's weights lie in the last one; by its name or by its metadata it is a part."""
    for name, parts in (("m-00001-of-00002.gguf", 0), ("renamed.gguf", 2)):
        (tmp_path / name).write_bytes(a_gguf("llama", "token_embd.weight", parts=parts))
        assert "tie_word_embeddings" not in read_config(str(tmp_path / name))
    (tmp_path / "whole.gguf").write_bytes(a_gguf("llama", "token_embd.weight"))
    assert read_config(str(tmp_path / "whole.gguf"))["tie_word_embeddings"] is True
