"""One page that needs nothing else: the verdict, the findings, the machine, the tables, and the details folded."""

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from ..report import Report
from ..text import say
from . import Format, _plot, _svg, _words

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

CODE = re.compile("`([^`]+)`")
TONES = {"ready": "good", "not-ready": "bad", "undetermined": "poor", "error": "bad", "warning": "poor", "note": "note"}
"""Of a verdict or a severity; the word always stands beside the colour."""

TRIED = {"passed": "good", "failed": "bad", "not-tried": "none"}
TEMPLATES = Path(__file__).parents[1] / "templates"


def render(report: Report) -> str:
    """No network, and no script and no style but its own; whole without its script."""
    report = _words.harmless(report)
    charted = {(one.title, one.place) for one in report.charts}
    title = say("Number formats")
    grids = {(one.title, one.place): one for one in report.grids}
    return _template().render(
        report=report,
        formats_title=title,
        formats=[(one, _svg.heat(one)) for one in report.grids if one.title == title],
        charts=[(one, _plot.plot(one), grids.get((one.title, one.place))) for one in report.charts],
        tables=[one for one in report.grids if one.title != title and (one.title, one.place) not in charted],
    )


@cache
def _template() -> "Template":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["marked"] = _marked
    environment.globals.update(say=say, words=_words, tones=TONES, tried=TRIED, shapes=_plot.SHAPES, cross=_plot.CROSS, clipped=_svg.clipped)
    environment.globals.update(script=Markup(script), script_hash=_hash(script))  # noqa: S704  # it is our own, and holds no tag
    return environment.get_template("report.html")


def _hash(script: str) -> str:
    """What the page's policy allows: this script and no other."""
    return f"sha256-{b64encode(sha256(script.encode()).digest()).decode()}"


def _marked(text: str) -> "Markup":
    """The words that a rule's author set in backticks, as code."""
    from markupsafe import Markup, escape

    return Markup(CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704  # escaped before


html = Format(name="html", suffix=".html", render=render)
