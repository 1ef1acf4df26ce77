"""IVD1xx: what is installed, and whether the pieces fit."""

import pytest

from ivdoctor.facts import Device, NvmlDevice, Package, Torch, Version
from ivdoctor.finding import Finding, Severity
from ivdoctor.rules.ivd1xx import (
    cpu_build_beside_a_gpu,
    dead_pynvml_package,
    devices_hidden,
    driver_older_than_torch,
    no_code_for_the_device,
    package_metadata_broken,
    package_shadowed,
    precision_variable_set,
    torch_sees_no_device,
)
from ivdoctor.tables import table
from ivdoctor.testing import (
    a_device,
    a_driver,
    a_gpu,
    a_place,
    a_torch,
    a_torch_without_cuda,
    an_environ,
    an_nvml_device,
    findings,
    some_packages,
    verdict,
)

T4 = an_nvml_device("sm_75", "Tesla T4")
ROCM = a_torch(cuda=None, hip=Version("6.2.41134"), arch_list=("gfx90a", "gfx942", "gfx1030"))


def only_a_command(finding: Finding) -> bool:
    """Whether every way out is outside the caller's code, and was not tried: no cast, no change of dtype."""
    return bool(finding.fixes) and all(not (fix.code or fix.diff) and fix.trial.status == "not-tried" and fix.trial.reason for fix in finding.fixes)


def test_ivd101_fires_on_a_build_without_cuda_beside_a_device() -> None:
    """It names the build, the device and the newest CUDA the driver runs, and advises another build, not another dtype."""
    (found,) = findings(cpu_build_beside_a_gpu, a_torch_without_cuda(), a_driver(T4))
    assert found.severity is Severity.ERROR
    assert found.message == "torch 2.6.0+cpu is built without CUDA, so Tesla T4 cannot be used"
    assert "torch.version.cuda = None" in found.evidence
    assert found.fixes[0].kind == "command"
    assert found.fixes[0].title == "Install torch 2.14 built for cu126, the newest that has code for it and that the driver runs"
    assert only_a_command(found)


def test_ivd101_fires_once_for_equal_devices_and_names_each_kind() -> None:
    """Two T4 and one A100 are one finding with two names."""
    (found,) = findings(cpu_build_beside_a_gpu, a_torch_without_cuda(), a_driver(T4, T4, an_nvml_device()))
    assert "NVIDIA A100-SXM4-80GB, Tesla T4 cannot be used" in found.message


@pytest.mark.parametrize(
    ("torch", "devices"), [(a_torch(), (T4,)), (ROCM, (T4,)), (a_torch_without_cuda(), ())], ids=["cuda build", "rocm build", "no device"]
)
def test_ivd101_silent_where_the_build_is_no_cpu_build_or_there_is_no_device(torch: Torch, devices: tuple[NvmlDevice, ...]) -> None:
    """A build for an accelerator is no CPU build, and a driver alone is no GPU."""
    assert findings(cpu_build_beside_a_gpu, torch, a_driver(devices=devices)) == []


def test_ivd102_fires_when_the_builds_cuda_is_of_a_newer_major() -> None:
    """It says both releases; the ways out are a driver or a build, in that order."""
    (found,) = findings(driver_older_than_torch, a_torch(version="2.13.0+cu130", cuda=(13, 0), cuda_available=False), a_driver())
    assert found.severity is Severity.ERROR
    assert found.category == "neg-driver-runtime"
    assert found.message == "torch 2.13.0+cu130 is built for CUDA 13.0; the driver 550.54.15 runs up to CUDA 12.4"
    assert [fix.title for fix in found.fixes] == [
        "Update the driver to one for CUDA 13, 580 or newer on Linux",
        "Install torch 2.14 built for cu126, the newest that has code for it and that the driver runs",
    ]
    assert only_a_command(found)


