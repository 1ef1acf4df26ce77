"""IVD31x: quantised weights, judged before they are loaded."""

from collections.abc import Iterator

from ..evidence import BARRED
from ..facts import TORCH_NAME, Anatomy, Asked, Cast, Checkpoint, Model, Packages, Place, release
from ..fates import Fate, fate, format_of, lacks, row_of, told
from ..finding import Fix, Problem, Severity
from ..kernels import engine_row
from ..lines import class_name, from_pretrained
from ..memory import room_of, weights_of
from ..rule import rule
from ..text import say
from ._quantised import TRANSFORMERS, another, served
from ._quantised_dtype import clashes
from ._remedies import elsewhere, range_of, untried
from ._weights import gib

NATIVE_5 = (5,)
"""The transformers that asks for the packages of the table."""

OPTIMISED = """\
from transformers import CompressedTensorsConfig

model = {loaded}"""

ALLOWED = "--allow-deprecated-quantization"
"""As vLLM's own message names it."""

MEANT_TO_COMPUTE = ("fp8", "int8", "mxfp4", "nvfp4", "bnb-int8")
"""Formats that promise faster arithmetic, not only smaller weights."""


@rule("IVD310", severity=Severity.ERROR, category="neg-missing-package")
def quantisation_package_missing(model: Model, asked: Asked, packages: Packages) -> Iterator[Problem]:
    """
    The package that the quantisation needs is not installed, or not in a version that will do.

    transformers reads most quantised checkpoints by another package, and raises an ImportError without it. vLLM, SGLang and
    TensorRT-LLM bring their own: where one of them was named, nothing is said. It is a warning for hardware that is not here, where
    nobody knows what is installed, and for a transformers older than 5, which asks for less.

    Source: transformers 5.23.0, `quantizers/*.py` and `utils/import_utils.py` (2026-11-23).

    ## Fix
    Install the package in a version that the loader takes.
    """
    row = row_of(model)
    if row is None or asked.engine not in TRANSFORMERS:
        return
    lacking = lacks(row["needs"], packages)
    installed = packages.version("transformers")
    older = bool(installed and release(installed) < NATIVE_5)
    if not lacking or (older and any(packages.version(name) for name in row["older"].split(";") if name)):
        return
    messages = dict(zip(row["needs"].split(";"), row["says"].split(" | "), strict=True))
    here = say("; what is installed on {names} is not known", names=", ".join(asked.targets)) if asked.targets else ""
    yield Problem(
        message=say("{method} weights need {names}, not installed here", method=model.quantization, names=", ".join(lacking)) + here,
        evidence=(f"ImportError: {messages[lacking[0]]}", *_installed(lacking, packages), told(row)),
        severity=Severity.WARNING if older or asked.targets else None,
        fixes=(
            Fix(
                title=say("Install what is missing"),
                kind="command",
                action="version",
                command=f"pip install {' '.join(repr(one) for one in lacking)}",
                trial=untried(say("ivdoctor installs nothing")),
            ),
        ),
    )


def _installed(lacking: tuple[str, ...], packages: Packages) -> tuple[str, ...]:
    names = [one.partition(">")[0] for one in lacking]
    return tuple(say("installed: {name} {version}", name=name, version=packages.version(name)) for name in names if packages.version(name))


