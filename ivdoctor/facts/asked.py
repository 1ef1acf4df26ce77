"""What the user asked about: the cell of the 3x3 that makes the verdict, the model, and what counts as changed."""

from dataclasses import dataclass, field
from typing import Literal

from ..text import say
from .dtype import HALVES, Half
from .limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Given by the command line, never looked up."""

    dtype: Literal["auto", "fp32", "fp16", "bf16"] = "auto"
    """The model's precision; `auto` leaves it to the loader, so no single cell is judged."""
    input_dtype: Half | None = None
    """The float inputs' precision; None when the caller is unknown."""
    model: str = ""
    """Path of the model's folder; empty when only the machine is asked about. Never shown: reports give its last name."""
    inputs: str = ""
    """`FILE.safetensors` or `module:function` that gives the model's inputs; empty for the model's own processor."""
    thorough: bool = False
    """Whether every operator class is run in every format."""
    engine: str = ""
    """The inference engine in question: `vllm`; empty for none."""
    targets: tuple[str, ...] = ()
    """Hardware that is not here, as it was named; with any, this machine is not judged."""
    torch: str = ""
    """Another torch for the targets, `2.6+cu124`; empty for none in particular."""
    trust_remote_code: bool = False
    """Whether the model repository's own code may run, in a room of its own."""
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        """
        Refuse what is no precision, before anything is looked at.

        Raises:
            ValueError: a format by another name, or torch's own object.
        """
        for name, allowed in (("dtype", ("auto", *HALVES)), ("input_dtype", (None, *HALVES))):
            given = getattr(self, name)
            if given not in allowed:
                words = ", ".join(str(one) for one in allowed if one)
                raise ValueError(say("{name} is one of {words}, not {given}", name=name, words=words, given=repr(given)))

    def concerns(self, dtype: str) -> bool:
        """Whether the user asked for this precision by name."""
        return dtype in (self.dtype, self.input_dtype)
