"""All formats tell the same story."""

import json
import re
from typing import Any

import click
import junitparser

from ivdoctor.formats._words import VERDICTS
from ivdoctor.formats.github import github
from ivdoctor.formats.html import html
from ivdoctor.formats.json import json as json_format
from ivdoctor.formats.junit import junit
from ivdoctor.formats.markdown import markdown
from ivdoctor.formats.terminal import terminal
from ivdoctor.report import Report

CODE = r"[A-Z]{3,8}\d{3}"


def test_formats_agree_on_the_verdict(report: Report) -> None:
    """Each format says the report's verdict where its readers look for it."""
    verdict = report.verdict.value
    word, _ = VERDICTS[verdict]
    suite: Any = next(iter(junitparser.JUnitXml.fromstring(junit.render(report).encode())))
    said = {
        "json": json.loads(json_format.render(report))["verdict"],
        "junit": next(one.value for one in suite.properties() if one.name == "verdict"),
        "terminal": click.unstyle(terminal.render(report)).splitlines()[-1].partition(":")[0],
        "github": github.render(report).splitlines()[-1].partition(":")[0],
        "markdown": markdown.render(report).splitlines()[0].removeprefix("## ivdoctor: "),
        "html": re.findall("<h1>(.*)</h1>", html.render(report)),
    }
    assert said == {"json": verdict, "junit": verdict, "terminal": word, "github": word, "markdown": word, "html": [word]}


def test_formats_agree_on_the_findings(report: Report) -> None:
    """Each format names every finding's code, as often as it was found, and no other as found."""
    expected = sorted((one.severity.value, one.code) for one in report.findings)
    commands = {"error": "error", "warning": "warning", "notice": "note"}
    heads = r"^(error|warning|note) (" + CODE + r")\b"
    texts = [
        case_text
        for suite in junitparser.JUnitXml.fromstring(junit.render(report).encode())
        for case in suite
        for case_text in [*(one.text or "" for one in case.result), case.system_out or ""]
    ]
    said = {
        "json": [(one["severity"], one["code"]) for one in json.loads(json_format.render(report))["findings"]],
        "junit": [found for text in texts for found in re.findall(heads, text, re.MULTILINE)],
        "terminal": re.findall(heads, click.unstyle(terminal.render(report)), re.MULTILINE),
        "github": [(commands[level], code) for level, code in re.findall(rf"^::(\w+) title=({CODE}) ", github.render(report), re.MULTILINE)],
        "markdown": re.findall(rf"^#### (error|warning|note) ({CODE})\b", markdown.render(report), re.MULTILINE),
        "html": re.findall(rf'<span class="severity \w+">(error|warning|note) ({CODE})\b', html.render(report)),
    }
    assert {name: sorted(found) for name, found in said.items()} == dict.fromkeys(said, expected)
