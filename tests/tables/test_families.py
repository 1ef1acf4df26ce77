"""The table of families: its words, its patterns, and what it says of the types that transformers knows."""

import contextlib
import itertools
import re
from typing import Any

import pytest

from ivdoctor.facts import HALVES, TORCH_NAME, release
from ivdoctor.families import CELLS, Family
from ivdoctor.tables import table

ROWS = table("families")
LOOKED_UP_IN = (5, 23)
"""The transformers that the table was made with."""


def title(row: dict[str, str]) -> str:
    return " ".join(filter(None, (row["model_type"], row["code"], row["name"])))


@pytest.mark.parametrize("row", ROWS, ids=title)
def test_a_row_says_something_in_legal_words(row: dict[str, str]) -> None:
    """A misspelt word would read as not measured; a row about nothing is none."""
    assert row["cells"] in {"", *CELLS}
    assert row["casts_input"] in {"", "yes", "no"}
    assert re.fullmatch(r"[A-Za-z0-9_.-]*", row["model_type"])
    assert re.fullmatch(r"(modeling_\w+)?", row["code"])
    assert row["model_type"] or row["code"], "it would be about every model"
    assert any(row[column] for column in ("cells", "kept_fp32", "loads_with", "breaks", "note", "trap"))
    assert row["native_since"] in {"", "?"} or re.fullmatch(r"\d+\.\d+\.\d+", row["native_since"])
    re.compile(row["name"])


@pytest.mark.parametrize("row", [row for row in ROWS if row["loads_with"]], ids=title)
def test_a_restriction_can_be_read_and_says_what_happens_beyond_it(row: dict[str, str]) -> None:
    """By the library that judges it; the newest release looked at is outside, or there would be no need to say so."""
    family = Family(**{name: row[name] for name in Family.__slots__})
    assert family.fits("5.23.0") is False
    assert len(row["breaks"].split()) >= 3


@pytest.mark.parametrize("row", [row for row in ROWS if row["cells"]], ids=title)
def test_measured_cells_agree_with_the_cast(row: dict[str, str]) -> None:
    """A family that runs in all nine was seen to cast, one that runs on the diagonal alone was not; and a measurement names its releases."""
    if row["input"] != "inputs_embeds":  # token ids are what people pass
        assert row["casts_input"] == ("yes" if row["cells"] == "9/9" else "no")
    assert row["first_op"]
    assert row["input"].isidentifier()
    assert re.search(r"transformers \d+\.\d+\.\d+", row["source"])
    assert "tiny random model" in row["source"]


@pytest.mark.parametrize("row", [row for row in ROWS if row["casts_input"] == "no"], ids=title)
def test_who_casts_nothing_has_an_input(row: dict[str, str]) -> None:
    """The advice is a line of code with its name."""
    assert row["input"].isidentifier()


def test_enough_families_were_measured() -> None:
    """Sixty types with a float input, in both ways of handling it."""
    measured = [row for row in ROWS if "benchmarks/families.py" in row["source"]]
    assert len(measured) >= 60
    assert {row["cells"] for row in measured} >= {"9/9", "diagonal"}


def test_what_the_table_calls_native_is_known_to_transformers() -> None:
    """By its own mapping, in both directions: a type without a release is one it does not know."""
    version = pytest.importorskip("transformers").__version__
    known = pytest.importorskip("transformers.models.auto.configuration_auto").CONFIG_MAPPING_NAMES
    if release(version) < LOOKED_UP_IN:
        pytest.skip(f"transformers {version} is older than the table")
    assert [title(row) for row in ROWS if row["native_since"] not in {"", "?"} and row["model_type"] not in known] == []
    assert [title(row) for row in ROWS if row["model_type"] and row["native_since"] == "" and row["model_type"] in known] == []


@pytest.mark.parametrize(
    ("model_type", "attribute"),
    [("t5", "wo"), ("blip-2", "qformer"), ("glm4v_moe", "e_score_correction_bias"), ("deepseek_v3", "e_score_correction_bias")],
)
def test_what_stays_in_float32_is_what_the_classes_say(model_type: str, attribute: str) -> None:
    """As transformers declares it."""
    row = next(row for row in ROWS if row["model_type"] == model_type and not row["code"])
    assert attribute in row["kept_fp32"].split(";")


NARROW = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
PATCHES = NARROW | {"image_size": 8, "patch_size": 4}
WAVES = NARROW | {"num_feat_extract_layers": 1, "num_conv_pos_embeddings": 2, "num_conv_pos_embedding_groups": 1}
TINY: dict[str, tuple[str, dict[str, Any], tuple[int, ...]]] = {
    "clip_vision_model": ("CLIPVisionModel", PATCHES, (1, 3, 8, 8)),
    "vit": ("ViTModel", PATCHES, (1, 3, 8, 8)),
    "beit": ("BeitModel", PATCHES, (1, 3, 8, 8)),
    "wav2vec2": ("Wav2Vec2Model", WAVES | {"conv_dim": [8], "conv_kernel": [4], "conv_stride": [2]}, (1, 400)),
}


@pytest.mark.parametrize("model_type", TINY)
def test_the_cells_of_a_row_are_what_its_family_does(model_type: str) -> None:
    """Run again, smaller still: all nine cells, with the transformers that is installed."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    if release(transformers.__version__) < LOOKED_UP_IN:
        pytest.skip(f"transformers {transformers.__version__} is older than the table")
    name, sizes, shape = TINY[model_type]
    row = next(row for row in ROWS if row["model_type"] == model_type)
    kind = getattr(transformers, name)
    model = kind(kind.config_class(**sizes)).eval()
    given = torch.randn(*shape)
    dtypes = {short: getattr(torch, TORCH_NAME[short]) for short in HALVES}
    ran = set()
    for one, other in itertools.product(HALVES, HALVES):
        with contextlib.suppress(RuntimeError), torch.no_grad():
            model.to(dtypes[one])(**{row["input"]: given.to(dtypes[other])})
            ran.add((one, other))
    assert ran == CELLS[row["cells"]]
