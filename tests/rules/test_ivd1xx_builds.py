"""IVD1xx: which build of torch to install, for a device that is here and for one that is not."""

import re
from collections.abc import Iterator

import pytest

from ivdoctor.builds import build, carriers, machine_of, runs_on, usual
from ivdoctor.facts import Driver, Place, Torch, release
from ivdoctor.finding import Finding, Fix, Severity
from ivdoctor.rule import Rule
from ivdoctor.rules.ivd1xx import (
    build_for_other_hardware,
    cpu_build_beside_a_gpu,
    driver_older_than_torch,
    newest_torch_lacks_the_device,
    no_code_for_the_device,
    torch_sees_no_device,
)
from ivdoctor.tables import capabilities, table
from ivdoctor.targets import target
from ivdoctor.testing import (
    a_driver,
    a_place,
    a_precision,
    a_torch,
    a_torch_without_cuda,
    an_environ,
    an_nvml_device,
    an_operation,
    findings,
    verdict,
)
from ivdoctor.wheels import carries

CU130 = a_torch(version="2.9.1+cu130", cuda=(13, 0), cuda_available=False)
INDEX = "https://download.pytorch.org/whl/"
NEWEST = table("torch_releases")[-1]["torch"]
NONE_KNOWN = "No published build of torch is known to have code for it: take one of its maker's, or build torch from source"

CASTS = re.compile(r"\.(?:to|half|float|bfloat16|type)\(|dtype|autocast")
"""What a change of dtype looks like in code."""


def a_machine(identifier: str, title: str, cuda: tuple[int, int]) -> Driver:
    """One device and a driver for this CUDA."""
    return a_driver(an_nvml_device(identifier, title), cuda=cuda)


def brings(fix: Fix, machine: str = "x86_64") -> Torch:
    """The build that a command installs."""
    found = re.fullmatch(rf'pip install --force-reinstall (?:torch|"torch==([0-9.]+)\.\*") --index-url {INDEX}([a-z0-9.]+)', fix.command)
    assert found, fix.command
    return build(f"{found[1] or NEWEST}+{found[2]}", machine)


BUILDS = [
    ("sm_61", "Tesla P40", (12, 4), "cu126", "2.14"),
    ("sm_61", "Tesla P40", (11, 4), "cu118", "2.7"),
    ("sm_70", "Tesla V100-SXM2-32GB", (12, 4), "cu126", "2.14"),
    ("sm_70", "Tesla V100-SXM2-32GB", (13, 0), "cu126", "2.14"),
    ("sm_37", "Tesla K80", (11, 4), "cu118", "2.7"),
    ("sm_75", "Tesla T4", (12, 2), "cu126", "2.14"),
    ("sm_120", "NVIDIA GeForce RTX 5090", (12, 8), "cu129", "2.13"),
]
"""The newest torch with code for the device, whose build is not for a newer major version than the driver."""


@pytest.mark.parametrize(("identifier", "title", "cuda", "tag", "version"), BUILDS)
def test_ivd101_ivd102_and_ivd103_fire_with_the_same_build(identifier: str, title: str, cuda: tuple[int, int], tag: str, version: str) -> None:
    """For CUDA 12.6 on a driver for 12.4: of the same major version; never a newer one, and pinned where newer torch has dropped the device."""
    driver = a_machine(identifier, title, cuda)
    told = [
        findings(cpu_build_beside_a_gpu, a_torch_without_cuda(), driver),
        findings(driver_older_than_torch, CU130, driver) if cuda < (13, 0) else [],
        findings(no_code_for_the_device, a_torch(arch_list=("sm_100",)), a_place(identifier, title), driver),
    ]
    fixes = [one.fixes[-1] for found in told for one in found]
    assert len(fixes) == (3 if cuda < (13, 0) else 2)
    assert {fix.title for fix in fixes} == {f"Install torch {version} built for {tag}, the newest that has code for it and that the driver runs"}
    assert {fix.command for fix in fixes} == {f'pip install --force-reinstall "torch=={version}.*" --index-url {INDEX}{tag}'}


def test_ivd101_fires_with_the_newest_torch_where_nothing_is_in_its_way() -> None:
    """An RTX 5090 with a driver for CUDA 13: not pinned, so that the next release is taken as well."""
    newest = usual(carriers((12, 0)))
    assert newest
    assert newest.latest
    (found,) = findings(cpu_build_beside_a_gpu, a_torch_without_cuda(), a_machine("sm_120", "NVIDIA GeForce RTX 5090", (13, 0)))
    assert found.fixes[0].command == f"pip install --force-reinstall torch --index-url {INDEX}{newest.build}"


