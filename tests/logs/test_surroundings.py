"""What a pasted environment says, and what it does not."""

from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivdoctor.facts import Driver, Environ, Gpu, Host, Packages, Torch
from ivdoctor.logs.surroundings import KEYS, Surroundings

Fact = TypeVar("Fact")

PASTES = Path(__file__).with_name("pastes")

COLLECT_ENV = (PASTES / "collect_env.txt").read_text(encoding="utf-8")

TWO_GPUS = (PASTES / "two_gpus.txt").read_text(encoding="utf-8")

TRANSFORMERS = (PASTES / "transformers.txt").read_text(encoding="utf-8")

DIFFUSERS = (PASTES / "diffusers.txt").read_text(encoding="utf-8")

ACCELERATE = (PASTES / "accelerate.txt").read_text(encoding="utf-8")

NVIDIA_SMI = (PASTES / "nvidia_smi.txt").read_text(encoding="utf-8")

SMI_HEADER = "| NVIDIA-SMI 470.57.02    Driver Version: 470.57.02    CUDA Version: 11.4     |\n"

PIP_LIST = (PASTES / "pip_list.txt").read_text(encoding="utf-8")

CONDA_LIST = (PASTES / "conda_list.txt").read_text(encoding="utf-8")

DS_REPORT = (PASTES / "ds_report.txt").read_text(encoding="utf-8")


def read(text: str) -> dict[type, Any]:
    """The facts by their type."""
    surroundings = Surroundings()
    for line in text.split("\n"):
        surroundings.feed(line)
    outcomes = surroundings.outcomes()
    assert all((one.status, one.reason, one.place) == ("ok", "read from the text", "") for one in outcomes)
    assert [one.subject for one in outcomes] == [type(one.fact).__name__.lower() for one in outcomes]
    return {type(one.fact): one.fact for one in outcomes}


def fact(text: str, kind: type[Fact]) -> Fact:
    """The one of this kind."""
    found = read(text)[kind]
    assert isinstance(found, kind)
    return found


def packages(text: str) -> dict[str, str]:
    """Names and versions, in their order."""
    found = read(text).get(Packages)
    return {one.name: one.version for one in found.installed} if found else {}


def devices(text: str) -> list[tuple[int, str, int, tuple[int, int] | None]]:
    """What torch sees, by number, name, memory and capability."""
    found = read(text).get(Gpu)
    return [(one.index, one.name, one.memory_mib, one.compute_capability) for one in found.devices] if found else []


def test_collect_env_is_read() -> None:
    """torch's own report has the build, the machine, the device and the packages."""
    torch, host = fact(COLLECT_ENV, Torch), fact(COLLECT_ENV, Host)

    assert (torch.version, torch.cuda, torch.hip, torch.cudnn, torch.cuda_available) == ("2.1.0+cu121", (12, 1), None, "8.9.2", True)
    assert (torch.cpu_capability, torch.arch_list, torch.cpu_reports, torch.switches) == ("unknown", (), (), ())
    assert (host.system, host.release, host.machine, host.libc) == ("Linux", "5.15.0-91-generic", "x86_64", "glibc 2.35")
    assert (host.python, host.memory_mib, host.wsl, host.container) == ("3.10.12", 0, False, False)
    assert devices(COLLECT_ENV) == [(0, "Tesla T4", 0, (7, 5))]
    assert packages(COLLECT_ENV) == {"numpy": "1.26.0", "torch": "2.1.0", "triton": "2.1.0"}
    assert Driver not in read(COLLECT_ENV)  # it does not tell the driver's CUDA


def test_two_devices_and_vllms_own_report_are_read() -> None:
    """Its colons stand in a column, and its list of variables at the end."""
    assert devices(TWO_GPUS) == [(0, "NVIDIA A100-SXM4-80GB", 0, (8, 0)), (1, "NVIDIA A100-SXM4-80GB", 0, (8, 0))]
    assert packages(TWO_GPUS) == {"numpy": "2.2.6", "transformers": "4.57.1", "vllm": "0.11.2"}
    assert fact(TWO_GPUS, Torch).cudnn is None
    assert {one.name: one.value for one in fact(TWO_GPUS, Environ).variables} == {
        "CUDA_VISIBLE_DEVICES": "0,1",
        "TORCH_CUDA_ARCH_LIST": "7.5 8.0 9.0+PTX",
        "VLLM_ATTENTION_BACKEND": "FLASH_ATTN",
    }


