"""Installed packages, from their metadata; nothing is imported."""

import re
from importlib.metadata import distributions
from pathlib import Path

from ..facts import Package, Packages, Version
from ..probe import probe
from ..tables import table


@probe()
def packages() -> Packages:
    """Every metadata folder on the path once, in the order Python searches it."""
    wanted = {row["name"] for row in table("packages")}
    seen: dict[str, Version] = {}
    shadowed: list[Package] = []
    broken: list[str] = []
    paths: set[Path] = set()
    for found in distributions():
        folder = Path(str(getattr(found, "_path", "")))
        if folder in paths:
            continue  # the same path entry twice
        paths.add(folder)
        name, version = _identity(found)
        if not name or not version:
            if re.split(r"[-_]\d", folder.name)[0].replace("_", "-").lower() in wanted or not folder.name:
                broken.append(folder.name or "?")
            continue
        if name not in wanted:
            continue
        if name in seen:
            shadowed.append(Package(name=name, version=version))
        else:
            seen[name] = version
    return Packages(
        installed=tuple(Package(name=name, version=seen[name]) for name in sorted(seen)),
        shadowed=tuple(sorted(shadowed, key=lambda one: (one.name, one.version))),
        broken=tuple(sorted(broken)),
    )


def _identity(found: object) -> tuple[str, Version]:
    """Normalised name and version; empty where the metadata cannot be read."""
    try:
        metadata = found.metadata  # type: ignore[attr-defined]  # a Distribution
        name, version = metadata["Name"] or "", metadata["Version"] or ""
    except Exception:  # noqa: BLE001  # torn metadata raises anything
        return "", Version("")
    return re.sub(r"[-_.]+", "-", name).lower(), Version(version)
