"""From a text to a report: which place is judged for, what is kept from the text, and that nothing in it can change the report's form."""

import json
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import click
import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from ivdoctor.explanation import Told, explain, read
from ivdoctor.gate import Answer, Exit
from ivdoctor.output import Outlet
from ivdoctor.plugins import plugins
from ivdoctor.report import Report
from ivdoctor.schema import schema
from ivdoctor.snapshot import load
from ivdoctor.targets import target

FORMATS = ["terminal", "markdown", "html", "json", "junit", "github"]
MACHINES = Path(__file__).parent / "machines"
TRACEBACK = """\
Traceback (most recent call last):
  File "train.py", line 12, in step
    y = model(x)
RuntimeError: Input type (c10::BFloat16) and bias type (c10::Half) should be the same
"""
T4_MESSAGE = (
    "ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0. Your Tesla T4 GPU has compute capability 7.5. "
    "You can use float16 instead by explicitly setting the `dtype` flag in CLI, for example: --dtype=half.\n"
)


def told(text: str | bytes) -> Told:
    return read(BytesIO(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text))


def report(text: str | bytes) -> Report:
    return explain(told(text))


def test_a_failure_is_explained() -> None:
    """Verdict, exit code, reason, finding, and the line of one's own code."""
    made = report(TRACEBACK)

    assert (made.command, made.verdict, made.exit_code) == ("explain", Answer.NOT_READY, Exit.READY)
    (found,) = made.findings
    assert (found.code, found.category) == ("IVD450", "conv-input-param-dtype-mismatch")
    assert made.reason == f"{found.code} {found.message}"
    assert found.fixes


@pytest.mark.parametrize("text", ["", "\n", "all is well\n", b"\x00\xff\xfe\x80" * 100, b"\x1f\x8b\x08" + bytes(range(256)) * 50])
def test_no_failure(text: str | bytes) -> None:
    """Empty, clean and binary: nothing is claimed."""
    made = report(text)

    assert (made.verdict, made.exit_code, made.findings) == (Answer.UNDETERMINED, Exit.UNDETERMINED, ())
    assert made.reason == "no failure was found in the text"


def test_an_unknown_exception_is_said_to_be_unknown() -> None:
    """In its own words, and with the exit code of what is not recognised."""
    made = report('Traceback (most recent call last):\n  File "a.py", line 3, in f\n    g()\nmy.WeirdError: nothing is known\n')

    assert (made.verdict, made.exit_code) == (Answer.UNDETERMINED, Exit.UNDETERMINED)
    assert "WeirdError: nothing is known" in made.reason
    assert [one.category for one in made.findings] == [""]


@pytest.mark.parametrize(
    ("text", "titles"),
    [
        (TRACEBACK, []),
        (TRACEBACK + "GPU 0: Tesla T4\n", ["Tesla T4"]),
        (TRACEBACK + "GPU 0: NVIDIA A100-SXM4-80GB\nGPU 1: NVIDIA A100-SXM4-80GB\n", ["NVIDIA A100-SXM4-80GB"]),
        (TRACEBACK + "PyTorch version: 2.6.0+cpu\nIs CUDA available: False\n", ["the CPU"]),
        (T4_MESSAGE, ["Tesla T4"]),
        (T4_MESSAGE.replace("Tesla T4", "Nonsuch X1"), []),
    ],
    ids=["none", "a T4 in the text", "two A100s", "a torch without CUDA", "a T4 in the message", "a device nobody knows"],
)
def test_the_place_is_what_the_text_names(text: str, titles: list[str]) -> None:
    """Its accelerators, or the one in the message; the CPU only where torch has nothing else."""
    found = [one.title if one.kind != "cpu" else "the CPU" for one in report(text).places]

    assert found == titles


def test_a_target_stands_for_what_the_text_names() -> None:
    """An A100 that is asked for, whatever the T4's log says; and the fixes are the A100's."""
    text = TRACEBACK + "GPU 0: Tesla T4\n"
    there = explain(told(text), targets=[target("A100-SXM4-80GB")])

    assert [one.title for one in there.places] == ["A100 SXM4 80GB"]
    assert {one.place for one in there.findings} == {"A100 SXM4 80GB"}
    assert [one.fixes for one in there.findings] != [one.fixes for one in report(text).findings]
    assert "bfloat16" not in "".join(line for one in report(text).findings for fix in one.fixes for line in fix.code)


def test_several_targets_are_judged_each() -> None:
    """Each finding names its own."""
    made = explain(told(TRACEBACK), targets=[target("T4"), target("A100-SXM4-80GB")])

    assert [one.place for one in made.findings] == [one.name for one in made.places]
    assert len(made.places) == 2


def test_here_stands_for_what_the_text_names() -> None:
    """The facts of a machine that was looked at, and none of the text's."""
    here = load((MACHINES / "a100-80.json").read_bytes(), plugins().facts())

    made = explain(told(TRACEBACK + "GPU 0: Tesla T4\n"), here=here)

    assert ["A100" in one.title for one in made.places] == [True]
    assert "Tesla" not in Outlet.text("json", made)


