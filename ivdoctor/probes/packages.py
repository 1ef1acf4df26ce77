"""Installed packages, from their metadata; nothing is imported."""

import json
import os
import re
from importlib.metadata import Distribution, distributions
from urllib.parse import unquote, urlparse

from ..facts import Package, Packages, Version
from ..probe import probe
from ..tables import table

VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+!_~-]{0,99}")
"""More than PEP 440 allows, for the sake of what vendors write; never a text that could be taken for something else."""


@probe()
def packages() -> Packages:
    """
    Every metadata folder on the path once, in the order Python searches it.

    Only folders named for a wanted package are opened, as `importlib.metadata` itself looks names up: thousands of
    others on a slow disk cost nothing. One whose metadata then names another package, or no version, is broken.
    """
    wanted = {row["name"] for row in table("packages")}
    found: list[tuple[str, Version, str]] = []
    broken: list[str] = []
    folders: set[str] = set()
    editable: list[str] = []
    for distribution in distributions():
        folder = _folder(distribution)
        if folder in folders:
            continue  # the same path entry twice, or lib64 beside lib
        folders.update(filter(None, [folder]))
        guess = _normal(os.path.basename(folder).removesuffix(".dist-info").removesuffix(".egg-info").partition("-")[0])
        if folder and guess not in wanted:
            continue
        name, version = _identity(distribution)
        if folder and name != guess:
            broken.append(os.path.basename(folder))
        elif name in wanted:
            found.append((name, version, folder))
            editable += _source(distribution)
    installed: dict[str, Version] = {}
    shadowed: list[Package] = []
    for name, version, folder in found:
        if name not in installed:
            installed[name] = version
        elif not _is_build_leftover(folder, editable):
            shadowed.append(Package(name=name, version=version))
    return Packages(
        installed=tuple(Package(name=name, version=installed[name]) for name in sorted(installed)),
        shadowed=tuple(sorted(shadowed, key=lambda one: (one.name, one.version))),
        broken=tuple(sorted(broken)),
    )


def _folder(distribution: Distribution) -> str:
    """Where its metadata is, links followed; empty for one that a finder of its own made."""
    path = getattr(distribution, "_path", None)
    return os.path.realpath(path) if isinstance(path, os.PathLike) else ""


def _normal(name: str) -> str:
    """`Flash_Attn`, `flash.attn` and `flash-attn` are one name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _identity(distribution: Distribution) -> tuple[str, Version]:
    """Normalised name, and version; both empty where the metadata does not tell."""
    try:
        name, version = str(distribution.metadata["Name"] or ""), str(distribution.metadata["Version"] or "").strip()
    except Exception:  # noqa: BLE001  # torn metadata raises anything
        return "", Version("")
    return (_normal(name.strip()), Version(version)) if VERSION.fullmatch(version) else ("", Version(""))


def _source(distribution: Distribution) -> list[str]:
    """The source folder of an editable install."""
    try:
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
        if not origin["dir_info"]["editable"]:
            return []
        return [os.path.realpath(unquote(urlparse(origin["url"]).path))]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _is_build_leftover(folder: str, sources: list[str]) -> bool:
    """An editable install's source folder is on the path and often holds the metadata of its build: no second copy."""
    return any(folder.startswith(source + os.sep) for source in sources)
