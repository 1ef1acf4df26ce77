"""Repositories by their names, in caches made by hand as huggingface_hub lays them out."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ivdoctor.modelfiles.cached import cached

COMMIT = "0123456789abcdef0123456789abcdef01234567"

Put = Callable[..., Path]


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Put:
    """Lay a snapshot of a repository into the cache."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))

    def lay(name: str, commit: str = COMMIT, branch: str = "main") -> Path:
        repository = tmp_path / f"models--{name.replace('/', '--')}"
        snapshot = repository / "snapshots" / commit
        snapshot.mkdir(parents=True)
        (repository / "refs" / branch).parent.mkdir(parents=True, exist_ok=True)
        (repository / "refs" / branch).write_text(commit)
        return snapshot

    return lay


def test_a_repository_is_the_snapshot_of_its_main_branch(put: Put) -> None:
    """With an organisation and without."""
    assert cached("org/name") == ""
    one, other = put("org/name"), put("bare")
    assert (cached("org/name"), cached("bare")) == (str(one), str(other))


def test_a_revision_is_a_branch_or_a_commit(put: Put) -> None:
    """As `ivdoctor census` writes it behind the name."""
    put("org/name")
    older = put("org/name", "f" * 40, "refs/pr/1")
    assert cached("org/name@refs/pr/1") == str(older)
    assert cached(f"org/name@{'f' * 40}") == str(older)
    assert cached("org/name@nowhere") == ""


@pytest.mark.parametrize("name", ["", "..", "../org", "org/../name", "a/b/c", "org/na me", "org/name@../../x", "/etc", "\0", "ö/ü", "x" * 300])
def test_what_is_no_name_is_in_no_cache(name: str, put: Put) -> None:
    """And nothing outside of the cache is looked at."""
    put("org/name")
    assert cached(name) == ""


def test_a_branch_whose_snapshot_is_gone_is_none(put: Put) -> None:
    """As clearing a cache by hand leaves it."""
    put("org/name").rmdir()
    assert cached("org/name") == ""
