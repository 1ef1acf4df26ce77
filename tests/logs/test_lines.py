"""A line without what terminals, loggers and launchers put around it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivdoctor.logs.lines import LONGEST, clean, split

SAID = "RuntimeError: expected scalar type Half but found Float"


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        ("\x1b[31mRuntimeError\x1b[0m: x", "RuntimeError: x"),
        ("\x1b[1;38;5;196mRuntimeError\x1b[K: x", "RuntimeError: x"),
        ("\x1b[38;2;255;0;0mx", "x"),
        ("\x9b31mx\x9b0m", "x"),
        ("\\u001b[31mx\\u001b[0m", "x"),
        ("\\x1b[1;31mx\\x1b[0m", "x"),
        ("\\033[91mx\\033[0m", "x"),
        ("^[[36mx^[[0m", "x"),
        ("[31mRuntimeError[0m: x", "RuntimeError: x"),
        ("[1;31mRuntimeError[0;0m: x", "RuntimeError: x"),
        ("\x1b]0;my title\x07x", "x"),
        ("\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b(Bx", "x"),
        ("\x1b7x\x1b8", "x"),
        ("x\x1b[", "x"),
        ("x\x1b", "x"),
    ],
)
def test_terminal_sequences_go(raw: str, line: str) -> None:
    """Colours, titles and links, as the terminal gets them, spelled out, or with the escape character lost."""
    assert clean(raw) == line


@pytest.mark.parametrize(
    "line", ["tensor[0]", "x[3]m", "size[64, 3, 7, 7]", "Cell In[5], line 3", "a[mask]", "got [2]", "~~^^", r"C:\users\bob[1].py", "[1, 2]"]
)
def test_brackets_of_the_text_stay(line: str) -> None:
    """An index is no colour."""
    assert clean(line) == line


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        ("Ha\u202elf", "Half"),
        ("\ufeffRuntimeError", "RuntimeError"),
        ("sca\u200blar ty\u200dpe", "scalar type"),
        ("\u2066x\u2069", "x"),
        ("a\x00b\x07c", "abc"),
        ("a\tb", "a    b"),
        ("expected\xa0scalar", "expected scalar"),
        ("a\u2028b", "a b"),
        ("a\U000e0041b", "ab"),
        ("a\r", "a"),
        ("a  ", "a"),
        ("Input type （Half） and bias type （float）", "Input type (Half) and bias type (float)"),  # noqa: RUF001  # as in public reports
        ("RuntimeError：“Half”，‘x’　＝！", "RuntimeError:\"Half\",'x' =!"),  # noqa: RUF001  # likewise
        ("形状不一致", "形状不一致"),
        ("📦 x", "📦 x"),
    ],
)
def test_what_nobody_sees_goes(raw: str, line: str) -> None:
    """Characters that turn, join or hide; full-width forms of a message become its own, other scripts stay."""
    assert clean(raw) == line


@pytest.mark.parametrize(
    ("label", "who"),
    [
        ("> ", ""),
        (">> ", ""),
        ("> > > ", ""),
        ("E   ", ""),
        ("E       ", ""),
        ("(Worker_TP0 pid=17) ", "Worker_TP0 pid=17"),
        ("(EngineCore_0 pid=1) ", "EngineCore_0 pid=1"),
        ("(RayWorkerWrapper pid=1, ip=10.0.0.1) ", "RayWorkerWrapper pid=1, ip=10.0.0.1"),
        ("(APIServer pid=9) ERROR 08-01 10:00:00 [core.py:7] ", "APIServer pid=9"),
        ("[rank0]: ", "rank0"),
        ("[rank15]:", "rank15"),
        ("[default3]:", "default3"),
        ("[GPU 1] ", "GPU 1"),
        ("[0]:", "0"),
        ("[1,7]<stderr>: ", "1,7"),
        ("[1,0]<stdout>:", "1,0"),
        ("0: ", "0"),
        ("rank3: ", "rank3"),
        ("node-2: ", "node-2"),
        ("Worker 1: ", "Worker 1"),
        ("worker-1  | ", "worker-1"),
        ("trainer-1  | ", "trainer-1"),
        ("my_app.api-12 | ", "my_app.api-12"),
        ("2024-01-01 10:00:00 ", ""),
        ("2024-01-01 10:00:00,123 - ", ""),
        ("2024/01/01 10:00:00 | ", ""),
        ("2024-01-01T10:00:00.123456Z ", ""),
        ("2024-01-01T10:00:00+01:00 ", ""),
        ("[2025-01-01 10:00:00] ", ""),
        ("[2025-01-01 10:00:00 TP0] ", "TP0"),
        ("[2025-01-01 10:00:00 DP1 TP3 EP0] ", "DP1 TP3 EP0"),
        ("ERROR 08-01 10:00:00 [engine.py:17] ", ""),
        ("INFO 08-01 10:00:00.123 [engine.py:17] ", ""),
        ("ERROR: ", ""),
        ("ERROR - ", ""),
        ("[ERROR] ", ""),
        ("[WARNING]: ", ""),
        ("CRITICAL | ", ""),
        ("[E1101 12:00:00.123 x.cpp:5] ", ""),
        ("[W ProcessGroupNCCL.cpp:5] ", ""),
        ("[rank1]:[E1101 12:00:00.123 x.cpp:5] ", "rank1"),
        ("2024-01-01T10:00:00Z [rank2]: ERROR: ", "rank2"),
        ("worker-1  | [rank0]: ", "worker-1 rank0"),
        ("> [rank0]: ", "rank0"),
    ],
)
@pytest.mark.parametrize("line", [SAID, 'File "a.py", line 3, in f', "Traceback (most recent call last):"])
def test_labels_go(label: str, who: str, line: str) -> None:
    """Of every logger and launcher, one behind another, and a process keeps its name."""
    assert split(label + line) == (who, line)


@pytest.mark.parametrize("label", ["[rank0]: ", "(Worker pid=1) ", "0: ", "worker-1 | ", "> "])
def test_indentation_behind_a_label_stays(label: str) -> None:
    """A frame is known by it."""
    assert split(label + '  File "a.py", line 3')[1].lstrip(" ") == 'File "a.py", line 3'
    assert split(label + "    x = f()")[1].endswith("  x = f()")


@pytest.mark.parametrize(
    "line",
    [
        'File "a.py", line 3',
        '  File "a.py", line 3',
        "    raise Error",
        "[1, 2]",
        "[]",
        "[mask]",
        "(a, b)",
        "(0)",
        "KeyError: 3",
        SAID,
        "ValueError: [rank0]: x",
        "Error: x",
        "ERRORS",
        "E",
        "E RuntimeError",
        "INFORMATION",
        "Warning: x",
        "10.5",
        "2024 was a year",
        "1e-5: x",
        "node: x",
        "ranking: x",
        "a | b",
        "| 0 | Tesla T4 |",
        "----> 3 y = model(x)",
        "",
    ],
)
def test_what_only_looks_labelled_stays(line: str) -> None:
    """Frames, indices, exceptions and tables are the text's own."""
    assert split(line) == ("", line)


