"""Installed packages, from real metadata folders on the path of a real child."""

import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from ivdoctor import codec
from ivdoctor.facts import Package, Packages, Version
from ivdoctor.probes.packages import packages
from ivdoctor.rooms import Answer

SCRIPT = """
import os, sys
from ivdoctor import codec
from ivdoctor.probes.packages import packages
codec.dump(packages())  # what is imported on the way is imported now
before = set(sys.modules)
sys.path[:] = sys.argv[2:]
if sys.argv[1] == "nobody":
    os.seteuid(65534)
found = packages()
sys.stdout.buffer.write(codec.dump({"packages": found, "imported": sorted(set(sys.modules) - before)}))
"""


def seen_from(*path: Path, user: str = "") -> Packages:
    """The fact as a child sees it whose path has these folders alone."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", SCRIPT, user, *map(str, path)], capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    told = json.loads(done.stdout)
    assert [one for one in told["imported"] if not one.startswith("encodings.")] == [], "nothing may be imported to learn a version"
    return codec.build(told["packages"], Packages)


def install(site: Path, folder: str, name: str | None = None, number: str = "1.0", **files: str) -> Path:
    """A metadata folder as pip writes it; code that must never run stands beside it."""
    project = name or folder.removesuffix(".egg-info").split("-")[0]
    made = site / folder
    made.mkdir(parents=True)
    metadata = "PKG-INFO" if folder.endswith(".egg-info") else "METADATA"
    (made / metadata).write_text(
        f"Metadata-Version: 2.1\nName: {project}\nVersion: {number}\nSummary: of no account\n\nAbout it.\n", encoding="utf-8"
    )
    for file, text in files.items():
        (made / file.replace("__", ".")).write_text(text, encoding="utf-8")
    (site / f"{project.replace('-', '_')}.py").write_text("raise SystemExit('imported')\n", encoding="utf-8")
    return made


def pairs(found: tuple[Package, ...]) -> list[tuple[str, str]]:
    return [(one.name, one.version) for one in found]


def test_installed_packages_are_listed_with_their_versions(tmp_path: Path) -> None:
    """Sorted by name, only those of the table, and none of them imported."""
    install(tmp_path, "torch-2.13.0+cpu.dist-info", number="2.13.0+cpu")
    install(tmp_path, "numpy-2.4.6.dist-info", number="2.4.6")
    install(tmp_path, "leftpad-1.0.dist-info")

    found = seen_from(tmp_path)

    assert pairs(found.installed) == [("numpy", "2.4.6"), ("torch", "2.13.0+cpu")]
    assert (found.shadowed, found.broken) == ((), ())


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("flash_attn-2.5.8.dist-info", "flash_attn"),
        ("Flash_Attn-2.5.8.dist-info", "Flash-Attn"),
        ("flash.attn-2.5.8.dist-info", "flash.attn"),
        ("flash_attn.egg-info", "flash-attn"),
        ("flash_attn-2.5.8-py3.11.egg-info", "flash-attn"),
    ],
)
def test_a_name_is_one_name_however_it_is_written(tmp_path: Path, folder: str, name: str) -> None:
    """Case, dashes, underscores and dots do not make another package."""
    install(tmp_path, folder, name=name, number="2.5.8")

    assert pairs(seen_from(tmp_path).installed) == [("flash-attn", "2.5.8")]


def test_a_link_has_the_name_on_the_path(tmp_path: Path) -> None:
    """Stores of packages call the target as they like; one that leads nowhere is broken."""
    target = install(tmp_path / "store", "torch-2.1.0.dist-info", number="2.1.0").rename(tmp_path / "store" / "abc")
    site = tmp_path / "site"
    site.mkdir()
    (site / "torch-2.1.0.dist-info").symlink_to(target)
    (site / "numpy-2.0.dist-info").symlink_to(tmp_path / "nowhere")

    found = seen_from(site)

    assert pairs(found.installed) == [("torch", "2.1.0")]
    assert found.broken == ("numpy-2.0.dist-info",)


def test_what_stands_on_the_path_by_mistake_breaks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Path is read as importlib.metadata reads it, a FIFO is not waited for, and the rest is passed over."""
    install(tmp_path / "site", "torch-2.1.0.dist-info", number="2.1.0")
    os.mkfifo(tmp_path / "fifo")
    monkeypatch.setattr(sys, "path", [3, None, b"x", "a\0b", str(tmp_path / "fifo"), tmp_path / "site"])
    found = packages()
    assert isinstance(found, Packages)
    assert pairs(found.installed) == [("torch", "2.1.0")]


def test_a_zip_with_the_longest_comment_is_found(tmp_path: Path) -> None:
    """Its directory's end begins 65,557 bytes before its own."""
    with zipfile.ZipFile(tmp_path / "torch.zip", "w") as archive:
        archive.writestr("torch-2.1.0.dist-info/METADATA", "Name: torch\nVersion: 2.1.0\n")
        archive.comment = b"x" * 65535
    entries = [str(tmp_path / "torch.zip")]
    code = "import sys; sys.path[:0] = sys.argv[1:]; from ivdoctor.probes.packages import packages; print(packages().installed)"
    done = subprocess.run([sys.executable, "-c", code, *entries], capture_output=True, text=True, check=True)
    assert "2.1.0" in done.stdout


