"""
Makes the snapshots of machines that were not at hand, from the recorded one and the tables.

`python tests/machines/make.py` writes them beside this file, after facts have changed; a test fails when one is stale.
What a hand-made snapshot is made from stands in its `origin`; what is not named there is the recorded machine's.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ivdoctor.facts import HALVES, Attempt, Cpu, Device, Driver, Mismatch, NvmlDevice, Packages, Precision, Torch, Version
from ivdoctor.outcome import Outcome, Status, known, subject_of
from ivdoctor.plugins import plugins
from ivdoctor.snapshot import Snapshot, load
from ivdoctor.testing import (
    OPERATIONS,
    a_device,
    a_driver,
    a_gpu,
    a_host,
    a_precision,
    a_torch,
    an_environ,
    an_nvml_device,
    an_operation,
    some_packages,
    switches,
)

HERE = Path(__file__).parent
RECORDED = "cpu"
NOT_RUN = "made by hand: not run"
KILLED = "the process was killed by SIGSEGV"
NO_KERNEL = (
    "RuntimeError: CUDA error: no kernel image is available for execution on the device\n"
    "CUDA kernel errors might be asynchronously reported at some other API call, so the stacktrace below might be incorrect.\n"
    "For debugging consider passing CUDA_LAUNCH_BLOCKING=1\n"
    "Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions."
)

CU128_SWITCHES = {
    "torch.backends.cuda.matmul.allow_tf32": "False",
    "torch.backends.cudnn.allow_tf32": "True",
    "torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction": "True",
    "torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction": "True",
    "torch.backends.cuda.matmul.allow_fp16_accumulation": "False",
    "torch.get_float32_matmul_precision()": "highest",
}

Facts = dict[type, Any]


class Maker:
    """Hand-made snapshots that differ from one recorded machine in what each of them names."""

    def __init__(self, recorded: Snapshot) -> None:
        self.recorded = recorded
        self.machine: Facts = dict(known(recorded.outcomes))
        self.cpu: Facts = dict(known(recorded.outcomes, "cpu"))

    def snapshot(self, origin: str, outcomes: Iterable[Outcome]) -> Snapshot:
        """The version and the day are the recorded snapshot's: its facts are what these are made of."""
        origin = f"made by hand from {RECORDED}.json and the tables: {origin}"
        return Snapshot(version=self.recorded.version, collected=self.recorded.collected, origin=origin, outcomes=tuple(outcomes))

    def machine_outcomes(self, *facts: object, **missing: tuple[Status, str]) -> Iterator[Outcome]:
        """The machine's own subjects: the recorded ones, then these facts, then what is missing by subject."""
        chosen = {subject_of(type(one)): one for one in (*self.machine.values(), *facts)}
        for subject in sorted({one.subject for one in self.recorded.outcomes if not one.place}):
            if subject in missing:
                status, reason = missing[subject]
                yield Outcome(subject=subject, status=status, reason=reason)
            elif subject in chosen:
                yield Outcome(subject=subject, status="ok", fact=chosen[subject])
            else:
                yield next(replace(one, seconds=0.0) for one in self.recorded.outcomes if one.subject == subject)

    def cpu_outcomes(self) -> Iterator[Outcome]:
        """The CPU's place: its operations as recorded."""
        yield from at("cpu", self.cpu[Precision])

    def torch(self, version: str, **changes: Any) -> tuple[Torch, Packages]:
        """A torch and the package that brought it."""
        others = {one.name: one.version for one in self.machine[Packages].installed}
        return a_torch(version=Version(version), **changes), some_packages(others | {"torch": version})

    def cu128(self) -> tuple[Torch, Packages]:
        """The first build for CUDA 12.8 that lost Pascal."""
        return self.torch(
            "2.8.0+cu128",
            cuda=(12, 8),
            cudnn=Version("9.10.2"),
            arch_list=("sm_70", "sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120"),
            switches=switches(CU128_SWITCHES),
        )

    def mac(self) -> Snapshot:
        """Another system altogether: of the recorded machine only the reproduction's text is left out, for nothing was run."""
        features = ("hw.optional.arm.FEAT_BF16", "hw.optional.arm.FEAT_FP16")
        chip = Cpu(name="Apple M2", vendor="Apple", microarchitecture="m2", cores=8, features=features)
        host = replace(a_host(), system="Darwin", release=Version("24.3.0"), machine="arm64", libc="", memory_mib=16384)
        torch, packages = self.torch("2.6.0", cuda=None, cudnn=None, arch_list=(), cuda_available=False, cpu_capability="DEFAULT", cpu_reports=())
        facts = (host, chip, a_gpu(a_device("mps", "Apple M2")), torch, packages)
        origin = "an Apple M2 with 16 GiB, macOS 15.3 and torch 2.6.0; every operation is said to work, bf16 by emulation"
        return self.snapshot(origin, [*self.machine_outcomes(*facts), *at("cpu", a_precision()), *at("mps", a_precision())])

    def gpu(
        self,
        origin: str,
        device: Device,
        nvml: NvmlDevice | None,
        precision: Precision,
        torch: tuple[Torch, Packages],
        *,
        count: int = 1,
        mismatch: Mismatch | None = None,
        driver: Driver | None = None,
    ) -> Snapshot:
        """A machine with one kind of accelerator, which its torch can reach."""
        gpu = a_gpu(*(replace(device, index=index, pci=f"0000:{59 + index:02x}:00") for index in range(count)))
        facts: list[object] = [gpu, *torch]
        if nvml:
            listed = tuple(replace(nvml, index=index, pci=f"0000:{59 + index:02x}:00") for index in range(count))
            facts.append(replace(driver or a_driver(), devices=listed))
        outcomes = [*self.machine_outcomes(*facts), *self.cpu_outcomes(), *at("cuda:0", precision, mismatch)]
        return self.snapshot(origin, outcomes)

    def unreached(self, origin: str, torch: tuple[Torch, Packages]) -> Snapshot:
        """A machine whose driver lists a T4, and whose torch does not reach it."""
        outcomes = self.machine_outcomes(a_gpu(), a_driver(T4_NVML), *torch)
        reason = f"torch {torch[0].version} cannot reach {T4_NVML.name}"
        return self.snapshot(origin, [*outcomes, *self.cpu_outcomes(), *nowhere("cuda:0", reason)])


