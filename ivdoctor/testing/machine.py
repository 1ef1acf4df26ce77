"""A healthy machine, fact by fact."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import Any

from ..facts import (
    HALVES,
    Cpu,
    Device,
    Driver,
    Environ,
    Format,
    Gpu,
    Half,
    Host,
    NvmlDevice,
    Operation,
    Package,
    Packages,
    Place,
    Precision,
    Switch,
    Torch,
    Variable,
    Version,
)
from ..facts.gpu import Kind
from ..places import places

OPERATIONS = ("matmul", "linear", "conv2d", "attention", "layer_norm")
"""The operator classes of a Precision."""

A100 = "NVIDIA A100-SXM4-80GB"
OTHERS: dict[str, Kind] = {"mps": "mps", "xpu": "xpu"}


def a_host(**changes: Any) -> Host:
    """A Linux machine."""
    host = Host(
        system="Linux",
        release=Version("6.1.0"),
        machine="x86_64",
        libc="glibc 2.36",
        python=Version("3.11.7"),
        implementation="CPython",
        memory_mib=65536,
        wsl=False,
        container=False,
    )
    return replace(host, **changes)


def a_cpu(*features: str, **changes: Any) -> Cpu:
    """A processor with these instruction sets of `tables/cpu_features.csv`, and no others."""
    cpu = Cpu(name="AMD EPYC 7763 64-Core Processor", vendor="AuthenticAMD", microarchitecture="zen3", cores=8, features=tuple(sorted(features)))
    return replace(cpu, **changes)


def an_nvml_device(identifier: str = "sm_80", name: str = A100, **changes: Any) -> NvmlDevice:
    """A device as the driver lists it; `identifier` is `sm_75` for compute capability 7.5."""
    device = NvmlDevice(
        index=0,
        name=name,
        architecture="",
        compute_capability=_capability(identifier),
        memory_mib=81920,
        pci="0000:3b:00",
        mig=False,
    )
    return replace(device, **changes)


def a_driver(*devices: NvmlDevice, **changes: Any) -> Driver:
    """A driver that runs CUDA 12.4 and older, with one A100 unless other devices are given; `devices=()` is a driver without any."""
    driver = Driver(version=Version("550.54.15"), cuda=(12, 4), devices=devices or (an_nvml_device(),))
    return replace(driver, **changes)


def a_device(identifier: str = "sm_80", name: str = A100, **changes: Any) -> Device:
    """A device as torch reports it: NVIDIA by `sm_75`, AMD by `gfx942`, others by `mps` or `xpu` and their name."""
    device = Device(index=0, kind="cuda", name=name, memory_mib=81920)
    if identifier.startswith("sm_"):
        device = replace(device, compute_capability=_capability(identifier))
    elif identifier.startswith("gfx"):
        device = replace(device, kind="rocm", gfx=identifier)
    elif identifier in OTHERS:
        device = replace(device, kind=OTHERS[identifier], memory_mib=0)
    else:
        raise ValueError(f"{identifier!r} is none of sm_75, gfx942, mps, xpu")
    return replace(device, **changes)


def a_gpu(*devices: Device) -> Gpu:
    """What torch sees; without devices, nothing."""
    return Gpu(devices=devices)


def a_place(identifier: str = "cpu", title: str = "", *, features: tuple[str, ...] = (), **changes: Any) -> Place:
    """
    A place, with its row from the tables as a checkup would find it.

    Args:
        identifier: `cpu`, `sm_75`, `gfx942`, `mps` or `xpu`. One that the tables do not know gives a place with unknown formats, but a
            compute capability newer than theirs (`sm_140`) what the newest has.
        title: the device's own name, which tells some devices of one identifier apart.
        features: of the CPU; `mps` takes its row from the CPU's name instead, so there `title` is that.
    """
    cpu = a_cpu(*features, **({"name": title} if title else {}))
    facts: dict[type, Any] = {Cpu: cpu, Host: a_host()}
    if identifier != "cpu":
        facts[Gpu] = a_gpu(a_device(identifier, title or identifier))
    return replace(places(facts)[-1], **changes)


def a_torch(**changes: Any) -> Torch:
    """A build for CUDA, 2.6.0+cu124, that sees its device; the switches are its defaults."""
    torch = Torch(
        version=Version("2.6.0+cu124"),
        cuda=(12, 4),
        cudnn=Version("9.1.0"),
        arch_list=("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90"),
        cuda_available=True,
        cpu_capability="AVX2",
        cpu_reports=("cpu._is_avx2_supported",),
        switches=switches(
            {
                "torch.backends.cuda.matmul.allow_tf32": "False",
                "torch.backends.cudnn.allow_tf32": "True",
                "torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction": "True",
                "torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction": "True",
                "torch.get_float32_matmul_precision()": "highest",
            }
        ),
    )
    return replace(torch, **changes)


def a_torch_without_cuda(**changes: Any) -> Torch:
    """The same release without CUDA, 2.6.0+cpu."""
    return a_torch(**{"version": Version("2.6.0+cpu"), "cuda": None, "cudnn": None, "arch_list": (), "cuda_available": False} | changes)


def switches(values: Mapping[str, str]) -> tuple[Switch, ...]:
    """Precision switches by the names one would write to read them."""
    return tuple(Switch(name=name, value=value) for name, value in values.items())


def some_packages(installed: Mapping[str, str] | None = None, **changes: Any) -> Packages:
    """Installed distributions by name."""
    every = {"numpy": "2.4.6", "nvidia-ml-py": "13.615.71", "torch": "2.6.0+cu124"} if installed is None else installed
    packages = Packages(installed=tuple(Package(name=name, version=Version(every[name])) for name in sorted(every)), shadowed=(), broken=())
    return replace(packages, **changes)


def an_environ(variables: Mapping[str, str] | None = None) -> Environ:
    """Variables that are set; none unless given."""
    return Environ(variables=tuple(Variable(name=name, value=value) for name, value in sorted((variables or {}).items())))


def an_operation(dtype: Format, name: str = "matmul", message: str = "", **changes: Any) -> Operation:
    """One operation: refused with this message, or one that works when there is none."""
    return replace(Operation(dtype=dtype, name=name, status="refused" if message else "works", message=message), **changes)


def a_precision(*odd: Operation, ratios: Mapping[Half, float] | None = None, **changes: Any) -> Precision:
    """
    Every operator class in every format: all of them work but for the odd ones given; an odd one of no such class comes behind them.

    Args:
        ratios: times beside fp32 by format, of all its operations but the odd ones; without them nothing was timed.
    """
    times = ratios or {}
    every = (an_operation(dtype, name, ratio=times.get(dtype, 0.0)) for name, dtype in product(OPERATIONS, HALVES))
    by_name = {(one.dtype, one.name): one for one in (*every, *odd)}
    return replace(Precision(operations=tuple(by_name.values())), **changes)


def _capability(identifier: str) -> tuple[int, int]:
    """(7, 5) of `sm_75`, (12, 0) of `sm_120`."""
    digits = identifier.removeprefix("sm_")
    return int(digits[:-1]), int(digits[-1])
