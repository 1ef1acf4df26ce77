"""The page of one target, and the same as JSON."""

import json
import re

import pytest

from ivdoctor.builds import carriers
from ivdoctor.catalogue import WIDTH, accelerators
from ivdoctor.catalogue_page import document, identifier, install, page, products
from ivdoctor.kernels import ENGINES, engine_rows, kernels
from ivdoctor.tables import DTYPES, newest, table
from ivdoctor.targets import target
from ivdoctor.traps import traps

EVERY = [*{(one.id, one.architecture): one.product for one in accelerators()}.values(), "sm_75", "gfx942", "zen4", "sm_130", "8xH200", "m2"]
KEYS = [
    "name",
    "vendor",
    "architecture",
    "id",
    "compute_capability",
    "gfx",
    "memory_gib",
    "note",
    "dtypes",
    "count",
    "understood",
    "products",
    "traps",
    "builds",
    "install",
    "kernels",
    "engines",
    "tables",
]


def section(text: str, head: str) -> str:
    """The lines under a heading, up to the next."""
    return text.partition(f"\n{head}")[2].partition("\n\n")[0]


def flat(text: str) -> str:
    """Without line ends and indents."""
    return " ".join(text.split())


@pytest.mark.parametrize("name", EVERY)
def test_every_page_is_readable(name: str) -> None:
    """No line is wider than a terminal, none has blanks at its end, and each of the traps is on it."""
    place = target(name)
    text = page(place)

    assert max(map(len, text.splitlines())) <= WIDTH
    assert all(line == line.rstrip() for line in text.splitlines())
    assert all(flat(trap.text) in flat(text) for trap in traps(place))
    assert text.endswith("\n")
    assert "\n\n\n" not in text


@pytest.mark.parametrize("name", EVERY)
def test_every_source_is_on_the_page_once(name: str) -> None:
    """Of the formats, of each kernel and of each engine, which may share one."""
    place = target(name)
    entries = [flat(one) for one in section(page(place), "Sources").split("\n  - ")[1:]]
    known = {one.source for one in kernels(place)} | {row.source.partition(": ")[2] for engine in ENGINES for row in engine_rows(engine, place)}

    assert len(set(entries)) == len(entries)
    for source in known | {place.dtypes.source}:
        assert len([one for one in entries if one == flat(source) or re.fullmatch(rf"[^:]+: {re.escape(flat(source))}", one)]) == 1, source


@pytest.mark.parametrize("name", EVERY)
def test_json_says_the_same(name: str) -> None:
    """Keys in their order, all kernels and engines with their sources, and the date of the tables."""
    place = target(name)
    told = json.loads(document(place))

    assert list(told) == KEYS
    assert list(told["dtypes"]) == list(DTYPES)
    assert {dtype: told["dtypes"][dtype]["status"] for dtype in DTYPES} == {dtype: place.dtypes.of(dtype) for dtype in DTYPES}
    assert [one["kernel"] for one in told["kernels"]] == [one.kernel for one in kernels(place)]
    assert all(one["source"] for one in (*told["kernels"], *told["engines"], *told["traps"]))
    assert [one["text"] for one in told["traps"]] == [one.text for one in traps(place)]
    assert (told["count"], told["tables"]) == (place.count, newest())


def test_formats() -> None:
    """One line a format, in words."""
    lines = section(page(target("T4")), "Number formats").splitlines()[1:]

    assert [line.split() for line in lines[: len(DTYPES)]] == [[dtype, target("T4").dtypes.of(dtype)] for dtype in DTYPES]


def test_heading() -> None:
    """What it is; a count, a capability, memory, and how the name was understood, where there are such."""
    assert page(target("8xH200")).splitlines()[:2] == ["8 x H200 SXM 141GB", "  NVIDIA, Hopper, sm_90, compute capability 9.0, 141 GiB each"]
    assert page(target("M1")).splitlines()[1] == "  Apple, M1, up to 16 GiB"
    assert page(target("gfx942")).splitlines()[1] == "  AMD, CDNA3, gfx942"
    assert "Understood: taken for the one with the least memory; also A100 SXM4 80GB" in page(target("A100"))
    assert "Understood" not in page(target("T4"))