def test_a_label_stands_once() -> None:
    """What says the same twice is what the program wrote, so that no line is taken apart for ever."""
    assert split("[rank0]: [rank0]: x") == ("rank0", "[rank0]: x")


PIECES = st.lists(
    st.sampled_from(
        [
            "\x1b[",
            "\x1b]",
            "[0m",
            "31m",
            ";",
            "\x07",
            "\x9b",
            "\\u001b[",
            "\u202e",
            "\ud800",
            "\t",
            "\xa0",
            "\uff08",
            "[rank0]: ",
            "> ",
            "E   ",
            "ERROR: ",
        ]
    )
    | st.text(max_size=4),
    max_size=12,
).map("".join)


@given(raw=st.text(max_size=200) | PIECES | st.builds(lambda piece, times: piece * times, PIECES, st.integers(1, 3000)))
def test_a_line_is_printable_and_bounded(raw: str) -> None:
    """Whatever comes in; cleaning again changes nothing but what the first time brought together."""
    line = clean(raw)
    who, rest = split(line)

    assert line.isprintable()
    assert len(line) <= LONGEST
    assert line == line.rstrip()
    assert line.endswith(rest)
    assert who.isprintable()


@given(raw=st.text(st.characters(codec="ascii", categories=["L", "N", "Zs"]), max_size=LONGEST))
def test_plain_text_stays(raw: str) -> None:
    """Letters, figures and blanks are never taken away."""
    assert clean(raw) == raw.rstrip()
