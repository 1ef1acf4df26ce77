"""The user's own architecture made small, with random weights, and really run."""

from dataclasses import dataclass

from .flow import Flowed
from .trial import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Miniature:
    """On the CPU; what is shown on it is a matter of dtypes, never of numbers."""

    model: str
    """The folder's name."""
    architecture: str
    """The class: `LlamaForCausalLM`."""
    library: str
    """`transformers 5.23.0`: whose code it is."""
    changes: tuple[str, ...]
    """What was made smaller: `num_hidden_layers 32 -> 2`."""
    parameters: int
    inputs: str
    """What went in: `input_ids 1x7 int64`."""
    cells: tuple[Flowed, ...]
    """As in the flow, and really run."""
    trials: tuple[Trial, ...]
    """Remedies for the cells that raised, each by the cell's case."""

    def cell(self, way: str, model: str, input: str) -> Flowed | None:
        """The cell of these, or None where it was not run."""
        return next((one for one in self.cells if (one.way, one.model, one.input) == (way, model, input)), None)

    def tried(self, case: str) -> tuple[Trial, ...]:
        """The remedies tried on this failure."""
        return tuple(trial for trial in self.trials if trial.case == case)
