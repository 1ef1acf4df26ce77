"""Published builds of PyTorch, by what `--torch` is given."""

import string
import subprocess
import sys
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ivdoctor.builds import (
    LONGEST,
    UnknownBuild,
    build,
    build_for,
    carriers,
    usual,
)
from ivdoctor.facts import Torch, release
from ivdoctor.tables import table
from ivdoctor.targets import target
from ivdoctor.wheels import carries

RELEASES = [row["torch"] for row in table("torch_releases")]
PUBLISHED = sorted(
    {
        (f"{one}+{row['build']}", row["machine"])
        for row in table("wheels")
        for one in RELEASES
        if release(row["torch_from"]) <= release(one) and (not row["torch_before"] or release(one) < release(row["torch_before"]))
    }
)


@pytest.mark.parametrize(
    ("text", "version", "cuda", "hip", "cudnn"),
    [
        ("2.6", "2.6.0+cu124", (12, 4), None, "9.1.0"),
        ("2.6.0", "2.6.0+cu124", (12, 4), None, "9.1.0"),
        ("2.6+cu118", "2.6.0+cu118", (11, 8), None, "9.1.0"),
        ("2.6.0+cu124", "2.6.0+cu124", (12, 4), None, "9.1.0"),
        ("2.6.0+cpu", "2.6.0+cpu", None, None, None),
        ("2.5.1+rocm6.2", "2.5.1+rocm6.2", None, "6.2", None),
        ("2.7.1+rocm6.2.4", "2.7.1+rocm6.2.4", None, "6.2.4", None),
        ("torch==2.6.0+cu124", "2.6.0+cu124", (12, 4), None, "9.1.0"),
        ("  torch == 2.6 ", "2.6.0+cu124", (12, 4), None, "9.1.0"),
        ("torch 2.6", "2.6.0+cu124", (12, 4), None, "9.1.0"),
        ("v2.6", "2.6.0+cu124", (12, 4), None, "9.1.0"),
        ("V2.6.0 + CU124", "2.6.0+cu124", (12, 4), None, "9.1.0"),
        ("1.10.2", "1.10.2+cu102", (10, 2), None, "8.2.0"),
        ("2.2", "2.2.0+cu121", (12, 1), None, "8.9.2"),
        ("2.11", "2.11.0+cu130", (13, 0), None, "9.19.0"),
        ("2.15", "2.15.0+cu132", (13, 2), None, "9.26"),
    ],
)
def test_a_build_is_read_as_people_write_it(text: str, version: str, cuda: tuple[int, int] | None, hip: str | None, cudnn: str | None) -> None:
    """Without a patch it is the first, without a build the one that pip brings."""
    torch = build(text)
    assert (torch.version, torch.cuda, torch.hip, torch.cudnn) == (version, cuda, hip, cudnn)
    assert (torch.cuda_available, torch.cpu_capability, torch.cpu_reports) == (torch.version != "2.6.0+cpu", "unknown", ())


@pytest.mark.parametrize(
    ("text", "arch_list"),
    [
        ("2.6", "sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90"),
        ("2.6+cu118", "sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_37 sm_90"),
        ("2.7+cu128", "sm_75 sm_80 sm_86 sm_90 sm_100 sm_120 compute_120"),
        ("2.10+cu128", "sm_70 sm_75 sm_80 sm_86 sm_90 sm_100 sm_120"),
        ("2.11+cu128", "sm_75 sm_80 sm_86 sm_90 sm_100 sm_120"),
        ("2.13.0+cu130", "sm_75 sm_80 sm_86 sm_90 sm_100 sm_120"),
        ("2.4.1+rocm6.0", "gfx900 gfx906 gfx908 gfx90a gfx1030 gfx1100 gfx942"),
        ("2.6+cpu", ""),
    ],
)
def test_a_build_has_the_code_that_its_wheel_has(text: str, arch_list: str) -> None:
    """As `torch.cuda.get_arch_list()` says it there."""
    assert build(text).arch_list == tuple(arch_list.split())


