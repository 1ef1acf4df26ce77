"""The processor: descriptions of other machines as text, this machine's own, and torch's view of it."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ivdoctor import codec
from ivdoctor.facts import Cpu, release
from ivdoctor.probe import Absent
from ivdoctor.probes.cpu import cpu, from_cpuid, from_cpuinfo, from_sysctl, listed, machine
from ivdoctor.rooms import Answer
from ivdoctor.tables import cpu_dtype_row, table

CPUINFO = Path(__file__).parent / "cpuinfo"
"""Written by hand in the shape the kernel gives; the flags are those the processors are documented to have."""

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/cpuinfo")


def read(name: str) -> str:
    return (CPUINFO / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "architecture", "features"),
    [
        (
            "sapphire-rapids",
            "x86_64",
            ("amx_bf16", "amx_int8", "amx_tile", "avx2", "avx512_bf16", "avx512_fp16", "avx512_vnni", "avx512f", "avx_vnni"),
        ),
        ("zen2", "x86_64", ("avx2",)),
        ("zen4", "x86_64", ("avx2", "avx512_bf16", "avx512_vnni", "avx512f")),
        ("neoverse-v2", "aarch64", ("asimddp", "asimdhp", "bf16", "fphp", "i8mm", "svebf16")),
        ("old-arm-kernel", "aarch64", ()),
        ("riscv", "riscv64", ()),
        ("power9", "ppc64le", ()),
    ],
)
def test_features_are_read_from_cpuinfo(name: str, architecture: str, features: tuple[str, ...]) -> None:
    """Of each kind of processor the listed features are found, and nothing else."""
    assert features == listed(from_cpuinfo(read(name)).flags, architecture)


@pytest.mark.parametrize(
    ("name", "title", "vendor"),
    [
        ("sapphire-rapids", "Intel(R) Xeon(R) Platinum 8480+", "GenuineIntel"),
        ("zen4", "AMD EPYC 9654 96-Core Processor", "AuthenticAMD"),
        ("neoverse-v2", "", ""),
        ("riscv", "sifive,u74-mc", ""),
        ("power9", "POWER9, altivec supported", ""),
    ],
)
def test_name_and_vendor_are_read_from_cpuinfo(name: str, title: str, vendor: str) -> None:
    """ARM writes no name and only a number for its maker: those stay empty rather than become something else."""
    found = from_cpuinfo(read(name))

    assert (title, vendor) == (found.name, found.vendor)


@pytest.mark.parametrize(
    ("name", "fp16", "bf16"), [("sapphire-rapids", "native", "native"), ("zen4", "emulated", "native"), ("zen2", "emulated", "emulated")]
)
def test_features_decide_the_formats(name: str, fp16: str, bf16: str) -> None:
    """What was read is what the table of features is asked with."""
    row = cpu_dtype_row(listed(from_cpuinfo(read(name)).flags, "x86_64"))

    assert (fp16, bf16) == (row.fp16, row.bf16)


def test_only_the_first_processor_is_read() -> None:
    """A smaller second core, or a thousandth one, changes nothing and costs nothing."""
    first, second = "processor\t: 0\nflags\t\t: avx2\n", "processor\t: 1\nflags\t\t: avx2 avx512f\n"

    assert {"avx2"} == from_cpuinfo(f"{first}\n{second}").flags


def test_an_empty_description_is_absence_where_features_are_known() -> None:
    """No flags at all would read as `no half precision here`: on x86 and ARM it means that nobody could look."""
    nothing = from_cpuinfo("")

    assert ("", "", frozenset()) == (nothing.name, nothing.vendor, nothing.flags)
    for architecture in ("x86_64", "aarch64", "arm64"):
        with pytest.raises(Absent, match="does not list this processor's instruction sets"):
            listed(nothing.flags, architecture)
    assert listed(nothing.flags, "riscv64") == ()


def test_a_feature_counts_only_on_its_own_architecture() -> None:
    """Under Rosetta sysctl lists ARM's features to an x86 interpreter, which cannot use them."""
    assert listed({"avx2", "bf16", "hw.optional.arm.FEAT_BF16"}, "x86_64") == ("avx2",)


M2 = """hw.optional.AdvSIMD: 1
hw.optional.arm.FEAT_FP16: 1
hw.optional.arm.FEAT_BF16: 1
hw.optional.arm.FEAT_SVE: 0
hw.optional.neon_fp16: 1
machdep.cpu.cores_per_package: 8
machdep.cpu.core_count: 8
machdep.cpu.brand_string: Apple M2
"""
M1_BIG_SUR = """hw.optional.neon: 1
hw.optional.neon_hpfp: 1
hw.optional.neon_fp16: 1
hw.optional.amx_version: 2
machdep.cpu.brand_string: Apple M1
"""
INTEL_MAC = """hw.optional.avx2_0: 1
hw.optional.avx512f: 1
machdep.cpu.vendor: GenuineIntel
machdep.cpu.brand_string: Intel(R) Xeon(R) W-3245 CPU @ 3.20GHz
machdep.cpu.features: FPU VME DE PSE SSE4.2 AES AVX1.0 F16C
machdep.cpu.leaf7_features: RDWRFSGS BMI1 AVX2 SMEP AVX512F AVX512DQ AVX512VNNI
machdep.cpu.extfeatures: SYSCALL XD 1GBPAGE EM64T
"""


