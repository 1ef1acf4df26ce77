"""The reproduction as a probe: in a room it gives the whole fact, and out of reach it gives absence."""

from collections.abc import Callable

import pytest

from ivdoctor import codec
from ivdoctor.facts import Mismatch
from ivdoctor.probes.mismatch import mismatch
from ivdoctor.rooms import Answer
from ivdoctor.testing import a_place, a_torch_without_cuda

Look = Callable[..., Answer]


def test_the_reproduction_runs_in_a_room(look: Look) -> None:
    """All nine cells and all 24 unequal combinations of towers come back through the room's pipe."""
    pytest.importorskip("torch")

    found = codec.build(look(mismatch, torch=a_torch_without_cuda(), place=a_place()).fact, Mismatch)

    assert (len({one.case for one in found.cells}), len({one.case for one in found.towers})) == (9, 24)
    assert {"cpu"} == {trial.where for trial in found.trials}


def test_a_place_out_of_reach_is_absent(look: Look) -> None:
    """Nothing is claimed of a device that nothing ran on."""
    pytest.importorskip("torch")
    answer = look(mismatch, torch=a_torch_without_cuda(), place=a_place("sm_75", "Tesla T4", reachable=False))

    assert (answer.status, answer.reason) == ("absent", "torch 2.6.0+cpu cannot reach Tesla T4")
