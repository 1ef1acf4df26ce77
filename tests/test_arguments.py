"""The values of arguments: read into facts, or refused in one clear line before anything is looked at."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivdoctor.arguments import ALONE, EXCLUDED, asked_of, inputs_of, limit, place_of, snapshot_of, text_of
from ivdoctor.cli import check as command
from ivdoctor.facts import Asked, Limits

MACHINES = Path(__file__).parent / "machines"


@pytest.fixture
def model(tmp_path: Path) -> str:
    """A folder with a configuration and nothing else."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    return str(tmp_path / "model")


def test_what_was_not_given_is_what_asked_has_by_itself() -> None:
    """Empty values of the command line are no values."""
    assert asked_of() == Asked()
    assert (
        asked_of(model=None, dtype="auto", input_dtype=None, targets=(), torch=None, engine=None, thorough=False, inputs=None, limits=()) == Asked()
    )


def test_everything_that_can_be_asked_of_a_target_is_read() -> None:
    """By the names of Asked; a snapshot and a script are no part of it."""
    asked = asked_of(dtype="bf16", input_dtype="fp16", targets=("T4", "8xA100"), torch="2.6+cu124", engine="vllm", snapshot=None, repro=None)

    assert asked == Asked(dtype="bf16", input_dtype="fp16", targets=("T4", "8xA100"), torch="2.6+cu124", engine="vllm")


def test_everything_that_can_be_asked_of_a_model_is_read(model: str) -> None:
    """Limits by their names."""
    asked = asked_of(model=model, inputs="mine:batch", limits=("kl=0.5", "cosine=0.9"), thorough=True)

    assert asked == Asked(model=model, inputs="mine:batch", limits=Limits(kl=0.5, cosine=0.9), thorough=True)


def test_a_models_own_code_is_trusted_by_name_alone(model: str) -> None:
    """Not unless it is said; for a target only where the model's flow is made for it."""
    assert not asked_of(model=model).trust_remote_code
    assert asked_of(model=model, trust_remote_code=True) == Asked(model=model, trust_remote_code=True)
    assert asked_of(model=model, trust_remote_code=True, targets=("T4",), thorough=True).thorough


def test_every_option_of_the_command_is_known_here() -> None:
    """What is excluded is an option of `check`, so that no misspelt name lets it through."""
    options = {one.name for one in command.params}

    assert set(ALONE) == set(EXCLUDED)
    assert {*EXCLUDED, *(one for several in EXCLUDED.values() for one in several)} <= options
    assert set(Asked.__slots__) <= options


GIVEN: dict[str, Any] = {
    "model": "x",
    "inputs": "a:b",
    "targets": ("T4",),
    "limits": ("kl=1",),
    "thorough": True,
    "repro": "r.py",
    "snapshot": "s.json",
    "trust_remote_code": True,
}


@pytest.mark.parametrize(("name", "other"), [(name, other) for name, others in EXCLUDED.items() for other in others])
def test_what_excludes_each_other_is_refused_with_its_reason(name: str, other: str) -> None:
    """Written as the user writes it; each alone is not refused for this."""
    shown = {"model": "MODEL", "targets": "--target", "limits": "--limit", "trust_remote_code": "--trust-remote-code"}.get(other, f"--{other}")

    with pytest.raises(click.UsageError) as refused:
        asked_of(**{name: GIVEN[name], other: GIVEN[other]})

    assert refused.value.message == ALONE[name].format(other=shown)
    assert refused.value.message.endswith(f"it takes no {shown}")


@pytest.mark.parametrize("name", ["model", "torch", "inputs", "snapshot", "repro"])
def test_an_empty_text_is_a_variable_that_is_unset(name: str) -> None:
    """`--torch "$TORCH"` must not become a check without one."""
    with pytest.raises(click.UsageError, match=r"^(MODEL|--[a-z]+) is empty: is a variable unset\?$"):
        asked_of(**{"targets": ("T4",), name: ""})


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ({"inputs": "a:b"}, "--inputs and --limit are about a MODEL"),
        ({"limits": ("kl=1",)}, "--inputs and --limit are about a MODEL"),
        ({"trust_remote_code": True}, "--trust-remote-code is about a MODEL"),
        ({"targets": ("T4",), "thorough": True}, "nothing is run for a --target: it takes no --thorough without a MODEL"),
        (
            {"targets": ("T4",), "model": "x", "trust_remote_code": True},
            "nothing is run for a --target without --thorough: it takes no --trust-remote-code",
        ),
        ({"torch": "2.6"}, "--torch is about a --target"),
        ({"torch": "2.6", "snapshot": "s.json"}, "--torch is about a --target"),
        ({"targets": ("T4",), "torch": "9.9"}, "--torch: there is no known torch '9.9'"),
        ({"targets": ("T4",), "torch": "2.6+cu999"}, "--torch: torch 2.6.0 for 'x86_64' has no known build 'cu999'"),
        ({"targets": ("GB200",), "torch": "2.6+cu124"}, "--torch: torch 2.6.0 for 'aarch64' has no known build 'cu124'"),
        ({"targets": ("T4", "T5")}, "--target: there is no accelerator 'T5'"),
        ({"targets": ("rtx 5000",)}, "--target: 'rtx 5000' may be any of these"),
    ],
)
def test_what_makes_no_sense_is_refused(given_: dict[str, Any], said: str) -> None:
    """In the words of the option that is wrong."""
    with pytest.raises(click.UsageError) as refused:
        asked_of(**given_)

    assert refused.value.message.startswith(said)
    assert "\n" not in refused.value.message


