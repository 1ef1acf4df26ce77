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
    vendor: str = ""
    """As the tables write it: NVIDIA, AMD, Apple, Intel; `CPU` for a processor that is a target, empty for this machine's."""
    note: str = ""
    """How the name of a target was understood, where it left anything open."""
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

    @property
    def label(self) -> str:
        """The title with its architecture: `Tesla T4 (Turing)`, `M2`."""
        return self.title if self.architecture in ("", self.title) else f"{self.title} ({self.architecture})"

    @property
    def identifier(self) -> str:
        """As the tables name an architecture that torch tells: `sm_75`, `gfx942`; empty for another."""
        return "sm_%d%d" % self.compute_capability if self.compute_capability else self.gfx or ""

    @property
    def backend(self) -> str:
        """What torch drives it with: `cpu`, `cuda`, `rocm`, `mps` or `xpu`, a target's by its vendor; empty for another, Gaudi among them."""
        if self.kind != "target":
            return self.kind
        if self.architecture.startswith("Gaudi"):
            return ""
        return {"NVIDIA": "cuda", "AMD": "rocm", "Apple": "mps", "Intel": "xpu", "CPU": "cpu"}.get(self.vendor, "")
