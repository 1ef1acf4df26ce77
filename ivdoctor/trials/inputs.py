"""What goes into a model: the user's own inputs, or a sample through its own processor, or numbers of the right shape."""

import contextlib
import importlib
import inspect
import math
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..probe import Absent
from ..text import say
from .failure import pathless

SENTENCES = (
    "The old harbour wakes before dawn when fishing boats return.",
    "Seven quiet engineers measured every bridge twice before winter came.",
)
"""The sample text: two sentences of ten words."""

TOKENS = 10
"""Of a synthetic row of ids."""

SIDE = 224
"""Pixels of a picture where nothing says how many."""

RATE = 16_000
"""Samples a second of the sample sound where nothing says how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Keyword arguments of a forward pass."""

    tensors: dict[str, Any]
    said: str
    """What they are, in words."""
    own: bool = False
    """Whether the model's own processor made them."""

    @property
    def mask(self) -> Tensor | None:
        """Batch x tokens; 0 marks padding."""
        mask = self.tensors.get("attention_mask")
        return mask if isinstance(mask, Tensor) and mask.dim() == 2 else None  # noqa: PLR2004  # batch and tokens

    @property
    def floats(self) -> str:
        """Torch's name of the dtype of the floating tensors among them, which a cast must reach; empty where there are none."""
        found = next((one.dtype for one in self.tensors.values() if isinstance(one, Tensor) and one.is_floating_point()), None)
        return str(found).removeprefix("torch.") if found is not None else ""

    def to(self, device: str, dtype: torch.dtype | None = None) -> dict[str, Any]:
        """On a device; floating tensors in this dtype, or as they are."""
        return {name: _moved(value, device, dtype) for name, value in self.tensors.items()}


def _moved(value: Any, device: str, dtype: torch.dtype | None) -> Any:
    if isinstance(value, Tensor):
        return value.to(device, dtype if dtype is not None and value.is_floating_point() else value.dtype)
    if isinstance(value, (list, tuple)):
        moved = [_moved(one, device, dtype) for one in value]
        return type(value)(*moved) if hasattr(value, "_fields") else type(value)(moved)
    return value


def given(source: str, model: nn.Module) -> Inputs:
    """
    The user's own: `FILE.safetensors`, its tensors by name, or `module:function`, called without arguments.

    Raises:
        Absent: there is no such file or function, or what it gives are no tensors by name.
    """
    if source.endswith(".safetensors"):
        from safetensors.torch import load_file

        try:
            tensors: Any = load_file(source)
        except Exception as error:
            name = os.path.basename(source)
            raise Absent(say("the inputs {source} cannot be read: {error}", source=name, error=_short(error).replace(source, name))) from error
    else:
        tensors = _called(source)
    if isinstance(tensors, Tensor):
        tensors = {_main(model): tensors}
    if not isinstance(tensors, dict):
        tensors = dict(tensors) if hasattr(tensors, "keys") else {}
    if not any(isinstance(one, Tensor) for one in tensors.values()):
        raise Absent(say("the inputs {source} are no tensors by name", source=os.path.basename(source)))
    shapes = ", ".join(f"{name} {_shape(one)}" for name, one in tensors.items() if isinstance(one, Tensor))
    return Inputs(tensors=tensors, said=say("the user's own: {shapes}", shapes=shapes))


def _called(source: str) -> Any:
    """The user named it in words, so it may run."""
    module, _, function = source.partition(":")
    if not (function.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        raise Absent(say("--inputs takes FILE.safetensors or module:function, not {source}", source=os.path.basename(source)))
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        return getattr(importlib.import_module(module), function)()
    except Exception as error:
        raise Absent(say("the inputs {source} failed: {error}", source=source, error=_short(error))) from error
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(here)


def samples(folder: str, model: nn.Module, config: Any) -> Iterator[Inputs]:
    """The shipped sample through the model's own processor; then synthetic tensors, for its main input alone and for all it has a name for."""
    for source in (_processed, _synthetic, _synthetic_all):
        torch.manual_seed(0)
        try:
            tensors, said = source(folder, model, config)
        except Exception:  # noqa: BLE001, S112  # processors of strangers fail in every way there is; the next source says what it is
            continue
        if tensors:
            yield Inputs(tensors=_completed(tensors, model, config), said=said, own=source is _processed)


def _processed(folder: str, model: nn.Module, _: Any) -> tuple[dict[str, Any], str]:
    """By the processor's own kind."""
    library: Any = importlib.import_module("transformers")
    takes = inspect.signature(model.forward).parameters
    if "input_ids" not in takes:
        kind = library.AutoImageProcessor if "pixel_values" in takes else library.AutoFeatureExtractor
        return _perceived(kind.from_pretrained(folder, local_files_only=True, trust_remote_code=False), takes)
    processor = library.AutoProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if getattr(processor, "image_processor", None) is not None:
        return _shown(processor)
    if getattr(processor, "feature_extractor", None) is not None and _main(model) != "input_ids":
        return _perceived(processor.feature_extractor, takes)
    tokenizer = getattr(processor, "tokenizer", processor)
    files = (getattr(tokenizer, "vocab_files_names", None) or {}).values()
    if files and not any(os.path.isfile(os.path.join(folder, name)) for name in files):
        raise FileNotFoundError(folder)  # transformers 5 makes a tokenizer of nothing, which knows no word
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    batch = tokenizer(list(SENTENCES), return_tensors="pt", padding=True)
    return _accepted(batch, takes), say("2 sentences of ten words through the model's own tokenizer")


def _perceived(processor: Any, takes: Any) -> tuple[dict[str, Any], str]:
    """A picture or a sound."""
    if "sampling_rate" in inspect.signature(processor.__call__).parameters:
        rate = int(getattr(processor, "sampling_rate", RATE))
        batch = processor(_sound(rate), sampling_rate=rate, return_tensors="pt")
        return _accepted(batch, takes), say("a second of sound through the model's own feature extractor")
    batch = processor(images=[_picture(0), _picture(1)], return_tensors="pt")
    return _accepted(batch, takes), say("2 pictures through the model's own image processor")


def _shown(processor: Any) -> tuple[dict[str, Any], str]:
    """A question about a picture, with the placeholders the model's own template writes; both apart where it has no template."""
    said = say("a picture and a sentence through the model's own processor")
    if not getattr(processor, "chat_template", None):
        return dict(processor(text=[SENTENCES[0]], images=[_picture(0)], return_tensors="pt", padding=True)), said
    content = [{"type": "image", "image": _picture(0)}, {"type": "text", "text": SENTENCES[0]}]
    batch = processor.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=True, return_dict=True, return_tensors="pt", add_generation_prompt=True
    )
    return dict(batch), said


