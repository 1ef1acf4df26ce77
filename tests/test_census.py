"""The rows of a census, and how they are written."""

import csv
import io
import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ivdoctor import census_page
from ivdoctor.census import census, ordered
from ivdoctor.census_cell import Bench, probes
from ivdoctor.census_row import Census, Row
from ivdoctor.checkup import check
from ivdoctor.facts import Asked, Stored
from ivdoctor.testing import a_safetensors_file

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 100,
    "torch_dtype": "bfloat16",
}
LONG = {"num_hidden_layers": 80, "num_key_value_heads": 64, "num_attention_heads": 64, "hidden_size": 8192, "max_position_embeddings": 10**6}
"""A cache of terabytes."""

WEIGHTS = {"model.norm.weight": ("F32", (64,)), "lm_head.weight": ("BF16", (100, 64))}


def a_folder(path: Path, tensors: dict[str, tuple[str, tuple[int, ...]]] | None = None, **config: Any) -> Path:
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps({**LLAMA, **config}))
    if tensors is not None:
        (path / "model.safetensors").write_bytes(a_safetensors_file(tensors))
    return path


def a_sparse_file(path: Path, gigabytes: int) -> None:
    """bfloat16 weights of this size, of which the header alone takes room."""
    header = {"lm_head.weight": {"dtype": "BF16", "shape": [gigabytes, 500_000_000], "data_offsets": [0, gigabytes * 10**9]}}
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + gigabytes * 10**9)


def a_gguf_file() -> bytes:
    """Version 3: an architecture, and one tensor of 32 numbers in Q8_0."""

    def text(value: bytes) -> bytes:
        return struct.pack("<Q", len(value)) + value

    front = b"GGUF" + struct.pack("<IQQ", 3, 1, 1)
    front += text(b"general.architecture") + struct.pack("<I", 8) + text(b"llama")
    front += text(b"output.weight") + struct.pack("<IQIQ", 1, 32, 8, 0)
    return front + bytes(-len(front) % 32) + bytes(34)


def the_row(path: Path, **given: Any) -> Row:
    (row,) = census([str(path)], **given).rows
    return row


def test_what_is_stored(tmp_path: Path) -> None:
    """Dtypes with their shares, parameters, and bytes, by the headers."""
    row = the_row(a_folder(tmp_path / "llama", WEIGHTS))

    assert (row.name, row.kind, row.state, row.model_type, row.architecture) == ("llama", "model", "whole", "llama", "LlamaForCausalLM")
    assert [(one.dtype, one.parameters) for one in row.stored] == [("bfloat16", 6400), ("float32", 64)]
    assert (row.parameters, row.counted, row.bytes) == (6464, "headers", (tmp_path / "llama" / "model.safetensors").stat().st_size)
    assert census_page.shares(row.stored) == "bfloat16 >99%, float32 <1%"


def test_a_configuration_that_casts_in_silence(tmp_path: Path) -> None:
    """bfloat16 weights under `torch_dtype: float16` are loaded in float16, and the row says so."""
    row = the_row(a_folder(tmp_path / "llama", WEIGHTS, torch_dtype="float16"))

    assert (row.declared, row.loads_as, row.cast_from) == ("float16", "fp16", "bf16")
    assert any("casts them in silence" in line for line in census_page.troubles(row))


def test_quantised_weights(tmp_path: Path) -> None:
    """The method; of packed weights no cast is told."""
    method = {"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm", "zero_point": True}
    row = the_row(a_folder(tmp_path / "llama", WEIGHTS, torch_dtype="float16", quantization_config=method))

    assert row.quantization.startswith("awq")
    assert row.cast_from == ""


