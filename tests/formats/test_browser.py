"""The page in a real browser: silent, whole without a network, for every reader, on a phone and on paper."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from ivdoctor.checkup import check
from ivdoctor.formats.html import html
from ivdoctor.plugins import plugins
from ivdoctor.report import Chart, Grid, GridCell, Report, Series
from ivdoctor.snapshot import load

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
T4 = Path(__file__).parents[1] / "machines" / "t4.json"
DESK = {"width": 1200, "height": 900}
PHONE = {"width": 360, "height": 740}

pytestmark = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium on this machine")


@dataclass(kw_only=True)
class Visit:
    """A page that is open, and what it did."""

    page: Any
    address: str
    said: list[str] = field(default_factory=list)
    """On the console, and what it raised."""
    fetched: list[str] = field(default_factory=list)

    def evaluate(self, script: str) -> Any:
        """What the page answers."""
        return self.page.evaluate(script)

    def unfold(self) -> None:
        """Everything that is folded is shown."""
        self.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")

    def requests(self) -> list[str]:
        """What it asked for beside itself."""
        return [one for one in self.fetched if one != self.address and not one.startswith("data:")]

    def faults(self) -> list[str]:
        """What axe finds that is serious or critical."""
        found = axe.Axe().run(self.page).response["violations"]
        return [f"{one['id']}: {[node['target'] for node in one['nodes']]}" for one in found if one["impact"] in ("serious", "critical")]

    def overflow(self) -> int:
        """How many pixels it is wider than its window."""
        wider: int = self.evaluate("document.scrollingElement.scrollWidth - innerWidth")
        return wider


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, started once."""
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield chromium
        chromium.close()


Visitor = Callable[..., Visit]


@pytest.fixture
def visit(browser: Any, tmp_path: Path) -> Iterator[Visitor]:
    """Opens a page's text as the file a user would open."""
    contexts = []

    def open_page(text: str, *, before: str = "", **options: Any) -> Visit:
        """Args: before: a script that runs ahead of the page's own."""
        file = tmp_path / "report.html"
        file.write_text(text, encoding="utf-8")
        context = browser.new_context(**options)
        contexts.append(context)
        seen = Visit(page=context.new_page(), address=file.as_uri())
        seen.page.on("console", lambda message: seen.said.append(message.text))
        seen.page.on("pageerror", lambda error: seen.said.append(str(error)))
        seen.page.on("request", lambda request: seen.fetched.append(request.url))
        if before:
            seen.page.add_init_script(before)
        seen.page.goto(seen.address)
        return seen

    yield open_page
    for context in contexts:
        context.close()


def _bert() -> tuple[Chart, Grid]:
    """As many modules as a small BERT runs, two series, and two that overflow."""
    parts = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense", "intermediate.dense", "output.dense")
    steps = ("embeddings.word_embeddings", *(f"encoder.layer.{layer}.{part}" for layer in range(12) for part in parts), "pooler.dense")
    bf16 = tuple(1e-3 * 1.03**number for number in range(len(steps)))
    fp16 = tuple(-1.0 if number in (60, 61) else 1e-4 * 1.03**number for number in range(len(steps)))
    chart = Chart(
        title="Drift per module, of a model",
        place="cuda:0",
        steps=steps,
        unit="relative L2",
        series=(Series(label="bf16", values=bf16), Series(label="fp16", values=fp16)),
        limit=0.02,
        alternative="It grows from layer to layer.",
    )
    rows = tuple(
        (GridCell(text=step), GridCell(text=f"{one:.3g}"), GridCell(text=f"{two:.3g}")) for step, one, two in zip(steps, bf16, fp16, strict=True)
    )
    return chart, Grid(title=chart.title, place=chart.place, columns=("module", "bf16", "fp16"), rows=rows, detail=True)


@pytest.fixture(params=["clash", "t4"])
def full(request: pytest.FixtureRequest, clash: Report) -> str:
    """A page with everything in it, and that of a machine with two places."""
    if request.param == "t4":
        return html.render(check(snapshot=load(T4.read_bytes(), plugins().facts())))
    chart, grid = _bert()
    return html.render(replace(clash, charts=(*clash.charts, chart), grids=(*clash.grids, grid)))


@pytest.fixture
def page_of_clash(clash: Report) -> str:
    """The one with errors, loaders and a chart."""
    return html.render(clash)


BAD = """<!doctype html><html lang="en"><head><title>x</title></head><body><main><h1 style="color: #ccc">pale</h1><img src="absent.png">
<div style="width: 900px">wide</div><script>console.error("loud")</script></main></body></html>"""


