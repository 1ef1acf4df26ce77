"""Frames, as Python, IPython, pytest and those who paste write them."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ivdoctor.facts import Failure, Frame
from ivdoctor.logs.lines import clean, split
from ivdoctor.logs.traceback import FINAL, MOST, REMOTE_CODE, error, frames, library

LINEAR = "/usr/lib/python3/dist-packages/torch/nn/modules/linear.py"

PYTHON_310 = f"""\
Traceback (most recent call last):
  File "/app/train.py", line 40, in <module>
    main()
  File "/app/train.py", line 12, in main
    y = model(x)
  File "{LINEAR}", line 114, in forward
    return F.linear(input, self.weight, self.bias)
"""

PYTHON_313 = f"""\
Traceback (most recent call last):
  File "/app/train.py", line 40, in <module>
    main()
    ~~~~^^
  File "/app/train.py", line 12, in main
    y = model(x)
        ~~~~~^^^
  File "{LINEAR}", line 114, in forward
    return F.linear(input, self.weight, self.bias)
           ~~~~~~~~^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
"""

PYTHON = (
    Frame(file="/app/train.py", line=40, function="<module>", code="main()"),
    Frame(file="/app/train.py", line=12, function="main", code="y = model(x)"),
    Frame(file=LINEAR, line=114, function="forward", code="return F.linear(input, self.weight, self.bias)", library="torch"),
)


def read(text: str) -> tuple[Frame, ...]:
    """As a text's lines come to the reader: clean, without labels."""
    return frames([split(clean(line))[1] for line in text.split("\n")])


def own(found: tuple[Frame, ...]) -> Frame | None:
    """The user's innermost frame of a failure with these."""
    return Failure(family="", category="", message="x", frames=found).own


@pytest.mark.parametrize("text", [PYTHON_310, PYTHON_313], ids=["3.10", "3.13"])
@pytest.mark.parametrize("label", ["", "> ", "[rank0]: ", "(Worker_TP0 pid=17) ", "E   ", "ERROR 08-01 10:00:00 [core.py:7] ", "worker-1  | "])
def test_python(text: str, label: str) -> None:
    """Files, lines, functions and code, the innermost last, with carets or without, behind any label."""
    found = read("\n".join(label + line for line in text.splitlines()))

    assert found == PYTHON
    assert own(found) == PYTHON[1]


def test_frames_without_their_code() -> None:
    """Where no source was at hand."""
    assert read('Traceback (most recent call last):\n  File "a.py", line 1, in f\n  File "b.py", line 2, in g') == (
        Frame(file="a.py", line=1, function="f"),
        Frame(file="b.py", line=2, function="g"),
    )


def test_a_recursion_keeps_its_frame() -> None:
    """What Python says of repetitions is no code."""
    text = 'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    f()\n  [Previous line repeated 990 more times]'

    assert read(text) == (Frame(file="a.py", line=1, function="f", code="f()"),)


@pytest.mark.parametrize(
    "between",
    [
        "During handling of the above exception, another exception occurred:",
        "The above exception was the direct cause of the following exception:",
    ],
)
def test_of_chained_exceptions_each_has_its_own(between: str) -> None:
    """The frames of the one before are not the second one's."""
    text = f'{PYTHON_310}RuntimeError: x\n\n{between}\n\nTraceback (most recent call last):\n  File "b.py", line 2, in g\n    raise ValueError'

    assert read(text) == (Frame(file="b.py", line=2, function="g", code="raise ValueError"),)


def test_without_its_header_a_traceback_ends_at_the_exception_before() -> None:
    """A paste may leave the header out."""
    text = '  File "a.py", line 1, in f\n    f()\ntorch.OutOfMemoryError: x\n  File "b.py", line 2, in g\n    g()'

    assert [one.file for one in read(text)] == ["b.py"]


IPYTHON = f"""\
---------------------------------------------------------------------------
RuntimeError                              Traceback (most recent call last)
Cell In[5], line 3
      1 x = x.half()
      2 # now
----> 3 y = model(x)

File ~/app/model.py:12, in Model.forward(self, x)
     10 def forward(self, x):
     11     # project
---> 12     return self.proj(x)

File {LINEAR}:114, in Linear.forward(self, input)
    113 def forward(self, input):
--> 114     return F.linear(input, self.weight, self.bias)

"""


