"""The driver probe against a real, small libnvidia-ml.so.1, and against none."""

import ctypes
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ivdoctor import codec
from ivdoctor.facts import Driver, NvmlDevice, Version
from ivdoctor.probes.driver import driver
from ivdoctor.rooms import Answer

Look = Callable[..., Answer]
Nvml = Callable[..., None]

T4 = "Tesla T4|7|5|15360|3b|6|-"
MISMATCH = (
    "the loaded NVIDIA driver and its library libnvidia-ml differ in version: after an update it was not reloaded, "
    "a reboot does so (RM has detected an NVML/RM version mismatch.)"
)
H100_IN_PIECES = "NVIDIA H100 80GB HBM3|9|0|81559|1a|9|on"


def fact(answer: Answer) -> Driver:
    assert answer.status == "ok", answer.reason
    return codec.build(answer.fact, Driver)


def test_a_driver_and_its_device_are_described_as_nvml_does(nvml: Nvml, look: Look) -> None:
    """Every field comes from NVML, with the PCI address as torch writes it."""
    nvml(T4, DRIVER="550.54.15", CUDA="12040")

    assert Driver(
        version=Version("550.54.15"),
        cuda=(12, 4),
        devices=(
            NvmlDevice(index=0, name="Tesla T4", architecture="Turing", compute_capability=(7, 5), memory_mib=15360, pci="0000:3b:00", mig=False),
        ),
    ) == fact(look(driver))


def test_devices_keep_nvmls_order_and_mig_is_seen(nvml: Nvml, look: Look) -> None:
    """The index is NVML's own, and a device cut into MIG instances says so."""
    nvml(T4, H100_IN_PIECES)

    assert [(one.index, one.name, one.mig) for one in fact(look(driver)).devices] == [(0, "Tesla T4", False), (1, "NVIDIA H100 80GB HBM3", True)]


def test_an_architecture_without_a_name_is_left_empty(nvml: Nvml, look: Look) -> None:
    """A device younger than nvidia-ml-py, or one NVML itself calls unknown, has no architecture's name and all else."""
    nvml("NVIDIA Next|14|0|200000|01|77|off", "NVIDIA Odd|9|0|200000|02|4294967295|off")

    assert [one.architecture for one in fact(look(driver)).devices] == ["", ""]


def test_a_driver_without_devices_is_a_driver(nvml: Nvml, look: Look) -> None:
    """A container that was given the library and no device has a driver, and its list is empty."""
    nvml()

    assert fact(look(driver)).devices == ()


def test_an_old_driver_answers_without_the_newer_functions(nvml: Nvml, look: Look) -> None:
    """Functions that drivers of 2018 lack are not needed for the facts that count."""
    nvml("Tesla P100-PCIE-16GB|6|0|16280|04|4|-", flags=("-DOLD_DRIVER",), DRIVER="390.157", CUDA="9010")

    found = fact(look(driver))

    assert (found.version, found.cuda) == ("390.157", (9, 1))
    assert (found.devices[0].architecture, found.devices[0].mig, found.devices[0].compute_capability) == ("", False, (6, 0))


def test_cuda_is_asked_a_second_way_where_libcuda_is_missing(nvml: Nvml, look: Look) -> None:
    """A container with the capability `utility` has NVML without libcuda: code 12 from the newer function is not the end."""
    nvml(T4, REFUSE="nvmlSystemGetCudaDriverVersion_v2=12")

    assert fact(look(driver)).cuda == (12, 4)


def test_an_integrated_gpu_has_no_memory_and_no_bus_of_its_own(nvml: Nvml, look: Look) -> None:
    """What NVML does not support on a GB10 or an Orin is left empty, and the device is described all the same."""
    nvml("NVIDIA GB10|12|1|0|00|10|-", REFUSE="nvmlDeviceGetMemoryInfo=3;nvmlDeviceGetPciInfo_v3=3")

    (device,) = fact(look(driver)).devices

    assert (device.name, device.compute_capability, device.memory_mib, device.pci) == ("NVIDIA GB10", (12, 1), 0, "")


def test_a_device_that_this_user_may_not_touch_is_left_out(nvml: Nvml, look: Look) -> None:
    """NVML counts devices that the job's cgroup denies; the others keep their index."""
    nvml(T4, T4, T4, REFUSE="nvmlDeviceGetHandleByIndex_v2@1=4")

    assert [one.index for one in fact(look(driver)).devices] == [0, 2]


@pytest.mark.parametrize(("code", "words"), [("2", "Invalid Argument"), ("15", "GPU is lost"), ("28", "Unknown Error")])
def test_a_device_that_vanished_since_it_was_counted_is_a_failure_with_its_number(nvml: Nvml, look: Look, code: str, words: str) -> None:
    """Neither a shorter list, as if it had never been there, nor a traceback."""
    nvml(T4, T4, REFUSE=f"nvmlDeviceGetHandleByIndex_v2@1={code}")

    answer = look(driver)

    assert answer.status == "failed"
    assert f"RuntimeError: NVML counts 2 device(s), and of device 1 it says: {words}" == answer.reason


