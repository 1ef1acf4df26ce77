"""`config.json`: what is sound is read as the loaders read it, and whatever else may lie there ends in one clear line."""

import json
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ivdoctor.modelfiles import Torn, Unreadable, name_of, read_config
from ivdoctor.modelfiles.config import DEEPEST, LARGEST


def test_a_configuration_is_read_from_its_folder_and_by_itself(tmp_path: Path) -> None:
    """Both are what users name."""
    (tmp_path / "config.json").write_text('{"model_type": "llama", "name": "模型"}', encoding="utf-8")

    assert {"model_type": "llama", "name": "模型"} == read_config(str(tmp_path)) == read_config(str(tmp_path / "config.json"))


def test_json_is_read_as_the_loaders_read_it(tmp_path: Path) -> None:
    """Of a key that is there twice the last one holds, and NaN and Infinity are numbers: Mamba's configurations have them."""
    (tmp_path / "config.json").write_text('{"dtype": "float32", "limits": [0.0, Infinity, NaN], "dtype": "bfloat16"}')

    found = read_config(str(tmp_path))

    assert found["dtype"] == "bfloat16"
    assert found["limits"][1] == float("inf")
    assert found["limits"][2] != found["limits"][2]


BAD_CONFIGS = {
    "empty": (b"", "config.json: no JSON: Expecting value, line 1 column 1"),
    "cut off": (b'{"model_type": "lla', "config.json: no JSON: Unterminated string starting at, line 1 column 16"),
    "a web page": (b"<!doctype html><title>Sign in</title>", "config.json: no JSON: Expecting value, line 1 column 1"),
    "another encoding": ('{"a": "ä"}'.encode("latin-1"), "config.json: no UTF-8"),
    "no object": (b"[1, 2]", "config.json: no JSON object"),
    "Git LFS": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 612\n",
        "config.json: a Git LFS pointer, whose content was not downloaded",
    ),
    "an endless integer": (b'{"hidden_size": ' + b"9" * 10**7 + b"}", "config.json: an integer of 10000000 digits"),
    "deep": (b'{"a":' * 1000 + b"1" + b"}" * 1000, f"config.json: nested deeper than {DEEPEST} levels|config.json: nested too deep"),
    "deeper than any stack": (b"[" * 10**6, "config.json: nested too deep"),
}


@pytest.mark.parametrize("what", BAD_CONFIGS)
def test_a_bad_configuration_is_one_clear_line(what: str, tmp_path: Path) -> None:
    """It names the file and not the folder above it."""
    content, line = BAD_CONFIGS[what]
    (tmp_path / "config.json").write_bytes(content)

    with pytest.raises(Unreadable, match=f"^(?:{line})$"):
        read_config(str(tmp_path))


def test_nesting_is_measured_and_not_feared(tmp_path: Path) -> None:
    """One level less than too many is read; whoever walks it by recursion can."""
    (tmp_path / "config.json").write_bytes(b'{"a":' * DEEPEST + b"1" + b"}" * DEEPEST)
    assert read_config(str(tmp_path))

    (tmp_path / "config.json").write_bytes(b'{"a":' * (DEEPEST + 1) + b"1" + b"}" * (DEEPEST + 1))
    with pytest.raises(Unreadable, match="nested deeper than 64 levels"):
        read_config(str(tmp_path))


def test_a_huge_configuration_is_refused_by_its_size(tmp_path: Path) -> None:
    """A hundred megabytes that take no room on the disk, and none in memory."""
    with (tmp_path / "config.json").open("wb") as file:
        file.truncate(100 * 2**20)

    with pytest.raises(Unreadable, match=r"^config.json: 104857600 bytes, and not read: the limit is 10 MiB$"):
        read_config(str(tmp_path))


def test_a_configuration_of_the_largest_size_is_read(tmp_path: Path) -> None:
    """The limit itself is allowed, one byte more is not."""
    content = b'{"a": 1}' + b" " * (LARGEST - 8)
    (tmp_path / "config.json").write_bytes(content)
    assert read_config(str(tmp_path)) == {"a": 1}

    (tmp_path / "config.json").write_bytes(content + b" ")
    with pytest.raises(Unreadable, match="and not read"):
        read_config(str(tmp_path))


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="no endless file here")
def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    """A FIFO would keep its reader waiting, and /dev/zero has no end."""
    os.mkfifo(tmp_path / "config.json")
    (tmp_path / "zero.json").symlink_to("/dev/zero")
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "folder.json" / "config.json").mkdir()

    for path in (tmp_path, tmp_path / "config.json", tmp_path / "zero.json", tmp_path / "folder.json"):
        with pytest.raises(Torn, match=r"^[a-z]+\.json: no regular file$"):
            read_config(str(path))


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/home/someone/models/Qwen2.5-7B", "Qwen2.5-7B"),
        ("/home/someone/models/Qwen2.5-7B/", "Qwen2.5-7B"),
        ("/home/someone/models/Qwen2.5-7B/config.json", "Qwen2.5-7B"),
        ("/home/someone/Kimi-K2.json", "Kimi-K2"),
        ("/home/someone/hub/models--org--a-b--c/snapshots/0123abcd", "org/a-b--c"),
        ("/home/someone/hub/models--org--name/snapshots/0123abcd/config.json", "org/name"),
        ("/home/someone/hub/models--gpt2/snapshots/0123abcd", "gpt2"),
        ("/m/\x1b[31m<b>|\n", r"\x1b[31m<b>|\n"),
        ("/m/" + "x" * 500, "x" * 96 + "…"),
        ("/", "model"),
    ],
)
def test_the_name_has_no_path(path: str, name: str) -> None:
    """Nothing of the home it lies in, on one line, and short."""
    assert name_of(path) == name


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists).map(lambda one: json.dumps(one).encode())
)
@example(b"\xef\xbb\xbf{}")
@example(b'{"a": 1e999999}')
@example(b'{"\\ud800": "\\ud800"}')
def test_any_bytes_are_a_configuration_or_unreadable(content: bytes) -> None:
    """Nothing else ever escapes."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_bytes(content)
        try:
            assert isinstance(read_config(folder), dict)
        except Unreadable as error:
            line = str(error)
            assert line.startswith("config.json: ")
            assert line.isprintable()
