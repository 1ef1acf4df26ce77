"""Shards, their index, and folders that are not what they seem."""

import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivdoctor.facts import Stored
from ivdoctor.modelfiles import Nothing, Torn, Unreadable, folder_of, read_checkpoint, read_config, tensors
from ivdoctor.modelfiles import layout as layouts
from ivdoctor.testing import a_safetensors_file

INDEX = "model.safetensors.index.json"
WHOLE = a_safetensors_file()


def shards(folder: Path, *, count: int = 3, index: bool = True) -> list[str]:
    """A whole sharded checkpoint: one tensor a file."""
    names = [f"model-{number:05}-of-{count:05}.safetensors" for number in range(1, count + 1)]
    for number, name in enumerate(names):
        (folder / name).write_bytes(a_safetensors_file({f"layer.{number}": ("BF16", (4, 2))}))
    if index:
        (folder / INDEX).write_text(json.dumps({"weight_map": {f"layer.{number}": name for number, name in enumerate(names)}}))
    return names


def pointing_to(folder: Path, *files: Any) -> Path:
    """A folder with an index that names these files."""
    (folder / INDEX).write_text(json.dumps({"weight_map": {f"tensor.{number}": file for number, file in enumerate(files)}}))
    return folder


@pytest.fixture
def stranger() -> Iterator[Path]:
    """A folder that everybody may enter, while this process is somebody without rights to what is closed."""
    if not hasattr(os, "geteuid"):
        pytest.skip("no user ids here")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        root = os.geteuid() == 0
        try:
            yield Path(folder)
        finally:
            if root:
                os.seteuid(0)


def closed(path: Path) -> None:
    """Nobody but root may read it, and this process is not root any more."""
    path.chmod(0)
    if os.geteuid() == 0:
        os.seteuid(65534)


def test_shards_are_one_checkpoint(tmp_path: Path) -> None:
    """Counted together, read in order."""
    names = shards(tmp_path)

    found = read_checkpoint(str(tmp_path))

    assert (found.files, found.missing, found.torn) == (3, (), ())
    assert found.stored == (Stored(dtype="bfloat16", tensors=3, parameters=24, bytes=48),)
    assert [one.file for one in tensors(str(tmp_path))] == names


def test_missing_and_torn_shards_are_named_and_the_rest_is_counted(tmp_path: Path) -> None:
    """As a download that was cut off leaves them."""
    first, second, third = shards(tmp_path)
    (tmp_path / first).unlink()
    (tmp_path / second).write_bytes((tmp_path / second).read_bytes()[:-1])

    found = read_checkpoint(str(tmp_path))

    assert (found.files, found.parameters, found.missing) == (2, 8, (first,))
    assert [line.partition(": ")[0] for line in found.torn] == [second]
    assert found.bytes == sum((tmp_path / name).stat().st_size for name in (second, third))
    with pytest.raises(Nothing, match=re.escape(first)):
        list(tensors(str(tmp_path)))


def test_a_shard_that_lacks_what_the_index_promises_is_torn(tmp_path: Path) -> None:
    """Whole by itself, and of another checkpoint."""
    first, *_ = shards(tmp_path)
    (tmp_path / first).write_bytes(WHOLE)

    assert read_checkpoint(str(tmp_path)).torn == (f"{first}: lacks 1 tensor(s) of the index, layer.0 first",)


@pytest.mark.parametrize(
    "name",
    ["../secret.safetensors", "/etc/passwd", "sub/model.safetensors", "..", ".", "", "a\\b", "C:model.safetensors", "nul\0", "\ud800", "x" * 300],
)
def test_an_index_leads_nowhere_else(name: str, tmp_path: Path) -> None:
    """A path instead of a name is refused, whether something is there or not."""
    inner = tmp_path / "model"
    (inner / "sub").mkdir(parents=True)
    for place in (tmp_path / "secret.safetensors", inner / "sub" / "model.safetensors"):
        place.write_bytes(WHOLE)

    found = read_checkpoint(str(pointing_to(inner, name)))

    assert (found.files, found.stored, found.missing) == (0, (), ())
    (line,) = found.torn
    assert line.endswith(": points outside the folder")
    assert line.isprintable()
    with pytest.raises(Torn):
        list(tensors(str(inner)))


