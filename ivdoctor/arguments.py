"""The values of arguments: read into what the program takes, or refused in one clear line. Part of the command line."""

from __future__ import annotations

import sys
from typing import Any

import click

ALONE = {
    "snapshot": "a snapshot is judged as it is: it takes no {other}",
    "targets": "nothing is run for a --target: it takes no {other}",
}
"""What excludes other arguments, and why."""
EXCLUDED = {"snapshot": ("model", "inputs", "targets", "thorough", "trust_remote_code"), "targets": ("inputs", "limits", "repro")}
SHOWN = {"model": "MODEL", "targets": "--target", "limits": "--limit", "trust_remote_code": "--trust-remote-code"}
"""Arguments that are not written as they are called here."""
TEXTS = ("model", "torch", "inputs", "snapshot", "repro")
"""Arguments that are left out where they are not meant."""


def asked_of(**given: Any) -> Any:
    """
    What the arguments of `check` or `collect` say, as Asked, or one clear line.

    Args:
        given: by the names of Asked, and `snapshot` and `repro`; what was not given is empty.
    """
    from .codec import Malformed, build
    from .facts import Asked

    _fitting(given)
    if given.get("inputs"):
        inputs_of(given["inputs"])
    if given.get("model"):
        given["model"] = _model(given["model"])
    places = [place_of(name) for name in given.get("targets") or ()]
    if given.get("torch"):
        _build(given["torch"], places)
    said = {name: value for name, value in given.items() if value and name not in ("snapshot", "repro", "limits")}
    if not given.get("limits"):
        return Asked(**said)  # click has checked the words
    try:
        return build({**said, "limits": dict(map(limit, given["limits"]))}, Asked)
    except Malformed as error:
        raise click.UsageError(f"--limit: {error}") from error


def _fitting(given: dict[str, Any]) -> None:
    """Refuse what does not go together."""
    empty = next((name for name in TEXTS if given.get(name) == ""), None)
    if empty:
        raise click.UsageError(f"{SHOWN.get(empty, f'--{empty}')} is empty: is a variable unset?")
    for name, reason in ALONE.items():
        other = next((one for one in EXCLUDED[name] if given.get(name) and given.get(one)), None)
        if other:
            raise click.UsageError(reason.format(other=SHOWN.get(other, f"--{other}")))
    if (given.get("inputs") or given.get("limits")) and not given.get("model") and not given.get("snapshot"):
        raise click.UsageError("--inputs and --limit are about a MODEL: name its folder")
    if given.get("trust_remote_code") and not given.get("model"):
        raise click.UsageError("--trust-remote-code is about a MODEL: name its folder")
    if given.get("targets") and given.get("thorough") and not given.get("model"):
        raise click.UsageError("nothing is run for a --target: it takes no --thorough without a MODEL")
    if given.get("targets") and given.get("trust_remote_code") and not given.get("thorough"):
        raise click.UsageError("nothing is run for a --target without --thorough: it takes no --trust-remote-code")
    if given.get("torch") and not given.get("targets"):
        raise click.UsageError("--torch is about a --target: here the torch that is installed is judged")


def _model(name: str) -> str:
    """The path of what was named: a file or folder, or a repository in the local cache; or one clear line."""
    import os

    from .modelfiles import Nothing, Unreadable, described

    path = name
    if not os.path.lexists(name):
        from .modelfiles.cached import cached

        path = cached(name) or name
    try:
        described(path)
    except Unreadable as error:
        text = str(error).removeprefix(f"{os.path.basename(name)}: ")
        hint = ""
        if isinstance(error, Nothing) and not os.path.lexists(name):
            hint = "; ivdoctor downloads nothing: name a folder, a config.json, or what `ivdoctor census` lists"
        elif isinstance(error, Nothing) and os.path.isdir(name):
            hint = ": name one of its files or folders"
        raise click.ClickException(f"{name}: {text}{hint}") from error
    return path


def _build(text: str, places: list[Any]) -> None:
    from .builds import UnknownBuild, build_for

    try:
        build_for(text, *places)
    except UnknownBuild as error:
        raise click.UsageError(f"--torch: {error}") from error


def inputs_of(source: str) -> None:
    """Refuse at once what can be no inputs; what a function gives is seen when it is called."""
    import os

    if source.endswith(".safetensors"):
        if not os.path.isfile(source):
            raise click.UsageError(f"--inputs: there is no file {source}")
        return
    module, _, function = source.partition(":")
    if module.endswith(".py") or not (function.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        hint = f": write {module.removesuffix('.py')}:{function or 'FUNCTION'}" if module.endswith(".py") else ""
        raise click.UsageError(f"--inputs takes FILE.safetensors or MODULE:FUNCTION, not {source}{hint}")


def limit(text: str) -> tuple[str, float]:
    """`relative_l2=0.05`."""
    from .facts import Limits

    name, _, value = text.partition("=")
    if name not in Limits.__slots__:
        raise click.UsageError(f"--limit: there is no {name!r}, only {', '.join(Limits.__slots__)}")
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise click.UsageError(f"--limit {name}: {value!r} is not a number from 0 up")
    return name, number


def text_of(path: str | None) -> Any:
    """The text to read, as bytes, or one clear line."""
    import contextlib

    if path and path != "-":
        try:
            return open(path, "rb")
        except OSError as error:
            raise click.ClickException(f"{path}: {error.strerror or error}") from error
    if sys.stdin is None:
        raise click.UsageError("stdin is closed: name a FILE")
    if sys.stdin.isatty():
        click.echo("reading from the terminal: paste the failure, then Ctrl-D (Windows: Ctrl-Z and Enter)", err=True)
    return contextlib.nullcontext(sys.stdin.buffer)


def folders_of(folders: tuple[str, ...]) -> tuple[str, ...]:
    """What `census` goes through: the caches where nothing is named; or one clear line."""
    from .modelfiles import Unreadable, hub

    for path in folders:
        if not path:
            raise click.UsageError("FOLDER is empty: is a variable unset?")
        try:
            hub.named(path)
        except Unreadable as error:
            raise click.ClickException(f"{path}: {error}") from error
    return folders or hub.caches()


def bench_of(targets: tuple[str, ...], engine: str | None, dtype: str) -> tuple[Any, Any, Any]:
    """What is asked of targets, who judges it, and what must be looked at; None where none is named; or one clear line."""
    from .facts import Asked

    if not targets:
        if engine or dtype != "auto":
            raise click.UsageError("--engine and --dtype are about a --target: name one")
        return None, None, ()
    for name in targets:
        place_of(name)
    from .census_cell import Bench, probes

    asked = Asked(engine=engine or "", dtype=dtype, targets=targets)  # type: ignore[arg-type]  # click has checked the word
    return asked, Bench(asked), probes()


def place_of(name: str, option: str = "--target: ") -> Any:
    """The place of this name, or one clear line that begins with the option it was given by."""
    from .targets import AmbiguousTarget, UnknownTarget, target

    try:
        return target(name)
    except (UnknownTarget, AmbiguousTarget) as error:
        raise click.UsageError(f"{option}{error}") from error


def snapshot_of(path: str) -> Any:
    """Read it, or one clear line."""
    from .codec import Malformed
    from .plugins import plugins
    from .snapshot import load

    try:
        with open(path, "rb") as file:
            return load(file.read(), plugins().facts())
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror or error}") from error
    except Malformed as error:
        raise click.ClickException(f"{path}: {error}") from error
