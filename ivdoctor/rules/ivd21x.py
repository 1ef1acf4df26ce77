"""IVD21x: number formats where tables and runs differ, and devices that are not alike."""

from collections.abc import Iterator

from ..evidence import concerned
from ..facts import COLLAPSED, HALVES, TORCH_NAME, Asked, Checkpoint, Environ, Gpu, Host, Model, Packages, Place, Precision, Torch, release
from ..finding import Fix, Problem, Severity
from ..kernels import mps_limit
from ..rule import rule
from ..tables import architecture, dtype_row
from ..text import say
from ._remedies import elsewhere, untried

DARWIN_TO_MACOS = {20: 11, 21: 12, 22: 13, 23: 14, 24: 15, 25: 26}
"""
The kernel's major release to that of macOS; a newer kernel is not of an older macOS than the last.

Source: Apple's releases of macOS 11 to 26 and the Darwin that each reports (from knowledge, 2026-11-23).
"""


@rule("IVD210", severity=Severity.NOTE)
def run_and_tables_differ(place: Place, precision: Precision) -> Iterator[Problem]:
    """
    A format ran otherwise here than the tables say of the hardware; the run is believed.

    Native by the tables and twenty times slower than float32: a library that lacks the kernel, or settings that keep it from its instructions
    (`ONEDNN_MAX_CPU_ISA`). None by the tables and right in the run: the row is too strict. A format that is native and gives no
    result at all is IVD203's matter.

    ## Fix
    Take the run's answer; send the snapshot of `ivdoctor collect`, so that the row can be put right.
    """
    for dtype in dict.fromkeys(one.dtype for one in precision.operations):
        support = place.dtypes.of(dtype)
        ran = [one for one in precision.operations if one.dtype == dtype and one.everyday]
        if support == "native" and dtype != "fp64":
            slow = [one for one in ran if one.collapsed]
            if slow:
                found = say("{names} the time of fp32", names=", ".join(f"{one.name} {one.ratio:g}x" for one in slow))
                way_out = say("Believe the run; unset what caps the instructions, or update torch")
                why = (say("run here: from {ratio:g} times on no conversion explains it", ratio=COLLAPSED),)
                yield _differs(place, dtype, found, way_out, *why)
        elif support == "none" and ran and all(one.status == "works" for one in ran):
            found = say("{names} ran and gave right results", names=", ".join(one.name for one in ran))
            yield _differs(place, dtype, found, say("Believe the run, and send the snapshot of `ivdoctor collect`"))


def _differs(place: Place, dtype: str, found: str, way_out: str, *more: str) -> Problem:
    support = place.dtypes.of(dtype)
    return Problem(
        message=say("{dtype} is {support} on {title} by the tables; here {found}", dtype=dtype, support=support, title=place.title, found=found),
        evidence=(say("table: {note}; {source}", note=place.dtypes.note, source=place.dtypes.source), *more),
        severity=Severity.WARNING if support == "native" else None,
        fixes=(Fix(title=way_out, kind="setting", trial=untried(say("it is what ran"))),),
    )


@rule("IVD211", severity=Severity.NOTE)
def fp8_without_hardware(place: Place, asked: Asked, model: Model | None, checkpoint: Checkpoint | None) -> Iterator[Problem]:
    """
    The accelerator has no float8 arithmetic, whatever a flag or a tick in another tool says.

    `torch._scaled_mm` refuses below compute capability 8.9, on AMD outside MI300, MI350 and RDNA4. fp8 weights are then stored and
    converted before each product (weight-only), which saves memory and no time, where an engine has a kernel for it, and are dequantised to
    bfloat16 where none has, which takes twice the memory. A warning where the model's weights are float8, and nothing where they are not, or an engine was named.

    ## Fix
    Take a 16-bit or an int4 checkpoint for this device, or a device with float8 (NVIDIA from 8.9 on).
    """
    if place.backend in ("cpu", "mps") or place.dtypes.fp8_e4m3 not in ("emulated", "none"):
        return
    stored = (checkpoint.dtype if checkpoint else "").startswith("float8") or (
        model is not None and ("fp8" in model.quantization or (model.quantised is not None and model.quantised.format == "fp8"))
    )
    if model is not None and (not stored or asked.engine):
        return  # what the engine does with them IVD503 says
    how = say("fp8 weights are converted, or not taken")
    if place.dtypes.fp8_e4m3 == "emulated":
        how = say("fp8 weights can stay packed, and are converted before each product")
    yield Problem(
        message=say("{title} has no fp8 arithmetic: {how}", title=place.label, how=how),
        evidence=(say("table: {note}; {source}", note=place.dtypes.note, source=place.dtypes.source),),
        severity=Severity.WARNING if stored else None,
        fixes=(
            Fix(
                title=say("Take a 16-bit or int4 checkpoint here, or a device with fp8"),
                kind="hardware",
                trial=elsewhere(place, say("it needs other weights")),
            ),
        ),
    )


