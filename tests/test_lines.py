"""The line that loads a model."""

import types

import pytest

from ivdoctor.facts import Model
from ivdoctor.lines import INPUTS, class_name, from_pretrained
from ivdoctor.testing import a_cast, a_model, some_packages


@pytest.mark.parametrize(
    ("version", "older", "keyword"),
    [
        ("4.40.2", False, "torch_dtype"),
        ("4.55.4", False, "torch_dtype"),
        ("4.56.0", True, "dtype"),
        ("5.23.0", True, "dtype"),
        ("", False, "dtype"),
        ("", True, "torch_dtype"),
    ],
)
def test_the_dtype_has_the_name_that_the_installed_transformers_knows(version: str, older: bool, keyword: str) -> None:
    """Before 4.56 `dtype=` reaches the model's constructor, which refuses it."""
    packages = some_packages({"transformers": version}) if version else None
    assert (
        from_pretrained("A", "path", "torch.float16", packages, older=older, more=", x=1") == f"A.from_pretrained(path, {keyword}=torch.float16, x=1)"
    )


def test_the_class_is_the_one_that_was_loaded_before_the_one_that_the_configuration_names() -> None:
    """A configuration may name a class that no transformers has; the miniature says nothing of the model."""
    assert class_name(a_model(), a_cast(architecture="BertModel")) == "BertModel"
    assert class_name(None, a_cast(architecture="BertModel")) == "BertModel"
    assert class_name(a_model(), a_cast(architecture="")) == "LlamaForCausalLM"
    assert class_name(a_model(), a_cast(how="miniature", architecture="Miniature")) == "LlamaForCausalLM"
    assert class_name(a_model(remote_code=True)) == "AutoModel"


@pytest.mark.parametrize("name", ["", "os.system('x')", "Two Words", "class", "_Private", "\u0412ertModel"])
def test_only_a_plain_name_gets_into_code(name: str) -> None:
    """It is a stranger's text."""
    assert class_name(a_model(architectures=(name,)), a_cast(architecture=name)) == "AutoModel"
    assert class_name(Model(name="x")) == class_name(None) == "AutoModel"


def test_the_inputs_are_cast_where_they_float_and_left_where_they_are_no_tensors() -> None:
    """As they come from a processor: pixels, ids, a number and a list."""
    torch = pytest.importorskip("torch")

    def model(**inputs: object) -> dict[str, object]:
        return inputs

    model.device, model.dtype = torch.device("cpu"), torch.bfloat16  # type: ignore[attr-defined]  # a model has both
    given = {"pixels": torch.zeros(2), "ids": torch.ones(2, dtype=torch.int64), "sizes": [(3, 4)], "scale": 0.5, "none": None}
    room: dict[str, object] = {"inputs": given, "model": model, "torch": types.SimpleNamespace(is_tensor=torch.is_tensor)}
    exec(INPUTS, room)  # our own line, as a user would run it
    output = room["output"]
    assert isinstance(output, dict)
    assert (output["pixels"].dtype, output["ids"].dtype) == (torch.bfloat16, torch.int64)
    assert (output["sizes"], output["scale"], output["none"]) == ([(3, 4)], 0.5, None)
