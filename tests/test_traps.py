"""What goes wrong on an accelerator, told from the tables."""

import pytest

from ivdoctor.catalogue import accelerators
from ivdoctor.facts import DtypeRow, Place
from ivdoctor.tables import table
from ivdoctor.targets import target
from ivdoctor.traps import because, first_torch, machines, traps

EVERY = list({(one.id, one.architecture): one.product for one in accelerators()}.values())
"""A product of each architecture."""

FLAG = "torch.cuda.is_bf16_supported()"


def told(name: str) -> str:
    """All of a target's traps, a line each."""
    return "\n".join(one.text for one in traps(target(name)))


@pytest.mark.parametrize("name", EVERY)
def test_every_trap_has_a_source_and_ends_as_a_sentence(name: str) -> None:
    """One line each, none twice."""
    found = traps(target(name))

    assert all(one.source.strip() and one.text.endswith(".") and "\n" not in one.text for one in found)
    assert "()" not in "".join(one.text for one in found).replace("_supported()", "")
    assert len({one.text for one in found}) == len(found)


@pytest.mark.parametrize("name", EVERY)
def test_16_bit_formats_that_are_not_native_are_told(name: str) -> None:
    """Whether emulated or absent, and only then."""
    place, text = target(name), told(name)

    for dtype in ("fp16", "bf16"):
        assert (f"{dtype} is emulated" in text) == (place.dtypes.of(dtype) == "emulated")
        assert (f"There is no {dtype}" in text) == (place.dtypes.of(dtype) == "none")


@pytest.mark.parametrize(
    ("name", "version"),
    [("T4", "2.4"), ("P40", "2.4"), ("V100", "2.4"), ("K80", "2.4"), ("Radeon VII", "1.13"), ("A100", ""), ("MI300X", ""), ("M1", ""), ("sm_35", "")],
)
def test_the_flag_that_calls_emulation_supported(name: str, version: str) -> None:
    """Below 8.0 and on old Radeons, from the torch on that says so; not where that torch has no code, nor where bf16 is native."""
    assert (f"{FLAG} is True here from torch {version} on" in told(name)) == bool(version)
    assert (FLAG in told(name)) == bool(version)


def test_what_to_take_instead() -> None:
    """The other 16-bit format where it is native, with its range; fp32 where neither is."""
    assert "take fp16, whose range ends at 65504." in told("T4")
    assert "fp16 is emulated (fp16 runs at 1/64 of the fp32 rate): take fp32." in told("P40")
    assert "There is no fp16: take bf16." in told("gaudi1")


def test_fp8() -> None:
    """Weights only, the other flavour, or none; nothing where it computes in the usual one."""
    assert "No fp8 arithmetic (fp8 weights only). transformers does not keep an fp8 checkpoint: the weights become bf16" in told("A100")
    assert "FNUZ" in told("MI300X")
    assert "No fp8 arithmetic." in told("RX 7900 XTX")
    assert "fp8" not in told("H100")


def test_one_flavour_of_fp8_is_not_both() -> None:
    """Trainium computes in e5m2 and converts e4m3."""
    place = target("Trainium1")
    assert (place.dtypes.fp8_e4m3, place.dtypes.fp8_e5m2) == ("emulated", "native")

    assert "No fp8_e4m3 arithmetic" in told("Trainium1")
    assert "No fp8 arithmetic" not in told("Trainium1")


def test_a_chip_without_tensor_cores_that_reports_the_same() -> None:
    """GTX 16xx, and not Turing itself."""
    assert "No tensor cores, although it reports sm_75 as Turing does." in told("GTX 1660 Ti")
    assert "ensor cores, although" not in told("T4")


def test_attention() -> None:
    """What is left where flash refuses; nothing where it takes both formats."""
    assert "torch's attention in bf16: sdpa-flash, sdpa-efficient, sdpa-cudnn refuse; left: sdpa-math (slow)." in told("T4")
    assert 'flash-attn 2 refuses fp16 and bf16: use attn_implementation sdpa ("FlashAttention only supports Ampere GPUs or newer").' in told("T4")
    assert "attention" not in told("H100")
    assert "flash-attn 3 refuses fp16 and bf16: built for 9.0" in told("B200")
    assert "triton refuses fp16 and bf16: torch.compile refuses" in told("P40")


