"""An example plugin: a fact, a probe that gives it, a rule that needs it, and a format."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from ivdoctor.facts import Torch
from ivdoctor.finding import Fix, Problem, Severity, Tried
from ivdoctor.formats import Format
from ivdoctor.probe import Absent, probe
from ivdoctor.report import Report
from ivdoctor.rule import rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Rack:
    """Where the machine stands."""

    name: str


@probe()
def rack() -> Rack:
    """From a variable the data centre sets; EXAMPLE_FAULT makes it misbehave, for tests."""
    fault = os.environ.get("EXAMPLE_FAULT", "")
    if fault == "raise":
        raise RuntimeError("the rack is on fire at /home/jane/rack")
    if fault == "segfault":
        os.kill(os.getpid(), 11)
    if fault == "hang":
        import time

        time.sleep(600)
    if "EXAMPLE_RACK" not in os.environ:
        raise Absent("EXAMPLE_RACK is not set")
    return Rack(name=os.environ["EXAMPLE_RACK"])


@rule("ACME001", severity=Severity.WARNING)
def rack_is_cold(rack: Rack, torch: Torch) -> Iterator[Problem]:
    """
    The rack has no cooling.

    ## Fix
    Move the machine.
    """
    if rack.name == "broken-rule":
        raise ValueError("this rule is broken")
    if rack.name == "cold":
        yield Problem(
            message=f"rack {rack.name} runs torch {torch.version}",
            fixes=(Fix(title="Move it", kind="hardware", trial=Tried(status="not-tried", reason="it is heavy")),),
        )


def render(report: Report) -> str:
    """The codes, one a line."""
    if os.environ.get("EXAMPLE_FAULT") == "format":
        raise ValueError("this format is broken")
    return "".join(f"{finding.code}\n" for finding in report.findings)


codes = Format(name="codes", suffix=".codes", render=render)
