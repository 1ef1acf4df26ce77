"""Lines of modelling code: of an exception, and of what runs."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from torch import nn

from ivdoctor.facts import Site
from ivdoctor.flow.where import here, located, modelling, names_of, relative

REMOTE = """
import torch  # noqa: E402

class Strange(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Linear(4, 4)

    def forward(self, x):
        return self.inner(x.half())
"""


@pytest.fixture(scope="module")
def bert() -> Any:
    from transformers import BertConfig, BertModel

    model: Any = BertModel(BertConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, vocab_size=60))
    return model.eval()


def source(name: str) -> list[str]:
    import transformers

    return (Path(transformers.__file__).parent.parent / name).read_text(encoding="utf-8").splitlines()


def test_a_failure_is_located_in_the_modelling_code(bert: Any) -> None:
    """The innermost layer is named, and the line that calls it: torch's own lines tell a user nothing."""
    bert.encoder.layer[1].output.dense.half()
    try:
        with pytest.raises(RuntimeError) as info:
            bert(torch.tensor([[1, 2, 3]]))
    finally:
        bert.float()

    site = located(info.value, bert)

    assert (site.module, site.file) == ("encoder.layer.1.output.dense", "transformers/models/bert/modeling_bert.py")
    assert source(site.file)[site.line - 1].strip() == site.code == "hidden_states = self.dense(hidden_states)"


def test_code_of_a_repository_is_modelling_code(tmp_path: Path) -> None:
    """It lies where transformers copies it, and is named from there on: the way there is its owner's business."""
    file = tmp_path / "transformers_modules" / "strange" / "modeling_strange.py"
    file.parent.mkdir(parents=True)
    file.write_text(REMOTE, encoding="utf-8")
    space: dict[str, Any] = {"__name__": "modeling_strange"}
    exec(compile(REMOTE, str(file), "exec"), space)
    model = space["Strange"]()
    with pytest.raises(RuntimeError) as info:
        model(torch.ones(1, 4))

    site = located(info.value, model)

    assert (site.module, site.file, site.code) == ("inner", "strange/modeling_strange.py", "return self.inner(x.half())")


def test_where_no_modelling_code_was_on_the_way_no_file_is_named() -> None:
    """The layer is known all the same."""
    model = nn.Sequential(nn.Linear(4, 4).half())
    with pytest.raises(RuntimeError) as info:
        model(torch.ones(1, 4))

    assert located(info.value, model) == Site(module="0")


def test_whose_code_it_is_may_be_said(bert: Any) -> None:
    """A caller with models of its own says which files are theirs."""
    with pytest.raises(ValueError, match="input_ids") as info:
        bert()

    assert located(info.value, bert, own=lambda file: file == __file__).file == "test_where.py"


@pytest.mark.parametrize("module", [torch, pytest])
def test_other_libraries_are_no_modelling_code(module: Any) -> None:
    """Neither torch nor anything else."""
    assert not modelling(module.__file__)


def test_a_file_is_named_from_its_package_on() -> None:
    """As a user finds it on the web."""
    from transformers.models.bert import modeling_bert

    assert relative(modeling_bert.__file__) == "transformers/models/bert/modeling_bert.py"
    assert relative("/somewhere/else/x.py") == "x.py"


def test_what_runs_is_located_too(bert: Any) -> None:
    """From inside an operator, as a dispatch mode sees it."""
    from torch.utils._python_dispatch import TorchDispatchMode

    names, seen = names_of(bert), []

    class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch types its modes in part
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if "layer_norm" in str(func):
                seen.append(here(names))
            return func(*args, **(kwargs or {}))

    with torch.no_grad(), Watch():  # type: ignore[no-untyped-call]
        bert(torch.tensor([[1, 2, 3]]))

    assert [one.module for one in seen][:2] == ["embeddings.LayerNorm", "encoder.layer.0.attention.output.LayerNorm"]
    assert {one.file for one in seen} == {"transformers/models/bert/modeling_bert.py"}
    assert all("LayerNorm" in source(one.file)[one.line - 1] and one.code for one in seen)


def test_outside_of_any_model_nothing_is_located() -> None:
    """No line is better than a wrong one."""
    assert here({}) == Site()
