"""The classes of a type of model."""

import pytest

from ivdoctor.flow.classes import classes_of

pytest.importorskip("transformers", minversion="5.0")


def names(model_type: str, *architectures: str) -> list[str]:
    """Of its classes, in order."""
    return [cls.__name__ for cls in classes_of(model_type, architectures)]


def test_architectures_come_first_and_once() -> None:
    """The class that the config names is the first, and is not named again."""
    found = names("llama", "LlamaForTokenClassification")
    assert found[:2] == ["LlamaForTokenClassification", "LlamaForCausalLM"]
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    ("model_type", "first"),
    [
        ("bert", "BertForMaskedLM"),
        ("t5", "T5ForConditionalGeneration"),
        ("whisper", "WhisperForConditionalGeneration"),
        ("wav2vec2", "Wav2Vec2ForCTC"),
        ("llava", "LlavaForConditionalGeneration"),
    ],
)
def test_the_head_people_load_comes_before_the_bare_model(model_type: str, first: str) -> None:
    """A type's likeliest head is the first, and the bare model is among the rest."""
    found = names(model_type)
    assert found[0] == first
    assert any(name.endswith("Model") for name in found[1:])


def test_a_class_without_a_forward_pass_is_left_out() -> None:
    """Bark's own class runs three models and has no forward pass."""
    assert names("bark", "BarkModel") == []


def test_names_that_transformers_does_not_have_are_left_out() -> None:
    """A repository's own class is none of transformers'."""
    assert names("none-such", "InternVLChatModel") == []
