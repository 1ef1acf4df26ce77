"""What an operator's schema says of it: whether it views, writes, makes something of nothing, or reads numbers."""

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import torch

Kind = Literal["view", "write", "factory", "like", "copy", "gather", "put", "data", "compute"]
"""
view: another look at the same memory, any dtype. write: into an argument, which is given back. factory: of no tensor. like: of a
tensor's shape alone. copy: to another dtype. gather and put: by index, whose masks count. data: gives a number to Python. compute: the rest.
"""

NAMES: dict[Kind, tuple[str, ...]] = {
    "like": (
        *("zeros_like", "ones_like", "full_like", "empty_like", "rand_like", "randn_like", "randint_like"),
        *("new_zeros", "new_ones", "new_full", "new_empty", "new_empty_strided"),
    ),
    "data": ("_local_scalar_dense", "item", "equal", "is_nonzero"),
    "gather": ("index", "_unsafe_index"),
    "put": ("index_put", "index_put_", "_unsafe_index_put", "_index_put_impl_", "_index_put_impl"),
    "copy": ("_to_copy",),
    "view": ("_unsafe_view", "_reshape_copy", "clone", "lift_fresh_copy", "contiguous", "repeat", "flip", "roll"),
    "compute": ("view_as_complex",),
}
"""What their schema does not tell: copies that move what is there in any dtype, and a view that not every dtype has."""

NAMED: dict[str, Kind] = {name: kind for kind, names in NAMES.items() for name in names}

SILENT = frozenset({"empty", "empty_strided", "empty_like", "new_empty", "new_empty_strided"})
"""They leave memory as it was: for integers that would be an index into nowhere."""


@dataclass(frozen=True, slots=True)
class Operator:
    """One overload."""

    name: str
    """`aten.convolution`."""
    base: str
    """`convolution`."""
    kind: Kind
    writes: tuple[int | str, ...]
    """The arguments it gives back, by position, or by name for those that are named only."""
    random: bool
    """Whether it draws numbers."""


@cache
def operator(func: Any) -> Operator:
    """Read from the schema once."""
    schema = func._schema  # noqa: SLF001  # torch's own dispatch modes read it by this name
    base = func.overloadpacket.__name__
    writes: list[int | str] = []
    for position, one in enumerate(schema.arguments):
        if one.alias_info is not None and one.alias_info.is_write:
            writes.append(one.name if one.kwarg_only else position)
    kind = _kind(func, schema, base, bool(writes))
    return Operator(
        name=f"{func.namespace}.{base}",
        base=base,
        kind=kind,
        writes=tuple(writes),
        random=torch.Tag.nondeterministic_seeded in func.tags,
    )


def _kind(func: Any, schema: Any, base: str, writes: bool) -> Kind:
    named = NAMED.get(base)
    if named in {"put", "gather", "data", "copy"} or (named is not None and not writes):
        return named
    if writes:
        return "write"
    if not any("Tensor" in str(one.type) for one in schema.arguments):
        return "factory"
    return "view" if func.is_view or any(one.alias_info is not None for one in schema.returns) else "compute"
