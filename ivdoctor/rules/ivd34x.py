"""IVD34x: adapters, and what pickled weights bring along."""

from collections.abc import Iterator

from ..facts import TORCH_NAME, Adapter, Asked, Checkpoint, Packages
from ..finding import Fix, Problem, Severity
from ..lines import from_pretrained
from ..rule import rule
from ..text import count, say
from ._remedies import untried
from ._weights import CAST, gib, some

LOST = {"bfloat16": 512, "float16": 4096}
"""The part of a weight below which a change of it is always rounded away: half a step of that format."""

ROUNDED = ("bitsandbytes", "hqq", "torchao")
"""Methods whose weights PEFT dequantises, changes and quantises again. Source: peft 0.21.2, tuners/lora/bnb.py, hqq.py, torchao.py (2026-11-23)."""

REFUSED = {
    "gptq": "ValueError: Cannot merge LORA layers when the model is gptq quantized",
    "awq": "NotImplementedError",
    "aqlm": "NotImplementedError",
    "eetq": "AttributeError: Merging LoRA layers is not supported for Eetq layers.",
    "fp8": "RuntimeError: Promotion for Float8 Types is not supported, attempted to promote Float8_e4m3fn and Float",
}
"""
What `merge_and_unload` raises on a base of this method.

Source: peft 0.21.2, tuners/lora/model.py, awq.py, aqlm.py, eetq.py and BaseTunerLayer.merge; fp8: measured with FP8Linear of transformers
5.23 and torch 2.13 (2026-11-23).
"""

LORA = ("LORA", "")
"""The method of which the above is known."""

MERGE = """\
base = {load}
model = PeftModel.from_pretrained(base, "ADAPTER").merge_and_unload()"""


@rule("IVD340", severity=Severity.NOTE)
def adapter_is_merged_into_a_narrower_base(adapter: Adapter, asked: Asked) -> Iterator[Problem]:
    """
    The adapter and its base have two dtypes: merging rounds the adapter.

    Both run together as they are. Whatever it is stored in, PEFT holds an adapter in float32 (`autocast_adapter_dtype`), casts what goes
    into it and casts back what comes out. Merged, a weight keeps the base's dtype, and a change of it below half a step is lost: 1/512 of
    the weight in bfloat16, 1/4096 in float16. Of a change as large as 2% of the weights, 8% was lost in bfloat16 and 1% in float16.

    Source: peft 0.21.2, cast_adapter_dtype; all nine pairs of dtypes run and merged with a tiny Llama, torch 2.13 (2026-11-23).

    ## Fix
    Leave the adapter unmerged where its precision counts, or merge in float32 and stay there. Nothing has to change for it to run.
    """
    own, base = _dtype(adapter), _base_dtype(adapter, asked)
    if not own or own == base or base not in LOST or adapter.base_quantization:
        return
    held = sum(one.parameters for one in adapter.stored if one.dtype in CAST)
    yield Problem(
        message=say("the adapter is stored in {own} and its base is in {base}: both run together, and merging rounds to {base}", own=own, base=base),
        evidence=(
            say(
                "adapter: {size} as stored, {held} as PEFT holds it, in float32",
                size=gib(sum(one.bytes for one in adapter.stored)),
                held=gib(4 * held),
            ),
            say("merged into {base}, a change of a weight by less than 1/{part} of it is lost", base=base, part=LOST[base]),
            *(say("saved whole, and cast to the base's dtype: {names}", names=", ".join(some(adapter.merged))) for _ in adapter.merged[:1]),
        ),
        fixes=(
            Fix(
                title=say("Leave it unmerged, as it is loaded"),
                code='model = PeftModel.from_pretrained(base, "ADAPTER")',
                trial=untried(say("it was measured with another model")),
            ),
        ),
        avoid=(say(".half() or .to(dtype) after loading: it casts the adapter too, out of the float32 that PEFT keeps it in"),),
    )


@rule("IVD341", severity=Severity.NOTE)
def adapter_on_a_quantised_base(adapter: Adapter, asked: Asked, packages: Packages | None) -> Iterator[Problem]:
    """
    The base is quantised: the adapter runs beside it, and merging rounds or is refused.

    PEFT adds what the adapter computes to what the quantised layer does. Merging needs the weights themselves: of bitsandbytes, HQQ and
    torchao (int8) they are dequantised, changed and quantised again; for GPTQ, AWQ, AQLM, EETQ and fp8 `merge_and_unload` raises. For
    other methods PEFT has no layer of its own, and whether it works is unknown: a warning.

    Source: peft 0.21.2, tuners/lora (2026-11-23).

    ## Fix
    Leave the adapter unmerged, or merge it into the base before quantisation and quantise the result.
    """
    method = adapter.base_quantization
    if not method:
        return
    known = adapter.method.upper() in LORA and (method in ROUNDED or method in REFUSED)
    yield Problem(
        message=_merging(adapter, known=known),
        evidence=tuple(say("merge_and_unload raises {error}", error=REFUSED[method]) for _ in [0] if known and method in REFUSED),
        severity=None if known else Severity.WARNING,
        fixes=(
            Fix(
                title=say("Leave it unmerged, as it is loaded") if known else say("Try it unmerged, with one short input"),
                code='model = PeftModel.from_pretrained(base, "ADAPTER")',
                trial=untried(say("ivdoctor loads no base for it")),
            ),
            Fix(
                title=say("Merge into the base that is not quantised, and quantise the result"),
                code=MERGE.format(load=from_pretrained("AutoModelForCausalLM", '"BASE"', _torch_dtype(asked), packages)),
                trial=untried(say("which base that is only the author of the quantised one knows")),
            ),
        ),
    )