@pytest.mark.parametrize(
    ("text", "machine", "version"),
    [
        ("2.10", "aarch64", "2.10.0+cpu"),
        ("2.11", "aarch64", "2.11.0+cu130"),
        ("2.11", "arm64", "2.11.0+cu130"),
        ("2.11", "AMD64", "2.11.0+cu130"),
        ("2.8", "AMD64", "2.8.0+cu128"),
    ],
)
def test_what_pip_brings_depends_on_the_machine(text: str, machine: str, version: str) -> None:
    """An aarch64 wheel of PyPI has CUDA from 2.11 on; Windows and macOS have other names for the machines."""
    assert build(text, machine).version == version


def test_a_build_for_arm_has_its_own_code() -> None:
    """A Jetson Thor (11.0) finds its code there, and not in the build of the same name for x86_64."""
    assert carries(build("2.13+cu130", "aarch64").arch_list, (11, 0))
    assert not carries(build("2.13+cu130").arch_list, (11, 0))


def test_every_published_build_is_found() -> None:
    """With a version that pip would take, and the code of its row."""
    assert len(PUBLISHED) > 150
    for text, machine in PUBLISHED:
        torch = build(text, machine)
        assert torch.version.startswith(text.partition("+")[0] + "."), text
        assert (torch.cuda is not None) == ("+cu" in text), text
        assert (torch.hip is not None) == ("+rocm" in text), text
        assert bool(torch.arch_list) == torch.cuda_available == ("+cpu" not in text), text


@pytest.mark.parametrize("row", table("torch_releases"), ids=lambda row: row["torch"])
def test_every_known_version_is_found(row: dict[str, str]) -> None:
    """Each patch of each release, as pip brings it."""
    for version in row["patches"].split(";"):
        assert build(version).version == f"{version}+{row['pypi_build']}"


def test_switches_stand_as_that_version_has_them() -> None:
    """TF32 for matmul was on up to 1.11; what a version does not have yet is left out."""
    names = {text: {one.name: one.value for one in build(text).switches} for text in ("1.11", "1.12", "2.6", "2.9")}
    tf32, fp32 = "torch.backends.cuda.matmul.allow_tf32", "torch.backends.fp32_precision"
    assert [names[text][tf32] for text in names] == ["True", "False", "False", "False"]
    assert [fp32 in found for found in names.values()] == [False, False, False, True]
    assert [one.name for one in build("2.15").switches] == sorted(row["name"] for row in table("switches") if not row["torch_before"])


def test_switches_are_those_of_the_installed_torch() -> None:
    """Read in a process of its own, where nobody turned one; what the table does not list is not asked for."""
    version = pytest.importorskip("torch").__version__
    row = next((row for row in table("torch_releases") if release(row["torch"]) == release(version)[:2]), None)
    if row is None:
        pytest.skip(f"the tables do not have {version}")
    expected = [f"{one.name} {one.value}" for one in build(row["torch"]).switches]
    program = "import sys, torch, warnings\nwarnings.simplefilter('ignore')\nfor name in sys.argv[1:]: print(name, eval(name))"
    names = [one.partition(" ")[0] for one in expected]
    done = subprocess.run([sys.executable, "-c", program, *names], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == expected


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("2.6.7", ("2.5.1", "2.6.0", "2.7.0")),
        ("2.6.1", ("2.5.1", "2.6.0", "2.7.0")),
        ("2.6.0.dev2024", ("2.5.1", "2.6.0", "2.7.0")),
        ("2.6.0.post1", ("2.5.1", "2.6.0", "2.7.0")),
        ("2.6.0a0+git", ("2.5.1", "2.6.0", "2.7.0")),
        ("2.6.0rc1", ("2.5.1", "2.6.0", "2.7.0")),
        ("torch>=2.6", ("2.5.1", "2.6.0", "2.7.0")),
        ("1.14", ("1.13.0", "1.13.1", "2.0.0")),
        ("1.9.1", ("1.10.0", "1.10.1", "1.10.2")),
        ("0.4", ("1.10.0", "1.10.1", "1.10.2")),
        ("2.16", ("2.14.0", "2.14.1", "2.15.0")),
        ("3.0", ("2.14.0", "2.14.1", "2.15.0")),
        ("2", ("2.14.0", "2.14.1", "2.15.0")),
        ("2.6.0+", ("2.5.1", "2.6.0", "2.7.0")),
        ("2.6.0.0", ("2.5.1", "2.6.0", "2.7.0")),
        ("latest", ("2.14.0", "2.14.1", "2.15.0")),
        ("", ("2.14.0", "2.14.1", "2.15.0")),
        ("\u0662.6", ("2.14.0", "2.14.1", "2.15.0")),
    ],
)
def test_a_version_that_does_not_exist_is_refused(text: str, nearest: tuple[str, ...]) -> None:
    """Also a nightly's and a source build's, for no table can know them; three that exist are named."""
    with pytest.raises(UnknownBuild) as caught:
        build(text)
    assert caught.value.nearest == nearest
    assert all(one in str(caught.value) for one in nearest)


