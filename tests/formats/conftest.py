"""Reports to render: some made by hand, so that they stand still, one a machine in tests/machines, and some of targets."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ivdoctor.checkup import check
from ivdoctor.facts import Asked, Site
from ivdoctor.finding import Finding, Fix, Severity, Tried
from ivdoctor.formats import Format
from ivdoctor.formats.github import github
from ivdoctor.formats.html import html
from ivdoctor.formats.json import json
from ivdoctor.formats.junit import junit
from ivdoctor.formats.markdown import markdown
from ivdoctor.formats.terminal import terminal
from ivdoctor.gate import Answer
from ivdoctor.plugins import plugins
from ivdoctor.report import Broken, Chart, Grid, GridCell, Line, Loader, Passed, PlaceVerdict, Report, Rules, Series, Skipped, Subject, Tool
from ivdoctor.snapshot import load

FORMATS = {one.name: one for one in (terminal, markdown, html, json, junit, github)}
MACHINES = Path(__file__).parents[1] / "machines"
MACHINE_NAMES = sorted(path.stem for path in MACHINES.glob("*.json") if "." not in path.stem)
"""Beside each stands what it must give, `*.expected.json`."""

TOOL = Tool(version="0.1.0", tables="2026-11-22")
UNTRIED = Tried(status="not-tried", reason="it is the caller's setting")
CLASH = "Input type (c10::BFloat16) and bias type (c10::Half) should be the same"
LOADER = """import torch
from transformers import AutoModel