def test_an_egg_is_found(tmp_path: Path) -> None:
    """`setup.py install` leaves a folder of its own on the path, with EGG-INFO in it."""
    egg = tmp_path / "apex-0.1-py3.11.egg"
    (egg / "EGG-INFO").mkdir(parents=True)
    (egg / "EGG-INFO" / "PKG-INFO").write_text("Metadata-Version: 1.0\nName: apex\nVersion: 0.1\n", encoding="utf-8")

    assert pairs(seen_from(egg).installed) == [("apex", "0.1")]


def test_the_first_copy_on_the_path_is_installed_and_later_ones_are_shadowed(tmp_path: Path) -> None:
    """As Python would import them: the order of the path decides, not the version."""
    install(tmp_path / "venv", "torch-2.1.0.dist-info", number="2.1.0")
    install(tmp_path / "system", "torch-2.13.0.dist-info", number="2.13.0")
    install(tmp_path / "user", "torch-1.13.1.dist-info", number="1.13.1")

    found = seen_from(tmp_path / "venv", tmp_path / "system", tmp_path / "user")

    assert pairs(found.installed) == [("torch", "2.1.0")]
    assert pairs(found.shadowed) == [("torch", "1.13.1"), ("torch", "2.13.0")]


def test_the_same_folder_twice_on_the_path_is_one_copy(tmp_path: Path) -> None:
    """Twice by name, and once more through a link, as lib64 is in a virtual environment."""
    install(tmp_path / "lib", "torch-2.1.0.dist-info", number="2.1.0")
    (tmp_path / "lib64").symlink_to(tmp_path / "lib", target_is_directory=True)

    found = seen_from(tmp_path / "lib", tmp_path / "lib", tmp_path / "lib64")

    assert (pairs(found.installed), found.shadowed) == ([("torch", "2.1.0")], ())


@pytest.mark.parametrize("source_first", [False, True])
def test_an_editable_install_is_one_copy(tmp_path: Path, source_first: bool) -> None:
    """pip writes metadata into site-packages and leaves the build's own in the source folder, which is on the path too."""
    source, site = tmp_path / "src" / "peft", tmp_path / "src" / "peft" / ".venv" / "site-packages"
    install(
        site,
        "peft-0.19.0.dev0.dist-info",
        number="0.19.0.dev0",
        direct_url__json=json.dumps({"url": source.as_uri(), "dir_info": {"editable": True}}),
    )
    install(source, "peft.egg-info", number="0.18.0.dev0")

    found = seen_from(*((source, site) if source_first else (site, source)))

    assert [one.name for one in found.installed] == ["peft"]
    assert found.shadowed == ()


def test_a_second_install_below_an_editable_source_is_a_second_copy(tmp_path: Path) -> None:
    """A virtual environment often lies in the source folder: only the build's own metadata is not a copy."""
    source = tmp_path / "peft"
    direct_url = json.dumps({"url": source.as_uri(), "dir_info": {"editable": True}})
    install(source / ".venv" / "site-packages", "peft-0.19.0.dev0.dist-info", number="0.19.0.dev0", direct_url__json=direct_url)
    install(source / ".venv" / "extra", "peft-0.17.0.dist-info", number="0.17.0")

    found = seen_from(source / ".venv" / "site-packages", source / ".venv" / "extra")

    assert pairs(found.shadowed) == [("peft", "0.17.0")]


def test_a_plain_install_beside_a_source_folder_is_two_copies(tmp_path: Path) -> None:
    """Without pip's word that the install is editable, two are two."""
    install(tmp_path / "site", "peft-0.18.0.dist-info", number="0.18.0", direct_url__json="{torn")
    install(tmp_path / "source", "peft.egg-info", number="0.19.0")

    assert pairs(seen_from(tmp_path / "site", tmp_path / "source").shadowed) == [("peft", "0.19.0")]


TORN = {
    "missing": None,
    "empty": b"",
    "no version": b"Metadata-Version: 2.1\nName: torch\n",
    "no name": b"Metadata-Version: 2.1\nVersion: 2.1.0\n",
    "binary": bytes(range(256)) * 64,
    "zeros, as a full disk leaves them": b"\0" * 4096,
    "not UTF-8": b"Metadata-Version: 2.1\nName: torch\nVersion: 2.1.0\nAuthor: \xe9\n",
    "another package's": b"Metadata-Version: 2.1\nName: tensorflow\nVersion: 2.1.0\n",
    "a version that is none": b"Metadata-Version: 2.1\nName: torch\nVersion: 2.1.0 \x1b[31m; rm -rf ~\n",
    "an endless version": b"Metadata-Version: 2.1\nName: torch\nVersion: " + b"1." * 5000 + b"0\n",
}


