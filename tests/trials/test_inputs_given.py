"""Inputs that a user names: a file of tensors, or a function; and every way in which they can be wrong."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")


from ivdoctor.probe import Absent  # noqa: E402
from ivdoctor.trials import miniature  # noqa: E402
from ivdoctor.trials.cast import compare  # noqa: E402
from ivdoctor.trials.inputs import Inputs, given  # noqa: E402
from ivdoctor.trials.subject import Subject  # noqa: E402

pytestmark = pytest.mark.usefixtures("_as_it_was")

Saved = Callable[..., Path]
Made = Callable[[str], Any]


@pytest.fixture
def folder(saved: Saved, tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a model's folder, to be changed."""
    return lambda name: Path(shutil.copytree(saved(name), tmp_path / f"tiny-{name}"))


def shapes(inputs: Inputs) -> dict[str, tuple[int, ...]]:
    return {name: tuple(one.shape) for name, one in inputs.tensors.items()}


def runs(model: Any, inputs: Inputs) -> Any:
    """The model's own answer to them, which must be finite."""
    with torch.no_grad():
        output = model(**inputs.to("cpu", torch.float32))
    first = output["logits"] if "logits" in output else output["last_hidden_state"]
    assert torch.isfinite(first).all()
    return first


MODEL, PIXELS, IDS = miniature.build()
GOOD = {"pixel_values": PIXELS, "input_ids": IDS}


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., str]:
    """A file of safetensors."""
    save_file = pytest.importorskip("safetensors.torch").save_file

    def write(tensors: dict[str, Any]) -> str:
        save_file({name: one.contiguous() for name, one in tensors.items()}, tmp_path / "mine.safetensors")
        return str(tmp_path / "mine.safetensors")

    return write


@pytest.fixture
def function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """`module:make` in the folder where the user stands; the body of make() is given, and each module has its own name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    written: list[str] = []

    def define(body: str) -> str:
        name = f"mine_{os.getpid()}_{len(written)}_{tmp_path.name}"
        written.append(name)
        lines = "\n".join(f"    {line}" for line in body.splitlines())
        (tmp_path / f"{name}.py").write_text(f"import os, sys, torch\nfrom collections import UserDict, namedtuple\ndef make():\n{lines}\n")
        return f"{name}:make"

    return define


def refused(source: str) -> str:
    """What is said instead of inputs, on one line."""
    with pytest.raises(Absent) as caught:
        given(source, MODEL)
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 400
    return said


def cast(inputs: Inputs) -> Any:
    """The whole trial of the miniature on these."""
    return compare(Subject(name="mine", model=MODEL, inputs=inputs, baseline="fp32", device="cpu", real=False))


def test_a_file_of_tensors_goes_in_by_name(written: Callable[..., str]) -> None:
    """Bit for bit."""
    inputs = given(written(GOOD), MODEL)

    assert {name for name in GOOD if torch.equal(inputs.tensors[name], GOOD[name])} == set(inputs.tensors) == set(GOOD)
    assert sorted(inputs.said.removeprefix("the user's own: ").split(", ")) == ["input_ids 1x7 int64", "pixel_values 2x3x8x8 float32"]
    assert all(run.status == "ran" for run in cast(inputs).runs)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """Its name is said, and not the way to it, which may be nobody's business."""
    said = refused(str(tmp_path / "absent.safetensors"))

    assert said.startswith("the inputs absent.safetensors cannot be read: ")
    assert str(tmp_path) not in said


@pytest.mark.parametrize(
    "content", [b"", b"\x08", b"\xff" * 100, b"\x02\0\0\0\0\0\0\0{]", b"\x00" * 8, b"version https://git-lfs.github.com/spec/v1\n"]
)
def test_a_torn_file(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "torn.safetensors"
    file.write_bytes(content)

    assert refused(str(file)).startswith("the inputs torn.safetensors cannot be read: ")


def test_a_file_cut_off_in_its_data(written: Callable[..., str]) -> None:
    path = Path(written(GOOD))
    path.write_bytes(path.read_bytes()[:-3])

    assert refused(str(path)).startswith("the inputs mine.safetensors cannot be read: ")


def test_a_file_without_tensors(written: Callable[..., str]) -> None:
    assert refused(written({})) == "the inputs mine.safetensors are no tensors by name"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pixel_values": torch.zeros(2, 5, 8, 8)}, r"RuntimeError: .*channels"),
        ({"pixel_values": torch.zeros(3)}, "RuntimeError"),
        ({"input_ids": torch.full((1, 7), 99)}, "IndexError"),
        ({"input_ids": torch.ones(1, 7)}, "RuntimeError: .*Float"),
        ({"pixel_values": PIXELS.long()}, "RuntimeError"),
        ({"unknown": torch.ones(1)}, "TypeError: .*unexpected keyword argument 'unknown'"),
    ],
)
def test_inputs_the_model_does_not_take_are_absence_with_its_reason(changes: dict[str, Any], words: str, written: Callable[..., str]) -> None:
    """The model's own message, before anything is cast: a wrong shape, ids beyond the vocabulary, a wrong dtype, a wrong name."""
    inputs = given(written(GOOD | changes), MODEL)

    with pytest.raises(Absent, match=rf"^the model does not run in fp32 on its inputs: {words}[^\n]*$"):
        cast(inputs)