def test_ipython() -> None:
    """A cell, a file of one's own, a library's; the arrow has the code."""
    found = read(IPYTHON)

    assert found == (
        Frame(file="Cell In[5]", line=3, code="y = model(x)"),
        Frame(file="~/app/model.py", line=12, function="Model.forward", code="return self.proj(x)"),
        Frame(file=LINEAR, line=114, function="Linear.forward", code="return F.linear(input, self.weight, self.bias)", library="torch"),
    )
    assert own(found) == found[1]


OLD_IPYTHON = f"""\
---------------------------------------------------------------------------
RuntimeError                              Traceback (most recent call last)
<ipython-input-5-9f2ac1> in <module>()
      1 x = x.half()
----> 2 y = model(x)

{LINEAR} in forward(self, input)
    112
--> 113     return F.linear(input, self.weight, self.bias)
"""


def test_old_ipython() -> None:
    """The line's number stands at the arrow alone."""
    assert read(OLD_IPYTHON) == (
        Frame(file="<ipython-input-5-9f2ac1>", line=2, function="<module>", code="y = model(x)"),
        Frame(file=LINEAR, line=113, function="forward", code="return F.linear(input, self.weight, self.bias)", library="torch"),
    )


def test_ipython_on_windows() -> None:
    """A drive's colon is not the line's."""
    text = r"File c:\Users\bob\model.py:12, in forward(self, x)" + "\n---> 12     return self.proj(x)"

    assert read(text) == (Frame(file=r"c:\Users\bob\model.py", line=12, function="forward", code="return self.proj(x)"),)


def test_pytest() -> None:
    """Its short form, with `E` before what was raised."""
    assert read("tests/test_a.py:12: in test_forward\n    y = model(x)\nsrc/model.py:30: in forward\n    return self.proj(x)") == (
        Frame(file="tests/test_a.py", line=12, function="test_forward", code="y = model(x)"),
        Frame(file="src/model.py", line=30, function="forward", code="return self.proj(x)"),
    )


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        ('work/train.py", line 12, in main\n    y = model(x)', Frame(file="work/train.py", line=12, function="main", code="y = model(x)")),
        ('File "/app/train.py", line 12', Frame(file="/app/train.py", line=12)),
        ('    File "/app/train.py", line 12, in main', Frame(file="/app/train.py", line=12, function="main")),
        ('  |   File "/app/train.py", line 12, in main', Frame(file="/app/train.py", line=12, function="main")),
        ('  File "<stdin>", line 1, in <module>', Frame(file="<stdin>", line=1, function="<module>")),
    ],
    ids=["its beginning cut", "its end cut", "indented", "in an exception group", "at the prompt"],
)
def test_torn_pastes(text: str, frame: Frame) -> None:
    """What a paste leaves of a frame is a frame."""
    assert read(text) == (frame,)


@pytest.mark.parametrize(
    ("path", "package"),
    [
        ("/opt/venv/lib/python3.10/site-packages/torch/nn/functional.py", "torch"),
        ("/usr/lib/python3/dist-packages/torch/nn/functional.py", "torch"),
        (r"C:\venv\Lib\site-packages\transformers\modeling_utils.py", "transformers"),
        (r"D:\ComfyUI\python_embeded\Lib\site-packages\torch\nn\functional.py", "torch"),
        ("~/.local/lib/python3.11/site-packages/flash_attn/ops.py", "flash_attn"),
        ("/home/me/.cache/huggingface/modules/transformers_modules/OpenGVLab/InternVideo2_5/abc/modeling.py", REMOTE_CODE),
        ("/home/u/src/vllm/vllm/worker/model_runner.py", "vllm"),
        ("/home/u/src/transformers/src/transformers/trainer.py", "transformers"),
        (r"E:\ComfyUI\comfy\ops.py", "comfy"),
        ("/usr/lib/python3.10/runpy.py", "python"),
        ("/usr/lib64/python3.9/threading.py", "python"),
        ("/opt/conda/lib/python3.10/contextlib.py", "python"),
        (r"C:\Python311\Lib\threading.py", "python"),
        (r"C:\Users\bob\AppData\Local\Programs\Python\Python310\lib\runpy.py", "python"),
        (r"C:\Users\bob\miniconda3\lib\threading.py", "python"),
        (r"C:\Users\bob\anaconda3\envs\video\lib\threading.py", "python"),
        ("<frozen runpy>", "python"),
        ("<frozen importlib._bootstrap>", "python"),
        ("<string>", "python"),
        ("<stdin>", ""),
        ("Cell In[5]", ""),
        ("<ipython-input-5-9f2ac1>", ""),
        ("/tmp/ipykernel_17/123.py", ""),
        ("/app/train.py", ""),
        ("train.py", ""),
        (r"D:\work\train.py", ""),
        ("/data/my_torch/train.py", ""),
        ("/work/lib/train.py", ""),
        ("", ""),
    ],
)
def test_whose_file_it_is(path: str, package: str) -> None:
    """A package's, a model repository's, Python's, or the user's own."""
    assert library(path) == package


