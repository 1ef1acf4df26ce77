"""The flow of a model from its configuration alone; and of code that means ill, or is only strange."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from ivdoctor.facts import HALVES, Asked, Flow  # torch may not be there
from ivdoctor.flow import flow_of, whole
from ivdoctor.probe import Absent

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""The alarm may ring inside a callback of the garbage collector, which swallows it; it rings again a second later."""

VIT = {
    "model_type": "vit",
    "architectures": ["ViTModel"],
    "num_hidden_layers": 2,
    "hidden_size": 64,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}
DEBERTA = {"model_type": "deberta", "architectures": ["DebertaForMaskedLM"], "dtype": "float16", "num_hidden_layers": 2}
Repository = Callable[..., Path]


def config(folder: Path, **values: Any) -> str:
    (folder / "config.json").write_text(json.dumps(values))
    return str(folder)


def of(folder: Path, **asked: Any) -> Flow:
    return flow_of(Asked(model=str(folder), trust_remote_code=True, **asked))


def refused(folder: Path) -> str:
    with pytest.raises(Absent) as found:
        of(folder)
    return str(found.value)


def test_all_eighteen_cells(tmp_path: Path) -> None:
    """Every model and input dtype, in both ways of loading."""
    flow = flow_of(Asked(model=config(tmp_path, **VIT)))
    assert [one.case for one in flow.cells] == [f"{way}:{model}/{given}" for way in ("loaded", "cast") for model in HALVES for given in HALVES]
    assert flow.architecture == "ViTModel"
    assert flow.inputs == "pixel_values 1x3x224x224 float32"
    assert flow.floats


def test_a_family_that_casts_its_input_is_told_of(tmp_path: Path) -> None:
    """The line that does it, and what the numbers go through."""
    flow = flow_of(Asked(model=config(tmp_path, **VIT)))
    cell = flow.cell("loaded", "bf16", "fp32")
    assert cell is not None
    assert cell.status == "ran"
    assert [one.through for one in cell.casts] == [("float32", "bfloat16")]
    assert cell.casts[0].location.file == "transformers/models/vit/modeling_vit.py"
    assert ".to(" in cell.casts[0].location.code


def test_a_failure_names_its_line_and_what_made_the_odd_dtype(tmp_path: Path) -> None:
    """deberta keeps two biases in float32 when it is loaded in 16 bits, and they meet a product some lines on."""
    flow = flow_of(Asked(model=config(tmp_path, **DEBERTA)))
    cell = flow.cell("loaded", "fp16", "fp32")
    assert cell is not None
    assert cell.location is not None
    assert cell.origin is not None
    assert (cell.status, cell.operands) == ("raised", ("float32", "float16"))
    assert cell.location.file == "transformers/models/deberta/modeling_deberta.py"
    assert cell.location.line > cell.origin.line > 0
    assert cell.origin.module == "deberta.encoder.layer.0.attention.self.q_bias"
    assert {one.name for one in flow.held} == {f"deberta.encoder.layer.*.attention.self.{one}_bias" for one in "qv"}
    cast = flow.cell("cast", "fp16", "fp32")
    assert cast is not None
    assert cast.status == "ran"


def test_the_inventory_is_of_the_cell_that_is_judged(tmp_path: Path) -> None:
    """Each operator with the dtypes it meets, and who calls it."""
    flow = flow_of(Asked(model=config(tmp_path, **VIT), dtype="bf16"))
    assert flow.paired == "loaded:bf16/fp32"
    (conv,) = [one for one in flow.pairs if one.op == "aten.convolution"]
    assert conv.dtypes == ("bfloat16", "bfloat16", "bfloat16")
    assert conv.modules == ("embeddings.patch_embeddings.projection",)
    attention = [one for one in flow.pairs if "scaled_dot_product" in one.op]
    assert [one.op for one in attention] == ["aten.scaled_dot_product_attention"]
    assert attention[0].count == 2


def test_a_decoder_takes_one_more_step_with_its_cache(tmp_path: Path) -> None:
    """A real forward and one cached decoding step."""
    flow = flow_of(Asked(model=config(tmp_path, model_type="gpt2", n_layer=2)))
    assert flow.steps == ("forward", "decode")


def test_inputs_reach_every_tower(tmp_path: Path) -> None:
    """Of a model of pictures and words neither is left out."""
    flow = flow_of(Asked(model=config(tmp_path, model_type="clip")))
    assert flow.unrun == ()
    assert "pixel_values" in flow.inputs
    assert "input_ids" in flow.inputs


def test_a_quantised_model_is_not_followed(tmp_path: Path) -> None:
    """Its files hold other layers."""
    with pytest.raises(Absent, match="quantised"):
        flow_of(Asked(model=config(tmp_path, **VIT, quantization_config={"quant_method": "awq", "bits": 4})))


