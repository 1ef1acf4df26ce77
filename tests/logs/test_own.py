"""Reports of ivdoctor's own in a text: what they demonstrate is no failure of it, and what they say of the machine is true."""

import json
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TypeVar

import pytest

from ivdoctor.checkup import check
from ivdoctor.explanation import Told, explain, read
from ivdoctor.facts import Asked, Driver, Gpu, Torch
from ivdoctor.logs.own import Own
from ivdoctor.output import Outlet
from ivdoctor.plugins import plugins
from ivdoctor.snapshot import load

Fact = TypeVar("Fact")

MACHINES = Path(__file__).parent.parent / "machines"
FORMATS = ["terminal", "markdown", "json"]
TRACEBACK = """\
Traceback (most recent call last):
  File "train.py", line 12, in step
    y = model(x)
RuntimeError: expected m1 and m2 to have the same dtype, but got: float != c10::Half
"""
AROUND = {"alone": "{report}", "before": "{report}\n{traceback}", "after": "{traceback}\n{report}", "between": "{traceback}\n{report}\n{traceback}"}


@cache
def report(machine: str, form: str) -> str:
    """Of a machine that is recorded, asked about the clash that it can demonstrate."""
    snapshot = load((MACHINES / f"{machine}.json").read_bytes(), plugins().facts())
    return Outlet.text(form, check(Asked(dtype="fp16", input_dtype="bf16"), snapshot=snapshot))


def told(text: str) -> Told:
    return read(BytesIO(text.encode()))


def fact(found: Told, kind: type[Fact]) -> Fact | None:
    return next((one.fact for one in found.outcomes if isinstance(one.fact, kind)), None)


@pytest.mark.parametrize("form", FORMATS)
def test_such_a_report_demonstrates_failures(form: str) -> None:
    """Else the other tests would show nothing: the message stands in it."""
    assert "should be the same" in report("cpu", form)


@pytest.mark.parametrize("machine", ["t4", "cpu"])
@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("form", FORMATS)
def test_what_it_demonstrates_is_not_explained(form: str, around: str, machine: str) -> None:
    """Only the traceback beside it is, if there is one, once and in its own words."""
    found = told(AROUND[around].format(report=report(machine, form), traceback=TRACEBACK))

    tellings = AROUND[around].count("traceback")
    assert [(one.family, one.count) for one in found.failures] == [("mat-dtypes", tellings)] * bool(tellings)
    assert found.own_reports == 1


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("form", FORMATS)
def test_what_it_says_of_the_machine_is_used(form: str, around: str) -> None:
    """The T4, its driver and torch's version; and the T4 chooses between the fixes."""
    found = told(AROUND[around].format(report=report("t4", form), traceback=TRACEBACK))

    gpu, torch, driver = fact(found, Gpu), fact(found, Torch), fact(found, Driver)
    assert gpu is not None
    assert [(one.name, one.compute_capability) for one in gpu.devices] == [("Tesla T4", (7, 5))]
    assert torch is not None
    assert torch.version == "2.6.0+cu124"
    assert driver is not None
    assert driver.version == "550.54.15"
    if around != "alone":
        assert [one.title for one in explain(found).places] == ["Tesla T4"]


def test_an_explanation_as_json_is_explained_again() -> None:
    """Its failures are those of the text that it was made from."""
    first = explain(told(TRACEBACK + "GPU 0: Tesla T4\n"))
    again = told(Outlet.text("json", first))

    assert [one.message for one in again.failures] == ["expected m1 and m2 to have the same dtype, but got: float != c10::Half"]
    assert explain(again).findings == first.findings


def test_a_snapshot_tells_its_machine() -> None:
    """What `ivdoctor collect` has written, attached to a bug."""
    gpu = fact(told((MACHINES / "t4.json").read_text()), Gpu)

    assert gpu is not None
    assert gpu.devices[0].name == "Tesla T4"


@pytest.mark.parametrize("form", FORMATS)
def test_a_torn_report_explains_nothing_of_its_own(form: str) -> None:
    """Cut anywhere in its middle."""
    text = report("cpu", form)

    for share in (0.3, 0.6, 0.9):
        assert told(text[: int(len(text) * share)]).failures == ()


@pytest.mark.parametrize(
    "raw",
    [
        {"schema": "ivdoctor.report/1"},
        {"schema": "ivdoctor.report/1", "subjects": []},
        {"schema": "ivdoctor.report/1", "subjects": {"failure": 3}},
        {"schema": "ivdoctor.report/1", "subjects": {"failure": [{"fact": {}}]}},
        {"schema": "ivdoctor.report/1", "subjects": {"failure": {"status": "absent"}, "gpu": {"status": "ok", "fact": {"devices": 3}}}},
        {"schema": "ivdoctor.snapshot/1", "outcomes": {"a": 1}},
        {"schema": "ivdoctor.snapshot/1", "outcomes": [3, {"subject": "gpu", "status": "ok", "fact": None}]},
    ],
)
def test_forged_reports_raise_nothing(raw: object) -> None:
    """And tell nothing."""
    found = told(json.dumps(raw, indent=1))

    assert (found.failures, found.outcomes) == ((), ())


@pytest.mark.parametrize(
    "line", ["## ivdoctor", "ivdoctor is a tool", "I ran ivdoctor 0.1.0, tables of 2026", '{"schema": "other/1"', "READY: x", '"ivdoctor.report/1"']
)
def test_what_only_names_ivdoctor_is_no_report(line: str) -> None:
    """A sentence about it does not hide what follows."""
    assert not Own().holds(line)
    assert len(told(f"{line}\n{TRACEBACK}").failures) == 1
