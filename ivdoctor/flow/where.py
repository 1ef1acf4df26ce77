"""Which line of the modelling code this is: of an exception, or of what runs right now."""

import functools
import importlib.util
import linecache
import os
import sys
from collections.abc import Callable, Mapping
from types import FrameType

from torch import nn

from ..facts import Site
from ..trials.failure import innermost

REMOTE = "transformers_modules"
"""The folder into which transformers copies the code of repositories, and the package as which it imports it."""

LIBRARIES = ("transformers",)
"""Packages whose lines are modelling code: masks, rotations and attention functions lie beside the models and are named where they raise."""


def located(error: BaseException, model: nn.Module, own: Callable[[str], bool] | None = None) -> Site:
    """
    Where it was raised: the innermost line of modelling code, and the innermost module of `model` on the way there.

    Args:
        own: says of a file whether it is modelling code; None for that of transformers and of repositories.
    """
    file, line, module = innermost(error, model, own or modelling)
    return _site(module, file, line)


def here(names: Mapping[int, str], depth: int = 1) -> Site:
    """
    The same of the stack as it is now; a microsecond or two.

    Args:
        names: a module's dotted name by its `id`, as `names_of` gives it.
        depth: frames to leave out, from this function's caller.
    """
    frame: FrameType | None = sys._getframe(depth)  # noqa: SLF001  # inspect.stack takes milliseconds
    file, line, module = "", 0, None
    while frame is not None and (module is None or not file):
        code = frame.f_code
        if not file and modelling(code.co_filename):
            file, line = code.co_filename, frame.f_lineno
        if module is None and "self" in code.co_varnames[: code.co_argcount]:  # f_locals copies them all
            module = names.get(id(frame.f_locals.get("self")))
        frame = frame.f_back
    return _site(module or "", file, line)


def names_of(model: nn.Module) -> dict[int, str]:
    """Dotted names of its modules, by their `id`: good while the model lives."""
    return {id(module): name for name, module in model.named_modules()}


@functools.cache
def modelling(file: str) -> bool:
    """Whether this file is modelling code: of transformers, or of a repository it was copied from."""
    return bool(_relative(file))


@functools.cache
def relative(file: str) -> str:
    """`transformers/models/bert/modeling_bert.py`: from the package on, and never the way there; its own name where it is in none."""
    return _relative(file) or os.path.basename(file)


def _relative(file: str) -> str:
    folder = os.sep + REMOTE + os.sep
    if folder in file:
        parts = file.rpartition(folder)[2].split(os.sep)
        return f"{parts[0]}/{parts[-1]}"  # between them lies a digest of the code
    for home in map(_home, LIBRARIES):
        if home and file.startswith(home):
            return os.path.relpath(file, os.path.dirname(home.rstrip(os.sep))).replace(os.sep, "/")
    return ""


@functools.cache
def _home(library: str) -> str:
    found = importlib.util.find_spec(library)
    return os.path.dirname(found.origin) + os.sep if found and found.origin else ""


def _site(module: str, file: str, line: int) -> Site:
    return Site(module=module, file=relative(file) if file else "", line=line, code=linecache.getline(file, line).strip() if file else "")