def test_the_torch_of_an_arm_host_is_looked_up_there() -> None:
    """A GB200's own processor is ARM; a T4 beside it in the question stands beside another, and one build cannot speak for both."""
    assert asked_of(targets=("GB200",), torch="2.7+cu128").torch == "2.7+cu128"
    with pytest.raises(click.UsageError, match="for 'aarch64' has no known build 'cu118'"):
        asked_of(targets=("GB200",), torch="2.7+cu118")
    with pytest.raises(click.UsageError, match="ask for one kind at a time"):
        asked_of(targets=("GB200", "T4"), torch="2.7+cu118")


def test_a_model_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """With its path, which is the user's own."""
    with pytest.raises(click.ClickException, match="there is no file or folder of that name"):
        asked_of(model=str(tmp_path / "nowhere"))
    with pytest.raises(click.ClickException, match=r"config\.json"):
        asked_of(model=str(tmp_path), targets=("T4",))


@pytest.mark.parametrize(("text", "found"), [("kl=1", ("kl", 1.0)), ("relative_l2=5e-2", ("relative_l2", 0.05)), ("headroom=0", ("headroom", 0.0))])
def test_limits_are_numbers_from_zero_up(text: str, found: tuple[str, float]) -> None:
    """By name."""
    assert limit(text) == found


@pytest.mark.parametrize("text", ["kl", "kl=", "kl=-1", "kl=nan", "kl=inf", "kl=one", "softness=1", "=1", "", "KL=1", "__class__=1", "__slots__=1"])
def test_other_limits_are_refused(text: str) -> None:
    """No attribute of the class is a limit."""
    with pytest.raises(click.UsageError, match=r"^--limit"):
        limit(text)


@pytest.mark.parametrize("source", ["mine:batch", "package.module:function", "a:b"])
def test_inputs_are_a_function(source: str) -> None:
    """Seen when it is called, and not before."""
    inputs_of(source)


def test_inputs_are_a_file_that_is_there(tmp_path: Path) -> None:
    """Its content is looked at later."""
    (tmp_path / "x.safetensors").write_bytes(b"")
    inputs_of(str(tmp_path / "x.safetensors"))
    with pytest.raises(click.UsageError, match="there is no file"):
        inputs_of(str(tmp_path / "y.safetensors"))


@pytest.mark.parametrize(
    ("source", "hint"), [("mine.py:batch", "write mine:batch"), ("mine.py", "write mine:FUNCTION"), ("mine", ""), ("a b:c", ""), ("a:1", "")]
)
def test_other_inputs_are_refused(source: str, hint: str) -> None:
    """With what was meant, where that is to be seen."""
    with pytest.raises(click.UsageError, match=r"takes FILE\.safetensors or MODULE:FUNCTION") as refused:
        inputs_of(source)

    assert hint in refused.value.message


def test_a_target_is_the_place_of_its_name() -> None:
    """And what is none is a wrong usage, not a LookupError."""
    assert place_of("4xT4").count == 4
    for wrong in ("T5", "", "rtx 5000", "\x00"):
        with pytest.raises(click.UsageError, match=r"^--target: "):
            place_of(wrong)


@given(st.text(max_size=200))
def test_a_target_of_any_text_is_a_place_or_one_line(name: str) -> None:
    """Nothing else comes out, and no line break or control character of the text does."""
    message = ""
    try:
        assert place_of(name).kind == "target"
    except click.UsageError as refused:
        message = refused.message
    assert not message or message.isprintable()


def test_a_snapshot_is_read_or_refused(tmp_path: Path) -> None:
    """With the path and what is wrong with it."""
    assert snapshot_of(str(MACHINES / "t4.json")).outcomes
    (tmp_path / "bad.json").write_text(json.dumps({"schema": "ivdoctor.snapshot/9"}))
    with pytest.raises(click.ClickException, match=r"bad\.json: its schema is"):
        snapshot_of(str(tmp_path / "bad.json"))
    with pytest.raises(click.ClickException, match="No such file"):
        snapshot_of(str(tmp_path / "none.json"))


def test_a_text_is_a_file_or_what_is_piped_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` and nothing are both stdin; a stdin that is closed is said."""
    (tmp_path / "log.txt").write_bytes(b"a log")
    with text_of(str(tmp_path / "log.txt")) as file:
        assert file.read() == b"a log"
    for none in (None, "", "-"):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"piped")))
        with text_of(none) as stream:
            assert stream.read() == b"piped"
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(click.UsageError, match="stdin is closed"):
        text_of(None)
    with pytest.raises(click.ClickException, match="No such file"):
        text_of(str(tmp_path / "none.txt"))
