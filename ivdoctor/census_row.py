"""The rows of a census."""

from dataclasses import dataclass
from typing import Literal

from .facts import SHORT_NAME, Half, Stored

State = Literal["whole", "incomplete", "torn", "no weights", "not downloaded", "unreadable"]


@dataclass(slots=True, kw_only=True)
class Cell:
    """A model on a target: what `ivdoctor check MODEL --target NAME` says, in a few words."""

    target: str
    """As it was named."""
    verdict: Literal["ready", "not-ready", "undetermined"]
    word: str
    reason: str
    """The report's own last line."""
    codes: tuple[str, ...] = ()
    """Of the errors."""


@dataclass(slots=True, kw_only=True)
class Row:
    """One model. Empty text and 0: nobody says."""

    name: str
    revision: str = ""
    kind: str
    """`model`; `adapter`; `gguf`; `weights` without a configuration."""
    state: State
    model_type: str = ""
    architecture: str = ""
    stored: tuple[Stored, ...] = ()
    quantization: str = ""
    parameters: int = 0
    counted: Literal["", "headers", "configuration"] = ""
    """Where the number of parameters is from."""
    bytes: int = 0
    """Of the files of weights that are there."""
    files: int = 0
    missing: tuple[str, ...] = ()
    torn: tuple[str, ...] = ()
    unfinished: int = 0
    declared: str = ""
    """The configuration's own dtype."""
    loads_as: Half | None = None
    """What `from_pretrained` without a dtype makes of it."""
    base: str = ""
    """Of an adapter: the model it belongs to."""
    method: str = ""
    """Of an adapter: LORA, ..."""
    problem: str = ""
    """Why it could not be read."""
    cells: tuple[Cell, ...] = ()

    @property
    def called(self) -> str:
        """`organisation/model@main`."""
        return f"{self.name}@{self.revision}" if self.revision else self.name

    @property
    def cast_from(self) -> str:
        """The short name of the dtype that most weights are stored in, where loading them without a dtype changes it."""
        stored = SHORT_NAME.get(next((one.dtype for one in self.stored if one.role == "weights"), ""), "")
        return stored if self.loads_as and stored and stored != self.loads_as and not self.quantization else ""


@dataclass(slots=True, kw_only=True)
class Census:
    """All rows, and what was passed by."""

    rows: tuple[Row, ...]
    transformers: str
    """The installed version, by which `loads_as` goes; empty for none."""
    targets: tuple[str, ...] = ()
    cut: str = ""
    """Why the search ended before its end."""
    remarks: tuple[str, ...] = ()
    """What was not looked at, a sentence each."""

    @property
    def whole(self) -> bool:
        """Whether everything was found and could be read."""
        return not self.cut and not any(row.problem or row.torn for row in self.rows)
