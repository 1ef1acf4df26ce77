"""A failure as it is read from a text."""

from dataclasses import replace
from io import BytesIO
from typing import Any

from ..facts import Failure, Frame, Operand
from ..logs.reading import read
from ..tables import table


def a_failure(category: str = "matmul-dtype-mismatch", **changes: Any) -> Failure:
    """
    A failure as reading the first example of its category in `tables/message_examples.csv` gives it: one line, told once, no traceback.

    A category that has no example, or none, gives an exception that nobody knows.
    """
    text = next((row["text"] for row in table("message_examples") if row["category"] == category), "")
    known = next(iter(read(BytesIO(text.encode())).failures()), None)
    failure = known or Failure(family="", category=category, error="AcmeError", message="the flux is unbalanced", line=1)
    return replace(failure, **changes)


def a_frame(**changes: Any) -> Frame:
    """A line of the user's own code, `train.py:12, in step`; `library="torch"` makes it torch's."""
    frame = Frame(file="train.py", line=12, function="step", code="loss = model(x)")
    return replace(frame, **changes)


def operands(**dtypes: str) -> tuple[Operand, ...]:
    """Operands by their roles, as a message names them: `operands(input="float16", bias="bfloat16")`; `""` where it does not say the dtype."""
    return tuple(Operand(role=role, dtype=dtype) for role, dtype in dtypes.items())
