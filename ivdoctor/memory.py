"""What weights and caches take of a place's memory: arithmetic on facts, shared by the rules and the tables of a report. Pure."""

from dataclasses import dataclass
from math import ceil
from typing import Literal

from .evidence import loads_as
from .facts import HALVES, SHORT_NAME, Anatomy, Asked, Cache, Checkpoint, Half, Model, Packages, Place, Stored, release
from .fates import fate
from .kernels import OWN_LOADER, engine_row, family_row, quantised_as

CAST = frozenset({"float64", "float32", "float16", "bfloat16"})
"""What a loader casts; integers and packed formats stay as they are stored."""

SHARE = 0.9
"""
Of the memory, for weights and cache: the runtime and what passes through the layers need the rest, and often more.

Source: vLLM's `gpu_memory_utilization` is 0.9 where none is given (its documentation; 0.92 in some releases).
"""

COMPRESSES = (5, 23)
"""
The transformers that was measured to cache the latent of multi-head latent attention; 5.14 still expanded DeepSeek's, and 5.15 did not.

Source: the modelling code of the releases 5.14.0, 5.15.0 and 5.23.0; transformers#47761 (2026-11-23).
"""

REPEATS = frozenset({"falcon", "RefinedWeb"})
"""Families of which transformers keeps more than engines do, and no latent."""

