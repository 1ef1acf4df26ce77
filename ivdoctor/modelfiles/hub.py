"""Finding models: in a folder, in the folders below it, and in the caches of huggingface_hub and ModelScope; by names alone."""

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

from ..text import say
from .config import name_of
from .folder import MOST_ENTRIES, Found, Full, Search, listed, models_of
from .layout import GGUF
from .reading import Nothing, Unreadable, is_folder, shown, small

DEEPEST = 4
"""Levels below a folder that is named: `models/organisation/model/part` has three."""

PARTS = 2
"""Levels below a snapshot: pipelines of diffusers keep each of their models in a folder of its own."""

REPOSITORY = re.compile(r"models--(.+)")
"""How huggingface_hub calls the folder of `organisation/model`: `models--organisation--model`."""

LONGEST_REF = 200
"""Bytes in the file of a branch, which holds a commit."""

MOST_REFS = 1_000
"""Files in one folder of them."""


def caches() -> tuple[str, ...]:
    """
    The caches of huggingface_hub and ModelScope that are there, by the variables that those read.

    Source: huggingface_hub 2.4.0, constants.py; modelscope pull request 1201 (2026-11-23).
    """
    given, home = os.environ.get, os.path.join("~", ".cache")
    hub = given("HF_HOME") or os.path.join(given("XDG_CACHE_HOME") or home, "huggingface")
    hub = given("HF_HUB_CACHE") or given("HUGGINGFACE_HUB_CACHE") or os.path.join(hub, "hub")
    scope = given("MODELSCOPE_CACHE") or os.path.join(home, "modelscope", "hub")
    return tuple(path for path in (os.path.expandvars(os.path.expanduser(one)) for one in (hub, scope)) if os.path.isdir(path))


def search(paths: Iterable[str]) -> Search:
    """
    Every model in these folders; a GGUF file or a configuration may be named itself.

    Links to folders are followed in the cache of huggingface_hub alone, which some people spread over several disks. Snapshots of a
    cache come newest first, all else by name.

    Raises:
        Nothing: a path is not there, or is a file of another kind.
        Unreadable: the way there is closed.
    """
    result, folders = Search(), []
    for path in dict.fromkeys(paths):
        if one := named(path):
            result.found.append(one)
        else:
            folders.append(path)
    try:
        for path in folders:
            _through(path, result, several=len(folders) > 1)
    except Full as full:
        result.cut = str(full)
    result.found.sort(key=lambda one: -one.changed)
    return result


def named(path: str) -> Found | None:
    """
    The model that a file is; None for a folder.

    Raises:
        Nothing: it is not there, or a file of another kind.
        Unreadable: the way there is closed.
    """
    if is_folder(path):
        return None
    name = os.path.basename(path)
    if GGUF.fullmatch(name):
        return Found(path=path, name=shown(name), kind="gguf")
    if name.endswith(".json"):
        return Found(path=path, name=name_of(path))
    raise Nothing(say("it is no folder, and no GGUF file or configuration"))


def _through(path: str, result: Search, *, several: bool) -> None:
    """A folder that was named: a model, a cache, a repository in one, or a folder of any of these."""
    full, own = os.path.abspath(path), name_of(path)
    if _is_repository(full):
        _repository(full, result)
        return
    stack = [(full, "", 0, False)]
    while stack:
        folder, name, depth, part = stack.pop()
        holds = listed(folder, name or own, result)
        if holds is None:
            continue
        models = models_of(folder, f"{own}/{name}" if several and name else name or own, holds, part=part)
        result.add(models)
        whole = any(one.path == folder for one in models)  # a file by itself makes nobody its part
        for one in (*holds.folders, *holds.links):
            if _is_repository(os.path.join(folder, one)):
                _repository(os.path.join(folder, one), result)
        result.linked += sum(not REPOSITORY.fullmatch(link) for link in holds.links)
        below = [one for one in holds.folders if depth < DEEPEST and not _passed_by(one)]
        stack += [(os.path.join(folder, one), _joined(name, one), depth + 1, whole) for one in reversed(below)]


def _is_repository(folder: str) -> bool:
    return bool(REPOSITORY.fullmatch(os.path.basename(folder))) and os.path.isdir(os.path.join(folder, "snapshots"))


def _passed_by(name: str) -> bool:
    """What holds no models, or is gone through in another way."""
    return name in ("__pycache__", "node_modules") or name.startswith((".", "models--", "datasets--", "spaces--"))


def _joined(name: str, own: str) -> str:
    """ModelScope writes a dot in a folder's name as three underscores."""
    part = shown(own.replace("___", "."))
    return f"{name}/{part}" if name else part


def _repository(folder: str, result: Search) -> None:
    """A repository in the cache of huggingface_hub: what each of its snapshots holds, and a branch that has none."""
    name = shown(folder.rpartition("models--")[2].replace("--", "/", 1))
    refs, unfinished = _refs(os.path.join(folder, "refs")), _unfinished(os.path.join(folder, "blobs"))
    snapshots = os.path.join(folder, "snapshots")
    holds = listed(snapshots, name, result)
    if holds is None:
        return
    commits = {*holds.folders, *holds.links}
    for commit in sorted(commits):
        _snapshot(os.path.join(snapshots, commit), name, ", ".join(sorted(refs.get(commit, ()))) or shown(commit[:8]), unfinished, result)
    for commit in sorted(set(refs) - commits) if unfinished or not commits else ():
        problem = say("download incomplete") if unfinished else say("nothing was downloaded")
        result.add([Found(path=snapshots, name=name, revision=", ".join(sorted(refs[commit])), unfinished=unfinished, problem=problem)])


def _snapshot(folder: str, name: str, revision: str, unfinished: int, result: Search) -> None:
    """A revision, and its parts."""
    changed, before = _changed(folder), len(result.found)
    stack = [(folder, name, 0)]
    while stack:
        path, own, depth = stack.pop()
        holds = listed(path, own, result)
        if holds is None:
            continue
        models = models_of(path, own, holds, part=len(result.found) > before)
        result.add(replace(one, revision=revision, changed=changed, unfinished=unfinished + one.unfinished) for one in models)
        below = [one for one in holds.folders if depth < PARTS and not _passed_by(one)]
        stack += [(os.path.join(path, one), f"{own}/{shown(one)}", depth + 1) for one in reversed(below)]
    result.bare += len(result.found) == before


def _changed(folder: str) -> float:
    with suppress(OSError):
        return os.stat(folder).st_mtime
    return 0.0


def _refs(folder: str) -> dict[str, list[str]]:
    """Branches, tags and pull requests by commit: `refs/main` holds `d78aea13...`."""
    found: dict[str, list[str]] = {}
    for where, folders, files in os.walk(folder):
        if where.count(os.sep) >= folder.count(os.sep) + DEEPEST:
            folders.clear()
        for file in files[:MOST_REFS]:
            with suppress(Unreadable, UnicodeDecodeError):
                commit = small(os.path.join(where, file), file, LONGEST_REF).decode().strip()
                found.setdefault(commit, []).append(shown(os.path.relpath(os.path.join(where, file), folder).replace(os.sep, "/")))
    return found


def _unfinished(blobs: str) -> int:
    """Files that were begun and are not there: `ETAG.incomplete`, in newer releases `ETAG.RANDOM.incomplete`."""
    begun: set[str] = set()
    whole: set[str] = set()
    with suppress(OSError), os.scandir(blobs) as entries:
        for entry, _ in zip(entries, range(MOST_ENTRIES), strict=False):
            (begun if entry.name.endswith(".incomplete") else whole).add(entry.name.partition(".")[0])
    return len(begun - whole)
