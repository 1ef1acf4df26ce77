"""What is registered, and what happens to plugins that break."""

import sys
from pathlib import Path

import pytest

from ivdoctor.entrypoints import Point, points
from ivdoctor.facts import Failure
from ivdoctor.plugins import NotInstalled, Plugins, plugins

PROBES = 21
"""Of ivdoctor's own."""

EXAMPLE = Path(__file__).parent / "plugin"


def registered(*more: Point) -> Plugins:
    return Plugins((*points(), *more))


def test_the_built_in_set() -> None:
    """Some twenty probes, some forty rules, six formats, nothing broken."""
    own = registered()

    assert len([probe for probe in own.probes if probe.reference.startswith("ivdoctor.")]) == PROBES
    assert len([rule for rule in own.rules if rule.builtin]) >= 40
    assert {"terminal", "markdown", "html", "json", "junit", "github"} <= set(own.format_names)
    assert own.broken("probes") + own.broken("rules") + own.broken("formats") == ()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("no_such_module:probe", "ModuleNotFoundError"),
        ("ivdoctor.facts:nothing", "AttributeError"),
        ("ivdoctor_example:Rack", "holds no Probe"),
        ("json", "holds no Probe"),
    ],
)
def test_an_entry_point_that_cannot_be_used_is_an_outcome(value: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are loaded, and the failure names the entry point."""
    monkeypatch.syspath_prepend(str(EXAMPLE))

    found = registered(Point(group="ivdoctor.probes", name="odd", value=value))
    (broken,) = found.broken("probes")

    assert (broken.subject, broken.status) == ("plugin", "failed")
    assert broken.reason.startswith("odd: ")
    assert words in broken.reason
    assert broken.builtin is value.startswith("ivdoctor.")
    assert found.facts().keys() >= {probe.subject for probe in found.probes}
    assert found.broken("probes") == (broken,)
    assert len([probe for probe in found.probes if probe.reference.startswith("ivdoctor.")]) == PROBES


def test_a_code_belongs_to_the_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A plugin cannot replace a built-in rule, and is told so."""
    (tmp_path / "thief.py").write_text(
        "from ivdoctor.rule import rule\n"
        "from ivdoctor.facts import Torch\n"
        "from ivdoctor.finding import Severity\n"
        "@rule('IVD401', severity=Severity.NOTE)\n"
        "def mine(torch: Torch):\n"
        "    '''Mine.'''\n"
        "    yield from ()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("thief", None)

    found = registered(Point(group="ivdoctor.rules", name="a-thief", value="thief:mine"))
    (broken,) = found.broken("rules")

    assert broken.reason == "thief: the code IVD401 is taken"
    assert next(rule for rule in found.rules if rule.code == "IVD401").builtin


def test_rules_about_texts_are_not_loaded_for_a_machine_and_keep_their_codes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The same rules as of all; a plugin cannot take a code of a module that was not loaded."""
    (tmp_path / "late_thief.py").write_text(
        "from ivdoctor.rule import rule\n"
        "from ivdoctor.facts import Torch\n"
        "from ivdoctor.finding import Severity\n"
        "@rule('IVD352', severity=Severity.NOTE)\n"
        "def mine(torch: Torch):\n"
        "    '''Mine.'''\n"
        "    yield from ()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("late_thief", None)

    found = registered(Point(group="ivdoctor.rules", name="late", value="late_thief:mine"))
    machine = found.machine_rules

    assert [one.reason for one in found.broken("rules")] == ["late_thief: the code IVD352 is taken"]
    assert [one.code for one in machine] == [one.code for one in registered().rules if not one.asks_for(Failure)]


def test_without_its_own_entry_points_it_refuses_to_work() -> None:
    """Looking at nothing and judging nothing would be ready."""
    with pytest.raises(NotInstalled):
        Plugins(())


def test_an_unknown_format_is_a_lookup_error() -> None:
    """The command line turns it into one clear line before it comes to this."""
    with pytest.raises(LookupError):
        plugins().format("pdf")


def test_facts_are_known_without_loading_probes() -> None:
    """Every built-in probe's fact is among them, by its subject."""
    own = registered()

    assert {probe.subject: probe.fact for probe in own.probes}.items() <= own.facts().items()