def test_transformers_env_is_read() -> None:
    """A list with marks; the brackets say whether torch has CUDA."""
    torch, host = fact(TRANSFORMERS, Torch), fact(TRANSFORMERS, Host)

    assert (torch.version, torch.cuda, torch.cuda_available) == ("2.3.0", None, True)
    assert (host.release, host.wsl, host.python) == ("5.15.153.1-microsoft-standard-WSL2", True, "3.11.9")
    assert packages(TRANSFORMERS) == {"accelerate": "0.30.0", "safetensors": "0.4.3", "transformers": "4.40.1"}
    assert devices(TRANSFORMERS) == [(0, "NVIDIA GeForce RTX 4090", 0, (8, 9))]


def test_diffusers_env_is_read() -> None:
    """An emblem before the name, and a device a line behind its accelerator."""
    host = fact(DIFFUSERS, Host)

    assert (host.system, host.release, host.machine, host.wsl) == ("Windows", "10", "", False)
    assert packages(DIFFUSERS) == {"diffusers": "0.31.0", "transformers": "4.45.0", "xformers": "0.0.28.post1"}
    assert devices(DIFFUSERS) == [(index, "NVIDIA GeForce RTX 4090", 24564, (8, 9)) for index in (0, 1)]


def test_accelerate_env_is_read() -> None:
    """A Mac: torch without CUDA, no device, and no kernel's release, which the text leaves out."""
    found = read(ACCELERATE)

    assert (found[Host].system, found[Host].release, found[Host].machine) == ("Darwin", "", "arm64")
    assert found[Torch].cuda_available is False
    assert packages(ACCELERATE) == {"accelerate": "0.21.0", "numpy": "1.24.3"}
    assert Gpu not in found


def test_ds_report_is_read() -> None:
    """Dots instead of a colon."""
    torch = fact(DS_REPORT, Torch)

    assert (torch.version, torch.cuda, torch.hip) == ("2.1.0+cu118", (11, 8), None)
    assert packages(DS_REPORT) == {"deepspeed": "0.12.3"}


def test_nvidia_smi_is_read() -> None:
    """Two devices with their memory and address; a process is none."""
    driver = fact(NVIDIA_SMI, Driver)

    assert devices(NVIDIA_SMI) == [(0, "Tesla T4", 15360, (7, 5)), (1, "Tesla V100-SXM2-32GB", 32768, (7, 0))]
    assert [one.pci for one in fact(NVIDIA_SMI, Gpu).devices] == ["0000:00:04", "0000:00:05"]
    assert (driver.version, driver.cuda) == ("535.104.05", (12, 2))
    assert [(one.index, one.name, one.compute_capability, one.memory_mib, one.pci) for one in driver.devices] == [
        (0, "Tesla T4", (7, 5), 15360, "0000:00:04"),
        (1, "Tesla V100-SXM2-32GB", (7, 0), 32768, "0000:00:05"),
    ]


def test_the_driver_is_told_with_its_cuda() -> None:
    """nvidia-smi has both; of collect_env's line the version counts where nvidia-smi's is torn away."""
    assert fact("Nvidia driver version: 535.104.05\n| NVIDIA-SMI 53   CUDA Version: 12.2 |", Driver).version == "535.104.05"
    assert fact("Nvidia driver version: 525.60.13\nDriver Version: 535.104.05   CUDA Version: 12.2", Driver).version == "535.104.05"
    assert read("Nvidia driver version: N/A\n| NVIDIA-SMI 53   CUDA Version: 12.2 |") == {}


def test_the_list_of_nvidia_smi_is_read() -> None:
    """`nvidia-smi -L`: the name without the identifier behind it."""
    assert devices("GPU 0: NVIDIA A100-SXM4-80GB (UUID: GPU-0a1b2c3d-4e5f-6789-abcd-ef0123456789)\n  MIG 1g.10gb Device 0: (UUID: MIG-1)") == [
        (0, "NVIDIA A100-SXM4-80GB", 0, (8, 0))
    ]


@pytest.mark.parametrize("keep", range(len(NVIDIA_SMI.splitlines())))
def test_a_torn_table_gives_what_is_left(keep: int) -> None:
    """Cut after any line, or begun at any: nothing is wrong, and no memory is another device's."""
    lines = NVIDIA_SMI.splitlines()
    whole = {(0, "Tesla T4", 15360, (7, 5)), (1, "Tesla V100-SXM2-32GB", 32768, (7, 0))}
    torn = {(index, name, 0, capability) for index, name, _, capability in whole}

    for text in ("\n".join(lines[:keep]), "\n".join(lines[keep:])):
        assert set(devices(text)) <= whole | torn
    without = [line for number, line in enumerate(lines) if number != keep]
    assert set(devices("\n".join(without))) <= whole | torn


