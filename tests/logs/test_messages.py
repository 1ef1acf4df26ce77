"""The table of messages: every row knows its examples, and no text can make a row take long."""

import re
import sys
from importlib import import_module
from io import BytesIO
from typing import Any

import pytest

from ivdoctor.logs import hints, lines, own, refine, traceback
from ivdoctor.logs.lines import clean
from ivdoctor.logs.messages import PLAIN, Recogniser, recognise, recognisers
from ivdoctor.logs.patterns import Lazy
from ivdoctor.logs.reading import read
from ivdoctor.tables import table

EXAMPLES = table("message_examples")
FAMILIES = {one.family: one for one in recognisers()}
CATEGORIES = {row["category"] for row in table("messages")} | {row["category"] for row in EXAMPLES}


def cleaned(text: str) -> str:
    """As the reader sees it."""
    return "\n".join(map(clean, text.split("\n")))


@pytest.mark.parametrize("row", EXAMPLES, ids=[f"{number}-{row['family']}" for number, row in enumerate(EXAMPLES)])
def test_every_example_is_recognised(row: dict[str, str]) -> None:
    """As its family by the first row of the table that knows it, and as its category once its words are weighed."""
    told = recognise(cleaned(row["text"]))
    assert told is not None
    assert told.family == row["family"]

    found = read(BytesIO(row["text"].encode())).failures()
    assert [one.category for one in found] == [row["category"]]
    assert found[0].family == row["family"]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_an_example(family: str) -> None:
    """A row that nothing shows is a guess."""
    assert any(row["family"] == family for row in EXAMPLES)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_well_formed(family: str) -> None:
    """Its pattern compiles and cannot match nothing; its needles are lower case, and long enough to be rare."""
    one = FAMILIES[family]

    assert one.pattern.search("") is None
    assert one.needles == tuple(dict.fromkeys(one.needles))
    assert all(needle == needle.lower() and len(needle.strip()) >= 3 for needle in one.needles)
    assert all(re.fullmatch(r"[a-z]\w*", name) for name in one.pattern.groupindex)


def test_every_family_stands_once() -> None:
    """Two rows of one name could not be told apart in a report."""
    assert len(FAMILIES) == len(recognisers())


@pytest.mark.parametrize("row", EXAMPLES, ids=[f"{number}-{row['family']}" for number, row in enumerate(EXAMPLES)])
def test_a_needle_stands_in_whatever_its_pattern_matches(row: dict[str, str]) -> None:
    """Else the row would never be tried."""
    text = cleaned(row["text"])
    found = FAMILIES[row["family"]].pattern.search(text)

    assert found is not None
    assert any(needle in text.lower() for needle in FAMILIES[row["family"]].needles)


@pytest.mark.parametrize("text", [row["text"] for row in EXAMPLES])
def test_what_is_read_of_an_example_is_no_mark(text: str) -> None:
    """Groups hold what the message says, without the quotes and blanks around it; roles are words."""
    told = recognise(cleaned(text))
    assert told is not None
    assert 0 <= told.start < told.end <= len(cleaned(text))
    for value in (told.op, told.device, told.needs, told.has):
        assert value == value.strip()
        assert '"' not in value
    assert all(re.fullmatch(r"[a-z]\w*", one.role) for one in told.operands)
    assert not {one.role for one in told.operands} & PLAIN


@pytest.mark.parametrize(("text", "op", "operands"), [
    ("Input type (c10::BFloat16) and bias type (c10::Half) should be the same", "", [("input", "bfloat16", ""), ("bias", "float16", "")]),
    ("Input type (torch.cuda.FloatTensor) and weight type (torch.HalfTensor) should be the same", "", [("input", "float32", "cuda"), ("weight", "float16", "cpu")]),
    ("expected m1 and m2 to have the same dtype, but got: float != c10::Half", "", [("mat1", "float32", ""), ("mat2", "float16", "")]),
    ('"addmm_impl_cpu_" not implemented for \'Half\'', "addmm_impl_cpu_", [("input", "float16", "")]),
    ('"LayerNormKernelImpl" not implemented for \'BFloat16\'', "LayerNormKernelImpl", [("input", "bfloat16", "")]),
    ("Index put requires the source and destination dtypes match, got Float for the destination and Half for the source.", "", [("destination", "float32", ""), ("source", "float16", "")]),
    ("Got unsupported ScalarType BFloat16", "", [("input", "bfloat16", "")]),
])  # fmt: skip
def test_operands(text: str, op: str, operands: list[tuple[str, str, str]]) -> None:
    """Which tensor is of which dtype, and what refused it."""
    told = recognise(text)

    assert told is not None
    assert (told.op, [(one.role, one.dtype, one.device) for one in told.operands]) == (op, operands)


@pytest.mark.parametrize(
    "text",
    ["", "epoch 3, loss 0.2", "the dtype of the model is bfloat16", "scalar type", "size 3", "no errors", "RuntimeError: boom", "have the same"],
)
def test_what_no_row_knows(text: str) -> None:
    """A needle alone is no message."""
    assert recognise(text) is None


