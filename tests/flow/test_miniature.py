"""The user's own architecture made small and really run."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
transformers: Any = pytest.importorskip("transformers")

import torch  # noqa: E402
from torch import nn  # noqa: E402

from ivdoctor.facts import Asked, Miniature  # noqa: E402
from ivdoctor.flow import miniature_build  # noqa: E402
from ivdoctor.flow.miniature import miniature_of  # noqa: E402
from ivdoctor.flow.miniature_build import small_of, smallest  # noqa: E402
from ivdoctor.flow.miniature_cells import Small, cast, cells_run  # noqa: E402
from ivdoctor.flow.miniature_remedies import remedies  # noqa: E402
from ivdoctor.probe import Absent  # noqa: E402

PVT: dict[str, Any] = {"model_type": "pvt", "architectures": ["PvtForImageClassification"], "depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 24, 32]}
PVT |= {"num_attention_heads": [1, 2, 3, 4], "image_size": 64, "num_encoder_blocks": 4}
"""Casts none of its inputs."""
LLAMA = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 4096, "num_attention_heads": 32, "num_hidden_layers": 32}
LLAMA |= {"intermediate_size": 11008, "vocab_size": 32000, "num_key_value_heads": 32}


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A miniature takes one, and the room it runs in ends with it; a test's does not."""
    from ivdoctor.trials.load import OFFLINE

    for name in OFFLINE:
        monkeypatch.setenv(name, "1")
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def of(config: dict[str, Any], folder: Path, **asked: Any) -> Miniature:
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return miniature_of(Asked(model=str(folder), **asked), seconds=60)


@pytest.fixture(scope="module")
def pvt(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    return of(PVT, tmp_path_factory.mktemp("models"), dtype="bf16", input_dtype="fp32")


def test_a_configuration_is_all_it_takes(pvt: Miniature) -> None:
    """Eighteen cells really run; the diagonals run, and what is not cast is refused by the first convolution."""
    assert (pvt.architecture, pvt.library) == ("PvtForImageClassification", f"transformers {transformers.__version__}")
    assert {cell.case: cell.status for cell in pvt.cells} == {
        f"{way}:{model}/{given}": "ran" if model == given else "raised"
        for way in ("loaded", "cast")
        for model in ("fp32", "fp16", "bf16")
        for given in ("fp32", "fp16", "bf16")
    }
    cell = pvt.cell("loaded", "bf16", "fp32")
    assert cell is not None
    assert cell.location is not None
    assert cell.message == "Input type (float) and bias type (c10::BFloat16) should be the same"
    assert (cell.error, cell.location.op) == ("RuntimeError", "aten.convolution")
    assert (cell.location.file, cell.location.code) == ("transformers/models/pvt/modeling_pvt.py", "patch_embed = self.projection(pixel_values)")


def test_every_remedy_is_really_applied(pvt: Miniature) -> None:
    """With what came of it, and the format it computes in."""
    tried = {trial.remedy: trial for trial in pvt.tried("loaded:bf16/fp32")}

    assert {slug: (one.status, one.computes_in, one.after) for slug, one in tried.items()} == {
        "cast-input": ("passed", "bf16", "ran, output bfloat16"),
        "cast-afterwards": ("passed", "bf16", "ran, output bfloat16"),
        "everything-fp32": ("passed", "fp32", "ran, output float32"),
        "everything-fp16": ("passed", "fp16", "ran, output float16"),
        "cast-model": ("passed", "fp32", "ran, output float32"),
        "autocast": ("passed", "bf16", "ran, output bfloat16"),
        "cast-module": ("passed", "bf16", "ran, output bfloat16"),
    }
    assert {(one.how, one.where) for one in pvt.trials} == {("miniature", "cpu")}
    assert {one.before for one in tried.values()} == {"RuntimeError: Input type (float) and bias type (c10::BFloat16) should be the same"}
    assert "load-at-once" in {one.remedy for one in pvt.tried("cast:bf16/fp32")}


def test_the_cell_that_is_judged_comes_first(pvt: Miniature) -> None:
    """Where there is no time for all, it is the one that has its trials."""
    assert pvt.trials[0].case == "loaded:bf16/fp32"


def test_what_was_made_smaller_is_said(tmp_path: Path) -> None:
    """Seven billion parameters become a few millions, and the judged class is the configuration's own."""
    found = of(LLAMA, tmp_path)

    assert "num_hidden_layers 32 -> 2" in found.changes
    assert (found.architecture, found.parameters < 20_000_000) == ("LlamaForCausalLM", True)
    assert {(cell.status, cell.step) for cell in found.cells} == {("ran", "decode")}
    assert found.trials == ()


class Mixed(transformers.BertModel):  # type: ignore[misc]
    """A model whose second pass meets a weight that was left in float32."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.last = nn.Linear(config.hidden_size, config.hidden_size, dtype=torch.float32)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Of the first state alone."""
        found: torch.Tensor = self.last(super().forward(input_ids).last_hidden_state[:, 0])
        return found


SMALL = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64, "vocab_size": 60}


def bert(cls: Any) -> Small:
    return small_of(cls, transformers.BertConfig(**SMALL))


