"""IVD6xx: numbers that go wrong without an exception."""

from dataclasses import replace
from pathlib import Path

import pytest

from ivdoctor.facts import Mismatch, Place
from ivdoctor.finding import Severity
from ivdoctor.rules.ivd6xx import weights_rounded_twice
from ivdoctor.testing import a_mismatch, a_place, findings, recorded

MACHINES = Path(__file__).parent.parent / "machines"
NATIVE = [a_place("sm_80", "NVIDIA A100-SXM4-80GB"), a_place("gfx942", "AMD Instinct MI300X"), a_place("cpu", features=("amx_bf16",))]
EMULATED = [a_place("sm_75", "Tesla T4"), a_place("sm_61", "Tesla P40"), a_place("cpu", features=("avx2",))]


def with_rounding(changed: float) -> Mismatch:
    """The reproduction, with this many weights on another value after the second rounding."""
    mismatch = a_mismatch()
    trials = [replace(one, metrics=one.metrics | {"weights_changed": changed}) if one.remedy == "half-then-bf16" else one for one in mismatch.trials]
    return replace(mismatch, trials=tuple(trials))


@pytest.mark.parametrize("place", NATIVE, ids=lambda place: place.title)
def test_ivd601_fires_with_the_count_and_leads_with_one_cast(place: Place) -> None:
    """The counts are the trial's, and the line that was tried in its stead is the fix."""
    (found,) = findings(weights_rounded_twice, with_rounding(693.0), place)
    assert found.severity is Severity.NOTE
    assert found.category == "silent-wrong-dtype"
    assert found.message == ".half().to(torch.bfloat16) changes 693 of 11408 fp32 weights against one cast"
    assert found.evidence == ("counted on the miniature, on cpu",)
    assert found.fixes[0].code == "model = model.to(torch.bfloat16)"
    assert (found.fixes[0].trial.status, found.fixes[0].trial.after) == ("passed", "ran, output bfloat16")


def test_ivd601_fires_on_the_recorded_run() -> None:
    """Some of the miniature's random weights really end on another bfloat16 value."""
    (found,) = findings(weights_rounded_twice, *recorded(MACHINES / "cpu.json"))
    assert "of 0 fp32 weights" not in found.message


@pytest.mark.parametrize("place", EMULATED, ids=lambda place: place.title)
def test_ivd601_fires_without_leading_to_bf16_where_it_is_emulated(place: Place) -> None:
    """One rounding is better than two, and none of bf16 at all is better there."""
    for found in findings(weights_rounded_twice, with_rounding(693.0), place):
        assert not any("bfloat16" in fix.code for fix in found.fixes[:1])


def test_ivd601_silent_where_nothing_changed_or_nothing_was_tried() -> None:
    """A count of zero is no finding, and without trials there is no count."""
    place = NATIVE[0]
    assert findings(weights_rounded_twice, with_rounding(0.0), place) == []
    assert findings(weights_rounded_twice, Mismatch(cells=(), towers=(), trials=()), place) == []
