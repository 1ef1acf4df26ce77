"""A whole text: each failure once, with where it was raised, how often and by whom it was told."""

from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivdoctor.facts import Failure, Gpu, Torch
from ivdoctor.logs.reading import DIFFERENT, LONGEST, SPEAKERS, UNKNOWN, Reading, read
from ivdoctor.tables import table

MESSAGE = "expected m1 and m2 to have the same dtype, but got: float != c10::Half"
SAID = f"RuntimeError: {MESSAGE}"
TRACEBACK = f"""\
Traceback (most recent call last):
  File "/app/train.py", line 12, in step
    y = model(x)
  File "/opt/venv/lib/python3.10/site-packages/torch/nn/modules/linear.py", line 114, in forward
    return F.linear(input, self.weight, self.bias)
{SAID}
"""


def failures(text: str | bytes) -> tuple[Failure, ...]:
    return read(BytesIO(text.encode() if isinstance(text, str) else text)).failures()


def one(text: str | bytes) -> Failure:
    """The only failure of a text."""
    (found,) = failures(text)
    return found


def labelled(label: str, text: str = TRACEBACK) -> str:
    return "".join(f"{label}{line}\n" for line in text.splitlines())


def test_a_traceback() -> None:
    """Its message, its tensors, its frames and its line."""
    found = one(f"epoch 1\n\n{TRACEBACK}")

    assert (found.family, found.category, found.error, found.message) == ("mat-dtypes", "matmul-dtype-mismatch", "RuntimeError", MESSAGE)
    assert [(operand.role, operand.dtype) for operand in found.operands] == [("mat1", "float32"), ("mat2", "float16")]
    assert found.own is not None
    assert (found.own.file, found.own.line, found.own.code) == ("/app/train.py", 12, "y = model(x)")
    assert found.libraries == ("torch",)
    assert (found.count, found.speakers, found.line) == (1, (), 8)


def test_eight_ranks_interleaved_are_one_failure() -> None:
    """Line by line between each other, as launchers print them; each has its name."""
    text = "\n".join(f"[rank{rank}]: {line}" for line in TRACEBACK.splitlines() for rank in range(8))

    found = one(text)

    assert found.count == 8
    assert found.speakers == tuple(f"rank{rank}" for rank in range(8))
    assert [frame.line for frame in found.frames] == [12, 114]


def test_more_ranks_than_are_named_are_counted() -> None:
    """A thousand of them."""
    found = one("".join(labelled(f"[rank{rank}]: ") for rank in range(1000)))

    assert found.count == 1000
    assert len(found.speakers) == SPEAKERS


@pytest.mark.parametrize("text", [SAID + "\n", TRACEBACK], ids=["alone", "with its traceback"])
@pytest.mark.parametrize("times", [2, 1000, 30_000])
def test_the_same_again_and_again(text: str, times: int) -> None:
    """One failure, and every telling counts, however far into the text."""
    assert one(text * times).count == times


def test_a_time_before_it_makes_no_other_failure() -> None:
    """Nor does the process that tells it."""
    text = "".join(f"2024-01-01 10:{number // 60:02}:{number % 60:02} ERROR: {SAID}\n" for number in range(1000))

    assert one(text).count == 1000


@pytest.mark.parametrize("text", [f"{SAID}\n\n{TRACEBACK}", f"{TRACEBACK}\n{SAID}\n", f"# {MESSAGE}\n```\n{TRACEBACK}```\n"])
def test_with_a_traceback_and_without_it_is_one_failure(text: str) -> None:
    """A title, or a last line that is repeated; the frames stay."""
    found = one(text)

    assert (found.count, len(found.frames)) == (2, 2)


def test_two_lines_of_ones_own_are_two_failures() -> None:
    """The same message from two places wants two changes."""
    found = failures(TRACEBACK + TRACEBACK.replace("line 12", "line 13"))

    assert [frame.line for failure in found if (frame := failure.own)] == [12, 13]


def test_two_messages_are_two_failures() -> None:
    """In the order of the text."""
    found = failures(f"{SAID}\nRuntimeError: Input type (float) and bias type (c10::Half) should be the same\n")

    assert [failure.family for failure in found] == ["mat-dtypes", "input-type"]


