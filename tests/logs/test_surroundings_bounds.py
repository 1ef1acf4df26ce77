"""What is kept and how long a line may take, whatever is pasted."""

import sys
import time

import pytest

from ivdoctor.logs.surroundings import KEYS, LONGEST, MOST, Surroundings
from ivdoctor.tables import table


def test_memory_is_bounded() -> None:
    """By the tables, and by what one machine can hold."""
    surroundings = Surroundings()
    for number in range(3000):
        for line in (
            f"GPU {number}: Tesla T4",
            f"GPU {number % 100}: Tesla T4",
            f"package-{number}==1.0.{number}",
            f"Accelerator: Tesla T4, {number} MiB",
        ):
            surroundings.feed(line)
        surroundings.feed("Tesla T4, 15360 MiB")
        surroundings.feed(f"|  {number % 100}  Tesla T4  Off | 00000000:00:04.0 Off | 0 |")
        surroundings.feed(f"VARIABLE_{number}=1")
    notes = surroundings._notes

    assert all(len(one) <= MOST for one in notes.cards.values())
    assert len(notes.cards) <= 3
    assert len(notes.said) <= len(KEYS) + 2
    assert len(notes.installed) <= len(table("packages"))
    assert len(notes.variables) <= len(table("environ"))
    assert all(sys.getsizeof(one) <= 8 * LONGEST for one in (*notes.said.values(), *notes.installed.values(), *notes.variables.values()))


@pytest.mark.parametrize("unit", ["|", " ", "1.", "GPU 0: ", "a=", "Tesla ", "(", "-", "MiB / ", "torch==1.0"])
@pytest.mark.parametrize(
    "start", ["", "|  0  ", "PyTorch version: ", "GPU 0: ", "torch==", "Platform: Linux-", "| NVIDIA-SMI Driver Version:", "cuDNN version: "]
)
def test_no_line_takes_long(start: str, unit: str) -> None:
    """Neither one of 64 KiB nor one as long as is read at all."""
    surroundings = Surroundings()
    for size in (2**16, LONGEST):
        line = (start + unit * size)[:size]
        began = time.perf_counter()
        surroundings.feed(line)
        assert time.perf_counter() - began < 0.5  # one that grew with the cube of its length would take minutes
    surroundings.outcomes()