@pytest.mark.parametrize(
    ("cut", "capability"),
    [("Tesla V100-SXM2...", (7, 0)), ("NVIDIA A100-SXM...", (8, 0)), ("GeForce RTX 208...", None), ("NVIDIA RTX A500...", None)],
)
def test_a_name_that_was_cut_counts_by_its_whole_words(cut: str, capability: tuple[int, int] | None) -> None:
    """`RTX A500...` may be an A500 or an A5000."""
    row = f"|   0  {cut}  Off  | 00000000:3B:00.0 Off |                    0 |"
    assert devices(row) == [(0, cut, 0, capability)]


def test_a_cut_name_is_completed_by_the_whole_one() -> None:
    """collect_env has the name, nvidia-smi the memory; the list that came first counts."""
    row = "|   0  NVIDIA A100-SXM...  Off  | 00000000:3B:00.0 Off |  0 |\n| N/A   34C    P0    52W / 400W |      3MiB / 81920MiB |  0%  Default |"
    name = "GPU 0: NVIDIA A100-SXM4-80GB"

    assert devices(f"{row}\n{name}") == devices(f"{name}\n{row}") == [(0, "NVIDIA A100-SXM4-80GB", 81920, (8, 0))]
    assert devices(f"- GPU type: Tesla T4\n{NVIDIA_SMI}") == devices(NVIDIA_SMI)
    assert devices(f"- GPU type: NVIDIA A100-SXM4-80GB\n{NVIDIA_SMI}") == [(0, "NVIDIA A100-SXM4-80GB", 0, (8, 0))]


def test_an_amd_device_is_read() -> None:
    """torch for ROCm names the architecture behind the title."""
    found = read(
        "PyTorch version: 2.4.0+rocm6.1\nCUDA used to build PyTorch: N/A\nROCM used to build PyTorch: 6.1.40091-a8dbc0c19\nIs CUDA available: True\n"
        "GPU models and configuration: AMD Instinct MI300X (gfx942:sramecc+:xnack-)\ncuDNN version: 9.1.0"
    )
    (device,) = found[Gpu].devices

    assert (found[Torch].cuda, found[Torch].hip, found[Torch].cudnn) == (None, "6.1.40091-a8dbc0c19", None)
    assert (device.kind, device.name, device.gfx, device.compute_capability) == ("rocm", "AMD Instinct MI300X", "gfx942", None)
    assert fact("torch==2.4.0+rocm6.1", Torch).hip == "6.1"


def test_an_unknown_title_keeps_its_capability_unknown() -> None:
    """And then nothing stands in the driver's list either, which has a capability for each."""
    text = SMI_HEADER + "|   0  NVIDIA T4096 Prototype   Off  | 00000000:3B:00.0 Off |  0 |"

    assert devices(text) == [(0, "NVIDIA T4096 Prototype", 0, None)]
    assert fact(text, Driver).devices == ()


def test_package_lists_are_read() -> None:
    """Rows count inside a table only; conda calls torch `pytorch`."""
    assert packages(PIP_LIST) == {"flash-attn": "2.5.8", "torch": "2.3.1", "vllm": "0.5.0"}
    assert packages(CONDA_LIST) == {"numpy": "1.26.4", "torch": "2.1.2"}
    assert packages("[conda] pytorch                   2.1.0           py3.10_cuda12.1_cudnn8.9.2_0    pytorch") == {"torch": "2.1.0"}
    assert packages("absl-py==2.1.0\naccelerate==0.30.1\ntorch==2.1.0+cu121\nnot-listed==1.0.0") == {"accelerate": "0.30.1", "torch": "2.1.0+cu121"}
    assert packages(
        "  Name         Version  Build           Channel\n\u2500\u2500\u2500\u2500\u2500\u2500\u2500\u2500\u2500\u2500\u2500\n  numpy        2.1.0    py312h_0        conda-forge"
    ) == {"numpy": "2.1.0"}


