"""One file of torch.save: told from its listing and its opcodes, and never unpickled."""

import collections
import contextlib
import io
import os
import pickle
import struct
import tempfile
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivdoctor.facts import Stored
from ivdoctor.modelfiles import Nothing, Torn, Unreadable, opcodes, pickled
from ivdoctor.modelfiles.opcodes import scan
from ivdoctor.modelfiles.pickled import Pickled, read_pickled

ONE = Stored(dtype="float32", tensors=1, parameters=6, bytes=24)


class Storage:
    """Stands for a storage: `persistent_id` below names it as torch does."""

    def __init__(self, kind: str, key: str, elements: int) -> None:
        self.identity = ("storage", kind, key, "cpu", elements)


class Call:
    """What is written as a call of a global that need not exist."""

    def __init__(self, name: str, *arguments: Any) -> None:
        self.name, self.arguments = name, arguments


def a_pickle(value: Any) -> bytes:
    """By hand, as torch's pickler writes: protocol 2, texts and tuples, calls and persistent ids."""

    def put(one: Any) -> bytes:
        if isinstance(one, Call):
            return b"c" + one.name.replace("|", "\n").encode() + b"\n" + put(one.arguments) + b"R"
        if isinstance(one, Storage):
            word, kind, *rest = one.identity
            return b"(" + put(word) + b"c" + str(kind).replace("|", "\n").encode() + b"\n" + b"".join(map(put, rest)) + b"tQ"
        if isinstance(one, tuple):
            return b"(" + b"".join(map(put, one)) + b"t"
        if isinstance(one, dict):
            return b"}(" + b"".join(put(key) + put(each) for key, each in one.items()) + b"u"
        if isinstance(one, str):
            return b"X" + struct.pack("<I", len(one.encode())) + one.encode()
        return (
            {True: b"\x88", False: b"\x89", None: b"N"}[one]
            if one is None or isinstance(one, bool)
            else b"\x8a\x09" + one.to_bytes(9, "little", signed=True)
        )

    return b"\x80\x02" + put(value) + b"."


def a_tensor(key: str = "0", shape: tuple[int, ...] = (2, 3), *, kind: str = "torch|FloatStorage", elements: int = 6, offset: int = 0) -> Call:
    strides = (1,) * len(shape)
    return Call("torch._utils|_rebuild_tensor_v2", Storage(kind, key, elements), offset, shape, strides, False, Call("collections|OrderedDict"))


def an_archive(members: dict[str, bytes], *, compression: int = zipfile.ZIP_STORED, root: str = "archive") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(f"{root}/{name}", content)
    return buffer.getvalue()


WHOLE = an_archive({"data.pkl": a_pickle({"w": a_tensor()}), "data/0": bytes(24), "version": b"3\n"})


def look(folder: Path, content: bytes) -> Pickled:
    (folder / "m.bin").write_bytes(content)
    return read_pickled(str(folder / "m.bin"), "m.bin")


def refused(folder: Path, content: bytes, kind: type[Unreadable]) -> str:
    """What is said of it, and that it is this kind and no finer one."""
    with pytest.raises(kind) as caught:
        look(folder, content)
    assert type(caught.value) is kind
    assert str(caught.value).startswith("m.bin: ")
    return str(caught.value).removeprefix("m.bin: ")


def test_tensors_are_counted_by_their_storages(tmp_path: Path) -> None:
    """By hand: the dtype of the storage's class, the elements of its size."""
    half = a_tensor("1", (4,), kind="torch|BFloat16Storage", elements=4)
    content = an_archive({"data.pkl": a_pickle({"w": a_tensor(), "h": half}), "data/0": bytes(24), "data/1": bytes(8)})
    assert look(tmp_path, content) == Pickled((ONE, Stored(dtype="bfloat16", tensors=1, parameters=4, bytes=8)), ())