def test_missing_and_torn_files(tmp_path: Path) -> None:
    """Missing ones are an answer; with a torn one the census is not whole."""
    missing = a_folder(tmp_path / "missing")
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (missing / "model.safetensors.index.json").write_text(json.dumps(index))
    (missing / "model-00001-of-00002.safetensors").write_bytes(a_safetensors_file({"a": ("F16", (2,))}))
    torn = a_folder(tmp_path / "torn", WEIGHTS)
    (torn / "model.safetensors").write_bytes(b"\x40\0\0\0\0\0\0\0{}")
    lacks, broken = census([str(missing)]), census([str(torn)])

    assert (lacks.rows[0].state, lacks.rows[0].missing, lacks.whole) == ("incomplete", ("model-00002-of-00002.safetensors",), True)
    assert (broken.rows[0].state, broken.whole) == ("torn", False)


def test_a_configuration_alone(tmp_path: Path) -> None:
    """It has no weights, which is no fault; how many there would be is counted on it."""
    found = census([str(a_folder(tmp_path / "llama"))])
    (row,) = found.rows

    assert (row.state, row.bytes, row.stored, found.whole) == ("no weights", 0, (), True)
    assert (row.counted, row.parameters) == ("configuration", 2 * 100 * 64 + 2 * (4 * 64 * 64 + 3 * 64 * 128 + 2 * 64) + 64)


def test_a_configuration_that_cannot_be_read(tmp_path: Path) -> None:
    """The row says why, the weights beside it are told, and the other rows stand."""
    broken = a_folder(tmp_path / "a", WEIGHTS)
    (broken / "config.json").write_text('{"model_type":')
    a_folder(tmp_path / "b", WEIGHTS)
    found = census([str(tmp_path)])

    assert [(row.name, row.state) for row in found.rows] == [("a", "unreadable"), ("b", "whole")]
    assert found.rows[0].problem.startswith("config.json: no JSON")
    assert found.rows[0].parameters == 6464
    assert not found.whole


def test_a_snapshot_whose_blobs_are_gone(tmp_path: Path) -> None:
    """Dangling links: it cannot be read, and says so."""
    folder = tmp_path / "models--org--name" / "snapshots" / "abc"
    folder.mkdir(parents=True)
    (folder / "config.json").symlink_to("../../blobs/gone")
    found = census([str(tmp_path)])

    assert [(row.called, row.state, row.problem) for row in found.rows] == [("org/name@abc", "unreadable", "config.json: not there")]


def test_an_adapter(tmp_path: Path) -> None:
    """Its method, its base, and its own weights."""
    (tmp_path / "lora").mkdir()
    (tmp_path / "lora" / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "base_model_name_or_path": "org/base", "r": 8}))
    (tmp_path / "lora" / "adapter_model.safetensors").write_bytes(a_safetensors_file({"x.lora_A.weight": ("F32", (8, 64))}))
    row = the_row(tmp_path / "lora")

    assert (row.kind, row.method, row.base, row.parameters, row.loads_as) == ("adapter", "LORA", "org/base", 512, None)


def test_a_gguf_file(tmp_path: Path) -> None:
    """GGML's own dtypes, and the architecture that it names; a torn one is a problem of its row."""
    (tmp_path / "tiny-Q8_0.gguf").write_bytes(a_gguf_file())
    (tmp_path / "torn.gguf").write_bytes(b"GGUF")
    found = census([str(tmp_path)])
    tiny, torn = found.rows

    assert (tiny.kind, tiny.model_type, tiny.parameters, tiny.stored[0].dtype) == ("gguf", "llama", 32, "Q8_0")
    assert (torn.state, bool(torn.problem), found.whole) == ("unreadable", True, False)


def test_a_split_gguf_file_with_a_part_missing(tmp_path: Path) -> None:
    """One row, named without its number; the missing part is told."""
    (tmp_path / "big-00001-of-00002.gguf").write_bytes(a_gguf_file())
    row = the_row(tmp_path)

    assert (row.name.rpartition("/")[2], row.missing) == ("big.gguf", ("big-00002-of-00002.gguf",))


