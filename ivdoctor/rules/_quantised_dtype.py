"""What quantised layers compute in, beside what is asked for."""

from collections.abc import Iterator

from ..evidence import BARRED, Range
from ..facts import SHORT_NAME, TORCH_NAME, Asked, Checkpoint, Model, Packages, Place
from ..fates import fate, row_of, told
from ..finding import Fix, Problem, Severity
from ..kernels import engine_row
from ..lines import class_name, from_pretrained
from ..text import say
from ._quantised import TRANSFORMERS, another, half_here, served
from ._remedies import caveat, elsewhere
from ._weights import CAST

GPU = ("cuda", "rocm", "xpu")

COMPUTED = """\
config = AutoConfig.from_pretrained(path)
config.quantization_config["bnb_4bit_compute_dtype"] = "{dtype}"
model = {loaded}"""
"""A checkpoint's own quantization_config wins over one that is passed: it has to be changed before."""

MEASURED = "measured on a CPU with transformers 5.23.0 and bitsandbytes 0.50.2 (2026-11-23)"


def clashes(model: Model, place: Place, asked: Asked, checkpoint: Checkpoint | None, packages: Packages | None, fp16: Range) -> Iterator[Problem]:
    """By the engine in question."""
    if asked.engine == "vllm":
        yield from _refused_by_vllm(model, place, asked, fp16)
    if asked.engine not in TRANSFORMERS:
        return
    if model.quantization == "bitsandbytes":
        yield from _bitsandbytes(model, place, asked, packages, fp16)
    found = fate(model, checkpoint, place, packages)
    if found and found.outcome in ("refused", "unread"):
        return
    if found and found.outcome == "dequantised":
        yield from _mixed(model, place, asked, checkpoint, packages, fp16)
    else:
        yield from _imposed(model, place, asked, checkpoint, packages, fp16)


def _own(model: Model, checkpoint: Checkpoint | None) -> str:
    """The dtype of what is not quantised, by torch's name: as stored, else as the configuration says; empty where neither tells."""
    floats = [one.dtype for one in checkpoint.stored if one.dtype in CAST and one.role == "weights"] if checkpoint else []
    return floats[0] if floats else model.dtype


def _meant(asked: Asked, model: Model) -> str:
    """The dtype that a loader is told, by torch's name; the model's own where none is named."""
    return model.dtype if asked.dtype == "auto" else TORCH_NAME[asked.dtype]


def _load(dtype: str, model: Model, packages: Packages | None) -> str:
    return f"model = {from_pretrained(class_name(model), 'path', dtype, packages, model)}"


def _imposed(model: Model, place: Place, asked: Asked, checkpoint: Checkpoint | None, packages: Packages | None, fp16: Range) -> Iterator[Problem]:
    """A method that computes in one dtype, or refuses one."""
    row, meant = row_of(model), _meant(asked, model)
    if row is None or not meant or place.backend not in GPU:
        return
    trial = elsewhere(place, say("its kernels are not tried here"))
    forced, takes = row["forced"], [one for one in row["takes"].split(";") if one]
    short = SHORT_NAME.get(forced or (takes[0] if takes else ""))
    if short is None or meant == forced or (takes and meant in takes):
        return
    dtype = TORCH_NAME[short]
    barred = short == "fp16" and fp16 in BARRED
    load = Fix(
        title=say("Load in {dtype}", dtype=f"torch.{dtype}") + caveat(short, place, fp16),
        action="load-dtype",
        code=_load(f"torch.{dtype}", model, packages),
        trial=trial,
    )
    message = say("{method} with transformers computes in {dtype}, not in {meant}", method=model.quantization, dtype=dtype, meant=meant)
    if not forced:
        message = say("{method} with transformers refuses {meant}: it takes {names}", method=model.quantization, meant=meant, names=", ".join(takes))
    yield Problem(
        message=message + (say(", and this model leaves float16's range") if barred else ""),
        evidence=(row["note"], told(row)),
        severity=Severity.ERROR if barred or not forced else Severity.NOTE if asked.dtype == "auto" else None,
        category="fp16-overflow" if barred else "",
        fixes=(*served(model, checkpoint, place, fp16), another(place, fp16)) if barred else (load,),
    )