model = AutoModel.from_pretrained("a/model", torch_dtype=torch.{dtype})
if not torch.isfinite(model(**inputs).logits).all():
    raise SystemExit("not finite: load in float32")"""
SWITCH = "torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction"


def _cells(*texts: str) -> tuple[GridCell, ...]:
    return tuple(GridCell(text=text) for text in texts)


def _clash() -> Report:
    """Made by hand: a T4 asked for fp16 with bf16 pixels; the reproduction's texts are those of a CPU run."""
    mixed = Finding(
        code="IVD401",
        name="patch-convolution-dtype-differs",
        title="The patch convolution gets pixels in another dtype than its weights, and raises",
        severity=Severity.ERROR,
        confidence="certain",
        message=f"a fp16 model with bf16 pixels raises: {CLASH}",
        category="conv-input-param-dtype-mismatch",
        place="cuda:0",
        evidence=("6 of 9 pairs of model and pixel dtype raise on cuda:0", "does not help: casting the vision tower alone: raised as before"),
        location=Site(module="vision.patch_embedding", file="model.py", line=57, op="aten.convolution", code="x = self.patch_embedding(pixels)"),
        origin=Site(module="pixel_values", dtype="bfloat16"),
        fixes=(
            Fix(
                title="Cast the input to the model's own dtype",
                code="pixel_values = pixel_values.to(next(model.parameters()).dtype)",
                trial=Tried(
                    status="passed",
                    how="miniature",
                    where="cuda:0",
                    before=f"RuntimeError: {CLASH}",
                    after="ran, output float16",
                    metrics={"relative_l2": 0.000803},
                ),
            ),
            Fix(
                title="Cast the model to torch.bfloat16 (bf16 is emulated here, so it is slow)",
                code="model = model.to(torch.bfloat16)\npixel_values = pixel_values.to(torch.bfloat16)",
                diff="-model = model.half()\n+model = model.to(torch.bfloat16)",
                trial=Tried(status="failed", how="real-run", where="cuda:0", before="RuntimeError: another", after="CUDA out of memory"),
            ),
        ),
    )
    hidden = Finding(
        code="IVD105",
        name="devices-hidden",
        title="CUDA_VISIBLE_DEVICES hides a GPU of this machine",
        severity=Severity.WARNING,
        confidence="likely",
        message="CUDA_VISIBLE_DEVICES hides 1 device(s)",
        evidence=("CUDA_VISIBLE_DEVICES='0'",),
        fixes=(Fix(title="Unset it", kind="setting", command="unset CUDA_VISIBLE_DEVICES", safe=True, trial=UNTRIED),),
    )
    sums = Finding(
        code="IVD207",
        name="reduced-precision-reductions",
        title="Sums inside half-precision matrix products, as in `torch.matmul`, may be kept in half precision",
        severity=Severity.NOTE,
        confidence="certain",
        message="reduced-precision sums are on for 1 format(s)",
        place="cuda:0",
        fixes=(Fix(title="Switch it off", kind="setting", code=f"{SWITCH} = False", trial=UNTRIED),),
    )
    drift = Chart(
        title="Drift per module",
        place="cuda:0",
        steps=("embeddings", "encoder.layer.0.attention.self.query", "encoder.layer.0.output.dense", "pooler.dense"),
        unit="relative L2",
        series=(Series(label="bf16", values=(0.0, 0.0012, 0.0191, 0.0244)), Series(label="fp16", values=(0.0, 0.00016, -1.0, -1.0))),
        limit=0.02,
        alternative="bf16 drifts most in pooler.dense (0.0244); fp16 is not finite from encoder.layer.0.output.dense on.",
        caption="Each module's output against the same run in fp32.",
    )
    raised = GridCell(text=f"RuntimeError: {CLASH}", brief="raises", mark="bad")
    ran = GridCell(text="ran, relative L2 6.6e-04", brief="ran", mark="good")
    return Report(
        tool=TOOL,
        command="check",
        verdict=Answer.NOT_READY,
        exit_code=1,
        reason=f"IVD401 a fp16 model with bf16 pixels raises: {CLASH}",
        places=(
            PlaceVerdict(name="cpu", kind="cpu", title="AMD EPYC 7763", verdict=Answer.READY),
            PlaceVerdict(name="cuda:0", kind="cuda", title="Tesla T4", count=2, verdict=Answer.NOT_READY),
        ),
        summary=(
            Line(label="host", text="Linux x86_64, CPython 3.11.7, 24 GiB"),
            Line(label="cpu", text="AMD EPYC 7763 (zen3), 8 cores: avx2"),
            Line(label="driver", text="NVIDIA 550.54.15, CUDA 12.4: Tesla T4, Tesla T4"),
            Line(label="gpu", text="Tesla T4 (sm_75); Tesla T4 (sm_75)"),
            Line(label="torch", text="2.6.0+cu124, CUDA 12.4, sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90"),
            Line(label="environ", text="CUDA_VISIBLE_DEVICES=0"),
        ),
        subjects={
            "host": Subject(status="ok", fact={"system": "Linux", "python": "3.11.7", "memory_mib": 24105, "container": False}),
            "packages": Subject(status="ok", fact={"installed": [{"name": "torch", "version": "2.6.0+cu124"}], "broken": []}),
            "torch": Subject(status="ok", fact={"version": "2.6.0+cu124", "cuda": [12, 4]}),
            "precision": [
                Subject(status="absent", place="cpu", reason="not asked for"),
                Subject(status="ok", place="cuda:0", fact={"operations": []}),
            ],
        },
        findings=(mixed, hidden, sums),
        grids=(
            Grid(
                title="Number formats",
                place="cuda:0",
                columns=("operator", "fp16", "bf16", "fp4"),
                rows=(
                    (
                        GridCell(text="hardware"),
                        GridCell(text="native", mark="good"),
                        GridCell(text="emulated", mark="poor"),
                        GridCell(text="unknown"),
                    ),
                    (
                        GridCell(text="matmul"),
                        GridCell(text="works", mark="good"),
                        GridCell(text="slow 41x", mark="poor"),
                        GridCell(text="-"),
                    ),
                    (
                        GridCell(text="conv2d"),
                        GridCell(text="wrong", mark="bad"),
                        GridCell(text="refused: RuntimeError: no engine", brief="refused", mark="bad"),
                        GridCell(text="-"),
                    ),
                ),
                caption="Hardware by the tables (sm_75). The operations were really run.",
            ),
            Grid(
                title="Model dtype by pixel dtype",
                place="cuda:0",
                columns=("model \\ pixels", "fp16", "bf16"),
                rows=((GridCell(text="fp16"), ran, raised), (GridCell(text="bf16"), raised, ran)),
            ),
            Grid(title="Remedies", columns=("case", "cast-input"), rows=(_cells("fp16/bf16", "passed, fp16"),), caption="Each was run.", detail=True),
            Grid(
                title=drift.title,
                place=drift.place,
                columns=("module", "bf16", "fp16"),
                rows=tuple(
                    _cells(step, *(f"{one.values[at]:.3g}" if one.values[at] >= 0 else "not finite" for one in drift.series))
                    for at, step in enumerate(drift.steps)
                ),
                detail=True,
            ),
        ),
        charts=(drift,),
        loaders=(
            Loader(
                title="Load in fp16", place="cuda:0", code=LOADER.format(dtype="float16"), reason="It has `float16` only; the cast was tried here."
            ),
            Loader(title="Load in fp32", place="cpu", code=LOADER.format(dtype="float32")),
        ),
        rules=Rules(
            passed=2,
            failed=3,
            skipped=(Skipped(code="IVD202", reason="precision: not asked for", place="cpu"),),
            silent=(
                Passed(code="IVD107", title="A package is installed twice"),
                Passed(code="IVD204", title="This CPU computes without", place="cpu"),
            ),
        ),
    )


