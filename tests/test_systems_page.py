"""The README's table of eight models: what each cell must say, written by hand from what is publicly known, and that the command line says the same."""

import json
from pathlib import Path

import pytest

from ivdoctor import codec
from ivdoctor.facts import Anatomy
from ivdoctor.finding import Severity
from ivdoctor.gate import Answer
from ivdoctor.systems_page import PLACES, SYSTEMS, cell, outcomes, report, table

FOLDER = Path(__file__).parent / "systems"

NO, READY, UNKNOWN = "no", "ready", "unknown"

EXPECTED = {
    # T4, V100, A100-80, RTX 4090, H100, 8xH200, a processor with AVX2 and 64 GB
    "InternVideo2_5_Chat_8B": (NO, NO, NO, NO, NO, NO, NO),  # transformers 5.23 cannot load its code, on any hardware
    "AutoGLM-Phone-9B": (NO, NO, READY, READY, READY, READY, UNKNOWN),  # 20.6 GB; vLLM and 24 GB by its README
    "Kimi-K2-Thinking": (NO, NO, NO, NO, NO, READY, NO),  # 594 GB; vLLM's recipe is eight H200
    "GLM-4.6V-FP8": (NO, NO, NO, NO, NO, READY, NO),  # 110 GB; vLLM's recipe is four H100 or H200
    "HunyuanOCR": (NO, NO, READY, READY, READY, READY, READY),  # bf16; 9 of 9 cells ran
    "GLM-ASR-Nano-2512": (NO, NO, READY, READY, READY, READY, READY),  # bf16; the diagonal ran
    "GLM-TTS": (UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, NO),  # parts of unknown size; .cuda() is written down
    "Spark-Formalizer-X1-7B": (NO, NO, UNKNOWN, NO, UNKNOWN, UNKNOWN, UNKNOWN),  # 28 GB in float32; its code is not public
}
CASES = [(name, place, word) for name, row in EXPECTED.items() for place, word in zip(PLACES, row, strict=True)]

PARAMETERS = {
    "InternVideo2_5_Chat_8B": (8_075_365_376, 16.2e9),
    "AutoGLM-Phone-9B": (10_292_777_472, 20.6e9),
    "Kimi-K2-Thinking": (1_026_408_209_408, 594.2e9),
    "GLM-4.6V-FP8": (107.71e9, 110e9),
    "HunyuanOCR": (996_208_112, 1.99e9),
    "GLM-ASR-Nano-2512": (2_136_470_528, 4.27e9),
    "Spark-Formalizer-X1-7B": (7e9, 28e9),
}
"""As measured on the meta device (transformers 5.23.0) or published, and bytes as stored; GLM-TTS has no figure."""


def test_the_table_is_about_these() -> None:
    """Eight by seven, each with an engine that is known."""
    assert (list(SYSTEMS), len(PLACES)) == (list(EXPECTED), 7)


@pytest.mark.parametrize(("name", "place", "word"), CASES)
def test_each_cell_says_what_is_known(name: str, place: str, word: str) -> None:
    """A no has an error, a yes has none and nothing unknown, an unknown says what is."""
    found = report(FOLDER / f"{name}.json", place, SYSTEMS[name])

    assert cell(found).partition(":")[0].partition(" ")[0] == word
    assert found.verdict is {NO: Answer.NOT_READY, READY: Answer.READY, UNKNOWN: Answer.UNDETERMINED}[word]
    assert any(one.severity is Severity.ERROR for one in found.findings) is (word == NO)
    assert found.exit_code == {NO: 1, READY: 0, UNKNOWN: 3}[word]
    assert found.reason.startswith("by the tables alone: ")


@pytest.mark.parametrize("name", PARAMETERS)
def test_weights_are_within_one_percent_of_what_is_known(name: str) -> None:
    """Counted from the configuration, or published."""
    (anatomy,) = (one.fact for one in outcomes(FOLDER / f"{name}.json") if isinstance(one.fact, Anatomy))
    parameters, size = PARAMETERS[name]
    assert anatomy.parameters == pytest.approx(parameters, rel=0.01)
    assert sum(one.bytes for one in anatomy.stored) == pytest.approx(size, rel=0.01)


def test_internvideo_on_a_t4_names_the_way_out() -> None:
    """Its family row: bf16 is emulated, the patch convolution does not cast, so fp16 for both from one variable, its range to be tested."""
    found = report(FOLDER / "InternVideo2_5_Chat_8B.json", "T4")
    by_code = {one.code: one for one in found.findings}

    assert found.exit_code == 1
    assert by_code["IVD320"].fixes[0].command == 'pip install "transformers==4.40.1"'
    assert "patch_embedding" in by_code["IVD322"].message
    for code in ("IVD201", "IVD322"):
        fix = by_code[code].fixes[0]
        assert fix.code.splitlines()[0] == "dtype = torch.float16"
        assert "pixel_values = pixel_values.to(model.device, dtype)" in fix.code
        assert "test it" in fix.title
    text = json.dumps([codec.plain(one.fixes) for one in found.findings])
    assert "torch.bfloat16" not in text


def test_with_the_pinned_release_internvideo_is_not_refused() -> None:
    """On an A100 what is left is that its own code was not run: undetermined, and the pixels must be cast."""
    from ivdoctor.checkup import judged
    from ivdoctor.facts import Asked, Package, Packages, Version
    from ivdoctor.plugins import plugins
    from ivdoctor.targets import target

    path = FOLDER / "InternVideo2_5_Chat_8B.json"
    old = Packages(installed=(Package(name="transformers", version=Version("4.40.1")),), shadowed=(), broken=())
    facts = [one for one in outcomes(path) if one.subject not in ("packages", "native")]
    made = [*facts, *(type(one)(subject="packages", status="ok", fact=old) for one in outcomes(path) if one.subject == "packages")]
    found = judged(made, Asked(model=str(path), targets=("A100-80",), dtype="bf16"), registered=plugins(), targets=(target("A100-80"),))

    assert found.verdict is Answer.UNDETERMINED
    assert "brings code of its own" in found.reason
    (inputs,) = (one for one in found.findings if one.code == "IVD322")
    assert inputs.fixes[0].code.startswith("dtype = torch.bfloat16\n")


def test_the_readme_holds_the_table() -> None:
    """As it is made now."""
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    assert table(FOLDER) in readme