@rule("IVD311", severity=Severity.WARNING, category="silent-wrong-dtype")
def quantised_weights_are_expanded(
    model: Model,
    place: Place,
    asked: Asked,
    checkpoint: Checkpoint | None,
    anatomy: Anatomy | None,
    packages: Packages | None,
    cast: Cast | None,
) -> Iterator[Problem]:
    """
    Quantised weights become 16 bits when they are loaded, or with the first forward pass.

    transformers expands fp8 below compute capability 8.9 and without a GPU, MXFP4 below 7.5 and without Triton and the kernels package, and weights of
    compressed-tensors always. A log line is all that tells. An error where the
    expanded weights are more than nine tenths of the memory. A checkpoint that says nothing of its sizes is judged without them.

    Source: transformers 5.23.0, quantizers; measured with compressed-tensors 0.20.0 (2026-11-23).

    ## Fix
    An engine that keeps the weights packed, or a checkpoint in a format that stays packed.
    """
    found = fate(model, checkpoint, place, packages) if model.quantization and asked.engine in TRANSFORMERS else None
    if found is None or found.outcome != "dequantised":
        return
    wide, weights = asked.dtype == "fp32", weights_of(checkpoint, anatomy)
    before, after = (weights.loaded("auto"), weights.dequantised * (2 if wide else 1)) if weights else (0, 0)
    fits = not place.memory_mib or after <= room_of(place)
    message = say(
        "transformers expands {method} weights to {bits} bits on {title}", method=model.quantization, bits=32 if wide else 16, title=place.title
    )
    sizes = (say("as stored: {size}", size=gib(before)), say("expanded: {size}", size=gib(after))) if after else ()
    room = say("memory of {place}: {count} x {size}", place=place.name, count=place.count, size=gib(place.memory_mib * 2**20))
    said = found.shared and asked.engine and fits
    nowhere = bool(place.memory_mib) and before > room_of(place)  # packed or not: IVD303 says it
    yield Problem(
        message=message + (say(": {before} become {after}", before=gib(before), after=gib(after)) if after else ""),
        evidence=(*sizes, *((room,) if after and place.memory_mib else ()), *found.lines),
        severity=Severity.NOTE if said else None if fits else Severity.ERROR,
        category="" if fits else "neg-oom",
        fixes=(_smaller(place),) if nowhere else _kept_packed(model, place, asked, checkpoint, packages, cast),
    )


def _smaller(place: Place) -> Fix:
    """Where even the packed weights are too many, another format of as many bits is no way out."""
    trial = elsewhere(place, say("which of them is there ivdoctor does not know"))
    return Fix(title=say("Take a smaller model, or a device that holds it packed and keeps it so"), kind="hardware", action="device", trial=trial)


def _kept_packed(
    model: Model, place: Place, asked: Asked, checkpoint: Checkpoint | None, packages: Packages | None, cast: Cast | None
) -> tuple[Fix, ...]:
    fp16, row = range_of(model, cast, asked), row_of(model)
    format, wanting = format_of(model, checkpoint), lacks(row["wants"], packages) if row and packages and place.kind != "target" else ()
    fixes: list[Fix] = []
    native = engine_row("transformers", format, place)
    if wanting and native and native.outcome == "weight-only":
        title = say("Install its kernels, and the weights stay packed")
        command = f"pip install {' '.join(repr(one) for one in wanting)}"
        fixes.append(Fix(title=title, kind="command", action="version", command=command, trial=untried(say("ivdoctor installs nothing"))))
    if model.quantization == "compressed-tensors" and format == "fp8" and native and native.outcome == "native" and place.dtypes.fp8_e4m3 == "native":
        more = ", quantization_config=CompressedTensorsConfig(use_optimized_inference=True)"
        code = OPTIMISED.format(loaded=from_pretrained(class_name(model, cast), "path", '"auto"', packages, model, more=more))
        title = say("Ask transformers 5.23 for its fp8 kernels: layers that it has one for stay packed")
        fixes.append(Fix(title=title, action="kernel", code=code, trial=elsewhere(place, say("its kernels are not tried here"))))
    return (*fixes, *served(model, checkpoint, place, fp16), another(place, fp16))


