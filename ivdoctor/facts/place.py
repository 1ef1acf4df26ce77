"""Where a model could run."""

from dataclasses import dataclass
from typing import Literal

from .dtype import DtypeRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The CPU, one distinct accelerator (equal ones are one place with a count), or a target."""

    name: str
    """As torch would say it: `cpu`, `cuda:0`, `mps`."""
    kind: Literal["cpu", "cuda", "rocm", "mps", "xpu", "target"]
    title: str
    """The device's own name: `Tesla T4`."""
    count: int = 1
    others: tuple[str, ...] = ()
    """The equals of this device, as torch would say them."""
    memory_mib: int = 0
    architecture: str = ""
    compute_capability: tuple[int, int] | None = None
    gfx: str | None = None
    reachable: bool
    """Whether the installed torch can put a tensor there."""
    dtypes: DtypeRow