@pytest.mark.parametrize(
    ("version", "cuda", "available"),
    [
        ("2.1.0+cu121", (12, 1), True),
        ("2.1.0+cu118", (11, 8), True),
        ("2.9.0+cu130", (13, 0), True),
        ("1.6.0+cu92", (9, 2), True),
        ("2.0.0+cu117.with.pypi.cudnn", (11, 7), True),
        ("2.1.0", None, True),
        ("2.1.0+cpu", None, False),
        ("2.1.0a0+32f93b1", None, True),
    ],
)
def test_the_tag_tells_what_no_line_says(version: str, cuda: tuple[int, int] | None, available: object) -> None:
    """The build by the version's own tag; CUDA is there where a device is named and the build is not for the CPU."""
    torch = fact(f"torch=={version}\nGPU 0: Tesla T4", Torch)
    assert (torch.cuda, torch.cuda_available) == (cuda, available)
    assert fact(f"torch=={version}", Torch).cuda_available is False


def test_a_device_that_torch_cannot_use_is_the_drivers() -> None:
    """Gpu holds what torch sees; nothing there where torch says that it has no CUDA."""
    found = read(f"PyTorch version: 2.6.0+cpu\nIs CUDA available: False\n{NVIDIA_SMI}")

    assert Gpu not in found
    assert [one.name for one in found[Driver].devices] == ["Tesla T4", "Tesla V100-SXM2-32GB"]


def test_a_build_that_is_not_told_is_not_taken_for_a_cpu_build() -> None:
    """Beside the driver's devices the rules would call `torch==2.1.0` one; collect_env's `None` says that it is."""
    assert fact(f"torch==2.1.0\n{NVIDIA_SMI}", Driver).devices == ()
    assert len(fact(f"torch==2.1.0\nCUDA used to build PyTorch: None\n{NVIDIA_SMI}", Driver).devices) == 2
    assert len(fact(f"torch==2.1.0+cu121\n{NVIDIA_SMI}", Driver).devices) == 2


@pytest.mark.parametrize(
    ("line", "available"), [("(accelerator?): 2.8.0 (CUDA)", True), ("(accelerator?): 2.8.0 (XPU)", False), ("(GPU?): 2.8.0 (NA)", False)]
)
def test_the_brackets_say_whether_torch_has_cuda(line: str, available: object) -> None:
    """transformers names the accelerator since 4.53; `NA` says nothing, and then nothing else here does."""
    assert fact(f"- PyTorch version {line}", Torch).cuda_available is available


@pytest.mark.parametrize("nothing", ["N/A", "None", "Not installed", "not installed", "Could not collect", "No CUDA", ""])
def test_words_for_nothing_are_nothing(nothing: str) -> None:
    """Whatever report says so."""
    keys = [*KEYS, "`transformers` version", "xFormers version", "vLLM Version", "GPU 0"]
    assert read("\n".join(f"- {key}: {nothing}" for key in keys)) == {}
    assert read(f"[pip3] {nothing}\n[conda] {nothing}\ntorch=={nothing}\ntorch version ........ {nothing}") == {}
    assert Driver not in read(f"Nvidia driver version: {nothing}\n| NVIDIA-SMI 535.1  Driver Version: 535.1  CUDA Version: {nothing} |")


def test_the_first_of_two_pastes_stands() -> None:
    """Also where it says that there is nothing; a version may be told again with its tag."""
    other = COLLECT_ENV.replace("2.1.0", "1.9.0").replace("12.1", "11.1").replace("Tesla T4", "NVIDIA A100-SXM4-80GB").replace("5.15", "4.4")

    assert read(f"{COLLECT_ENV}{other}") == read(COLLECT_ENV)
    assert devices(f"{NVIDIA_SMI}{NVIDIA_SMI.replace('Tesla T4', 'Tesla P4')}") == devices(NVIDIA_SMI)
    assert devices(f"{TWO_GPUS}GPU 0: Tesla T4\nGPU 2: Tesla T4") == devices(TWO_GPUS)
    assert fact("torch==2.1.0\nPyTorch version: 2.1.0+cu121", Torch).version == "2.1.0+cu121"
    assert fact("torch==2.1.0\nPyTorch version: 2.2.0+cu121", Torch).version == "2.1.0"
    assert fact("PyTorch version: 2.1.0\ncuDNN version: N/A\ncuDNN version: 8.9.2", Torch).cudnn is None
    assert fact("CUDA_VISIBLE_DEVICES=1\nCUDA_VISIBLE_DEVICES=0", Environ).get("CUDA_VISIBLE_DEVICES") == "1"