def at(place: str, precision: Precision, mismatch: Mismatch | None = None) -> Iterator[Outcome]:
    """What was looked at in one place; without a reproduction, that it was not run."""
    for subject in ("amp", "cast"):
        yield Outcome(subject=subject, status="absent", place=place, reason=NOT_RUN)
    if mismatch:
        yield Outcome(subject="mismatch", status="ok", place=place, fact=mismatch)
    else:
        yield Outcome(subject="mismatch", status="absent", place=place, reason=NOT_RUN)
    yield Outcome(subject="precision", status="ok", place=place, fact=precision)


def nowhere(place: str, reason: str) -> Iterator[Outcome]:
    """A place that nothing was tried at."""
    for subject in ("amp", "cast", "mismatch", "precision"):
        yield Outcome(subject=subject, status="absent", place=place, reason=reason)


T4_NVML = an_nvml_device("sm_75", "Tesla T4", architecture="Turing", memory_mib=15360)
T4 = a_device("sm_75", "Tesla T4", memory_mib=15095)
EMULATED = a_precision(bf16_flag=True, bf16_flag_native=False)
NATIVE = a_precision(bf16_flag=True, bf16_flag_native=True)


def no_image(*, native: bool) -> Precision:
    """Operations on a device that the build has no code for."""
    refused = [an_operation(dtype, name, NO_KERNEL) for name in OPERATIONS for dtype in HALVES]
    return a_precision(*refused, bf16_flag=True, bf16_flag_native=native)