def test_the_same_advice_stands_once() -> None:
    """Two failures that differ in their line alone are two; told again, one is not more."""
    assert len(report(TRACEBACK * 5).findings) == 1
    assert len(report(TRACEBACK + TRACEBACK.replace("line 12", "line 13")).findings) == 2


@pytest.mark.parametrize("text", [TRACEBACK, T4_MESSAGE, "", TRACEBACK + T4_MESSAGE + "GPU 0: Tesla T4\n", "my.Error: x\n" + TRACEBACK])
@pytest.mark.parametrize("form", FORMATS)
def test_every_format_agrees_with_json(text: str, form: str) -> None:
    """Every finding's code and message, and the reason, are in each; JSON keeps to the published schema."""
    made = report(text)
    raw = json.loads(Outlet.text("json", made))
    jsonschema.Draft202012Validator(schema()).validate(raw)

    shown = Outlet.text(form, made)

    assert (raw["verdict"], raw["exit_code"]) == (made.verdict.value, int(made.exit_code))
    assert [one["code"] for one in raw["findings"]] == [one.code for one in made.findings]
    assert all(one["code"] in shown for one in raw["findings"])
    if form in {"terminal", "github"}:
        assert raw["reason"] in shown


SECRETS = {
    "a home": ("/home/geheim/train.py", "geheim"),
    "a home on Windows": (r"C:\Users\geheim\train.py", "geheim"),
    "a token": ("/app/hf_abcdefghijklmnop/train.py", "hf_abcdefghijklmnop"),
    "credentials": ("https://geheim:passwort@example.org/train.py", "passwort"),
    "an address": ("/net/192.168.17.4/train.py", "192.168.17.4"),
}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("case", SECRETS)
def test_what_is_personal_is_taken_out(case: str, form: str) -> None:
    """Of a frame's path, of its code and of a message."""
    path, secret = SECRETS[case]
    text = TRACEBACK.replace("train.py", path).replace("model(x)", f"model(x)  # {path}").replace("should be the same", f"should be the same, {path}")

    assert secret not in Outlet.text(form, report(text))


HOSTILE = [
    "<script>alert(1)</script>",
    "</pre></code></details><img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "![x](https://example.org/x.png)",
    "`",
    "```",
    "| a | b |",
    "\x1b]0;title\x07",
    "\x1b[2J\x1b[31m",
    "\x9b31m",
    "::error::forged",
    "\r\n::error::forged",
    "%0A::error::forged",
    "##[error]forged",
    "]]>",
    "\u202e",
    "@octocat",
    "{{ 7*7 }}",
    "\x00",
]


def hostile(piece: str) -> str:
    """In the message, the code, the path, the function and the device."""
    return (
        f'Traceback (most recent call last):\n  File "a{piece}.py", line 12, in f{piece}\n    y = model("{piece}")\n'
        f"RuntimeError: Input type ({piece}) and bias type (c10::Half) should be the same {piece}\n"
        f"RuntimeError: \"{piece}\" not implemented for 'Half'\nmy.OtherError: {piece}\n" + T4_MESSAGE.replace("Tesla T4", f"Tesla {piece}")
    )


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_message_cannot_change_the_form_of_a_report(piece: str) -> None:
    """No tag, no link, no terminal sequence, no command to GitHub comes out of a text."""
    made = report(hostile(piece))
    shown = {form: Outlet.text(form, made) for form in FORMATS}

    page = shown["html"].lower()
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert 'href="javascript:' not in page
    tokens = [inner for token in MarkdownIt("commonmark").parse(shown["markdown"]) for inner in (token, *(token.children or ()))]
    assert [one.type for one in tokens if one.type in {"link_open", "image"}] == []
    assert not [one for one in tokens if one.type.startswith("html") and ("script" in one.content or "onerror" in one.content)]
    assert all(line.isprintable() for line in click.unstyle(shown["terminal"]).split("\n"))
    assert "\x1b]" not in shown["terminal"]
    assert "\x1b[2J" not in shown["terminal"]
    lines = shown["github"].split("\n")
    assert not [one for one in lines if one.startswith(("::error::forged", "##["))]
    assert "\r" not in shown["github"]
    json.loads(shown["json"])
    jsonschema.Draft202012Validator(schema()).validate(json.loads(shown["json"]))


@settings(max_examples=40)
@given(piece=st.lists(st.sampled_from(HOSTILE) | st.text(max_size=8), max_size=6).map("".join))
def test_every_format_renders_whatever_a_text_says(piece: str) -> None:
    """Never an exception, and always text that can be written."""
    made = report(hostile(piece))

    for form in FORMATS:
        Outlet.text(form, made).encode()


def test_the_report_holds_the_text_to_the_letter_elsewhere() -> None:
    """What nobody needs to take out stays: the message as it was."""
    assert "Input type (c10::BFloat16) and bias type (c10::Half) should be the same" in Outlet.text("json", report(TRACEBACK))


def test_a_failure_without_anything_else_is_judged() -> None:
    """Neither a frame nor an operand: still no rule breaks."""
    (one,) = told(TRACEBACK).failures
    bare = replace(told(""), failures=(replace(one, operands=(), frames=(), error="", libraries=(), words=()),))

    made = explain(bare)

    assert made.rules.errors == ()
    assert [finding.category for finding in made.findings] == [one.category]