def _merging(adapter: Adapter, *, known: bool) -> str:
    base, method, own = adapter.base or say("the base"), adapter.base_quantization, adapter.method or say("this kind")
    if not known:
        return say(
            "{base} is quantised ({method}): whether PEFT runs and merges adapters of {own} on it is unknown", base=base, method=method, own=own
        )
    if method in REFUSED:
        return say("{base} is quantised ({method}): the adapter runs beside it, and PEFT refuses to merge it", base=base, method=method)
    return say("{base} is quantised ({method}): the adapter runs beside it, and merging rounds it to the quantised steps", base=base, method=method)


@rule("IVD342", severity=Severity.NOTE)
def base_of_the_adapter_is_not_here(adapter: Adapter) -> Iterator[Problem]:
    """
    The model that the adapter belongs to is not on this machine.

    An adapter is a small part of a model. What its base is stored in, whether it is quantised, how much memory it takes and whether its
    formats run here is unknown without it. It is looked for at the path or under the name that the adapter gives, and in the cache of
    huggingface_hub.

    ## Fix
    Download the base, and name it to `ivdoctor check` too.
    """
    if adapter.base_dtype or adapter.base_quantization:
        return
    if adapter.base:
        message = say("{base}, the base of the adapter, is not at hand: its dtype, size and quantisation are unknown", base=adapter.base)
    else:
        message = say("the adapter does not say which model it belongs to: nothing is known of that")
    yield Problem(
        message=message,
        fixes=(
            Fix(
                title=say("Download the base, and check it by itself"),
                kind="command",
                command="ivdoctor check BASE",
                trial=untried(say("ivdoctor downloads nothing")),
            ),
        ),
    )


@rule("IVD343", severity=Severity.ERROR, category="neg-other")
def adapter_without_weights(adapter: Adapter) -> Iterator[Problem]:
    """
    The adapter has a configuration and no weights.

    PEFT loads `adapter_model.safetensors`, or `adapter_model.bin` where that is not there. With neither it looks on the hub for a
    repository of the folder's name, and raises. A training run that broke off leaves such a folder, and so does a download of the
    configuration alone.

    Source: peft 0.21.2, load_peft_weights (2026-11-23).

    ## Fix
    Download the adapter again, or save it again with `model.save_pretrained(folder)`.
    """
    if adapter.stored:
        return
    yield Problem(
        message=say(
            "the adapter has a configuration and no weights: neither {first} nor {second} is there",
            first="adapter_model.safetensors",
            second="adapter_model.bin",
        ),
        fixes=(
            Fix(
                title=say("Download the adapter again, with its weights"),
                kind="command",
                command="hf download REPOSITORY adapter_config.json adapter_model.safetensors",
                trial=untried(say("ivdoctor downloads nothing")),
            ),
        ),
    )


@rule("IVD344", severity=Severity.WARNING)
def pickle_names_foreign_code(checkpoint: Checkpoint) -> Iterator[Problem]:
    """
    Pickled weights name code that torch.save does not write for tensors.

    A pickle may name any function, and whoever unpickles it imports that function and often calls it. Tensors in dictionaries need a few
    of torch's own. Others are objects of a training framework that were saved along, or an attack. With `weights_only=True`, the default
    since torch 2.6 and what transformers passes, loading refuses nearly all of them: the checkpoint does not load. Without it, they run.

    Source: torch 2.13, torch/_weights_only_unpickler.py (2026-11-23).

    ## Fix
    Take safetensors weights of the same model. Where there are none, and the author is trusted, convert them once, on a machine without secrets.
    """
    if not checkpoint.foreign:
        return
    yield Problem(
        message=count(
            "the pickled weights name {number} function or class that tensors do not need",
            "the pickled weights name {number} functions or classes that tensors do not need",
            len(checkpoint.foreign),
        )
        + f": {', '.join(checkpoint.foreign[:3])}{', …' if len(checkpoint.foreign) > 3 else ''}",  # noqa: PLR2004  # what fits on a line
        evidence=some(checkpoint.foreign),
        fixes=(
            Fix(
                title=say("Take safetensors weights, which name no code; else let torch refuse what is no tensor"),
                code='weights = torch.load("pytorch_model.bin", map_location="cpu", weights_only=True)',
                trial=untried(say("ivdoctor unpickles nothing")),
            ),
        ),
        avoid=(say("weights_only=False: it runs whatever the file names"),),
    )


def _dtype(adapter: Adapter) -> str:
    """What most of it is stored in, where that is a floating format that a loader casts."""
    return next((one.dtype for one in adapter.stored if one.dtype in CAST), "")


def _base_dtype(adapter: Adapter, asked: Asked) -> str:
    """What the base is loaded in, where that is known."""
    return adapter.base_dtype if asked.dtype == "auto" else TORCH_NAME[asked.dtype]


def _torch_dtype(asked: Asked) -> str:
    return '"auto"' if asked.dtype == "auto" else f"torch.{TORCH_NAME[asked.dtype]}"
