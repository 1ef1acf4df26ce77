"""End to end: what was planted in facts, reasons and rule errors appears in no format."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ivdoctor.checkup import judged
from ivdoctor.facts import Asked, Version
from ivdoctor.outcome import Outcome
from ivdoctor.plugins import plugins
from ivdoctor.redact import Identity, Redactor
from ivdoctor.snapshot import Snapshot, load

USER, HOST = "qvjane", "qvtower-17"
IDENTITY = Identity(homes=(f"/home/{USER}", f"/data/people/{USER}"), users=(USER,), hosts=(HOST, f"{HOST}.example.com"))
SECRETS = [
    f"/home/{USER}/models",
    f"/data/people/{USER}/.cache",
    f"C:\\Users\\{USER}\\models",
    USER,
    HOST,
    f"{HOST}.example.com",
    "hf_QvQvQvQvQvQvQvQvQvQv",
    "sk-QvQvQvQvQvQvQvQvQvQv",
    "AKIAQVQVQVQVQVQVQVQV",
    "https://someone:QvQvPassword@registry.example/simple",
    f"{USER}@example.com",
    "10.11.12.13",
    "2001:db8::dead:beef",
]
NEEDLES = [USER, HOST, "QvQv", "QVQV", "10.11.12.13", "2001:db8"]


def planted(value: Any, secret: str, wrap: Callable[[str, str], str]) -> Any:
    """The same fact with the secret in every text but the words of a closed set."""
    if isinstance(value, str):
        return wrap(value, secret) if " " in value or "." in value or "/" in value else value
    if isinstance(value, tuple):
        return tuple(planted(inner, secret, wrap) for inner in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changes = {field.name: planted(getattr(value, field.name), secret, wrap) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **changes)
    return value


@pytest.fixture(scope="module")
def outcomes() -> tuple[Outcome, ...]:
    text = (Path(__file__).parent / "machines" / "t4.json").read_bytes()
    return load(text, plugins().facts()).outcomes


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(secret=st.sampled_from(SECRETS), wrap=st.sampled_from(["{0} {1}", "{1} {0}", "{0} ({1})", "{0}: '{1}'", "{0} file={1},"]))
def test_nothing_planted_appears(outcomes: tuple[Outcome, ...], secret: str, wrap: str) -> None:
    """In a fact's texts and in the reasons of what failed; snapshot and every format."""
    redactor = Redactor(IDENTITY)
    dirty = [
        dataclasses.replace(one, fact=planted(one.fact, secret, wrap.format), reason=wrap.format(one.reason or "why", secret)) for one in outcomes
    ]
    dirty.append(Outcome(subject="plugin", status="failed", reason=wrap.format("plugin", secret), builtin=False))

    assert secret in dirty[0].reason
    assert sum(secret in str(getattr(one.fact, field.name)) for one in dirty if one.fact for field in dataclasses.fields(one.fact)) > 5

    clean = tuple(map(redactor.outcome, dirty))
    report = judged(clean, Asked(), registered=plugins())
    texts = {one.name: one.render(report) for one in plugins().formats} | {"snapshot": Snapshot(collected="2026-11-23", outcomes=clean).dump()}

    for name, text in texts.items():
        for needle in NEEDLES:
            assert needle.lower() not in text.lower(), f"{needle} in {name}"


def test_versions_stay_in_every_format(outcomes: tuple[Outcome, ...]) -> None:
    """A four-part cuDNN version in a typed field is a version."""
    changed = tuple(
        dataclasses.replace(one, fact=dataclasses.replace(one.fact, cudnn=Version("9.1.0.70"))) if one.subject == "torch" else one for one in outcomes
    )

    report = judged(tuple(map(Redactor(IDENTITY).outcome, changed)), Asked(), registered=plugins())

    assert json.loads(plugins().format("json").render(report))["subjects"]["torch"]["fact"]["cudnn"] == "9.1.0.70"
