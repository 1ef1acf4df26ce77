"""IVD33x: what is left of the memory once the weights are loaded."""

from collections.abc import Iterator

from ..facts import Anatomy, Asked, Checkpoint, Model, Packages, Place
from ..finding import Fix, Problem, Severity
from ..kernels import OWN_LOADER
from ..memory import SHARE, Keeping, held, keeping, room_of, weights_of
from ..rule import rule
from ..text import say
from ._remedies import elsewhere
from ._weights import counted, gib

LEFT = 1.2
"""
What inference takes of the weights' bytes, by the rule of thumb: up to a fifth on top.

Source: EleutherAI, Transformer Math 101, which the memory estimator of Accelerate repeats (2026-11-23).
"""

USUAL = 8192
"""Tokens below which a chat or a page of a document does not fit: a warning."""

ROUND = 256


@rule("IVD330", severity=Severity.NOTE, category="neg-oom")
def context_does_not_fit(
    model: Model, place: Place, asked: Asked, checkpoint: Checkpoint | None, anatomy: Anatomy | None, packages: Packages | None
) -> Iterator[Problem]:
    """
    The weights fit, and the key/value cache at the model's full context does not.

    Every token that was read stays in the cache: 2 x layers x key/value heads x head size numbers, the latent alone where the attention is
    compressed and the engine keeps it so, the last tokens alone in layers with a window. Counted for one sequence, within nine tenths of the
    memory. transformers runs until the memory is full. vLLM refuses to start unless it is told a shorter length, which is an error where
    weights and cache are more than the whole memory and else a warning. A warning too where fewer than 8,192 tokens fit.

    Source: the cache of transformers 5.23.0, measured for some 130 families; vLLM's message in vllm#16118 and vllm#34076 (2026-11-23).

    ## Fix
    Limit the length, keep the cache in fp8, or take more memory.
    """
    weights, kept = weights_of(checkpoint, anatomy), keeping(place, asked, model, checkpoint, packages)
    if weights is None or kept is None or not place.memory_mib or not model.context:
        return
    needed = held(weights, place, asked, model=model, checkpoint=checkpoint, packages=packages)
    tokens = kept.tokens(needed, place)
    if needed > room_of(place) or tokens is None or tokens >= model.context:
        return
    full = kept.bytes(model.context)
    yield Problem(
        message=say(
            "about {tokens} of {context} tokens fit beside the weights on {title}",
            tokens=f"{tokens:,}",
            context=f"{model.context:,}",
            title=_several(place),
        ),
        evidence=(
            say("weights: {size}", size=gib(needed)),
            say("cache at {context} tokens: {size}", context=f"{model.context:,}", size=gib(full)),
            say("of a token: {size} KiB", size=f"{kept.bytes(1) / 2**10:,.1f}"),
            say("memory for both: {size}, nine tenths of {memory}", size=gib(room_of(place)), memory=gib(place.memory_mib * 2**20 * place.count)),
            *_refused(asked),
            *counted(weights),
        ),
        severity=_graver(asked, tokens, needed + full > place.memory_mib * 2**20 * place.count),
        fixes=tuple(_shorter(place, asked, kept, tokens)),
    )


def _several(place: Place) -> str:
    return f"{place.count} x {place.title}" if place.count > 1 else place.title


def _refused(asked: Asked) -> tuple[str, ...]:
    message = "ValueError: To serve at least one request with the models's max seq len (...), (... GiB KV cache is needed, which is larger than"
    return (f"{message} the available KV cache memory (... GiB)",) if asked.engine == "vllm" else ()


def _graver(asked: Asked, tokens: int, beyond: bool) -> Severity | None:
    """None: as the rule has it."""
    if asked.engine == "vllm":
        return Severity.ERROR if beyond else Severity.WARNING
    return Severity.WARNING if tokens < USUAL else None


def _shorter(place: Place, asked: Asked, kept: Keeping, tokens: int) -> Iterator[Fix]:
    trial = elsewhere(place, say("it is arithmetic, and leaves out what passes through the layers"))
    fits = tokens // ROUND * ROUND
    if asked.engine == "vllm" and fits:
        command = f"vllm serve PATH --max-model-len {fits}"
        yield Fix(title=say("Limit the length; the engine's own message names the exact one"), kind="command", command=command, trial=trial)
    elif asked.engine in OWN_LOADER and fits:
        yield Fix(title=say("Limit what is read and written together"), code=f"output = model.generate(**inputs, max_length={fits})", trial=trial)
    if asked.engine == "vllm" and place.dtypes.fp8_e4m3 == "native" and kept.width > 1:
        title = say("Keep the cache in fp8: about twice the tokens, at a small loss")
        yield Fix(title=title, kind="command", command="vllm serve PATH --kv-cache-dtype fp8", trial=trial)
    if asked.engine in OWN_LOADER and place.backend not in ("cpu", "mps", ""):
        code = 'output = model.generate(**inputs, cache_implementation="offloaded")'
        yield Fix(title=say("Keep the cache in the host's memory: slower"), code=code, trial=trial)
    yield Fix(title=say("Take more memory"), kind="hardware", action="device", trial=trial)


@rule("IVD331", severity=Severity.NOTE, category="neg-oom")
def memory_is_tight(
    model: Model, place: Place, asked: Asked, checkpoint: Checkpoint | None, anatomy: Anatomy | None, packages: Packages | None
) -> Iterator[Problem]:
    """
    The weights fit, and what inference takes on top of them may not.

    By the usual rule of thumb inference takes up to a fifth more than the weights, and a tenth of the memory is left to the runtime: from
    three quarters of the memory on it is tight. Nothing is said where IVD303 or IVD330 has said more.

    Source: EleutherAI, Transformer Math 101 (a fifth); vLLM's `gpu_memory_utilization` (a tenth) (2026-11-23).

    ## Fix
    Short inputs and small batches, or more memory.
    """
    weights = weights_of(checkpoint, anatomy)
    if weights is None or not place.memory_mib:
        return
    needed, room = held(weights, place, asked, model=model, checkpoint=checkpoint, packages=packages), room_of(place)
    kept = keeping(place, asked, model, checkpoint, packages)
    tokens = kept.tokens(needed, place) if kept and model.context else None
    if not room / LEFT < needed <= room or (tokens is not None and tokens < model.context) or _alone(needed, place):
        return
    memory = place.memory_mib * 2**20 * place.count
    yield Problem(
        message=say(
            "the weights take {share} of the memory of {title}: {left} are left for the rest",
            share=f"{needed / memory:.0%}",
            title=_several(place),
            left=gib(memory - needed),
        ),
        evidence=(say("weights: {size}", size=gib(needed)), say("memory: {size}", size=gib(memory)), *counted(weights)),
        fixes=(
            Fix(
                title=say("Begin with one short input at a time, and watch the memory"),
                kind="setting",
                trial=elsewhere(place, say("how much the layers pass on depends on the input")),
            ),
        ),
    )


def _alone(needed: int, place: Place) -> bool:
    """Whether IVD303 speaks, or IVD311 of expanded ones: the only device does not hold them."""
    return needed > SHARE * place.memory_mib * 2**20 and place.count == 1