def _healthy() -> Report:
    """Made by hand: nothing found."""
    return Report(
        tool=TOOL,
        command="check",
        verdict=Answer.READY,
        exit_code=0,
        reason="nothing at or above error; no findings",
        places=(PlaceVerdict(name="cpu", kind="cpu", title="AMD EPYC 7763", verdict=Answer.READY),),
        summary=(Line(label="torch", text="2.13.0+cpu, built without CUDA"),),
        subjects={"torch": Subject(status="ok", fact={"version": "2.13.0+cpu"})},
        rules=Rules(passed=1, failed=0, silent=(Passed(code="IVD107", title="A package is installed twice"),)),
    )


def _sick() -> Report:
    """Made by hand: the looking went wrong, and so did a plugin's rule."""
    return Report(
        tool=TOOL,
        command="check",
        verdict=Answer.UNDETERMINED,
        exit_code=3,
        reason="torch crashed: the process was killed by SIGSEGV (and 2 more)",
        fail_on="warning",
        places=(PlaceVerdict(name="cpu", kind="cpu", title="CPU", verdict=Answer.UNDETERMINED),),
        summary=(Line(label="torch", text="crashed: the process was killed by SIGSEGV"),),
        subjects={
            "cpu": Subject(status="ok", reason="its brand string is empty", fact={"name": "CPU", "features": []}),
            "driver": Subject(status="absent", reason="no NVIDIA driver"),
            "mismatch": [Subject(status="timeout", place="cpu", reason="no answer after 180 s")],
            "torch": Subject(status="crashed", reason="the process was killed by SIGSEGV"),
        },
        rules=Rules(
            passed=0,
            failed=0,
            skipped=(Skipped(code="IVD101", reason="torch: the process was killed by SIGSEGV"),),
            errors=(Broken(code="ACME001", error="ZeroDivisionError: division by zero", place="cpu", builtin=False),),
        ),
    )