@pytest.mark.parametrize(
    "torch",
    [
        a_torch(cuda=(12, 8), cuda_available=False),
        a_torch(version="2.9.1+cu126", cuda=None, cuda_available=False),
        a_torch(cuda=(11, 8)),
        a_torch(cuda=(13, 0)),
        a_torch_without_cuda(),
        ROCM,
    ],
    ids=["newer minor", "newer minor by its version", "older major", "newer major that works", "no cuda", "rocm"],
)
def test_ivd102_silent_within_a_major_and_where_torch_sees_the_device(torch: Torch) -> None:
    """A release runs on any driver of its own major; with the compatibility package an older driver works too."""
    assert findings(driver_older_than_torch, torch, a_driver()) == []


@pytest.mark.parametrize(("cuda", "built"), [((13, 0), "torch.version.cuda = 13.0"), (None, "torch.version.cuda = None, and the version names 13.0")])
def test_ivd102_fires_by_the_versions_tag_where_torch_does_not_tell_its_cuda(cuda: tuple[int, int] | None, built: str) -> None:
    """`2.9.1+cu130` is a build for CUDA 13.0, whatever `torch.version.cuda` says; it is no build without CUDA, so IVD101 has nothing to say."""
    torch = a_torch(version="2.9.1+cu130", cuda=cuda, cuda_available=False)
    (found,) = findings(driver_older_than_torch, torch, a_driver())
    assert found.message == "torch 2.9.1+cu130 is built for CUDA 13.0; the driver 550.54.15 runs up to CUDA 12.4"
    assert found.evidence == (built, "NVML: CUDA 12.4", "torch.cuda.is_available() = False")
    assert findings(cpu_build_beside_a_gpu, torch, a_driver()) == []


def test_ivd102_silent_with_a_driver_of_the_same_major() -> None:
    """And there is nothing to see for a driver without a device."""
    torch = a_torch(version="2.9.1+cu130", cuda=None, cuda_available=False)
    assert findings(driver_older_than_torch, torch, a_driver(cuda=(13, 0))) == []
    assert findings(driver_older_than_torch, torch, a_driver(devices=())) == []


def test_ivd103_fires_when_the_build_has_no_code_for_an_nvidia_device() -> None:
    """An RTX 5090 under torch 2.6.0+cu124: the way out is another build, never a cast."""
    (found,) = findings(no_code_for_the_device, a_torch(), a_place("sm_120", "NVIDIA GeForce RTX 5090"))
    assert found.severity is Severity.ERROR
    assert found.category == "cuda-arch-mismatch"
    assert found.place == "cuda:0"
    assert found.message == "torch 2.6.0+cu124 has no code for NVIDIA GeForce RTX 5090 (sm_120)"
    assert "sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90" in found.evidence[0]
    assert found.evidence[1].startswith("a build must list sm_120, or PTX of an older one; published: ")
    assert only_a_command(found)


def test_ivd103_fires_when_the_build_has_no_code_for_an_amd_device() -> None:
    """On ROCm the whole identifier must be in the list: gfx1031 does not run gfx1030 code."""
    (found,) = findings(no_code_for_the_device, ROCM, a_place("gfx1031", "AMD Radeon RX 6700 XT"))
    assert "AMD Radeon RX 6700 XT (gfx1031)" in found.message
    assert only_a_command(found)


@pytest.mark.parametrize(
    ("identifier", "names"),
    [("sm_61", "sm_60 or sm_61"), ("sm_89", "sm_80 or sm_86 or sm_89"), ("sm_121", "sm_120 or sm_121")],
)
def test_ivd103_fires_with_every_name_a_build_may_list(identifier: str, names: str) -> None:
    """No build lists sm_61 or sm_89: who looks for them looks in vain."""
    (found,) = findings(no_code_for_the_device, a_torch(arch_list=("sm_75",)), a_place(identifier, "a device"))
    assert found.evidence[1].startswith(f"a build must list {names}, or PTX of an older one; published: cu")


@pytest.mark.parametrize(("identifier", "torch"), [("sm_61", a_torch()), ("sm_89", a_torch()), ("gfx942", ROCM), ("sm_120", a_torch(arch_list=()))])
def test_ivd103_silent_where_the_build_runs_or_says_nothing(identifier: str, torch: Torch) -> None:
    """sm_60 code runs on 6.1, sm_86 code on 8.9; a build without a list is not judged."""
    assert findings(no_code_for_the_device, torch, a_place(identifier, "a device")) == []