def test_what_tensors_share_is_counted_once(tmp_path: Path) -> None:
    """Tied weights, and two views of one storage; a view holds its whole storage."""
    tied = {"embed": a_tensor(), "head": a_tensor(), "part": a_tensor(shape=(2,), offset=1)}
    content = an_archive({"data.pkl": a_pickle(tied), "data/0": bytes(24)})
    assert look(tmp_path, content).stored == (Stored(dtype="float32", tensors=2, parameters=6, bytes=24),)
    view = an_archive({"data.pkl": a_pickle({"v": a_tensor(shape=(2,))}), "data/0": bytes(24)})
    assert look(tmp_path, view).stored == (Stored(dtype="float32", tensors=1, parameters=2, bytes=24),)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_what_torch_saves_is_read(tmp_path: Path, protocol: int) -> None:
    """Against torch itself: every dtype it saves, parameters, ties, empty tensors and numbers, by any protocol."""
    torch = pytest.importorskip("torch")
    names = ("float64", "float32", "float16", "bfloat16", "complex64", "complex128", "int64", "int32", "int16", "int8", "uint8", "bool")
    newer = tuple(name for name in ("float8_e4m3fn", "float8_e5m2", "uint16", "uint32", "uint64") if hasattr(torch, name))
    weights = {name: torch.zeros(7, 3, dtype=getattr(torch, name)) for name in (*names, *newer)}
    tied = torch.nn.Parameter(torch.zeros(100, 10))
    state = collections.OrderedDict(weights, tied=tied, again=tied.detach(), none=torch.zeros(0, 5, dtype=torch.float64), step=3, lr=0.1)
    torch.save({"model": state, "list": [torch.tensor(1.0)]}, tmp_path / "m.bin", pickle_protocol=protocol)

    found = read_pickled(str(tmp_path / "m.bin"), "m.bin")

    assert found.foreign == ()
    extra = {"float32": (2, 1001), "float64": (1, 0)}
    width = {name: weights[name].element_size() for name in weights}
    expected = {name: (1 + extra.get(name, (0, 0))[0], 21 + extra.get(name, (0, 0))[1]) for name in weights}
    assert {one.dtype: (one.tensors, one.parameters) for one in found.stored} == expected
    assert {one.dtype: one.bytes for one in found.stored} == {name: parameters * width[name] for name, (_, parameters) in expected.items()}
    assert found.stored[0].dtype == "float32"


def test_a_models_weights_are_counted_as_the_model_counts_them(tmp_path: Path) -> None:
    """A state_dict in half precision."""
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.LayerNorm(32), torch.nn.Linear(32, 4)).half()
    torch.save(model.state_dict(), tmp_path / "m.bin")
    (one,) = read_pickled(str(tmp_path / "m.bin"), "m.bin").stored
    assert (one.dtype, one.tensors, one.parameters) == ("float16", 6, sum(each.numel() for each in model.parameters()))


def test_code_is_named_and_never_run(tmp_path: Path) -> None:
    """os.system as pickle writes it, a global that is only imported, and what an older protocol calls."""
    planted = tmp_path / "planted"

    class Evil:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {planted}",)

    for protocol in (0, 1, 2, 4):
        content = an_archive({"data.pkl": pickle.dumps({"w": Evil()}, protocol), "data/0": b""})
        (name,) = look(tmp_path, content).foreign
        assert name in ("posix.system", "nt.system")
    assert not planted.exists()
    quiet = an_archive({"data.pkl": a_pickle({"w": a_tensor(), "x": Call("argparse|Namespace")}), "data/0": bytes(24)})
    assert look(tmp_path, quiet) == Pickled((ONE,), ("argparse.Namespace",))
    assert read_pickled(str(tmp_path / "m.bin"), "m.bin").foreign == ("argparse.Namespace",)
    assert scan(b"(S'ls'\nios\nsystem\n.", "m.bin").foreign == ("os.system",)
    assert scan(b"\x80\x02\x82\x07.", "m.bin").foreign == ("copyreg.extension.7",)
    assert scan(b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "m.bin").foreign == ("os.system",)
    assert scan(b"\x80\x04NN\x93.", "m.bin").foreign == ("?.?",)