def test_products_of_an_architecture() -> None:
    """Those with its formats; a product has none."""
    turing = [one.product for one in products(target("sm_75"))]
    assert "Tesla T4" in turing
    assert "GeForce GTX 1650" not in turing, "without tensor cores"
    assert products(target("T4")) == ()
    assert re.search(r"Products: .*, and [0-9]+ more\.", flat(page(target("sm_75"))))


def test_builds() -> None:
    """Every build that has code for it, with its releases and the driver it asks for."""
    told = section(page(target("T4")), "PyTorch")

    for one in carriers((7, 5)):
        assert re.search(rf"^ +{one.build} +torch {one.torch_from}\b", told, re.MULTILINE)
    assert "cu126  torch 2.6 to 2.14, Linux driver 525.60.13 or newer" in told
    assert "x86_64: from torch 1.10 or older to 2.15, the newest\n    pip install torch\n" in told
    assert "aarch64: no build with code for it is known" in told


def test_builds_that_end() -> None:
    """Pinned to the last torch that has the code."""
    told = section(page(target("P40")), "PyTorch")

    assert "from torch 1.10 or older to 2.14; the builds end there, 2.15 has no code for it" in told
    assert 'pip install "torch==2.14.*" --index-url https://download.pytorch.org/whl/cu126' in told


def test_builds_that_begin() -> None:
    """From the first torch that has the code, on both kinds of machine; of a gap in one build another tells."""
    told = section(page(target("RTX 5090")), "PyTorch")

    assert re.findall(r"from torch (\S+) to", told) == ["2.7", "2.7"]


def test_builds_that_nobody_has_listed_are_not_called_absent() -> None:
    """Of ROCm's builds for the newest torch the tables know nothing."""
    assert "from torch 2.3 to 2.14; which code the builds of 2.15 carry is not known" in page(target("MI300X"))


@pytest.mark.parametrize(
    ("name", "machine", "command"),
    [
        ("T4", "x86_64", "pip install torch"),
        ("P40", "x86_64", 'pip install "torch==2.14.*" --index-url https://download.pytorch.org/whl/cu126'),
        ("T4", "aarch64", ""),
        ("GH200", "aarch64", "pip install torch"),
        ("MI300X", "x86_64", 'pip install "torch==2.14.*" --index-url https://download.pytorch.org/whl/rocm7.14'),
        ("M1", "aarch64", "pip install torch"),
        ("Arc A770", "x86_64", "pip install torch --index-url https://download.pytorch.org/whl/xpu"),
        ("zen4", "x86_64", "pip install torch --index-url https://download.pytorch.org/whl/cpu"),
        ("Gaudi 2", "x86_64", ""),
        ("TPU v4", "x86_64", ""),
        ("gfx1031", "x86_64", ""),
    ],
)
def test_install(name: str, machine: str, command: str) -> None:
    """The default where it has the code, an index and a pin where not, nothing where none is known."""
    assert install(target(name), machine) == command


def test_kernels_and_engines() -> None:
    """A cell each, a dot for what is in no table, and the notes below; an engine that refuses the device has none."""
    text = page(target("T4"))
    kernel, engine = section(text, "Kernels and libraries"), section(text, "Engines")

    assert re.search(r"^  sdpa-flash +refused +refused +refused +\.", kernel, re.MULTILINE)
    assert re.search(r"^  fp8 +dequantised +weight-only +refused +refused$", engine, re.MULTILINE)
    assert "- triton fp32, fp16: from Triton 3.3 (torch 2.7) without tensor cores." in kernel
    assert "- vllm bf16: " in engine
    assert "- sglang" not in engine
    rows = {line.split()[0] for line in kernel.splitlines() if re.match(r"  [a-z]", line)}
    assert {row["kernel"].split()[0] for row in table("kernels") if row["vendor"] == "NVIDIA"} <= rows


