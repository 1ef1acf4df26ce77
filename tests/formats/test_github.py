"""Workflow commands, read back by the runner's rules."""

from dataclasses import replace

from ivdoctor.formats.github import github
from ivdoctor.report import Report


def _command(line: str) -> tuple[str, dict[str, str], str]:
    """A command as the runner reads it."""
    head, _, data = line.removeprefix("::").partition("::")
    name, _, rest = head.partition(" ")
    properties = dict(part.split("=", 1) for part in rest.split(",") if part)
    return name, {key: _unescaped(value) for key, value in properties.items()}, _unescaped(data)


def _unescaped(text: str) -> str:
    for escaped, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(escaped, character)
    return text


def test_one_command_a_finding_and_the_verdict_last(report: Report) -> None:
    """As many lines as findings, and one more, which is no command."""
    *commands, last = github.render(report).split("\n")[:-1]
    assert [line.partition(" ")[0] for line in commands] == [
        f"::{'notice' if one.severity.value == 'note' else one.severity.value}" for one in report.findings
    ]
    assert not last.startswith("::")
    assert report.reason in last


def test_a_command_tells_the_finding(clash: Report) -> None:
    """Its title is the code and the name; its message has the place, the finding and the fix to take."""
    finding = clash.findings[0]
    name, properties, data = _command(github.render(clash).splitlines()[0])
    assert (name, properties) == ("error", {"title": f"{finding.code} {finding.name}"})
    assert data.splitlines() == [
        f"[cuda:0] {finding.message}",
        f"fix: {finding.fixes[0].title} [tried on a miniature, on cuda:0]",
        f"    {finding.fixes[0].code}",
    ]


def test_text_cannot_end_its_command(clash: Report) -> None:
    """Percent signs, line breaks, colons and commas come back as they were, and make neither a line nor a property."""
    hostile = "50% :: a,b=c 100%25 %0A"
    fix = replace(clash.findings[0].fixes[0], title="::stop-commands::x", code="first\r\n::set-env name=PATH::evil")
    finding = replace(clash.findings[0], name=hostile, message=f"{hostile}\n::error::forged", fixes=(fix,), place="")
    lines = github.render(replace(clash, findings=(finding,))).splitlines()
    assert len(lines) == 2
    _, properties, data = _command(lines[0])
    assert properties == {"title": f"IVD401 {hostile}"}
    assert data.splitlines()[0] == f"{hostile} ::error::forged"
    assert data.splitlines()[-1] == "    ::set-env name=PATH::evil"


def test_the_last_line_is_no_command(clash: Report) -> None:
    """The runner's old commands work in the middle of a line; the reason cannot hold one."""
    last = github.render(replace(clash, reason="no\n::error::forged ##[error]forged")).splitlines()[-1]
    assert last == "NOT READY: no ::error::forged ## [error]forged"
