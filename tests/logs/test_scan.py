"""Passages of a text of any size: nothing that tells of a failure is missed, nothing is told twice, and memory stays the same."""

import re
import tracemalloc
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivdoctor.logs import scan
from ivdoctor.logs.scan import (
    AHEAD,
    ALONE,
    ANYWHERE,
    BEHIND,
    BLOCK,
    FINAL,
    HEAD,
    HEADER,
    HOT,
    HOTTEST,
    LONGEST,
    TRACEBACK,
    TRIAGE,
    Passage,
    Skip,
    passages,
)

FILLER = b"step 17: loss 0.1234, lr 1e-5, all is well here\n"


def found(text: bytes, skip: Skip | None = None) -> list[Passage]:
    """Of a file."""
    return list(passages(BytesIO(text), skip or Skip()))


class Dripping:
    """A pipe: it gives little at a time."""

    def __init__(self, text: bytes, sizes: tuple[int, ...] = (1, 7, 100)) -> None:
        self._text, self._sizes, self._turn = BytesIO(text), sizes, 0

    def read(self, size: int, /) -> bytes:
        self._turn += 1
        return self._text.read(min(size, self._sizes[self._turn % len(self._sizes)]))


def test_of_a_small_text_every_line_comes_once() -> None:
    """With its number, and all that stands before and behind it."""
    text = b"first\nsecond\n\nfourth Error\nlast"

    got = found(text)

    assert [(one.number, one.line) for one in got] == [(1, b"first"), (2, b"second"), (4, b"fourth Error"), (5, b"last")]
    assert all(one.before() + one.line + one.after() == text for one in got)
    assert all(one.key == b"" for one in got)


@pytest.mark.parametrize("text", [b"", b"\n", b"\n\n\n", b"\r\r"])
def test_a_text_without_a_line_has_no_passage(text: bytes) -> None:
    """Empty lines are none."""
    assert found(text) == []


def test_a_progress_bar_writes_over_itself() -> None:
    """What stands between carriage returns is a line, and stands where it stands."""
    text = b"a\n 1%|#\r 2%|##\rRuntimeError: x\r\nb\n"

    got = found(text)

    assert [(one.number, one.line) for one in got] == [(1, b"a"), (2, b" 1%|#"), (2, b" 2%|##"), (2, b"RuntimeError: x"), (3, b"b")]
    assert all(one.before() + one.line + one.after() == text for one in got)


def test_nul_bytes_and_broken_characters_stay() -> None:
    """The bytes are the text's own; a cut character is the reader's business."""
    text = b"\x00\x00Error \xe4\xb8\n\xff\xfe\x00\n"

    assert [one.line for one in found(text)] == [b"\x00\x00Error \xe4\xb8", b"\xff\xfe\x00"]