@rule("IVD312", severity=Severity.ERROR, category="quant-unsupported-gpu")
def quantised_weights_refused(
    model: Model, place: Place, asked: Asked, checkpoint: Checkpoint | None, packages: Packages | None, cast: Cast | None
) -> Iterator[Problem]:
    """
    The weights cannot be loaded as what they are: by this loader, or on this device.

    transformers refuses some methods without a GPU or on an old one. Of a method that it does not know, ModelOpt's among them, it logs a
    warning and takes the stored numbers as weights: an fp8 checkpoint so loaded runs, and its output is wrong. vLLM knows fewer methods. Where an engine is
    named and its table says what it refuses, IVD503 says it.

    Source: transformers 5.23.0, `quantizers/auto.py`; vLLM 0.33.0, `config/model.py` (2026-11-23); a modelopt checkpoint so loaded, measured.

    ## Fix
    An engine that reads the method, or a checkpoint in another format.
    """
    if not model.quantization:
        return
    fp16 = range_of(model, cast, asked)
    if asked.engine == "vllm":
        yield from _unknown_to_vllm(model, checkpoint, place)
    found = fate(model, checkpoint, place, packages) if asked.engine in TRANSFORMERS else None
    if found is None or found.outcome not in ("refused", "unread") or (found.shared and asked.engine):
        return
    yield Problem(
        message=_refusal(found, model, place),
        evidence=found.lines,
        category="silent-wrong-dtype" if found.outcome == "unread" else "",
        fixes=(*served(model, checkpoint, place, fp16), another(place, fp16)),
    )


def _refusal(found: Fate, model: Model, place: Place) -> str:
    if found.outcome == "unread":
        return say("transformers does not know {method}, and takes the stored numbers as weights without their scales", method=model.quantization)
    if model.quantization == "unknown":
        return say("quantization_config names no method, and transformers refuses it")
    return say("transformers refuses {method} weights on {title}", method=model.quantization, title=place.title)


def _unknown_to_vllm(model: Model, checkpoint: Checkpoint | None, place: Place) -> Iterator[Problem]:
    """A method outside vLLM's list; one that nobody here knows may come with a plug-in."""
    row = row_of(model)
    listed = engine_row("vllm", format_of(model, checkpoint), place)
    if (row and not row["vllm_says"]) or (listed and listed.outcome == "refused"):
        return
    yield Problem(
        message=say("vLLM does not take {method} weights", method=model.quantization),
        evidence=(row["vllm_says"], told(row, "vllm_source"))
        if row
        else (f"Unknown quantization method: {model.quantization}.", "vLLM 0.33.0 (2026-11-23)"),
        severity=None if row else Severity.WARNING,
        fixes=(
            *(_all_the_same(place) for _ in [0] if row and ALLOWED in row["vllm_says"] and place.dtypes.bf16 == "native"),
            Fix(
                title=say("Take a checkpoint in a format that it knows, or another engine"),
                kind="setting",
                trial=elsewhere(place, say("no engine was started")),
            ),
        ),
    )


def _all_the_same(place: Place) -> Fix:
    """Of a method that vLLM still has, and takes when told to; those that are deprecated compute in bfloat16."""
    return Fix(
        title=say("Allow what is deprecated: vLLM still has the method, and a later release drops it"),
        kind="command",
        command=f"vllm serve PATH {ALLOWED}",
        trial=elsewhere(place, say("no engine was started")),
    )


@rule("IVD313", severity=Severity.NOTE)
def quantised_weights_save_no_time(
    model: Model, place: Place, asked: Asked, checkpoint: Checkpoint | None, packages: Packages | None
) -> Iterator[Problem]:
    """
    The weights stay packed, and the arithmetic is that of 16 bits, or slower.

    Memory is saved, time is not: the device has no units for the format, or the loader does not use them. Said where no engine was named; of
    a named one IVD503 says it.

    Source: `engines.csv`, transformers 5.23 (2026-11-23).

    ## Fix
    None is needed.
    """
    found = fate(model, checkpoint, place, packages) if model.quantization and not asked.engine else None
    if found is None or found.outcome not in ("weight-only", "emulated") or format_of(model, checkpoint) not in MEANT_TO_COMPUTE:
        return
    yield Problem(
        message=say("{method} on {title} saves memory and no time: {outcome}", method=model.quantization, title=place.title, outcome=found.outcome),
        evidence=found.lines,
    )