def _picture(number: int) -> Any:
    """A gradient with rings, as a camera would give it: height x width x 3 bytes."""
    from PIL import Image

    lines = torch.linspace(-1, 1, SIDE)
    rings = torch.cos((lines[:, None] ** 2 + lines[None] ** 2) * (12 + 6 * number))
    channels = torch.stack([rings, lines[:, None].expand(SIDE, SIDE), lines[None].expand(SIDE, SIDE)], dim=-1)
    return Image.fromarray(((channels + 1) * 127.5).to(torch.uint8).numpy())


def _sound(rate: int) -> Any:
    """One second of a rising tone, between -0.5 and 0.5."""
    seconds = torch.arange(rate, dtype=torch.float64) / rate
    return (0.5 * torch.sin(2 * math.pi * (220 + 220 * seconds) * seconds)).to(torch.float32).numpy()


def _synthetic(_: str, model: nn.Module, config: Any) -> tuple[dict[str, Any], str]:
    """Numbers of the right shape, by the name of the model's main input."""
    name = _main(model)
    return {name: MAKERS[name](config)}, say("synthetic {name}: no processor of the model's own could be used", name=name)


def _synthetic_all(_: str, model: nn.Module, config: Any) -> tuple[dict[str, Any], str]:
    """For a model of two towers, which takes both or nothing."""
    takes = inspect.signature(model.forward).parameters
    tensors = {name: make(config) for name, make in MAKERS.items() if name in takes}
    names = ", ".join(tensors)
    return tensors, say("synthetic {name}: no processor of the model's own could be used", name=names)


def _ids(config: Any) -> Tensor:
    size = int(_field(config, "vocab_size", 100))
    return torch.randint(min(5, size - 1), size, (2, TOKENS))


def _pixels(config: Any) -> Tensor:
    side = _field(config, "image_size", SIDE)
    height, width = side if isinstance(side, (list, tuple)) else (side, side)
    return torch.randn(2, int(_field(config, "num_channels", 3)), int(height), int(width))


def _features(config: Any) -> Tensor:
    frames = 2 * int(_field(config, "max_source_positions", 1500))
    return torch.randn(1, int(_field(config, "num_mel_bins", 80)), frames)


MAKERS: dict[str, Callable[[Any], Tensor]] = {
    "input_ids": _ids,
    "pixel_values": _pixels,
    "input_features": _features,
    "input_values": lambda _: torch.from_numpy(_sound(RATE))[None],
}


def _field(config: Any, name: str, default: Any) -> Any:
    """Of the configuration or of one of its parts."""
    parts = (config, *(getattr(config, part, None) for part in ("text_config", "vision_config", "audio_config")))
    return next((found for part in parts if part is not None and (found := getattr(part, name, None)) is not None), default)


def _completed(tensors: dict[str, Any], model: nn.Module, config: Any) -> dict[str, Any]:
    """An encoder with a decoder also wants the decoder's first tokens."""
    takes = inspect.signature(model.forward).parameters
    if getattr(config, "is_encoder_decoder", False) and "decoder_input_ids" in takes and "decoder_input_ids" not in tensors:
        start = getattr(config, "decoder_start_token_id", None) or 0
        rows = next(len(one) for one in tensors.values() if isinstance(one, Tensor))
        tensors = tensors | {"decoder_input_ids": torch.full((rows, 4), int(start))}
    return tensors


def _accepted(batch: Any, takes: Any) -> dict[str, Any]:
    """What the forward pass has a name for."""
    return {name: one for name, one in dict(batch).items() if name in takes}


def _main(model: nn.Module) -> str:
    named: str = getattr(model, "main_input_name", "input_ids")
    return named


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) + " " + str(tensor.dtype).removeprefix("torch.")


def _short(error: BaseException) -> str:
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {pathless(lines[0])[:200] if lines else ''}"