@pytest.mark.parametrize(("identifier", "torch"), [("cpu", a_torch()), ("mps", a_torch()), ("gfx942", a_torch()), ("sm_75", ROCM)])
def test_ivd103_silent_where_the_list_is_about_other_devices(identifier: str, torch: Torch) -> None:
    """A list of NVIDIA architectures says nothing of a CPU, of Metal or of an AMD device."""
    assert findings(no_code_for_the_device, torch, a_place(identifier, "a device")) == []


def test_ivd104_fires_when_everything_fits_and_torch_sees_nothing() -> None:
    """The driver lists a device, the build fits it, nothing hides it: the runtime withholds it."""
    (found,) = findings(torch_sees_no_device, a_torch(cuda_available=False), a_driver(T4), an_environ())
    assert found.severity is Severity.ERROR
    assert found.category == "neg-driver-runtime"
    assert found.message == "the driver 550.54.15 lists 1 device(s), and torch 2.6.0+cu124 sees none"
    assert "NVML: Tesla T4" in found.evidence
    assert found.fixes[0].kind == "setting"
    assert only_a_command(found)


def test_ivd104_fires_where_only_the_version_tells_the_cuda_of_the_build() -> None:
    """`+cu130` on a driver for CUDA 13.0 fits, and torch sees nothing."""
    torch = a_torch(version="2.9.1+cu130", cuda=None, cuda_available=False)
    (found,) = findings(torch_sees_no_device, torch, a_driver(cuda=(13, 0)), an_environ())
    assert "torch 2.9.1+cu130 sees none" in found.message
    assert findings(torch_sees_no_device, torch, a_driver(), an_environ()) == []


@pytest.mark.parametrize(
    ("torch", "devices", "variables"),
    [
        (a_torch(), (T4,), {}),
        (a_torch_without_cuda(), (T4,), {}),
        (a_torch(cuda_available=False), (), {}),
        (a_torch(cuda_available=False), (T4,), {"CUDA_VISIBLE_DEVICES": "-1"}),
        (a_torch(cuda=(13, 0), cuda_available=False), (T4,), {}),
    ],
    ids=["seen", "IVD101's", "no device", "IVD105's", "IVD102's"],
)
def test_ivd104_silent_where_another_rule_knows_why(torch: Torch, devices: tuple[NvmlDevice, ...], variables: dict[str, str]) -> None:
    """One cause, one finding: a CPU build, a hidden device and an old driver have rules of their own."""
    assert findings(torch_sees_no_device, torch, a_driver(devices=devices), an_environ(variables)) == []


@pytest.mark.parametrize("value", ["", " ", "-1", "-1,0"])
def test_ivd105_fires_when_the_variable_leaves_no_device(value: str) -> None:
    """CUDA stops at the first entry that is no device, so `-1,0` hides everything too."""
    (found,) = findings(devices_hidden, an_environ({"CUDA_VISIBLE_DEVICES": value}), a_driver(T4, T4))
    assert found.severity is Severity.WARNING
    assert found.message == "CUDA_VISIBLE_DEVICES hides all 2 device(s)"
    assert found.evidence == (f"CUDA_VISIBLE_DEVICES={value!r}",)
    assert found.fixes[0].command == "unset CUDA_VISIBLE_DEVICES"
    assert only_a_command(found)


@pytest.mark.parametrize("variables", [{}, {"CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": "1,-1"}, {"HIP_VISIBLE_DEVICES": "-1"}])
def test_ivd105_silent_where_a_device_is_left(variables: dict[str, str]) -> None:
    """An index before the -1 stays visible, and another vendor's variable hides no NVIDIA device."""
    assert findings(devices_hidden, an_environ(variables), a_driver(T4, T4)) == []