@rule("IVD314", severity=Severity.WARNING, category="quant-kernel-dtype")
def quantised_model_computes_in_another_dtype(
    model: Model, place: Place, asked: Asked, checkpoint: Checkpoint | None, packages: Packages | None, cast: Cast | None
) -> Iterator[Problem]:
    """
    The format that is asked for is not the one that the quantised layers compute in.

    AWQ with transformers computes in float16 on a GPU, and fbgemm in bfloat16, whatever is asked. A bitsandbytes checkpoint computes in its own
    `bnb_4bit_compute_dtype`, float32 where that is not set, and no `dtype=` changes it. An fp8 checkpoint that is expanded to
    another dtype than that of its other weights stops at the first layer. vLLM refuses a dtype that the method's kernels do not take.

    Source: transformers 5.23.0, `update_dtype` of the quantizers, and measured on a CPU with bitsandbytes 0.50.2; vLLM 0.33.0 (2026-11-23).

    ## Fix
    Name the dtype that the method computes in, or set the method's own.
    """
    if model.quantization:
        yield from clashes(model, place, asked, checkpoint, packages, range_of(model, cast, asked))


@rule("IVD315", severity=Severity.NOTE, category="quant-kernel-dtype")
def quantisation_is_not_given_again(model: Model, asked: Asked) -> Iterator[Problem]:
    """
    The checkpoint says how it is quantised, and vLLM refuses another method beside it.

    `--quantization fp8` is for weights that are not quantised. On top of a checkpoint whose configuration names another method it raises.

    Source: vLLM 0.33.0, `vllm/config/model.py` `_verify_quantization` (2026-11-23).

    ## Fix
    Leave `--quantization` out.
    """
    row = row_of(model)
    if asked.engine != "vllm" or row is None or not row["vllm"] or row["vllm_given"] == "any":
        return
    given = row["vllm_given"].split(";")
    other = "fp8" if "fp8" not in given else "awq"
    yield Problem(
        message=say("{model} is quantised already: --quantization is not given again", model=model.name),
        evidence=(say("it takes {names}, and nothing else", names=", ".join(given)), told(row, "vllm_source")),
        avoid=(
            say(
                "--quantization {other}: Quantization method specified in the model config ({method}) does not match the quantization method "
                "specified in the `quantization` argument ({other}).",
                other=other,
                method=row["vllm"],
            ),
        ),
    )


@rule("IVD316", severity=Severity.WARNING, category="fp8-unsupported-gpu")
def fp8_cache_without_fp8(model: Model, place: Place, asked: Asked, cast: Cast | None) -> Iterator[Problem]:
    """
    The checkpoint asks for a key/value cache in fp8, and the device has no fp8.

    vLLM follows the checkpoint where `--kv-cache-dtype` is not given. Below compute capability 8.9 its Triton attention refuses, and
    Turing has no other kind.

    Source: vLLM 0.33.0, `v1/attention/backends/triton_attn.py`, `flashinfer.py` and `layers/attention/attention.py` (2026-11-23).

    ## Fix
    Give `--kv-cache-dtype` in the format that the model computes in.
    """
    quantised = model.quantised
    if asked.engine != "vllm" or quantised is None or not quantised.kv_cache.startswith("fp8") or place.backend != "cuda":
        return
    if place.dtypes.fp8_e4m3 in ("native", "unknown"):
        return
    fp16 = range_of(model, cast, asked)
    half = "float16" if asked.dtype == "fp16" or place.dtypes.bf16 != "native" else TORCH_NAME["bf16"]
    trial = elsewhere(place, say("no engine was started"))
    fix = Fix(title=say("Keep the cache in {dtype}", dtype=half), kind="setting", command=f"vllm serve PATH --kv-cache-dtype {half}", trial=trial)
    if half == "float16" and fp16 in BARRED:
        fix = Fix(title=say("Take a device with fp8, or with bfloat16"), kind="hardware", trial=trial)
    yield Problem(
        message=say("the checkpoint wants its key/value cache in fp8, which {title} does not have", title=place.title),
        evidence=(
            f"kv_cache: {quantised.kv_cache}",
            "FP8 KV cache is not supported by the Triton attention backend; native FP8 (fp8e4nv) requires SM89+.",
            "vLLM 0.33.0, v1/attention/backends/triton_attn.py (2026-11-23)",
        ),
        fixes=(fix,),
    )
