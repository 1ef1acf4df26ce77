"""One GGUF file: read to the byte, never past its end, and quickly whatever it promises."""

import contextlib
import os
import struct
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivdoctor.modelfiles import Nothing, Tensor, Torn, Unreadable
from ivdoctor.modelfiles.gguf import MOST_HEADER, TYPES, Gguf, Many, read_gguf
from ivdoctor.modelfiles.gguf_config import config_of

CODES = {"B": 0, "b": 1, "H": 2, "h": 3, "I": 4, "i": 5, "f": 6, "?": 7, "Q": 10, "q": 11, "d": 12}

LLAMA: dict[str, Any] = {
    "general.architecture": "llama",
    "llama.block_count": ("I", 32),
    "llama.embedding_length": ("I", 4096),
    "llama.feed_forward_length": ("I", 14336),
    "llama.attention.head_count": ("I", 32),
    "llama.attention.head_count_kv": ("I", 8),
    "llama.context_length": ("I", 8192),
    "llama.rope.freq_base": ("f", 500000.0),
}


def text(value: str, order: str = "<") -> bytes:
    return struct.pack(order + "Q", len(value.encode())) + value.encode()


def value(given: Any, order: str) -> bytes:
    """A text, a list of texts, or a number or a list of numbers with its `struct` code."""
    if isinstance(given, str):
        return struct.pack(order + "I", 8) + text(given, order)
    if isinstance(given, list):
        return struct.pack(order + "IIQ", 9, 8, len(given)) + b"".join(text(one, order) for one in given)
    code, number = given
    if isinstance(number, list):
        return struct.pack(order + "IIQ", 9, CODES[code], len(number)) + struct.pack(f"{order}{len(number)}{code}", *number)
    return struct.pack(order + "I" + code, CODES[code], number)


