"""
For people who write probes and rules: every fact with sensible values, and one rule asked by itself.

    def test_acme001_fires_on_an_older_driver() -> None:
        (found,) = findings(driver_below_baseline, a_driver(version="535.104.05"))
        assert "535.104.05" in found.message

The keywords of a builder are fields of its fact. Left alone, they describe one healthy machine: an A100 under Linux with
torch 2.6.0+cu124. A probe needs no helper: it is called like the function it was, `my_probe(torch=a_torch())`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from .engine import Verdict, judge
from .facts import (
    HALVES,
    TORCH_NAME,
    Asked,
    Attempt,
    Cell,
    Cpu,
    Device,
    Driver,
    Environ,
    Gpu,
    Half,
    Host,
    Mismatch,
    NvmlDevice,
    Operation,
    Package,
    Packages,
    Place,
    Precision,
    Site,
    Switch,
    Torch,
    Towers,
    Trial,
    Variable,
    Version,
)
from .facts.gpu import Kind
from .finding import Finding
from .outcome import known
from .places import places
from .plugins import plugins
from .rule import Rule
from .snapshot import load
from .testing_amp import an_amp as an_amp  # noqa: PLC0414  # public here, which mypy wants said so
from .testing_cast import a_cast as a_cast  # noqa: PLC0414  # public here
from .testing_model import a_checkpoint as a_checkpoint  # noqa: PLC0414  # public here
from .testing_model import a_model as a_model  # noqa: PLC0414  # public here
from .testing_model import a_safetensors_file as a_safetensors_file  # noqa: PLC0414  # public here
from .testing_model import some_weights as some_weights  # noqa: PLC0414  # public here

OPERATIONS = ("matmul", "linear", "conv2d", "attention", "layer_norm")
"""The operator classes of a Precision."""

A100 = "NVIDIA A100-SXM4-80GB"
OTHERS: dict[str, Kind] = {"mps": "mps", "xpu": "xpu"}


def verdict(rule: Rule, *facts: object) -> Verdict:
    """
    What one rule says of these facts, through the real engine.

    `Asked` is always known, as it is in a checkup: `auto` unless one is given. Every other fact that is not given is missing.
    """
    given: dict[type, Any] = {Asked: Asked()} | {type(fact): fact for fact in facts}
    place = given.get(Place)
    (one,) = judge([rule], given, place=place.name if place else "")
    return one


def findings(rule: Rule, *facts: object) -> list[Finding]:
    """
    What one rule finds in these facts; empty when it was asked and had nothing to say.

    Raises:
        AssertionError: it was not asked for want of a fact, or it raised. Neither may look like a pass.
    """
    one = verdict(rule, *facts)
    if one.skipped or one.error:
        raise AssertionError(f"{rule.code} {'was skipped' if one.skipped else 'broke'}: {one.skipped or one.error}")
    return list(one.findings)


def recorded(snapshot: Path, place: str = "cpu") -> tuple[object, ...]:
    """
    The facts of a snapshot file as a rule sees them at one place, the `Place` itself among them.

    Raises:
        ValueError: the file is no snapshot, or has no such place.
    """
    outcomes = load(snapshot.read_bytes(), plugins().facts()).outcomes
    there = {one.name: one for one in places(known(outcomes))}
    if place not in there:
        raise ValueError(f"{snapshot.name} has no place {place!r}, only {', '.join(there)}")
    return (*known(outcomes, place).values(), there[place])


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
        identifier: `cpu`, `sm_75`, `gfx942`, `mps` or `xpu`. One that the tables do not know gives a place with unknown formats.
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


def an_operation(dtype: Half, name: str = "matmul", message: str = "", **changes: Any) -> Operation:
    """One operation: refused with this message, or one that works when there is none."""
    return replace(Operation(dtype=dtype, name=name, status="refused" if message else "works", message=message), **changes)


def a_precision(*odd: Operation, **changes: Any) -> Precision:
    """Every operator class in every format: all of them work but for the odd ones given."""
    by_name = {(one.dtype, one.name): one for one in odd}
    operations = tuple(by_name.get((dtype, name), an_operation(dtype, name)) for name, dtype in product(OPERATIONS, HALVES))
    return replace(Precision(operations=operations), **changes)


def a_mismatch(where: str = "cpu", *, refused: Mapping[str, str] | None = None, overflow: tuple[Half, ...] = ()) -> Mismatch:
    """
    The reproduction in the shape it has on a healthy device: the cells, two of the tower combinations, every remedy.

    Made up, and checked against a real run by ivdoctor's own tests.

    Args:
        where: the place it is said to have run on.
        refused: messages by format (`fp16`) for formats in which even an agreeing pass raises.
        overflow: formats in which an agreeing pass runs and gives no finite numbers.
    """
    made = _Reproduction(where, refused or {}, overflow)
    cells = tuple(made.cell(model, given) for model, given in product(HALVES, HALVES))
    towers = (made.towers("bf16", "bf16", "fp16"), made.towers("bf16", "fp32", "fp32"))
    trials = [trial for cell in cells if cell.attempt.status == "raised" or cell.attempt.relative_l2 < 0 for trial in made.cell_trials(cell)]
    trials += [trial for one in towers for trial in made.tower_trials(one)]
    return Mismatch(cells=cells, towers=towers, trials=tuple(trials))


CPP = {"fp32": "float", "fp16": "c10::Half", "bf16": "c10::BFloat16"}
PYTHON = {"fp32": "Float", "fp16": "Half", "bf16": "BFloat16"}
DISTANCE = {"fp32": 0.0, "fp16": 6.6e-4, "bf16": 5.3e-3}


class _Reproduction:
    """What a run would give: agreeing dtypes run unless refused, differing ones raise with torch's own words."""

    def __init__(self, where: str, refused: Mapping[str, str], overflow: tuple[Half, ...]) -> None:
        self.where, self.refused, self.overflow = where, refused, overflow

    def agreeing(self, dtype: Half) -> Attempt:
        if dtype in self.refused:
            return self._raised(self.refused[dtype], "vision.patch_embedding", "aten.convolution")
        distance = -1.0 if dtype in self.overflow else DISTANCE[dtype]
        return Attempt(status="ran", output=TORCH_NAME[dtype], relative_l2=distance)

    def cell(self, model: Half, given: Half) -> Cell:
        if model == given:
            return Cell(model=model, input=given, attempt=self.agreeing(model))
        message = f"Input type ({CPP[given]}) and bias type ({CPP[model]}) should be the same"
        origin = Site(module="pixel_values", dtype=TORCH_NAME[given])
        return Cell(model=model, input=given, attempt=self._raised(message, "vision.patch_embedding", "aten.convolution", origin))

    def towers(self, vision: Half, projector: Half, lm: Half) -> Towers:
        if vision == projector:
            message = f"Index put requires the source and destination dtypes match, got {PYTHON[lm]} for the destination and {PYTHON[vision]} for the source."
            attempt = self._raised(message, "", "aten.index_put_", Site(module="projector", dtype=TORCH_NAME[projector]))
        else:
            message = f"mat1 and mat2 must have the same dtype, but got {PYTHON[vision]} and {PYTHON[projector]}"
            attempt = self._raised(message, "projector.1", "aten.linear", Site(module="vision", dtype=TORCH_NAME[vision]))
        return Towers(vision=vision, projector=projector, lm=lm, attempt=attempt)

    def cell_trials(self, cell: Cell) -> Iterator[Trial]:
        lost = self._raised(
            f"mat1 and mat2 must have the same dtype, but got {PYTHON[cell.input]} and {PYTHON[cell.model]}", "projector.1", "aten.linear"
        )
        same = cell.model == cell.input
        rounding = {"weights": 11408.0, "weights_changed": 693.0}
        yield self._trial("cast-model", cell, cell.input, self.agreeing(cell.input))
        yield self._trial("cast-input", cell, cell.model, self.agreeing(cell.model))
        yield self._trial("cast-tower", cell, cell.model, self.agreeing(cell.model) if same else lost)
        yield self._trial("autocast", cell, "bf16", self.agreeing("bf16") if cell.model == "bf16" else lost)
        yield self._trial("half-then-bf16", cell, "bf16", self.agreeing("bf16"), rounding)
        for dtype in HALVES:
            yield self._trial(f"everything-{dtype}", cell, dtype, self.agreeing(dtype))

    def tower_trials(self, one: Towers) -> Iterator[Trial]:
        yield self._trial("unify", one, one.lm, self.agreeing(one.lm))
        yield self._trial("cast-at-write", one, one.lm, self.agreeing(one.lm) if one.vision == one.projector else one.attempt)
        for dtype in HALVES:
            yield self._trial(f"everything-{dtype}", one, dtype, self.agreeing(dtype))

    def _trial(self, remedy: str, failure: Cell | Towers, dtype: Half, after: Attempt, metrics: Mapping[str, float] | None = None) -> Trial:
        ran = after.status == "ran"
        before = failure.attempt
        return Trial(
            remedy=remedy,
            case=failure.case,
            status="passed" if ran and after.relative_l2 >= 0 else "failed",
            how="miniature",
            where=self.where,
            before=f"{before.error}: {before.message}",
            after=f"ran, output {after.output}" if ran else f"{after.error}: {after.message}",
            computes_in=dtype,
            metrics=dict(metrics or {}) | ({"relative_l2": after.relative_l2} if ran else {}),
        )

    @staticmethod
    def _raised(message: str, module: str, operator: str, origin: Site | None = None) -> Attempt:
        location = Site(module=module, file="ivdoctor/trials/miniature.py", line=1, op=operator)
        return Attempt(status="raised", error="RuntimeError", message=message, location=location, origin=origin)


def _capability(identifier: str) -> tuple[int, int]:
    """(7, 5) of `sm_75`, (12, 0) of `sm_120`."""
    digits = identifier.removeprefix("sm_")
    return int(digits[:-1]), int(digits[-1])
