"""Eight public models on seven kinds of hardware: the README's table, judged by the tables alone in one supposed environment."""

from pathlib import Path

from .facts import Asked, Model, Native, Package, Packages, Version
from .finding import Severity
from .gate import Answer
from .outcome import Outcome
from .report import Report

SYSTEMS = {
    "InternVideo2_5_Chat_8B": "transformers",
    "AutoGLM-Phone-9B": "vllm",
    "Kimi-K2-Thinking": "vllm",
    "GLM-4.6V-FP8": "vllm",
    "HunyuanOCR": "transformers",
    "GLM-ASR-Nano-2512": "transformers",
    "GLM-TTS": "transformers",
    "Spark-Formalizer-X1-7B": "transformers",
}
"""The models, and the engine that their own documentation runs them with."""

PLACES = ("T4", "V100", "A100-80", "RTX 4090", "H100", "8xH200", "zen3-64GB")

SUPPOSED = {"compressed-tensors": "0.15.0", "torch": "2.13.0", "transformers": "5.23.0"}
"""What is supposed to be installed, so that the table does not change with the machine that writes it."""

WORDS = {
    "IVD201": "bf16",
    "IVD303": "size",
    "IVD320": "code",
    "IVD321": "code",
    "IVD322": "inputs",
    "IVD324": "pins",
    "IVD325": "CUDA",
    "IVD330": "cache",
    "IVD503": "engine",
}
"""What a finding is about, in a word that the README explains; another is told by its code."""


def report(config: Path, target: str, engine: str = "") -> Report:
    """As `ivdoctor check CONFIG --target TARGET --engine ENGINE` in the supposed environment."""
    from .checkup import judged
    from .plugins import plugins
    from .targets import target as place

    asked = Asked(model=str(config), targets=(target,), engine=engine)
    return judged(outcomes(config), asked, registered=plugins(), targets=(place(target),))


def outcomes(config: Path) -> tuple[Outcome, ...]:
    """What the probes about a model find in a configuration by itself, beside the supposed packages."""
    from .families import family_of
    from .probe import Absent
    from .probes.anatomy import anatomy
    from .probes.model import model

    asked = Asked(model=str(config))
    installed = tuple(Package(name=name, version=Version(version)) for name, version in SUPPOSED.items())
    found = [Outcome(subject="packages", status="ok", fact=Packages(installed=installed, shadowed=(), broken=()))]
    for look in (model, anatomy):
        try:
            found.append(Outcome(subject=look.subject, status="ok", fact=look(asked=asked)))
        except Absent as error:
            found.append(Outcome(subject=look.subject, status="absent", reason=str(error)))
    one = found[1].fact
    assert isinstance(one, Model)
    if one.model_type:
        family = family_of(one)
        if family is not None and family.native_since != "?":  # of other types the tables do not say
            native = Native(version=Version(SUPPOSED["transformers"]), model_type=one.model_type, known=bool(family.native_since))
            found.append(Outcome(subject="native", status="ok", fact=native))
    return tuple(found)


def table(folder: Path, style: str = "github") -> str:
    """A row a model, a column a place; each cell a verdict, and what it rests on in a few words."""
    from tabulate import tabulate

    rows = []
    for name, engine in SYSTEMS.items():
        cells = [cell(report(folder / f"{name}.json", target, engine)) for target in PLACES]
        rows.append((f"{name}, {engine}", *cells))
    text: str = tabulate(rows, headers=("model, engine", *PLACES), tablefmt=style, disable_numparse=True)
    return text


def cell(report: Report) -> str:
    """`ready`, `ready (inputs)` with what warns, `no: size` with what stands against it, or `unknown`."""
    errors, warnings = (
        ", ".join(dict.fromkeys(WORDS.get(one.code, one.code) for one in report.findings if one.severity is level))
        for level in (Severity.ERROR, Severity.WARNING)
    )
    if errors:
        return f"no: {errors}"
    if report.verdict is not Answer.READY:
        return "unknown"
    return f"ready ({warnings})" if warnings else "ready"


def main() -> None:
    """`python -m ivdoctor.systems_page CONFIG TARGET ENGINE FOLDER`: one cell of the table as a whole report, in each format of the samples."""
    import sys

    from .output import Outlet

    config, target, engine, folder = sys.argv[1:]
    outlet = Outlet.of(("html", "markdown", "json"), folder)
    sys.stdout.write(outlet.render(report(Path(config), target, engine)))


if __name__ == "__main__":
    main()