def long_text(*told: bytes) -> bytes:
    """A megabyte before each of these lines, and one behind the last."""
    filler = FILLER * (2**20 // len(FILLER))
    return b"".join(filler + one + b"\n" for one in told) + filler


def test_far_into_a_text_only_lines_with_a_word_come() -> None:
    """Each once, whole, without a number, and between what stands around it."""
    told = [b"RuntimeError: one", b"x \"addmm\" not implemented for 'Half' y", b"must have the same dtype", b"my RuntimeError"]
    text = long_text(*told, b"ValueError: without a traceback", b"400 Errors")

    got = [one for one in found(text) if not one.number]

    assert [one.line for one in got] == told
    for one in got:
        at = text.index(one.line)
        assert one.before() == text[at - BEHIND : at]
        assert one.after() == text[at + len(one.line) :][:AHEAD]
        assert one.line.endswith(one.key)
        assert one.key.startswith(TRIAGE)


@pytest.mark.parametrize("between", [0, 2000, TRACEBACK - 2000])
@pytest.mark.parametrize("before", [2**20, HEAD - 50, HEAD - TRACEBACK // 2, HEAD + AHEAD - 40, HEAD + BLOCK - 50])
def test_behind_a_traceback_any_exception_comes(before: int, between: int) -> None:
    """Wherever the traceback begins, also in one piece of the text where its exception stands in the next."""
    filler = FILLER * (2**20 // len(FILLER) + 1)
    text = filler[:before] + b"\n" + HEADER + b"\n" + filler[:between] + b"\nmy.OwnError: x\n" + filler

    assert b"my.OwnError: x" in [one.line for one in found(text)]


def test_a_long_message_in_the_head_is_found() -> None:
    """A traceback whose last line takes more than a passage: its beginning is what tells."""
    got = found(FILLER + HEADER + b'\n  File "a.py", line 1\nValueError: ' + b"x" * 3 * LONGEST + b"\n" + FILLER)

    assert [one.number for one in got if one.line.startswith(b"ValueError: x")] == [4]


def test_in_the_head_every_line_comes() -> None:
    """Also beyond the first block of a pipe, up to the last line that ends there."""
    text = b"".join(b"line %d\n" % number for number in range(HEAD // 5))

    got = found(text)

    assert [one.number for one in got] == list(range(1, len(got) + 1))
    assert HEAD - 64 < sum(len(one.line) + 1 for one in got) <= HEAD


@pytest.mark.parametrize("at", [0, HEAD, HEAD + AHEAD - 3, 2 * HEAD + LONGEST, 3 * BLOCK + 11, 10 * 2**20 - 40])
def test_ten_megabytes_without_a_line_break(at: int) -> None:
    """A failure anywhere in such a line is found, and no passage is longer than what is looked at."""
    said = b"RuntimeError: expected scalar type"
    text = b"x" * at + said + b"y" * (10 * 2**20 - at - len(said))

    got = found(text)

    assert any(said in one.line for one in got)
    assert all(len(one.line) <= 2 * LONGEST for one in got)


def test_a_pipe_gives_what_a_file_gives() -> None:
    """However little it gives at a time."""
    text = long_text(b"RuntimeError: x")

    got = list(passages(Dripping(text, (1 << 16, 1, 4097)), Skip()))

    assert [(one.number, one.line, one.before()) for one in got] == [(one.number, one.line, one.before()) for one in found(text)]


def test_what_is_to_be_skipped_is_counted() -> None:
    """By what stands from the word on, so that a time or a rank before it does not matter."""
    skip = Skip(counts={b"RuntimeError: again": 0})
    text = long_text(b"12:00 RuntimeError: again", b"12:01 RuntimeError: again", b"12:02 RuntimeError: another")

    got = [one.line for one in found(text, skip) if not one.number]

    assert got == [b"12:02 RuntimeError: another"]
    assert skip.counts == {b"RuntimeError: again": 2}


def test_what_comes_a_million_times_is_struck_out_and_counted() -> None:
    """Every telling counts, also of those that no passage is made for; few lines are struck, and only while they come."""
    many = 40_000
    skip = Skip(counts={b"RuntimeError: again": 0})
    text = long_text() + b"RuntimeError: again\n" * many + long_text(b"RuntimeError: last")

    got = [one.line for one in found(text, skip) if not one.number]

    assert got == [b"RuntimeError: last"]
    assert skip.counts == {b"RuntimeError: again": many}
    assert skip.hot == []


def test_few_lines_are_struck_out() -> None:
    """Each costs a pass over the block."""
    skip = Skip(counts={b"Error %d" % number: 0 for number in range(9)})
    for key in skip.counts:
        for _ in range(HOT + 1):
            assert skip.has(key)

    assert len(skip.hot) == HOTTEST
    assert skip.struck(b"a Error 0\n" * HOT) == (b"a " + bytes(7) + b"\n") * HOT
    assert skip.hot == [b"Error 0"], "the others came too seldom to be worth a pass"


def test_a_short_line_that_is_struck_out_takes_no_other_with_it() -> None:
    """`KeyError` without a message, a thousand times: an error that is told behind it is still found."""
    skip = Skip(counts={b"Error": 0})
    traceback = HEADER + b"\nAssertionError\n"
    text = long_text() + traceback * 20_000 + HEADER + b"\nmy.OwnError: x\n"

    got = [one.line for one in found(text, skip) if not one.number]

    assert got == [b"my.OwnError: x"]
    assert skip.counts == {b"Error": 20_000}


# -- across borders -------------------------------------------------------------------------------------------------------------------------

SMALL = {"HEAD": 64, "BLOCK": 192, "BEHIND": 128, "AHEAD": 32, "LONGEST": 64, "TRACEBACK": 90, "HOT": 3}
WORDS = st.one_of(
    st.sampled_from([b"RuntimeError: x", b"y Error", b"an Exception", b"have the same", b"they have the same a", HEADER, HEADER]),
    st.text("abcEror \x00é", max_size=18).map(str.encode),
)
LINES = st.lists(st.tuples(WORDS, st.sampled_from([b"\n", b"\n", b"\n\n"])), max_size=60)
TEXTS = LINES.map(lambda pairs: b"".join(line + end for line, end in pairs))
NUMBERED = LINES.map(lambda pairs: b"".join(b"%d:%b%b" % (number, line, end) for number, (line, end) in enumerate(pairs)))
"""No line comes twice."""


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Borders every few lines."""
    for name, size in SMALL.items():
        monkeypatch.setattr(scan, name, size)


def naive(text: bytes) -> tuple[list[bytes], set[bytes]]:
    """The lines that must be found, by a search over the whole text at once; and those that may: nameless messages among tracebacks."""
    tracebacks = [one.start() for one in re.finditer(re.escape(HEADER), text)]
    told: dict[int, bytes] = {}
    may: set[bytes] = set()
    for one in re.finditer(b"|".join((*ANYWHERE, *FINAL, ALONE)), text):
        inside = any(at < one.start() and one.end() <= at + SMALL["TRACEBACK"] for at in tracebacks)
        if inside or one[0] not in FINAL:
            begin = text.rfind(b"\n", 0, one.start()) + 1
            line = text[begin:].partition(b"\n")[0]
            near = any(at < one.start() <= at + SMALL["TRACEBACK"] for at in tracebacks)
            if near and not any(word in line for word in (*FINAL, ALONE)):
                may.add(line)
            else:
                told[begin] = line
    return list(told.values()), may


@pytest.mark.usefixtures("_small")
def test_across_every_border_nothing_is_lost_or_told_twice() -> None:
    """Every line of the head, and behind it the lines of a search over the whole text, each with the text's own bytes around it."""

    @settings(max_examples=300)
    @given(text=NUMBERED, sizes=st.lists(st.integers(1, 300), min_size=1, max_size=4))
    def holds(text: bytes, sizes: list[int]) -> None:
        got = list(passages(Dripping(text, tuple(sizes)), Skip()))
        lines = [line for line in text.split(b"\n") if line]
        head = [one.line for one in got if one.number]

        assert head == lines[: len(head)]
        assert len(head) == len(lines) or sum(map(len, head)) > SMALL["HEAD"] // 3
        must, may = naive(text)
        behind = [one.line for one in got if not one.number]
        assert [line for line in behind if line not in may] == [line for line in must if line not in head]
        for one in got:
            at = text.index(one.line)
            assert one.before() == text[max(0, at - len(one.before())) : at]
            assert one.after() == text[at + len(one.line) :][: SMALL["AHEAD"]]
            assert len(one.before()) == min(at, SMALL["BEHIND"])

    holds()


@pytest.mark.usefixtures("_small")
def test_across_every_border_what_is_skipped_is_counted() -> None:
    """Those found, and those counted, are together those of a search over the whole text."""

    @settings(max_examples=300)
    @given(text=TEXTS)
    def holds(text: bytes) -> None:
        keys = [b"have the same", b"have the same a", b"Error"]
        skip = Skip(counts=dict.fromkeys(keys, 0))
        every = [one.key for one in passages(BytesIO(text), Skip()) if not one.number]

        got = [one.key for one in passages(BytesIO(text), skip) if not one.number]

        assert got == [one for one in every if one not in keys]
        assert all(skip.counts[key] == every.count(key) for key in keys if key not in FINAL)

    holds()


# -- memory ---------------------------------------------------------------------------------------------------------------------------------


class Endless:
    """A log of so many bytes that is nowhere: each read gives the same."""

    def __init__(self, size: int, block: bytes) -> None:
        self._left, self._block = size, block

    def read(self, size: int, /) -> bytes:
        part = self._block[: min(size, self._left)]
        self._left -= len(part)
        return part


NOISE = b"".join(b"RuntimeError: %d\n" % number for number in range(2**16))


@pytest.mark.parametrize(
    "block",
    [FILLER * 5000, b"x" * 2**18, NOISE],
    ids=["lines", "no line break", "failures"],
)
def test_memory_stays_the_same(block: bytes) -> None:
    """Of 300 MB no more than 16 MiB are held at any time."""
    size = 300_000_000 if block is not NOISE else 2_000_000
    stream = Endless(size, block)
    tracemalloc.start()
    try:
        for one in passages(stream, Skip()):
            assert len(one.line) <= 2 * LONGEST
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert stream.read(1) == b""
    assert peak < 16 * 2**20
