"""Reading an exception: its first line, whether the device is lost, and where it was raised."""

from pathlib import Path
from typing import Any

import pytest

from ivdoctor.trials.failure import device_is_lost, first_line, location, pathless


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (RuntimeError("one line"), "one line"),
        (RuntimeError("\n\n  CUDA error: out of memory \nCUDA kernel errors might be asynchronously reported\n"), "CUDA error: out of memory"),
        (RuntimeError("Expected x\nException raised from y at z.cpp:1 (most recent call first):\nframe #0: ..."), "Expected x"),
        (AssertionError(), "AssertionError"),
        (ValueError("  \n "), "ValueError"),
    ],
)
def test_the_first_line_is_the_message(error: Exception, line: str) -> None:
    """C++ frames and hints follow it in some builds; without any text the type is the message."""
    assert line == first_line(error)


@pytest.mark.parametrize(
    "message",
    [
        "CUDA error: device-side assert triggered\nCUDA kernel errors might be asynchronously reported at some other API call",
        "CUDA error: an illegal memory access was encountered",
        "CUDA error: an illegal instruction was encountered",
        "CUDA error: misaligned address",
        "CUDA error: unspecified launch failure",
        "CUDA error: the launch timed out and was terminated",
        "CUDA error: uncorrectable ECC error encountered",
        "HIP error: an illegal memory access was encountered",
        "level_zero backend failed with error: 20 (UR_RESULT_ERROR_DEVICE_LOST)",
        "No CUDA GPUs are available",
        "CUDA error: no CUDA-capable device is detected",
        "CUDA error: invalid device ordinal",
        "CUDA error: all CUDA-capable devices are busy or unavailable",
        "CUDA unknown error - this may be due to an incorrectly set up environment",
    ],
)
def test_these_errors_lose_the_device(message: str) -> None:
    """After them every call on the device fails in that process."""
    assert device_is_lost(RuntimeError(message))


@pytest.mark.parametrize(
    "message",
    [
        "CUDA error: no kernel image is available for execution on the device\nCUDA kernel errors might be asynchronously reported",
        "CUDA error: CUBLAS_STATUS_NOT_SUPPORTED when calling `cublasGemmEx( handle, opa, opb, m, n, k, &falpha, a, CUDA_R_16BF, lda)`",
        "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 14.58 GiB of which 3.62 MiB is free.",
        "CUDA error: out of memory",
        "cuDNN error: CUDNN_STATUS_NOT_SUPPORTED",
        "Input type (c10::BFloat16) and bias type (c10::Half) should be the same",
        "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu!",
        "",
    ],
)
def test_these_errors_leave_the_device_usable(message: str) -> None:
    """A missing kernel, a full memory and a clash of dtypes are answers about one call."""
    assert not device_is_lost(RuntimeError(message))


MODEL = """
import torch

class Inner(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)

    def forward(self, x):
        return self.linear(
            x
        )

class Outer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = torch.nn.ModuleList([Inner(), Inner()])

    def forward(self, x):
        x = self.blocks[0](x)
        return self.blocks[1](x.half())  # here

    def helper(self):
        raise RuntimeError("Index put requires the source and destination dtypes match, got Half for the destination and Float for the source.")
"""


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    pytest.importorskip("torch")
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "a_model.py").write_text(MODEL, encoding="utf-8")
    space: dict[str, Any] = {"__name__": "a_model"}
    exec(compile(MODEL, str(folder / "a_model.py"), "exec"), space)
    return space["Outer"]()


def raised(call: Any) -> Exception:
    with pytest.raises(RuntimeError) as info:
        call()
    return info.value


def test_the_location_is_the_innermost_line_of_the_models_own_code(model: Any, tmp_path: Path) -> None:
    """The module is the innermost one of the model, torch's own layer; the line is the model's, for torch's lines tell a user nothing."""
    import torch

    error = raised(lambda: model(torch.ones(1, 4)))

    found = location(error, model, "linear", own=lambda file: file.endswith("a_model.py"), root=str(tmp_path / "package"))

    source = MODEL.splitlines()
    assert (found.module, found.file, found.op) == ("blocks.1.linear", "package/a_model.py", "aten.linear")
    assert source[found.line - 1].strip() == found.code == "return self.linear("


def test_a_function_without_an_operators_name_is_torchs(model: Any, tmp_path: Path) -> None:
    """Names that are not listed are given as one would write them."""
    import torch

    error = raised(lambda: model(torch.ones(1, 4)))

    assert location(error, model, "einsum", own=lambda _: False, root=str(tmp_path)).op == "torch.einsum"


def test_an_operator_that_was_not_seen_is_told_by_its_message(model: Any, tmp_path: Path) -> None:
    """Old torch shows `x[mask] = y` to nobody; an unknown message names no operator rather than a wrong one."""
    root = str(tmp_path / "package")
    found = location(raised(model.helper), model, "", own=lambda file: file.endswith("a_model.py"), root=root)

    assert (found.module, found.op) == ("", "aten.index_put_")
    assert location(RuntimeError("something else"), model, "", own=lambda _: True, root=root).op == ""


def test_code_that_is_not_the_models_gives_no_file(model: Any, tmp_path: Path) -> None:
    """No line is better than a line of torch."""
    import torch

    error = raised(lambda: model(torch.ones(1, 4)))
    found = location(error, model, "linear", own=lambda _: False, root=str(tmp_path))

    assert (found.file, found.line, found.code) == ("", 0, "")
    assert found.module == "blocks.1.linear"


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("[Errno 2] No such file or directory: '/data/acme-secret/x.npy'", "[Errno 2] No such file or directory: 'x.npy'"),
        ('"/srv/people/jane/models/tiny" is no folder', '"tiny" is no folder'),
        ("C:\\people\\jane\\x.bin is torn", "x.bin is torn"),
        (
            "see https://huggingface.co/docs/x and aten::mm, 3/4 of it, Half/Float",
            "see https://huggingface.co/docs/x and aten::mm, 3/4 of it, Half/Float",
        ),
        ("transformers/models/bert/modeling_bert.py", "transformers/models/bert/modeling_bert.py"),
    ],
)
def test_the_way_to_a_file_is_its_owners_business(said: str, left: str) -> None:
    """What it is called stays; addresses, ratios and the names of operators are no ways."""
    assert pathless(said) == left
