"""What goes in: through the model's own processor where there is one, else of the right shape; and whatever a user may hand over."""

import json
import shutil
import socket
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402  # torch first

from ivdoctor.trials.inputs import SENTENCES, Inputs, samples  # noqa: E402

pytestmark = pytest.mark.usefixtures("_as_it_was")

Saved = Callable[..., Path]
Made = Callable[[str], Any]


@pytest.fixture
def folder(saved: Saved, tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a model's folder, to be changed."""
    return lambda name: Path(shutil.copytree(saved(name), tmp_path / f"tiny-{name}"))


def shapes(inputs: Inputs) -> dict[str, tuple[int, ...]]:
    return {name: tuple(one.shape) for name, one in inputs.tensors.items()}


def runs(model: Any, inputs: Inputs) -> Any:
    """The model's own answer to them, which must be finite."""
    with torch.no_grad():
        output = model(**inputs.to("cpu", torch.float32))
    first = output["logits"] if "logits" in output else output["last_hidden_state"]
    assert torch.isfinite(first).all()
    return first


def test_two_sentences_go_through_the_tokenizer(folder: Callable[[str], Path], tokenizer: Any, made: Made) -> None:
    """Of unequal length in tokens, so there is padding and a mask; one that has no padding pads with the end of the text."""
    model, path = made("llama"), folder("llama")
    tokenizer.save_pretrained(path)

    inputs = next(samples(str(path), model, model.config))

    first = [tokenizer.convert_tokens_to_ids(word) for word in SENTENCES[0].replace(".", " .").split()]
    assert inputs.tensors["input_ids"][0].tolist() == first
    assert set(inputs.tensors) == {"input_ids", "attention_mask"}
    assert inputs.mask is not None
    assert inputs.mask.sum(-1).tolist() == [len(first), len(SENTENCES[1].split()) + 1]
    assert inputs.said == "2 sentences of ten words through the model's own tokenizer"
    assert not inputs.floats
    runs(model, inputs)


@pytest.mark.parametrize("name", ["bert", "t5", "llama"])
def test_a_folder_without_a_tokenizer_has_none(name: str, saved: Saved, made: Made) -> None:
    """transformers 5 makes some of nothing, which know no word: ids of the right range are more honest."""
    model = made(name)

    inputs = next(samples(str(saved(name)), model, model.config))

    assert inputs.said == "synthetic input_ids: no processor of the model's own could be used"
    ids = inputs.tensors["input_ids"]
    assert ids.dtype == torch.int64
    assert ids.unique().numel() > 5
    assert 0 <= int(ids.min()) <= int(ids.max()) < 60
    runs(model, inputs)


def test_an_encoder_with_a_decoder_gets_the_decoders_first_tokens(saved: Saved, made: Made) -> None:
    """The start token, a row for each of the encoder's."""
    for name, start in (("t5", 0), ("whisper", 3)):
        model = made(name)
        inputs = next(samples(str(saved(name)), model, model.config))
        rows = len(next(iter(inputs.tensors.values())))
        assert inputs.tensors["decoder_input_ids"].tolist() == [[start] * 4] * rows
        assert runs(model, inputs).shape[:2] == (rows, 4)


def test_two_pictures_go_through_the_image_processor(folder: Callable[[str], Path], library: Any, made: Made) -> None:
    """In its own size, mean and deviation; two different ones."""
    pytest.importorskip("PIL")
    model, path = made("vit"), folder("vit")
    library.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(path)

    inputs = next(samples(str(path), model, model.config))

    assert shapes(inputs) == {"pixel_values": (2, 3, 32, 32)}
    pixels = inputs.tensors["pixel_values"]
    assert inputs.said == "2 pictures through the model's own image processor"
    assert (inputs.floats, inputs.mask, pixels.dtype) == ("float32", None, torch.float32)
    assert -1 <= float(pixels.min()) < -0.5 < 0.5 < float(pixels.max()) <= 1, "normalised by mean and deviation of a half"
    assert not torch.equal(pixels[0], pixels[1])
    runs(model, inputs)


def test_a_sound_goes_through_the_feature_extractor(folder: Callable[[str], Path], library: Any, made: Made) -> None:
    """One second is a hundred frames of this one."""
    model, path = made("whisper"), folder("whisper")
    library.WhisperFeatureExtractor(feature_size=8, chunk_length=1).save_pretrained(path)

    inputs = next(samples(str(path), model, model.config))

    assert shapes(inputs) == {"input_features": (1, 8, 100), "decoder_input_ids": (1, 4)}
    assert inputs.said == "a second of sound through the model's own feature extractor"
    assert inputs.tensors["input_features"].std() > 0.1
    runs(model, inputs)


@pytest.mark.parametrize(
    ("name", "main", "shape"),
    [("vit", "pixel_values", (2, 3, 32, 32)), ("whisper", "input_features", (1, 8, 100)), ("deepseek", "input_ids", (2, 10))],
)
def test_without_a_processor_the_shape_comes_from_the_configuration(name: str, main: str, shape: tuple[int, ...], saved: Saved, made: Made) -> None:
    """And the model takes it; the same numbers every time."""
    model = made(name)

    inputs, again = (next(samples(str(saved(name)), model, model.config)) for _ in range(2))

    assert tuple(inputs.tensors[main].shape) == shape
    assert inputs.said == f"synthetic {main}: no processor of the model's own could be used"
    assert all(torch.equal(inputs.tensors[name], again.tensors[name]) for name in again.tensors)
    runs(model, inputs)


@pytest.mark.parametrize("name", ["preprocessor_config.json", "processor_config.json", "tokenizer_config.json"])
@pytest.mark.parametrize("content", ["{", "[]", '{"image_processor_type": "NoSuch", "tokenizer_class": "NoSuch", "processor_class": "NoSuch"}'])
def test_a_torn_processor_is_none(name: str, content: str, folder: Callable[[str], Path], made: Made) -> None:
    """Processors of strangers fail in every way there is; the numbers are synthetic then, and are said to be."""
    for kind in ("vit", "llama"):
        model, path = made(kind), folder(kind)
        (path / name).write_text(content)

        assert next(samples(str(path), model, model.config)).said.startswith("synthetic")


def test_the_code_of_a_processor_never_runs(folder: Callable[[str], Path], made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its repository names a class of its own; nothing asks on stdin whether that may run."""
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("a question was asked"))
    ran = tmp_path / "ran"
    for kind in ("vit", "llama", "whisper"):
        model, path = made(kind), folder(kind)
        (path / "evil.py").write_text(f"open({str(ran)!r}, 'w').close()\nclass Evil: pass\n")
        names = ("AutoProcessor", "AutoImageProcessor", "AutoFeatureExtractor", "AutoTokenizer", "AutoVideoProcessor")
        auto = {"auto_map": {one: ["evil.Evil", "evil.Evil"] if one == "AutoTokenizer" else "evil.Evil" for one in names}}
        for name in ("preprocessor_config.json", "processor_config.json", "tokenizer_config.json"):
            (path / name).write_text(json.dumps(auto | {"processor_class": "Evil", "tokenizer_class": "Evil"}))

        next(samples(str(path), model, model.config))

    assert not ran.exists()


def test_for_a_model_of_an_unknown_kind_there_is_no_sample() -> None:
    """Nothing is made up that it would not take."""

    class Odd(nn.Module):
        main_input_name = "past_values"

        def forward(self, past_values: Any) -> Any:
            return past_values

    assert list(samples("nowhere", Odd(), object())) == []


def test_floating_inputs_are_cast_and_no_others() -> None:
    """Lists of tensors too; a bool mask, ids and what is no tensor stay."""
    inputs = Inputs(tensors={"x": torch.ones(2), "ids": torch.ones(2).long(), "many": [torch.ones(1), (torch.ones(1),)], "flag": True}, said="")

    moved = inputs.to("cpu", torch.bfloat16)
    same = inputs.to("cpu")

    assert (moved["x"].dtype, moved["ids"].dtype, moved["flag"]) == (torch.bfloat16, torch.int64, True)
    assert (moved["many"][0].dtype, moved["many"][1][0].dtype) == (torch.bfloat16, torch.bfloat16)
    assert (same["x"].dtype, same["many"][0].dtype) == (torch.float32, torch.float32)
    assert inputs.tensors["x"].dtype == torch.float32, "the originals stay"


def test_only_batch_by_tokens_is_a_mask() -> None:
    """A model with a mask of four dimensions is not asked which tokens are padding."""
    assert Inputs(tensors={"attention_mask": torch.ones(1, 1, 4, 4)}, said="").mask is None
    assert Inputs(tensors={"attention_mask": [[1, 1]]}, said="").mask is None
    assert Inputs(tensors=OrderedDict(attention_mask=torch.ones(1, 4)), said="").mask is not None


def test_no_socket_is_opened(folder: Callable[[str], Path], made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor that is not there is looked for nowhere else."""
    monkeypatch.setattr(socket, "socket", lambda *_, **__: pytest.fail("a socket was opened"))
    model = made("vit")

    assert next(samples(str(folder("vit")), model, model.config)).said.startswith("synthetic")
