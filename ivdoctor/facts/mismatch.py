"""The dtype-mismatch reproduction: the InternVideo2.5 path in miniature, really run."""

from dataclasses import dataclass
from typing import Literal

from ..text import say
from .dtype import Half
from .trial import Trial

WRONG = 1.0
"""
Relative L2 distance from which logits are wrong: farther away than their own size.

Rounding alone gives 5e-4 in fp16 and 5e-3 in bf16, but token merging sorts in the model's format and may choose other
tokens: 0.36 was seen in bf16 (2026-11-23).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A place in code: where something raises, or what made the odd dtype."""

    module: str = ""
    """Dotted path in the model."""
    file: str = ""
    line: int = 0
    op: str = ""
    """The operator: `aten.convolution`."""
    dtype: str = ""
    """torch's name of the dtype there, where it is the point."""
    code: str = ""
    """The source line itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One forward pass in one combination of dtypes."""

    status: Literal["ran", "raised"]
    error: str = ""
    """The exception's type: `RuntimeError`."""
    message: str = ""
    output: str = ""
    """torch's name of the output's dtype, where it ran."""
    relative_l2: float = 0.0
    """Distance of the logits from the fp32 model's, where it ran; -1 where they are not all finite."""
    location: Site | None = None
    origin: Site | None = None

    @property
    def usable(self) -> bool:
        """Whether it ran and what came out has to do with what the fp32 model says."""
        return self.status == "ran" and 0 <= self.relative_l2 < WRONG

    def said(self) -> str:
        """In one line what came of it."""
        if self.status == "raised":
            return f"{self.error}: {self.message}"
        if self.relative_l2 < 0:
            return say("ran, and the output is not finite")
        if not self.usable:
            return say("ran, and the output is wrong: relative L2 {error}", error=f"{self.relative_l2:.1e}")
        return say("ran, output {dtype}", dtype=self.output)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A cell of the 3x3: the whole model in one format, the pixels in another."""

    model: Half
    input: Half
    attempt: Attempt

    @property
    def case(self) -> str:
        """The name trials use for it."""
        return f"{self.model}/{self.input}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Towers:
    """A model whose parts were loaded apart; the pixels are in the vision tower's format."""

    vision: Half
    projector: Half
    lm: Half
    attempt: Attempt

    @property
    def case(self) -> str:
        """The name trials use for it."""
        return f"{self.vision}/{self.projector}/{self.lm}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """At one place."""

    cells: tuple[Cell, ...]
    towers: tuple[Towers, ...]
    trials: tuple[Trial, ...]

    def cell(self, model: str, input: str) -> Cell | None:
        """The cell of this pair, or None when it was not run."""
        return next((one for one in self.cells if (one.model, one.input) == (model, input)), None)

    def tried(self, case: str) -> tuple[Trial, ...]:
        """The remedies tried on this failure."""
        return tuple(trial for trial in self.trials if trial.case == case)
