"""A Hugging Face model from its folder: safetensors only, none of its own code, and only where it fits."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import torch
from torch import nn

from ..facts import TORCH_NAME, Half, release
from ..modelfiles import Unreadable, folder_of, name_of, read_checkpoint, read_config
from ..modelfiles.parts import parts_of, quantization_of
from ..probe import Absent
from ..rooms.memory import free_mib
from ..text import say
from .failure import first_line, pathless

COPIES = {"fp32": 1.6, "half": 2.3}
"""Of the model's bytes in its baseline: it, a copy of it in another format, and a pass; at most 1.6 and 1.8 were measured, 2026-11-23."""

ON_DEVICE = 1.2
"""An accelerator holds one copy at a time, and a pass; the originals wait outside."""

SPARE = 0.9
"""Of what is free: a room that takes more is stopped."""

RANDOM = 0.1
"""The largest share of parameters that may be missing from the files: a new head, and no more."""

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
    unexpected: tuple[str, ...]
    """Tensors of the files that it does not ask for."""
    again: Callable[[Half], nn.Module]
    """The same, loaded in another format as `from_pretrained(dtype=)` does it."""


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
    if any(map(quantization_of, parts_of(raw))):
        raise Absent(say("the model is quantised, and quantised weights are not cast"))
    if os.path.exists(os.path.join(folder, "adapter_config.json")):
        raise Absent(say("the folder holds an adapter: merge it into its model first"))
    if "/" in str(raw.get("attn_implementation") or raw.get("_attn_implementation") or ""):
        raise Absent(say("the configuration names attention code of another repository, and ivdoctor runs none"))
    dtype, reason = _fitting(checkpoint.parameters, checkpoint.dtype, device)
    return replace(_loaded(folder, dtype, reason), stored=checkpoint.dtype)


def _fitting(parameters: int, stored: str, device: str) -> tuple[Half, str]:
    """The widest format that fits, and why it is not fp32; said before anything is loaded."""
    short: Half = "bf16" if stored == "bfloat16" else "fp16"
    why = _lacking("fp32", parameters * 4, device)
    if not why:
        return "fp32", ""
    halved = WIDTHS.get(stored, 4) == 2  # noqa: PLR2004  # bytes of a half format
    if halved and not _lacking("half", parameters * 2, device):
        return short, why
    raise Absent(say("the model is too large to be run here: {why}", why=why))


def _lacking(kind: str, size: int, device: str) -> str:
    """What is not there for a baseline of this many bytes; empty where all is."""
    rooms = [(size * COPIES[kind], free_mib() * SPARE, say("of memory"))]
    if device.startswith("cuda"):
        rooms.append((size * ON_DEVICE, torch.cuda.mem_get_info(device)[0] / 2**20 * SPARE, say("on {device}", device=device)))
    elif device == "mps":  # one memory for both
        rooms[0] = (size * (COPIES[kind] + ON_DEVICE), *rooms[0][1:])
    for needs, free, where in rooms:
        if needs / 2**20 > free:
            what = "fp32" if kind == "fp32" else say("its own format")
            return say(
                "{what} needs {needs:.1f} GiB and {free:.1f} GiB {where} are free", what=what, needs=needs / 2**30, free=free / 1024, where=where
            )
    return ""


def _loaded(folder: str, dtype: Half, reason: str) -> Loaded:
    os.environ.update(OFFLINE)
    try:
        transformers: Any = import_module("transformers")
    except ImportError as error:
        raise Absent(say("transformers is not there: {error}", error=first_line(error))) from error
    transformers.logging.set_verbosity_error()
    if hasattr(transformers.logging, "disable_progress_bar"):
        transformers.logging.disable_progress_bar()
    argument = "dtype" if release(transformers.__version__) >= (4, 56) else "torch_dtype"

    def opened(kind: Half) -> tuple[nn.Module, Any]:
        model, told = maker.from_pretrained(
            folder,
            config=config,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused below, by name
            **{argument: getattr(torch, TORCH_NAME[kind])},
        )
        return model.eval(), told

    try:
        config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        maker = class_of(transformers, config)
        model, told = opened(dtype)
    except Exception as error:
        raise Absent(say("transformers {version} cannot load it: {error}", version=transformers.__version__, error=told_of(error, folder))) from error
    if told.get("mismatched_keys"):
        names = sorted(str(one[0] if isinstance(one, tuple) else one) for one in told["mismatched_keys"])
        more = say(" and {count} more", count=len(names) - 3) if len(names) > 3 else ""  # noqa: PLR2004  # as many as are named
        raise Absent(say("the weights do not match the configuration: {names}", names=", ".join(names[:3])) + more)
    missing = tuple(sorted(map(str, told.get("missing_keys", ()))))
    _enough(model, missing)
    return Loaded(
        model=model,
        config=config,
        dtype=dtype,
        reason=reason,
        stored="",
        missing=missing,
        unexpected=tuple(sorted(map(str, told.get("unexpected_keys", ())))),
        again=lambda kind: opened(kind)[0],
    )


def _enough(model: nn.Module, missing: tuple[str, ...]) -> None:
    """Random numbers say nothing about a model."""
    sizes = {name: one.numel() for name, one in model.named_parameters()}
    lost = sum(sizes.get(name, 0) for name in missing)
    if lost > RANDOM * sum(sizes.values()):
        share = lost / sum(sizes.values())
        raise Absent(say("the weights do not match the configuration: {share:.0%} of its parameters are not in the files", share=share))


def class_of(transformers: Any, config: Any) -> Any:
    """The architecture the weights were saved from, where this transformers has it; else the bare model."""
    for name in getattr(config, "architectures", None) or ():
        found = getattr(transformers, name, None) if isinstance(name, str) and name.isidentifier() else None
        if isinstance(found, type) and issubclass(found, transformers.PreTrainedModel):
            return found
    return transformers.AutoModel


def told_of(error: BaseException, folder: str) -> str:
    """The first line that says something, and the next where that only announces it; with the folder's name and not the way there."""
    text = first_line(error)
    if text.endswith(":"):
        text = " ".join([line.strip() for line in str(error).splitlines() if line.strip()][:2])
    return f"{type(error).__name__}: {pathless(text.replace(folder, name_of(folder)))[:300]}"