@pytest.mark.parametrize("identifier", ["sm_35", "sm_87"])
def test_ivd101_and_ivd103_fire_without_a_build_where_none_is_known(identifier: str) -> None:
    """A K40 is older than any list, and a Jetson Orin runs nothing but its own code: the selector on pytorch.org would not help."""
    (beside,) = findings(cpu_build_beside_a_gpu, a_torch_without_cuda(), a_machine(identifier, "a device", (12, 4)))
    (lacking,) = findings(no_code_for_the_device, a_torch(), a_place(identifier, "a device"))
    assert {fix.title for one in (beside, lacking) for fix in one.fixes} == {NONE_KNOWN}
    assert not any(fix.command for one in (beside, lacking) for fix in one.fixes)
    assert lacking.evidence[1].endswith("published: none known")


def test_ivd101_fires_with_another_driver_where_this_one_runs_no_build_for_the_device() -> None:
    """No build for CUDA 11 has code for an RTX 5090: to install one would change nothing."""
    (found,) = findings(cpu_build_beside_a_gpu, a_torch_without_cuda(), a_machine("sm_120", "NVIDIA GeForce RTX 5090", (11, 4)))
    (fix,) = found.fixes
    assert (fix.kind, fix.command) == ("hardware", "")
    assert fix.title == "Update the driver to one for CUDA 12 or newer: this one runs no build that has code for the device"


def test_ivd101_fires_with_a_build_for_the_oldest_of_several_devices() -> None:
    """A P40 beside an A100: what carries the A100 alone leaves the P40 out."""
    driver = a_driver(an_nvml_device(), an_nvml_device("sm_61", "Tesla P40"), cuda=(13, 0))
    (found,) = findings(cpu_build_beside_a_gpu, a_torch_without_cuda(), driver)
    assert carries(brings(found.fixes[0]).arch_list, (6, 1))
    assert carries(brings(found.fixes[0]).arch_list, (8, 0))


def test_ivd103_fires_with_a_build_for_rocm_where_the_device_is_amds() -> None:
    """The driver of an NVIDIA device beside it says nothing of it."""
    rocm = build("2.6+rocm6.2.4")
    (found,) = findings(no_code_for_the_device, rocm, a_place("gfx1200", "AMD Radeon RX 9060 XT"), a_driver(cuda=(11, 4)))
    assert "gfx1200" in brings(found.fixes[0]).arch_list
    assert "driver" not in found.fixes[0].title


@pytest.mark.parametrize(("name", "version", "told"), [("P40", "2.11", "Tesla P40 (sm_61)"), ("RTX 5090", "2.6+cu124", "GeForce RTX 5090 (sm_120)")])
def test_ivd103_fires_on_a_target_whose_torch_is_only_supposed(name: str, version: str, told: str) -> None:
    """What pip brings today has dropped Pascal, and CUDA 12.4 is older than Blackwell; no driver is known there."""
    place = target(name)
    (found,) = findings(no_code_for_the_device, build(version), place)
    assert found.severity is Severity.ERROR
    assert found.message == f"torch {build(version).version} has no code for {told}"
    assert place.compute_capability
    assert carries(brings(found.fixes[0]).arch_list, place.compute_capability)
    assert "driver" not in found.fixes[0].title


def test_ivd103_fires_on_a_target_named_by_its_architecture_without_saying_it_twice() -> None:
    """Where title and architecture are one."""
    (found,) = findings(no_code_for_the_device, build("2.11"), target("sm_61"))
    assert found.message == "torch 2.11.0+cu130 has no code for sm_61"


@pytest.mark.parametrize(("name", "version"), [("T4", "2.6+cu124"), ("P40", "2.11+cu126"), ("RTX 5090", "2.7+cu128"), ("MI300X", "2.6+rocm6.2.4")])
def test_ivd103_and_ivd110_are_silent_on_a_target_that_the_build_carries(name: str, version: str) -> None:
    """sm_75 is in the build for CUDA 12.4, and older devices are still in that for CUDA 12.6."""
    for rule in (no_code_for_the_device, build_for_other_hardware):
        assert findings(rule, build(version), target(name)) == []