def test_a_device_lost_while_it_is_described_is_a_failure(nvml: Nvml, look: Look) -> None:
    """Also in a question whose answer may be missing: a lost device is not one that lacks MIG."""
    nvml(T4, REFUSE="nvmlDeviceGetMigMode@0=15")

    answer = look(driver)

    assert (answer.status, answer.reason.endswith("of device 0 it says: GPU is lost")) == ("failed", True)


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        ("9", "absent", "the NVIDIA driver is installed but not loaded"),
        ("18", "failed", f"RuntimeError: {MISMATCH}"),
        ("999", "failed", "NVMLError_Unknown: Unknown Error"),
        ("4", "failed", "NVMLError_NoPermission: Insufficient Permissions"),
        ("17", "failed", "NVMLError_OperatingSystem: The operating system has blocked the request."),
    ],
)
def test_what_nvml_refuses_at_its_start_is_told_in_its_words(nvml: Nvml, look: Look, code: str, status: str, reason: str) -> None:
    """Only a driver that is not loaded is absence; the rest went wrong."""
    nvml(T4, REFUSE=f"nvmlInitWithFlags={code}")

    answer = look(driver)

    assert (status, reason) == (answer.status, answer.reason)


def test_a_shutdown_that_fails_spoils_nothing(nvml: Nvml, look: Look) -> None:
    """What was learnt before it stands."""
    nvml(T4, REFUSE="nvmlShutdown=999")

    assert fact(look(driver)).devices[0].name == "Tesla T4"


def test_a_driver_that_hangs_is_a_timeout(nvml: Nvml, look: Look) -> None:
    """An NVML that never comes back costs the probe's limit and nothing more."""
    nvml(T4, INIT="hang")

    answer = look(driver, timeout=1)

    assert (answer.status, answer.reason) == ("timeout", "no answer within 1 s")


def test_a_driver_that_kills_its_caller_is_a_crash(nvml: Nvml, look: Look) -> None:
    """A segmentation fault inside the library is an outcome of the driver."""
    nvml(T4, INIT="crash")

    answer = look(driver)

    assert (answer.status, answer.reason) == ("crashed", "the process was killed by SIGSEGV")


@pytest.mark.parametrize("content", [b"", b"not a library\n"])
def test_a_broken_library_is_not_called_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, look: Look, content: bytes) -> None:
    """Images ship an empty libnvidia-ml.so.1 that the runtime mounts over: pynvml calls both `not found`."""
    if not sys.platform.startswith("linux"):
        pytest.skip("the loader's words are known for Linux")
    (tmp_path / "libnvidia-ml.so.1").write_bytes(content)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))

    answer = look(driver)

    assert answer.status == "failed"
    assert "is here and cannot be loaded" in answer.reason


def test_no_library_is_no_driver(look: Look) -> None:
    """On a machine without NVIDIA's driver the answer is absence, with the reason."""
    try:
        ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        answer = look(driver)
        assert (answer.status, answer.reason) == ("absent", "no NVIDIA driver: its library libnvidia-ml is not on this machine")
    else:
        pytest.skip("this machine has an NVIDIA driver")


def test_without_nvidia_ml_py_nothing_is_claimed_of_the_driver(stand_in: Callable[..., str], look: Look) -> None:
    """No module pynvml: absent, because it could not be asked."""
    stand_in("pynvml", "raise ModuleNotFoundError(\"No module named 'pynvml'\", name='pynvml')")

    answer = look(driver)

    assert (answer.status, answer.reason) == ("absent", "nvidia-ml-py is not installed, so NVML cannot be asked")


def test_a_broken_nvidia_ml_py_is_a_failure(stand_in: Callable[..., str], look: Look) -> None:
    """A pynvml that is there and cannot be imported is not called missing."""
    stand_in("pynvml", "import a_module_that_is_not_there")

    answer = look(driver)

    assert (answer.status, answer.reason) == ("failed", "ModuleNotFoundError: No module named 'a_module_that_is_not_there'")


def test_a_cpu_build_of_torch_beside_a_t4_is_not_ready(nvml: Nvml, check: Callable[..., Any]) -> None:
    """The whole program: IVD101 is an error, the T4 is a place that torch cannot reach, and the exit code is 1."""
    pytest.importorskip("torch")
    nvml(T4, DRIVER="550.54.15", CUDA="12040")

    done = check()

    subjects, places = done.report["subjects"], done.report["places"]
    if "cuda" in subjects["torch"]["fact"]:
        pytest.skip("this torch is built with CUDA")
    assert (done.code, done.report["verdict"]) == (1, "not-ready")
    assert ("IVD101", "error") in [(one["code"], one["severity"]) for one in done.report["findings"]]
    assert [(one["name"], one["kind"]) for one in places] == [("cpu", "cpu"), ("cuda:0", "cuda")]
    assert places[1]["title"] == "Tesla T4"
    unreached = [one for one in subjects["precision"] + subjects["mismatch"] if one["place"] == "cuda:0"]
    assert [one["status"] for one in unreached] == ["absent", "absent"]
    assert all("cannot reach Tesla T4" in one["reason"] for one in unreached)


def test_a_driver_that_crashes_leaves_the_rest_of_the_report(nvml: Nvml, check: Callable[..., Any]) -> None:
    """The whole program: nobody knows whether a GPU is here, so the answer is undetermined, and everything else was looked at."""
    pytest.importorskip("torch")
    nvml(T4, INIT="crash")

    done = check()

    certain_no = any(one["severity"] == "error" for one in done.report["findings"])  # an old torch without float16, say
    assert (done.code, done.report["verdict"]) == ((1, "not-ready") if certain_no else (3, "undetermined"))
    assert done.report["subjects"]["driver"]["status"] == "crashed"
    assert done.report["subjects"]["mismatch"][0]["status"] == "ok"
