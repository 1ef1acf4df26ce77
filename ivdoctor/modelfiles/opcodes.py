"""What a pickle of torch's would build, told from its opcodes: nothing is imported, called or built."""

import pickletools
import re
import warnings
from collections.abc import Iterable
from typing import Any, NamedTuple

from ..text import say
from .header import MOST
from .reading import LONGEST, MOST_DIGITS, Refused, Unreadable, shown

MOST_OPCODES = 3_000_000
"""Some fifty for each tensor; a few seconds."""

MOST_GLOBALS = 100_000
"""Times that one is named: a pickler writes each once, and refers to it."""

MOST_DIMENSIONS = 64
"""Of a tensor, by torch."""

ARRAYS = re.compile(r"numpy\.(?:_?core\.multiarray\._reconstruct|_?core\.numeric\._frombuffer)")
"""What makes an array of numpy's, whose numbers lie in the pickle itself."""

BESIDE = frozenset(
    [
        *("exp_avg", "exp_avg_sq", "momentum_buffer", "optimizer", "optimizer_state_dict", "optimizer_states"),
        *("ema", "ema_model", "ema_state_dict", "model_ema", "state_dict_ema"),
    ]
)
"""Texts of checkpoints that hold more than a model: an optimizer's numbers, or all weights a second time, averaged."""

REBUILT = {
    "torch._utils._rebuild_tensor": -1,
    "torch._utils._rebuild_tensor_v2": -1,
    "torch._utils._rebuild_tensor_v3": 6,
    "torch._utils._rebuild_qtensor": -1,
}
"""What makes a tensor of a storage, its offset and its sizes, and which argument names the dtype, where not the storage does."""

USUAL = re.compile(
    r"torch\._utils\._rebuild_\w+"
    r"|torch\._tensor\._rebuild_from_type_v2"
    r"|torch\.(?:storage\.)?(?:\w+Storage)"
    r"|torch\.(?:b?float\d\w*|complex\d+|q?u?int\d\w*|bool|bits\d\w*|per_(?:tensor|channel)_affine\w*|strided|sparse_\w+)"
    r"|torch\.(?:Size|Tensor|device|_C\._?TensorBase|serialization\._get_layout|nn\.parameter\.(?:Parameter|Buffer))"
    r"|collections\.(?:OrderedDict|Counter|defaultdict)"
    r"|(?:builtins|__builtin__)\.(?:set|frozenset|list|dict|tuple|int|float|bool|complex|bytes|bytearray|slice)"
    r"|numpy\.(?:_?core\.multiarray\.(?:_reconstruct|scalar)|_?core\.numeric\._frombuffer|ndarray|dtype|dtypes\.\w+|(?:u?int|float)\d+)"
    r"|_codecs\.encode"
)
"""
Globals that torch.save writes for tensors, numbers and arrays in lists and dictionaries.

Source: torch/_weights_only_unpickler.py of torch 2.13, _get_allowed_globals, and what numpy 1 and 2 write (2026-11-23).
"""


class Storage(NamedTuple):
    """What a persistent id names."""

    kind: str
    """The class: `torch.HalfStorage`."""
    key: str
    """Of its member in the archive."""
    elements: int


class Built(NamedTuple):
    """A tensor that the pickle would make."""

    storage: Storage
    dtype: str
    """torch's, where the call names it: `float8_e4m3fn`; else empty, and the storage tells."""
    offset: int
    shape: tuple[int, ...]


class Scan(NamedTuple):
    """What was found on the way."""

    built: tuple[Built, ...]
    storages: tuple[Storage, ...]
    """Each once."""
    foreign: tuple[str, ...]
    """Globals that torch.save does not write for tensors: whoever unpickles it imports or calls them."""
    beside: str
    """What it holds besides a model's tensors, by its own word; empty where nothing is known of it."""


class _Global(str):
    """`module.name`, not a text of the pickle's."""

    __slots__ = ()


class _Mark:
    __slots__ = ()


MARK = _Mark()


def scan(data: bytes, file: str) -> Scan:
    """
    Follow one pickle to its end.

    Raises:
        Unreadable: it is no sound pickle, or longer than anything real.
    """
    if re.search(rb"[0-9_]{%d}" % MOST_DIGITS, data):
        raise Unreadable(say("{file}: a pickle with an integer of {count} digits, which is not read", file=shown(file), count=MOST_DIGITS))
    machine = _Machine()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes in texts of the oldest protocol, which say nothing of the file
            for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
                if count == MOST_OPCODES:
                    raise Unreadable(say("{file}: a pickle of more than {count} opcodes", file=shown(file), count=MOST_OPCODES))
                machine.step(opcode, argument)
    except (ValueError, IndexError, KeyError, OverflowError, UnicodeError) as error:
        why = str(error) if isinstance(error, Refused) else say("no sound pickle")
        raise Unreadable(say("{file}: {reason}; unknown: convert it to safetensors", file=shown(file), reason=why)) from error
    return Scan(tuple(machine.built), tuple(machine.storages), tuple(sorted(machine.foreign)), machine.beside)


