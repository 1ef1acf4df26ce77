"""Which files are the weights: GGUF alone and in parts, pickles, pipelines in sub-folders, and names that nobody would choose."""

import os
import struct
from pathlib import Path

import pytest

from ivdoctor.modelfiles import Nothing, Torn, Unreadable, read_checkpoint, tensors
from ivdoctor.modelfiles import layout as layouts
from ivdoctor.testing import a_safetensors_file

WHOLE = a_safetensors_file()

GGML = {"F32": (0, 1, 4), "Q4_0": (2, 32, 18)}
"""The format's number, elements of a block, and bytes of it."""


class Calls:
    """What unpickling would call."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("exit 1",)


def gguf(*held: tuple[str, str, int]) -> bytes:
    """A file of version 3 with these tensors: name, type, elements."""
    front = struct.pack("<4sIQQ", b"GGUF", 3, len(held), 0)
    data = b""
    for name, kind, count in held:
        number, block, size = GGML[kind]
        front += struct.pack("<Q", len(name)) + name.encode() + struct.pack("<IQIQ", 1, count, number, len(data))
        data += bytes(count // block * size)
        data += bytes(-len(data) % 32)
    return front + bytes(-len(front) % 32) + data


def test_one_gguf_file_is_a_checkpoint(tmp_path: Path) -> None:
    """Blocks of four bits are packed, what stays as it is is not."""
    (tmp_path / "model-Q4_0.gguf").write_bytes(gguf(("blk.0.attn_q.weight", "Q4_0", 64), ("norm.weight", "F32", 8)))

    found = read_checkpoint(str(tmp_path))

    assert (found.format, found.files, found.torn, found.missing) == ("gguf", 1, (), ())
    assert [(one.dtype, one.role, one.parameters, one.bytes) for one in found.stored] == [("Q4_0", "packed", 64, 36), ("F32", "weights", 8, 32)]
    with pytest.raises(Unreadable, match=r"^the weights are no safetensors files$"):
        list(tensors(str(tmp_path)))


def test_gguf_in_parts_is_one_checkpoint_and_lacks_what_is_not_there(tmp_path: Path) -> None:
    """By the number in their names; what sees lies beside it."""
    for part in (1, 3):
        (tmp_path / f"model-Q4_0-0000{part}-of-00003.gguf").write_bytes(gguf((f"blk.{part}", "Q4_0", 32)))
    (tmp_path / "mmproj-model-f32.gguf").write_bytes(gguf(("v.patch", "F32", 8)))
    (tmp_path / "imatrix.gguf").write_bytes(b"?")

    found = read_checkpoint(str(tmp_path))

    assert (found.files, found.parameters, found.missing) == (3, 72, ("model-Q4_0-00002-of-00003.gguf",))


def test_several_gguf_files_are_several_models(tmp_path: Path) -> None:
    """Nobody can say which is meant; adding them up would be a size that no model has."""
    for kind in ("Q4_0", "Q8_0"):
        (tmp_path / f"model-{kind}.gguf").write_bytes(gguf())

    with pytest.raises(Unreadable, match=r"^2 GGUF files of different kinds, and nobody can say which is meant: model-Q4_0.gguf, model-Q8_0.gguf$"):
        read_checkpoint(str(tmp_path))


def test_what_transformers_loads_is_what_is_counted(tmp_path: Path) -> None:
    """It takes pytorch_model.bin before safetensors of another name, which is an adapter's or a part's."""
    (tmp_path / "adapter_model.safetensors").write_bytes(WHOLE)
    assert read_checkpoint(str(tmp_path)).format == "safetensors"
    (tmp_path / "pytorch_model.bin").write_bytes(b"?")
    assert read_checkpoint(str(tmp_path)).format == "pickle"
    (tmp_path / "model.safetensors").write_bytes(WHOLE)
    assert read_checkpoint(str(tmp_path)).format == "safetensors"


def test_shards_of_torch_without_their_index_lack_what_is_not_there(tmp_path: Path) -> None:
    """Two of three are no model of two thirds of the size."""
    for number in (1, 3):
        (tmp_path / f"pytorch_model-0000{number}-of-00003.bin").write_bytes(b"?")
    assert read_checkpoint(str(tmp_path)).missing == ("pytorch_model-00002-of-00003.bin", "pytorch_model.bin.index.json")


def test_several_pickles_are_one_model_or_many(tmp_path: Path) -> None:
    """The best and the last of a training, or the parts of one: nothing is added up, and what they would call is named."""
    torch = pytest.importorskip("torch")
    torch.save({"a": torch.zeros(2), "b": Calls()}, tmp_path / "best.pt")
    torch.save({"a": torch.zeros(2)}, tmp_path / "last.pt")

    found = read_checkpoint(str(tmp_path))

    assert (found.format, found.files, found.stored, len(found.foreign)) == ("pickle", 2, (), 1)


def test_hidden_files_are_nobodys_weights(tmp_path: Path) -> None:
    """macOS leaves one beside each on a foreign disk."""
    (tmp_path / "weights.safetensors").write_bytes(WHOLE)
    (tmp_path / "._weights.safetensors").write_bytes(b"\0\5\x16\7")

    found = read_checkpoint(str(tmp_path))

    assert (found.files, found.torn) == (1, ())


@pytest.mark.parametrize("name", ["m-00000-of-00002.gguf", "m-00003-of-00002.gguf", "m-00001-of-99999.gguf"])
def test_parts_that_cannot_be_are_refused(name: str, tmp_path: Path) -> None:
    """Nobody goes looking for ninety thousand files."""
    (tmp_path / name).write_bytes(gguf())

    with pytest.raises(Unreadable, match=r"there can be no such set of files$"):
        read_checkpoint(str(tmp_path))


@pytest.mark.parametrize("name", ["model.gguf", "flow.pt", "pytorch_model.bin", "model.safetensors"])
def test_a_fifo_is_torn_and_a_cut_file_too(name: str, tmp_path: Path) -> None:
    """Nobody waits for the first, and nothing is believed of the second."""
    os.mkfifo(tmp_path / name)
    assert read_checkpoint(str(tmp_path)).torn == (f"{name}: no regular file",)

    (tmp_path / name).unlink()
    (tmp_path / name).write_bytes(b"")
    found = read_checkpoint(str(tmp_path))
    assert (found.torn, found.stored) == ((f"{name}: it is empty",), ())


def test_pickles_are_counted_by_their_opcodes(tmp_path: Path) -> None:
    """As torch saves them, in several files; an old one says nothing, and then nothing is said of the whole."""
    torch = pytest.importorskip("torch")
    for number in (1, 2):
        held = {f"layer.{number}": torch.zeros(4, 2, dtype=torch.bfloat16)}
        torch.save(held, tmp_path / f"pytorch_model-0000{number}-of-00002.bin")

    found = read_checkpoint(str(tmp_path))
    assert [(one.dtype, one.tensors, one.parameters, one.bytes) for one in found.stored] == [("bfloat16", 2, 16, 32)]
    assert (found.format, found.foreign, found.torn) == ("pickle", (), ())

    torch.save(held, tmp_path / "pytorch_model-00002-of-00002.bin", _use_new_zipfile_serialization=False)
    found = read_checkpoint(str(tmp_path))
    assert (found.stored, found.torn, found.files) == ((), (), 2)


def test_a_pickle_that_would_call_something_is_named_and_not_loaded(tmp_path: Path) -> None:
    """The fact says what; nothing runs."""
    torch = pytest.importorskip("torch")
    torch.save({"a": torch.zeros(2), "b": Calls()}, tmp_path / "pytorch_model.bin")

    found = read_checkpoint(str(tmp_path))

    assert [name.partition(".")[2] for name in found.foreign] == ["system"]
    assert found.parameters == 2


@pytest.mark.parametrize(
    ("files", "folders"),
    [
        (["model_index.json", "unet/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.bin"], "unet, vae"),
        (["ckpt/llm/model-00001-of-00002.safetensors", "ckpt/flow/flow.pt", "ckpt/config.yaml"], "ckpt/flow, ckpt/llm"),
        (["0_Transformer/pytorch_model.bin", "modules.json", "1_Pooling/config.json"], "0_Transformer"),
        (["Q4_K_M/model-Q4_K_M.gguf", "onnx/model.onnx", ".cache/model.safetensors", "run/optimizer.pt"], "Q4_K_M, onnx"),
        ([f"part{number}/model.safetensors" for number in range(10)], ", ".join(f"part{number}" for number in range(8)) + ", …"),
    ],
)
def test_weights_in_sub_folders_are_pointed_to(files: list[str], folders: str, tmp_path: Path) -> None:
    """Each of them is a model by itself; none is taken for the whole."""
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(b"?")

    with pytest.raises(Nothing) as caught:
        read_checkpoint(str(tmp_path))
    assert str(caught.value) == f"the folder has no weights itself; sub-folders with weights: {folders}".replace("/", os.sep)


def test_links_to_folders_are_not_followed_and_a_circle_is_no_trap(tmp_path: Path) -> None:
    """One that leads out of the folder, and one that leads back in."""
    inner = tmp_path / "model"
    (inner / "sub").mkdir(parents=True)
    (tmp_path / "model.safetensors").write_bytes(WHOLE)
    (inner / "out").symlink_to(tmp_path, target_is_directory=True)
    (inner / "sub" / "back").symlink_to(inner, target_is_directory=True)

    with pytest.raises(Nothing, match=r"^the folder has no weights$"):
        read_checkpoint(str(inner))


def test_a_folder_of_too_many_files_is_not_looked_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit itself is looked through."""
    monkeypatch.setattr(layouts, "MOST_ENTRIES", 20)
    for number in range(20):
        (tmp_path / f"{number}.txt").touch()
    with pytest.raises(Nothing, match=r"^the folder has no weights$"):
        read_checkpoint(str(tmp_path))

    (tmp_path / "model.safetensors").write_bytes(WHOLE)
    with pytest.raises(Unreadable, match=r"^the folder has more than 20 entries$"):
        read_checkpoint(str(tmp_path))