def _mixed(model: Model, place: Place, asked: Asked, checkpoint: Checkpoint | None, packages: Packages | None, fp16: Range) -> Iterator[Problem]:
    """Fine-grained fp8 that is expanded takes the dtype that is asked for; its other weights keep theirs."""
    row, own = row_of(model), _own(model, checkpoint)
    if row is None or model.quantization not in ("fp8", "mxfp8") or asked.dtype == "auto" or not own or TORCH_NAME[asked.dtype] == own:
        return
    auto = Fix(
        title=say("Leave the dtype to the checkpoint: everything is {dtype} then", dtype=own),
        action="load-dtype",
        code=_load('"auto"', model, packages),
        trial=elsewhere(place, say("measured on a small model on a CPU alone")),
    )
    kept = SHORT_NAME.get(own)
    able = kept is not None and (place.dtypes.of(kept) == "native" or place.backend == "cpu") and not (kept == "fp16" and fp16 in BARRED)
    yield Problem(
        message=say(
            "asked for {asked}, transformers mixes it with {own}: the layers that were fp8 take one, and the others keep the other",
            asked=TORCH_NAME[asked.dtype],
            own=own,
        ),
        evidence=(
            "expected m1 and m2 to have the same dtype, but got: c10::BFloat16 != c10::Half",
            row["note"],
            told(row),
        ),
        severity=Severity.ERROR,
        category="matmul-dtype-mismatch",
        fixes=(*((auto,) if able else ()), *served(model, checkpoint, place, fp16), another(place, fp16)),
    )


def _bitsandbytes(model: Model, place: Place, asked: Asked, packages: Packages | None, fp16: Range) -> Iterator[Problem]:
    """A checkpoint that is quantised already: what it computes in stands in its configuration."""
    quantised, meant = model.quantised, _meant(asked, model)
    if asked.dtype != "auto" and model.dtype and meant != model.dtype:
        yield Problem(
            message=say("dtype={asked} does not reach a bitsandbytes checkpoint: it stays {own}", asked=f"torch.{meant}", own=model.dtype),
            evidence=(say("its compute dtype and its other weights are those that were saved"), MEASURED),
            fixes=(
                Fix(
                    title=say("Quantise the original weights when loading them, in that dtype"),
                    action="load-dtype",
                    trial=elsewhere(place, say("whether they are at hand ivdoctor does not know")),
                ),
            ),
        )
    if quantised is None or quantised.format != "bnb-4bit" or place.backend not in GPU:
        return
    computes, better = quantised.compute or "float32", half_here(place, fp16)
    emulated = computes == "bfloat16" and place.dtypes.bf16 in ("emulated", "none")
    lost = computes == "float16" and fp16 in BARRED
    slow = computes == "float32" and better
    if not (emulated or lost or slow):
        return
    dtype = better or "float32"
    reason = say("{title} has no {dtype}", title=place.title, dtype=computes) if emulated else ""
    reason = reason or (say("this model leaves its range") if lost else say("slower than {dtype}", dtype=better))
    kind = class_name(model)
    yield Problem(
        message=say("the 4-bit layers compute in {dtype}: {reason}", dtype=computes, reason=reason),
        evidence=(
            say("bnb_4bit_compute_dtype = {dtype}", dtype=quantised.compute or say("not set, which is float32")),
            say("a quantization_config that is passed does not change it: the checkpoint's own is used"),
            MEASURED,
        ),
        severity=Severity.NOTE if slow else None,
        category="fp16-overflow" if lost else "",
        fixes=(
            Fix(
                title=say("Set what it computes in, before it is loaded") + (caveat("fp16", place, fp16) if dtype == "float16" else ""),
                action="load-dtype",
                code=COMPUTED.format(dtype=dtype, loaded=from_pretrained(kind, "path", '"auto"', packages, model, more=", config=config")),
                trial=elsewhere(place, say("that the layers take it was measured on a CPU")),
            ),
        ),
    )


def _refused_by_vllm(model: Model, place: Place, asked: Asked, fp16: Range) -> Iterator[Problem]:
    """A dtype that the method's kernels do not take; what vLLM takes by itself where none is named is asked of the engines' table."""
    row, meant = row_of(model), _meant(asked, model)
    short = SHORT_NAME.get(meant)
    if row is None or short is None or not row["vllm_takes"]:
        return
    engine = engine_row("vllm", short, place)
    if asked.dtype == "auto":
        meant = TORCH_NAME.get(engine.auto, meant) if engine and engine.auto else "float16" if short == "fp32" else meant
    takes = row["vllm_takes"].split(";")
    if meant in takes:
        return
    half = half_here(place, fp16)
    usable = half in takes
    trial = elsewhere(place, say("no engine was started"))
    ready = Fix(
        title=say("Give vllm: --dtype {dtype}", dtype=half),
        kind="setting",
        action="load-dtype",
        command=f"vllm serve PATH --dtype {half}",
        trial=trial,
    )
    yield Problem(
        message=say("vLLM refuses {meant} for {method} weights", meant=meant, method=model.quantization),
        evidence=(
            f"torch.{meant} is not supported for quantization method {row['vllm']}. Supported dtypes: [{', '.join(f'torch.{one}' for one in takes)}]",
            told(row, "vllm_source"),
        ),
        severity=Severity.ERROR,
        fixes=(ready,) if usable else (another(place, fp16),),
    )