@pytest.mark.parametrize(
    ("name", "version", "needs"),
    [("T4", "2.6+cpu", "CUDA"), ("T4", "2.6+rocm6.2.4", "CUDA"), ("MI300X", "2.6+cu124", "ROCm"), ("RX 6800", "2.6+cpu", "ROCm")],
)
def test_ivd110_fires_on_a_build_for_the_cpu_or_another_vendor(name: str, version: str, needs: str) -> None:
    """The fix names a build for the device, and the evidence which there are."""
    place = target(name)
    (found,) = findings(build_for_other_hardware, build(version), place)
    assert (found.severity, found.category) == (Severity.ERROR, "cuda-arch-mismatch")
    assert found.message == f"torch {build(version).version} is not built for {needs}, which {place.title} needs"
    assert found.evidence[0].startswith("published builds with code for it: " + {"CUDA": "cu", "ROCm": "rocm"}[needs])
    fit = brings(found.fixes[0])
    assert bool(fit.hip) == (needs == "ROCm")
    assert findings(build_for_other_hardware, fit, place) == []


@pytest.mark.parametrize(
    "place", [target("zen3"), target("M2"), target("Arc B580"), a_place("sm_75", "Tesla T4"), a_place()], ids=lambda one: one.title
)
def test_ivd110_silent_away_from_targets_of_cuda_and_rocm(place: Place) -> None:
    """A build for the CPU is right on a CPU; a device that is here is IVD101's; and of Metal and of Intel the lists say nothing."""
    assert findings(build_for_other_hardware, a_torch_without_cuda(), place) == []


def machines() -> Iterator[Driver]:
    """Every compute capability of the tables and a newer one, with drivers old and new."""
    for major, minor in (*capabilities(), (14, 0)):
        for cuda in ((11, 4), (11, 8), (12, 2), (12, 4), (12, 8), (13, 0), (13, 2)):
            yield a_machine(f"sm_{major}{minor}", "a device", cuda)


def targets() -> Iterator[Place]:
    """A device of every architecture with a build of its own kind."""
    for row in table("architectures"):
        if row["id"].startswith(("sm_", "gfx")) and not row["match"]:
            yield target(row["id"])


MISSING: list[tuple[Rule, tuple[object, ...]]] = [
    *((rule, (torch, driver)) for driver in machines() for rule in (cpu_build_beside_a_gpu,) for torch in (a_torch_without_cuda(),)),
    *((driver_older_than_torch, (CU130, driver)) for driver in machines() if driver.cuda < (13, 0)),
    *((torch_sees_no_device, (a_torch(cuda=(11, 0), cuda_available=False), driver, an_environ())) for driver in machines()),
    *(
        (no_code_for_the_device, (a_torch(arch_list=("sm_10",)), a_place("sm_%d%d" % driver.devices[0].compute_capability, "a device"), driver))
        for driver in machines()
    ),
    *((no_code_for_the_device, (build("2.6+rocm6.2.4"), place)) for place in targets() if place.gfx not in {None, *build("2.6+rocm6.2.4").arch_list}),
    *((build_for_other_hardware, (build("2.6+cpu"), place)) for place in targets()),
]
"""Each rule about device code that is missing, where it has something to say."""


def unfit(rule: Rule, facts: tuple[object, ...], found: Finding) -> Iterator[str]:
    """What is wrong with its fixes: a cast, or a build that does not run there."""
    driver = next((one for one in facts if isinstance(one, Driver)), None)
    place = next((one for one in facts if isinstance(one, Place)), None)
    for fix in found.fixes:
        if fix.code or fix.diff or CASTS.search(fix.title):
            yield f"{rule.code}: {fix.title} {fix.code}"
        if fix.command:
            torch = brings(fix, machine_of(place) if place else "x86_64")
            capability = place.compute_capability if place else driver.devices[0].compute_capability if driver else None
            able = carries(torch.arch_list, capability) if capability else place is not None and place.gfx in torch.arch_list
            if not able or (driver and torch.cuda and not runs_on(torch.cuda, driver.cuda)):
                yield f"{rule.code}: {fix.command} on {driver or place}"


def test_no_rule_about_missing_device_code_ever_casts_or_names_a_build_that_does_not_run_there() -> None:
    """`no kernel image` is no matter of dtype: on every device of the tables, with drivers old and new."""
    asked = [(rule, facts, one) for rule, facts in MISSING for one in findings(rule, *facts)]
    assert {rule.code for rule, _, _ in asked} == {"IVD101", "IVD102", "IVD103", "IVD104", "IVD110"}
    assert len(asked) == len(MISSING)
    assert [wrong for rule, facts, found in asked for wrong in unfit(rule, facts, found)] == []