def test_these_tests_can_fail(visit: Visitor) -> None:
    """On a bad page each check finds what is bad."""
    bad = visit(BAD, viewport=PHONE)
    assert "loud" in bad.said
    assert [one.rpartition("/")[2] for one in bad.requests()] == ["absent.png"]
    assert {one.partition(":")[0] for one in bad.faults()} == {"color-contrast", "image-alt"}
    assert bad.overflow() >= 500


@pytest.mark.parametrize(("scheme", "window"), [("light", DESK), ("dark", PHONE)], ids=["light", "dark"])
def test_for_every_reader(visit: Visitor, full: str, scheme: str, window: dict[str, int]) -> None:
    """Nothing on the console, nothing fetched, and axe finds nothing serious, all unfolded; in light on a desk, in dark on a phone."""
    seen = visit(full, color_scheme=scheme, viewport=window)
    seen.unfold()
    assert seen.faults() == []
    assert seen.said == []
    assert seen.requests() == []


@pytest.mark.parametrize("width", [320, 360, 768, 1200])
def test_never_wider_than_its_window(visit: Visitor, full: str, width: int) -> None:
    """What is wide scrolls in a box of its own, and that box can be reached by key."""
    seen = visit(full, viewport={"width": width, "height": 740})
    seen.unfold()
    assert seen.overflow() <= 0
    boxes = "[...document.querySelectorAll('*')].filter(one => one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).overflowX === 'auto')"
    assert seen.evaluate(f"{boxes}.every(one => one.tabIndex === 0)")
    if width == 320:
        assert seen.evaluate(f"{boxes}.length") > 2


def test_no_word_is_too_long(visit: Visitor, clash: Report) -> None:
    """A stranger's names, without a space in hundreds of letters, widen neither the page nor a picture."""
    long = "W" * 700
    chart = replace(
        clash.charts[0], steps=(long,) * 4, title=long, unit=long, alternative=long, series=(replace(clash.charts[0].series[0], label=long),)
    )
    formats = replace(clash.grids[0], columns=(long,) * 3, rows=((GridCell(text=long),) * 3,))
    findings = tuple(replace(one, message=long, name=long, evidence=(long,)) for one in clash.findings)
    loaders = tuple(replace(one, title=long, code=long) for one in clash.loaders)
    seen = visit(html.render(replace(clash, reason=long, findings=findings, charts=(chart,), grids=(formats,), loaders=loaders)), viewport=PHONE)
    seen.unfold()
    assert seen.overflow() <= 0
    assert seen.evaluate("document.querySelectorAll('svg.picture').length") == 2


def test_text_in_pictures_stays_in_them(visit: Visitor, full: str) -> None:
    """No letter of a picture is cut off at its edge, and no word of a cell is wider than the cell."""
    seen = visit(full, viewport=DESK)
    inside = """[...document.querySelectorAll('svg.picture text')].filter(one => {
      const cell = one.parentElement.querySelector(':scope > rect.cell');
      const box = (cell ?? one.ownerSVGElement).getBoundingClientRect(), text = one.getBoundingClientRect();
      return text.left < box.left - 1 || text.right > box.right + 1 || text.top < box.top - 1 || text.bottom > box.bottom + 1;
    }).map(one => one.textContent)"""
    assert seen.evaluate("document.querySelectorAll('svg.picture text').length") > 20
    assert seen.evaluate(inside) == []


def test_every_button_copies_its_code(visit: Visitor, full: str) -> None:
    """The clipboard holds the block's text; the button says so and says it aloud."""
    seen = visit(full, permissions=["clipboard-read", "clipboard-write"])
    seen.unfold()
    buttons = seen.page.locator("button.copy")
    assert buttons.count() > 2
    for number in range(buttons.count()):
        button = buttons.nth(number)
        button.click()
        button.get_by_text("Copied", exact=True).wait_for()
        assert seen.page.get_by_role("status").text_content() == "Copied"
        assert seen.evaluate("navigator.clipboard.readText()") == button.locator("xpath=..").locator("code").text_content()


PASTED = """() => { const box = document.createElement('textarea'); box.id = 'pasted'; document.body.append(box); box.focus(); }"""


def test_copies_where_there_is_no_clipboard(visit: Visitor, page_of_clash: str) -> None:
    """A page that is no secure context copies the old way."""
    seen = visit(page_of_clash, before="Object.defineProperty(navigator, 'clipboard', {value: undefined})", permissions=["clipboard-read"])
    first = seen.page.locator("button.copy").first
    first.click()
    first.get_by_text("Copied", exact=True).wait_for()
    assert seen.evaluate("document.activeElement.className") == "copy"
    seen.evaluate(PASTED)
    seen.page.keyboard.press("Control+V")
    assert seen.page.locator("#pasted").input_value() == seen.page.locator("pre code").first.text_content()


