"""One page that needs nothing else: the verdict, the findings, the machine, the tables, and the details folded."""

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..report import Report
from ..text import say
from . import Format, _words

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

CODE = re.compile("`([^`]+)`")
TONES = {"ready": "good", "not-ready": "bad", "undetermined": "poor", "error": "bad", "warning": "poor", "note": "note"}
"""Of a verdict or a severity; the word always stands beside the colour."""

TRIED = {"passed": "good", "failed": "bad", "not-tried": "none"}


def render(report: Report) -> str:
    """No script, no network, no style but its own."""
    return _template().render(report=_words.harmless(report))


@cache
def _template() -> "Template":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    templates = Path(__file__).parents[1] / "templates"
    environment = Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["marked"] = _marked
    environment.globals.update(say=say, words=_words, tones=TONES, tried=TRIED)
    return environment.get_template("report.html")


def _marked(text: str) -> "Markup":
    """The words that a rule's author set in backticks, as code."""
    from markupsafe import Markup, escape

    return Markup(CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704  # escaped before


html = Format(name="html", suffix=".html", render=render)