@pytest.mark.parametrize(
    ("text", "machine", "nearest"),
    [
        ("2.6+cu121", "x86_64", ("2.6.0+cu126", "2.6.0+cu124", "2.6.0+cu118", "2.6.0+rocm6.2.4", "2.6.0+rocm6.1", "2.6.0+cpu")),
        ("2.15+cu126", "x86_64", ("2.15.0+cu132", "2.15.0+cu130", "2.15.0+cpu")),
        ("2.15.0+cuda13.2", "x86_64", ("2.15.0+cu132", "2.15.0+cu130", "2.15.0+cpu")),
        ("2.5.1+cu124", "aarch64", ("2.5.1+cpu",)),
        ("2.6", "ppc64le", ()),
    ],
)
def test_a_build_that_was_not_published_is_refused(text: str, machine: str, nearest: tuple[str, ...]) -> None:
    """With those that there are, the newest CUDA first."""
    with pytest.raises(UnknownBuild) as caught:
        build(text, machine)
    assert caught.value.nearest == nearest
    assert (", ".join(nearest) or "none") in str(caught.value)
    assert all(build(one, machine).version == one for one in nearest)


HOSTILE = (
    "\udcff" * LONGEST,
    "2.6\x1b[31m",
    "2.6+cu124\n",
    "9" * 100_000,
    "2." * 10_000,
    "torch" + "=" * 100_000,
    "2.6+" + "c" * 40,
    "\x00",
    "{}",
    "%s",
)


@given(
    text=st.one_of(
        st.text(max_size=2 * LONGEST),
        st.text(string.digits + ".+v= curom", max_size=LONGEST),
        st.from_regex(r"(torch==|v)?[0-9]{1,2}\.[0-9]{1,2}(\.[0-9])?(\+(cu|rocm)[0-9.]{1,5})?(\.dev[0-9]{8}|a0|rc1)?", fullmatch=True),
    )
)
@example(text=HOSTILE[0])
@example(text=HOSTILE[1])
@example(text=HOSTILE[2])
@example(text=HOSTILE[3])
@example(text=HOSTILE[4])
@example(text=HOSTILE[5])
@example(text=HOSTILE[6])
@example(text=HOSTILE[7])
@example(text=HOSTILE[8])
@example(text=HOSTILE[9])
def test_no_text_breaks_it(text: str) -> None:
    """A build, or a refusal of one short line that can be printed; in time however long the text."""
    build("2.6")
    began = time.process_time()
    try:
        found: Torch | UnknownBuild = build(text)
    except UnknownBuild as error:
        found = error
    assert time.process_time() - began < 1
    if isinstance(found, UnknownBuild):
        assert str(found).isprintable()
        assert len(str(found)) < 600
        assert 1 <= len(found.nearest) <= 12
    else:
        assert found == build(found.version)


@pytest.mark.parametrize("machine", ["", "\udcff" * 100, "x86_64\n", "{}", "i386"])
def test_no_machine_breaks_it(machine: str) -> None:
    """No build is known for it, and the refusal can be printed."""
    with pytest.raises(UnknownBuild) as caught:
        build("2.6", machine)
    assert str(caught.value).isprintable()
    assert carriers((8, 0), machine=machine) == ()
    assert usual(carriers((8, 0), machine=machine), machine=machine) is None


def test_one_torch_is_not_supposed_beside_two_kinds_of_processor() -> None:
    """torch 2.6 from PyPI is for CUDA on x86_64 and for the CPU alone on aarch64: one of them would speak for the other's device."""
    with pytest.raises(UnknownBuild, match="aarch64, x86_64"):
        build_for("2.6", target("GH200"), target("A100"))
    assert build_for("2.6", target("A100"), target("T4")).cuda == (12, 4)
    assert build_for("2.6", target("GH200")).cuda is None
