"""The training step as a probe: in a room it gives the whole fact, out of reach it gives absence, and it stays light."""

import subprocess
import sys
from collections.abc import Callable

import pytest

from ivdoctor import codec
from ivdoctor.facts import Amp, Version, release
from ivdoctor.probes.amp import amp
from ivdoctor.rooms import Answer
from ivdoctor.testing import a_place, a_torch_without_cuda, an_amp

Look = Callable[..., Answer]

LIGHT = """
import sys, torch
before = set(sys.modules)
from ivdoctor.probes.amp import amp
from ivdoctor.testing import a_place, a_torch
assert amp(torch=a_torch(), place=a_place()).steps
print(*sorted(name for name in set(sys.modules) - before if name.startswith("torch.")))
"""


@pytest.fixture(scope="module")
def version() -> Version:
    return Version(str(pytest.importorskip("torch").__version__))


def real(look: Look, version: Version) -> Amp:
    return codec.build(look(amp, torch=a_torch_without_cuda(version=version), place=a_place()).fact, Amp)


def test_the_steps_and_misuses_run_in_a_room(look: Look, version: Version) -> None:
    """Two steps and four misuses come back through the room's pipe, with a trial for each misuse that raised."""
    found = real(look, version)

    assert [(one.dtype, one.scaled) for one in found.steps] == [("bf16", False), ("fp16", True)]
    assert len({one.name for one in found.misuses}) == 4
    assert {trial.case for trial in found.trials} == {one.name for one in found.misuses if one.status == "raised"}
    step = found.step("bf16")
    assert step
    assert step.usable


def shape(amp: Amp) -> dict[str, object]:
    """What does not depend on chance."""
    return {
        "steps": [(one.dtype, one.scaled, one.status, one.usable, one.message) for one in amp.steps],
        "misuses": [(one.name, one.status, one.status == "ran" or one.message) for one in amp.misuses],
        "places": [(one.location.module, one.location.file, one.location.op) if one.location else None for one in amp.misuses],
        "trials": [(one.case, one.remedy, one.status, one.how, one.where, one.before, one.computes_in, sorted(one.metrics)) for one in amp.trials],
        "after": [one.after.partition(" loss ")[0] for one in amp.trials],
    }


def test_the_made_up_step_agrees_with_a_run_here(look: Look, version: Version) -> None:
    """When the trials gain a remedy, the builder must too."""
    if release(version) < (2, 13):
        pytest.skip("the words of torch 2.13")
    assert shape(an_amp()) == shape(real(look, version))


def test_the_made_up_step_survives_the_snapshots_json() -> None:
    """Healthy, ill, and on an accelerator."""
    for one in (an_amp(), an_amp("cuda:0"), an_amp(refused={"fp16": "no"}), an_amp(overflow=("bf16",))):
        assert codec.build(codec.load(codec.dump(codec.plain(one))), Amp) == one


def test_a_place_out_of_reach_is_absent(look: Look) -> None:
    """Nothing is claimed of a device that nothing ran on."""
    pytest.importorskip("torch")
    answer = look(amp, torch=a_torch_without_cuda(), place=a_place("sm_75", "Tesla T4", reachable=False))

    assert (answer.status, answer.reason) == ("absent", "torch 2.6.0+cpu cannot reach Tesla T4")


def test_no_module_of_torchs_is_imported_for_it() -> None:
    """The optimizers of torch would pull in its compiler, and `check` is to stay light."""
    pytest.importorskip("torch")
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, timeout=120, check=False)

    assert (done.returncode, done.stdout.split(), done.stderr) == (0, [], "")