@pytest.mark.parametrize(
    "line",
    [
        "with torch 2.1 it worked",
        "torch 2.1.0 works, 2.2.0 does not",
        "torch==2.1.0 works",
        "I have torch==2.1.0",
        "-torch==2.1.0",
        "+torch==2.1.0",
        "torch>=2.1.0",
        "pytorch==2.1.0",
        "torch==2",
        "PyTorch version: 2.1.0 is too old",
        "PyTorch version: please upgrade to 2.1.0",
        "transformers version: see below",
        "numpy 1.26.0",
        "my GPU is a Tesla T4",
        "GPU 0: Tesla T4 was lost",
        "GPU 0 has a total capacity of 14.75 GiB of which 10.06 MiB is free.",
        "GPU 0: 45% busy",
        "GPU type: yes",
        "GPU type: Apple M2",
        "GPU models and configuration: no idea",
        "Platform: Linux",
        "Platform: linux/amd64",
        "Python version: 3.10.12",
        "OS: Ubuntu 22.04.3 LTS (x86_64)",
        "CUDA_VISIBLE_DEVICES=0 python train.py",
        "CUDA_VISIBLE_DEVICES=$GPU",
        "CUDA_VISIBLE_DEVICES: 0",
        "export HF_TOKEN=hf_abcdefghijklmnop",
        "os.environ['CUDA_VISIBLE_DEVICES']='0'",
        "Driver Version: 535.104.05",
        "|   0  Tesla T4   Off  | somewhere | 0 |",
        "|   0   N/A  N/A      1234      C   python                 1200MiB |",
        "Is CUDA available: True",
        "torch.cuda.is_available() == False",
        "Package                  Version",
        '  File "/usr/lib/python3/dist-packages/torch/nn/modules/linear.py", line 114, in forward',
    ],
)
def test_other_lines_say_nothing(line: str) -> None:
    """Prose, code, and reports' lines that are not enough for a fact."""
    assert read(line) == read(f"before\n{line}\nafter") == {}


def test_rows_without_the_dashes_are_no_table() -> None:
    """A header alone may be anybody's heading."""
    assert read("Package  Version\ntorch  2.1.0") == {}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("CUDA_VISIBLE_DEVICES=", ""),
        ('export CUDA_VISIBLE_DEVICES="0,1"', "0,1"),
        ("  CUDA_VISIBLE_DEVICES=''", ""),
        ("> - `CUDA_VISIBLE_DEVICES=-1`", "-1"),
        ("CUDA_VISIBLE_DEVICES=GPU-0a1b2c3d,GPU-4e5f6789", "GPU-0a1b2c3d,GPU-4e5f6789"),
        ("CUDA_VISIBLE_DEVICES=0\x00", "0\\x00"),
    ],
)
def test_a_variable_has_the_value_that_a_shell_would_give_it(line: str, value: str) -> None:
    """Without its quotes, and printable."""
    assert fact(line, Environ).get("CUDA_VISIBLE_DEVICES") == value


@pytest.mark.parametrize("text", [COLLECT_ENV, TWO_GPUS, TRANSFORMERS, DIFFUSERS, NVIDIA_SMI, PIP_LIST, CONDA_LIST, DS_REPORT])
@pytest.mark.parametrize("around", ["{}\r", "> {}", "    {}", "{}   "])
def test_pastes_may_be_quoted_and_indented(text: str, around: str) -> None:
    """Or have Windows' line ends left in them."""
    assert read("\n".join(around.format(line) for line in text.split("\n"))) == read(text)


PIECES = st.sampled_from(
    [
        *COLLECT_ENV.split("\n"),
        *NVIDIA_SMI.split("\n"),
        *TWO_GPUS.split("\n"),
        *PIP_LIST.split("\n"),
        *DIFFUSERS.split("\n"),
        "GPU 0: ",
        "|",
        "==",
        "[",
    ]
)
LINES = st.one_of(
    PIECES,
    st.text(max_size=60),
    st.builds("{}: {}".format, st.sampled_from([*KEYS, "GPU 0", "vLLM version"]), st.text(max_size=30)),
    st.builds("{}{}{}".format, st.sampled_from(["|  0  ", "[pip3] ", "[conda] ", "export ", ""]), PIECES, st.text("|0A :=.-()", max_size=20)),
)


@given(lines=st.lists(LINES, max_size=40))
def test_no_text_raises(lines: list[str]) -> None:
    """Whatever it is, and whatever it continues."""
    surroundings = Surroundings()
    for line in lines:
        surroundings.feed(line)
    surroundings.outcomes()