def test_a_missing_input_is_absence(written: Callable[..., str]) -> None:
    with pytest.raises(Absent, match="missing 1 required positional argument: 'input_ids'"):
        cast(given(written({"pixel_values": PIXELS}), MODEL))


def test_a_function_gives_tensors_by_name(function: Callable[[str], str]) -> None:
    """Found where the user stands; what else it gives goes in untouched."""
    source = function("return {'pixel_values': torch.ones(2, 3, 8, 8), 'input_ids': torch.tensor([[5, 0, 0, 0, 0, 7, 11]])}")

    inputs = given(source, MODEL)

    assert shapes(inputs) == {"pixel_values": (2, 3, 8, 8), "input_ids": (1, 7)}
    assert all(run.status == "ran" for run in cast(inputs).runs)


def test_a_single_tensor_is_the_models_main_input(function: Callable[[str], str], made: Made) -> None:
    assert set(given(function("return torch.ones(1, 3, 32, 32)"), made("vit")).tensors) == {"pixel_values"}


def test_what_a_processor_gives_is_tensors_by_name(function: Callable[[str], str]) -> None:
    """A BatchEncoding is a UserDict."""
    assert set(given(function("return UserDict(input_ids=torch.ones(1, 2).long(), names=['x'])"), MODEL).tensors) == {"input_ids", "names"}


@pytest.mark.parametrize("body", ["return None", "return 42", "return 'text'", "return [torch.ones(2)]", "return {}", "return {'a': 'b'}", "pass"])
def test_a_function_that_gives_nonsense(body: str, function: Callable[[str], str]) -> None:
    source = function(body)

    assert refused(source) == f"the inputs {source} are no tensors by name"


@pytest.mark.parametrize(
    "body", ["return {1: torch.ones(2)}", "return {'pixel_values': namedtuple('P', 'x y')(torch.ones(1), 2), 'input_ids': torch.ones(1)}"]
)
def test_nonsense_that_looks_like_tensors_is_absence_too(body: str, function: Callable[[str], str]) -> None:
    """It ends in the model, with one line."""
    with pytest.raises(Absent, match=r"^the model does not run in fp32 on its inputs: [^\n]+$"):
        cast(given(function(body), MODEL))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise ValueError('no good\\nand more')", "ValueError: no good"),
        ("return 1 / 0", "ZeroDivisionError: division by zero"),
        ("import no_such_module_anywhere", "ModuleNotFoundError: No module named 'no_such_module_anywhere'"),
        ("raise KeyError", "KeyError: "),
    ],
)
def test_a_function_that_raises(body: str, words: str, function: Callable[[str], str]) -> None:
    """Its own words, the first line of them."""
    source = function(body)

    assert refused(source) == f"the inputs {source} failed: {words}"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("plain", "--inputs takes FILE.safetensors or module:function, not plain"),
        ("folder/picture.png", "--inputs takes FILE.safetensors or module:function, not picture.png"),
        ("", "--inputs takes FILE.safetensors or module:function, not "),
        ("module:", "--inputs takes FILE.safetensors or module:function, not module:"),
        (
            "no_such_module_anywhere:make",
            "the inputs no_such_module_anywhere:make failed: ModuleNotFoundError: No module named 'no_such_module_anywhere'",
        ),
        ("json:no_such_name", "the inputs json:no_such_name failed: AttributeError: module 'json' has no attribute 'no_such_name'"),
        (":make", "--inputs takes FILE.safetensors or module:function, not :make"),
        ("json:dumps", "the inputs json:dumps failed: TypeError: "),
        ("json:__name__", "the inputs json:__name__ failed: TypeError: 'str' object is not callable"),
    ],
)
def test_what_names_no_function(source: str, words: str) -> None:
    assert refused(source).startswith(words)


def test_the_path_is_as_it_was(function: Callable[[str], str], tmp_path: Path) -> None:
    """Also after a function that goes elsewhere, and after one that raises."""
    import sys

    (tmp_path / "elsewhere").mkdir()
    before = list(sys.path)

    moved = given(function("os.chdir('elsewhere'); return {'input_ids': torch.ones(1, 1)}"), MODEL)
    os.chdir(tmp_path)
    refused(function("raise ValueError"))

    assert set(moved.tensors) == {"input_ids"}
    assert sys.path == before
