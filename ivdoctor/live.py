"""What lives in the user's own process: which dtype to cast to. Uses the torch that is there."""

import contextlib
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .choice import choose, quantised, trained
from .evidence import fp16_range
from .facts import Half, Limits, Place
from .places import places
from .probe import Absent, DeviceFault
from .text import say

if TYPE_CHECKING:
    import torch

KINDS = ("cuda", "xpu", "mps", "cpu")
"""Devices whose formats the tables know, by torch's names, best first; ROCm is `cuda` to torch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A dtype for one device and one model."""

    dtype: "torch.dtype"
    """Of the three `torch.float32`, `torch.float16` and `torch.bfloat16`."""
    name: str
    """Its name without `torch.`."""
    device: str
    """What it was chosen for and really run on: `cuda:0`, `mps`, `cpu`."""
    reason: str
    """Why this one, in one line."""


def pick_dtype(device: "torch.device | str | None" = None, model: Any = None) -> "torch.dtype":
    """
    The fastest half format that this device computes natively and this model survives; else `torch.float32`.

    Cast the model and its inputs from this one variable. Nothing is printed; `choose_dtype` takes the same arguments, raises the
    same and also says why. It costs some milliseconds, and on a GPU what torch's own start there costs.

    Args:
        device: None is the best accelerator that torch can use, the CPU where there is none.
        model: a module, a transformers config, the path of a model's folder or of its config.json, or that file's content as
            a dict; it is read and never changed or run. None leaves the model's own format out of account.

    Raises:
        ImportError: torch cannot be imported.
        ValueError: there is no such device, `model` cannot be read, or it is quantised and must not be cast.
        TypeError: `model` is none of the above.
        RuntimeError: the device gives no right result, not even in float32.
    """
    return choose_dtype(device, model).dtype


def choose_dtype(device: "torch.device | str | None" = None, model: Any = None) -> Choice:
    """
    `pick_dtype`, with the reason.

    The tables say what the hardware computes natively, as they do in the report; then each class of operation is run in that
    format on the device, against float64, and a format that refuses or is wrong is passed over. `is_bf16_supported()` is not
    asked: since torch 2.4 it is true on a T4.
    """
    try:
        import torch
    except Exception as error:
        raise ImportError(say("ivdoctor.pick_dtype needs torch, which cannot be imported: {error}", error=error)) from error

    name = _device(torch, device)
    made_in, family = _made_in(torch, model)
    try:
        pick = choose(_place(name), made_in, fp16=fp16_range(family, None, Limits()), objection=lambda dtype: _objection(torch, name, dtype))
        failure = _objection(torch, name, "fp32") if pick.dtype == "fp32" else ""
    except DeviceFault as error:
        failure = str(error)
    if failure:
        raise RuntimeError(say("{device} gives no right result: {failure}", device=name, failure=failure))
    return Choice(dtype=getattr(torch, pick.name), name=pick.name, device=name, reason=pick.reason)


def _device(torch: Any, device: Any) -> str:
    """As places are named: `cuda:1`, `mps`, `cpu`."""
    if device is None:
        device = next(kind for kind in KINDS if _usable(torch, kind))
    try:
        asked = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(say("{device!r} is no device that torch knows", device=device)) from error
    if asked.type not in KINDS:
        raise ValueError(say("{device}: the number formats are known of {kinds} devices only", device=asked, kinds=", ".join(KINDS)))
    if not _usable(torch, asked.type):
        raise ValueError(say("{device}: torch {version} can use no {kind} device here", device=asked, version=torch.__version__, kind=asked.type))
    if asked.type not in ("cuda", "xpu"):
        return str(asked.type)
    backend = getattr(torch, asked.type)
    index = backend.current_device() if asked.index is None else asked.index
    if index >= backend.device_count():
        raise ValueError(say("{device}: torch sees {count} of them", device=asked, count=backend.device_count()))
    return f"{asked.type}:{index}"


