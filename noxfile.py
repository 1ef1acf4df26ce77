"""What CI runs and what a contributor runs: `nox` for all of it, `nox -l` for the list."""

import filecmp
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import nox
from nox.virtualenv import PassthroughEnv

nox.needs_version = ">=2024.10.9"
nox.options.error_on_missing_interpreters = False
nox.options.reuse_existing_virtualenvs = True

HERE = Path(__file__).parent
PYTHONS = ["3.10", "3.11", "3.12", "3.13"]
TESTING = ["hypothesis", "jsonschema", "junitparser", "markdown-it-py", "packaging", "pytest", "syrupy"]
"""What the suite needs beyond ivdoctor itself."""

SAMPLES = {
    "cpu": [],
    "minilm-cpu": ["--dtype", "bf16"],
    "minilm-overflow": ["--dtype", "fp16"],
    "deberta-config": [],
    "no-torch": [],
    "t4": [],
    "h100": [],
    "rtx4090x2": [],
    "cpu-wheel-beside-gpu": [],
    "wheel-without-sm120": [],
}
"""Machines of tests/machines that have a sample report, and what they are asked."""

TARGETS = {
    "target-t4-vllm": ["--target", "T4", "--dtype", "bf16", "--engine", "vllm", "--torch", "2.6+cu124"],
    "target-a100-and-p40": ["--target", "A100-SXM4-80GB", "--target", "P40", "--dtype", "fp16", "--torch", "2.13"],
}
"""Hardware that is not here, of which there is a sample report."""

SYSTEMS = {
    "system-internvideo-t4": ["InternVideo2_5_Chat_8B.json", "T4", "transformers"],
    "system-kimi-8xh200": ["Kimi-K2-Thinking.json", "8xH200", "vllm"],
}
"""Cells of the README's table of models, with a sample report: configuration, target, engine."""

TEXTS = ("explain-internvideo", "explain-vllm-t4")
"""Texts of tests/texts that have a sample report."""


def install(session: nox.Session, *what: str) -> None:
    """Into the session's environment; with --no-venv the caller's is used as it is."""
    if not isinstance(session.virtualenv, PassthroughEnv):
        session.install("-c", "constraints.txt", *what)


@nox.session(python="3.11")
def tests(session: nox.Session) -> None:
    """The whole suite, with torch."""
    install(session, "-e", ".[torch,dev]")
    session.run("pytest", *session.posargs, env={"HF_HUB_OFFLINE": "1"})


@nox.session(python=PYTHONS)
def core(session: nox.Session) -> None:
    """The suite without torch: what needs it is skipped with that reason."""
    session.install(".", *TESTING)  # without constraints: their newest versions do not all run on the oldest Python
    session.run("pytest", *session.posargs)


@nox.session(python="3.10")
def minimums(session: nox.Session) -> None:
    """The suite without torch, on the oldest versions pyproject.toml allows."""
    project = (HERE / "pyproject.toml").read_text(encoding="utf-8")
    dependencies = project.partition("\ndependencies = [")[2].partition("]")[0]
    oldest = [f"{name}=={version}" for name, version in re.findall(r'"([\w-]+)>=([\d.]+)"', dependencies)]
    session.install(".", *oldest, *TESTING)
    session.run("pytest", *session.posargs)


@nox.session(venv_backend="none", default=False)
def oldest(session: nox.Session) -> None:
    """The core, the tables and the live probes against Debian's torch 1.13, where apt can bring it."""
    interpreter = "/usr/bin/python3"
    if not debian_torch(session, interpreter):
        session.skip("Debian's python3-torch is not here, and apt cannot bring it")
    folder = Path(session.create_tmp()) / "venv"
    session.run(interpreter, "-m", "venv", "--clear", "--system-site-packages", str(folder), external=True)
    python = str(folder / "bin" / "python")
    session.run(python, "-m", "pip", "install", "-q", ".", *TESTING, external=True)
    session.run(python, "-m", "pytest", "-q", *(session.posargs or OLDEST), external=True)
    session.run(python, "-m", "ivdoctor", "check", "--thorough", external=True, success_codes=[0, 1])


OLDEST = ("tests/probes", "tests/tables", "tests/test_live.py", "tests/test_collection.py", "tests/test_places.py", "tests/test_targets.py")
"""What bears on an old torch; the trials of real models need a transformers that it does not run."""


def debian_torch(session: nox.Session, interpreter: str) -> bool:
    """Whether the system's Python has torch, installed by now where root may."""
    if has_torch(interpreter):
        return True
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        for command in (("update",), ("install", "-y", "--no-install-recommends", "python3-torch")):
            session.run("apt-get", "-q", *command, external=True, silent=True, success_codes=range(256))
    return has_torch(interpreter)


def has_torch(interpreter: str) -> bool:
    """A fixed program, and nothing of the user's in it."""
    return Path(interpreter).exists() and subprocess.run([interpreter, "-c", "import torch"], capture_output=True, check=False).returncode == 0  # noqa: S603


@nox.session(python="3.11")
def lint(session: nox.Session) -> None:
    """Style, and the layers: probes never judge, rules never look."""
    install(session, "-e", ".[dev]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")


@nox.session(python="3.11")
def types(session: nox.Session) -> None:
    """Mypy --strict over everything, with torch's own annotations."""
    install(session, "-e", ".[torch,dev]")
    session.run("mypy")


@nox.session(python="3.11")
def reports(session: nox.Session) -> None:
    """Render reports/ from tests/machines, tests/texts and the tables; `-- --check` fails where a sample is stale."""
    install(session, ".")
    check = "--check" in session.posargs
    stale = []
    commands = {name: ["check", "--snapshot", str(HERE / "tests" / "machines" / f"{name}.json"), *asked] for name, asked in SAMPLES.items()}
    commands |= {name: ["check", *asked] for name, asked in TARGETS.items()}
    commands |= {name: ["explain", str(HERE / "tests" / "texts" / f"{name}.txt")] for name in TEXTS}
    for name, command in commands.items():
        target = HERE / "reports" / name
        folder = Path(tempfile.mkdtemp()) if check else target
        formats = [f"--format={one}" for one in ("html", "markdown", "json")]
        session.run("ivdoctor", *command, *formats, "-o", f"{folder}/", success_codes=[0, 1, 3], silent=True)
        if check:
            stale += stale_in(folder, target)
    for name, (config, place, engine) in SYSTEMS.items():
        target = HERE / "reports" / name
        folder = Path(tempfile.mkdtemp()) if check else target
        session.run("python", "-m", "ivdoctor.systems_page", str(HERE / "tests" / "systems" / config), place, engine, f"{folder}/", silent=True)
        if check:
            stale += stale_in(folder, target)
    if stale:
        session.error(f"stale, run `nox -s reports`: {', '.join(stale)}")


def stale_in(folder: Path, target: Path) -> list[str]:
    """What was rendered and differs from the sample, or has none."""
    return [f"{target.name}/{file.name}" for file in folder.iterdir() if not same(file, target / file.name)]


def same(one: Path, other: Path) -> bool:
    return other.exists() and filecmp.cmp(one, other, shallow=False)


@nox.session(python="3.11")
def manual(session: nox.Session) -> None:
    """Write the README's generated parts and the JSON schema; `-- --check` fails where they are stale."""
    install(session, ".")
    session.run("python", "-m", "ivdoctor.manual", "README.md", *session.posargs)


@nox.session(python="3.11", default=False)
def cost(session: nox.Session) -> None:
    """What ivdoctor costs, as ratios; figures for notes, never a test."""
    install(session, "-e", ".[torch]")
    session.run("python", "benchmarks/cost.py", *session.posargs)
