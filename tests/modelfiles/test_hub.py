"""Finding models in folders and caches."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ivdoctor.modelfiles import Nothing, folder, hub
from ivdoctor.modelfiles.folder import Found
from ivdoctor.modelfiles.hub import caches, search

CONFIG = json.dumps({"model_type": "llama"})


def put(path: Path, *names: str, config: str = CONFIG) -> Path:
    """A folder with these files; `config.json` describes a model, all others are empty."""
    path.mkdir(parents=True, exist_ok=True)
    for name in names:
        (path / name).write_text(config if name == "config.json" else "")
    return path


def found(*paths: Path) -> list[tuple[str, str]]:
    return [(one.name, one.kind) for one in search(map(str, paths)).found]


Snapshot = Callable[..., Path]


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    """Adds a revision to a repository in a cache, as huggingface_hub lays it out."""

    def add(repository: str, commit: str, *names: str, refs: tuple[str, ...] = (), changed: int = 0) -> Path:
        home = tmp_path / "hub" / f"models--{repository.replace('/', '--')}"
        revision = home / "snapshots" / commit
        for one in (revision, home / "blobs"):
            one.mkdir(parents=True, exist_ok=True)
        for name in names:
            blob = home / "blobs" / f"etag-{commit}-{name}"
            blob.write_text(CONFIG if name == "config.json" else "")
            (revision / name).symlink_to(blob)
        for ref in refs:
            file = home / "refs" / ref
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(commit)
        os.utime(revision, (changed, changed))
        return home

    return add


def test_a_named_folder_is_a_model(tmp_path: Path) -> None:
    """With the folder's own name, and without the path to it."""
    put(tmp_path / "llama", "config.json", "model.safetensors")

    assert found(tmp_path / "llama") == [("llama", "model")]


def test_models_below_a_folder(tmp_path: Path) -> None:
    """By their way from the folder that was named, in the order of their names; folders that begin with a dot are passed by."""
    for way in ("b/two", "a", ".hidden/one"):
        put(tmp_path / way, "config.json", "model.safetensors")

    assert found(tmp_path) == [("a", "model"), ("b/two", "model")]


def test_several_folders_are_told_apart(tmp_path: Path) -> None:
    """Equal names below two folders get those folders' names."""
    for way in ("x", "y"):
        put(tmp_path / way / "model", "config.json")

    assert found(tmp_path / "x", tmp_path / "y") == [("x/model", "model"), ("y/model", "model")]


def test_how_deep_it_goes(tmp_path: Path) -> None:
    """Four levels below the folder that was named, and no further."""
    put(tmp_path / "1/2/3/4", "config.json")
    put(tmp_path / "1/2/3/4/5", "config.json", "model.safetensors")

    assert found(tmp_path) == [("1/2/3/4", "model")]


def test_links_to_folders_are_counted_and_not_followed(tmp_path: Path) -> None:
    """Neither out of the folder nor in a circle; a link to a file is a file."""
    outside = put(tmp_path / "outside", "config.json", "model.safetensors")
    inside = put(tmp_path / "inside")
    (inside / "away").symlink_to(outside)
    (inside / "circle").symlink_to("..")
    (inside / "itself").symlink_to("itself")
    put(inside / "linked")
    (inside / "linked" / "config.json").symlink_to(outside / "config.json")
    result = search([str(inside)])

    assert [one.name for one in result.found] == ["linked"]
    assert result.linked == 2


def test_revisions_in_a_cache(tmp_path: Path, snapshot: Snapshot) -> None:
    """A row a revision, newest first: by its branches and tags, or by its commit where none points to it."""
    snapshot("org/name", "a" * 40, "config.json", refs=("main", "refs/pr/1"), changed=2000)
    snapshot("org/name", "b" * 40, "config.json", changed=1000)
    snapshot("gpt2", "c" * 40, "config.json", refs=("main",), changed=3000)
    rows = search([str(tmp_path / "hub")]).found

    assert [(one.name, one.revision) for one in rows] == [("gpt2", "main"), ("org/name", "main, refs/pr/1"), ("org/name", "bbbbbbbb")]


def test_one_repository_of_a_cache_may_be_named(snapshot: Snapshot) -> None:
    """By its folder."""
    home = snapshot("org/name", "a" * 40, "config.json", refs=("main",))

    assert found(home) == [("org/name", "model")]


def test_a_cache_over_several_disks(tmp_path: Path, snapshot: Snapshot) -> None:
    """A repository that is a link is followed, in this layout alone."""
    home = snapshot("org/name", "a" * 40, "config.json", refs=("main",))
    (tmp_path / "other").mkdir()
    home.rename(tmp_path / "other" / "elsewhere")
    home.symlink_to(tmp_path / "other" / "elsewhere")

    assert found(tmp_path / "hub") == [("org/name", "model")]


