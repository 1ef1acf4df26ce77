"""Every message that torch 2.13 still raises on a CPU, raised again by its own expression, and explained from its traceback."""

import csv
import traceback
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from ivdoctor.explanation import read

torch = pytest.importorskip("torch")

with (Path(__file__).parent / "logs" / "messages.csv").open(encoding="utf-8", newline="") as file:
    ROWS = list(csv.DictReader(file))

LABELS = {row["message"]: row for row in ROWS}
CASES = [row for row in ROWS if row["expr"]]
DTYPES = {"h": "float16", "b": "bfloat16", "f": "float32", "d": "float64", "e4": "float8_e4m3fn", "e5": "float8_e5m2", "f4": "float4_e2m1fn_x2"}
DTYPES |= {"i64": "int64", "i32": "int32", "i8": "int8", "u8": "uint8", "u16": "uint16", "bo": "bool", "c64": "complex64", "ch": "complex32"}


def names() -> dict[str, Any]:
    """What the expressions of the table are written in."""
    import numpy as np

    dtypes = {short: getattr(torch, name) for short, name in DTYPES.items() if hasattr(torch, name)}

    def random(*shape: Any) -> Any:
        *sizes, dtype = shape
        return torch.rand(*sizes).to(dtype)

    def integers(*shape: int, hi: int) -> Any:
        return torch.randint(0, hi, shape)

    def positive(dtype: Any) -> Any:
        return (torch.eye(3) * 2 + 0.1).to(dtype)

    def under_autocast(dtype: Any, call: Callable[[], Any]) -> Any:
        with torch.autocast("cpu", dtype=dtype):
            return call()

    def step(dtype: Any, foreach: bool) -> None:
        parameter = torch.nn.Parameter(torch.ones(2).to(dtype))
        parameter.grad = torch.ones(2).to(dtype)
        torch.optim.Adam([parameter], foreach=foreach).step()

    def scaled(dtype: Any) -> None:
        parameter = torch.nn.Parameter(torch.ones(2, dtype=dtype))
        optimizer = torch.optim.SGD([parameter], lr=0.1)
        scaler = torch.amp.GradScaler("cpu")
        scaler.scale(parameter.float().sum()).backward()
        scaler.unscale_(optimizer)

    def assign(tensor: Any, index: Any, value: Any) -> None:
        tensor[index] = value

    return dtypes | {
        "torch": torch,
        "nn": torch.nn,
        "F": torch.nn.functional,
        "np": np,
        "D": "cpu",
        "P": torch.nn.Parameter,
        "r": random,
        "ii": integers,
        "u": lambda *shape: torch.randint(0, 255, shape).to(torch.uint8),
        "bm": lambda size: torch.arange(size) % 2 == 0,
        "one": lambda dtype: torch.ones((), dtype=dtype),
        "spd": positive,
        "ac": under_autocast,
        "adam": step,
        "scaler": scaled,
        "setitem": assign,
    }


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("row", CASES, ids=lambda row: f"{row['expr']} {row['message'][:20]}")
def test_what_torch_raises_is_explained_as_its_label_says(row: dict[str, str]) -> None:
    """By the label of the message that this torch gives on this CPU; another release or processor may raise another of the table, or none."""
    try:
        eval(row["expr"], names())
    except Exception as error:  # noqa: BLE001  # whatever it raises
        text, message = traceback.format_exc(), str(error)
    else:
        pytest.skip("this torch does not raise on this CPU")
    label = LABELS.get(message[:400])
    if label is None:
        pytest.skip(f"a message that the table does not have: {message[:80]}")

    (failure, *_) = read(BytesIO(text.encode())).failures

    assert failure.category in ({"neg-other", ""} if label["category"] == "neg-other" else {label["category"]})