def test_selects_where_it_cannot_copy(visit: Visitor, page_of_clash: str) -> None:
    """Where both ways fail the code is selected, and the reader is told."""
    seen = visit(page_of_clash, before="Object.defineProperty(navigator, 'clipboard', {value: undefined}); document.execCommand = () => false")
    seen.page.locator("button.copy").first.click()
    seen.page.get_by_text("Selected: copy it with your keyboard", exact=True).wait_for()
    assert seen.evaluate("getSelection().toString()") == seen.page.locator("pre code").first.text_content()
    assert seen.page.locator("button.copy").first.text_content().startswith("Copy: ")


def test_every_thing_is_reached_by_key(visit: Visitor, full: str) -> None:
    """Tab goes to each in the page's order, each shows that it is there, and the first leads to the findings."""
    seen = visit(full)
    seen.unfold()
    wanted = seen.evaluate("""(() => {
      const all = [...document.querySelectorAll('a[href], button, summary, [tabindex="0"]')];
      all.forEach((one, at) => one.dataset.at = at);
      return all.length;
    })()""")
    reached = []
    for _ in range(wanted):
        seen.page.keyboard.press("Tab")
        now = "document.activeElement"
        reached.append(int(seen.evaluate(f"{now}.dataset.at ?? -1")))
        assert seen.evaluate(f"getComputedStyle({now}).outlineStyle") == "solid", seen.evaluate(f"{now}.outerHTML.slice(0, 80)")
        assert seen.evaluate(f"{now}.getBoundingClientRect().width > 1 && {now}.getBoundingClientRect().left >= 0")
    assert reached == list(range(wanted))


def test_keys_alone_do_it_all(visit: Visitor, page_of_clash: str) -> None:
    """Skip to the findings, then to the first button, and copy."""
    seen = visit(page_of_clash, permissions=["clipboard-read", "clipboard-write"])
    seen.page.keyboard.press("Tab")
    seen.page.keyboard.press("Enter")
    assert seen.evaluate("document.activeElement.id") == "main"
    for _ in range(2):
        seen.page.keyboard.press("Tab")
    seen.page.keyboard.press("Enter")
    seen.page.get_by_text("Copied", exact=True).first.wait_for()
    assert seen.evaluate("navigator.clipboard.readText()") == "pixel_values = pixel_values.to(next(model.parameters()).dtype)"


def test_whole_without_scripts(visit: Visitor, full: str) -> None:
    """No button that would do nothing; all else is there."""
    seen = visit(full, java_script_enabled=False)
    assert seen.page.locator("button:visible").count() == 0
    assert seen.page.locator("h1").is_visible()
    assert seen.page.locator("svg.picture").first.is_visible()


def test_no_other_script_runs(visit: Visitor, page_of_clash: str) -> None:
    """The page's policy refuses a script that somebody put into it."""
    seen = visit(page_of_clash.replace("</main>", "<script>document.title = 'taken'</script></main>"))
    assert seen.page.title() == "ivdoctor: NOT READY"
    assert any("Content Security Policy" in one for one in seen.said)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_paper_everything_is_there(visit: Visitor, full: str, scheme: str) -> None:
    """What is folded is shown, on white, without buttons, and no wider than the paper."""
    seen = visit(full, color_scheme=scheme, viewport={"width": 700, "height": 990})
    shown = "[...document.querySelectorAll('details:not([open]) table')].map(one => one.checkVisibility())"
    assert not any(seen.evaluate(shown))
    seen.page.emulate_media(media="print")
    seen.evaluate("new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    assert len(seen.evaluate(shown)) > 2
    assert all(seen.evaluate(shown))
    assert seen.page.locator("button:visible").count() == 0
    assert seen.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert seen.overflow() <= 0
    assert len(seen.page.pdf(format="A4")) > 10_000


def test_where_print_styles_cannot_unfold_the_script_does(visit: Visitor, page_of_clash: str) -> None:
    """All is open while it is printed, and afterwards as it was."""
    seen = visit(page_of_clash)
    states = "[...document.querySelectorAll('details')].map(one => one.open)"
    before = seen.evaluate(states)
    seen.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert all(seen.evaluate(states))
    seen.evaluate("dispatchEvent(new Event('afterprint'))")
    assert seen.evaluate(states) == before
    assert not all(before)