def nothing_ran(recorded: Mismatch) -> Mismatch:
    """The same attempts, each refused before anything of the model was reached."""
    said = NO_KERNEL.splitlines()[0]
    error, _, message = said.partition(": ")
    attempt = Attempt(status="raised", error=error, message=message)
    kept = {"fp32/fp32": replace(recorded.cells[1].attempt, message=message, origin=None)}
    cells = tuple(replace(one, attempt=kept.get(one.case, attempt)) for one in recorded.cells)
    trials = [
        replace(trial, case=cell.case, where="cuda:0", status="failed", before=said, after=said, metrics={})
        for cell in cells
        for trial in recorded.tried("fp16/bf16")
    ]
    return Mismatch(cells=cells, towers=(), trials=tuple(trials))


def healthy(make: Maker) -> Iterator[tuple[str, Snapshot]]:
    """Machines that torch 2.6.0+cu124, or its sister for ROCm, runs on."""
    torch = make.torch("2.6.0+cu124")
    works = "every operation is said to work, bf16 by emulation"
    build = "torch 2.6.0+cu124 and driver 550.54.15"
    yield "t4", make.gpu(f"a Tesla T4, {build}; {works}", T4, T4_NVML, EMULATED, torch)
    v100 = ("sm_70", "Tesla V100-SXM2-32GB")
    yield (
        "v100",
        make.gpu(
            f"a {v100[1]}, {build}; {works}",
            a_device(*v100, memory_mib=32494),
            an_nvml_device(*v100, architecture="Volta", memory_mib=32768),
            EMULATED,
            torch,
        ),
    )
    p40 = ("sm_61", "Tesla P40")
    yield (
        "p40",
        make.gpu(
            f"a {p40[1]}, {build}; {works}",
            a_device(*p40, memory_mib=24445),
            an_nvml_device(*p40, architecture="Pascal", memory_mib=24576),
            EMULATED,
            torch,
        ),
    )
    a100 = ("sm_80", "NVIDIA A100-SXM4-80GB")
    yield (
        "a100-80",
        make.gpu(
            f"an {a100[1]}, {build}; every operation is said to work",
            a_device(*a100, memory_mib=81153),
            an_nvml_device(*a100, architecture="Ampere", memory_mib=81920),
            NATIVE,
            torch,
        ),
    )
    rtx4090 = ("sm_89", "NVIDIA GeForce RTX 4090")
    yield (
        "rtx4090x2",
        make.gpu(
            f"two {rtx4090[1]}, {build}; every operation is said to work",
            a_device(*rtx4090, memory_mib=24081),
            an_nvml_device(*rtx4090, architecture="Ada", memory_mib=24564),
            NATIVE,
            torch,
            count=2,
        ),
    )
    h100 = ("sm_90", "NVIDIA H100 80GB HBM3")
    yield (
        "h100",
        make.gpu(
            f"an {h100[1]}, {build}; every operation is said to work",
            a_device(*h100, memory_mib=81004),
            an_nvml_device(*h100, architecture="Hopper", memory_mib=81559),
            NATIVE,
            torch,
        ),
    )
    b200 = ("sm_100", "NVIDIA B200")
    yield (
        "b200",
        make.gpu(
            f"an {b200[1]}, torch 2.8.0+cu128 and driver 570.124.06; every operation is said to work",
            a_device(*b200, memory_mib=182642),
            an_nvml_device(*b200, architecture="Blackwell", memory_mib=183359),
            NATIVE,
            make.cu128(),
            driver=a_driver(version=Version("570.124.06"), cuda=(12, 8)),
        ),
    )
    rocm = make.torch(
        "2.6.0+rocm6.2.4",
        cuda=None,
        hip=Version("6.2.41134"),
        cudnn=None,
        arch_list=("gfx900", "gfx906", "gfx908", "gfx90a", "gfx942", "gfx1030", "gfx1100", "gfx1101"),
    )
    mi300x = a_device("gfx942", "AMD Instinct MI300X", memory_mib=196592)
    yield "m2", make.mac()
    yield "mi300x", make.gpu("an AMD Instinct MI300X and torch 2.6.0+rocm6.2.4; every operation is said to work", mi300x, None, NATIVE, rocm)


