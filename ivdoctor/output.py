"""Where a report goes, and writing it: whole or not at all."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .gate import Exit
from .plugins import plugins
from .report import Report
from .text import say

if TYPE_CHECKING:
    from pathlib import Path  # slow to import, and not needed for stdout


class CannotWrite(OSError):
    """The path and why, in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlet:
    """The formats asked for and where each goes."""

    names: tuple[str, ...]
    target: Path | None
    """None for stdout."""
    folder: bool
    """Whether the target is a directory that takes one file a format."""
    broken: list[str] = field(default_factory=list)
    """What was said of formats that raised; the others were written."""
    own_broken: list[str] = field(default_factory=list)
    """Those of them that are ivdoctor's."""

    @classmethod
    def of(cls, names: Sequence[str], output: str | None) -> Outlet:
        """
        What `--format` and `-o` mean together.

        Raises:
            CannotWrite: a format that is none, several formats for one file, or a path that cannot be written.
        """
        names = list(dict.fromkeys(names))
        known = plugins().format_names
        unknown = [name for name in names if name not in known]
        if unknown:
            raise CannotWrite(say("there is no format {name!r}; there are {known}", name=unknown[0], known=", ".join(known)))
        if output is None:
            return cls(names=tuple(names) or ("terminal",), target=None, folder=False)
        target = path_of(output)
        folder = output.endswith(("/", os.sep)) or (target.is_dir() and bool(names))
        if not names:
            names = [one.name for one in plugins().formats if one.suffix == target.suffix and not folder][:1]
            if not names:
                raise CannotWrite(say("{path}: name the format with --format", path=output))
        if len(names) > 1 and not folder:
            raise CannotWrite(say("{path}: several formats need a directory, with a slash at its end", path=output))
        outlet = cls(names=tuple(names), target=target, folder=folder)
        if folder:
            _make(target)
        for name in names:
            writable(outlet.path(name))
        return outlet

    def path(self, name: str) -> Path:
        """The file of one format."""
        assert self.target is not None
        return self.target / f"report{plugins().format(name).suffix}" if self.folder else self.target

    def render(self, report: Report) -> str:
        """Write what goes to files; give back what goes to stdout. A format that raises takes none of the others with it."""
        from click import unstyle  # a file has no colours

        texts = {name: text for name in self.names if (text := self._tried(name, report)) is not None}
        if self.target is None:
            return "".join(texts.values())
        for name, text in texts.items():
            write(self.path(name), unstyle(text))
        return ""

    def _tried(self, name: str, report: Report) -> str | None:
        try:
            return self.text(name, report)
        except Exception as error:  # noqa: BLE001  # a format that breaks is told of, and the others are written
            self.broken.append(say("the format {name} broke: {error}", name=name, error=f"{type(error).__name__}: {error}"))
            if plugins().is_own_format(name):
                self.own_broken.append(name)
            return None

    def exit_code(self, report: Report) -> int:
        """The report's own, unless a format broke: 4 for one of ivdoctor's, else 3 where the report says ready."""
        if self.own_broken:
            return Exit.BROKEN
        return Exit.UNDETERMINED if self.broken and report.exit_code == Exit.READY else report.exit_code

    @staticmethod
    def text(name: str, report: Report) -> str:
        """The report in one format."""
        return plugins().format(name).render(report)

    def apart(self, snapshot: str | None, repro: str | None) -> None:
        """
        Refuse early what would overwrite an input or another output.

        Raises:
            CannotWrite: two of the paths are the same, or the script's cannot be written.
        """
        paths = [os.path.expanduser(one) for one in (snapshot, repro) if one]
        paths += [str(self.path(name)) for name in self.names if self.target is not None]
        files = [os.path.realpath(path) for path in paths if not os.path.exists(path) or os.path.isfile(path)]
        if len(set(files)) < len(files):
            raise CannotWrite(say("two of the files named are the same"))
        if repro:
            writable(path_of(repro))

    @staticmethod
    def write(output: str, text: str) -> None:
        """Write another output."""
        write(path_of(output), text)


def path_of(output: str) -> Path:
    """The path a user typed, `~` included."""
    from pathlib import Path

    return Path(output).expanduser()


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite(f"{folder}: {error.strerror or error}") from error


def writable(path: Path) -> None:
    """
    Refuse early what could only fail after a minute of work.

    Raises:
        CannotWrite: the path is a directory, or its folder is missing or read-only.
    """
    if path.is_dir():
        raise CannotWrite(say("{path} is a directory", path=path))
    if path.exists() and not path.is_file():
        return  # a device or a pipe
    folder = path.parent
    if not folder.is_dir():
        raise CannotWrite(say("{path} is not a directory", path=folder))
    if not os.access(folder, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise CannotWrite(say("{path} is not writable", path=path))


def write(path: Path, text: str) -> None:
    """
    Through a temporary file beside the target, moved into place; devices and pipes are written straight.

    Raises:
        CannotWrite: nothing was left half-written.
    """
    writable(path)
    data = text.encode("utf-8", errors="replace")
    try:
        if path.exists() and not path.is_file():
            with path.open("wb", buffering=0) as device:
                device.write(data)
            return
        _replace(path, data)
    except OSError as error:
        raise CannotWrite(f"{path}: {error.strerror or error}") from error


def append(output: str, text: str) -> None:
    """
    Add to a file that others write too.

    Raises:
        CannotWrite: it cannot be opened or is full.
    """
    try:
        with path_of(output).open("a", encoding="utf-8", errors="replace") as file:
            file.write(text)
    except OSError as error:
        raise CannotWrite(f"{output}: {error.strerror or error}") from error


def _replace(path: Path, data: bytes) -> None:
    import tempfile

    target = path.resolve()  # a link keeps pointing where it did
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name[:40]}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if sys.platform != "win32":
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(name, target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~mask)
        os.replace(name, target)
    except BaseException:  # Ctrl-C included: no temporary file stays
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
