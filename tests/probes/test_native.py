"""The model types that an installed transformers knows, read from its text: the real one, and trees as older releases had them."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivdoctor import codec
from ivdoctor.facts import Native, Version
from ivdoctor.probe import Absent
from ivdoctor.probes.native import FEWEST, native, types
from ivdoctor.rooms import Answer
from ivdoctor.testing import a_model

Look = Callable[..., Answer]

KNOWN = ["bert", "gpt2", "llama", "internvl", "internlm3", "kimi_k25", "gpt-sw3", *(f"made_{number}" for number in range(FEWEST))]

SCRIPT = """
import sys
from ivdoctor import codec
from ivdoctor.probe import Absent
from ivdoctor.probes.native import native
from ivdoctor.testing import a_model
codec.dump({})  # what is imported on the way is imported now
try:
    native(model=a_model())
except Absent:
    pass
sys.path[:] = [sys.argv[1], *(entry for entry in sys.path if not entry.endswith("site-packages"))]
found = []
for model_type in sys.argv[2:]:
    try:
        found.append(native(model=a_model(model_type=model_type)))
    except Absent as absent:
        found.append(str(absent))
assert "transformers" not in sys.modules
sys.stdout.buffer.write(codec.dump(found))
"""


def asked_of(path: Path, *model_types: str) -> list[Native | str]:
    """The facts as a child sees them whose path has this folder and the standard library alone, or why there is none."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", SCRIPT, str(path), *model_types], capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return [one if isinstance(one, str) else codec.build(one, Native) for one in json.loads(done.stdout)]


def known_of(path: Path, *model_types: str) -> list[str]:
    """Those it knows; every one has an answer."""
    found = asked_of(path, *model_types)
    assert all(isinstance(one, Native) for one in found), found
    return [one.model_type for one in found if isinstance(one, Native) and one.known]


def a_list(names: list[str]) -> str:
    """As releases up to 5.5 wrote it, between tables that hold other words."""
    pairs = "".join('        ("%s", "%sConfig"),\n' % (name, name.title().replace("-", "")) for name in names)
    return (
        "import re\nfrom collections import OrderedDict\n\nCONFIG_MAPPING_NAMES = OrderedDict(\n    [\n        # Add configs here\n"
        f"{pairs}    ]\n)\n\n\nCONFIG_ARCHIVE_MAP_MAPPING_NAMES = OrderedDict(\n    [\n"
        '        ("archived", "ARCHIVED_PRETRAINED_CONFIG_ARCHIVE_MAP"),\n    ]\n)\n\n'
        'MODEL_NAMES_MAPPING = OrderedDict([("named", "Named")])\nfor key in CONFIG_MAPPING_NAMES:\n    raise SystemExit(key)\n'
    )


def installed(folder: Path, files: dict[str, str], version: str = "4.40.1") -> Path:
    """A folder with a transformers whose `__init__` would end whoever runs it."""
    package = folder / "transformers"
    (package / "models" / "auto").mkdir(parents=True)
    (package / "__init__.py").write_text(f'# comment\n\n__version__ = "{version}"\nraise SystemExit("it was imported")\n', encoding="utf-8")
    for name, text in files.items():
        (package / "models" / "auto" / name).write_text(text, encoding="utf-8")
    return folder


def test_the_types_of_an_older_release_are_known(tmp_path: Path) -> None:
    """One list in one file; the words of its other tables are none, and case counts."""
    path = installed(tmp_path, {"configuration_auto.py": a_list(KNOWN)})
    assert known_of(path, "llama", "archived", "named", "kimi_k2", "gpt-sw3", "Llama", "made_3") == ["llama", "gpt-sw3", "made_3"]
    assert asked_of(path, "bert", "") == [Native(version=Version("4.40.1"), model_type="bert", known=True), "the configuration names no model type"]


def test_the_nearest_are_told_of_an_unknown_one(tmp_path: Path) -> None:
    """A misspelt type, or a newer member of a family; of a known one and of a strange one there are none."""
    found = asked_of(installed(tmp_path, {"configuration_auto.py": a_list(KNOWN)}), "internvl_chat", "kimi_k2", "zzz", "llama")
    assert [one.nearest for one in found if isinstance(one, Native)] == [("internvl", "internlm3"), ("kimi_k25",), (), ()]