def test_the_own_frame_is_the_innermost_of_the_users() -> None:
    """Neither a library's that called back, nor remote code, nor the standard library."""
    text = """\
Traceback (most recent call last):
  File "<frozen runpy>", line 198, in _run_module_as_main
  File "/app/train.py", line 40, in <module>
    chat()
  File "/work/demo.py", line 8, in chat
    model.chat(x)
  File "/home/me/.cache/huggingface/modules/transformers_modules/a/modeling.py", line 99, in chat
    self.vision(x)
  File "/opt/venv/lib/python3.10/site-packages/torch/nn/modules/module.py", line 1, in _call_impl
    return forward_call()
"""
    found = own(read(text))

    assert found is not None
    assert (found.file, found.line, found.said()) == ("/work/demo.py", 8, "/work/demo.py:8, in chat: model.chat(x)")


def test_a_traceback_all_in_libraries_has_no_own_frame() -> None:
    """Nobody is told to change a library's line."""
    assert own(read('  File "/x/site-packages/torch/a.py", line 1, in f')) is None


def test_of_many_frames_the_innermost_are_kept() -> None:
    """A dozen tell enough."""
    found = read("\n".join(f'  File "f{number}.py", line {number}, in f\n    f()' for number in range(1, 51)))

    assert [one.line for one in found] == list(range(51 - MOST, 51))


def test_long_code_is_cut() -> None:
    """A line of a megabyte is no code to show."""
    (found,) = read('  File "a.py", line 1, in f\n    ' + "x" * 100_000)

    assert found.code == "x" * 200


@pytest.mark.parametrize("line", ["", "no frame", "x.py", "2024-01-01 train.py:12 loss 0.3", "train.py: 3 epochs", "    return x"])
def test_what_is_no_frame(line: str) -> None:
    """Log lines that name a file are none."""
    assert frames([line]) == ()


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("RuntimeError: x", "RuntimeError"),
        ("torch.OutOfMemoryError: x", "OutOfMemoryError"),
        ("torch.cuda.OutOfMemoryError: x", "OutOfMemoryError"),
        ("ERROR RuntimeError: x", "RuntimeError"),
        ("报错RuntimeError: x", ""),
        ("an Error", ""),
        ("KeyError", ""),
        ("x = 3", ""),
    ],
)
def test_the_exception_a_line_names(line: str, name: str) -> None:
    """Before a colon, without its module."""
    assert error(line) == name


@pytest.mark.parametrize(
    ("line", "ends"), [("KeyError: 3", True), ("a.b.MyException", True), ("NansException: x", True), ("No Error here", False), ("Errors: 3", False)]
)
def test_the_last_line_of_a_traceback(line: str, ends: bool) -> None:
    """An exception's name, and a colon or nothing."""
    assert bool(FINAL.match(line)) is ends


PIECES = st.sampled_from(
    [
        *PYTHON_313.splitlines(),
        *IPYTHON.splitlines(),
        *OLD_IPYTHON.splitlines(),
        'x.py", line 3',
        "^^^",
        "RuntimeError: x",
        '  File "',
        "--> ",
        "E",
        "",
    ]
)


@example(lines=["/usr/lib/python3/dist-packages/torch/nn/modules/linear.py in forward(self, input)", ":\x00"])
@given(lines=st.lists(PIECES | st.text(st.characters(exclude_characters="\n"), max_size=60), max_size=40))
def test_no_lines_raise(lines: list[str]) -> None:
    """Whatever stands before a message, its frames are few, and each has a file."""
    found = frames(lines)

    assert len(found) <= MOST
    assert all(one.file and one.line >= 0 and len(one.code) <= 200 for one in found)