def test_ivd105_silent_where_there_is_nothing_to_hide() -> None:
    """A driver without devices has none to hide."""
    assert findings(devices_hidden, an_environ({"CUDA_VISIBLE_DEVICES": "-1"}), a_driver(devices=())) == []


def test_ivd106_fires_on_the_deprecated_package() -> None:
    """The command takes it out and puts back the package whose module it overwrites."""
    (found,) = findings(dead_pynvml_package, some_packages({"pynvml": "11.5.3", "nvidia-ml-py": "12.575.51"}))
    assert found.severity is Severity.NOTE
    assert "pynvml 11.5.3" in found.message
    assert found.evidence == ("pynvml 11.5.3", "nvidia-ml-py 12.575.51")
    assert found.fixes[0].command == "pip uninstall -y pynvml && pip install --force-reinstall nvidia-ml-py"
    assert only_a_command(found)


def test_ivd106_silent_with_the_right_package_alone() -> None:
    """The module pynvml of nvidia-ml-py is the right one."""
    assert findings(dead_pynvml_package, some_packages({"nvidia-ml-py": "12.575.51"})) == []


def test_ivd107_fires_on_every_hidden_copy() -> None:
    """It says which version is imported and which is not."""
    copies = (Package(name="numpy", version=Version("1.26.4")), Package(name="torch", version=Version("2.2.0")))
    numpy, torch = findings(package_shadowed, some_packages(shadowed=copies))
    assert numpy.severity is Severity.WARNING
    assert numpy.message == "numpy is installed twice: 2.4.6 is imported, 1.26.4 is hidden behind it"
    assert "2.6.0+cu124 is imported, 2.2.0 is hidden" in torch.message
    assert only_a_command(numpy)


def test_ivd107_silent_with_one_copy_of_each() -> None:
    """Nothing is shadowed on a healthy machine."""
    assert findings(package_shadowed, some_packages()) == []


def test_ivd108_fires_on_a_torn_install() -> None:
    """It names the folder, because the package's name is what cannot be read."""
    (found,) = findings(package_metadata_broken, some_packages(broken=("torch-2.6.0.dist-info",)))
    assert found.severity is Severity.WARNING
    assert found.message == "the metadata in torch-2.6.0.dist-info has no name or version"
    assert found.fixes[0].title == "Install the package again"
    assert only_a_command(found)


def test_ivd108_silent_when_all_metadata_is_whole() -> None:
    """Nothing is broken on a healthy machine."""
    assert findings(package_metadata_broken, some_packages()) == []


def test_ivd109_fires_on_every_variable_that_changes_precision() -> None:
    """Value, meaning and source are the table's."""
    found = findings(precision_variable_set, an_environ({"NVIDIA_TF32_OVERRIDE": "0", "ONEDNN_MAX_CPU_ISA": "AVX2"}))
    assert [one.severity for one in found] == [Severity.NOTE, Severity.NOTE]
    row = next(row for row in table("environ") if row["name"] == "NVIDIA_TF32_OVERRIDE")
    assert found[0].message == f"NVIDIA_TF32_OVERRIDE=0: {row['meaning']}"
    assert found[0].evidence == (f"{row['source']} ({row['date']})",)
    assert found[1].fixes[0].command == "unset ONEDNN_MAX_CPU_ISA"
    assert only_a_command(found[0])


def test_ivd109_silent_on_variables_that_choose_devices() -> None:
    """CUDA_VISIBLE_DEVICES changes where something runs, not how precisely."""
    assert findings(precision_variable_set, an_environ({"CUDA_VISIBLE_DEVICES": "0"})) == []


@pytest.mark.parametrize("device", [None, a_device("sm_75", "Tesla T4")])
def test_a_machine_without_a_driver_is_not_asked_about_drivers(device: Device | None) -> None:
    """Skipped with the missing fact's name, never passed."""
    gpu = a_gpu(*([device] if device else []))
    for rule in (cpu_build_beside_a_gpu, driver_older_than_torch, torch_sees_no_device, devices_hidden):
        assert "driver: no probe gave it" in verdict(rule, a_torch(), an_environ(), gpu).skipped
