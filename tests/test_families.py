"""Which row is about a model, and what it says of a release and of a cell."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivdoctor.facts import HALVES, Half
from ivdoctor.families import Family, family_of
from ivdoctor.tables import table
from ivdoctor.testing import a_model

HICO = ("configuration_internlm2", "configuration_internvl_chat", "modeling_internlm2", "modeling_internvl_chat_hico2")


@pytest.mark.parametrize(
    ("model_type", "code", "name", "row"),
    [
        ("internvl_chat", HICO, "InternVideo2_5_Chat_8B", ("internvl_chat", "modeling_internvl_chat_hico2", "")),
        ("internvl_chat", ("modeling_internlm2", "modeling_internvl_chat"), "InternVL2-8B", ("internvl_chat", "modeling_internlm2", "")),
        ("internvl_chat", ("modeling_internvl_chat",), "InternVL3-8B", ("internvl_chat", "", "")),
        ("internvl_chat", (), "", ("internvl_chat", "", "")),
        ("internvl", (), "", ("internvl", "", "")),
        ("llama", (), "zai-org/GLM-TTS", ("llama", "", "GLM-TTS")),
        ("llama", (), "glm-tts", ("llama", "", "GLM-TTS")),
        ("chatglm", ("modeling_chatglm",), "THUDM/glm-4v-9b", ("chatglm", "", "glm-4v")),
        ("chatglm", ("modeling_chatglm",), "glm-4-9b-chat", ("chatglm", "", "")),
        ("florence2", ("modeling_florence2",), "Florence-2-large", ("florence2", "modeling_florence2", "")),
        ("anything", ("modeling_cogvlm",), "cogvlm2", ("", "modeling_cogvlm", "")),
        ("", ("modeling_cogvlm",), "cogvlm2", ("", "modeling_cogvlm", "")),
    ],
)
def test_the_most_specific_row_is_the_models(model_type: str, code: tuple[str, ...], name: str, row: tuple[str, str, str]) -> None:
    """A name before code, code before a type; some code is known without its type."""
    family = family_of(a_model(model_type=model_type, code=code, name=name))
    assert family is not None
    assert (family.model_type, family.code, family.name) == row


@pytest.mark.parametrize(
    ("model_type", "name"), [("llama", "Llama-3-8B"), ("florence2", "Florence-2-large"), ("", "GLM-TTS"), ("INTERNVL", ""), ("nobody's", "")]
)
def test_of_any_other_model_nothing_is_known(model_type: str, name: str) -> None:
    """Types are compared letter by letter; a name alone is not enough."""
    assert family_of(a_model(model_type=model_type, name=name)) is None


def test_a_row_comes_with_its_source_and_its_date() -> None:
    """In every finding."""
    family = family_of(a_model(model_type="internvl_chat", code=HICO))
    assert family is not None
    assert "InternVideo issues 243 and 251" in family.source
    assert family.source.endswith("(2026-11-22)")


def test_a_measurement_tells_its_release() -> None:
    """Where a family casts its input changed from release to release."""
    found = {kind: family_of(a_model(model_type=kind, code=code)) for kind, code in (("clip", ()), ("internvl_chat", HICO), ("t5", ()))}
    assert {kind: family.measured_with for kind, family in found.items() if family} == {"clip": "5.23.0", "internvl_chat": "", "t5": ""}


@pytest.mark.parametrize(
    ("loads_with", "version", "fits"),
    [
        ("", "5.23.0", None),
        ("==4.40.1", "4.40.1", True),
        ("==4.40.1", "4.40.2", False),
        ("<5", "4.57.1", True),
        ("<5", "5.0.0", False),
        ("<5", "5.0.0rc1", False),
        ("<4.52", "4.46.2", True),
        ("<4.52", "5.23.0", False),
        ("<5", "4.40.0.dev0", True),
        ("<5", "5.1.0.dev0", False),
        ("<5", "no version", None),
        ("<5", "", None),
    ],
)
def test_whether_a_release_runs_its_code(loads_with: str, version: str, fits: bool | None) -> None:
    """Pre-releases count as the release they come before, but of a bound that they stand at; what cannot be read is not known."""
    assert Family(model_type="x", loads_with=loads_with, source="test").fits(version) is fits


@pytest.mark.parametrize(
    ("cells", "running"),
    [
        ("9/9", {(one, other) for one in HALVES for other in HALVES}),
        ("diagonal", {(one, one) for one in HALVES}),
        ("diagonal+fp32", {("fp32", "fp32"), ("fp32", "fp16"), ("fp32", "bf16"), ("fp16", "fp16"), ("bf16", "bf16")}),
    ],
)
def test_which_cells_run(cells: str, running: set[tuple[Half, Half]]) -> None:
    """Model dtype first; none is unknown once they were measured."""
    family = Family(model_type="x", cells=cells, source="test")
    assert {(one, other) for one in HALVES for other in HALVES if family.runs(one, other)} == running
    assert family.runs("fp16", "bf16") is (cells == "9/9")


def test_cells_that_were_not_measured_are_unknown() -> None:
    """Neither yes nor no."""
    assert Family(model_type="x", source="test").runs("fp16", "fp16") is None


@given(model_type=st.sampled_from([row["model_type"] for row in table("families")]) | st.text(max_size=8), name=st.text(max_size=12))
def test_any_model_has_a_row_about_it_or_none(model_type: str, name: str) -> None:
    """Whatever it is called."""
    family = family_of(a_model(model_type=model_type, name=name))
    assert family is None or family.model_type == model_type


def test_a_requirement_is_read_as_packaging_reads_it() -> None:
    """Every requirement of the table and some more, with releases on both sides of each."""
    specifiers = pytest.importorskip("packaging.specifiers")
    wanted = {row["loads_with"] for row in table("families") if row["loads_with"]} | {"==4.40.1", ">=4.37,<5", "!=4.50.0,>4.40", "<=4.57"}
    releases = (
        "4.30.0",
        "4.33.3",
        "4.34.0",
        "4.37.2",
        "4.40.1",
        "4.43.4",
        "4.44.0",
        "4.48.0",
        "4.49.0",
        "4.50.0",
        "4.52.0",
        "4.57",
        "4.57.3",
        "5.0.0",
        "5.23.0",
    )
    for clause in wanted:
        for version in releases:
            assert Family(model_type="x", loads_with=clause, source="test").fits(version) is specifiers.SpecifierSet(clause).contains(version), (
                clause,
                version,
            )
