"""Damaged files of every kind, some hundred of them; `benchmarks/fuzz_headers.py` tries as many as one has time for."""

import os
import random
import runpy
from pathlib import Path
from typing import Any

import pytest

FUZZ = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "fuzz_headers.py"))
KINDS: dict[str, Any] = {kind.__name__: kind for kind in FUZZ["KINDS"]}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_damaged_is_read_or_refused(kind: str, tmp_path: Path) -> None:
    """In one printable line and within a second, and nothing but Unreadable ever escapes; a seed that fails is printed."""
    seed = 0 if "CI" in os.environ else random.randrange(10**9)

    outcomes = [FUZZ["tried"](KINDS[kind], f"{seed}:{number}", tmp_path) for number in range(120)]

    assert {outcome for outcome, _ in outcomes} <= {"read", "torn", "refused"}
    assert len({outcome for outcome, _ in outcomes}) > 1
    assert max(spent for _, spent in outcomes) < FUZZ["SLOW"]


@pytest.mark.parametrize("files", FUZZ["SOUND"], ids=lambda files: next(iter(files)))
def test_what_the_damage_begins_with_is_sound(files: dict[str, bytes], tmp_path: Path) -> None:
    """Or else nothing would be shown by refusing it."""
    assert FUZZ["tried"](lambda _: files, "", tmp_path)[0] == "read"
