"""The environment: what is listed, and nothing else."""

import os
import sys
from collections.abc import Callable

import pytest

from ivdoctor import codec
from ivdoctor.facts import Environ
from ivdoctor.probes.environ import environ
from ivdoctor.rooms import Answer
from ivdoctor.tables import table

Look = Callable[..., Answer]
LISTED = {row["name"] for row in table("environ")}


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in LISTED:
        monkeypatch.delenv(name, raising=False)


def test_listed_variables_are_found_by_name(monkeypatch: pytest.MonkeyPatch, look: Look) -> None:
    """Sorted, with their values, the empty one too: an empty CUDA_VISIBLE_DEVICES hides every GPU."""
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")

    found = codec.build(look(environ).fact, Environ)

    assert [(one.name, one.value) for one in found.variables] == [("CUDA_VISIBLE_DEVICES", ""), ("ONEDNN_MAX_CPU_ISA", "AVX2")]


def test_no_other_variable_leaves_the_process(monkeypatch: pytest.MonkeyPatch, look: Look) -> None:
    """Secrets beside the listed ones, under names that look alike, are nowhere in what the room sends."""
    secret = "hf_abcdefghijklmnopqrstuvwxyz0123456789"
    for name in ("HF_TOKEN", "CUDA_VISIBLE_DEVICES_", "cuda_visible_devices", "MY_ONEDNN_MAX_CPU_ISA"):
        if sys.platform != "win32" or name.upper() not in LISTED:  # names there have no case
            monkeypatch.setenv(name, secret)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")

    answer = look(environ)

    assert secret.encode() not in codec.dump(answer)
    assert [one["name"] for one in answer.fact["variables"]] == ["CUDA_VISIBLE_DEVICES"]


def test_nothing_set_is_an_empty_list(look: Look) -> None:
    """A clean shell is a fact, not an absence."""
    answer = look(environ)

    assert (answer.status, answer.fact["variables"]) == ("ok", [])


@pytest.mark.skipif(os.name != "posix", reason="elsewhere the environment is text")
@pytest.mark.parametrize(("value", "shown"), [(b"0,\xff", r"0,\udcff"), (b"0\n1\x1b[31m", r"0\n1\x1b[31m"), ("零".encode(), "零")])
def test_a_value_that_is_no_text_can_still_be_written(monkeypatch: pytest.MonkeyPatch, look: Look, value: bytes, shown: str) -> None:
    """Bytes that are no UTF-8, line ends and escapes must not reach a report, nor break the writing of one."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", os.fsdecode(value))

    answer = look(environ)

    assert shown == answer.fact["variables"][0]["value"]
    assert codec.load(codec.dump(answer.fact)) == answer.fact
