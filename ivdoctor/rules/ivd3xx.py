"""IVD3xx: model files, quantisation, memory."""

import re
from collections.abc import Iterator

from ..facts import HALVES, SHORT_NAME, TORCH_NAME, Anatomy, Asked, Cast, Checkpoint, Host, Model, Packages, Place
from ..fates import format_of
from ..finding import Fix, Problem, Severity
from ..kernels import OWN_LOADER
from ..lines import class_name, from_pretrained
from ..memory import Weights, expands, loaded_as, room_of, weights_of
from ..rule import rule
from ..text import count, say, share
from ._quantised import cast_lines
from ._remedies import untried
from ._room import Short, ways
from ._weights import CAST, SHARE, counted, gib, some

NO_DOWNLOAD = "ivdoctor downloads nothing"

RUNTIME = 512 * 2**20
"""Bytes that a CUDA context with the libraries' workspaces takes before anything is loaded: 0.3 to 0.5 GiB (from knowledge, uncertain)."""

WHOLE = re.compile(r"^(?:GeForce|Instinct)|\b(?:[PV]100|A100|H[12]00|GH200|B[23]00)\b")
"""Targets that report the memory they are sold with, to a fiftieth: those with ECC in GDDR6 do not (from knowledge, uncertain)."""

FEW = 8
"""File names that a command may have."""

CONVERT = """\
import safetensors.torch
import torch

weights = torch.load("pytorch_model.bin", map_location="cpu", weights_only=True)
safetensors.torch.save_file({name: one.clone().contiguous() for name, one in weights.items()}, "model.safetensors", {"format": "pt"})"""
"""It keeps every weight and its dtype, which loading a model and saving it again need not."""

WIDER = {"float64": 3, "float32": 2, "bfloat16": 1, "float16": 1}
"""Rank by what fits into what: neither half format holds the other."""


@rule("IVD301", severity=Severity.ERROR)
def checkpoint_incomplete(checkpoint: Checkpoint) -> Iterator[Problem]:
    """
    Files of the checkpoint are missing, or torn.

    An index names every file of a checkpoint, and a safetensors header says how long its file is: a download that was cut
    off, a Git LFS pointer that was never fetched and a file that was damaged show without loading anything. What a loader says
    of them is often about something else.

    Source: the safetensors format, github.com/huggingface/safetensors (2026-11-23).

    ## Fix
    Download the named files again.
    """
    if not checkpoint.missing and not checkpoint.torn:
        return
    names = [*checkpoint.missing, *(line.partition(": ")[0] for line in checkpoint.torn)]
    usable = len(names) <= FEW and all(re.fullmatch(r"[A-Za-z0-9][\w.-]*", name, re.ASCII) for name in names)
    files = " ".join(names) if usable else '--include "*.safetensors" "*.safetensors.index.json"'
    yield Problem(
        message=_incomplete(len(checkpoint.missing), len(checkpoint.torn)),
        evidence=some(
            (*(say("missing: {file}", file=file) for file in checkpoint.missing), *(say("torn: {line}", line=line) for line in checkpoint.torn))
        ),
        fixes=(
            Fix(
                title=say("Download those files again; without --force-download a torn one stays in the cache"),
                kind="command",
                command=f"hf download REPOSITORY {files} --force-download",
                trial=untried(say(NO_DOWNLOAD)),
            ),
        ),
    )


def _incomplete(missing: int, torn: int) -> str:
    """Without a count of nothing."""
    if not torn:
        return count("{number} file of the checkpoint is missing", "{number} files of the checkpoint are missing", missing)
    if not missing:
        return count("{number} file of the checkpoint is torn", "{number} files of the checkpoint are torn", torn)
    return say("of the checkpoint's files {missing} are missing and {torn} torn", missing=missing, torn=torn)


@rule("IVD302", severity=Severity.ERROR)
def parameters_without_weights(cast: Cast) -> Iterator[Problem]:
    """
    The configuration asks for parameters that the files do not hold.

    The loader fills them with random numbers and says so in a log line. The model runs, its output is of no use, and whatever was
    measured on it is not about the real model. Usual where a checkpoint lacks the head of the class that loads it. The reverse, tensors
    of the files that the configuration has no place for, is a note: often a head that the class does not have, sometimes a renamed weight.

    ## Fix
    Load with the class that the checkpoint was saved from, or get the complete checkpoint.
    """
    if cast.unexpected:
        yield Problem(
            message=count(
                "{number} tensor of the files is not used by the configuration",
                "{number} tensors of the files are not used by the configuration",
                len(cast.unexpected),
            )
            + f": {cast.unexpected[0]}{', …' if len(cast.unexpected) > 1 else ''}",
            evidence=some(cast.unexpected),
            severity=Severity.NOTE,
        )
    if not cast.missing:
        return
    yield Problem(
        message=say("parameters of {model} that its files do not hold, and that were random: {count}", count=len(cast.missing), model=cast.model),
        evidence=some(cast.missing),
        fixes=(
            Fix(
                title=say("Load with the class the checkpoint was saved from: `architectures` in config.json"),
                trial=untried(say("which class was meant only its author knows")),
            ),
        ),
    )