@pytest.mark.parametrize(
    ("name", "known"),
    [("T4", "sm_75"), ("MI300X", "gfx942"), ("M2", "m2"), ("Arc A770", "dg2"), ("zen4", "zen4"), ("sm_130", "sm_130"), ("TPU v4", "tpu-v4")],
)
def test_identifier(name: str, known: str) -> None:
    """As in `architectures.csv`; a processor's is its name."""
    assert identifier(target(name)) == known


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("T4", ("Tesla T4", "NVIDIA", "Turing", "7.5", None, 16, "native", "emulated", "emulated")),
        ("MI300X", ("Instinct MI300X", "AMD", "CDNA3", None, "gfx942", 192, "native", "native", "native")),
        ("M2", ("M2", "Apple", "M2", None, None, 24, "native", "emulated", "none")),
        ("Arc A770", ("Arc A770 8GB", "Intel", "Xe-HPG", None, None, 8, "native", "native", "none")),
        ("H100", ("H100 SXM5 80GB", "NVIDIA", "Hopper", "9.0", None, 80, "native", "native", "native")),
        ("sm_75", ("sm_75", "NVIDIA", "Turing", "7.5", None, None, "native", "emulated", "emulated")),
    ],
)
def test_json_values(name: str, told: tuple[object, ...]) -> None:
    """What the data sheets say."""
    one = json.loads(document(target(name)))
    formats = [one["dtypes"][dtype]["status"] for dtype in ("fp16", "bf16", "fp8_e4m3")]

    assert (*(one[key] for key in ("name", "vendor", "architecture", "compute_capability", "gfx", "memory_gib")), *formats) == told


def test_json_of_builds() -> None:
    """By machine, as `carriers` says."""
    told = json.loads(document(target("P40")))

    assert told["builds"]["x86_64"][0] == {"build": "cu126", "torch_from": "2.6", "torch_last": "2.14", "latest": False}
    assert told["builds"]["aarch64"] == []
    assert list(told["install"]) == ["x86_64"]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("A100", "cu118  torch 2.0 to 2.7, Linux driver 450.80.02 or newer"),
        ("H100", "cu118  torch 2.0 to 2.7, Linux driver 520.61.05 or newer"),
        ("RTX 5090", "cu128  torch 2.7 to 2.11, Linux driver 570.26 or newer"),
        ("B300", "cu128  torch 2.7 to 2.11, Linux driver 575.51.03 or newer"),
        ("B300", "cu130  torch 2.9 to 2.15, Linux driver 580 or newer"),
    ],
)
def test_the_driver_knows_the_device(name: str, line: str) -> None:
    """The build's own floor, or the driver of the CUDA release that knew the device first."""
    assert line in page(target(name))


@pytest.mark.parametrize(
    ("name", "engine", "said", "unsaid"),
    [
        ("sapphirerapids", "transformers", "transformers fp16, bf16: as fast as", "instead: dtype=torch.float32"),
        ("M5", "transformers", "transformers bf16: torch 2.3 and macOS 14 are needed", "instead: dtype=torch.float16"),
        ("A100", "transformers", "quantising at load wants 10.0; instead: vLLM.", "TensorRT-LLM"),
        ("P40", "transformers", "leave bnb_4bit_compute_dtype at float32", "set bnb_4bit_compute_dtype to float16"),
        ("V100", "transformers", "set bnb_4bit_compute_dtype to float16", "vLLM"),
        ("B200", "transformers", "transformers int8: ", "set bnb_4bit_compute_dtype"),
        ("RX 9070 XT", "vllm", "vllm fp8: in the OCP flavour.", "FNUZ"),
    ],
)
def test_advice_is_for_this_device(name: str, engine: str, said: str, unsaid: str) -> None:
    """Not for another generation, nor an engine or a format that this one lacks, nor against what is native."""
    notes = flat(section(page(target(name)), "Engines"))
    of = [one for one in notes.split(" - ") if one.startswith(engine)]
    assert said in " ".join(of)
    assert unsaid not in " ".join(of)
