"""The command line: argv in, a report on stdout, talk on stderr, an exit code. Nothing else knows of these."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click

from . import __version__

if TYPE_CHECKING:
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


@main.command()
@click.argument("model", required=False, type=click.Path())
@click.option("--dtype", type=click.Choice(["auto", *PRECISIONS]), default="auto", show_default=True, help="The model's precision.")
@click.option("--input-dtype", type=click.Choice(PRECISIONS), help="The precision of its float inputs.")
@click.option("--inputs", metavar="FILE.safetensors|MODULE:FUNCTION", help="What goes into MODEL.  [default: a sample through its own processor]")
@click.option(
    "--limit", "limits", multiple=True, metavar="NAME=VALUE", help="When a cast has changed too much; names and reasons: `ivdoctor rule IVD602`."
)
@click.option(
    "--format",
    "formats",
    multiple=True,
    metavar="NAME",
    help=f"{BUILTIN_FORMATS}, or a plugin's; repeatable.  [default: terminal, or by the suffix of -o]",
)
@click.option("-o", "--output", type=click.Path(), metavar="FILE|DIR/", help="Where to; a directory for several formats.  [default: stdout]")
@click.option(
    "--fail-on", type=click.Choice(["error", "warning", "never"]), default="error", show_default=True, help="From which severity the answer is no."
)
@click.option("--snapshot", type=click.Path(), metavar="FILE", help="Judge a machine that `ivdoctor collect` has recorded.")
@click.option(
    "--repro", type=click.Path(), metavar="FILE", help="Also write a script of a few lines, without ivdoctor in it, that fails the same way."
)
def check(  # noqa: PLR0917  # click passes by keyword
    model: str | None,
    dtype: str,
    input_dtype: str | None,
    inputs: str | None,
    limits: tuple[str, ...],
    formats: tuple[str, ...],
    output: str | None,
    fail_on: str,
    snapshot: str | None,
    repro: str | None,
) -> int:
    """
    Look at this machine, reproduce the InternVideo2.5 failure in miniature, try its remedies, and report.

    With MODEL, a folder that holds a Hugging Face model with safetensors, also run that model in fp32, cast it, run it again and compare.
    """
    from .checkup import check as run
    from .gate import FailOn
    from .output import CannotWrite, Outlet

    if snapshot and (model or inputs):
        raise click.UsageError("a snapshot is judged as it is: it takes no MODEL and no --inputs")
    asked = _asked(model, snapshot=snapshot, dtype=dtype, input_dtype=input_dtype, inputs=inputs, limits=limits)
    try:
        outlet = Outlet.of(formats, output)
        outlet.apart(snapshot, repro)
        recorded = _snapshot(snapshot) if snapshot else None
        report = run(asked, snapshot=recorded, fail_on=FailOn(fail_on), told=_progress)
        if repro:
            from .repro import script

            outlet.write(repro, script(report, asked))
        _say(outlet.render(report))
    except CannotWrite as error:
        raise click.ClickException(str(error)) from error
    _job_summary(outlet, report)
    for broken in outlet.broken:
        click.echo(broken, err=True)
    return outlet.exit_code(report)


@main.command()
@click.argument("model", required=False, type=click.Path())
@click.option("--inputs", metavar="FILE.safetensors|MODULE:FUNCTION", help="What goes into MODEL.  [default: a sample through its own processor]")
@click.option("-o", "--output", type=click.Path(), metavar="FILE", help="Where to.  [default: stdout]")
def collect(model: str | None, inputs: str | None, output: str | None) -> int:
    """Look at this machine, and at MODEL, and judge nothing: a snapshot, to judge elsewhere or to attach to a bug."""
    from .checkup import collect as run
    from .output import CannotWrite, path_of, writable, write

    try:
        if output:
            writable(path_of(output))
        text = run(_asked(model, inputs=inputs), told=_progress).dump()
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
@click.option(
    "--format",
    "formats",
    multiple=True,
    metavar="NAME",
    help=f"{BUILTIN_FORMATS}, or a plugin's; repeatable.  [default: terminal, or by the suffix of -o]",
)
@click.option("-o", "--output", type=click.Path(), metavar="FILE|DIR/", help="Where to; a directory for several formats.  [default: stdout]")
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
    judged_for = [_target(name) for name in targets]
    try:
        outlet = Outlet.of(formats, output)
        outlet.apart(file if file != "-" else None, None)
        with _text(file) as stream:
            told = read(stream)
        snapshot = None
        if here and told.failures:
            from .checkup import collect as look

            snapshot = look(told=_progress)
        report = run(told, here=snapshot, targets=judged_for)
        _say(outlet.render(report))
    except CannotWrite as error:
        raise click.ClickException(str(error)) from error
    _job_summary(outlet, report)
    for broken in outlet.broken:
        click.echo(broken, err=True)
    return outlet.exit_code(report)


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


def _asked(
    model: str | None,
    *,
    snapshot: str | None = None,
    dtype: str = "auto",
    input_dtype: str | None = None,
    inputs: str | None = None,
    limits: tuple[str, ...] = (),
) -> Any:
    """What the arguments say, or one clear line."""
    from .codec import Malformed, build
    from .facts import Asked

    if model == "":
        raise click.UsageError("MODEL is empty: is a variable unset?")
    if (inputs or limits) and not model and not snapshot:
        raise click.UsageError("--inputs and --limit are about a MODEL: name its folder")
    if inputs:
        _inputs(inputs)
    if model:
        from .modelfiles import Unreadable, read_config

        try:
            read_config(model)
        except Unreadable as error:
            raise click.ClickException(f"{model}: {error}") from error
    said: dict[str, Any] = {"dtype": dtype, "model": model or "", "inputs": inputs or "", "limits": dict(map(_limit, limits))}
    try:
        return build(said | ({"input_dtype": input_dtype} if input_dtype else {}), Asked)
    except Malformed as error:
        raise click.UsageError(f"--limit: {error}") from error


def _inputs(source: str) -> None:
    """Refuse at once what can be no inputs; what a function gives is seen when it is called."""
    import os

    if source.endswith(".safetensors"):
        if not os.path.isfile(source):
            raise click.UsageError(f"--inputs: there is no file {source}")
        return
    module, _, function = source.partition(":")
    if module.endswith(".py") or not (function.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        hint = f": write {module.removesuffix('.py')}:{function or 'FUNCTION'}" if module.endswith(".py") else ""
        raise click.UsageError(f"--inputs takes FILE.safetensors or MODULE:FUNCTION, not {source}{hint}")


def _limit(text: str) -> tuple[str, float]:
    """`relative_l2=0.05`."""
    from .facts import Limits

    name, _, value = text.partition("=")
    if name not in Limits.__slots__:
        raise click.UsageError(f"--limit: there is no {name!r}, only {', '.join(Limits.__slots__)}")
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise click.UsageError(f"--limit {name}: {value!r} is not a number from 0 up")
    return name, number


def _text(path: str | None) -> Any:
    """The text to read, as bytes, or one clear line."""
    import contextlib

    if path and path != "-":
        try:
            return open(path, "rb")
        except OSError as error:
            raise click.ClickException(f"{path}: {error.strerror or error}") from error
    if sys.stdin is None:
        raise click.UsageError("stdin is closed: name a FILE")
    if sys.stdin.isatty():
        click.echo("reading from the terminal: paste the failure, then Ctrl-D (Windows: Ctrl-Z and Enter)", err=True)
    return contextlib.nullcontext(sys.stdin.buffer)


def _target(name: str) -> Any:
    """The place of this name, or one clear line."""
    from .targets import AmbiguousTarget, UnknownTarget, target

    try:
        return target(name)
    except (UnknownTarget, AmbiguousTarget) as error:
        raise click.UsageError(f"--target: {error}") from error


def _snapshot(path: str) -> Any:
    """Read it, or one clear line."""
    from .codec import Malformed
    from .plugins import plugins
    from .snapshot import load

    try:
        with open(path, "rb") as file:
            return load(file.read(), plugins().facts())
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror or error}") from error
    except Malformed as error:
        raise click.ClickException(f"{path}: {error}") from error


def _progress(place: str) -> None:
    """A line on stderr for a person who waits; nothing in CI."""
    if sys.stderr.isatty():
        click.echo(f"looking at {place} ...", err=True)


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