def test_a_match_must_begin_in_the_line_that_is_asked_about() -> None:
    """What stands in the lines behind it is told when they are read."""
    text = "nothing here\nexpected scalar type Half but found Float"

    assert recognise(text) is not None
    assert recognise(text, first=len("nothing here")) is None


WORDS = "expected query key and value to have the same dtype but got input type for the argument of scalar type not implemented supported gpu "


@pytest.mark.parametrize("family", FAMILIES)
def test_no_text_stops_a_row(family: str) -> None:
    """4 KiB of its own needles, of what its groups repeat, and of words; that it comes back is what is tested."""
    one = FAMILIES[family]
    units = [*one.needles, *(f"{needle} " for needle in one.needles), "a", "(", '"', " ", "\n", "1", ".", "torch.", "::", WORDS]
    for start in ("", *one.needles):
        for unit in units:
            text = (start + unit * (4096 // len(unit) + 1))[:4096]
            told = one.read(text)
            assert told is None or told.end <= len(text)


# -- patterns by their structure ------------------------------------------------------------------------------------------------------------

PARSER: Any = import_module("re._parser" if sys.version_info >= (3, 11) else "sre_parse")
REPEATS = {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}


def faults(source: str, flags: int = 0) -> list[str]:
    """Why a pattern may take time that grows faster than a text: repeats without a bound side by side, or a repeat in one."""
    found: list[str] = []
    _walk(PARSER.parse(source, flags), False, found)
    return found


def _walk(parsed: Any, inside: bool, found: list[str]) -> bool:
    """Whether the piece may end in a repeat without a bound; `inside` one, no other may stand."""
    open_end = False
    for operation, argument in parsed:
        name = str(operation)
        if name in REPEATS:
            least, most, piece = argument
            endless = most is PARSER.MAXREPEAT
            if inside and int(most) > 1:
                found.append("a repeat inside a repeat without a bound")
            if endless and open_end:
                found.append("two repeats without a bound side by side")
            within = _walk(piece, inside or endless, found)
            open_end = endless or within or (open_end and least == 0)
        elif name == "SUBPATTERN":
            open_end = _group(argument[-1], open_end, inside, found)
        elif name == "BRANCH":
            ends = [_group(one, open_end, inside, found) for one in argument[1]]
            open_end = any(ends)
        elif name in {"ASSERT", "ASSERT_NOT"}:
            _walk(argument[1], inside, found)
        elif name != "AT":
            open_end = False
    return open_end


def _group(parsed: Any, open_end: bool, inside: bool, found: list[str]) -> bool:
    """The same of a group, whose beginning stands beside what precedes it."""
    first = next(iter(parsed), None)
    if first and open_end and str(first[0]) in REPEATS and first[1][1] is PARSER.MAXREPEAT:
        found.append("two repeats without a bound side by side")
    return _walk(parsed, inside, found) or (open_end and parsed.getwidth()[0] == 0)


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        (r"a.*b", False),
        (r"\w+ \w+", False),
        (r"(?:a|b)*c", False),
        (r"\w{1,40}\w{1,40}", False),
        (r"\s*(?:\{\s*)?x", False),
        (r"\w+\w+", True),
        (r".*.+", True),
        (r"\s*\{?\s*x", True),
        (r"(\w+)(\d*)", True),
        (r"(?:a|\w+)\s*", True),
        (r"(?:\w+)+", True),
        (r"(?:\w{1,9} )*", True),
        (r"(?:a(?:b*))*", True),
    ],
)
def test_the_checker_itself(source: str, wrong: bool) -> None:
    """It refuses what it is there to refuse, and nothing else."""
    assert bool(faults(source)) is wrong


@pytest.mark.parametrize("family", FAMILIES)
def test_no_row_repeats_without_bounds(family: str) -> None:
    """By the pattern's structure: no text makes it slow, also not one that is not among the tests."""
    one: Recogniser = FAMILIES[family]

    assert faults(one.pattern.pattern, one.pattern.flags) == []


def _lazies(value: object) -> list[Lazy]:
    if isinstance(value, Lazy):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else ()
    return [lazy for one in inner for lazy in _lazies(one)]


PATTERNS = {
    f"{module.__name__}.{name}-{number}": lazy
    for module in (hints, lines, own, refine, traceback)
    for name, value in vars(module).items()
    for number, lazy in enumerate(_lazies(value))
}


@pytest.mark.parametrize("name", PATTERNS)
def test_no_other_pattern_of_the_reader_does(name: str) -> None:
    """Those for labels, frames and hints meet every line."""
    pattern = PATTERNS[name].compiled

    assert faults(pattern.pattern, pattern.flags) == []


def test_those_patterns_are_found() -> None:
    """A test over nothing would pass."""
    assert len(PATTERNS) > 30
    assert len(CATEGORIES) > 20