@rule("IVD303", severity=Severity.ERROR, category="neg-oom")
def model_does_not_fit(
    model: Model,
    place: Place,
    asked: Asked,
    checkpoint: Checkpoint | None,
    anatomy: Anatomy | None,
    packages: Packages | None,
    cast: Cast | None,
    host: Host | None,
) -> Iterator[Problem]:
    """
    The weights alone are larger than the memory, or leave next to nothing of it.

    Bytes are counted from the headers, else from the configuration, in the format asked about, or in the one that the loader or the engine
    would take. Caches and what passes through the layers come on top, so that what is not found here may still not fit. The margin is a
    tenth of the memory, which vLLM leaves too. On a device that was looked at it is a warning between that and what the CUDA context
    leaves. Of a target the memory is its maker's figure. A GeForce has it all, and a board with HBM nearly (a V100 of 16 GB reports 15.8
    GiB); of others up to a tenth is not there (a T4 of 16 GB reports 14.6), so that it is an error from nine tenths on. A warning too where the weights fit only when spread over several equal devices, and a note where an
    engine was named, which spreads them when told to. Quantised weights count as they are packed: where a loader expands them, IVD311 says it.

    Source: arithmetic, proven by loads on a CPU; vLLM's `gpu_memory_utilization`; nvidia-smi of a T4 and a V100 (2026-11-23).

    ## Fix
    Load in a format of half the width where the weights are not that already, spread the model, quantise it, or take more memory.
    """
    weights = weights_of(checkpoint, anatomy)
    memory = place.memory_mib * 2**20
    if weights is None or not memory:
        return
    dtype = loaded_as(place, asked, model, checkpoint, packages)
    needed = weights.loaded(dtype)
    if needed <= SHARE * memory:
        return
    spread = place.count > 1 and needed <= room_of(place)
    several = f"{place.count} x " if place.count > 1 else ""
    yield Problem(
        message=say("the weights take {needed} of the {memory} of {title}", needed=gib(needed), memory=several + gib(memory), title=place.title),
        evidence=(
            say("as stored: {size}", size=gib(weights.loaded("auto"))),
            *(say("in {dtype}: {size}", dtype=TORCH_NAME[one], size=gib(weights.loaded(one))) for one in HALVES if _castable(weights)),
            say("memory of {place}: {size}", place=place.name, size=several + gib(memory)),
            say("the margin is a tenth of the memory; cache and activations come on top"),
            *counted(weights),
        ),
        severity=_severity(needed, memory, place, asked, spread=spread),
        fixes=ways(
            Short(
                weights=weights,
                dtype=dtype,
                place=place,
                asked=asked,
                model=model,
                checkpoint=checkpoint,
                packages=packages,
                cast=cast,
                host=host,
                format=format_of(model, checkpoint) or model.quantization if model.quantization else "",
                expanded=weights.packed and expands(place, asked, model, checkpoint, packages),
            )
        ),
    )


def _castable(weights: Weights) -> bool:
    return bool(weights.stored) and not weights.packed


def _severity(needed: int, memory: int, place: Place, asked: Asked, *, spread: bool) -> Severity | None:
    """None: as the rule has it."""
    if spread:
        return Severity.WARNING if asked.engine in OWN_LOADER else Severity.NOTE
    context = 0 if place.backend == "cpu" else RUNTIME
    measured = place.kind != "target" or place.backend == "cpu" or WHOLE.search(place.title)
    return Severity.WARNING if measured and needed + context <= memory else None


@rule("IVD304", severity=Severity.WARNING)
def pickled_checkpoint(checkpoint: Checkpoint) -> Iterator[Problem]:
    """
    The only weights are pickled files.

    Unpickling can run code that the file brings along. ivdoctor unpickles nothing: of files that torch wrote since 1.6 it reads the listing and what the
    opcodes name, which tells dtypes and sizes; older ones tell nothing before they are loaded, and what depends on that is not judged.

    Source: pytorch.org/docs, torch.load and its `weights_only` (2026-11-23).

    ## Fix
    Convert the weights to safetensors once, where their author is trusted.
    """
    if checkpoint.format != "pickle":
        return
    yield Problem(
        message=say("the weights are {count} pickled file(s), {size}, and were not unpickled", count=checkpoint.files, size=gib(checkpoint.bytes)),
        fixes=(
            Fix(
                title=say("Convert each file to safetensors once"),
                code=CONVERT,
                trial=untried(say("ivdoctor unpickles nothing")),
            ),
        ),
    )