def a_gguf(
    metadata: dict[str, Any] | None = None,
    tensors: Mapping[str, tuple[int, tuple[int, ...]]] | None = None,
    *,
    order: str = "<",
    version: int = 3,
    alignment: int = 32,
    offsets: dict[str, int] | None = None,
    counts: tuple[int, int] | None = None,
) -> bytes:
    """A whole file of zeros: type and shape as torch would write it, by name."""
    keys = {**(LLAMA if metadata is None else metadata)} | ({} if alignment == 32 else {"general.alignment": ("I", alignment)})
    held = {"a": (0, (2, 3))} if tensors is None else tensors
    infos, end = b"", 0
    for name, (kind, shape) in held.items():
        _, block, width = TYPES.get(kind, ("", 1, 1))
        begin = (offsets or {}).get(name, -(-end // alignment) * alignment)
        elements = 1
        for one in shape:
            elements *= one
        end = begin + elements // block * width
        infos += text(name, order) + struct.pack(f"{order}I{len(shape)}QIQ", len(shape), *reversed(shape), kind, begin)
    front = b"GGUF" + struct.pack(order + "IQQ", version, *(counts or (len(held), len(keys))))
    front += b"".join(text(key, order) + value(one, order) for key, one in keys.items()) + infos
    return front + bytes(-len(front) % alignment) + bytes(min(end, 2**20))


def look(folder: Path, content: bytes) -> Gguf:
    (folder / "m.gguf").write_bytes(content)
    return read_gguf(str(folder / "m.gguf"), "m.gguf")


def refused(folder: Path, content: bytes, kind: type[Unreadable] = Torn) -> str:
    """What is said of it, and that it is this kind and no finer one."""
    with pytest.raises(kind) as caught:
        look(folder, content)
    assert type(caught.value) is kind
    assert str(caught.value).startswith("m.gguf: ")
    return str(caught.value).removeprefix("m.gguf: ")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("alignment", [32, 64, 1])
def test_a_file_is_read_to_the_byte(tmp_path: Path, order: str, version: int, alignment: int) -> None:
    """Versions 2 and 3, both byte orders, any alignment; shapes as torch writes them."""
    content = a_gguf(tensors={"q": (12, (3, 512)), "one": (0, ()), "half": (30, (5,))}, order=order, version=version, alignment=alignment)

    found = look(tmp_path, content)

    begin = found.tensors[0].start
    assert begin % alignment == 0
    assert [(one.name, one.dtype, one.shape, one.end - one.start) for one in found.tensors] == [
        ("q", "Q4_K", (3, 512), 3 * 2 * 144),
        ("one", "F32", (), 4),
        ("half", "BF16", (5,), 10),
    ]
    assert found.tensors[-1].end == len(content)
    assert {key: one for key, one in found.metadata.items() if key != "general.alignment"} == {
        key: one if isinstance(one, str) else one[1] for key, one in LLAMA.items()
    }


def test_every_type_is_counted_by_its_blocks(tmp_path: Path) -> None:
    """Bytes of a row of each."""
    found = look(tmp_path, a_gguf(tensors={name: (kind, (2, 512)) for kind, (name, _, _) in TYPES.items()}))
    assert {one.dtype: one.end - one.start for one in found.tensors} == {name: 1024 // block * width for name, block, width in TYPES.values()}


def test_types_are_those_of_the_writer_of_gguf() -> None:
    """Numbers, names and blocks against the package `gguf`, where it is installed."""
    gguf = pytest.importorskip("gguf")
    sizes = {kind.value: (kind.name, *gguf.GGML_QUANT_SIZES[kind]) for kind in gguf.GGMLQuantizationType}
    assert {kind: one for kind, one in sizes.items() if kind in TYPES} == TYPES


def test_what_the_package_writes_is_read(tmp_path: Path) -> None:
    """Against `gguf` itself, where it is installed."""
    gguf, np = pytest.importorskip("gguf"), pytest.importorskip("numpy")
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    writer.add_block_count(2)
    writer.add_token_list(["a", "b", "c"])
    writer.add_chat_template("x" * 5000)
    writer.add_tensor("token_embd.weight", np.zeros((3, 4), np.float16))
    writer.add_tensor(
        "w", gguf.quants.quantize(np.ones((2, 64), np.float32), gguf.GGMLQuantizationType.Q8_0), raw_dtype=gguf.GGMLQuantizationType.Q8_0
    )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    found = read_gguf(str(tmp_path / "m.gguf"), "m.gguf")

    assert {(one.name, one.dtype, one.shape) for one in found.tensors} == {("token_embd.weight", "F16", (3, 4)), ("w", "Q8_0", (2, 64))}
    assert found.metadata["tokenizer.ggml.tokens"] == Many(3)
    assert found.metadata["tokenizer.chat_template"] == Many(5000)


def test_values_of_every_type_are_kept_and_long_ones_passed_over(tmp_path: Path) -> None:
    """What follows them is read from the right place."""
    metadata = {
        **{f"number.{code}": (code, 1) for code in CODES},
        "layers": ("I", [8, 8, 0]),
        "scores": ("f", [0.0] * 5000),
        "words": ["a", "bb", ""],
        "template": "x" * 5000,
        "general.architecture": "llama",
    }
    found = look(tmp_path, a_gguf(metadata)).metadata
    assert [found[f"number.{code}"] for code in CODES] == [1] * len(CODES)
    assert (found["layers"], found["scores"], found["words"], found["template"]) == ([8, 8, 0], Many(5000), Many(3), Many(5000))
    assert list(found) == list(metadata)


def test_many_words_cost_little_time_and_memory(tmp_path: Path) -> None:
    """A tokenizer larger than the usual, with a word longer than what is held at once: half a microsecond a word, in a few MiB."""
    words = struct.pack("<IIQ", 9, 8, 300_001) + b"".join(struct.pack("<Q", 5) + b"token" for _ in range(300_000)) + text("x" * 3_000_000)
    front = b"GGUF" + struct.pack("<IQQ", 3, 0, 2) + text("tokenizer.ggml.tokens") + words + text("general.architecture") + value("llama", "<")
    (tmp_path / "m.gguf").write_bytes(front)
    begin = time.process_time()
    found = read_gguf(str(tmp_path / "m.gguf"), "m.gguf")
    took = time.process_time() - begin
    tracemalloc.start()
    read_gguf(str(tmp_path / "m.gguf"), "m.gguf")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert found.metadata == {"tokenizer.ggml.tokens": Many(300_001), "general.architecture": "llama"}
    assert took < 3
    assert peak < 16 * 2**20


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b"GGUF\3\0\0", "it ends after 7 bytes, before its header"),
        (b"PK\3\4" + bytes(100), "no GGUF file, by its first bytes"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer, whose content was not downloaded"),
        (a_gguf(counts=(2**40, 8)), "1099511627776 tensors and 8 keys, for which its"),
        (a_gguf(counts=(1, 2**62)), "tensors and 4611686018427387904 keys, for which its"),
        (a_gguf({**LLAMA, "general.alignment": ("I", 24)}), "its alignment is no power of two"),
        (a_gguf({**LLAMA, "general.alignment": ("I", 0)}), "its alignment is no power of two"),
        (a_gguf({**LLAMA, "general.alignment": "32"}), "its alignment is no power of two"),
        (a_gguf(tensors={"a": (0, (1, 2, 3, 4, 5))}), "the tensor a has 5 dimensions"),
        (a_gguf(tensors={"a": (12, (3, 100))}), "the tensor a has no shape that Q4_K could have"),
        (a_gguf(tensors={"a": (0, (2**40, 2**40))}, offsets={"a": 0})[:400], "the tensor a has no shape that F32 could have"),
        (a_gguf(tensors={"a": (0, (8,)), "b": (0, (8,))}, offsets={"b": 0}), "the tensors a and b overlap"),
        (a_gguf(tensors={"a": (0, (8,)), "b": (0, (8,))}, offsets={"b": 40}), "the tensor b does not begin at a multiple of 32 bytes"),
        (a_gguf()[:-1], "the tensor a ends at byte"),
        (a_gguf(tensors={"a": (0, (8,)), "b": (0, (8,))}, offsets={"b": 2**62})[:500], "the tensor b ends at byte"),
    ],
)  # fmt: skip
def test_what_breaks_the_format_is_torn(tmp_path: Path, content: bytes, said: str) -> None:
    """Nobody could read it, and the line says what is wrong."""
    assert said in refused(tmp_path, content)


def test_names_that_are_there_twice_are_torn(tmp_path: Path) -> None:
    """Keys and tensors: which holds nobody knows."""
    assert "the key general.architecture is there twice" in refused(tmp_path, a_gguf().replace(b"llama.context_length", b"general.architecture"))
    assert (
        refused(tmp_path, a_gguf(tensors={"a": (0, (8,)), "b": (0, (8,))}).replace(text("b"), text("a"))) == "two of its tensors have the same name"
    )


@pytest.mark.parametrize("length", [2**31, 2**63 - 1, 2**64 - 1])
@pytest.mark.parametrize("kind", [8, 10])
def test_lengths_that_lie_are_found_at_once(tmp_path: Path, length: int, kind: int) -> None:
    """Of a text, of an array of texts, of an array of numbers."""
    key = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k")
    begin = time.process_time()
    for content in (key + struct.pack("<IQ", 8, length), key + struct.pack("<IIQ", 9, kind, length), b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, length)):
        refused(tmp_path, content + bytes(64))
    assert time.process_time() - begin < 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (a_gguf(tensors={"a": (99, (4,))}), "the tensor a has the type 99, unknown to ivdoctor"),
        (a_gguf(tensors={"a": (4, (32,))}), "the tensor a has the type 4, unknown to ivdoctor"),
        (a_gguf(version=1), "GGUF of version 1, unknown to ivdoctor"),
        (a_gguf(version=4), "GGUF of version 4, unknown to ivdoctor"),
        (b"tjgg" + bytes(100), "a format of llama.cpp before GGUF, unknown to ivdoctor"),
        (a_gguf({"x" * 2000: "y"}), "a key of more than 1024 bytes"),
        (a_gguf(tensors={"x" * 2000: (0, (4,))}), "a tensor's name of more than 1024 bytes"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<IIQ", 9, 9, 1) + bytes(64), "the key k has an array of the type 9"),
        (b"GGUF" + struct.pack("<IQQ", 3, 200_000, 0) + bytes(24 * 200_000), "200000 tensors and 0 keys, more than anything real"),
    ],
)
def test_what_may_be_sound_is_not_called_torn(tmp_path: Path, content: bytes, said: str) -> None:
    """Newer types and versions, and what is merely larger than anything real."""
    assert said in refused(tmp_path, content, Unreadable)