@pytest.mark.parametrize(
    "name",
    [
        "torch._utils._rebuild_evil.os",
        "torch.load",
        "torch.hub.load",
        "builtins.eval",
        "numpy.load",
        "collections.namedtuple",
        "torch.os.system",
        "os",
    ],
)
def test_near_names_are_foreign(name: str) -> None:
    """What only begins like one of torch's own is not."""
    module, _, attribute = name.rpartition(".")
    assert scan(a_pickle(Call(f"{module}|{attribute}")), "m.bin").foreign == (name if module else f".{name}",)


def test_arrays_of_numpy_are_not_foreign(tmp_path: Path) -> None:
    """Numbers and random states that training saves beside the weights."""
    np = pytest.importorskip("numpy")
    content = an_archive({"data.pkl": pickle.dumps({"a": np.zeros(3), "b": np.float64(2), "c": {1, 2}}, 2)})
    assert look(tmp_path, content).foreign == ()
    content = an_archive({"data.pkl": pickle.dumps({"b": np.float64(2), "c": {1, 2}}, 2)})
    assert look(tmp_path, content) == Pickled((), ())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer, whose content was not downloaded"),
        (WHOLE[:-30], "no whole archive: its end is cut off, or its listing is damaged"),
        (WHOLE[:40], "no whole archive: its end is cut off, or its listing is damaged"),
        (an_archive({"data.pkl": a_pickle({"w": a_tensor()}), "data/0": bytes(20)}), "the storage 0 has 20 bytes, and by the pickle 24"),
        (an_archive({"data.pkl": a_pickle({"w": a_tensor(elements=2**61)}), "data/0": bytes(24)}), "the storage 0 has 24 bytes, and by the pickle"),
        (an_archive({"data.pkl": a_pickle({"w": a_tensor("9")}), "data/0": bytes(24)}), "the storage 9 is not in the archive"),
        (
            an_archive({"data.pkl": a_pickle({"a": a_tensor(), "b": a_tensor(kind="torch|IntStorage")}), "data/0": bytes(24)}),
            "the storage 0 has two types",
        ),
    ],
)
def test_what_is_cut_off_or_contradicts_itself_is_torn(tmp_path: Path, content: bytes, said: str) -> None:
    """Nobody could read it, and the line says what is wrong."""
    assert said in refused(tmp_path, content, Torn)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19." + bytes(100), "saved as torch did before 1.6"),
        (bytes(257) + b"ustar" + bytes(300), "a tar archive"),
        (b"GGUF" + bytes(100), "no archive of torch.save"),
        (an_archive({"weights": bytes(4)}), "an archive without one data.pkl"),
        (an_archive({"data.pkl": a_pickle({}), "constants.pkl": a_pickle(())}), "a TorchScript archive"),
        (an_archive({"data.pkl": a_pickle({"w": a_tensor()}), "data/0": bytes(24)}, compression=zipfile.ZIP_DEFLATED), "is compressed or encrypted"),
        (an_archive({"data.pkl": b"\x80\x02}"}), "no sound pickle"),
        (an_archive({"data.pkl": b"\x80\x02R."}), "no sound pickle"),
        (an_archive({"data.pkl": b"\xff\xff"}), "no sound pickle"),
        (an_archive({"data.pkl": b"\x80\x02h\x05."}), "no sound pickle"),
        (an_archive({"data.pkl": a_pickle({"w": a_tensor(shape=(-2, 3))})}), "a tensor without an offset or sizes"),
        (an_archive({"data.pkl": a_pickle({"w": a_tensor(elements=-6)})}), "a storage without a type, a name or a size"),
    ],
)
def test_what_nobody_can_tell_is_unknown(tmp_path: Path, content: bytes, said: str) -> None:
    """Old formats, others' archives, and pickles that no torch wrote."""
    assert said in refused(tmp_path, content, Unreadable)


