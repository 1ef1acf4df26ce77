"""Texts in UTF-16, as PowerShell writes them, and texts that only hold zero bytes."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivdoctor.explanation import read
from ivdoctor.logs.encoding import Again

LINE = "RuntimeError: Input type (c10::BFloat16) and bias type (c10::Half) should be the same\r\n"


def whole(first: bytes, rest: bytes, size: int = 7) -> bytes:
    stream = Again(first, BytesIO(rest))
    return b"".join(iter(lambda: stream.read(size), b""))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_failure_is_found_in_every_encoding_that_a_shell_writes(encoding: str) -> None:
    """With its mark and without."""
    text = ("运行报错 " + LINE) * 300
    (failure,) = read(BytesIO(text.encode(encoding))).failures
    assert (failure.category, failure.count) == ("conv-input-param-dtype-mismatch", 300)


@given(st.text(max_size=200), st.integers(0, 300))
def test_utf_16_arrives_whole_wherever_it_is_cut(text: str, cut: int) -> None:
    """A read may end in the middle of a character."""
    raw = ("\ufeff" + text).encode("utf-16-le", "surrogatepass")
    given_back = whole(raw[: max(2, cut)], raw[max(2, cut) :]).decode()
    assert given_back == raw.decode("utf-16-le", "replace")


@given(st.binary(max_size=300), st.integers(0, 300))
def test_what_is_not_utf_16_passes_as_it_is(raw: bytes, cut: int) -> None:
    """A few zero bytes make no encoding."""
    raw = raw.replace(b"\0", b"x").removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff")
    assert whole(raw[:cut], raw[cut:]) in (raw, raw.removeprefix(b"\xff\xfe"))
