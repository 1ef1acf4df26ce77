"""The environment variables that matter, by an allow-list."""

import os

from ..facts import Environ, Variable
from ..probe import probe
from ..tables import table
from ..text import printable


@probe()
def environ() -> Environ:
    """Only names of `tables/environ.csv` are read at all."""
    names = sorted(row["name"] for row in table("environ"))
    return Environ(variables=tuple(Variable(name=name, value=printable(os.environ[name])) for name in names if name in os.environ))
