"""Environment variables that change precision, or which device is seen."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A variable of `tables/environ.csv` that is set."""

    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Environ:
    """Only listed names are read: an unlisted variable never leaves the machine."""

    variables: tuple[Variable, ...]

    def get(self, name: str) -> str | None:
        """The value, or None when the variable is not set."""
        return next((variable.value for variable in self.variables if variable.name == name), None)
