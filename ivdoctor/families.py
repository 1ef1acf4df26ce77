"""What is known of a model's family: what its layers do with an input of another dtype, and which transformers its code runs with."""

import re
from dataclasses import dataclass, fields
from functools import cache

from .facts import HALVES, Half, Model, release
from .tables import table

CELLS = {
    "9/9": frozenset((one, other) for one in HALVES for other in HALVES),
    "diagonal": frozenset((one, one) for one in HALVES),
    "diagonal+fp32": frozenset((one, other) for one in HALVES for other in HALVES if one in {other, "fp32"}),
}
"""Which cells of the 3x3 run, model dtype first, by the table's word for it; `diagonal+fp32` is the diagonal and every input of a model in float32."""


MEASURED = re.compile(r"^measured: transformers (\d+\.\d+\.\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A row of `families.csv`; empty text where the table does not say."""

    model_type: str
    """Empty where the code alone tells: its repositories name none, or several."""
    code: str = ""
    """Module of the repository's own code that the row is about."""
    name: str = ""
    """Regular expression on the model's name, found anywhere in it, upper and lower case alike."""
    native_since: str = ""
    """
    Release of transformers that first knows the type: the first of its minor version, `4.36.0` also for those that knew it before.

    Empty where none up to 5.23 does, `?` where it is not known which.
    """
    loads_with: str = ""
    """Releases of transformers that its code runs with: `==4.40.1`, `<5`."""
    breaks: str = ""
    """What any other release says."""
    first_op: str = ""
    """Where the float input meets the first weight: `embeddings.patch_embedding (Conv2d with bias)`."""
    input: str = ""
    """`pixel_values`."""
    casts_input: str = ""
    """`yes` or `no`: whether the model brings the input to its weights' dtype."""
    site: str = ""
    """File and line of that cast, or of what raises without one, in the release of `source`."""
    cells: str = ""
    """A word of `CELLS`; empty where they were not measured."""
    kept_fp32: str = ""
    """Modules that loading in 16 bits leaves in float32, separated by `;`; `.to()` and `.half()` cast them."""
    attention: str = ""
    """Switches of its own that choose the attention kernel."""
    trap: str = ""
    """What the published code of its callers does wrong."""
    note: str = ""
    source: str
    """With its date."""

    @property
    def measured_with(self) -> str:
        """The transformers whose own code was run for `cells`; empty where it was the repository's code, or nothing was run. Others may cast elsewhere."""
        found = MEASURED.search(self.source)
        return found[1] if found and self.cells and not self.code else ""

    def fits(self, version: str) -> bool | None:
        """Whether this release of transformers runs its code; None where no restriction is known, or the version is none."""
        found = release(version)
        return all(_meets(found, one) for one in self.loads_with.split(",")) if self.loads_with and found else None

    def runs(self, model_dtype: Half, input_dtype: Half) -> bool | None:
        """Whether this cell of the 3x3 runs; None where it was not measured."""
        return (model_dtype, input_dtype) in CELLS[self.cells] if self.cells else None


def _meets(version: tuple[int, ...], clause: str) -> bool:
    """One clause of a requirement, by the release's numbers; the import of packaging would cost a tenth of judging a configuration."""
    sign, wanted = clause.strip()[:2].rstrip("0123456789"), release(clause.strip().lstrip("<>=!"))
    longest = max(len(version), len(wanted))
    one, other = ((*numbers, *(0,) * (longest - len(numbers))) for numbers in (version, wanted))
    return {"<": one < other, "<=": one <= other, ">": one > other, ">=": one >= other, "==": one == other, "!=": one != other}[sign]


def family_of(model: Model) -> Family | None:
    """The most specific row about this model: one that asks for its name, then one that asks for its code, then one for the type; of equals the first."""
    rows = dict.fromkeys((*_families().get(model.model_type, ()), *_families().get("", ())))
    return max((one for one in rows if _about(one, model)), key=lambda one: (bool(one.name), bool(one.code)), default=None)


def _about(family: Family, model: Model) -> bool:
    named = not family.name or re.search(family.name, model.name, re.IGNORECASE) is not None
    return named and (not family.code or family.code in model.code)


@cache
def _families() -> dict[str, tuple[Family, ...]]:
    """The table, by model type."""
    names = [one.name for one in fields(Family)]
    found: dict[str, tuple[Family, ...]] = {}
    for row in table("families"):
        family = Family(**{name: row[name] for name in names if name != "source"}, source=f"{row['source']} ({row['date']})")
        found[family.model_type] = (*found.get(family.model_type, ()), family)
    return found
