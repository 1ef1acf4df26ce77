"""The model types that the installed transformers has configurations for, from the text of its source; nothing of it is imported."""

import os
import re
from collections.abc import Iterator
from difflib import get_close_matches
from importlib.util import find_spec

from ..facts import Model, Native, Version
from ..modelfiles import Unreadable
from ..modelfiles.reading import small
from ..probe import Absent, probe
from ..text import printable, say

MAPPINGS = (os.path.join("models", "auto", "auto_mappings.py"), os.path.join("models", "auto", "configuration_auto.py"))
"""Where the mapping is written: in the second of them up to 5.3, since then in the first, with additions in the second."""

LARGEST = 4 * 2**20
"""Bytes of a source file; the largest of these has 80,000 so far."""

BEGINS = re.compile(r"^CONFIG_MAPPING_NAMES(?:: [^=\n]+)?(?: = |\.update\()", re.MULTILINE)
ENDS = re.compile(r"\n[^\s)\]}]")
"""The next line that begins something else."""

PAIR = re.compile(r"""["']([A-Za-z0-9_.-]{1,96})["']\s*[,:]\s*["']\w+["']""")
"""`("bert", "BertConfig")` of a list, or `"bert": "BertConfig"` of a dictionary."""

COMMENT = re.compile(r"^\s*#.*$", re.MULTILINE)
VERSION = re.compile(r"""^__version__ = ["']([0-9][0-9A-Za-z.+]{0,60})["']""", re.MULTILINE)

FEWEST = 20
"""Types of a mapping that was understood; the first release that had one knew more."""


@probe(wants="model")
def native(model: Model) -> Native:
    """What a package registers with transformers while it is imported is not seen: to know it, that package would have to run."""
    if not model.model_type:
        raise Absent(say("the configuration names no model type"))
    folder = _folder()
    version, known = _version(folder), types(folder)
    if not version or len(known) < FEWEST:
        raise Absent(say("which model types the installed transformers knows could not be read"))
    found = model.model_type in known
    nearest = () if found else tuple(get_close_matches(model.model_type, sorted(known), n=3, cutoff=0.6))
    return Native(version=Version(version), model_type=model.model_type, known=found, nearest=nearest)


def types(folder: str) -> set[str]:
    """The keys of its mapping; none where the text is not understood."""
    return {key for file in MAPPINGS for part in _written(_text(folder, file)) for key in PAIR.findall(COMMENT.sub("", part))}


def _written(text: str) -> Iterator[str]:
    """Where the mapping is made or added to."""
    for begin in BEGINS.finditer(text):
        end = ENDS.search(text, begin.end())
        yield text[begin.end() : end.start() if end else len(text)]


def _folder() -> str:
    """Where Python would import it from: a top-level package is found without running anything of it."""
    try:
        spec = find_spec("transformers")
    except (ImportError, ValueError, AttributeError):  # a finder of somebody's, or a module without a spec
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise Absent(say("transformers is not installed"))
    return spec.submodule_search_locations[0]


def _version(folder: str) -> str:
    found = VERSION.search(_text(folder, "__init__.py"))
    return printable(found[1]) if found else ""


def _text(folder: str, file: str) -> str:
    """Empty where it is not there or cannot be read: an installation without sources is one of which nothing is known."""
    try:
        return small(os.path.join(folder, file), file, LARGEST).decode("utf-8", "replace")
    except Unreadable:
        return ""