def sick(make: Maker) -> Iterator[tuple[str, Snapshot]]:
    """Machines with something wrong."""
    absent: dict[str, tuple[Status, str]] = {"torch": ("absent", "torch is not installed"), "gpu": ("absent", "torch: torch is not installed")}
    bare = some_packages({one.name: one.version for one in make.machine[Packages].installed if one.name != "torch"})
    yield (
        "no-torch",
        make.snapshot("torch is not installed", [*make.machine_outcomes(bare, **absent), *nowhere("cpu", "torch: torch is not installed")]),
    )

    torch = make.torch("2.6.0+cu124")
    crashed: dict[str, tuple[Status, str]] = {"torch": ("crashed", KILLED), "gpu": ("absent", f"torch: {KILLED}")}
    lost = [one for place in ("cpu", "cuda:0") for one in nowhere(place, f"torch: {KILLED}")]
    origin = "a Tesla T4, torch 2.6.0+cu124, and the torch probe killed by SIGSEGV"
    yield "torch-crashed", make.snapshot(origin, [*make.machine_outcomes(a_driver(T4_NVML), torch[1], **crashed), *lost])

    recorded: Torch = make.machine[Torch]
    origin = f"torch {recorded.version} beside a Tesla T4 with driver 550.54.15"
    yield "cpu-wheel-beside-gpu", make.unreached(origin, (recorded, make.machine[Packages]))

    newer = make.torch(
        "2.13.0+cu130",
        cuda=(13, 0),
        cudnn=Version("9.20.0"),
        arch_list=("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"),
        cuda_available=False,
        switches=recorded.switches,
    )
    yield "driver-older-than-wheel", make.unreached("a Tesla T4 with driver 550.54.15, which runs CUDA 12, and torch 2.13.0+cu130", newer)

    blind = make.torch("2.6.0+cu124", cuda_available=False)
    hidden = (a_gpu(), a_driver(T4_NVML), *blind, an_environ({"CUDA_VISIBLE_DEVICES": "-1"}))
    origin = "a Tesla T4, torch 2.6.0+cu124 and driver 550.54.15, with CUDA_VISIBLE_DEVICES=-1"
    yield "gpus-hidden", make.snapshot(origin, [*make.machine_outcomes(*hidden), *make.cpu_outcomes()])

    rtx5090 = ("sm_120", "NVIDIA GeForce RTX 5090")
    yield (
        "wheel-without-sm120",
        make.gpu(
            f"an {rtx5090[1]}, torch 2.6.0+cu124 and driver 575.57.08; every operation, cell and remedy is said to find no kernel image",
            a_device(*rtx5090, memory_mib=32107),
            an_nvml_device(*rtx5090, architecture="Blackwell", memory_mib=32607),
            no_image(native=True),
            torch,
            mismatch=nothing_ran(make.cpu[Mismatch]),
            driver=a_driver(version=Version("575.57.08"), cuda=(12, 9)),
        ),
    )
    p40 = ("sm_61", "Tesla P40")
    yield (
        "wheel-without-sm61",
        make.gpu(
            f"a {p40[1]}, torch 2.8.0+cu128 and driver 570.124.06; every operation is said to find no kernel image",
            a_device(*p40, memory_mib=24445),
            an_nvml_device(*p40, architecture="Pascal", memory_mib=24576),
            no_image(native=False),
            make.cu128(),
            driver=a_driver(version=Version("570.124.06"), cuda=(12, 8)),
        ),
    )


def snapshots() -> dict[str, str]:
    """The text of every hand-made snapshot, by its file's name without `.json`."""
    make = Maker(load((HERE / f"{RECORDED}.json").read_bytes(), plugins().facts()))
    return {name: snapshot.dump() for name, snapshot in (*healthy(make), *sick(make))}


if __name__ == "__main__":
    for name, text in snapshots().items():
        (HERE / f"{name}.json").write_text(text, encoding="utf-8")