class _Machine:
    """A stack as the unpickler's, of texts, integers, tuples and tensors; everything else is None."""

    def __init__(self) -> None:
        self.built: list[Built] = []
        self.storages: dict[Storage, None] = {}
        self.foreign: set[str] = set()
        self.beside = ""
        self._globals = 0
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def step(self, opcode: pickletools.OpcodeInfo, argument: Any) -> None:
        name, stack = opcode.name, self._stack
        if name in ("BINPUT", "LONG_BINPUT", "PUT"):
            self._memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            stack.append(self._memo[argument])
        elif name == "MARK":
            stack.append(MARK)
        elif name == "GLOBAL":
            stack.append(self._named(argument.replace(" ", ".", 1)))
        else:
            self._other(opcode, argument)

    def _other(self, opcode: pickletools.OpcodeInfo, argument: Any) -> None:
        name = opcode.name
        taken = self._taken(opcode.stack_before)
        if name == "INST":
            self._named(argument.replace(" ", ".", 1))
        elif name.startswith("EXT"):
            self._named(f"copyreg.extension.{argument}")
        for _ in opcode.stack_after:
            self._stack.append(self._result(name, taken, argument))

    def _taken(self, before: Iterable[pickletools.StackObject]) -> list[Any]:
        """What the opcode takes from the stack; of one that fills what lies below the mark, that alone."""
        kinds = list(before)
        if pickletools.markobject not in kinds:
            return [self._stack.pop() for _ in kinds][::-1]
        items = []
        while (one := self._stack.pop()) is not MARK:
            items.append(one)
        below = [self._stack.pop() for _ in range(kinds.index(pickletools.markobject))][::-1]
        return below or items[::-1]

    def _result(self, name: str, taken: list[Any], argument: Any) -> Any:
        if name.startswith("TUPLE") or name == "EMPTY_TUPLE":
            return tuple(taken)
        if name == "STACK_GLOBAL":
            return self._named(".".join(one[: LONGEST + 1] if type(one) is str else "?" for one in taken))
        if name == "REDUCE":
            return self._called(*taken)
        if name == "BINPERSID":
            return self._persistent(taken[0])
        if name in ("SETITEM", "SETITEMS", "APPEND", "APPENDS", "ADDITEMS", "BUILD", "DUP"):
            return taken[0]
        if isinstance(argument, str) and argument in BESIDE:
            self.beside = argument
        return argument if isinstance(argument, (str, int)) and not taken else None

    def _named(self, name: str) -> _Global:
        self._globals += 1
        if self._globals > MOST_GLOBALS:
            raise Refused(say("more than {count} names of globals", count=MOST_GLOBALS))
        if not USUAL.fullmatch(name):
            self.foreign.add(shown(name))
        elif ARRAYS.fullmatch(name):
            self.beside = name
        return _Global(name)

    def _persistent(self, identity: Any) -> Storage | None:
        if not isinstance(identity, tuple) or len(identity) < 5 or identity[0] != "storage":  # noqa: PLR2004  # torch's own
            return None
        _, kind, key, _, elements = identity[:5]
        if not (isinstance(kind, _Global) and isinstance(key, str) and type(elements) is int and 0 <= elements < MOST):
            raise Refused(say("a storage without a type, a name or a size"))
        storage = Storage(str(kind), key, elements)
        self.storages[storage] = None
        return storage

    def _called(self, called: Any, arguments: Any) -> Any:
        """A tensor, or what holds one and stands for it; None for any other call."""
        if not isinstance(called, _Global) or not isinstance(arguments, tuple):
            return None
        if called == "torch._tensor._rebuild_from_type_v2" and len(arguments) > 2 and isinstance(arguments[2], tuple):  # noqa: PLR2004  # function, class, arguments
            called, arguments = arguments[0], arguments[2]  # once: nobody nests them, and a million levels would take hours
            if not isinstance(called, _Global):
                return None
        if called in REBUILT and len(arguments) > 2 and isinstance(arguments[0], Storage):  # noqa: PLR2004  # storage, offset, sizes
            return self._tensor(arguments, REBUILT[called])
        return arguments[0] if arguments and isinstance(arguments[0], Built) else None

    def _tensor(self, arguments: tuple[Any, ...], where: int) -> Built:
        storage, offset, shape = arguments[:3]
        numbers = (offset, *shape) if isinstance(shape, tuple) and len(shape) <= MOST_DIMENSIONS else (None,)
        if not all(type(one) is int and 0 <= one < MOST for one in numbers):
            raise Refused(say("a tensor without an offset or sizes"))
        named = arguments[where] if 0 <= where < len(arguments) else ""
        dtype = str(named).removeprefix("torch.") if isinstance(named, _Global) else ""
        self.built.append(Built(storage, dtype, offset, shape))
        return self.built[-1]
