"""
What an operator does with these dtypes, asked of the operator itself: run once on tiny tensors, and remembered.

The message is torch's own. A failure counts as one of dtypes only where the same stand-ins run with every floating tensor in float32:
otherwise the stand-ins were at fault, and larger ones are tried.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

KEPT = 4
"""Sizes up to this one stay as they are: kernels, pairs, signs."""

LARGEST = 1 << 24
"""Elements of all stand-ins together, where the sizes are the real ones."""

MATRIX = frozenset({"mm", "addmm", "bmm", "baddbmm", "linear", "matmul", "_grouped_mm"})
"""Whose kernel is chosen by size: oneDNN takes over from some size on, so they are asked twice."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of it."""

    dtypes: tuple[torch.dtype, ...] = ()
    """Of the tensors it gave, in order."""
    error: Exception | None = None
    proven: bool = True
    """False where no stand-in could be made: then nothing is known but what its meta kernel says."""


Control = dict[str, torch.dtype]
"""Another dtype for tensors that float, and for whole numbers."""

CONTROLS: tuple[Control, ...] = (
    {"float": torch.float32},
    {"float": torch.float32, "whole": torch.int64},
    {"float": torch.float32, "whole": torch.float32},
    {"float": torch.int64},
)
"""Each may show that the dtypes were at fault: mixed formats, an index of the wrong width, whole numbers where there is no kernel for them."""

Scale = Callable[[int, int], int]
"""From a real size and its rank among the sizes to that of a stand-in."""


def _tiny(_: int, rank: int) -> int:
    return KEPT + 1 + rank


def _aligned(_: int, rank: int) -> int:
    return 16 * (rank + 1)


def _real(size: int, _: int) -> int:
    return size


class Contracts:
    """Answers, kept for as long as the process lives; they hold for this torch on this device alone."""

    def __init__(self, device: str = "cpu") -> None:
        self.device = device
        self.known: dict[Any, Answer] = {}
        self.asked = 0
        """Times an operator was really run."""

    def answer(self, func: Any, args: Any, kwargs: Any) -> Answer:
        """For these arguments, of which the tensors' numbers do not count."""
        key = (func, _key(args), _key(tuple(sorted(kwargs.items()))) if kwargs else ())
        try:
            found = self.known.get(key)
        except TypeError:  # an argument that cannot be hashed
            return self._ask(func, args, kwargs)
        if found is None:
            found = self.known[key] = self._ask(func, args, kwargs)
        return found

    def _ask(self, func: Any, args: Any, kwargs: Any) -> Answer:
        matrix = getattr(getattr(func, "overloadpacket", func), "__name__", "") in MATRIX
        best: Answer | None = None
        for scale in (_tiny, _aligned, _real):
            if scale is _real and (best is not None or _elements((args, kwargs)) > LARGEST):
                break
            found = self._at(func, args, kwargs, scale)
            if found is None:
                continue
            if not matrix or scale is _aligned:  # of a matrix product the larger one speaks, unless only the tiny one raises
                return best if best and best.error and not found.error else found
            best = found
        return best or Answer(proven=False)

    def _at(self, func: Any, args: Any, kwargs: Any, scale: Scale) -> Answer | None:
        """At one scale; None where the stand-ins are at fault."""
        table = _table(args, kwargs, scale)
        self.asked += 1
        try:
            made = _stand((args, kwargs), table, self.device, None)
            result = func(*made[0], **made[1])
        except Exception as error:  # noqa: BLE001  # whatever it raises is the answer, if it is one of dtypes
            return Answer(error=error) if any(self._runs(func, args, kwargs, table, control) for control in CONTROLS) else None
        found = list(tensors(result))
        return Answer(dtypes=tuple(one.dtype for one in found))

    def sizes(self, func: Any, args: Any, kwargs: Any) -> list[tuple[int, ...]] | None:
        """
        Of the tensors it gives, read off small stand-ins, where every size that comes out went in.

        For operators whose meta kernel refuses what they take; not kept, for it holds for these sizes alone.
        """
        for scale in (_tiny, _aligned):
            table = _table(args, kwargs, scale)
            back = {small: real for real, small in table.items()} | {size: size for size in range(KEPT + 1)}
            try:
                made = _stand((args, kwargs), table, self.device, None)
                found = list(tensors(func(*made[0], **made[1])))
                if any(one.layout != torch.strided for one in found):
                    return None
                return [tuple(back[size] for size in one.shape) for one in found]
            except Exception:  # noqa: BLE001, S112  # then the next, or nobody knows
                continue
        return None

    def _runs(self, func: Any, args: Any, kwargs: Any, table: dict[int, int], control: "Control") -> bool:
        """The same stand-ins, in dtypes that go together."""
        try:
            made = _stand((args, kwargs), table, self.device, control)
            func(*made[0], **made[1])
        except Exception:  # noqa: BLE001  # the stand-ins are at fault
            return False
        return True


def _table(args: Any, kwargs: Any, scale: Scale) -> dict[int, int]:
    """From each size among the tensors to that of its stand-in."""
    sizes = sorted({size for one in tensors((args, kwargs)) for size in one.shape if size > KEPT})
    return {size: scale(size, rank) for rank, size in enumerate(sizes)}


def tensors(tree: Any) -> Iterator[Tensor]:
    """Those in tuples, lists and dictionaries, in order."""
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, (list, tuple)):
        for one in tree:
            yield from tensors(one)
    elif isinstance(tree, dict):
        for one in tree.values():
            yield from tensors(one)


def _elements(tree: Any) -> int:
    return sum(one.numel() for one in tensors(tree))


def _key(tree: Any) -> Any:
    """Dtype, rank and emptiness of tensors; numbers by their kind, and as they are where they are small or float."""
    if isinstance(tree, Tensor):
        return (tree.dtype, tree.dim(), tree.numel() == 0)
    if isinstance(tree, (list, tuple)):
        return tuple(_key(one) for one in tree)
    if type(tree) is int:
        return tree if -KEPT <= tree <= KEPT else "int"
    return (type(tree), tree)


def _stand(tree: Any, table: dict[int, int], device: str, control: Control | None) -> Any:
    """The same with small tensors of the same dtypes, and with the sizes among the numbers made small alike."""
    if isinstance(tree, Tensor):
        return _small(tree, table, device, control)
    if isinstance(tree, (list, tuple)):
        return type(tree)(_stand(one, table, device, control) for one in tree)
    if isinstance(tree, dict):
        return {name: _stand(one, table, device, control) for name, one in tree.items()}
    if type(tree) is int:
        return table.get(tree, tree)
    if control is not None and isinstance(tree, torch.dtype) and tree.is_floating_point:
        return control["float"]
    return tree


def _small(tensor: Tensor, table: dict[int, int], device: str, control: Control | None) -> Tensor:
    size = [table.get(one, one) for one in tensor.shape]
    kind = tensor.dtype
    if control is not None and not tensor.is_complex() and kind != torch.bool:
        kind = control.get("float" if tensor.is_floating_point() else "whole", kind)
    if not (kind.is_floating_point or kind.is_complex):
        return torch.zeros(size, dtype=kind, device=device)
    made = torch.rand(size, device=device).to(kind)  # between 0 and 1: logarithms and roots have no quarrel with it
    if tensor.dim() > 1 and tensor.stride(-1) != 1 and tensor.stride(-2) == 1:  # a transposed matrix may meet another kernel
        made = made.transpose(-1, -2).contiguous().transpose(-1, -2)
    return made
