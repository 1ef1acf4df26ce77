"""Installed packages, from their metadata; nothing is imported."""

import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from ..facts import Package, Packages, Version
from ..probe import probe
from ..tables import table
from ..text import printable

VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+!_~-]{0,99}")
"""More than PEP 440 allows, for the sake of what vendors write; never a text that could pass for something else."""

LARGEST_END = 22 + 2**16 - 1
"""Bytes of what stands at the end of a zip, with its comment."""


class _Metadata(Protocol):
    """As importlib.metadata has it."""

    def read_text(self, filename: str, /) -> str | None:
        """Of a file in its folder, or of it itself; None where there is none."""


@dataclass(frozen=True, slots=True)
class _Folder:
    """One metadata folder, or file, on the path."""

    path: str

    def read_text(self, filename: str, /) -> str | None:
        try:
            with open(os.path.join(self.path, filename) if filename else self.path, encoding="utf-8") as file:
                return file.read()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError):
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Copy:
    """One metadata folder of a wanted package."""

    name: str
    version: Version
    folder: str
    source: str
    """Where the code of an editable install is."""


@probe()
def packages() -> Packages:
    """
    Every metadata folder on the path once, in the order Python searches it.

    Only folders named for a wanted package are opened, as `importlib.metadata` itself looks names up: thousands of
    others on a slow disk cost nothing. One whose metadata then names another package, or no version, is broken.
    """
    wanted = {row["name"] for row in table("packages")}
    copies: list[_Copy] = []
    broken: list[str] = []
    seen: set[str] = set()
    for distribution in _distributions():
        path = distribution.path if isinstance(distribution, _Folder) else ""
        folder, named = os.path.realpath(path) if path else "", _named(path)  # by the name on the path, for a link's target may have any
        if folder in seen or (named and named not in wanted):
            continue  # seen: the same path entry twice, or lib64 beside lib
        name, version = _identity(distribution)
        if named and named != name:
            broken.append(printable(os.path.basename(path)))
        elif name in wanted:
            copies.append(_Copy(name=name, version=version, folder=folder, source=_source(distribution)))
        if folder:
            seen.add(folder)
    return Packages(installed=tuple(_first(copies)), shadowed=tuple(_others(copies)), broken=tuple(sorted(broken)))


def _first(copies: list[_Copy]) -> list[Package]:
    """What Python imports: the first copy on the path."""
    found: dict[str, Package] = {}
    for copy in copies:
        found.setdefault(copy.name, Package(name=copy.name, version=copy.version))
    return [found[name] for name in sorted(found)]


def _others(copies: list[_Copy]) -> list[Package]:
    """
    What is hidden behind the first copies.

    An editable install's source folder is often on the path and holds the metadata of its build: that is no second copy.
    """
    sources = {copy.name: copy.source for copy in copies if copy.source}
    seen: set[str] = set()
    found: list[Package] = []
    for copy in copies:
        built = copy.name in sources and copy.folder.endswith(".egg-info") and copy.folder.startswith(sources[copy.name] + os.sep)
        if not built and copy.name in seen:
            found.append(Package(name=copy.name, version=copy.version))
        if not built:
            seen.add(copy.name)
    return sorted(found, key=lambda one: (one.name, one.version))


def _distributions() -> Iterator[_Metadata]:
    """
    As `importlib.metadata.distributions`, in the same order, without its import: that is a tenth of judging a configuration.

    What is no folder on the path, an archive, is left to it.
    """
    path: list[object] = [*sys.path]  # anybody may put anything there
    for given in path:
        if not isinstance(given, (str, os.PathLike)):
            continue
        entry = os.fspath(given)
        if _is_archive(entry):
            from importlib.metadata import MetadataPathFinder

            yield from MetadataPathFinder.find_distributions(MetadataPathFinder.Context(path=[entry]))
            continue
        try:
            names = os.listdir(entry or ".")
        except (OSError, ValueError):
            continue
        egg = entry.lower().endswith(".egg")
        for name in names:
            if name.lower().endswith((".dist-info", ".egg-info")) or (egg and name.lower() == "egg-info"):
                yield _Folder(os.path.join(entry or ".", name))


def _is_archive(entry: str) -> bool:
    """Whether it has the directory of a zip, which stands at its end."""
    try:
        if not os.path.isfile(entry):  # a FIFO would keep its reader waiting
            return False
        with open(entry, "rb") as file:
            file.seek(max(0, os.path.getsize(entry) - LARGEST_END))
            return b"PK\x05\x06" in file.read(LARGEST_END)
    except (OSError, ValueError):
        return False


def _named(path: str) -> str:
    """The package's name by the folder's: `torch-2.1.0.dist-info`, `torch.egg-info`, `torch-2.1.0-py3.11.egg/EGG-INFO`."""
    folder = path.lower()
    name = os.path.basename(os.path.dirname(folder) if os.path.basename(folder) == "egg-info" else folder)
    return _normal(name.removesuffix(".egg-info").partition("-")[0])


def _normal(name: str) -> str:
    """`Flash_Attn`, `flash.attn` and `flash-attn` are one name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _identity(distribution: _Metadata) -> tuple[str, Version]:
    """Normalised name, and version; both empty where the metadata does not tell."""
    try:
        text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or distribution.read_text("") or ""
    except Exception:  # noqa: BLE001  # torn metadata raises anything
        return "", Version("")
    head = re.split(r"\n\s*\n", text, maxsplit=1)[0]
    fields = {key.lower(): value.strip() for key, value in re.findall(r"^(Name|Version):(.*)$", head, re.MULTILINE | re.IGNORECASE)[::-1]}
    name, version = fields.get("name", ""), fields.get("version", "")
    return (_normal(name), Version(version)) if VERSION.fullmatch(version) else ("", Version(""))


def _source(distribution: _Metadata) -> str:
    """The source folder of an editable install, links followed; empty for any other."""
    try:
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
        if not origin["dir_info"]["editable"]:
            return ""
        path = _decoded(origin["url"].removeprefix("file://"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""
    return os.path.realpath(path[1:] if os.name == "nt" else path)  # file:///C:/source


def _decoded(path: str) -> str:
    """`%20` is a blank. The import of urllib.parse, and of what that imports, would cost more than all else here."""
    return re.sub(rb"%([0-9A-Fa-f]{2})", lambda found: bytes.fromhex(found[1].decode()), path.encode()).decode(errors="surrogateescape")