def test_a_value_of_no_type_is_torn(tmp_path: Path) -> None:
    """The format has thirteen."""
    content = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<I", 77) + bytes(64)
    assert refused(tmp_path, content) == "the key k has a value of the type 77, which there is not"


def test_a_huge_file_of_nothing_is_left_soon(tmp_path: Path) -> None:
    """A sparse file whose array of texts goes on for gigabytes: neither read to its end nor held."""
    path = tmp_path / "m.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<IIQQ", 9, 8, 1000, MOST_HEADER))
    os.truncate(path, 2**40)
    with pytest.raises(Unreadable, match="a header of more than 256 MiB"):
        read_gguf(str(path), "m.gguf")
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<IIQ", 9, 8, 2**33))
    os.truncate(path, 2**40)
    with pytest.raises(Unreadable, match="more than anything real"):
        read_gguf(str(path), "m.gguf")


def test_what_is_no_file_is_said(tmp_path: Path) -> None:
    """Nothing, a folder, and a pipe that would keep its reader waiting."""
    with pytest.raises(Nothing, match=r"^m\.gguf: not there$"):
        read_gguf(str(tmp_path / "m.gguf"), "m.gguf")
    with pytest.raises(Torn, match="no regular file"):
        read_gguf(str(tmp_path), "m.gguf")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.gguf")
        with pytest.raises(Torn, match="no regular file"):
            read_gguf(str(tmp_path / "pipe.gguf"), "pipe.gguf")