def test_weights_without_a_configuration(tmp_path: Path) -> None:
    """Loose safetensors files are read one by one."""
    for name in ("one", "two"):
        (tmp_path / f"{name}.safetensors").write_bytes(a_safetensors_file({name: ("F16", (4,))}))

    assert [(row.kind, row.parameters, row.loads_as) for row in census([str(tmp_path)]).rows] == [("weights", 4, None)] * 2


def test_no_user_and_no_home_in_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is named for the user is not, once it is shown."""
    monkeypatch.setenv("USER", "jane.doe")
    a_folder(tmp_path / "jane.doe" / "llama", WEIGHTS)

    assert the_row(tmp_path).name == "<user>/llama"


def test_order(tmp_path: Path) -> None:
    """By size, the largest first; by name; else as found."""
    rows = (
        Row(name="b", kind="model", state="whole", bytes=1),
        Row(name="c", kind="model", state="whole", bytes=3),
        Row(name="a", kind="model", state="whole", bytes=2),
    )
    found = Census(rows=rows, transformers="")

    assert ["".join(row.name for row in ordered(found, sort).rows) for sort in ("size", "name", None)] == ["cab", "abc", "bca"]


Build = Callable[[Path], Path]


def _small(path: Path) -> Path:
    return a_folder(path, WEIGHTS)


def _large(path: Path) -> Path:
    a_sparse_file(a_folder(path) / "model.safetensors", 100)
    return path


def _torn(path: Path) -> Path:
    (a_folder(path, WEIGHTS) / "model.safetensors").write_bytes(b"")
    return path


def _unsized(path: Path) -> Path:
    return a_folder(path, model_type="nobody-knows-it")


def _bare(path: Path) -> Path:
    return a_folder(path)


@pytest.mark.parametrize("build", [_small, _large, _torn, _bare])
@pytest.mark.parametrize("target", ["T4", "H100-SXM5-80GB"])
def test_it_never_disagrees_with_check(tmp_path: Path, build: Build, target: str) -> None:
    """The verdict and the errors of `ivdoctor check MODEL --target NAME`."""
    path = build(tmp_path / "model")
    asked = Asked(model=str(path), targets=(target,))
    report = check(asked)
    (cell,) = the_row(path, asked=Asked(targets=(target,)), judged_for=Bench(Asked(targets=(target,))), probes=probes()).cells

    assert cell.verdict == report.verdict.value
    assert set(cell.codes) == {one.code for one in report.findings if one.severity.value == "error"}
    assert cell.reason == report.reason


@pytest.mark.parametrize(
    ("build", "target", "begins"),
    [
        (_small, "T4", "no: bf16 is emulated; fits"),
        (_large, "A100-SXM4-80GB", "no: does not fit (needs 2)"),
        (_large, "16xT4", "no: "),
        (_large, "M1", "no: does not fit"),
        (_torn, "A100-SXM4-80GB", "no: files missing or torn"),
        (_unsized, "A100-SXM4-80GB", ("unknown (native, fit unknown)", "no: ")),
    ],
)
def test_the_word(tmp_path: Path, build: Build, target: str, begins: str | tuple[str, ...]) -> None:
    """The verdict first, and what decided it; what does not fit comes with the number of devices over which it does."""
    asked = Asked(targets=(target,))
    (cell,) = the_row(build(tmp_path / "model"), asked=asked, judged_for=Bench(asked), probes=probes()).cells

    assert cell.word.startswith(begins)
    assert not (target == "M1" and "needs" in cell.word)  # Macs are not put together


def test_the_word_of_an_engine_that_casts_by_itself(tmp_path: Path) -> None:
    """vLLM refuses bfloat16 on a T4 by name alone; a bare refusal in the word would contradict what check says."""
    asked = Asked(targets=("T4",), engine="vllm")
    (cell,) = the_row(_small(tmp_path / "model"), asked=asked, judged_for=Bench(asked), probes=probes()).cells
    assert cell.word.startswith("unknown (bf16: cast to fp16, fits")


def test_the_word_of_a_cache_that_does_not_fit(tmp_path: Path) -> None:
    """It is a no for its size: that the weights fit is not said behind it."""
    path = a_folder(tmp_path / "model", WEIGHTS, **LONG)
    asked = Asked(targets=("T4",), engine="vllm")
    (cell,) = the_row(path, asked=asked, judged_for=Bench(asked), probes=probes()).cells
    assert cell.word == "no: context does not fit"


def test_what_has_no_configuration_is_unknown_on_a_target(tmp_path: Path) -> None:
    """`check` takes no model without one."""
    (tmp_path / "x.safetensors").write_bytes(a_safetensors_file(WEIGHTS))
    asked = Asked(targets=("T4",))
    (cell,) = the_row(tmp_path, asked=asked, judged_for=Bench(asked), probes=probes()).cells

    assert (cell.verdict, cell.word) == ("undetermined", "unknown (no configuration)")


A_ROW = Row(
    name="org/name",
    revision="main",
    kind="model",
    state="whole",
    stored=(Stored(dtype="bfloat16", tensors=2, parameters=8_030_000_000, bytes=16_060_000_000),),
    parameters=8_030_000_000,
    counted="headers",
    bytes=16_060_000_000,
    loads_as="bf16",
)
TEXTS = {
    "parameters": (replace(A_ROW), "8.03 B"),
    "of the configuration": (replace(A_ROW, counted="configuration"), "8.03 B (config)"),
    "size": (replace(A_ROW), "14.96"),
    "whole": (replace(A_ROW), "whole"),
    "missing": (replace(A_ROW, state="incomplete", missing=("a", "b")), "2 missing"),
    "unfinished": (replace(A_ROW, state="incomplete", unfinished=1, missing=("a",)), "download incomplete, 1 missing"),
    "torn": (replace(A_ROW, state="torn", torn=("a: b",)), "1 torn"),
}


@pytest.mark.parametrize(("row", "text"), TEXTS.values(), ids=TEXTS)
def test_the_words_of_the_table(row: Row, text: str) -> None:
    """A cell is a word or two."""
    assert text in census_page.page(Census(rows=(row,), transformers="")).splitlines()[4]


KEYS = [
    "name", "revision", "kind", "state", "model_type", "architecture", "stored", "quantization", "parameters", "parameters_from", "bytes", "files",
    "missing", "torn", "unfinished_downloads", "config_dtype", "loads_as", "cast_from", "adapter", "base", "problem", "targets",
]  # fmt: skip


@pytest.mark.parametrize("row", [A_ROW, Row(name="x", kind="gguf", state="unreadable", problem="why")])
def test_the_keys_of_the_json_are_stable(row: Row) -> None:
    """Every key is always there, and the schema is named."""
    told = json.loads(census_page.document(Census(rows=(row,), transformers="5.23.0")))

    assert told["schema"] == "ivdoctor.census/1"
    assert list(told) == ["schema", "tool", "transformers", "targets", "complete", "cut", "remarks", "models"]
    assert [list(one) for one in told["models"]] == [KEYS]


def test_no_formula_in_a_spreadsheet() -> None:
    """A name that a spreadsheet would run is made a text."""
    text = census_page.sheet(Census(rows=(replace(A_ROW, name="=1+1"),), transformers=""))

    assert next(csv.DictReader(io.StringIO(text)))["name"] == "'=1+1"


def test_no_markup_in_markdown() -> None:
    """What is in a name stays a name."""
    text = census_page.markdown(Census(rows=(replace(A_ROW, name="a|b <img src=x> @someone"),), transformers=""))

    assert "<img src=x>" in text
    assert "`<img src=x>" in text.replace("`a\\|b <img", "`<img")


def test_an_adapter_without_weights_is_incomplete(tmp_path: Path) -> None:
    """As `check` says of it: IVD343."""
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "org/base"}')
    (row,) = census([str(tmp_path)]).rows
    assert (row.kind, row.state) == ("adapter", "incomplete")
