"""A model's inventory of operators, run for real on a device in small shapes: what that lacks is found before the model is loaded."""

import json
from typing import Any

import torch
from torch import Tensor

from ..facts import Flow, Replay, Replayed
from ..probe import DeviceFault
from ..trials.failure import device_is_lost, first_line, pathless
from .contract import Contracts
from .shadow import Shadow

ATTENTION = "scaled_dot_product_attention"


def replay_of(flow: Flow, device: str) -> Replay:
    """
    Every pair once, as torch does it on this device.

    Raises:
        DeviceFault: the device was lost; what ran before is lost with it.
    """
    contracts = Contracts(device)
    found = []
    for pair in flow.pairs:
        status, message = _again(contracts, pair.example)
        found.append(Replayed(op=pair.op, dtypes=pair.dtypes, status=status, message=message, modules=pair.modules))
    return Replay(paired=flow.paired, pairs=tuple(found))


def _again(contracts: Contracts, example: str) -> Any:
    if not example:
        return "unknown", "its call could not be written down"
    try:
        func, args, kwargs = read(example)
    except (ValueError, AttributeError, KeyError) as error:  # an operator of another release
        return "unknown", first_line(error)
    with torch.no_grad():
        answer = contracts.answer(func, args, kwargs)
    if answer.error is None:
        return ("ran", "") if answer.proven else ("unknown", "no small tensors could be made for it")
    if device_is_lost(answer.error):
        raise DeviceFault(pathless(first_line(answer.error)))
    return "raised", pathless(first_line(answer.error))


def written(func: Any, args: Any, kwargs: Any) -> str:
    """
    A call as JSON: `{"f": "aten.mm.default", "a": [{"t": [2, 4], "d": "float16"}, ...], "k": {}}`; empty where it cannot be.

    Tensors give shape, strides and dtype, never numbers.
    """
    name = ATTENTION if getattr(func, "__name__", "") == ATTENTION else str(func)
    try:
        return json.dumps({"f": name, "a": _put(list(args)), "k": {key: _put(one) for key, one in kwargs.items()}}, allow_nan=True)
    except TypeError:
        return ""


def _put(value: Any) -> Any:
    if isinstance(value, Tensor):
        return {"t": list(value.shape), "s": list(value.stride()), "d": str(value.dtype).removeprefix("torch.")}
    if isinstance(value, torch.dtype):
        return {"d": str(value).removeprefix("torch.")}
    if isinstance(value, (list, tuple)):
        return [_put(one) for one in value]
    if isinstance(value, (torch.device, torch.layout, torch.memory_format)):
        return None
    return value


def read(example: str) -> tuple[Any, list[Any], dict[str, Any]]:
    """
    The call that was written down, its tensors as shadows.

    Raises:
        ValueError, AttributeError, KeyError: it is none of this torch's.
    """
    data = json.loads(example)
    name = data["f"]
    if name == ATTENTION:
        func: Any = torch.nn.functional.scaled_dot_product_attention
    else:
        func = torch.ops
        for part in name.split("."):
            func = getattr(func, part)
    return func, _got(data["a"]), {key: _got(one) for key, one in data["k"].items()}


def _got(value: Any) -> Any:
    if isinstance(value, list):
        return [_got(one) for one in value]
    if isinstance(value, dict):
        dtype = getattr(torch, value["d"])
        return Shadow(tuple(value["t"]), tuple(value["s"]), dtype) if "t" in value else dtype
    return value