@pytest.mark.parametrize(
    ("text", "architecture", "expected"),
    [
        (M2, "arm64", ("Apple M2", "Apple", ("hw.optional.arm.FEAT_BF16", "hw.optional.arm.FEAT_FP16"))),
        (M1_BIG_SUR, "arm64", ("Apple M1", "Apple", ("hw.optional.arm.FEAT_FP16",))),
        (INTEL_MAC, "x86_64", ("Intel(R) Xeon(R) W-3245 CPU @ 3.20GHz", "GenuineIntel", ("avx2", "avx512f"))),
    ],
)
def test_macos_is_read_from_sysctl(text: str, architecture: str, expected: tuple[str, str, tuple[str, ...]]) -> None:
    """Apple's chips under both names of fp16, and Intel's lists, AVX2 in the second of them."""
    found = from_sysctl(text)

    assert expected == (found.name, found.vendor, listed(found.flags, architecture))


@LINUX
def test_this_machine_is_what_its_kernel_says(look: Callable[..., Answer]) -> None:
    """The probe in a room, against a plain search in /proc/cpuinfo."""
    found = codec.build(look(cpu).fact, Cpu)

    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    words = set(text.split("\n\n", 1)[0].split())
    assert tuple(sorted(row["feature"] for row in table("cpu_features") if row["machine"] == machine() and row["feature"] in words)) == found.features
    if "model name" in text:
        assert f": {found.name}\n" in text
    assert found.microarchitecture


@pytest.mark.skipif(platform.machine() != "x86_64", reason="asks an x86 processor")
def test_the_way_of_windows_agrees_with_the_kernels() -> None:
    """The CPUID instruction gives the same features as the operating system, for those that decide about a format."""
    if not sys.platform.startswith("linux"):
        pytest.skip("compares with /proc/cpuinfo")
    deciding = {row["feature"] for row in table("cpu_features") if row["dtype"]}
    kernel, asked = from_cpuinfo(Path("/proc/cpuinfo").read_text(encoding="utf-8")), from_cpuid()

    assert {"avx2"} & set(kernel.flags) == {"avx2"} & set(asked.flags)
    assert deciding & set(kernel.flags) == deciding & set(asked.flags)
    assert kernel.vendor == asked.vendor


@LINUX
def test_torch_sees_the_same_features() -> None:
    """torch asks the processor itself: where it names a feature, it agrees with the kernel's list."""
    torch = pytest.importorskip("torch")
    if release(torch.__version__) < (2, 13) or machine() != "x86_64":
        pytest.skip("torch 2.13 is the first looked at that lists its capabilities by name")
    if os.environ.get("ATEN_CPU_CAPABILITY") or os.environ.get("ONEDNN_MAX_CPU_ISA"):
        pytest.skip("a variable caps what torch sees")
    capabilities = torch.cpu.get_capabilities()
    flags = from_cpuinfo(Path("/proc/cpuinfo").read_text(encoding="utf-8")).flags
    names = {
        "avx2": "avx2",
        "avx512f": "avx512_f",
        "avx512_bf16": "avx512_bf16",
        "avx512_fp16": "avx512_fp16",
        "amx_bf16": "amx_bf16",
        "amx_tile": "amx_tile",
    }

    assert {ours: capabilities[theirs] for ours, theirs in names.items()} == {ours: ours in flags for ours in names}


@LINUX
def test_cores_are_those_this_process_may_use() -> None:
    """A job bound to one core has one, however many the machine has: that is how many threads are worth starting."""
    one = min(os.sched_getaffinity(0))
    script = f"import os; os.sched_setaffinity(0, {{{one}}}); from ivdoctor.probes.cpu import cpu; print(cpu().cores)"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "1"


@LINUX
def test_without_proc_nothing_is_claimed() -> None:
    """A sandbox that hides /proc/cpuinfo gives absence, not a processor without instructions."""
    unshare = shutil.which("unshare")
    if unshare is None or os.geteuid() != 0 or machine() not in {row["machine"] for row in table("cpu_features")}:
        pytest.skip("needs root and unshare to hide /proc/cpuinfo")
    script = "import sys; from ivdoctor.probe import Absent; from ivdoctor.probes.cpu import cpu\ntry:\n    cpu()\nexcept Absent as absence:\n    print('absent:', absence)"
    hidden = [unshare, "--mount", "sh", "-c", 'mount --bind /dev/null /proc/cpuinfo && exec "$0" -c "$1"', sys.executable, script]

    done = subprocess.run(hidden, capture_output=True, text=True, check=False)

    if "mount" in done.stderr or "unshare" in done.stderr:
        pytest.skip("mounting is not allowed here")
    assert done.stdout.strip() == "absent: the operating system does not list this processor's instruction sets", done.stderr
