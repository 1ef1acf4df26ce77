"""Cast, then infer: the same inputs through the same weights in fp32 and after a cast, compared."""

from dataclasses import dataclass, field
from typing import Literal

from .dtype import Half
from .mismatch import Site
from .trial import Trial

FP16_MAX = 65504.0
"""The largest finite float16."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One module's output after the cast, against the same module's before it."""

    module: str
    kind: str
    """Its class: `Linear`."""
    relative_l2: float
    """Distance over the baseline's size; -1 where the output is not finite."""
    block: bool = False
    """Whether it is one of the model's repeated layers, whose errors in a row show where it is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CastRun:
    """The model in one format, its float inputs in the same."""

    dtype: Half
    status: Literal["ran", "raised", "skipped"]
    message: str = ""
    """What was raised, or why it was not run."""
    location: Site | None = None
    relative_l2: float = 0.0
    """Of the output; -1 where it is not all finite."""
    max_abs: float = 0.0
    """Largest absolute difference of one element; -1 as above."""
    cosine: float = 0.0
    top1: float | None = None
    """Share of positions whose largest logit is the same; None where there are no logits."""
    kl: float | None = None
    """Mean Kullback-Leibler divergence from the baseline's distribution, in nats; None where there are no logits."""
    nonfinite: int = 0
    """NaN and Inf in the output."""
    first_nonfinite: str = ""
    """The first module, in the order they ran, whose output holds NaN or Inf although its baseline does not."""
    lost_at: str = ""
    """The repeated layer that adds most to the error; a plain module where there are no repeated layers."""
    modules: tuple[Drift, ...] = ()
    """In the order they ran."""
    time_ratio: float | None = None
    """Seconds of a warm forward pass over the baseline's in the same run; None where it was not timed."""
    memory_ratio: float | None = None
    """Weights and the peak of a forward pass over the baseline's; None where it was not measured."""

    @property
    def usable(self) -> bool:
        """Whether it ran and every number that came out is finite."""
        return self.status == "ran" and not self.nonfinite


@dataclass(frozen=True, slots=True, kw_only=True)
class Fed:
    """The model in one format, its float inputs left in the one they came in."""

    model: Half
    input: Half
    status: Literal["ran", "raised"]
    message: str = ""
    location: Site | None = None

    @property
    def case(self) -> str:
        """The name trials use for it."""
        return f"{self.model}/{self.input}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounding:
    """`.half().to(torch.bfloat16)` against `.to(torch.bfloat16)`, counted over every stored weight."""

    stored: str
    """torch's name of the dtype most weights are stored in."""
    weights: int
    changed: int
    """Weights that end on another bfloat16 value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A tensor that `from_pretrained(dtype=)` keeps in fp32 and `.to(dtype)` and `.half()` cast."""

    name: str
    what: Literal["rotary", "router", "other"]
    formats: tuple[Half, ...] = ("bf16", "fp16")
    """Those in which the loader keeps it: some are kept in float16 only."""
    off: dict[str, float] = field(default_factory=dict)
    """For rotary frequencies, by format: the share of dimensions whose cosine at `position` is off by more than 0.1 after the cast."""
    position: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """At one place."""

    model: str
    """The folder's name; `miniature` for the built-in one."""
    how: Literal["real-run", "miniature"]
    baseline: Half = "fp32"
    baseline_reason: str = ""
    """Why the baseline is not fp32."""
    inputs: str
    """What went in: `2 sentences through the model's own tokenizer`."""
    floats: str = ""
    """torch's name of the floating inputs' dtype as they came in; empty where none of them floats."""
    output: str = ""
    """What was compared: `last_hidden_state 2x12x384`."""
    nonfinite: int = 0
    """NaN and Inf in the baseline's own output; -Inf is a mask's filling and does not count."""
    architecture: str = ""
    """The class that was really loaded: `BertModel`."""
    unrun: tuple[str, ...] = ()
    """Parts with parameters that these inputs did not reach: a vision tower that was given text alone."""
    parameters: int = 0
    headroom: float | None = None
    """
    The baseline's largest activation over 65504, of what modules take and give; None where the baseline did not run.

    What a function makes between two modules, such as attention scores, is not seen.
    """
    headroom_module: str = ""
    runs: tuple[CastRun, ...] = ()
    fed: tuple[Fed, ...] = ()
    rounding: Rounding | None = None
    kept: tuple[Kept, ...] = ()
    missing: tuple[str, ...] = ()
    """Parameters the configuration asks for and the files do not hold: they were random."""
    unexpected: tuple[str, ...] = ()
    """Tensors the files hold and the configuration does not ask for: they were left out."""
    trials: tuple[Trial, ...] = ()
    """Each format as a remedy."""

    def run(self, dtype: str) -> CastRun | None:
        """The run in this format, or None."""
        return next((one for one in self.runs if one.dtype == dtype), None)
