"""One training step of the miniature under autocast, and what people do wrong there."""

from dataclasses import dataclass
from typing import Literal

from .dtype import Half
from .mismatch import Site
from .trial import Trial

MisuseName = Literal["fp16-weights-scaled", "bf16-scaled", "half-inside-autocast", "embeddings-outside-autocast"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """fp32 weights, a forward and backward pass under `torch.autocast` in this format, and an update."""

    dtype: Half
    scaled: bool
    """Whether a GradScaler scaled the loss."""
    status: Literal["ran", "raised", "absent"]
    """absent: this PyTorch has no such autocast or scaler for the device."""
    message: str = ""
    """What is wrong, or that the scaler had to back off first."""
    location: Site | None = None
    loss: float = 0.0
    """-1 where it is not finite."""
    gradients_finite: bool = False
    moved: bool = False
    """Whether the update changed the weights: a scaler that met Inf skips it."""

    @property
    def usable(self) -> bool:
        """Whether it ran, with finite numbers, and the weights moved."""
        return self.status == "ran" and self.loss >= 0 and self.gradients_finite and self.moved


@dataclass(frozen=True, slots=True, kw_only=True)
class Misuse:
    """A step as people write it by mistake, really run."""

    name: MisuseName
    status: Literal["ran", "raised", "absent"]
    """ran: this PyTorch lets it pass, which need not mean that it is right. absent: it could not be shown here, and `message` says why."""
    message: str = ""
    location: Site | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Amp:
    """At one place."""

    steps: tuple[Step, ...]
    misuses: tuple[Misuse, ...] = ()
    trials: tuple[Trial, ...] = ()
    """The remedies of each misuse that raised, whose name is the `case`; and of a step that failed, `bf16-step`."""

    def step(self, dtype: str) -> Step | None:
        """The step in this format, or None."""
        return next((one for one in self.steps if one.dtype == dtype), None)

    def misuse(self, name: str) -> Misuse | None:
        """The misuse of this name, or None where it was not tried."""
        return next((one for one in self.misuses if one.name == name), None)

    def tried(self, case: str) -> tuple[Trial, ...]:
        """The remedies tried on this misuse, or this step."""
        return tuple(trial for trial in self.trials if trial.case == case)
