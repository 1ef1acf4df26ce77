"""The Python packages that matter, from their metadata; nothing is imported."""

from dataclasses import dataclass

from .version import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One installed distribution."""

    name: str
    version: Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Packages:
    """Distributions of `tables/packages.csv` that are installed."""

    installed: tuple[Package, ...]
    """Sorted by name; the one that Python would import where there are two."""
    shadowed: tuple[Package, ...]
    """Further copies of the same distribution, later on the path."""
    broken: tuple[str, ...]
    """Metadata folders without a readable name and version."""

    def version(self, name: str) -> Version | None:
        """The installed version, or None."""
        return next((package.version for package in self.installed if package.name == name), None)