def test_a_cast_or_an_unfit_build_would_be_seen() -> None:
    """The check above can fail."""
    driver = a_machine("sm_61", "Tesla P40", (12, 4))
    (found,) = findings(cpu_build_beside_a_gpu, a_torch_without_cuda(), driver)
    (fix,) = found.fixes
    wrong: list[dict[str, str]] = [
        {"code": "model = model.half()"},
        {"title": "Cast the model .to(torch.float32)"},
        {"command": f"pip install --force-reinstall torch --index-url {INDEX}cu130"},
        {"command": f'pip install --force-reinstall "torch==2.11.*" --index-url {INDEX}cu128'},
    ]
    for change in wrong:
        fields = {"title": fix.title, "command": fix.command} | change
        bad = Finding(
            code=found.code,
            name=found.name,
            title=found.title,
            severity=found.severity,
            confidence=found.confidence,
            message=found.message,
            fixes=(Fix(trial=fix.trial, **fields),),  # type: ignore[arg-type]  # fields by name
        )
        assert list(unfit(cpu_build_beside_a_gpu, (driver,), bad)), change
    assert not list(unfit(cpu_build_beside_a_gpu, (driver,), found))


def test_a_run_that_worked_is_believed_on_a_device_without_code_too() -> None:
    """The list of a build may be read wrongly; what ran, ran."""
    place, torch = a_place("sm_61", "Tesla P40"), build("2.11")
    assert findings(no_code_for_the_device, torch, place, a_precision()) == []
    refused = a_precision(*(an_operation(one.dtype, one.name, "no kernel image") for one in a_precision().operations))
    assert [one.code for one in findings(no_code_for_the_device, torch, place, refused)] == ["IVD103"]


def test_the_newest_release_of_this_file_is_the_newest() -> None:
    """The table's last row."""
    assert release(NEWEST) == max(release(row["torch"]) for row in table("torch_releases"))


def test_without_a_torch_a_target_is_not_asked_about_its_build() -> None:
    """Skipped, never passed."""
    assert verdict(build_for_other_hardware, target("T4")).skipped == "torch: no probe gave it"


def test_ivd101_fires_with_a_build_for_every_device() -> None:
    """A T4 and an RTX 5090 under a driver for CUDA 12.8: not the newest for the T4 alone."""
    devices = (an_nvml_device("sm_75", "Tesla T4"), an_nvml_device("sm_120", "NVIDIA GeForce RTX 5090", index=1))
    (found,) = findings(cpu_build_beside_a_gpu, build("2.9+cpu"), a_driver(*devices, cuda=(12, 8)))
    assert "whl/cu129" in found.fixes[0].command
    (alone,) = findings(cpu_build_beside_a_gpu, build("2.9+cpu"), a_driver(devices[0], cuda=(12, 8)))
    assert "whl/cu126" in alone.fixes[0].command


@pytest.mark.parametrize(("name", "last", "index"), [("P40", "2.14", "cu126"), ("V100", "2.14", "cu126"), ("K80", "2.7", "cu118")])
def test_ivd111_fires_where_a_plain_install_would_bring_a_torch_without_code(name: str, last: str, index: str) -> None:
    """With the last torch that has it, pinned."""
    (found,) = findings(newest_torch_lacks_the_device, target(name))
    assert found.severity is Severity.WARNING
    assert found.message == f"the newest torch has no code for {target(name).label}; the last that has is {last}"
    (fix,) = found.fixes
    assert fix.command == f'pip install --force-reinstall "torch=={last}.*" --index-url {INDEX}{index}'


@pytest.mark.parametrize("name", ["T4", "RTX 5090", "GH200", "Thor", "MI300X", "RX 6800", "M2", "zen3", "Jetson AGX Orin", "TPU v4"])
def test_ivd111_silent_where_the_newest_has_it_or_no_build_is_known(name: str) -> None:
    """What nobody publishes is a gap, and what ROCm's newest builds carry is not known."""
    assert findings(newest_torch_lacks_the_device, target(name)) == []


def test_ivd111_silent_where_a_torch_was_named_or_is_here() -> None:
    """Then IVD103 asks that one."""
    assert findings(newest_torch_lacks_the_device, target("P40"), build("2.6+cu124")) == []
    assert findings(newest_torch_lacks_the_device, a_place("sm_61", "Tesla P40")) == []
