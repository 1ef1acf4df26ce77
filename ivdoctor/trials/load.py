"""A Hugging Face model from its folder: safetensors only, none of its own code, and only where it fits."""

import os
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import torch
from torch import nn

from ..facts import Half, release
from ..modelfiles import Unreadable, folder_of, name_of, read_checkpoint, read_config
from ..probe import Absent
from ..rooms.memory import free_mib
from ..text import say
from .failure import first_line

COPIES = 1.6
"""The model, its cast in half the size, and what loading and one pass take besides."""

OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "TQDM_DISABLE": "1"}
"""Nothing is fetched and nothing is drawn; read by the libraries when they are imported."""

WIDTHS = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A model on the CPU, in evaluation mode."""

    model: nn.Module
    config: Any
    dtype: Half
    reason: str
    """Why it is not fp32."""
    stored: str
    """torch's name of the dtype most of it is stored in."""
    missing: tuple[str, ...]
    """Parameters that the files do not hold."""


def load(path: str, device: str) -> Loaded:
    """
    In fp32, or as stored where fp32 does not fit.

    Args:
        path: of the folder, or of the `config.json` in it.

    Raises:
        Absent: it cannot be loaded here, in one line.
    """
    try:
        folder = folder_of(path)
        raw, checkpoint = read_config(path), read_checkpoint(folder)
    except Unreadable as error:
        raise Absent(str(error)) from error
    if checkpoint.missing or checkpoint.torn:
        broken = (*(say("{file} is missing", file=file) for file in checkpoint.missing), *checkpoint.torn)
        raise Absent(say("the weights are not whole: {broken}", broken="; ".join(broken[:3])))
    if checkpoint.format != "safetensors":
        raise Absent(say("the weights are not in safetensors, and ivdoctor unpickles nothing: convert them first"))
    if raw.get("quantization_config"):
        raise Absent(say("the model is quantised, and quantised weights are not cast"))
    dtype, reason = _fitting(checkpoint.parameters, checkpoint.dtype, device)
    return replace(_loaded(folder, dtype, reason), stored=checkpoint.dtype)


def _fitting(parameters: int, stored: str, device: str) -> tuple[Half, str]:
    """The widest format that fits, and why it is not fp32; said before anything is loaded."""
    free = free_mib()
    where = say("of memory")
    if device.startswith("cuda"):
        there = torch.cuda.mem_get_info(device)[0] / 2**20
        if there < free:
            free, where = there, say("on {device}", device=device)
    short: Half = "bf16" if stored == "bfloat16" else "fp16"
    needs = {dtype: parameters * width / 2**20 * COPIES for dtype, width in (("fp32", 4), ("half", 2))}
    if needs["fp32"] <= free:
        return "fp32", ""
    asked = say("fp32 needs {needs:.1f} GiB and {free:.1f} GiB {where} are free", needs=needs["fp32"] / 1024, free=free / 1024, where=where)
    if WIDTHS.get(stored, 4) == 2 and needs["half"] <= free:  # noqa: PLR2004  # bytes of a half format
        return short, asked
    raise Absent(say("the model is too large to be run here: {asked}", asked=asked))


def _loaded(folder: str, dtype: Half, reason: str) -> Loaded:
    os.environ.update(OFFLINE)
    try:
        transformers: Any = import_module("transformers")
    except ImportError as error:
        raise Absent(say("transformers is not there: {error}", error=first_line(error))) from error
    transformers.logging.set_verbosity_error()
    if hasattr(transformers.logging, "disable_progress_bar"):
        transformers.logging.disable_progress_bar()
    kind = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[dtype]
    argument = "dtype" if release(transformers.__version__) >= (4, 56) else "torch_dtype"
    try:
        config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        maker = _class(transformers, config)
        model, told = maker.from_pretrained(
            folder,
            config=config,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused below, by name
            **{argument: kind},
        )
    except Exception as error:
        raise Absent(say("transformers {version} cannot load it: {error}", version=transformers.__version__, error=_told(error, folder))) from error
    if told.get("mismatched_keys"):
        names = ", ".join(sorted(str(one[0] if isinstance(one, tuple) else one) for one in told["mismatched_keys"])[:3])
        raise Absent(say("the weights do not match the configuration: {names}", names=names))
    missing = tuple(sorted(map(str, told.get("missing_keys", ()))))
    return Loaded(model=model.eval(), config=config, dtype=dtype, reason=reason, stored="", missing=missing)


def _class(transformers: Any, config: Any) -> Any:
    """The architecture the weights were saved from, where this transformers has it; else the bare model."""
    for name in getattr(config, "architectures", None) or ():
        found = getattr(transformers, name, None) if isinstance(name, str) and name.isidentifier() else None
        if isinstance(found, type) and issubclass(found, transformers.PreTrainedModel):
            return found
    return transformers.AutoModel


def _told(error: BaseException, folder: str) -> str:
    """The first line that says something, and the next where that only announces it; with the folder's name and not the way there."""
    text = first_line(error)
    if text.endswith(":"):
        text = " ".join([line.strip() for line in str(error).splitlines() if line.strip()][:2])
    text = text.replace(folder, name_of(folder))
    return f"{type(error).__name__}: {text[:300]}"
