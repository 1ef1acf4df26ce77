"""The dtype flow, its miniature and its replay: in rooms of their own, and absent with a reason before anything heavy is imported."""

import subprocess
import sys

import pytest

from ivdoctor.facts import Asked, Flow, Miniature, Replay
from ivdoctor.plugins import plugins
from ivdoctor.probe import Absent, Probe
from ivdoctor.probes.flow import flow
from ivdoctor.probes.miniature import miniature
from ivdoctor.probes.replay import replay
from ivdoctor.testing import a_flow, a_native, a_place, a_torch

SHADOWS = [flow, miniature, replay]


@pytest.mark.parametrize("probe", SHADOWS, ids=lambda probe: probe.subject)
def test_they_are_registered_bounded_and_about_a_model(probe: Probe) -> None:
    """Time and memory have limits, and without a model nobody pays for them."""
    assert probe in plugins().probes
    assert probe.wants == "model"
    assert 0 < probe.timeout <= 300
    assert 0 < probe.memory_mib <= 4096


def test_what_imports_a_models_code_shares_its_room_with_nobody() -> None:
    """A repository's code, and what the engine changes in torch, must not be seen by the next probe."""
    others = [one.room for one in plugins().probes if one not in SHADOWS]
    assert flow.room not in others
    assert miniature.room not in others
    assert flow.room != miniature.room


def test_they_give_their_facts_from_each_other() -> None:
    """The miniature and the replay need the flow; where it is absent they are, with its reason."""
    assert [probe.fact for probe in SHADOWS] == [Flow, Miniature, Replay]
    assert all(Flow in dict(probe.needs).values() for probe in (miniature, replay))


def test_a_type_that_transformers_does_not_know_is_absent_with_that_reason() -> None:
    """Before torch is asked for anything."""
    with pytest.raises(Absent, match=r"transformers 5\.23\.0 does not know sparkling"):
        flow(asked=Asked(model="/models/one"), native=a_native("sparkling", known=False))


def test_operators_are_replayed_only_where_there_are_some_and_a_device() -> None:
    """Out of reach, or a flow that saw nothing."""
    with pytest.raises(Absent, match="cannot reach"):
        replay(torch=a_torch(), place=a_place(reachable=False), flow=a_flow())
    with pytest.raises(Absent, match="saw no operator"):
        replay(torch=a_torch(), place=a_place(), flow=a_flow(pairs=()))


def test_looking_for_the_probes_imports_no_torch() -> None:
    """The process that the user started stays light."""
    code = "import sys, ivdoctor.probes.flow, ivdoctor.probes.miniature, ivdoctor.probes.replay; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