def test_what_a_cache_holds_beside_models(tmp_path: Path, snapshot: Snapshot) -> None:
    """Data sets, locks and notes of what is not there are passed by; a snapshot of a tokenizer alone is counted."""
    snapshot("org/tokenizer", "a" * 40, "tokenizer.json", refs=("main",))
    put(tmp_path / "hub" / ".locks" / "models--org--name", "config.json")
    put(tmp_path / "hub" / "datasets--org--data" / "snapshots" / "d", "config.json")
    put(tmp_path / "hub" / "models--org--tokenizer" / ".no_exist" / ("a" * 40), "config.json")
    result = search([str(tmp_path / "hub")])

    assert (result.found, result.bare) == ([], 1)


def test_a_branch_without_a_snapshot(tmp_path: Path, snapshot: Snapshot) -> None:
    """Nothing was downloaded, or a download was not finished; the row says which."""
    for name in ("begun", "asked"):
        home = snapshot(f"org/{name}", "a" * 40, refs=("main",))
        (home / "snapshots" / ("a" * 40)).rmdir()
    (tmp_path / "hub" / "models--org--begun" / "blobs" / "etag.incomplete").write_text("x")

    rows = search([str(tmp_path / "hub")]).found
    assert [(one.name, one.problem, one.unread) for one in rows] == [
        ("org/asked", "nothing was downloaded", False),
        ("org/begun", "download incomplete", False),
    ]


def test_unfinished_downloads_in_a_cache(snapshot: Snapshot) -> None:
    """Counted by file; what was begun twice counts once, and what is there by now does not."""
    home = snapshot("org/name", "a" * 40, "config.json", refs=("main",))
    for name in ("one.incomplete", "one.12ab34cd.incomplete", "two.incomplete", "two"):
        (home / "blobs" / name).write_text("")

    (row,) = search([str(home)]).found
    assert row.unfinished == 1


def test_unfinished_downloads_in_a_folder(tmp_path: Path) -> None:
    """Where huggingface_hub keeps them beside a folder of the user's, and those of other programs."""
    put(tmp_path / "a", "config.json")
    put(tmp_path / "a" / ".cache" / "huggingface" / "download", "x.etag.incomplete", "y.metadata")
    put(tmp_path / "b", "config.json", "model.safetensors.aria2")

    assert [(one.name, one.unfinished) for one in search([str(tmp_path)]).found] == [("a", 1), ("b", 1)]


def test_parts_of_a_model(tmp_path: Path, snapshot: Snapshot) -> None:
    """A folder of a pipeline with weights is a model; a configuration without weights inside of a model is none."""
    put(tmp_path / "whole", "config.json", "model.safetensors")
    put(tmp_path / "whole" / "1_Pooling", "config.json")
    put(tmp_path / "whole" / "checkpoint-5", "config.json", "model.safetensors", "optimizer.pt")
    home = snapshot("org/pipeline", "a" * 40, "model_index.json", refs=("main",))
    put(home / "snapshots" / ("a" * 40) / "vae", "config.json", "diffusion_pytorch_model.safetensors")

    assert found(tmp_path / "whole") == [("whole", "model"), ("checkpoint-5", "model")]
    assert found(home) == [("org/pipeline/vae", "model")]


@pytest.mark.parametrize(("text", "is_one"), [('{"port": 80}', False), ('{"architectures": ["X"]}', True), ('{"port"', True), ("", True)])
def test_a_configuration_of_another_program(tmp_path: Path, text: str, is_one: bool) -> None:
    """It is no model's, unless weights lie beside it; one that cannot be read may be a model's, and has a row that says why."""
    put(tmp_path / "a", "config.json", config=text)
    put(tmp_path / "b", "config.json", "model.safetensors", config=text)

    assert [name for name, _ in found(tmp_path)] == (["a", "b"] if is_one else ["b"])


def test_weights_without_a_configuration(tmp_path: Path) -> None:
    """One set of shards is one model, loose files are one each, and what training leaves is none."""
    put(tmp_path / "shards", "x-00001-of-00002.safetensors", "x-00002-of-00002.safetensors")
    put(tmp_path / "loose", "one.safetensors", "two.safetensors")
    put(tmp_path / "pickled", "pytorch_model.bin")
    put(tmp_path / "none", "optimizer.pt", "training_args.bin", "data.bin")

    assert found(tmp_path) == [
        ("loose/one.safetensors", "weights"),
        ("loose/two.safetensors", "weights"),
        ("pickled", "weights"),
        ("shards", "weights"),
    ]


def test_gguf_files(tmp_path: Path) -> None:
    """Each is a model, a split one once; the configuration beside them is of the model they were made from."""
    put(tmp_path / "a", "config.json", "x-Q4_K_M.gguf", "x-Q8_0.gguf", "y-00001-of-00002.gguf", "y-00002-of-00002.gguf", "imatrix.gguf")

    assert [name for name, _ in found(tmp_path / "a")] == ["a/x-Q4_K_M.gguf", "a/x-Q8_0.gguf", "a/y.gguf"]
    assert found(tmp_path / "a" / "x-Q8_0.gguf") == [("x-Q8_0.gguf", "gguf")]


