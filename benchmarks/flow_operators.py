"""
The flow's answers for single operators against the CPU's own: raise or no raise, dtype, message.

`python -m benchmarks.flow_operators [GROUP ...]` evaluates every expression of operators.csv twice, on tensors and on shadows, and prints where they differ.
The expressions are those of a measured list of dtype failures (torch 2.13, 2026-11-22); each result is had anew.
"""

import csv
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ivdoctor.flow.shadow import like
from ivdoctor.flow.world import Stopped, World

NAMES = {
    "h": "float16", "b": "bfloat16", "f": "float32", "d": "float64", "i32": "int32", "i64": "int64", "u8": "uint8", "i8": "int8", "u16": "uint16",
    "bo": "bool", "c64": "complex64", "ch": "complex32", "e4": "float8_e4m3fn", "e5": "float8_e5m2", "f4": "float4_e2m1fn_x2",
}  # fmt: skip
OTHER = re.compile(r"\b(e4|e5|f4|c64|ch|np|u16)\b")
"""Formats that no cell of the 3x3 is in."""

GROUPS = ("mixed:", "kernel:")
Rows = list[tuple[str, str]]


def rows(wanted: tuple[str, ...]) -> Rows:
    """Group and expression, of the formats that models are run in."""
    with Path(__file__).with_name("operators.csv").open(encoding="utf-8", newline="") as file:
        found = [(row["group"], row["expression"]) for row in csv.DictReader(file)]
    return [(group, expression) for group, expression in found if group.startswith(wanted) and not OTHER.search(expression)]


def names(shadows: bool) -> dict[str, Any]:
    """What an expression may call: `r` gives a floating tensor, `ii` integers."""

    def r(*given: Any) -> Tensor:
        *size, dtype = given
        made = torch.randn(size).to(dtype)
        return like(made) if shadows else made

    def ii(*size: int, hi: int) -> Tensor:
        return torch.randint(0, hi + 1, size)

    def setitem(tensor: Tensor, index: Any, value: Any) -> Tensor:
        tensor[index] = value
        return tensor

    def parameter(tensor: Tensor) -> Tensor:
        made = nn.Parameter(tensor)
        made.grad = torch.ones_like(made)
        return made

    def spd(dtype: torch.dtype) -> Tensor:
        made = (torch.eye(3) * 3 + 0.5).to(dtype)
        return like(made) if shadows else made

    def autocast(dtype: torch.dtype, call: Callable[[], Any]) -> Any:
        with torch.autocast("cpu", dtype=dtype):
            return call()

    def backward(call: Callable[[Any], Any], weight: Tensor) -> Any:
        weight = weight.detach().requires_grad_()
        call(weight).backward()
        return weight.grad

    made: dict[str, Any] = {"torch": torch, "nn": nn, "F": functional, "D": "cpu", "r": r, "ii": ii, "setitem": setitem, "P": parameter, "spd": spd}
    made |= {"ac": autocast, "backward": backward, "u": lambda *size: ii(*size, hi=200).to(torch.uint8), "bm": lambda n: torch.arange(n) < 2}  # noqa: PLR2004
    made |= {"one": lambda dtype: like(torch.ones((), dtype=dtype)) if shadows else torch.ones((), dtype=dtype)}
    return made | {name: getattr(torch, full, None) for name, full in NAMES.items()}


def outcome(expression: str, shadows: bool) -> tuple[str, str]:
    """`ok` and the result's dtypes, `raised` and the message, `unknown` and why."""
    torch.manual_seed(0)
    world, default = World(), torch.get_default_dtype()
    try:
        if not shadows:
            return "ok", kinds(eval(expression, names(False)))  # noqa: S307  # our own list
        with world:
            return "ok", kinds(eval(expression, names(True)))  # noqa: S307
    except Stopped as error:
        return "unknown", str(error)
    except Exception as error:  # noqa: BLE001  # whatever it raises is the result
        return "raised", f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    finally:
        torch.set_default_dtype(default)  # some expressions change it


def kinds(result: Any) -> str:
    """`float16,float32`."""
    if isinstance(result, Tensor):
        return str(result.dtype).removeprefix("torch.")
    if isinstance(result, (list, tuple)):
        return ",".join(kinds(one) for one in result)
    return type(result).__name__


def main() -> None:
    """All, and what differs."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    wanted = tuple(sys.argv[1:]) or GROUPS
    agree = silent = total = 0
    for group, expression in rows(wanted):
        real, ours = outcome(expression, shadows=False), outcome(expression, shadows=True)
        total += 1
        same = real[0] == ours[0]
        agree += same
        silent += real[0] == "raised" and ours[0] == "ok"
        if not same:
            print(f"{group}  {expression}\n    cpu  {real}\n    flow {ours}")
        elif real != ours:
            print(f"~ {group}  {expression}\n    cpu  {real}\n    flow {ours}")
    print(f"{agree} of {total} agree ({agree / total:.2%}); {silent} said to run and do not")


if __name__ == "__main__":
    main()
