"""A repository's own code, run only where the user said so in words: loaded, and told of where it does not fit the installed transformers."""

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from ..facts import Asked
from ..modelfiles import folder_of
from ..probe import Absent
from ..text import say
from ..trials.load import told_of
from .where import REMOTE

HEADS = (
    "AutoModelForImageTextToText",
    "AutoModelForVision2Seq",
    "AutoModelForCausalLM",
    "AutoModelForSeq2SeqLM",
    "AutoModelForSpeechSeq2Seq",
    "AutoModelForMaskedLM",
    "AutoModel",
)
"""Entries of `auto_map`, the one a user would load first."""

PARTS = 2
"""Of a reference: a file and a class in it."""


class Misfit(Exception):  # it is an outcome
    """The repository's own code does not run with the installed transformers, in one line; this comes before any word on dtypes."""


@contextlib.contextmanager
def apart() -> Iterator[str]:
    """A folder for the copies transformers makes of such code, in place of the user's own cache; gone afterwards, and the modules with it."""
    from transformers import dynamic_module_utils as dynamic

    module: Any = dynamic
    before = module.HF_MODULES_CACHE
    with tempfile.TemporaryDirectory(prefix="ivdoctor-modules-", ignore_cleanup_errors=True) as folder:
        module.HF_MODULES_CACHE = folder
        try:
            yield folder
        finally:
            module.HF_MODULES_CACHE = before
            sys.path[:] = [one for one in sys.path if one != folder]
            for name in [one for one in sys.modules if one == REMOTE or one.startswith(f"{REMOTE}.")]:
                del sys.modules[name]


def repository(transformers: Any, asked: Asked, raw: dict[str, Any]) -> tuple[Any, list[Any]]:
    """
    Configuration and classes of the repository's own.

    Raises:
        Misfit: it cannot be imported with this transformers, or wants a package that is not here.
        Absent: it lies in another repository, or is none.
    """
    from transformers.dynamic_module_utils import get_class_from_dynamic_module

    names = {key: value for key, value in raw["auto_map"].items() if isinstance(value, str)}
    for value in names.values():
        if "--" in value:
            raise Absent(say("its code lies in another repository: {name}", name=value.partition("--")[0]))
        if len(value.split(".")) != PARTS:
            raise Absent(say("its configuration names no class in {value}", value=value))
    folder = folder_of(asked.model)
    try:
        config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=True, local_files_only=True)
        found = [
            get_class_from_dynamic_module(names[head], folder, local_files_only=True)
            for head in (*HEADS, *sorted(set(names) - set(HEADS)))
            if head in names and head.startswith("AutoModel")
        ]
    except Exception as error:
        raise Misfit(told_of(error, folder)) from error
    if not found:
        raise Absent(say("its configuration names no model"))
    wanted = raw.get("architectures") or ()
    return config, sorted(dict.fromkeys(found), key=lambda cls: cls.__name__ not in wanted)


def is_remote(cls: type) -> bool:
    """Whether it is of a repository."""
    return cls.__module__.startswith(f"{REMOTE}.")