FOREIGN = Call("os|system", "true")


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ({"w": a_tensor(kind="torch|NewStorage")}, "a storage of the type torch.NewStorage, unknown to ivdoctor"),
        ({"w": a_tensor(), "optimizer_states": {}}, "it holds optimizer_states as well, so how much of it is the model is unknown"),
        ({"w": a_tensor(), "s": {"exp_avg": a_tensor("1")}}, "it holds exp_avg as well, so how much of it is the model is unknown"),
        ({"w": a_tensor(), "ema": {"w": a_tensor("1")}}, "it holds ema as well, so how much of it is the model is unknown"),
        ({"w": a_tensor(), "raw": Storage("torch|FloatStorage", "1", 6)}, "a storage of no tensor that ivdoctor knows, so what it holds is unknown"),
        (
            {"w": a_tensor(), "a": Call("numpy._core.multiarray|_reconstruct")},
            "it holds numpy._core.multiarray._reconstruct as well, so how much of it is the model is unknown",
        ),
    ],
)
def test_a_part_is_not_taken_for_all_nor_all_for_the_model(tmp_path: Path, held: dict[str, Any], said: str) -> None:
    """Nothing is counted then, and what the pickle would import is named all the same."""
    content = an_archive({"data.pkl": a_pickle(held | {"x": FOREIGN}), "data/0": bytes(24), "data/1": bytes(24)})
    assert look(tmp_path, content) == Pickled((), ("os.system",), f"m.bin: {said}")


def test_a_training_checkpoint_of_torch_is_not_counted(tmp_path: Path) -> None:
    """Adam keeps two numbers for each weight: together three times the model."""
    torch = pytest.importorskip("torch")
    model = torch.nn.Linear(4, 4)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.zeros(1, 4)).sum().backward()
    optimizer.step()
    torch.save([model.state_dict(), optimizer.state_dict()], tmp_path / "m.bin")

    found = read_pickled(str(tmp_path / "m.bin"), "m.bin")

    assert (found.stored, found.foreign) == ((), ())
    assert found.unknown.startswith("m.bin: it holds exp_avg")


def test_old_files_of_torch_itself_are_unknown(tmp_path: Path) -> None:
    """What torch wrote before 1.6, and a scripted model."""
    torch = pytest.importorskip("torch")
    torch.save({"w": torch.zeros(3)}, tmp_path / "old.bin", _use_new_zipfile_serialization=False)
    with pytest.raises(Unreadable, match=r"^old\.bin: saved as torch did before 1\.6, .*convert it to safetensors$"):
        read_pickled(str(tmp_path / "old.bin"), "old.bin")


def test_members_of_one_name_are_unknown(tmp_path: Path) -> None:
    """Which of them torch would read is its own affair."""
    content = an_archive({"data.pkl": a_pickle({}), "data.pkX": a_pickle({})}).replace(b"data.pkX", b"data.pkl")
    assert "two members of the archive have one name" in refused(tmp_path, content, Unreadable)


def test_a_listing_that_promises_more_than_the_file_is_torn(tmp_path: Path) -> None:
    """A storage said to be of a terabyte, and a hundred members that are all the same bytes."""
    content = bytearray(WHOLE)
    at = content.rindex(b"PK\1\2", 0, content.rindex(b"archive/version"))
    storage = content.rindex(b"PK\1\2", 0, content.rindex(b"archive/data/0"))
    struct.pack_into("<II", content, storage + 20, 2**31, 2**31)
    assert at > storage
    assert "its listing promises more than its" in refused(tmp_path, bytes(content), Torn)


