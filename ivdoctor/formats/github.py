"""For GitHub Actions: an annotation a finding, and the verdict."""

from collections.abc import Iterator

from ..finding import Finding
from ..report import Report
from ..text import say
from . import Format
from ._words import harmless, how, verdict

COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}


def render(report: Report) -> str:
    """Workflow commands, one a line; the last line is the verdict."""
    report = harmless(report, facts=False)
    word, _ = verdict(report)
    return "\n".join([*map(_command, report.findings), _inert(f"{word}: {report.reason}")]) + "\n"


def _command(finding: Finding) -> str:
    title = _property(f"{finding.code} {finding.name}")
    return f"::{COMMANDS[finding.severity.value]} title={title}::{_data(chr(10).join(_lines(finding)))}"


def _lines(finding: Finding) -> Iterator[str]:
    yield f"[{finding.place}] {finding.message}" if finding.place else finding.message
    for fix in finding.fixes[:1]:
        yield say("fix: {title} [{how}]", title=fix.title, how=how(fix.trial))
        yield from (f"    {line}" for line in (*fix.code.splitlines(), *fix.command.splitlines()))


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _inert(line: str) -> str:
    """The runner still takes `##[command]` for a command wherever it stands in a line."""
    return line.replace("##[", "## [")


github = Format(name="github", suffix=".log", render=render)