def test_a_trillion_layers_are_not_built(tmp_path: Path) -> None:
    """Said before anything is imported."""
    with pytest.raises(Absent, match="more than 10000 layers"):
        flow_of(Asked(model=config(tmp_path, model_type="gpt2", n_layer=10**12)))


def test_a_trillion_experts_are_not_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules without end are stopped by their number or by the clock."""
    monkeypatch.setattr(whole, "SECONDS", 5.0)
    with pytest.raises(Absent, match="given up"):
        flow_of(Asked(model=config(tmp_path, model_type="switch_transformers", num_layers=2, num_sparse_encoder_layers=2, num_experts=10**12)))


def test_code_of_a_repository_goes_through_the_same_flow(repository: Repository) -> None:
    """The InternVideo2.5 failure, named to the line."""
    flow = of(repository(), dtype="fp16", input_dtype="bf16")
    cell = flow.cell("cast", "fp16", "bf16")
    assert cell is not None
    assert cell.location is not None
    assert cell.message == "Input type (c10::BFloat16) and bias type (c10::Half) should be the same"
    assert cell.location.op == "aten.convolution"
    assert cell.location.file.endswith("modeling_own.py")
    assert cell.location.code.startswith("hidden = self.patch_embedding(")
    assert cell.origin is not None
    assert (cell.origin.module, cell.origin.dtype) == ("pixel_values", "bfloat16")
    assert flow.floats
    cured = flow.cell("cast", "bf16", "bf16")
    assert cured is not None
    assert cured.status == "ran"


def test_what_a_pass_leaves_behind_is_gone_before_the_next(repository: Repository) -> None:
    """A result in float32 that a module keeps would clash in the cells after it."""
    body = """
    if getattr(self, "kept", None) is None:
        self.kept = self.head.weight * 2
    if not self.cache:
        self.cache["bias"] = self.head.weight * 2
    hidden = hidden + (hidden @ self.kept.t()) @ self.kept + (hidden @ self.cache["bias"].t()) @ self.cache["bias"]
    """
    flow = of(repository(body, init="self.cache = {}"))
    assert {one.case for one in flow.cells if one.status == "ran"} == {f"{way}:{one}/{one}" for way in ("loaded", "cast") for one in HALVES}


def test_without_the_flag_it_is_not_run(repository: Repository, tmp_path: Path) -> None:
    """Not even imported."""
    folder = repository(init=f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(Absent):
        flow_of(Asked(model=str(folder)))
    assert not (tmp_path / "ran").exists()


def test_code_that_does_not_fit_is_told_so(repository: Repository) -> None:
    """Before any word of dtypes."""
    folder = repository()
    (folder / "modeling_own.py").write_text("from transformers.modeling_utils import gone_since_version_five\n")
    flow = of(folder)
    assert "gone_since_version_five" in flow.misfit
    assert flow.cells == ()


def test_a_package_that_is_not_here_is_named(repository: Repository) -> None:
    """As transformers itself would say it."""
    folder = repository()
    (folder / "modeling_own.py").write_text("import no_such_attention_package\n" + (folder / "modeling_own.py").read_text())
    assert "no_such_attention_package" in of(folder).misfit


def test_recursion_is_an_outcome(repository: Repository) -> None:
    """A constructor that calls itself."""
    assert "RecursionError" in of(repository(init="self.one = OwnModel(config)")).misfit


def test_arguments_nobody_has_heard_of(repository: Repository) -> None:
    """Told with the name of what is missing."""
    assert "moon_phase" in refused(repository(takes="pixel_values, moon_phase"))


def test_a_loop_of_items_ends(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers of shadows never converge."""
    monkeypatch.setattr(whole, "SECONDS", 3.0)
    assert "longer than it was given" in refused(repository("while hidden.mean().item() > 0:\n    hidden = hidden / 2"))


def test_a_loop_of_nothing_ends(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Although it calls no operator, and catches what it can."""
    monkeypatch.setattr(whole, "SECONDS", 3.0)
    assert "longer than it was given" in refused(repository("while True:\n    try:\n        pass\n    except Exception:\n        pass"))


def test_what_it_reads_is_told(repository: Repository, tmp_path: Path) -> None:
    """A result that hangs on a file."""
    (tmp_path / "table.bin").write_bytes(b"1")
    assert of(repository(f"with open({str(tmp_path / 'table.bin')!r}) as file:\n    file.read()")).reads == ("table.bin",)


@pytest.mark.parametrize(
    "deed",
    [
        "open({path!r}, 'w')",
        "os.system('true')",
        "os.remove({path!r})",
        "import socket; socket.create_connection(('127.0.0.1', 9))",
    ],
)
def test_it_writes_starts_and_calls_nothing(deed: str, repository: Repository, tmp_path: Path) -> None:
    """A fence against accidents; what is written, started or connected to is refused."""
    path = tmp_path / "precious"
    path.write_text("kept")
    assert "ivdoctor refuses" in refused(repository(deed.format(path=str(path))))
    assert path.read_text() == "kept"