def test_a_zip_bomb_is_never_unpacked(tmp_path: Path) -> None:
    """A pickle of a gigabyte in a megabyte of archive."""
    bomb = an_archive({"data.pkl": bytes(64 * 2**20)}, compression=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 2**20
    assert "is compressed or encrypted" in refused(tmp_path, bomb, Unreadable)


def test_bounds_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pickle too large, one with too many opcodes, a listing too long, and an integer of thousands of digits."""
    with monkeypatch.context() as bound:
        bound.setattr(pickled, "LARGEST_PICKLE", 20)
        assert "and not read" in refused(tmp_path, WHOLE, Unreadable)
    with monkeypatch.context() as bound:
        bound.setattr(pickled, "LARGEST_LISTING", 100)
        assert "an archive with a listing of more than" in refused(tmp_path, WHOLE, Unreadable)
    with monkeypatch.context() as bound:
        bound.setattr(opcodes, "MOST_OPCODES", 10)
        assert "a pickle of more than 10 opcodes" in refused(tmp_path, WHOLE, Unreadable)
    assert "an integer of 4300 digits" in refused(tmp_path, an_archive({"data.pkl": b"I" + b"9" * 5000 + b"\n."}), Unreadable)


def test_odd_escapes_say_nothing_on_stderr() -> None:
    """Python warns of them where a text of the oldest protocol is decoded, and warnings are errors here."""
    assert scan(b"S'\\q'\n.", "m.bin") == ((), (), (), "")


def test_what_is_no_file_is_said(tmp_path: Path) -> None:
    """Nothing, and a folder."""
    with pytest.raises(Nothing, match=r"^m\.bin: not there$"):
        read_pickled(str(tmp_path / "m.bin"), "m.bin")
    with pytest.raises(Torn, match="no regular file"):
        read_pickled(str(tmp_path), "m.bin")


@given(st.data())
def test_no_damage_ends_in_another_error_than_its_own(data: st.DataObject) -> None:
    """Bytes changed, cut out and put in, anywhere in the archive or the pickle."""
    inside = data.draw(st.booleans())
    whole = bytearray(a_pickle({"w": a_tensor(), "n": Call("numpy|dtype", "f8")}) if inside else WHOLE)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at : at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=9))
    content = an_archive({"data.pkl": bytes(whole), "data/0": bytes(24)}) if inside else bytes(whole)
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(Unreadable):
        for one in look(Path(folder), content).stored:
            assert one.bytes <= len(content)


def put(text: bytes) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text


TYPE = b"ctorch._tensor\n_rebuild_from_type_v2\nq\x00"
NESTED = TYPE + b"K\x00K\x00K\x00\x87q\x01" + b"h\x00K\x00h\x01\x87q\x01" * 5000 + b"h\x00h\x01R."


@pytest.mark.parametrize(
    "program",
    [
        put(b"a") + put(b"b") + b"\x93" + b"2\x93" * 60 + b".",
        put(b"a" * 2**20) + b"q\x00" + b"h\x00h\x00\x93" * 5000 + b".",
        NESTED,
        b"L" + b"1_" * 3000 + b"1L\n.",
    ],
    ids=["a name of its own name", "a long name many times", "calls within calls", "a long number in parts"],
)
def test_a_program_made_to_cost_much_costs_little(program: bytes) -> None:
    """Names that double with every opcode were gigabytes, and calls in calls ended in a traceback."""
    tracemalloc.start()
    with contextlib.suppress(Unreadable):
        scan(b"\x80\x04" + program, "m.bin")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200 * 2**20


def test_globals_are_named_only_so_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each name takes memory, and a pickler writes it once."""
    monkeypatch.setattr(opcodes, "MOST_GLOBALS", 3)
    scan(b"\x80\x04" + b"\x8c\x01a\x8c\x01b\x93" * 3 + b".", "m.bin")
    with pytest.raises(Unreadable, match="more than 3 names of globals"):
        scan(b"\x80\x04" + b"\x8c\x01a\x8c\x01b\x93" * 4 + b".", "m.bin")