def test_builds_that_end_and_builds_that_begin() -> None:
    """What pip brings has no code for a P40; older torch has none for a new device; an A100 has neither trouble."""
    assert "which has no code for it" in told("P40")
    assert "the newest torch known to have it is 2.14." in told("P40")
    assert "torch before 2.7 has no code for it." in told("RTX 5090")
    assert "torch before 2.7 has no code for it." in told("GB200"), "cu128 for aarch64 has a gap, which is no beginning"
    assert "code for it" not in told("A100")
    assert "No published build of torch is known to carry code for it." in told("AGX Orin")
    assert "name a ROCm build's index" in told("MI300X")


def test_integrated_gpus() -> None:
    """They run only their own code; a board of the same generation is none."""
    assert "An integrated GPU" in told("AGX Orin")
    assert "An integrated GPU" not in told("RTX 3090")


def test_mps() -> None:
    """Every row of the table, with when it holds and what is said; nowhere else."""
    text = told("M1")

    assert all(row["message"].rstrip(".") in text for row in table("mps_limits"))
    assert 'MPS refuses bf16 with torch from 2.3, macOS before 14 ("' in text
    assert "MPS" not in told("T4")


def test_engines() -> None:
    """Those that refuse the device and those that refuse a format; no advice that leads to another that refuses."""
    assert "sglang does not run on it" in told("T4")
    assert "vllm refuses bf16" in told("T4")
    assert "vllm does not run on it" not in told("T4")
    assert "tensorrt-llm does not run on it: Turing is not on the list of supported architectures; instead: vLLM." in told("T4")
    assert "instead: vLLM." not in told("P40")
    assert "does not run" not in told("H100")
    assert "sglang does not run" not in told("M1"), "of plain formats the tables say nothing"


def test_first_torch_and_machines() -> None:
    """By every build, not by the newest stretch of each; superchips stand beside ARM alone."""
    assert first_torch(target("RTX 5090"), "x86_64") == "2.7"
    assert first_torch(target("T4"), "x86_64") == "1.10"
    assert first_torch(target("MI300X"), "x86_64") == "2.3"
    assert (machines(target("GH200")), machines(target("H100"))) == (("aarch64",), ("x86_64", "aarch64"))


def test_an_unknown_device_has_no_traps() -> None:
    """Nothing is known of it, and nothing is made up."""
    place = Place(name="x", kind="target", title="x", vendor="Nobody", reachable=False, dtypes=DtypeRow())

    assert traps(place) == ()


def test_because() -> None:
    """Note, message, both or neither."""
    assert [because("", ""), because("old", ""), because("", "No."), because("old", "No.")] == ["", ": old", ' ("No")', ': old ("No")']


@pytest.mark.parametrize(("name", "usable"), [("MI300X", True), ("RX 7900 XTX", True), ("MI100", False), ("RX 6800 XT", False), ("V100", False)])
def test_an_engine_is_advised_only_where_it_is_known_to_run(name: str, usable: bool) -> None:
    """vLLM in place of TensorRT-LLM: the tables list its devices of AMD's."""
    line = next(one for one in told(name).splitlines() if one.startswith("tensorrt-llm does not run on it"))
    assert line.endswith("instead: vLLM.") == usable


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("GTX 1660", "NaN in fp16 convolutions is reported there"),
        ("Arc A770", "No float64 in hardware."),
        ("RTX 5090", "Kernels written for sm_100 do not run on it."),
        ("GB10", "Kernels written for sm_100 do not run on it."),
        ("M1", "MPS refuses fp8_e4m3 with torch from 2.13 and before 2.15"),
    ],
)
def test_what_a_note_or_a_limit_warns_of(name: str, words: str) -> None:
    """Said of that device, and not of the T4."""
    assert words in told(name)
    assert words not in told("T4")