def test_a_weight_kept_in_float32_raises_as_loaded_and_not_as_cast() -> None:
    """Loading keeps what the constructor made, a cast casts it; without floating inputs the three columns are one."""
    small = bert(Mixed)
    cells = cells_run(small, ("bf16", "bf16"))

    assert {cell.case for cell in cells if cell.status == "raised"} == {
        f"loaded:{model}/{given}" for model in ("fp16", "bf16") for given in ("fp32", "fp16", "bf16")
    }
    trials = [one for one in remedies(small, cells, ("bf16", "bf16")) if one.case == "loaded:bf16/bf16"]
    assert {one.remedy: one.status for one in trials} == {
        "cast-afterwards": "passed",
        "everything-fp32": "passed",
        "everything-fp16": "failed",
        "autocast": "passed",
        "cast-module": "passed",
    }
    failed = next(one for one in trials if one.status == "failed")
    assert failed.after == failed.before.replace("BFloat16", "Half") == "RuntimeError: mat1 and mat2 must have the same dtype, but got Half and Float"


class Slow(transformers.BertModel):  # type: ignore[misc]
    """Never ends in bf16."""

    def forward(self, input_ids: torch.Tensor) -> Any:
        """As BERT, where it ends."""
        while self.dtype == torch.bfloat16:
            time.sleep(0.01)
        if self.dtype == torch.float16:
            raise ValueError("no fp16, please")
        return super().forward(input_ids)


def test_one_that_never_ends_is_unknown_and_no_failure() -> None:
    """In bounded time; nor is a remedy that had to be stopped a failed one."""
    small = bert(Slow)
    small.until = time.monotonic() + 3
    began = time.monotonic()

    cells = cells_run(small, ("bf16", "bf16"))

    assert time.monotonic() - began < 10
    judged = next(cell for cell in cells if cell.case == "loaded:bf16/bf16")
    assert (judged.status, judged.message) == ("unknown", "Stopped: it took longer than it was given")
    assert {cell.status for cell in cells if cell.model == "bf16"} == {"unknown"}
    small.until = time.monotonic() + 3
    cells = cells_run(small, ("fp16", "fp16"))
    small.until = time.monotonic() + 2
    assert "everything-bf16" not in {one.remedy for one in remedies(small, cells, ("fp16", "fp16"))}


class Keeping(transformers.BertModel):  # type: ignore[misc]
    """Keeps what its first pass has computed, as a codec keeps its codebook."""

    kept: Any = None

    def forward(self, input_ids: torch.Tensor) -> Any:
        """With a table made once."""
        if self.kept is None:
            self.kept = self.pooler.dense.weight * 2
        return nn.functional.linear(super().forward(input_ids).last_hidden_state, self.kept)


def test_no_cell_sees_what_another_has_left() -> None:
    """Nor what the search for inputs has: a user casts before the first pass."""
    assert {cell.status for cell in cells_run(bert(Keeping))} == {"ran"}


def test_one_that_is_too_large_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is counted before there is any data."""
    monkeypatch.setattr(miniature_build, "LARGEST", 1000)

    with pytest.raises(Absent, match="cut as hard as it can be it still has 0 million parameters"):
        bert(transformers.BertModel)


class Picky(transformers.BertModel):  # type: ignore[misc]
    """Takes what nobody knows."""

    def forward(self, unheard_of: Any) -> Any:
        """Of nothing."""
        return unheard_of.no_such_attribute


def test_one_that_takes_unheard_of_inputs_is_absent_with_its_reason() -> None:
    """Of the first class that was tried, in one line."""
    with pytest.raises(Absent, match="no miniature of it runs in float32: Picky: it takes none of the inputs that are known"):
        smallest(transformers.BertConfig(**SMALL), [Picky], time.monotonic())


@pytest.mark.parametrize("config", [{"model_type": "nobody-knows-it"}, {"model_type": "llama", "hidden_size": "wide"}, {}])
def test_a_configuration_of_nothing_is_absent(config: dict[str, Any], tmp_path: Path) -> None:
    """With a reason, and no traceback."""
    with pytest.raises(Absent):
        of(config, tmp_path)


def test_the_weights_are_always_the_same() -> None:
    """What one sees is what another sees."""
    first, second = bert(transformers.BertModel), bert(transformers.BertModel)

    assert all(torch.equal(one, second.weights[name]) for name, one in first.weights.items())
    assert all(torch.isfinite(one).all() for one in first.weights.values() if one.is_floating_point())


def test_a_cast_of_inputs_leaves_whole_numbers_alone() -> None:
    """Those in lists and dictionaries too."""
    ids, pixels = torch.tensor([1]), torch.ones(2)

    found = cast({"a": ids, "b": [pixels, {"c": pixels}], "d": None}, torch.float16)

    assert found["a"] is ids
    assert found["d"] is None
    assert (found["b"][0].dtype, found["b"][1]["c"].dtype) == (torch.float16, torch.float16)


def test_a_long_sound_is_cut_where_the_model_takes_it() -> None:
    """A second in bf16 takes a CPU minutes."""
    config = transformers.Wav2Vec2Config(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, conv_dim=[8] * 7)

    assert small_of(transformers.Wav2Vec2Model, config).feed["input_values"].shape[-1] <= 2000


def test_code_of_a_repository_is_made_small_too(repository: Any) -> None:
    """Only where it was allowed to run."""
    folder = repository(num_hidden_layers=24)

    found = miniature_of(Asked(model=str(folder), dtype="bf16", input_dtype="fp32", trust_remote_code=True), seconds=60)

    cell = found.cell("loaded", "bf16", "fp32")
    assert (found.architecture, cell is not None and cell.location is not None and cell.location.module) == ("OwnModel", "patch_embedding")
    assert {one.remedy for one in found.tried("loaded:bf16/fp32") if one.status == "passed"} >= {"cast-input", "cast-module"}
    with pytest.raises(Absent):
        miniature_of(Asked(model=str(folder)))