def test_sub_folders_are_looked_through_only_so_far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A data set beside a model must not be walked for its sake."""
    monkeypatch.setattr(layouts, "MOST_ENTRIES_BELOW", 20)
    (tmp_path / "data").mkdir()
    for number in range(30):
        (tmp_path / "data" / f"{number}.txt").touch()
    (tmp_path / "data" / "zz").mkdir()
    (tmp_path / "data" / "zz" / "model.safetensors").write_bytes(WHOLE)

    with pytest.raises(Nothing):
        read_checkpoint(str(tmp_path))


def test_a_name_that_is_no_text_is_read_and_shown_as_one(tmp_path: Path) -> None:
    """Linux allows any bytes in a name."""
    name = b"model-\xff\x1b[31m.safetensors"
    try:
        (tmp_path / os.fsdecode(name)).write_bytes(WHOLE[:-1])
    except OSError:
        pytest.skip("this file system takes no such name")

    (line,) = read_checkpoint(str(tmp_path)).torn

    assert line.isprintable()
    assert line.encode()
    assert "its header describes" in line


def test_an_index_of_too_many_tensors_is_refused_before_it_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred megabytes of them would take gigabytes of memory."""
    monkeypatch.setattr(layouts, "MOST_TENSORS", 3)
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"a": "f", "b": "f", "c": "f", "d": "f", "e": "f"}}')

    with pytest.raises(Unreadable, match=r"^model.safetensors.index.json: names more than 3 tensors$") as caught:
        read_checkpoint(str(tmp_path))
    assert not isinstance(caught.value, Torn)
