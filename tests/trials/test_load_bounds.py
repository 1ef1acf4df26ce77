"""What loading a model may not do: take more memory than there is, or open a way to the internet."""

import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from ivdoctor.probe import Absent  # noqa: E402  # torch first
from ivdoctor.trials import load as module  # noqa: E402
from ivdoctor.trials.load import Loaded, load  # noqa: E402

pytestmark = pytest.mark.usefixtures("_as_it_was")

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"

Folder = Callable[..., Path]


@pytest.fixture
def folder(saved: Callable[..., Path], tmp_path: Path) -> Folder:
    """A copy of a model's folder, to be changed; the keywords are fields of its configuration."""

    def copied(name: str = "bert", dtype: str = "float32", **config: Any) -> Path:
        path = Path(shutil.copytree(saved(name, dtype), tmp_path / "mine"))
        written = json.loads((path / "config.json").read_text())
        (path / "config.json").write_text(json.dumps(written | config))
        return path

    return copied


@pytest.fixture
def bare(tmp_path: Path) -> Callable[..., Path]:
    """A folder with a configuration and nothing else, for what is refused before transformers is asked."""

    def make(**config: Any) -> Path:
        (tmp_path / "bare").mkdir()
        (tmp_path / "bare" / "config.json").write_text(json.dumps({"model_type": "bert"} | config))
        return tmp_path / "bare"

    return make


@pytest.fixture
def _nothing_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is refused is refused before."""
    monkeypatch.setattr(module, "_loaded", lambda *_: pytest.fail("it was loaded"))


def refused(path: Path) -> str:
    """Why it is absent, on one line."""
    with pytest.raises(Absent) as caught:
        load(str(path), "cpu")
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 500
    assert str(path.parent) not in said, "the way to a model is its owner's business"
    return said


def header(entries: dict[str, Any]) -> bytes:
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text


def loaded(path: Path) -> Loaded:
    return load(str(path), "cpu")


@pytest.mark.usefixtures("_nothing_is_loaded")
def test_a_model_that_is_too_large_is_not_touched(bare: Callable[..., Path]) -> None:
    """A terabyte of weights, as a file with a hole: only its header is read."""
    path, size = bare(), 2**40
    entry = header({"weight": {"dtype": "F32", "shape": [2**20, 2**18], "data_offsets": [0, size]}})
    try:
        with open(path / WEIGHTS, "wb") as file:
            file.write(entry)
            file.truncate(len(entry) + size)
    except OSError as error:
        pytest.skip(f"no files with holes of this size here: {error}")

    said = refused(path)

    assert said.startswith("the model is too large to be run here: fp32 needs 1638.4 GiB and ")
    assert said.endswith(" GiB of memory are free")


def needed(path: Path) -> float:
    """MiB of the weights in fp32."""
    from safetensors import safe_open

    with safe_open(path / WEIGHTS, "pt") as file:
        return float(sum(file.get_tensor(name).numel() for name in file.keys())) * 4 / 2**20  # noqa: SIM118  # it is no dictionary


@pytest.mark.parametrize(("stored", "short"), [("bfloat16", "bf16"), ("float16", "fp16")])
def test_where_fp32_does_not_fit_the_stored_format_is_the_baseline(
    stored: str, short: str, saved: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it is said why: memory lies between what the two need."""
    path = saved("llama", stored)
    monkeypatch.setattr(module, "free_mib", lambda: needed(path) * 1.5)

    found = loaded(path)

    assert (found.dtype, found.stored) == (short, stored)
    assert found.reason.startswith("fp32 needs ")
    assert found.reason.endswith(" GiB of memory are free")
    assert {one.dtype for one in found.model.parameters()} == {getattr(torch, stored)}


@pytest.mark.usefixtures("_nothing_is_loaded")
@pytest.mark.parametrize(("stored", "share"), [("float32", 1.2), ("bfloat16", 0.6), ("float16", 0.6), ("float32", 0)])
def test_where_nothing_fits_nothing_is_loaded(stored: str, share: float, saved: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """A model stored in fp32 is not squeezed: what its own format gives would be unknown."""
    path = saved("llama", stored)
    monkeypatch.setattr(module, "free_mib", lambda: needed(path) * share)

    assert refused(path).startswith("the model is too large to be run here: fp32 needs ")


def test_twice_the_weights_is_enough(saved: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """For the model, its cast and one pass."""
    path = saved("llama")
    monkeypatch.setattr(module, "free_mib", lambda: needed(path) * 2)

    assert loaded(path).dtype == "fp32"


CHILD = """
import sys
opened = []
def hook(event, arguments):
    if event == "socket.__new__" and int(arguments[1]) in (2, 10) or event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
        opened.append((event, arguments))
    if event == "pickle.find_class" and "torch" not in str(arguments[0]):
        opened.append((event, arguments))
sys.addaudithook(hook)
import torch
torch.set_num_threads(1)
{before}
from ivdoctor.probe import Absent
from ivdoctor.trials.inputs import samples
from ivdoctor.trials.load import load
try:
    found = load({folder!r}, "cpu")
    inputs = next(samples({folder!r}, found.model, found.config))
    with torch.no_grad():
        found.model(**inputs.to("cpu", torch.float32))
    print("loaded", type(found.model).__name__)
except Absent as absent:
    print(absent)
if opened:
    print(*opened, sep="\\n", file=sys.stderr)
"""


def child(folder: Path, *, before: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", CHILD.format(folder=str(folder), before=before)],
        env={name: value for name, value in os.environ.items() if name not in module.OFFLINE},
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def test_no_way_to_the_internet_is_taken(library: Any, saved: Callable[..., Path]) -> None:
    """In a process that was not told to stay offline: no socket of that kind is even made, nothing is looked up and nothing printed."""
    done = child(saved("bert"))

    assert (done.returncode, done.stdout, done.stderr) == (0, "loaded BertForSequenceClassification\n", "")


def test_without_transformers_the_model_is_absent(tmp_path: Path) -> None:
    """A machine that has torch alone."""
    from ivdoctor.testing import a_safetensors_file

    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / WEIGHTS).write_bytes(a_safetensors_file())

    done = child(tmp_path, before="sys.modules['transformers'] = None")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("transformers is not there: ")