def test_ten_thousand_shards_are_looked_for_and_one_more_is_too_many(tmp_path: Path) -> None:
    """Each missing one is named."""
    names = [f"model-{number:05}-of-10000.safetensors" for number in range(layouts.MOST_FILES)]

    assert len(read_checkpoint(str(pointing_to(tmp_path, *names))).missing) == layouts.MOST_FILES
    with pytest.raises(Unreadable, match=r"^model.safetensors.index.json: names 10001 files, and the limit is 10000$"):
        read_checkpoint(str(pointing_to(tmp_path, *names, "one-more")))


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"weight_map": []}', '{"weight_map": {}}', '{"weight_map": {"a": 1}}', '{"weight_map": {"a": '])
def test_a_torn_index_is_one_of_the_torn_files(content: str, tmp_path: Path) -> None:
    """The shards are then found by their names."""
    shards(tmp_path)
    (tmp_path / INDEX).write_text(content)

    found = read_checkpoint(str(tmp_path))

    assert (found.files, found.parameters) == (3, 24)
    assert [line.partition(": ")[0] for line in found.torn] == [INDEX]


def test_shards_without_their_index_lack_it_and_each_other(tmp_path: Path) -> None:
    """Their own names say how many there are."""
    _, second, _ = shards(tmp_path, index=False)
    (tmp_path / second).unlink()

    found = read_checkpoint(str(tmp_path))

    assert (found.files, found.missing) == (2, (second, INDEX))


def test_the_single_file_comes_before_the_index(tmp_path: Path) -> None:
    """As transformers looks for them."""
    shards(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(WHOLE)

    assert read_checkpoint(str(tmp_path)).parameters == 6


def test_one_file_of_another_name_is_the_checkpoint_and_several_are_unknown(tmp_path: Path) -> None:
    """Nobody can say which; a guess would be counted as a fact."""
    (tmp_path / "adapter_model.safetensors").write_bytes(WHOLE)
    assert read_checkpoint(str(tmp_path)).parameters == 6

    (tmp_path / "model.fp16.safetensors").write_bytes(WHOLE)
    with pytest.raises(Unreadable, match=r"^2 safetensors files and no index"):
        read_checkpoint(str(tmp_path))


@pytest.mark.parametrize(
    ("names", "kind", "files"),
    [
        (["pytorch_model.bin", "training_args.bin"], "pickle", 1),
        (["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin", "optimizer.pt"], "pickle", 2),
        (["flow.pt"], "pickle", 1),
        (["model-Q4_K_M.gguf"], "gguf", 1),
        (["tf_model.h5"], "other", 1),
    ],
)
def test_other_weights_are_named_and_not_waited_for(names: list[str], kind: str, files: int, tmp_path: Path) -> None:
    """A FIFO keeps whoever opens it for ever."""
    for name in names:
        os.mkfifo(tmp_path / name)

    found = read_checkpoint(str(tmp_path))

    assert (found.format, found.files, found.stored) == (kind, files, ())
    with pytest.raises(Unreadable, match=r"^the weights are no safetensors files$"):
        list(tensors(str(tmp_path)))


def test_pickled_shards_are_held_against_their_index(tmp_path: Path) -> None:
    """The index is JSON and may be read."""
    (tmp_path / "pytorch_model-00001-of-00002.bin").write_bytes(b"?" * 7)
    (tmp_path / "pytorch_model.bin.index.json").write_text(
        json.dumps({"weight_map": {"a": "pytorch_model-00001-of-00002.bin", "b": "pytorch_model-00002-of-00002.bin"}})
    )

    found = read_checkpoint(str(tmp_path))

    assert (found.format, found.files, found.bytes, found.missing) == ("pickle", 1, 7, ("pytorch_model-00002-of-00002.bin",))


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=12) | st.integers(), max_size=5) | st.integers())
def test_any_index_is_read_or_refused(weights: Any) -> None:
    """Missing, torn or unreadable: nothing else comes of it."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / INDEX).write_text(json.dumps({"weight_map": weights}))
        found = read_checkpoint(folder)
        assert found.files == 0
        assert found.missing or found.torn


def test_a_circle_of_links_is_torn_and_a_link_to_nothing_missing(tmp_path: Path) -> None:
    """The second is what clearing a cache leaves behind."""
    (tmp_path / "model.safetensors").symlink_to("model.safetensors")
    assert read_checkpoint(str(tmp_path)).torn[0].startswith("model.safetensors: cannot be opened: ")

    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "model.safetensors").symlink_to("../blobs/0123")
    found = read_checkpoint(str(tmp_path))
    assert (found.missing, found.torn, found.files, found.bytes) == (("model.safetensors",), (), 0, 0)
    with pytest.raises(Nothing, match=r"^model.safetensors: not there$"):
        list(tensors(str(tmp_path)))


def test_the_cache_of_the_hub_is_made_of_links(tmp_path: Path) -> None:
    """Regular files elsewhere are as good as files here."""
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "0123").write_bytes(WHOLE)
    (tmp_path / "snapshots" / "abc").mkdir(parents=True)
    (tmp_path / "snapshots" / "abc" / "model.safetensors").symlink_to("../../blobs/0123")

    found = read_checkpoint(str(tmp_path / "snapshots" / "abc"))

    assert (found.parameters, found.bytes, found.torn, found.missing) == (6, len(WHOLE), (), ())


@pytest.mark.parametrize("path", ["", "nowhere", "nowhere/config.json", "nul\0byte", "\ud800", "x" * 5000])
def test_what_is_not_there_is_nothing(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the reason: no folder, no such name, no possible name."""
    monkeypatch.chdir(tmp_path)
    for look in (read_config, read_checkpoint, folder_of, lambda one: list(tensors(one))):
        with pytest.raises(Nothing):
            look(path)