def test_a_file_that_grows_meanwhile_never_ends_in_another_error(tmp_path: Path) -> None:
    """It is either read as it was, or said to change."""
    path, stop = tmp_path / "m.gguf", threading.Event()
    whole = a_gguf({**LLAMA, "tokenizer.ggml.tokens": ["word"] * 20_000})
    path.write_bytes(whole)

    def write() -> None:
        while not stop.is_set():
            os.truncate(path, len(whole) // 2)
            path.write_bytes(whole)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(60):
            with contextlib.suppress(Torn):
                assert read_gguf(str(path), "m.gguf").tensors[0].name == "a"
    finally:
        stop.set()
        writer.join()


@given(st.data())
def test_no_damage_ends_in_another_error_than_its_own(data: st.DataObject) -> None:
    """Bytes changed, cut out and put in, anywhere."""
    whole = bytearray(a_gguf({**LLAMA, "tokenizer.ggml.tokens": ["a", "b"], "layers": ("I", [1, 2])}, {"a": (12, (2, 256)), "b": (0, (3,))}))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at : at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=9))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.gguf"
        path.write_bytes(whole)
        with contextlib.suppress(Unreadable):
            assert all(0 <= one.start <= one.end <= len(whole) for one in read_gguf(str(path), "m.gguf").tensors)


