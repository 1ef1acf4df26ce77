"""Whole texts as launchers, collectors and browsers hand them on: the failure, who told it, and the user's own line."""

import json
from html import escape
from io import BytesIO

import pytest

from ivdoctor.explanation import Told, explain, read
from ivdoctor.facts import Failure
from ivdoctor.logs.scan import DULL, HEAD

SAID = "RuntimeError: mat1 and mat2 must have the same dtype, but got Float and BFloat16"
TRACEBACK = f"""Traceback (most recent call last):
  File "/app/t.py", line 3, in <module>
    y = model(x)
  File "/usr/lib/python3/site-packages/torch/nn/modules/linear.py", line 114, in forward
    return F.linear(input, self.weight, self.bias)
{SAID}
"""


def told(text: str) -> Told:
    return read(BytesIO(text.encode()))


def one(text: str) -> Failure:
    (failure,) = told(text).failures
    return failure


@pytest.mark.parametrize(
    ("label", "speaker"),
    [
        ("Nov 23 10:00:00 gpu07 python[123]: ", ""),
        ("2026-11-23T10:00:00.123456789Z stderr F ", ""),
        ("E1123 10:00:00.000000 12345 train.py:12] ", ""),
        ("ERROR 07-31 10:00:00 worker_utils.py:226] ", ""),
        ("(VllmWorker rank=1 pid=1202) ERROR 11-23 10:00:12 [multiproc_executor.py:470] ", "VllmWorker rank=1 pid=1202"),
        ("(EngineCore_DP0 pid=77)(Worker_TP0 pid=3) ERROR 11-23 10:00:12 [core.py:4] ", "EngineCore_DP0 pid=77 Worker_TP0 pid=3"),
        ("my_app_1  | ", "my_app_1"),
        ("trainer  | ", "trainer"),
        ("gpu-a100-03: ", "gpu-a100-03"),
        ("> " * 12, ""),
    ],
)
def test_a_label_before_every_line_hides_nothing(label: str, speaker: str) -> None:
    """The message, the user's own line and who says it."""
    failure = one("".join(f"{label}{line}\n" for line in TRACEBACK.splitlines()))
    assert failure.message == SAID.partition(": ")[2]
    assert failure.own is not None
    assert (failure.own.file, failure.own.line) == ("/app/t.py", 3)
    assert failure.speakers == ((speaker,) if speaker else ())


@pytest.mark.parametrize(
    "text",
    [
        "".join(json.dumps({"log": f"{line}\n", "stream": "stderr"}) + "\n" for line in TRACEBACK.splitlines()),
        json.dumps({"level": "error", "message": f"worker died\n{TRACEBACK}"}) + "\n",
        escape(TRACEBACK),
        TRACEBACK.replace("\n", "\r"),
        TRACEBACK.replace("\n", "\r\n"),
    ],
    ids=["a line an object", "all in one object", "escaped for HTML", "CR", "CRLF"],
)
def test_what_collectors_and_browsers_do_to_a_text_is_undone(text: str) -> None:
    """JSON lines of Kubernetes and structlog, escaped quotes, other line ends."""
    failure = one(text)
    assert failure.message == SAID.partition(": ")[2]
    assert failure.own is not None
    assert failure.own.code == "y = model(x)"


def test_a_failure_behind_a_long_progress_bar_is_found() -> None:
    """Hundreds of updates make one line of many kilobytes."""
    bar = "".join(f"\r {number}%|{'#' * 40}|" for number in range(300))
    assert one(f"start\n{bar}\r{SAID}\n").category == "matmul-dtype-mismatch"


def test_two_packages_that_are_missing_are_two_failures() -> None:
    """The family is the same, what it names is not."""
    names = [
        failure.needs for failure in told("ModuleNotFoundError: No module named 'apex'\nModuleNotFoundError: No module named 'decord'\n").failures
    ]
    assert names == ["apex", "decord"]


def test_a_wrapper_that_repeats_the_message_is_the_same_failure() -> None:
    """`inference failed: ` and the message again, from another line."""
    again = TRACEBACK.replace("line 3", "line 9").replace("RuntimeError: ", "app.MyError: inference failed: ")
    failure = one(f"{TRACEBACK}\nThe above exception was the direct cause of the following exception:\n\n{again}")
    assert (failure.count, failure.error) == (2, "RuntimeError")


def test_code_that_dynamo_tells_behind_its_message_is_the_users() -> None:
    """torch.compile's own traceback ends in itself."""
    user = '\nfrom user code:\n   File "/app/model.py", line 30, in forward\n    return self.lin(x)\n\nSet TORCH_LOGS="+dynamo"\n'
    failure = one(TRACEBACK + user)
    assert failure.own is not None
    assert (failure.own.file, failure.own.line) == ("/app/model.py", 30)


def test_an_exception_far_into_a_log_is_named_though_nobody_knows_it() -> None:
    """No failure was found would be wrong, and another second look at each of a million would take hours."""
    lines = "".join(f"RuntimeError: bad row of {'x' * (number % 97)}{number}\n" for number in range(4 * DULL))
    (failure,) = {one.error for one in told("x" * HEAD + "\n" + lines).failures}
    assert failure == "RuntimeError"


def test_what_the_program_outlived_does_not_lead() -> None:
    """InternVL prints the first line when it is imported."""
    report = explain(told("FlashAttention2 is not installed.\nRuntimeError: Input type (float) and bias type (c10::BFloat16) should be the same\n"))
    assert [(one.code, one.severity.value) for one in report.findings] == [("IVD450", "error"), ("IVD152", "note")]
    assert report.reason.startswith("IVD450 ")


@pytest.mark.parametrize(
    "line", ["args: --fp16 False --bf16 True", "TrainingArguments(bf16=True, fp16=False)", "torch_dtype=torch.bfloat16)  # fp16 did not help"]
)
def test_a_nan_beside_bfloat16_is_no_overflow_of_float16(line: str) -> None:
    """A word nearby is no proof, and another word takes it back."""
    nan = "RuntimeError: probability tensor contains either `inf`, `nan` or element < 0\n"
    assert one(f"{line}\n{nan}").category == "neg-nonprecision-nan"
    assert one(f"model.half()\n{nan}").category == "fp16-overflow"