def test_adapters(tmp_path: Path) -> None:
    """By their configuration; a model in the same folder has a row beside it."""
    put(tmp_path / "alone", "adapter_config.json", "adapter_model.safetensors")
    put(tmp_path / "both", "adapter_config.json", "adapter_model.safetensors", "config.json", "model.safetensors")

    assert found(tmp_path) == [("alone", "adapter"), ("both", "model"), ("both", "adapter")]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may list every folder")
def test_a_folder_that_cannot_be_listed(tmp_path: Path) -> None:
    """It is a row of its own, and the others are found."""
    put(tmp_path / "a").chmod(0)
    put(tmp_path / "b", "config.json")

    rows = search([str(tmp_path)]).found
    assert [(one.name, one.unread, bool(one.problem)) for one in rows] == [("a", True, True), ("b", False, False)]


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        ("MOST_ENTRIES", "a search of more than 3 files"),
        ("MOST_FOLDERS", "a search of more than 3 folders"),
        ("MOST_MODELS", "a search of more than 3 models"),
    ],
)
def test_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, told: str) -> None:
    """What was found until then stays, and the search says at which limit it ended."""
    for name in "abcdefgh":
        put(tmp_path / name, "config.json")
    monkeypatch.setattr(folder, limit, 3)
    result = search([str(tmp_path)])

    assert result.cut == told
    assert len(result.found) <= 3


def test_one_folder_of_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of it is left, which is told, and the folders beside it are gone through."""
    put(tmp_path / "a", *map(str, range(9)))
    put(tmp_path / "b", "config.json")
    monkeypatch.setattr(folder, "MOST_NAMES", 5)
    result = search([str(tmp_path)])

    assert ([one.name for one in result.found], result.cut) == (["b"], "a folder of more than 5 files")


def test_names_are_made_showable(tmp_path: Path) -> None:
    """Terminal sequences and marks that turn the reading direction do not get out."""
    put(tmp_path / "\x1b[31mred\u202egnp", "config.json")

    assert found(tmp_path) == [(r"\x1b[31mred\u202egnp", "model")]


def test_modelscope_writes_a_dot_as_underscores(tmp_path: Path) -> None:
    """The name is the repository's; what lies in its folder for what is unfinished is passed by."""
    put(tmp_path / "models" / "Qwen" / "Qwen2___5-7B", "config.json")
    put(tmp_path / "models" / "._____temp" / "Qwen" / "X", "config.json")

    assert found(tmp_path / "models") == [("Qwen/Qwen2.5-7B", "model")]


def test_what_is_no_folder(tmp_path: Path) -> None:
    """A configuration may be named; another file, and what is not there, are refused."""
    put(tmp_path, "config.json", "notes.txt")

    assert search([str(tmp_path / "config.json")]).found == [Found(path=str(tmp_path / "config.json"), name=tmp_path.name)]
    for name in ("notes.txt", "nothing"):
        with pytest.raises(Nothing):
            search([str(tmp_path / name)])


@pytest.mark.parametrize(
    ("variable", "way"),
    [
        ("HF_HUB_CACHE", "."),
        ("HUGGINGFACE_HUB_CACHE", "."),
        ("HF_HOME", "hub"),
        ("XDG_CACHE_HOME", "huggingface/hub"),
        ("HOME", ".cache/huggingface/hub"),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="a home folder is found another way")
def test_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, way: str) -> None:
    """By the first of the variables that huggingface_hub reads; what is not there is left out."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", "MODELSCOPE_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    assert caches() == ()

    monkeypatch.setenv(variable, str(tmp_path))
    (tmp_path / way).mkdir(parents=True, exist_ok=True)
    assert [Path(one) for one in caches()] == [tmp_path / way]


NAMES = st.sampled_from(
    [
        "config.json",
        "adapter_config.json",
        "model.safetensors",
        "a-00001-of-00002.gguf",
        "snapshots",
        "models--a--b",
        "models--",
        "refs",
        "x.incomplete",
        ".cache",
    ]
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(NAMES, min_size=1, max_size=4), max_size=8))
def test_no_tree_of_names_breaks_it(tmp_path_factory: pytest.TempPathFactory, ways: list[list[str]]) -> None:
    """Folders where files are expected, and the other way round."""
    root = tmp_path_factory.mktemp("tree")
    for number, way in enumerate(ways):
        place = root.joinpath(*way)
        if place.exists() or any(one.is_file() for one in place.parents):
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        place.mkdir() if number % 3 == 0 else place.write_text("{}")

    assert hub.search([str(root)]).cut == ""


def test_a_loose_file_hides_nothing_beside_it(tmp_path: Path) -> None:
    """A download that broke off and a checkpoint of which the index alone is there are rows, whatever lies next to them."""
    for name in ("broken", "indexed", "whole"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "broken" / "model.safetensors.incomplete").write_bytes(b"")
    (tmp_path / "indexed" / "model.safetensors.index.json").write_text("{}")
    (tmp_path / "whole" / "model.safetensors").write_bytes(b"")
    expected = {"broken", "indexed", "whole"}
    assert {one.name for one in hub.search([str(tmp_path)]).found} == expected

    (tmp_path / "loose.gguf").write_bytes(b"")
    assert {one.name for one in hub.search([str(tmp_path)]).found if one.kind == "model"} == expected
