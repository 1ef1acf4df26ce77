"""A failure that was read from a text: what it says, and where it was raised."""

from dataclasses import dataclass

from ..text import say


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame of a traceback."""

    file: str
    line: int
    function: str = ""
    code: str = ""
    """The source line, where the traceback shows it."""
    library: str = ""
    """The package the file belongs to, `python` for the standard library; empty for the user's own code."""

    def said(self) -> str:
        """`train.py:12, in step: loss = model(x)`."""
        where = say("{file}:{line}, in {function}", file=self.file, line=self.line, function=self.function) if self.function else ""
        return f"{where or f'{self.file}:{self.line}'}{f': {self.code}' if self.code else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operand:
    """One tensor that a message names."""

    role: str
    """As the message calls it: `input`, `weight`, `mat1`, `query`, `source`."""
    dtype: str = ""
    """torch's name, `bfloat16`; empty where the text does not say, or says something that is no dtype."""
    device: str = ""
    """`cpu`, `cuda`, `mps`, where the message gives the tensor's type with its device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One failure, however often and by however many processes it was told."""

    family: str
    """The row of `tables/messages.csv` that knows it; empty for an exception that nobody knows."""
    category: str
    """The slug of the kind of failure; empty where it is not known."""
    error: str = ""
    """The exception's type, `RuntimeError`; empty where the text shows none."""
    message: str
    operands: tuple[Operand, ...] = ()
    op: str = ""
    """The operator or kernel that the message names."""
    device: str = ""
    """The accelerator that the message names: `Tesla T4`."""
    needs: str = ""
    """What the message says is needed: a compute capability, a dtype, a package."""
    has: str = ""
    """What it says is there instead."""
    frames: tuple[Frame, ...] = ()
    """The innermost last: a dozen, and the user's own nearest one where it lies farther out."""
    libraries: tuple[str, ...] = ()
    """Packages that the traceback runs through, sorted."""
    words: tuple[str, ...] = ()
    """Hints beside the message, of `logs/hints.py`: `lora`, `training`, `vllm`."""
    count: int = 1
    """How often the text tells it."""
    speakers: tuple[str, ...] = ()
    """Ranks and workers that told it, as their prefixes name them."""
    line: int = 0
    """The first line that tells it, from 1; 0 where lines were not counted."""

    @property
    def own(self) -> Frame | None:
        """The innermost frame of the user's own code."""
        return next((one for one in reversed(self.frames) if not one.library), None)

    @property
    def raised(self) -> Frame | None:
        """The innermost frame."""
        return self.frames[-1] if self.frames else None

    @property
    def dtypes(self) -> tuple[str, ...]:
        """Of the operands, in the order of the message, known ones only."""
        return tuple(one.dtype for one in self.operands if one.dtype)

    def operand(self, *roles: str) -> Operand | None:
        """The first operand in one of these roles."""
        return next((one for one in self.operands if one.role in roles), None)

    def through(self, *libraries: str) -> bool:
        """Whether the traceback runs through one of these packages."""
        return any(one in self.libraries for one in libraries)