@rule("IVD305", severity=Severity.NOTE, category="neg-remote-code-config")
def model_brings_its_own_code(model: Model, asked: Asked) -> Iterator[Problem]:
    """
    The configuration names Python code of the repository, which ivdoctor does not run unless `--trust-remote-code` says so.

    Such a model loads with `trust_remote_code=True` alone, and its code may do anything. Written for one release of
    transformers, it often breaks with the next.

    ## Fix
    Read the code, keep to one revision of it, and pass the flag.
    """
    if not model.remote_code:
        return
    yield Problem(
        message=say("{model} brings code of its own (auto_map), and it was run as you allowed", model=model.name)
        if asked.trust_remote_code
        else say("{model} brings code of its own (auto_map), and ivdoctor does not run it", model=model.name),
        evidence=tuple(say("architectures: {names}", names=", ".join(model.architectures)) for _ in model.architectures[:1]),
        fixes=(
            Fix(
                title=say("Read the code, then load that revision of it"),
                code='model = AutoModel.from_pretrained(repository, revision="…", trust_remote_code=True)',
                trial=untried(say("whether that code is to be trusted is yours to say")),
            ),
        ),
    )


@rule("IVD306", severity=Severity.NOTE, category="quant-kernel-dtype")
def quantised_model_must_not_be_cast(model: Model, asked: Asked, packages: Packages | None) -> Iterator[Problem]:
    """
    The weights are quantised: casting the model as a whole is wrong.

    What is packed is no number of that dtype. transformers refuses `.half()` and `.float()` for all such models, and `.to(dtype)` for
    bitsandbytes, GPTQ and Quark; `.bfloat16()`, and `.to(dtype)` for the others, go through without a word, and take the scales with them. The
    format in which such a model computes is chosen when it is loaded. A warning where a precision was asked for by name. Not asked where a
    server is in question, which gives nobody the model to cast.

    Source: transformers, `PreTrainedModel.to` and `.half` (5.23, 2026-11-23), and measured with bitsandbytes and compressed-tensors.

    ## Fix
    Leave out `.half()`, `.bfloat16()` and `.to(dtype)`, and name the dtype when loading.
    """
    if not model.quantization or asked.engine not in OWN_LOADER:
        return
    named = asked.dtype != "auto"
    yield Problem(
        message=say("{model} is quantised ({method}): .half() and .to(dtype) must not be used on it", model=model.name, method=model.quantization),
        evidence=(f"quantization_config.quant_method = {model.quantization}", *cast_lines(model)),
        severity=Severity.WARNING if named else None,
        fixes=(
            Fix(
                title=say("Leave the dtype to the configuration, and cast nothing afterwards"),
                code=f"""model = {from_pretrained(class_name(model), "path", '"auto"', packages, model)}""",
                trial=untried(say("its kernels are not tried here")),
            ),
        ),
    )


@rule("IVD307", severity=Severity.WARNING, category="silent-wrong-dtype")
def dtype_of_config_and_weights_differ(
    model: Model, checkpoint: Checkpoint, asked: Asked, packages: Packages | None, place: Place | None
) -> Iterator[Problem]:
    """
    The configuration names another dtype than the weights are stored in.

    A loader that is told nothing, or `auto`, follows the configuration and casts in silence: bfloat16 weights under
    `torch_dtype: float16` lose everything outside float16's range. Where the configuration names a wider
    format nothing is lost but memory, and that is a note. Quantised weights are of another dtype on purpose, and a precision asked for by
    name overrules the configuration.

    Source: transformers 5.23 and 4.40 (2026-11-22), by loading both kinds of checkpoint.

    ## Fix
    Name the dtype of the weights when loading, or set it in config.json; float32 where the device has no such arithmetic.
    """
    floats = [one for one in checkpoint.stored if one.dtype in CAST]
    if not floats or model.dtype not in CAST or model.quantization or asked.dtype != "auto" or floats[0].dtype == model.dtype:
        return
    stored, whole = floats[0], sum(one.parameters for one in floats)
    yield Problem(
        message=say("config.json says {config}, and most weights are {stored}", config=model.dtype, stored=stored.dtype),
        evidence=(
            f"config.json: dtype = {model.dtype}",
            say("{share} of {count} parameters are {stored}", share=share(stored.parameters, whole), count=whole, stored=stored.dtype),
        ),
        severity=Severity.NOTE if WIDER[model.dtype] > WIDER[stored.dtype] else None,
        fixes=(_named(stored.dtype, model, packages, place),),
    )


def _named(stored: str, model: Model, packages: Packages | None, place: Place | None) -> Fix:
    """The line with the dtype of the weights, or with float32, which holds them, where an accelerator does not compute in it."""
    short, title, dtype = SHORT_NAME.get(stored), say("Name the dtype when loading"), stored
    if short and place and place.backend != "cpu" and place.dtypes.of(short) in ("emulated", "none"):
        dtype, title = "float32", say("Load in float32, which holds them: {title} has no {dtype} arithmetic", title=place.title, dtype=stored)
    return Fix(
        title=title,
        code=f"model = {from_pretrained(class_name(model), 'path', f'torch.{dtype}', packages, model)}",
        trial=untried(say("it is a line of the caller's code")),
    )
