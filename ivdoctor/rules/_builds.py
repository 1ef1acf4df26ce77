"""Which published build of torch to install for a device and its driver."""

from ..builds import Carrier, carriers, carriers_of_all, runs_on, usual
from ..facts import Driver, Torch
from ..finding import Fix
from ..text import say
from ..wheels import cuda_release
from ._remedies import untried

NO_CHANGE = "ivdoctor installs nothing"


def cuda_of(torch: Torch) -> tuple[int, int] | None:
    """The CUDA release of a build, by itself or by its version's tag: `2.9.1+cu130` whose `torch.version.cuda` is None."""
    return torch.cuda or cuda_release(torch.version.partition("+")[2].partition(".")[0])


def install(capability: tuple[int, int] | None, gfx: str | None = None, driver: Driver | None = None, machine: str = "x86_64") -> Fix:
    """The newest torch that has code for the device and that the driver runs; another driver, or another source, where there is none."""
    return _install(carriers(capability, gfx, machine), driver, machine)


def _install(found: tuple[Carrier, ...], driver: Driver | None, machine: str = "x86_64") -> Fix:
    best = usual(tuple(one for one in found if driver is None or runs_on(_release(one.build), driver.cuda)), machine)
    if best is None and found:
        oldest = min(_release(one.build) for one in found)[0]
        title = say("Update the driver to one for CUDA {oldest} or newer: this one runs no build that has code for the device", oldest=oldest)
        return Fix(title=title, kind="hardware", trial=untried(say(NO_CHANGE)))
    if best is None:
        title = say("No published build of torch is known to have code for it: take one of its maker's, or build torch from source")
        return Fix(title=title, kind="command", trial=untried(say(NO_CHANGE)))
    title = say("Install torch {version} built for {build}, the newest that has code for it", version=best.torch_last, build=best.build)
    if driver:
        title += say(" and that the driver runs")
    return Fix(title=title, kind="command", command=command(best), trial=untried(say(NO_CHANGE)))


def command(one: Carrier) -> str:
    """For pip; pinned where a newer torch of that build no longer carries the device, or may not."""
    pinned = "torch" if one.latest else f'"torch=={one.torch_last}.*"'
    return f"pip install --force-reinstall {pinned} --index-url https://download.pytorch.org/whl/{one.build}"


def for_all(driver: Driver) -> Fix:
    """For the devices of a driver: a build with code for every one of them, else for the oldest."""
    every = sorted({device.compute_capability for device in driver.devices})
    together = carriers_of_all(tuple(every))
    runs = [one for one in together if runs_on(_release(one.build), driver.cuda)]
    return _install(together, driver) if runs else install(every[0], driver=driver)


def backend_of(torch: Torch) -> str:
    """What a build drives beside the CPU: `cuda`, `rocm`, or nothing."""
    return "rocm" if torch.hip else "cuda" if cuda_of(torch) else ""


def _release(build: str) -> tuple[int, int]:
    return cuda_release(build) or (0, 0)