WIDTHS = {"fp32": 4, "fp16": 2, "bf16": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """A model's weights by what is best known of them."""

    stored: tuple[Stored, ...]
    how: Literal["headers", "size", "arithmetic", "meta", "published"]
    """From the files' headers; from the files' size alone (pickles that do not say); else as in `Anatomy`."""
    size: int = 0
    """Bytes of files whose tensors are not known; 0 where they are."""

    def loaded(self, dtype: str) -> int:
        """
        Bytes in this format, `fp32`, `fp16` or `bf16`, or as they are stored (`auto`); packed weights and their scales stay as they are.

        Of files without headers the least is counted: as if they were stored in float32.
        """
        if not self.stored:
            return self.size // 2 if WIDTHS.get(dtype) == 2 else self.size  # noqa: PLR2004  # bytes of a half format
        return sum(one.bytes if dtype == "auto" or not _is_cast(one) else one.parameters * WIDTHS[dtype] for one in self.stored)

    @property
    def dequantised(self) -> int:
        """Bytes once every weight takes 16 bits, and scales none; 0 where the tensors are not known."""
        return sum(one.parameters * 2 for one in self.stored if one.role != "scales")

    @property
    def parameters(self) -> int:
        """Weights without scales and zero points; 0 where the tensors are not known."""
        return sum(one.parameters for one in self.stored if one.role != "scales")

    @property
    def packed(self) -> bool:
        """Whether any of it is no plain number: then the whole is not cast."""
        return any(one.role != "weights" or one.dtype.startswith("float8") for one in self.stored)


def _is_cast(one: Stored) -> bool:
    return one.role == "weights" and one.dtype in CAST


def weights_of(checkpoint: Checkpoint | None, anatomy: Anatomy | None) -> Weights | None:
    """By the headers of files that are whole; else by the configuration; else by what there is of the files. None where nothing tells."""
    whole = checkpoint is not None and bool(checkpoint.stored) and not (checkpoint.missing or checkpoint.torn)
    if checkpoint and (whole or (checkpoint.stored and not (anatomy and anatomy.stored))):
        return Weights(stored=checkpoint.stored, how="headers")
    if anatomy and anatomy.stored:
        return Weights(stored=anatomy.stored, how=anatomy.how)
    if checkpoint and checkpoint.format == "pickle" and checkpoint.bytes:
        return Weights(stored=(), how="size", size=checkpoint.bytes)
    return None


def loaded_as(place: Place, asked: Asked, model: Model | None, checkpoint: Checkpoint | None, packages: Packages | None) -> Half | Literal["auto"]:
    """
    The format that the weights take there: the one asked for, else what the loader or the engine takes by itself.

    `auto` is as stored: of quantised weights, of files that do not say what they hold, and where nobody can say.
    """
    if asked.dtype != "auto":
        return asked.dtype
    silent = checkpoint is not None and checkpoint.format == "pickle" and not checkpoint.stored
    if model is None or model.quantization or silent:
        return "auto"
    own = asked.engine in OWN_LOADER
    found = loads_as(model, checkpoint, packages if own else None)
    return found if found and own else taken_by_itself(asked.engine, model.model_type, found, place) if found else "auto"


def taken_by_itself(engine: str, model_type: str, dtype: Half, place: Place) -> Half:
    """What an engine makes of weights in this format where none is asked for: another where the place lacks it, or the family does not survive it."""
    row, halves = engine_row(engine, dtype, place), HALVES
    found: Half = next((one for one in halves if row and one == row.auto), dtype)
    family = family_row(engine, model_type, found)
    return next((one for one in halves if family and one == family["auto"]), found)


def expands(place: Place, asked: Asked, model: Model | None, checkpoint: Checkpoint | None, packages: Packages | None = None) -> bool:
    """Whether the loader or the engine expands quantised weights there, by the tables: transformers by the method, an engine by the format."""
    if model is None or not model.quantization:
        return False
    if asked.engine in OWN_LOADER:
        found = fate(model, checkpoint, place, packages)
        return found is not None and found.outcome == "dequantised"
    row = engine_row(asked.engine, quantised_as(model.quantization, checkpoint, model.quantised), place)
    return row is not None and row.outcome == "dequantised"


def held(weights: Weights, place: Place, asked: Asked, *, model: Model | None, checkpoint: Checkpoint | None, packages: Packages | None) -> int:
    """Bytes that the weights take there once the model runs: as loaded, or expanded where that is what becomes of them."""
    dtype = loaded_as(place, asked, model, checkpoint, packages)
    if weights.packed and expands(place, asked, model, checkpoint, packages):
        return weights.dequantised * (2 if dtype == "fp32" else 1)
    return weights.loaded(dtype)


def room_of(place: Place) -> int:
    """Bytes of all equal devices for weights and cache; 0 where the memory is not known."""
    return int(SHARE * place.memory_mib * 2**20) * place.count


def devices(needed: int, place: Place) -> int:
    """How many of the device hold so many bytes with the margin; 0 where its memory is not known."""
    return ceil(needed / (SHARE * place.memory_mib * 2**20)) if place.memory_mib else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """How a loader or an engine keeps the cache."""

    cache: Cache
    width: int
    """Bytes of a number."""
    latent: bool = False
    """Whether it keeps the latent alone."""
    copies: bool = False
    """Whether each of several devices keeps all of it: a latent has no heads to share out."""

    def bytes(self, tokens: int) -> int:
        """Of one sequence."""
        return self.cache.numbers(tokens, latent=self.latent) * self.width

    def tokens(self, needed: int, place: Place) -> int | None:
        """How many fit beside so many bytes of weights; None where the cache does not grow."""
        cache = self.cache
        room = room_of(place) - needed
        if self.copies:
            room //= place.count
        numbers = room // self.width - cache.state
        grows = cache.compressed if self.latent and cache.compressed else cache.per_token
        window = cache.windowed * cache.window
        if numbers <= 0:
            return 0
        if numbers <= (grows + cache.windowed) * cache.window:
            return numbers // (grows + cache.windowed)
        return (numbers - window) // grows if grows else None


def keeping(place: Place, asked: Asked, model: Model | None, checkpoint: Checkpoint | None, packages: Packages | None) -> Keeping | None:
    """
    How the model's cache is kept there; None where its sizes are not known.

    In the format that is computed in, or in fp8 where the checkpoint says so and an engine follows it. Of the engines vLLM, SGLang and
    TensorRT-LLM keep the latent (TensorRT-LLM#2738), and transformers does in its own code since the release that was measured.
    """
    if model is None or model.cache is None:
        return None
    own = asked.engine in OWN_LOADER
    dtype = loaded_as(place, asked, model, checkpoint, packages)
    computed = SHORT_NAME.get(model.dtype) if dtype == "auto" else dtype
    width = WIDTHS[computed] if computed else 2
    if not own and model.quantised and model.quantised.kv_cache.startswith("fp8"):
        width = 1
    installed = packages.version("transformers") if packages else None
    native = installed is not None and release(installed) >= COMPRESSES and not model.remote_code and model.model_type not in REPEATS
    latent = bool(model.cache.compressed) and (native or not own)
    shared = latent and not own and place.count > 1 and model.model_type not in REPEATS
    return Keeping(cache=model.cache, width=width, latent=latent, copies=shared)