@pytest.mark.parametrize(
    ("label", "who"),
    [
        ("> ", ""),
        ("> > ", ""),
        ("E   ", ""),
        ("(EngineCore_0 pid=17) ERROR 08-01 10:00:00 [core.py:17] ", "EngineCore_0 pid=17"),
        ("(RayWorkerWrapper pid=17, ip=10.0.0.1) ", "RayWorkerWrapper pid=17, ip=10.0.0.1"),
        ("[2025-01-01 10:00:00 TP0] ", "TP0"),
        ("[rank3]: ", "rank3"),
        ("[1,3]<stderr>:", "1,3"),
        ("3: ", "3"),
        ("node-1: ", "node-1"),
        ("trainer-1  | ", "trainer-1"),
        ("\x1b[36m(Worker pid=1)\x1b[0m ", "Worker pid=1"),
        ("2024-01-01 10:00:00,123 - ", ""),
        ("    ", ""),
    ],
    ids=["quoted", "twice", "pytest", "vLLM", "Ray", "SGLang", "torchrun", "mpirun", "srun", "DeepSpeed", "docker", "colour", "time", "indented"],
)
def test_behind_labels(label: str, who: str) -> None:
    """The same failure with the same frames, whoever prints it."""
    found = one(labelled(label))

    assert (found.message, found.speakers) == (MESSAGE, (who,) if who else ())
    assert [frame.line for frame in found.frames] == [12, 114]


@pytest.mark.parametrize(
    ("text", "family", "dtypes"),
    [
        ("RuntimeError: expected m1 and m2 to have the same dtype, but got: float !=\nc10::Half", "mat-dtypes", ("float32", "float16")),
        ("RuntimeError: expected m1 and m2 to have the\nsame dtype, but got: float != c10::Half", "mat-dtypes", ("float32", "float16")),
        ("RuntimeError: expected scalar type Half but\nfound Float", "scalar-type", ("float16", "float32")),
        (
            (
                "RuntimeError: CUDA error: CUBLAS_STATUS_NOT_SUPPORTED when calling `cublasGemmEx( handle, opa, opb, m, n, k,\n&falpha, a, CUDA_R_16BF, lda,"
                " b, CUDA_R_16BF, ldb,\n&fbeta, c, CUDA_R_16BF, ldc, compute_type, CUBLAS_GEMM_DEFAULT_TENSOR_OP)`"
            ),
            "bf16-gemm",
            (),
        ),
        (
            (
                "ValueError: Query/Key/Value should either all have the same dtype, or (in the quantized case) Key/Value should have dtype torch.int32\n"
                "  query.dtype: torch.float32\n  key.dtype  : torch.float16\n  value.dtype: torch.float16"
            ),
            "xformers-qkv",
            ("float32", "float16", "float16"),
        ),
    ],
)
@pytest.mark.parametrize("label", ["", "> ", "[rank0]: "])
def test_wrapped_messages(text: str, family: str, dtypes: tuple[str, ...], label: str) -> None:
    """Over as many lines as they take, and over the labels between."""
    found = one("before\n" + labelled(label, text) + "\nbehind\n")

    assert (found.family, found.dtypes) == (family, dtypes)


def test_chinese_text_around() -> None:
    """Full-width brackets and colons, and no blank before the exception."""
    found = one("运行时报错：RuntimeError：Input type （c10::BFloat16） and bias type （c10::Half） should be the same，请问怎么解决？")  # noqa: RUF001  # as written

    assert (found.family, found.dtypes) == ("input-type", ("bfloat16", "float16"))


UNKNOWN_ONE = 'Traceback (most recent call last):\n  File "a.py", line 3, in f\n    g()\nmy.package.WeirdError: nothing 17 is known of this\n'


def test_an_exception_nobody_knows() -> None:
    """Is kept with its name and its words, so that it can be said that nobody knows it."""
    found = one(UNKNOWN_ONE)

    assert (found.family, found.category, found.error, found.message) == ("", "", "WeirdError", "nothing 17 is known of this")
    assert found.own is not None


def test_unknown_ones_are_told_apart_by_their_words_and_are_few() -> None:
    """A number in them makes no other one."""
    assert one(UNKNOWN_ONE + UNKNOWN_ONE.replace("17", "18")).count == 2
    many = "".join(UNKNOWN_ONE.replace("nothing", "x" * number) for number in range(1, 50))
    assert len(failures(many)) == UNKNOWN


def test_without_a_traceback_an_unknown_exception_must_say_something() -> None:
    """A paste may be its last line alone; a name without words is none, and far into a log it is a word of the log."""
    assert [(failure.error, failure.message, failure.frames) for failure in failures("WeirdError: x\nKeyError\n")] == [("WeirdError", "x", ())]
    assert failures("step 17: loss 0.1\n" * 50_000 + "WeirdError: x\n") == ()