def _usable(torch: Any, kind: str) -> bool:
    """A backend without the question is not there yet in this version."""
    if kind == "cpu":
        return True
    backend = getattr(torch.backends, kind, None) if kind == "mps" else getattr(torch, kind, None)
    question = getattr(backend, "is_available", None)
    return bool(question()) if callable(question) else False


def _place(name: str) -> Place:
    """The place as a checkup would find it. For the CPU no accelerator is woken."""
    from .probes.cpu import cpu
    from .probes.gpu import gpu
    from .probes.host import host
    from .probes.torch import torch as build

    facts: dict[type, Any] = {}
    for look in (host, cpu, *(() if name == "cpu" else (build,))):
        with contextlib.suppress(Absent):
            facts[look.fact] = look()
    if name != "cpu":
        facts[gpu.fact] = gpu(torch=facts[build.fact])
    return next(place for place in places(facts) if name in (place.name, *place.others))


def _objection(torch: Any, device: str, dtype: Half) -> str:
    """What the first operation that gives no right result there says; empty where all do. The user's random numbers stay as they were."""
    from .probes.precision import run_operator
    from .trials.operators import operators

    unset = torch.device("cpu") if hasattr(torch.device, "__enter__") else contextlib.nullcontext()  # from torch 2.0, against set_default_device
    with torch.random.fork_rng(devices=[]), torch.no_grad(), unset:
        for operator in operators(torch):
            if not operator.plain:
                continue
            one = run_operator(torch, device, dtype, operator)
            if one.status == "refused":
                return say("{operation} in {dtype}: {message}", operation=one.name, dtype=dtype, message=one.message)
            if one.status == "wrong":
                return say("{operation} in {dtype} gives a wrong result", operation=one.name, dtype=dtype)
    return ""


def _made_in(torch: Any, model: Any) -> tuple[str, str]:
    """
    Torch's name of the format the model was made in, and its `model_type`; each empty where nothing tells.

    Raises:
        ValueError: it is quantised, or its files cannot be read.
        TypeError: it is no model.
    """
    from .modelfiles.parts import dtype_of, main_part, parts_of, quantization_of

    if isinstance(model, torch.nn.Module):
        config, stored = _config(torch, getattr(model, "config", None)), _weights(model)
    elif isinstance(model, (str, os.PathLike)):
        config, stored = _files(os.fspath(model))
    elif model is None or isinstance(model, Mapping) or hasattr(model, "to_dict"):
        config, stored = _config(torch, model), ""
    else:
        raise TypeError(say("{kind} is no module, config, path or dict", kind=type(model).__name__))
    parts = parts_of(config)
    main = main_part(parts)
    if how := quantised(quantization_of(config) or quantization_of(main), stored):
        raise ValueError(say("the model is quantised ({how}): load it with dtype='auto' and do not cast it", how=how))
    made_in = trained(next(filter(None, map(dtype_of, [config, main, *parts])), ""), stored)
    return made_in, str(config.get("model_type") or main.get("model_type") or "")


def _config(torch: Any, config: Any) -> dict[str, Any]:
    """As config.json has it; empty for what is no configuration."""

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {str(key): plain(one) for key, one in value.items()}
        return str(value) if isinstance(value, torch.dtype) else value

    to_dict = getattr(config, "to_dict", None)
    found = plain(to_dict() if callable(to_dict) else config)
    return found if isinstance(found, dict) else {}


def _files(path: str) -> tuple[dict[str, Any], str]:
    """What config.json says, and the dtype of most weights beside it where they are there; only headers are read."""
    from .modelfiles import Unreadable, folder_of, read_checkpoint, read_config

    try:
        config = read_config(path)
    except Unreadable as error:
        raise ValueError(f"{path}: {error}") from error
    with contextlib.suppress(Unreadable):
        return config, read_checkpoint(folder_of(path)).dtype
    return config, ""


def _weights(module: Any) -> str:
    """Torch's name of the dtype of most floating weights."""
    sizes: Counter[str] = Counter()
    for weight in module.parameters():
        if weight.is_floating_point():
            sizes[str(weight.dtype).removeprefix("torch.")] += weight.numel()
    return max(sizes, key=sizes.__getitem__, default="")