def test_metadata_become_a_configuration(tmp_path: Path) -> None:
    """The sizes by the names of a config.json, the words counted, and the tie told from the tensors."""
    tensors = {"token_embd.weight": (12, (1000, 256)), "output.weight": (14, (1000, 256))}
    found = look(tmp_path, a_gguf({**LLAMA, "tokenizer.ggml.tokens": ["a"] * 7}, tensors))
    config = {
        "model_type": "llama",
        "hidden_size": 4096,
        "num_hidden_layers": 32,
        "intermediate_size": 14336,
        "max_position_embeddings": 8192,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "rope_theta": 500000.0,
    }
    assert config_of(found.metadata) == config | {"vocab_size": 7}
    assert config_of(found.metadata, found.tensors) == config | {"vocab_size": 1000, "tie_word_embeddings": False}
    assert config_of(found.metadata, found.tensors[:1])["tie_word_embeddings"] is True
    assert "tie_word_embeddings" not in config_of(found.metadata, found.tensors[:1], whole=False)


def test_experts_and_latent_attention_get_their_familys_names() -> None:
    """DeepSeek's heads, where llama.cpp writes the latent's sizes as if it were one head."""
    deepseek = {
        "general.architecture": "deepseek2",
        "deepseek2.attention.head_count": 128,
        "deepseek2.attention.head_count_kv": 1,
        "deepseek2.attention.key_length": 576,
        "deepseek2.attention.value_length": 512,
        "deepseek2.attention.key_length_mla": 192,
        "deepseek2.attention.value_length_mla": 128,
        "deepseek2.attention.kv_lora_rank": 512,
        "deepseek2.rope.dimension_count": 64,
        "deepseek2.expert_count": 256,
        "deepseek2.expert_used_count": 8,
        "deepseek2.expert_shared_count": 1,
        "deepseek2.leading_dense_block_count": 3,
        "deepseek2.rope.scaling.type": "yarn",
        "deepseek2.rope.scaling.factor": 40.0,
    }
    assert config_of(deepseek) == {
        "model_type": "deepseek2",
        "num_attention_heads": 128,
        "num_experts_per_tok": 8,
        "n_routed_experts": 256,
        "n_shared_experts": 1,
        "first_k_dense_replace": 3,
        "kv_lora_rank": 512,
        "qk_rope_head_dim": 64,
        "qk_nope_head_dim": 128,
        "v_head_dim": 128,
        "rope_scaling": {"rope_type": "yarn", "factor": 40.0},
    }
    moe = {"general.architecture": "qwen3moe", "qwen3moe.expert_count": 128, "qwen3moe.attention.key_length": 128}
    assert config_of(moe) == {"model_type": "qwen3_moe", "head_dim": 128, "num_experts": 128}
    assert config_of({"general.architecture": "llama", "llama.expert_count": 8})["num_local_experts"] == 8


@pytest.mark.parametrize("metadata", [{}, {"general.architecture": ""}, {"general.architecture": 3}, {"llama.block_count": 32}])
def test_nothing_is_invented(metadata: dict[str, Any]) -> None:
    """Without an architecture there is no configuration."""
    assert config_of(metadata) == {}


def test_a_size_that_differs_between_layers_is_left_out() -> None:
    """One for all layers would be wrong; the same in each is the model's."""
    metadata = {"general.architecture": "deci", "deci.attention.head_count_kv": [8, 4, 8], "deci.attention.head_count": [32, 32]}
    assert config_of(metadata) == {"model_type": "deci", "num_attention_heads": 32}
    assert config_of({"general.architecture": "x", "x.block_count": Many(5000)}) == {"model_type": "x"}


def test_a_tensor_counts_its_elements(tmp_path: Path) -> None:
    """Of a packed type too: weights, not bytes."""
    (one,) = look(tmp_path, a_gguf(tensors={"a": (39, (4, 64))})).tensors
    assert one == Tensor("a", "MXFP4", (4, 64), "m.gguf", one.start, one.start + 136)
    assert one.elements == 256