def test_known_ones_come_first() -> None:
    """Whatever raised before them."""
    assert [failure.category for failure in failures(UNKNOWN_ONE + "\n" + TRACEBACK)] == ["matmul-dtype-mismatch", ""]


@pytest.mark.parametrize(
    "last",
    [
        "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}",
        "torch.multiprocessing.spawn.ProcessRaisedException: ",
        "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: ",
        "subprocess.CalledProcessError: Command died",
        "KeyboardInterrupt",
        "vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue.",
        "UserWarning: nothing",
    ],
)
def test_what_only_passes_a_failure_on_is_none(last: str) -> None:
    """The cause stands elsewhere, or nowhere."""
    assert failures(f'Traceback (most recent call last):\n  File "a.py", line 3, in f\n    g()\n{last}\n') == ()


@pytest.mark.parametrize(
    "text", ["", "\n\n", "epoch 1: loss 0.3\nall good\n0 errors\n", "dtype: bfloat16\ntorch.float16\nGPU 0: Tesla T4\n", "\x00\x00", "\xff"]
)
def test_a_clean_log_has_no_failure(text: str) -> None:
    """Words of dtypes alone are none."""
    assert failures(text) == ()


def test_a_gigantic_line() -> None:
    """A message in its middle is found, and what is shown of it is short."""
    found = one("x" * 3_000_000 + " " + SAID + " " + "y" * 3_000_000)

    assert found.family == "mat-dtypes"
    assert MESSAGE in found.message
    assert len(found.message) <= LONGEST


def test_far_into_a_log() -> None:
    """Megabytes of progress before it, and its frames are there."""
    found = one("step 17: loss 0.1\n" * 300_000 + TRACEBACK + "bye\n" * 100_000)

    assert (found.message, found.count, found.line) == (MESSAGE, 1, 0)
    assert [frame.line for frame in found.frames] == [12, 114]


def test_many_different_failures_are_bounded() -> None:
    """A log with more has one cause, and many words for it."""
    text = "".join(f"RuntimeError: \"kernel_{number}\" not implemented for 'Half'\n" for number in range(300))

    assert len(failures(text)) == DIFFERENT


def test_the_machine_that_the_text_names() -> None:
    """Beside the failure, and not out of its message."""
    reading = read(BytesIO(f"{TRACEBACK}\nPyTorch version: 2.1.0+cu121\nGPU 0: Tesla T4\n".encode()))

    kinds = {type(outcome.fact) for outcome in reading.outcomes()}
    assert {Torch, Gpu} <= kinds
    assert len(reading.failures()) == 1


FRAGMENTS = st.sampled_from(
    [
        *(row["text"] for row in table("message_examples")[::4]),
        *TRACEBACK.splitlines(),
        "Traceback (most recent call last):",
        "[rank0]: ",
        "> ",
        "(Worker pid=1) ",
        "\x1b[31m",
        "\r",
        "## ivdoctor: READY",
        '{\n "schema": "ivdoctor.report/1",',
        "\u202e",
        "\x00",
        "ValueError: ",
        "GPU 0: Tesla T4",
        "query.dtype: torch.float32",
        "x" * 5000,
    ]
)
MIXTURES = st.lists(FRAGMENTS | st.text(max_size=30), max_size=30).flatmap(
    lambda parts: st.sampled_from(["\n", " ", "", "\n\n"]).map(lambda between: between.join(parts).encode("utf-8", "surrogatepass"))
)


def check(reading: Reading) -> None:
    found = reading.failures()
    reading.outcomes()
    assert len(found) <= DIFFERENT + UNKNOWN
    for failure in found:
        assert 0 < len(failure.message) <= LONGEST
        assert failure.message.isprintable()
        assert failure.count >= 1
        assert len(failure.speakers) <= SPEAKERS
        assert all(frame.file.isprintable() and frame.code.isprintable() for frame in failure.frames)
        assert all(value.isprintable() for value in (failure.op, failure.device, failure.needs, failure.has, failure.error))
        assert bool(failure.family) is bool(failure.category)


@settings(max_examples=150)
@given(text=MIXTURES | st.binary(max_size=400) | st.text(max_size=400).map(lambda text: text.encode("utf-8", "replace")))
def test_no_text_raises(text: bytes) -> None:
    """Text, bytes and torn pieces of real ones: few failures, each printable and short."""
    check(read(BytesIO(text)))


@settings(max_examples=30)
@given(text=MIXTURES, times=st.integers(2, 400))
def test_no_long_text_raises(text: bytes, times: int) -> None:
    """The same again and again, beyond where every line is looked at."""
    check(read(BytesIO(b"\n".join([text[:3000]] * times))))