def test_what_a_second_file_adds_counts(tmp_path: Path) -> None:
    """Newer releases write the list in a file of its own, and add to it twice in the old one."""
    more = (
        "from .auto_mappings import CONFIG_MAPPING_NAMES, OTHER\nCONFIG_MAPPING_NAMES.update(\n    {\n"
        '        "EvollaModel": "EvollaConfig",\n        # "disabled": "DisabledConfig",\n    }\n)\n\n'
        'CONFIG_MAPPING_NAMES = OrderedDict(**{"gpt-sw4": "GPT2Config"}, **CONFIG_MAPPING_NAMES)\n\nOTHER.update({"other": "other_module"})\n'
    )
    path = installed(tmp_path, {"auto_mappings.py": a_list(KNOWN), "configuration_auto.py": more}, "5.23.0")
    assert known_of(path, "bert", "EvollaModel", "gpt-sw4", "disabled", "other") == ["bert", "EvollaModel", "gpt-sw4"]


UNREAD = "which model types the installed transformers knows could not be read"


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"configuration_auto.py": a_list(KNOWN[: FEWEST - 1])},
        {"configuration_auto.py": "CONFIG_MAPPING_NAMES = build()\n"},
        {"configuration_auto.py": a_list(KNOWN) + "#" * (5 * 2**20)},
    ],
    ids=["none", "too few", "made at run time", "too large"],
)
def test_a_source_that_is_not_understood_says_nothing(files: dict[str, str], tmp_path: Path) -> None:
    """Unknown to us is not unknown to transformers."""
    assert asked_of(installed(tmp_path, files), "llama") == [UNREAD]


def test_without_a_version_nothing_is_said(tmp_path: Path) -> None:
    """A fact of an unknown release would be of no use."""
    path = installed(tmp_path, {"configuration_auto.py": a_list(KNOWN)})
    (path / "transformers" / "__init__.py").write_text("", encoding="utf-8")
    assert asked_of(path, "llama") == [UNREAD]


def test_without_transformers_it_is_absent(tmp_path: Path) -> None:
    """There is no folder of that name."""
    assert asked_of(tmp_path, "llama") == ["transformers is not installed"]


def test_a_folder_without_code_is_no_release(tmp_path: Path) -> None:
    """As an unfinished removal leaves one: Python would import it, and find nothing in it."""
    (tmp_path / "transformers").mkdir()
    assert asked_of(tmp_path, "llama") == [UNREAD]


@pytest.fixture(scope="module")
def real() -> dict[str, Any]:
    """What transformers itself says it knows."""
    auto = pytest.importorskip("transformers.models.auto.configuration_auto")
    return dict(auto.CONFIG_MAPPING_NAMES)


def test_every_type_of_the_real_one_is_known(real: dict[str, Any]) -> None:
    """No more and no fewer, by its own mapping."""
    module = pytest.importorskip("transformers")
    assert types(str(Path(module.__file__).parent)) == set(real)


def test_the_real_one_through_the_real_room(real: dict[str, Any], look: Look) -> None:
    """A known type and a made-up one, with the release that was read."""
    version = pytest.importorskip("transformers").__version__
    for model_type, known in (("llama", True), ("not_a_model_type_of_anybody", False)):
        answer = look(native, model=a_model(model_type=model_type))
        assert answer.status == "ok", answer.reason
        fact = codec.build(answer.fact, Native)
        assert (fact.version, fact.model_type, fact.known) == (version, model_type, known)


def test_it_takes_milliseconds(real: dict[str, Any]) -> None:
    """Importing the mapping takes seconds; 100 ms are allowed to a busy machine, the best of three counts."""
    taken = []
    for _ in range(3):
        began = time.process_time()
        native(model=a_model(model_type="internvl_chat"))
        taken.append(time.process_time() - began)
    assert min(taken) < 0.1


@given(
    text=st.text(max_size=400)
    | st.lists(st.sampled_from(["CONFIG_MAPPING_NAMES = ", "\n", '("a", "AConfig"),', ")", "x", "{"]), max_size=30).map("".join)
)
def test_any_text_gives_types_or_none(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Never an exception, and never a word that is not written in it."""
    folder = tmp_path_factory.mktemp("any")
    (folder / "models" / "auto").mkdir(parents=True)
    (folder / "models" / "auto" / "configuration_auto.py").write_text(text, encoding="utf-8", newline="")
    assert all(f"{name}" in text for name in types(str(folder)))


def test_a_model_without_a_type_has_no_answer() -> None:
    """Many small models have no config.json worth the name."""
    with pytest.raises(Absent, match="names no model type"):
        native(model=a_model(model_type=""))