def _foretold() -> Report:
    """Made by hand: a T4 that is not here, asked for bf16 in vLLM; nothing was looked at."""
    emulated = Finding(
        code="IVD201",
        name="bf16-emulated",
        title="The accelerator has no bfloat16 arithmetic; PyTorch converts each operand to float32 and back",
        severity=Severity.ERROR,
        confidence="certain",
        message="Tesla T4 (Turing) has no bfloat16 arithmetic: bf16 is emulated",
        category="bf16-unsupported-gpu",
        place="Tesla T4",
        evidence=("table: tensor cores take fp16, int8 and int4; CUDA Programming Guide, Table 33 (2026-11-22)",),
        fixes=(
            Fix(
                title="Use float16 for model and input",
                code="model = model.half()\npixel_values = pixel_values.half()",
                trial=Tried(status="not-tried", reason="Tesla T4 is not here"),
            ),
        ),
    )
    refused = GridCell(text="takes fp16 and bf16 only", brief="refused", mark="bad")
    return Report(
        tool=TOOL,
        command="check",
        verdict=Answer.NOT_READY,
        exit_code=1,
        reason="by the tables alone: IVD201 Tesla T4 (Turing) has no bfloat16 arithmetic: bf16 is emulated",
        places=(
            PlaceVerdict(name="A100 SXM4 40GB", kind="target", title="A100 SXM4 40GB", architecture="Ampere", verdict=Answer.READY),
            PlaceVerdict(name="Tesla T4", kind="target", title="Tesla T4", architecture="Turing", count=8, verdict=Answer.NOT_READY),
        ),
        summary=(
            Line(label="target", text="8 x Tesla T4 (Turing, sm_75), 16 GiB, from the tables: nothing was run there"),
            Line(label="builds", text="cu126 (torch 2.6 to 2.14)"),
            Line(label="torch", text="2.6.0+cu124, CUDA 12.4, sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90"),
        ),
        subjects={"torch": Subject(status="ok", fact={"version": "2.6.0+cu124", "cuda": [12, 4]})},
        findings=(emulated,),
        grids=(
            Grid(
                title="Number formats",
                place="Tesla T4",
                columns=("operator", "fp32", "bf16"),
                rows=((GridCell(text="hardware"), GridCell(text="native", mark="good"), GridCell(text="emulated", mark="poor")),),
                caption="Hardware by the tables: CUDA Programming Guide, Table 33 (2026-11-22).",
            ),
            Grid(
                title="Kernels and libraries",
                place="Tesla T4",
                columns=("kernel", "fp32", "bf16"),
                rows=((GridCell(text="sdpa-flash"), refused, GridCell(text="refused", brief="refused", mark="bad")),),
                caption="By the tables; nothing was run for this.",
                detail=True,
            ),
            Grid(
                title="Engines",
                place="Tesla T4",
                columns=("checkpoint", "vllm", "sglang"),
                rows=(
                    (GridCell(text="bf16"), GridCell(text="--dtype auto casts to float16", brief="refused", mark="bad"), GridCell(text="-")),
                    (GridCell(text="awq"), GridCell(text="Marlin, in fp16", brief="weight-only", mark="poor"), GridCell(text="-")),
                ),
                caption="By the tables: what each does with a checkpoint of that kind on this hardware.",
            ),
        ),
        rules=Rules(
            passed=1,
            failed=1,
            skipped=(Skipped(code="IVD102", reason="driver: this machine is not judged, but A100 SXM4 40GB, Tesla T4"),),
            silent=(Passed(code="IVD103", title="The installed PyTorch carries no code for this GPU", place="Tesla T4"),),
        ),
    )


BY_HAND: dict[str, Callable[[], Report]] = {"clash": _clash, "foretold": _foretold, "healthy": _healthy, "sick": _sick}

TARGETS = {
    "t4-bf16-vllm": Asked(targets=("8xT4", "A100"), dtype="bf16", engine="vllm", torch="2.6+cu124"),
    "p40-torch": Asked(targets=("P40",), torch="2.11"),
    "not-nvidia": Asked(targets=("MI300X", "M1", "Arc A770", "zen3", "sm_130"), dtype="fp16"),
}
"""Hardware that is not here, judged by the tables as they are."""


@pytest.fixture(params=sorted(BY_HAND))
def by_hand(request: pytest.FixtureRequest) -> Report:
    """Each report made by hand."""
    return BY_HAND[request.param]()


@pytest.fixture
def clash() -> Report:
    """The richest of them."""
    return _clash()


@pytest.fixture
def foretold() -> Report:
    """The one of hardware that is not here."""
    return _foretold()


@pytest.fixture
def sick() -> Report:
    """The one where looking went wrong."""
    return _sick()


@pytest.fixture(params=[*sorted(BY_HAND), *MACHINE_NAMES, *TARGETS])
def report(request: pytest.FixtureRequest) -> Report:
    """Each report made by hand, each machine's, and some of targets."""
    name: Any = request.param
    if name in BY_HAND:
        return BY_HAND[name]()
    if name in TARGETS:
        return check(TARGETS[name])
    return check(snapshot=load((MACHINES / f"{name}.json").read_bytes(), plugins().facts()))


@pytest.fixture(params=sorted(FORMATS))
def form(request: pytest.FixtureRequest) -> Format:
    """Each format."""
    return FORMATS[request.param]
