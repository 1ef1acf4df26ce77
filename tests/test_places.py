"""Facts in, places out."""

import pytest

from ivdoctor.engine import Unknown
from ivdoctor.facts import Cpu, Driver, Environ, Gpu, Host
from ivdoctor.places import places
from ivdoctor.testing import a_cpu, a_device, a_driver, a_gpu, a_host, an_environ, an_nvml_device

MACHINE = {Cpu: a_cpu("avx2"), Host: a_host(memory_mib=65536)}
T4 = an_nvml_device("sm_75", "Tesla T4", memory_mib=15360)


def test_a_machine_without_accelerators_is_its_cpu() -> None:
    """Named as torch names it, with the host's memory and the row of its instructions."""
    (cpu,) = places({**MACHINE, Gpu: a_gpu()})
    assert (cpu.name, cpu.kind, cpu.memory_mib, cpu.reachable, cpu.architecture) == ("cpu", "cpu", 65536, True, "zen3")
    assert (cpu.dtypes.fp32, cpu.dtypes.fp16, cpu.dtypes.bf16) == ("native", "emulated", "emulated")


def test_a_machine_nobody_could_look_at_still_has_a_cpu() -> None:
    """Its formats are unknown, and the row says why."""
    (cpu,) = places({Cpu: Unknown(reason="timeout"), Host: Unknown(reason="timeout")})
    assert (cpu.title, cpu.memory_mib, cpu.dtypes.fp16, cpu.dtypes.fp32) == ("CPU", 0, "unknown", "unknown")
    assert cpu.dtypes.note
    assert not cpu.dtypes.source


def test_equal_devices_are_one_place_with_a_count() -> None:
    """Two RTX 4090 and one A100 are two places, named by the first of each."""
    rtx = [a_device("sm_89", "NVIDIA GeForce RTX 4090", index=index, memory_mib=24081) for index in (0, 2)]
    _, first, second = places({**MACHINE, Gpu: a_gpu(rtx[0], a_device(index=1), rtx[1])})
    assert (first.name, first.title, first.count) == ("cuda:0", "NVIDIA GeForce RTX 4090", 2)
    assert (second.name, second.count) == ("cuda:1", 1)


def test_devices_that_differ_in_memory_are_two_places() -> None:
    """A MIG slice, or an A100 of 40 beside one of 80 GB."""
    found = places({**MACHINE, Gpu: a_gpu(a_device(), a_device(index=1, memory_mib=40960))})
    assert [place.name for place in found] == ["cpu", "cuda:0", "cuda:1"]


def test_what_torch_sees_comes_before_what_the_driver_sees() -> None:
    """The driver ignores CUDA_VISIBLE_DEVICES, torch does not."""
    _, device = places({**MACHINE, Gpu: a_gpu(a_device("sm_75", "Tesla T4")), Driver: a_driver(T4, T4)})
    assert (device.count, device.reachable) == (1, True)


@pytest.mark.parametrize("gpu", [a_gpu(), Unknown(reason="torch: not installed"), None], ids=["none seen", "unknown", "not looked for"])
def test_what_only_the_driver_sees_is_a_place_out_of_reach(gpu: object) -> None:
    """Its formats are known from the tables all the same."""
    _, device = places({**MACHINE, Driver: a_driver(T4), **({} if gpu is None else {Gpu: gpu})})
    assert (device.name, device.kind, device.title, device.reachable) == ("cuda:0", "cuda", "Tesla T4", False)
    assert (device.dtypes.fp16, device.dtypes.bf16, device.architecture) == ("native", "emulated", "Turing")


@pytest.mark.parametrize(
    ("identifier", "title", "name", "kind", "architecture", "bf16"),
    [
        ("sm_75", "Tesla T4", "cuda:0", "cuda", "Turing", "emulated"),
        ("sm_75", "NVIDIA GeForce GTX 1660 Ti", "cuda:0", "cuda", "Turing (TU11x)", "emulated"),
        ("sm_120", "NVIDIA GeForce RTX 5090", "cuda:0", "cuda", "Blackwell", "native"),
        ("gfx942", "AMD Instinct MI300X", "cuda:0", "rocm", "CDNA3", "native"),
        ("gfx1030", "AMD Radeon RX 6800", "cuda:0", "rocm", "RDNA2", "emulated"),
        ("xpu", "Intel(R) Arc(TM) B580 Graphics", "xpu:0", "xpu", "Xe2-HPG", "native"),
        ("sm_140", "NVIDIA Unknown", "cuda:0", "cuda", "", "native"),
    ],
)
def test_a_device_is_named_as_torch_names_it_and_has_its_row(  # noqa: PLR0917  # a table
    identifier: str, title: str, name: str, kind: str, architecture: str, bf16: str
) -> None:
    """An AMD device is `cuda:0` to torch and a ROCm device to us."""
    _, device = places({**MACHINE, Gpu: a_gpu(a_device(identifier, title))})
    assert (device.name, device.kind, device.title) == (name, kind, title)
    assert (device.architecture, device.dtypes.bf16) == (architecture, bf16)


@pytest.mark.parametrize(("cpu", "bf16"), [("Apple M1 Pro", "emulated"), ("Apple M3 Max", "native"), ("Apple M9", "unknown")])
def test_a_mac_has_one_accelerator_known_by_its_processor(cpu: str, bf16: str) -> None:
    """torch calls it `mps`, without a number and without a name of its own."""
    _, device = places({**MACHINE, Cpu: a_cpu(name=cpu), Gpu: a_gpu(a_device("mps", "Apple GPU"))})
    assert (device.name, device.kind, device.dtypes.bf16) == ("mps", "mps", bf16)


@pytest.mark.parametrize(("value", "names"), [("-1", ["cpu"]), ("", ["cpu"]), ("0", ["cpu", "cuda:0"])])
def test_what_the_user_has_hidden_is_no_place(value: str, names: list[str]) -> None:
    """The driver lists a hidden device all the same; nobody means to run there."""
    found = places({**MACHINE, Gpu: a_gpu(), Driver: a_driver(T4), Environ: an_environ({"CUDA_VISIBLE_DEVICES": value})})
    assert [place.name for place in found] == names


def test_a_driver_names_an_architecture_the_tables_do_not_know() -> None:
    """NVML's own name is better than none, and the formats are those of its compute capability."""
    _, device = places({**MACHINE, Driver: a_driver(an_nvml_device("sm_140", "NVIDIA Unknown", architecture="Newton"))})
    assert (device.architecture, device.dtypes.bf16) == ("Newton", "native")