@pytest.mark.parametrize("torn", TORN)
def test_torn_metadata_is_named_and_no_version_is_guessed(tmp_path: Path, torn: str) -> None:
    """The folder's own name has a version in it, which is not believed."""
    made = install(tmp_path, "torch-2.1.0.dist-info")
    content = TORN[torn]
    if content is None:
        (made / "METADATA").unlink()
    else:
        (made / "METADATA").write_bytes(content)

    found = seen_from(tmp_path)

    assert (found.installed, found.broken) == ((), ("torch-2.1.0.dist-info",))


def test_torn_metadata_of_other_packages_does_not_matter(tmp_path: Path) -> None:
    """Only packages that bear on precision are looked at."""
    (install(tmp_path, "leftpad-1.0.dist-info") / "METADATA").write_bytes(b"")

    assert Packages(installed=(), shadowed=(), broken=()) == seen_from(tmp_path)


def test_metadata_that_is_a_folder_is_torn(tmp_path: Path) -> None:
    """Whatever stands in the file's place."""
    made = install(tmp_path, "torch-2.1.0.dist-info")
    (made / "METADATA").unlink()
    (made / "METADATA").mkdir()

    assert seen_from(tmp_path).broken == ("torch-2.1.0.dist-info",)


@pytest.mark.skipif(os.name != "posix", reason="rights as POSIX knows them")
def test_folders_without_rights_are_passed_over_or_named() -> None:
    """A path entry that may not be read hides what is in it; a metadata folder that may not be read is broken."""
    import tempfile

    root = Path(tempfile.mkdtemp())  # pytest's own folders may not be entered by another user
    try:
        root.chmod(0o755)
        install(root / "closed", "numpy-2.4.6.dist-info")
        torch = install(root / "open", "torch-2.1.0.dist-info")
        install(root / "open", "triton-3.0.dist-info", number="3.0")
        for folder in (root / "closed", torch):
            folder.chmod(0)
        found = seen_from(root / "closed", root / "open", user="nobody" if os.geteuid() == 0 else "")
    finally:
        for folder in (root / "closed", root / "open" / "torch-2.1.0.dist-info"):
            folder.chmod(0o755)
        shutil.rmtree(root)

    assert pairs(found.installed) == [("triton", "3.0")]
    assert found.broken == ("torch-2.1.0.dist-info",)


def test_a_path_entry_that_is_no_folder_is_passed_over(tmp_path: Path) -> None:
    """Files, broken archives and entries that are gone stand on real paths."""
    install(tmp_path / "site", "torch-2.1.0.dist-info", number="2.1.0")
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 no archive")
    (tmp_path / "file").write_text("x", encoding="utf-8")

    found = seen_from(tmp_path / "broken.zip", tmp_path / "file", tmp_path / "gone", tmp_path / "site")

    assert pairs(found.installed) == [("torch", "2.1.0")]


@pytest.mark.parametrize("name", ["torch\x1b[31m", "torch'; DROP TABLE", "../torch", "торч", "t" * 200])
def test_hostile_names_are_no_packages_of_the_table(tmp_path: Path, name: str) -> None:
    """A name that is not exactly a listed one, whatever it is made of, never reaches a fact."""
    made = install(tmp_path, "harmless-1.0.dist-info")
    (made / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")

    assert Packages(installed=(), shadowed=(), broken=()) == seen_from(tmp_path)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="file names of any bytes")
def test_a_hostile_folder_name_can_be_written_in_a_report(tmp_path: Path) -> None:
    """A broken folder is named by its own name, whose bytes may be no text and may be escapes."""
    os.makedirs(os.path.join(os.fsencode(tmp_path), b"torch-\xff\x1b[31m\n.dist-info"))

    assert seen_from(tmp_path).broken == (r"torch-\udcff\x1b[31m\n.dist-info",)


def test_the_dead_pynvml_is_seen(tmp_path: Path) -> None:
    """It shares its module's name with nvidia-ml-py, and has metadata of its own."""
    install(tmp_path, "pynvml-11.5.3.dist-info", number="11.5.3")
    install(tmp_path, "nvidia_ml_py-13.615.71.dist-info", name="nvidia-ml-py", number="13.615.71")

    assert pairs(seen_from(tmp_path).installed) == [("nvidia-ml-py", "13.615.71"), ("pynvml", "11.5.3")]


def test_three_thousand_packages_cost_no_time(tmp_path: Path) -> None:
    """Folders of other packages are not opened: the probe's ten seconds are far away, and so would a slow disk's be."""
    for number in range(3000):
        made = tmp_path / f"package_{number}-1.0.dist-info"
        made.mkdir()
        if hasattr(os, "mkfifo"):
            os.mkfifo(made / "METADATA")  # blocks whoever opens it
    install(tmp_path, "torch-2.1.0.dist-info", number="2.1.0")

    began = time.monotonic()
    found = seen_from(tmp_path)

    assert pairs(found.installed) == [("torch", "2.1.0")]
    assert time.monotonic() - began < 5


def test_this_environment_in_a_room(look: Callable[..., Answer]) -> None:
    """The probe in a room sees what importlib.metadata sees here."""
    found = codec.build(look(packages).fact, Packages)

    assert Version(version("nvidia-ml-py")) == found.version("nvidia-ml-py")
