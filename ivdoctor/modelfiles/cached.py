"""A repository of huggingface_hub's by its name, where the local cache holds it."""

import os
import re

from .hub import LONGEST_REF, caches
from .reading import Unreadable, small

REPOSITORY = re.compile(r"(?P<name>[\w.-]{1,96}(?:/[\w.-]{1,96})?)(?:@(?P<revision>[\w./-]{1,96}))?", re.ASCII)


def cached(name: str) -> str:
    """
    The folder of a snapshot, of `organisation/model` or `organisation/model@revision`; empty where no cache has it.

    Without a revision it is the one that the branch `main` is at. Nothing is asked of the network.
    """
    found = REPOSITORY.fullmatch(name)
    if not found or ".." in name:
        return ""
    revision = found["revision"] or "main"
    for cache in caches():
        repository = os.path.join(cache, "models--" + found["name"].replace("/", "--"))
        for commit in (_commit(repository, revision), revision):
            snapshot = os.path.join(repository, "snapshots", commit)
            if commit and os.path.isdir(snapshot):
                return snapshot
    return ""


def _commit(repository: str, branch: str) -> str:
    """Of a branch, as the cache notes it; empty where it has none."""
    try:
        commit = small(os.path.join(repository, "refs", *branch.split("/")), "refs", LONGEST_REF).decode(errors="replace").strip()
    except Unreadable:
        return ""
    return commit if re.fullmatch(r"[0-9a-f]{4,64}", commit) else ""
