"""
The world in which a model's real code meets shadows.

What floats and is not small is a shadow; integers, masks and small tables are real, so that control flow follows the user's inputs.
Every distinct call is worked out once: its dtypes by the operator itself (`contract`), its shapes by torch's meta kernels.
"""

import math
import time
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.utils._python_dispatch import TorchDispatchMode

from . import plausible
from .contract import Answer, Contracts, tensors
from .operators import SILENT, Kind, Operator, operator
from .shadow import Shadow

SMALL = 4096
"""Elements up to which a floating tensor that comes of no weight is real: drop rates, frequencies, masks."""

LARGE = 1 << 24
"""Elements from which even an integer is a shadow."""

EVERY = 256
"""Operators between two looks at the clock."""


class Stopped(BaseException):
    """The flow was given up; no `except Exception` of a model swallows it. The text is the reason."""


class World(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own has no types
    """Enter it, then build and run models; shadows outlive it but answer only inside one."""

    def __init__(self, contracts: Contracts | None = None, *, operators: int = 5_000_000, seconds: float = math.inf) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.contracts = contracts or Contracts()
        self.shapes: dict[Any, Any] = {}
        self.unproven: dict[str, None] = {}
        self.left = operators
        self.until = time.monotonic() + seconds
        self.answers: dict[Kind, Any] = {
            "view": self._shadowed,
            "compute": self._shadowed,
            "copy": self._copied,
            "write": self._written,
            "data": self._number,
            "like": self._like,
            "gather": self._indexed,
            "put": self._indexed,
        }
        self.watch: Any = None
        """Called as watch(func, args, kwargs, result) after every operator, and with the exception as result where it raised."""
        self.casts: Any = None
        """Called with an input's name and the dtypes it has been through, whenever it is cast."""

    def __enter__(self) -> Any:
        """Distributions would look into their numbers."""
        self.validated = Distribution._validate_args  # noqa: SLF001  # there is no way to ask
        Distribution.set_default_validate_args(False)
        return super().__enter__()  # type: ignore[no-untyped-call]

    def __exit__(self, *raised: object) -> None:
        """As it was."""
        Distribution.set_default_validate_args(self.validated)
        super().__exit__(*raised)  # type: ignore[no-untyped-call]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """One operator."""
        self.left -= 1
        if self.left % EVERY == 0:
            self._spend()
        kwargs = kwargs or {}
        if self.watch is None:
            return self._run(func, types, args, kwargs)
        try:
            result = self._run(func, types, args, kwargs)
        except Exception as error:
            self.watch(func, args, kwargs, error)
            raise
        self.watch(func, args, kwargs, result)
        return result

    def _spend(self) -> None:
        if self.left <= 0:
            raise Stopped("it called more operators than a model of its size does")
        if time.monotonic() > self.until:
            raise Stopped("it took longer than it was given")

    def _run(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        op = operator(func)
        if Shadow not in types:
            return self._real(func, op, args, kwargs)
        return self.answers[op.kind](func, op, args, kwargs)

    def _number(self, _func: Any, op: Operator, args: Any, _kwargs: Any) -> Any:
        return plausible.number(op.base, args)

    def _indexed(self, func: Any, op: Operator, args: Any, kwargs: Any) -> Any:
        """Masks choose as many as they hold, so they become positions first."""
        result = self._shadowed(func, op, (args[0], plausible.positions(args[1]), *args[2:]), kwargs)
        return args[0] if op.writes else result

    def _real(self, func: Any, op: Operator, args: Any, kwargs: Any) -> Any:
        """No shadow is in it: it runs, unless what it makes is large."""
        if op.kind == "factory":
            return self._factory(func, op, args, kwargs)
        if op.kind in {"view", "write", "data", "put"}:
            return func(*args, **kwargs)
        whole = sum(one.numel() for one in tensors(args))
        if whole * whole <= SMALL * LARGE:  # nothing but an outer product is larger than what goes in, and that is bounded
            return func(*args, **kwargs)
        made = self._spec(func, op, args, kwargs)
        return func(*args, **kwargs) if _elements(made) <= LARGE else self._made(made, op, args)

    def _factory(self, func: Any, op: Operator, args: Any, kwargs: Any) -> Any:
        device = kwargs.get("device")
        if device is not None and torch.device(device).type not in {"cpu", "meta"}:
            return func(*args, **kwargs)  # it is not there, and torch says so
        if device is not None:
            kwargs = kwargs | {"device": None}
        size = args[0] if args else kwargs.get("size")
        if not isinstance(size, (list, tuple)):
            made = self._spec(func, op, args, kwargs)
            if _elements(made) <= LARGE:
                return func(*args, **kwargs)
            return self._made(made, op)
        dtype = kwargs.get("dtype") or torch.get_default_dtype()
        whole = math.prod(size)
        if whole > (SMALL if dtype.is_floating_point else LARGE):
            return self._made(self._spec(func, op, args, kwargs), op)
        if op.base in SILENT and not dtype.is_floating_point:
            return torch.zeros(size, dtype=dtype)
        return func(*args, **kwargs)

    def _like(self, func: Any, op: Operator, args: Any, kwargs: Any) -> Any:
        """Of a shape alone: whole numbers are real, and a few new ones that float."""
        made: _Spec = self._spec(func, op, args, kwargs)
        if made.elements > (LARGE if not made.dtype.is_floating_point else SMALL if op.base.startswith("new_") else 0):
            return self._made(made, op)
        if op.base in SILENT and not made.dtype.is_floating_point:
            return torch.zeros(made.size, dtype=made.dtype)
        return func(plausible.hollow(args[0]), *args[1:], **(kwargs | {"device": None} if kwargs.get("device") is not None else kwargs))

    def _copied(self, func: Any, op: Operator, args: Any, kwargs: Any) -> Any:
        dtype = kwargs.get("dtype") or args[0].dtype
        if kwargs.get("device") is not None and torch.device(kwargs["device"]).type not in {"cpu", "meta"}:
            return func(plausible.hollow(args[0]), **kwargs)
        made = self._shadowed(func, op, args, kwargs if kwargs.get("device") is None else kwargs | {"device": None})
        fed = args[0].fed if isinstance(args[0], Shadow) else None
        if fed is not None and isinstance(made, Shadow):
            name = str(dtype).removeprefix("torch.")
            if fed[1][-1] != name:
                fed = (fed[0], (*fed[1], name))
                if self.casts is not None:
                    self.casts(fed)
            made.fed = fed
        return made

    def _written(self, func: Any, op: Operator, args: Any, kwargs: Any) -> Any:
        """Into an argument, which may take another shape by it."""
        made = self._spec(func, op, args, kwargs)
        if isinstance(made, _Spec) and args and isinstance(args[0], Shadow) and op.writes[0] == 0 and made.size != args[0].shape:
            args[0].data = Shadow(made.size, made.stride, args[0].dtype)
        return _given_back(op, args, kwargs)

    def _shadowed(self, func: Any, op: Operator, args: Any, kwargs: Any) -> Any:
        made = self._spec(func, op, args, kwargs)
        if op.kind == "view":
            result = self._made(made, op)
            fed = getattr(args[0], "fed", None)
            if fed is not None and isinstance(result, Shadow):
                result.fed = fed
            return result
        return self._made(made, op, args)

    def _spec(self, func: Any, op: Operator, args: Any, kwargs: Any) -> Any:
        """What it gives, or the exception it raises; worked out once for arguments that are alike."""
        try:
            key: Any = (func, _key(args), _key(tuple(kwargs.items())) if kwargs else None, torch.get_default_dtype())
            found = self.shapes.get(key)
        except TypeError:  # an argument that cannot be hashed
            key, found = None, None
        if found is None:
            found = self._work_out(func, op, args, kwargs)
            if key is not None:
                self.shapes[key] = found
        if isinstance(found, _Raise):
            raise type(found.error)(*found.error.args)
        return found

    def _work_out(self, func: Any, op: Operator, args: Any, kwargs: Any) -> Any:
        with _Plain():
            if any(one.layout != torch.strided for one in tensors((args, kwargs))):
                return _specs(plausible.really(func, args, kwargs), Answer())
            answer = Answer(proven=False)
            if op.kind in {"compute", "write", "gather", "put"}:
                answer = self.contracts.answer(func, args, kwargs)
                if answer.error is not None:
                    return _Raise(answer.error)
                if not answer.proven:
                    self.unproven[op.name] = None
            return _shaped(func, op, args, kwargs, answer=answer, contracts=self.contracts)

    def _made(self, made: Any, op: Operator, args: Any = ()) -> Any:
        if isinstance(made, _Spec):
            if made.dtype.is_floating_point or made.dtype.is_complex or made.elements > LARGE:
                return Shadow(made.size, made.stride, made.dtype)
            return plausible.integers(op.base, made.size, made.dtype, made.position, args)
        if isinstance(made, (list, tuple)):
            return type(made)(self._made(one, op, args) for one in made)
        return made


class _Spec:
    """Of a tensor that an operator gives."""

    __slots__ = ("dtype", "elements", "position", "size", "stride")

    def __init__(self, tensor: Tensor, dtype: torch.dtype | None, position: int) -> None:
        self.size, self.stride, self.dtype = tuple(tensor.shape), tensor.stride(), dtype or tensor.dtype
        self.elements, self.position = tensor.numel(), position


class _Raise:
    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error


class _Plain:
    """Autocast has had its say before an operator gets here, and would have it again."""

    def __enter__(self) -> None:
        self.was = torch.is_autocast_enabled("cpu")
        torch.set_autocast_enabled("cpu", False)

    def __exit__(self, *_: object) -> None:
        torch.set_autocast_enabled("cpu", self.was)


def _shaped(func: Any, op: Operator, args: Any, kwargs: Any, *, answer: Answer, contracts: Contracts) -> Any:
    """
    Sizes by the meta kernel; in another dtype where it refuses what the operator took, as that of _grouped_mm does all but bfloat16.

    Then read off small stand-ins, or by a run of the real size.
    """
    first: Exception | None = None
    for control in (None, torch.float32, torch.bfloat16):
        try:
            result = func(*plausible.on_meta(args, control), **plausible.named_on_meta(kwargs, control))
        except Exception as error:  # noqa: BLE001  # the next way
            first = first or error
            continue
        if any(one.layout != torch.strided for one in tensors(result)):
            break
        return _specs(result, answer)
    if op.kind in {"view", "factory", "copy", "like"} and first is not None:
        return _Raise(first)
    sizes = contracts.sizes(func, args, kwargs) if answer.proven and len(answer.dtypes) == 1 else None
    if sizes is not None:
        return _Spec(torch.empty(sizes[0], dtype=answer.dtypes[0], device="meta"), None, 0)
    try:
        result = plausible.really(func, args, kwargs)
    except MemoryError as error:
        if first is None or isinstance(first, NotImplementedError):
            raise Stopped(f"{op.name} has no kernel for tensors without data, and these are too large to be made") from error
        return _Raise(first)
    except Exception as error:  # noqa: BLE001  # then the meta kernel was right to refuse
        return _Raise(error)
    return _specs(result, answer)


def _specs(result: Any, answer: Answer) -> Any:
    count = 0

    def spec(tree: Any) -> Any:
        nonlocal count
        if isinstance(tree, Tensor):
            if tree.layout != torch.strided:
                return tree
            dtype = answer.dtypes[count] if count < len(answer.dtypes) else None
            count += 1
            return _Spec(tree, dtype, count - 1)
        if isinstance(tree, (list, tuple)):
            return (list if isinstance(tree, list) else tuple)(spec(one) for one in tree)
        return tree

    return spec(result)


def _elements(made: Any) -> int:
    if isinstance(made, _Spec):
        return made.elements
    return sum(map(_elements, made)) if isinstance(made, (list, tuple)) else 0


def _given_back(op: Operator, args: Any, kwargs: Any) -> Any:
    found = [args[one] if isinstance(one, int) else kwargs[one] for one in op.writes if (one in kwargs if isinstance(one, str) else one < len(args))]
    return found[0] if len(found) == 1 else tuple(found)


def _key(tree: Any) -> Any:
    """Everything that decides what comes out, but for the numbers in tensors."""
    if isinstance(tree, Tensor):
        if tree.layout != torch.strided:
            raise TypeError("sparse tensors are not alike")
        return (tree.shape, tree.stride(), tree.dtype)
    if isinstance(tree, (list, tuple)):
        return tuple([_key(one) for one in tree])
    return (type(tree), tree)
