"""The command line: argv in, a report on stdout, talk on stderr, an exit code. Nothing else knows of these."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click

from . import __version__
from .arguments import asked_of, bench_of, folders_of, place_of, snapshot_of, text_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from .report import Report

BUILTIN_FORMATS = "terminal, markdown, html, json, junit, github"


class Doctor(click.Group):
    """Every way out of every command ends in an exit code of the documented table."""

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run; never show a traceback for what the user did, and never call ivdoctor's own failure a finding."""
        import gc

        gc.disable()  # a short life with a few megabytes: collecting would cost a tenth of it
        kwargs["standalone_mode"] = False
        try:
            code = super().main(*args, **kwargs)
        except click.ClickException as error:
            error.show()
            code = 2
        except (click.Abort, KeyboardInterrupt):
            click.echo("interrupted", err=True)
            code = 130
        except (Exception, SystemExit) as error:  # noqa: BLE001  # exit code 4 is for exactly this
            code = _own_failure(error)
        sys.exit(code if isinstance(code, int) else 0)


@click.group(cls=Doctor, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ivdoctor")
def main() -> None:
    """
    Tell whether a model will run here at this precision, and what to change if not.

    Exit codes: 0 ready, 1 not ready, 2 wrong usage, 3 undetermined, 4 ivdoctor itself failed.
    """


PRECISIONS = ["fp32", "fp16", "bf16"]
ENGINES = ["transformers", "vllm", "sglang", "tensorrt-llm"]


def reporting(command: Callable[..., int]) -> Callable[..., int]:
    """The options of a command that ends in a report."""
    formats = f"{BUILTIN_FORMATS}, or a plugin's; repeatable.  [default: terminal, or by the suffix of -o]"
    where = "Where to; a directory for several formats.  [default: stdout]"
    command = click.option("-o", "--output", type=click.Path(), metavar="FILE|DIR/", help=where)(command)
    return click.option("--format", "formats", multiple=True, metavar="NAME", help=formats)(command)


@main.command()
@click.argument("model", required=False, type=click.Path())
@click.option("--dtype", type=click.Choice(["auto", *PRECISIONS]), default="auto", show_default=True, help="The model's precision.")
@click.option("--input-dtype", type=click.Choice(PRECISIONS), help="The precision of its float inputs.")
@click.option("--target", "targets", multiple=True, metavar="NAME", help="Judge hardware that is not here: T4, 8xH200, sm_75; repeatable.")
@click.option("--torch", metavar="VERSION", help="The torch there: 2.6, 2.6+cu124.  [default: none in particular]")
@click.option("--engine", type=click.Choice(ENGINES), help="Also judge what this engine takes there.")
@click.option("--thorough", is_flag=True, help="Run every operator class in every format, not the few of every model.")
@click.option("--inputs", metavar="FILE.safetensors|MODULE:FUNCTION", help="What goes into MODEL.  [default: a sample through its own processor]")
@click.option(
    "--limit", "limits", multiple=True, metavar="NAME=VALUE", help="When a cast has changed too much; names and reasons: `ivdoctor rule IVD602`."
)
@click.option("--trust-remote-code", is_flag=True, help="Let MODEL's own code run, in a process of its own; never otherwise.")
@reporting
@click.option(
    "--fail-on", type=click.Choice(["error", "warning", "never"]), default="error", show_default=True, help="From which severity the answer is no."
)
@click.option("--snapshot", type=click.Path(), metavar="FILE", help="Judge a machine that `ivdoctor collect` has recorded.")
@click.option(
    "--repro", type=click.Path(), metavar="FILE", help="Also write a script of a few lines, without ivdoctor in it, that fails the same way."
)
def check(formats: tuple[str, ...], output: str | None, fail_on: str, **given: Any) -> int:
    """
    Look at this machine, reproduce the InternVideo2.5 failure in miniature, try its remedies, and report.

    With MODEL, a folder that holds a Hugging Face model with safetensors, also run that model in fp32, cast it, run it again and compare. Of a
    config.json what transformers has of that model is run without weights, in every combination of dtypes; a GGUF file or an adapter is read.

    With --target nothing is looked at or run here but MODEL's files: the verdict is about hardware that is elsewhere, from tables with their sources;
    with --thorough MODEL's dtype flow is made as well.
    """
    from .checkup import check as run
    from .gate import FailOn
    from .output import CannotWrite, Outlet

    asked, snapshot, repro = asked_of(**given), given["snapshot"], given["repro"]
    try:
        outlet = Outlet.of(formats, output)
        outlet.apart(snapshot, repro)
        recorded = snapshot_of(snapshot) if snapshot else None
        report = run(asked, snapshot=recorded, fail_on=FailOn(fail_on), told=_progress, slow=_waiting)
        if repro:
            from .repro import script

            outlet.write(repro, script(report, asked))
        _say(outlet.render(report))
    except CannotWrite as error:
        raise click.ClickException(str(error)) from error
    return _done(outlet, report)


@main.command()
@click.argument("model", required=False, type=click.Path())
@click.option("--inputs", metavar="FILE.safetensors|MODULE:FUNCTION", help="What goes into MODEL.  [default: a sample through its own processor]")
@click.option("--thorough", is_flag=True, help="Run every operator class in every format.")
@click.option("--trust-remote-code", is_flag=True, help="Let MODEL's own code run, in a process of its own; never otherwise.")
@click.option("-o", "--output", type=click.Path(), metavar="FILE", help="Where to.  [default: stdout]")
def collect(output: str | None, **given: Any) -> int:
    """Look at this machine, and at MODEL, and judge nothing: a snapshot, to judge elsewhere or to attach to a bug."""
    from .checkup import collect as run
    from .output import CannotWrite, path_of, writable, write

    try:
        if output:
            writable(path_of(output))
        text = run(asked_of(**given), told=_progress, slow=_waiting).dump()
        if output:
            write(path_of(output), text)
        else:
            _say(text)
    except CannotWrite as error:
        raise click.ClickException(str(error)) from error
    return 0


@main.command()
@click.argument("file", required=False, type=click.Path())
@click.option("--here", is_flag=True, help="Choose between the fixes by this machine, not by what the text names.")
@click.option("--target", "targets", multiple=True, metavar="NAME", help="Choose by this hardware: T4, `A100-SXM4-80GB`, sm_75; repeatable.")
@reporting
def explain(file: str | None, here: bool, targets: tuple[str, ...], formats: tuple[str, ...], output: str | None) -> int:
    """
    Read a failure from FILE or from stdin: its cause, the fixes in their order, and what not to do.

    FILE is a log of any size, a traceback, or an issue's text; hardware and versions that it names choose between the fixes. Exit code 0
    where a failure was recognised, 3 where none was.
    """
    from .explanation import explain as run
    from .explanation import read
    from .output import CannotWrite, Outlet

    if file == "":
        raise click.UsageError("FILE is empty: is a variable unset?")
    if here and targets:
        raise click.UsageError("--here and --target exclude each other")
    judged_for = [place_of(name) for name in targets]
    try:
        outlet = Outlet.of(formats, output)
        outlet.apart(file if file != "-" else None, None)
        with text_of(file) as stream:
            told = read(stream)
        snapshot = None
        if here and told.failures:
            from .checkup import collect as look

            snapshot = look(told=_progress)
        report = run(told, here=snapshot, targets=judged_for)
        _say(outlet.render(report))
    except CannotWrite as error:
        raise click.ClickException(str(error)) from error
    return _done(outlet, report)


@main.command()
@click.argument("code")
def rule(code: str) -> int:
    """Show a rule's page in the manual."""
    from .manual import page, suggest
    from .plugins import plugins
    from .text import say

    rules = plugins().rules
    found = next((one for one in rules if code.upper() == one.code or code.lower() == one.name), None)
    if found is None:
        raise click.ClickException(say("there is no rule {code}; the nearest: {codes}", code=code, codes=", ".join(suggest(code, rules))))
    _say(page(found))
    return 0


@main.command()
def rules() -> int:
    """List every rule."""
    from .manual import index
    from .plugins import plugins

    _say(index(plugins().rules))
    return 0


@main.command()
@click.argument("name", required=False)
@click.option("--vendor", metavar="NAME", help="Of this vendor alone: nvidia, amd, intel, apple, ...")
@click.option("--arch", metavar="NAME", help="Of this architecture: Turing, sm_75, 7.5, CDNA3, gfx942.")
@click.option("--memory", type=click.IntRange(min=0), metavar="GIB", help="With at least this much memory.")
@click.option("--dtype", "dtypes", multiple=True, metavar="FORMAT", help="That compute natively in it: bf16, fp8, int4; repeatable.")
@click.option("--format", type=click.Choice(["table", "json"]), default="table", show_default=True, help="How to write it.")
def targets(name: str | None, format: str, **filters: Any) -> int:
    """
    List the accelerators of the tables, or tell all that they say of one.

    With NAME, any that --target takes (T4, 8xH200, sm_75, gfx942, zen4): its number formats, what goes wrong there, which builds of torch
    carry code for it, and what kernels and engines do with a format; with sources. Nothing is looked at or run here.
    """
    from . import catalogue

    if name == "":
        raise click.UsageError("NAME is empty: is a variable unset?")
    if name:
        if any(one not in (None, ()) for one in filters.values()):
            raise click.UsageError("--vendor, --arch, --memory and --dtype are about the list: they do not go with a NAME")
        from . import catalogue_page as one

        place = place_of(name, option="")
        _say(one.document(place) if format == "json" else one.page(place))
        return 0
    try:
        found = catalogue.catalogue(**filters)
    except catalogue.UnknownChoice as error:
        raise click.UsageError(str(error)) from error
    if not found:
        from .text import say

        click.echo(say("no accelerator of the tables is all of that"), err=True)
    _say(catalogue.document(found) if format == "json" else catalogue.listing(found))
    return 0


@main.command()
@click.argument("folders", nargs=-1, metavar="[FOLDER]...", type=click.Path())
@click.option("--target", "targets", multiple=True, metavar="NAME", help="A column for hardware that is not here: T4, 8xH200, sm_75; repeatable.")
@click.option("--engine", type=click.Choice(ENGINES), help="Of a target: judge what this engine takes there.")
@click.option("--dtype", type=click.Choice(["auto", *PRECISIONS]), default="auto", show_default=True, help="Of a target: the models' precision.")
@click.option("--format", type=click.Choice(["table", "markdown", "json", "csv"]), help="How to write it.  [default: table, or by the suffix of -o]")
@click.option("-o", "--output", type=click.Path(), metavar="FILE", help="Where to.  [default: stdout]")
@click.option("--sort", type=click.Choice(["size", "name"]), help="In which order.  [default: of a cache newest first, else by name]")
def census(folders: tuple[str, ...], format: str | None, output: str | None, sort: str | None, **wanted: Any) -> int:
    """
    List the models in FOLDERs: what is stored of each, in which dtype, what loading makes of it, and what is missing.

    FOLDER is a model's, or has models below it; without one, the local caches of huggingface_hub and ModelScope are gone through. With
    --target, each model also gets the word of `ivdoctor check MODEL --target NAME`. No weight is read, and nothing is loaded or run.

    Exit codes: 0 all could be read, 2 wrong usage, 3 some model could not be read.
    """
    from .census import census as run
    from .census import ordered
    from .census_page import SUFFIXES, rendered

    paths, (asked, judge, probes) = folders_of(folders), bench_of(**wanted)
    target = _file(output) if output else None
    if target and not format and target.suffix not in ("", ".txt", *SUFFIXES):
        raise click.UsageError(f"-o {target.name}: the suffix tells the format: {', '.join(SUFFIXES)}; or name it with --format")
    found = ordered(run(paths, asked, judged_for=judge, probes=probes, told=_counting()), sort)
    text = rendered(found, format or (SUFFIXES.get(target.suffix) if target else None) or "table")
    if target:
        _write(target, text)
    else:
        _say(text)
    for remark in found.remarks:
        click.echo(remark, err=True)
    return 0 if found.whole else 3


def _progress(place: str) -> None:
    """A line on stderr for a person who waits; nothing in CI."""
    if sys.stderr.isatty():
        click.echo(f"looking at {place} ...", err=True)


def _waiting(what: str, seconds: float) -> None:
    """A line on stderr, in CI too, for each thing that takes more than two seconds; at a terminal again every ten."""
    from .progress import AGAIN

    if seconds < AGAIN or sys.stderr.isatty():
        click.echo(f"looking at {what} ({seconds:.0f} s) ...", err=True)


def _file(output: str) -> Any:
    """The path of an output that can be written, or one clear line."""
    from .output import CannotWrite, path_of, writable

    try:
        writable(path_of(output))
    except CannotWrite as error:
        raise click.ClickException(str(error)) from error
    return path_of(output)


def _write(path: Any, text: str) -> None:
    from .output import CannotWrite, write

    try:
        write(path, text)
    except CannotWrite as error:
        raise click.ClickException(str(error)) from error


def _counting() -> Callable[[int, int], None]:
    """A line on stderr every two seconds for a person who waits; nothing in CI."""
    import time

    last = time.monotonic()

    def told(done: int, whole: int) -> None:
        nonlocal last
        if time.monotonic() - last > 2 and sys.stderr.isatty():  # noqa: PLR2004  # seconds
            last = time.monotonic()
            click.echo(f"{done} of {whole} models read ...", err=True)

    return told


def _say(text: str) -> None:
    """To stdout, without colour where there is no terminal or NO_COLOR is set."""
    import os

    if not text:
        return
    try:
        click.echo(text, nl=False, color=False if os.environ.get("NO_COLOR") else None)
        if sys.stdout is None:
            raise click.ClickException("stdout is closed")
        sys.stdout.flush()
    except BrokenPipeError:  # the reader went away (`| head`): nothing to say to it, and nothing more to flush at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise click.ClickException(f"stdout: {error.strerror or error}") from error


def _done(outlet: Any, report: Report) -> int:
    """What is left to say once the report is out, and the exit code."""
    _job_summary(outlet, report)
    for broken in outlet.broken:
        click.echo(broken, err=True)
    return int(outlet.exit_code(report))


def _job_summary(outlet: Any, report: Report) -> None:
    """GitHub shows the file named in GITHUB_STEP_SUMMARY on the run's page; without it the verdict stands all the same."""
    import os

    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if path and "github" in outlet.names:
        from .output import CannotWrite, append

        try:
            append(path, outlet.text("markdown", report))
        except CannotWrite as error:
            click.echo(f"GITHUB_STEP_SUMMARY: {error}", err=True)


def _own_failure(error: BaseException) -> int:
    """One line, and the traceback for whoever reports it; paths and names scrubbed."""
    import traceback

    from .redact import Identity, Redactor

    clean = Redactor(Identity.here()).text
    click.echo(clean("".join(traceback.format_exception(error))), err=True)
    click.echo(f"ivdoctor itself failed: {clean(f'{type(error).__name__}: {error}')}", err=True)
    return 4
