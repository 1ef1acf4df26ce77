"""The models of one folder, by the names of its files."""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from ..text import say
from .config import CONFIG, read_config
from .layout import GGUF, IMATRIX, PICKLE, SHARD, SINGLE, TRAINING
from .layout import MOST_ENTRIES as MOST_NAMES
from .reading import Unreadable, reason, shown

MOST_ENTRIES = 1_000_000
"""Names that are looked at in one search: about two seconds."""

MOST_FOLDERS = 50_000
MOST_MODELS = 10_000

ADAPTER = "adapter_config.json"
UNFINISHED = (".incomplete", ".aria2", ".crdownload", ".part")
"""How downloads are called before they are whole: by huggingface_hub, aria2, and browsers."""

KEPT = re.compile(
    r"(?:adapter_)?config\.json|.*\.(?:safetensors|safetensors\.index\.json|bin|pt|pth|ckpt|gguf|incomplete|aria2|crdownload|part)",
    re.IGNORECASE | re.DOTALL,
)
"""Names that matter; of a million others none is kept."""

SAYS = ("model_type", "architectures", "_class_name", "quantization_config")
"""A config.json without any of these, and without weights beside it, is another program's."""

LOCAL_DOWNLOADS = os.path.join(".cache", "huggingface", "download")
"""Where huggingface_hub keeps what it has not finished in a folder of the user's (`local_dir`)."""


@dataclass(slots=True, kw_only=True)
class Found:
    """A model, by the names of its files; nothing of it has been read."""

    path: str
    """Its folder, or the file that is all of it. Never shown."""
    name: str
    """Of the repository, or relative to the folder that was named; without any path before it."""
    kind: str = "model"
    """`model`; `adapter`; `gguf`; `weights` without a configuration."""
    revision: str = ""
    """In the cache of huggingface_hub: its branches and tags, or the beginning of its commit."""
    changed: float = 0.0
    """When its folder in the cache was last changed, in seconds since 1970."""
    unfinished: int = 0
    """Downloads beside it that were not finished."""
    problem: str = ""
    """Why there is nothing to read, or none may."""
    unread: bool = False
    """Whether it is there, and cannot be read."""


@dataclass(slots=True, kw_only=True)
class Search:
    """What was found, and what was passed by."""

    found: list[Found] = field(default_factory=list)
    linked: int = 0
    """Links to folders, which are not entered."""
    bare: int = 0
    """Snapshots in a cache that hold no model: a tokenizer, or data."""
    cut: str = ""
    """Why the search ended before its end."""
    entries: int = 0
    folders: int = 0

    def add(self, models: Iterable[Found]) -> None:
        """Raises Full at the limit."""
        for one in models:
            if len(self.found) >= MOST_MODELS:
                raise Full(say("a search of more than {count} models", count=MOST_MODELS))
            self.found.append(one)


class Full(Exception):
    """A limit is reached; the text says which."""


@dataclass(slots=True, kw_only=True)
class Folder:
    """What a folder holds: the files that matter, its own folders, and the links to folders."""

    files: frozenset[str]
    folders: tuple[str, ...]
    links: tuple[str, ...]

    @property
    def weights(self) -> list[str]:
        """Files of weights but GGUF."""
        return sorted(name for name in self.files if name.endswith(".safetensors") or (PICKLE.fullmatch(name) and not TRAINING.fullmatch(name)))

    @property
    def unfinished(self) -> int:
        """Downloads that lie here and were not finished."""
        return sum(name.endswith(UNFINISHED) for name in self.files)


def listed(folder: str, name: str, result: Search) -> Folder | None:
    """
    None for a folder that cannot be listed, which is a row by itself.

    Raises:
        Full: a limit of the whole search is reached.
    """
    result.folders += 1
    if result.folders > MOST_FOLDERS:
        raise Full(say("a search of more than {count} folders", count=MOST_FOLDERS))
    try:
        return _listed(folder, result)
    except OSError as error:
        result.add([Found(path=folder, name=name, problem=say("the folder cannot be listed: {reason}", reason=reason(error)), unread=True)])
        return None


def _listed(folder: str, result: Search) -> Folder:
    files, folders, links = set(), [], []
    with os.scandir(folder) as entries:
        for number, entry in enumerate(entries):
            if number >= MOST_NAMES:  # the folders beside it may hold models
                result.cut = say("a folder of more than {count} files", count=MOST_NAMES)
                break
            result.entries += 1
            if result.entries > MOST_ENTRIES:
                raise Full(say("a search of more than {count} files", count=MOST_ENTRIES))
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            elif KEPT.fullmatch(entry.name) and not entry.name.startswith("."):
                files.add(entry.name)
            elif entry.is_symlink() and _leads_to_folder(entry):
                links.append(entry.name)
    return Folder(files=frozenset(files), folders=tuple(sorted(folders)), links=tuple(sorted(links)))


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a circle of links
        return False


INDEXED = ".safetensors.index.json"
"""What names the files of a checkpoint, be they there or not."""


def models_of(folder: str, name: str, holds: Folder, *, part: bool = False) -> list[Found]:
    """
    The models that lie in one folder.

    Args:
        part: it is a part of another model's folder, where a configuration without weights is no model.
    """
    unfinished = holds.unfinished + _downloads(folder, holds)
    weights = [one for one in holds.weights if not (ADAPTER in holds.files and one.startswith("adapter_"))]
    packed = _gguf(folder, name, holds)
    found: list[Found] = []
    if CONFIG not in holds.files:
        found += _without_configuration(folder, name, weights, unfinished)
    elif weights or unfinished or not (part or packed) or any(one.endswith(INDEXED) for one in holds.files):
        found += [Found(path=folder, name=name, unfinished=unfinished)] if weights or unfinished or _says(folder) else []
    if ADAPTER in holds.files:
        found.append(Found(path=folder, name=name, kind="adapter", unfinished=unfinished))
    return [*found, *packed]


def _gguf(folder: str, name: str, holds: Folder) -> list[Found]:
    """Each by itself: a repository has the same model in a dozen formats. Of a split one the first part stands for all."""
    parts = [match for match in map(GGUF.fullmatch, sorted(holds.files)) if match and match[2] in (None, "00001") and not IMATRIX.search(match[1])]
    return [Found(path=os.path.join(folder, match[0]), name=f"{name}/{shown(match[1])}.gguf", kind="gguf") for match in parts]


def _without_configuration(folder: str, name: str, weights: list[str], unfinished: int) -> Iterator[Found]:
    """One model where the files are one set; else each safetensors file is one of its own, as image programs keep them."""
    if not weights:
        return
    safe = [one for one in weights if one.endswith(".safetensors")]
    sets = {match[1] if (match := SHARD.fullmatch(one)) else one for one in safe}
    if len(sets) <= 1 or SINGLE in safe:
        yield Found(path=folder, name=name, kind="weights", unfinished=unfinished)
        return
    for one in safe:
        yield Found(path=os.path.join(folder, one), name=f"{name}/{shown(one)}", kind="weights")


def _says(folder: str) -> bool:
    """Whether a configuration is a model's; one that cannot be read is, so that its row says why."""
    with suppress(Unreadable):
        config = read_config(folder)
        return any(config.get(key) for key in SAYS)
    return True


def _downloads(folder: str, holds: Folder) -> int:
    if ".cache" not in holds.folders:
        return 0
    with suppress(OSError), os.scandir(os.path.join(folder, LOCAL_DOWNLOADS)) as entries:
        return sum(entry.name.endswith(".incomplete") for entry, _ in zip(entries, range(MOST_FOLDERS), strict=False))
    return 0
