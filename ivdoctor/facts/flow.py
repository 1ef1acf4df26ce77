"""The dtype flow: the model's real code on tensors that have a dtype and a shape and no numbers, in every cell of the 3x3."""

from dataclasses import dataclass
from typing import Literal

from .dtype import Half
from .mismatch import Site

Way = Literal["loaded", "cast"]
"""loaded: as `from_pretrained(dtype=X)` leaves it. cast: as `.to(X)` and `.half()` leave it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputCast:
    """A line of the model's own code that casts a float input: a mismatch nobody sees."""

    input: str
    """The argument's name: `pixel_values`."""
    through: tuple[str, ...]
    """torch's names, from what was fed to what came of it: `float32, bfloat16, float16` has lost what the middle one cannot hold."""
    location: Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Flowed:
    """One cell: the model in one format, its float inputs in another."""

    way: Way
    model: Half
    input: Half
    status: Literal["ran", "raised", "unknown"]
    """unknown: the flow could not be carried through, for a reason that is none of dtype's."""
    step: Literal["forward", "decode"] = "forward"
    """Which pass it raised in: the first, or one more token with the cache."""
    error: str = ""
    """The exception's type: `RuntimeError`."""
    message: str = ""
    """torch's own, of the operator really run on small stand-ins; why it is unknown, where it is."""
    operands: tuple[str, ...] = ()
    """torch's names of the dtypes the operator met, in order."""
    location: Site | None = None
    """Where it raises."""
    origin: Site | None = None
    """What made the odd dtype: a weight kept in float32, a line that casts, or the input itself."""
    casts: tuple[InputCast, ...] = ()

    @property
    def case(self) -> str:
        """The name trials use for it: `loaded:bf16/fp32`."""
        return f"{self.way}:{self.model}/{self.input}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Tensors, alike in all layers, that loading in a 16-bit format leaves in float32 and a cast does not."""

    name: str
    """With `*` for the number of the layer: `model.layers.*.mlp.gate.e_score_correction_bias`."""
    what: Literal["parameter", "buffer"]
    formats: tuple[Half, ...]
    """Those in which the loader keeps it."""
    tensors: int
    elements: int
    """In all of them together; each costs two bytes more than in the format."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """An operator and the dtypes it is given somewhere in the model."""

    op: str
    """`aten.convolution`."""
    dtypes: tuple[str, ...]
    """torch's names, one a tensor, in order."""
    count: int
    """Calls in one forward pass and one decoding step."""
    modules: tuple[str, ...]
    """Those that call it, with `*` for the number of the layer; the first few."""
    example: str = ""
    """One of the calls, as JSON: what a replay on a device makes its small tensors of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """Of the model that was named, as the CPU's operators behave in the installed torch."""

    model: str
    """The folder's name."""
    architecture: str
    """The class: `LlamaForCausalLM`."""
    library: str
    """`transformers 5.23.0`: whose code it is."""
    inputs: str
    """What went in: `input_ids 1x7 int64, pixel_values 1x3x224x224 float32`."""
    steps: tuple[Literal["forward", "decode"], ...] = ("forward",)
    """The passes that were made."""
    floats: bool = False
    """Whether any input floats; where none does, the three columns of the 3x3 are one."""
    parameters: int = 0
    cells: tuple[Flowed, ...] = ()
    held: tuple[Held, ...] = ()
    pairs: tuple[Pair, ...] = ()
    """Of the cell that is judged, or of the model as it would be loaded."""
    paired: str = ""
    """The case they are of: `loaded:bf16/fp32`."""
    unrun: tuple[str, ...] = ()
    """Parts with parameters that these inputs did not reach: a vision tower that was given text alone."""
    unproven: tuple[str, ...] = ()
    """Operators whose answer could not be had from the operator itself, and was taken from its meta kernel."""
    misfit: str = ""
    """Why the repository's own code does not run with the installed transformers, in one line; there are no cells then."""
    reads: tuple[str, ...] = ()
    """What the model's code opened while it ran, by name: a result that hangs on files is said to."""

    def cell(self, way: str, model: str, input: str) -> Flowed | None:
        """The cell of these, or None where it was not made."""
        return next((one for one in self.cells if (one.way, one.model, one.input) == (way, model, input)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """A pair really run, in small shapes."""

    op: str
    dtypes: tuple[str, ...]
    status: Literal["ran", "raised", "unknown"]
    message: str = ""
    modules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """The model's inventory of operators, run for real at one place."""

    paired: str
    """The case the inventory is of."""
    pairs: tuple[Replayed, ...]