def test_a_folder_that_is_no_model_is_nothing(tmp_path: Path) -> None:
    """Neither configuration nor weights; the files that training leaves are no weights."""
    for name in ("README.md", "training_args.bin", "optimizer.pt", "rng_state_0.pth"):
        (tmp_path / name).write_bytes(b"?")

    with pytest.raises(Nothing, match=r"^config.json: not there$"):
        read_config(str(tmp_path))
    with pytest.raises(Nothing, match=r"^the folder has no weights$"):
        read_checkpoint(str(tmp_path))


def test_a_configuration_nobody_may_read_is_not_called_torn(stranger: Path) -> None:
    """It may be whole: nobody knows."""
    (stranger / "config.json").write_text("{}")
    (stranger / "model.safetensors").write_bytes(WHOLE)
    (stranger / "model.safetensors").chmod(0)
    closed(stranger / "config.json")

    for look, line in ((read_config, "config.json: cannot be opened: "), (read_checkpoint, "model.safetensors: cannot be opened: ")):
        with pytest.raises(Unreadable, match=f"^{line}") as caught:
            look(str(stranger))
        assert type(caught.value) is Unreadable


def test_a_folder_nobody_may_list_is_not_called_empty(stranger: Path) -> None:
    """Nor its files missing."""
    inner = stranger / "model"
    inner.mkdir()
    closed(inner)

    for look, line in ((read_config, "config.json: cannot be opened: "), (read_checkpoint, "the folder cannot be listed: ")):
        with pytest.raises(Unreadable, match=f"^{line}") as caught:
            look(str(inner))
        assert type(caught.value) is Unreadable


def test_reading_imports_no_torch_and_nothing_that_unpickles() -> None:
    """In a new interpreter, so that nobody else has imported it."""
    import subprocess
    import sys

    program = (
        "import sys, ivdoctor.modelfiles; sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'transformers', 'safetensors', 'pickle')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