@rule("IVD212", severity=Severity.WARNING)
def devices_of_several_generations(gpu: Gpu, environ: Environ | None) -> Iterator[Problem]:
    """
    The accelerators of this machine do not carry the same formats.

    A model that is spread over them (`device_map="auto"`, tensor or data parallel) runs in what the weakest carries, at its speed; a check of
    `cuda:0` says nothing of `cuda:1`.

    ## Fix
    Choose one generation with CUDA_VISIBLE_DEVICES (on AMD HIP_VISIBLE_DEVICES), or a format that all of them carry.
    """
    rows = {}
    for one in gpu.devices:
        identifier = "sm_%d%d" % one.compute_capability if one.compute_capability else one.gfx or ""
        row = architecture(identifier, one.name)
        if row:
            rows[one.name] = dtype_row(row)
    lacking = {
        name: [dtype for dtype in ("bf16", "fp16", "fp8_e4m3") if row.of(dtype) != "native" and any(o.of(dtype) == "native" for o in rows.values())]
        for name, row in rows.items()
    }
    weak = {name: dtypes for name, dtypes in lacking.items() if dtypes}
    if not weak:
        return
    told = "; ".join(say("{title} has no native {dtypes}", title=name, dtypes=", ".join(dtypes)) for name, dtypes in weak.items())
    variable = "HIP_VISIBLE_DEVICES" if gpu.devices[0].kind == "rocm" else "CUDA_VISIBLE_DEVICES"
    shown = [one.strip() for one in ((environ.get(variable) if environ else None) or "").split(",") if one.strip()]
    named = dict(enumerate(shown))  # torch counts what the variable leaves, and the variable counts all
    strong = [named.get(one.index, str(one.index)) for one in gpu.devices if one.name in rows and one.name not in weak]
    together = Fix(
        title=say("Use the devices that carry them all") if strong else say("Use one generation at a time"),
        kind="setting",
        command=f"export {variable}={','.join(strong)}" if strong else "",
        trial=untried(say("it is the caller's setting")),
    )
    evidence = tuple(f"{one.index}: {one.name}" for one in gpu.devices)
    yield Problem(message=say("the devices differ: {told}", told=told), evidence=evidence, fixes=(together,))


@rule("IVD213", severity=Severity.NOTE, category="mps-dtype-unsupported")
def mps_lacks_a_format(
    place: Place,
    asked: Asked,
    torch: Torch | None,
    host: Host | None,
    model: Model | None,
    checkpoint: Checkpoint | None,
    packages: Packages | None,
) -> Iterator[Problem]:
    """
    Apple's GPUs take no float64 and no float8, and bfloat16 only with macOS 14 and torch 2.3.

    A tensor in such a format cannot be moved there; that is a TypeError at `.to("mps")`, not a slow path. An error where the format was asked
    for, a warning where the version of macOS that decides is not known.

    ## Fix
    Use float16 or float32 there, make float64 tensors float32 before they are moved, or update torch and macOS.
    """
    if place.backend != "mps":
        return
    version = release(torch.version) if torch else None
    kernel = release(host.release)[:1] if host and host.system == "Darwin" else ()
    macos = DARWIN_TO_MACOS.get(min(*kernel, max(DARWIN_TO_MACOS))) if kernel else None
    for dtype in ("bf16", "fp64", "fp8_e4m3"):
        row = mps_limit(dtype, version or (999,), macos)
        if row is None:
            continue
        certain = macos is not None or not row["macos_before"]
        asked_for = dtype in HALVES and concerned(dtype, place, asked, model=model, checkpoint=checkpoint, packages=packages)
        message = say("MPS takes no {dtype} here: {message}", dtype=TORCH_NAME[dtype], message=row["message"])
        if not certain:
            message = say("MPS takes {dtype} from macOS {macos} on, and the macOS is not known", dtype=TORCH_NAME[dtype], macos=row["macos_before"])
        yield Problem(
            message=message,
            evidence=(f"{row['source']} ({row['date']})",),
            severity=None if not asked_for else Severity.ERROR if certain else Severity.WARNING,
            fixes=(
                Fix(
                    title=say("Use float32 there"),
                    code="tensor = tensor.to(torch.float32).to('mps')",
                    trial=elsewhere(place, say("it is a line of the caller's code")),
                ),
                *_update(row, place),
            ),
        )


def _update(row: dict[str, str], place: Place) -> tuple[Fix, ...]:
    """What would lift a limit, where something would."""
    software, version = ("macOS", row["macos_before"]) if row["macos_before"] else ("torch", row["torch_before"])
    if not version or row["dtype"] not in HALVES:
        return ()
    title = say("Update {software} to {version} or newer", software=software, version=version)
    return (Fix(title=title, kind="command" if software == "torch" else "hardware", trial=elsewhere(place, say("ivdoctor installs nothing"))),)
