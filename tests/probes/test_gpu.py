"""The gpu probe: this machine's torch, and torches of builds that are not here, as stand-ins of their shape."""

from collections.abc import Callable

import pytest

from ivdoctor import codec
from ivdoctor.facts import Device, Gpu
from ivdoctor.probes.gpu import gpu
from ivdoctor.rooms import Answer
from ivdoctor.testing import a_torch

Look = Callable[..., Answer]
StandIn = Callable[..., str]


def devices(answer: Answer) -> tuple[Device, ...]:
    assert answer.status == "ok", answer.reason
    return codec.build(answer.fact, Gpu).devices


def test_a_build_without_an_accelerator_has_no_devices(look: Look) -> None:
    """An empty list is an answer."""
    torch = pytest.importorskip("torch")
    accelerated = torch.cuda.is_available() or torch.backends.mps.is_available() or (hasattr(torch, "xpu") and torch.xpu.is_available())
    if accelerated:
        pytest.skip("torch has an accelerator here")

    assert devices(look(gpu, torch=a_torch(cuda_available=False))) == ()


CUDA = """
class version: hip = None
class backends: pass
class cuda:
    device_count = staticmethod(lambda: 2)
    @staticmethod
    def get_device_properties(index):
        class Properties:
            name, total_memory, major, minor = ("Tesla T4", "NVIDIA A100-SXM4-40GB MIG 3g.20gb")[index], 15360 << 20, (7, 8)[index], (5, 0)[index]
            if index == 0:
                pci_domain_id, pci_bus_id, pci_device_id = 0, 0x3b, 0
        return Properties
"""


def test_cuda_devices_are_listed_in_torchs_order(look: Look, stand_in: StandIn) -> None:
    """With the PCI address where this torch tells one, as NVML writes it, and MIG by its name."""
    stand_in("torch", CUDA)

    t4, slice_of_a100 = devices(look(gpu, torch=a_torch()))

    assert Device(index=0, kind="cuda", name="Tesla T4", memory_mib=15360, compute_capability=(7, 5), pci="0000:3b:00") == t4
    assert (slice_of_a100.compute_capability, slice_of_a100.pci, slice_of_a100.mig) == ((8, 0), None, True)


def test_rocm_devices_have_a_gfx_and_no_compute_capability(look: Look, stand_in: StandIn) -> None:
    """ROCm fills in `major` and `minor` with its own numbers, which are no compute capability."""
    stand_in(
        "torch",
        CUDA.replace("hip = None", "hip = '6.2'").replace(
            "name, total_memory", "gcnArchName = 'gfx90a:sramecc+:xnack-'\n            name, total_memory"
        ),
    )

    first, _ = devices(look(gpu, torch=a_torch()))

    assert (first.kind, first.gfx, first.compute_capability) == ("rocm", "gfx90a", None)


def test_rocm_before_gcn_arch_name_has_no_gfx(look: Look, stand_in: StandIn) -> None:
    """Older builds do not name the architecture; the device is listed all the same."""
    stand_in("torch", CUDA.replace("hip = None", "hip = '5.2'"))

    assert [one.gfx for one in devices(look(gpu, torch=a_torch()))] == [None, None]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            "RuntimeError('CUDA error: uncorrectable ECC error encountered\\nCUDA kernel errors might be')",
            "RuntimeError: CUDA error: uncorrectable ECC error encountered",
        ),
        ("AssertionError('Invalid device id')", "AssertionError: Invalid device id"),
    ],
)
def test_a_device_that_fails_when_asked_about_is_a_fault(look: Look, stand_in: StandIn, error: str, reason: str) -> None:
    """Counted and then gone, or sick: the outcome names the device."""
    stand_in("torch", CUDA.replace("        class Properties:", f"        if index == 1: raise {error}\n        class Properties:"))

    answer = look(gpu, torch=a_torch())

    assert ("failed", f"the device failed: cuda:1: {reason}") == (answer.status, answer.reason)


MPS = """
class version: hip = None
class backends:
    class mps:
        is_available = staticmethod(lambda: True)
"""


def test_an_apple_gpu_is_one_device(look: Look, stand_in: StandIn) -> None:
    """Torch names it only in newer releases."""
    stand_in("torch", MPS)
    assert (Device(index=0, kind="mps", name="Apple GPU", memory_mib=0),) == devices(look(gpu, torch=a_torch(cuda_available=False)))

    stand_in("torch", MPS + "        get_name = staticmethod(lambda: 'Apple M2 Pro')\n")
    assert devices(look(gpu, torch=a_torch(cuda_available=False)))[0].name == "Apple M2 Pro"


XPU = """
class version: hip = None
class backends: pass
class xpu:
    is_available = staticmethod(lambda: True)
    device_count = staticmethod(lambda: 1)
    @staticmethod
    def get_device_properties(index):
        class Properties:
            name, total_memory = "Intel(R) Data Center GPU Max 1550", 65536 << 20
        return Properties
"""


def test_intel_gpus_are_listed(look: Look, stand_in: StandIn) -> None:
    """A name and memory are what torch tells of them."""
    stand_in("torch", XPU)

    assert (Device(index=0, kind="xpu", name="Intel(R) Data Center GPU Max 1550", memory_mib=65536),) == devices(
        look(gpu, torch=a_torch(cuda_available=False))
    )


def test_a_backend_that_is_only_a_name_is_not_there(look: Look, stand_in: StandIn) -> None:
    """Some releases have torch.xpu without its functions, and 1.11 has no mps."""
    stand_in("torch", "class version: hip = None\nclass backends: pass\nclass xpu: pass\n")

    assert devices(look(gpu, torch=a_torch(cuda_available=False))) == ()
