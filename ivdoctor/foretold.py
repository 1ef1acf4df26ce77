"""Whether tables alone decide that a model runs where nobody can run it, and what keeps them from it. Pure."""

from collections.abc import Iterator

from .evidence import BARRED, fp16_range
from .facts import SHORT_NAME, TORCH_NAME, Anatomy, Asked, Checkpoint, Half, Model, Native, Packages, Place, release
from .families import Family, family_of
from .fates import fate
from .kernels import OWN_LOADER
from .memory import held, room_of, weights_of
from .systems import recipe_of, system_of
from .text import say
from .text_runs import ran_with

WIRED = 2 / 3
"""
Of a Mac's memory what Metal recommends at most, where it has no more than 36 GB; the rest is the system's.

Source: recommendedMaxWorkingSetSize as llama.cpp prints it: 10,923 of 16,384 MB, 21,845 of 32,768 (from knowledge, uncertain; 2026-11-23).
"""


def undecided(
    place: Place,
    asked: Asked,
    dtype: Half | None,
    *,
    model: Model | None,
    checkpoint: Checkpoint | None,
    anatomy: Anatomy | None,
    packages: Packages | None,
    native: Native | None,
) -> Iterator[str]:
    """Why a yes for this model at a place that is not here would be a guess; nothing where its family was run in this cell, or it is documented there."""
    if model is None:
        yield say("the model was not run: {title} is not here", title=place.title)
        return
    system = system_of(model)
    if system and system.unknown:
        yield say("unknown of {model}: {what}", model=model.name, what=system.unknown)
    if asked.engine in OWN_LOADER:
        yield from _by_transformers(place, asked, dtype, model, checkpoint, packages, native)
    else:
        yield from _by_recipe(place, asked, model)
    if dtype and place.backend == "mps" and place.dtypes.of(dtype) == "emulated":
        yield say("{title} converts {dtype}, and which operations do was not tried", title=place.title, dtype=TORCH_NAME[dtype])
    yield from unmeasured(place, asked, dtype, model=model, checkpoint=checkpoint, anatomy=anatomy, packages=packages)


def unmeasured(
    place: Place, asked: Asked, dtype: Half | None, *, model: Model, checkpoint: Checkpoint | None, anatomy: Anatomy | None, packages: Packages | None
) -> Iterator[str]:
    """What only the weights themselves would tell, and the tables do not: float16's range, and whether all of it fits."""
    fp16 = fp16_range(model.model_type, None, asked.limits)
    if dtype == "fp16" and not model.quantization and fp16 in BARRED:
        yield say("in float16 models of {type} are known to leave its range", type=model.model_type)
    elif dtype == "fp16" and not model.quantization and fp16 == "unknown":
        yield say("whether {model} stays within float16's range is not known", model=model.name)
    if not _sized(checkpoint, anatomy):
        yield say("how much memory {model} takes is not known", model=model.name)
    elif not place.memory_mib:
        yield say("whether {model} fits is not known: the memory of {title} is not", model=model.name, title=place.title)
    else:
        yield from _close(place, asked, model, checkpoint, anatomy, packages)


def seen(model: Model, dtype: Half, asked: Asked, packages: Packages | None) -> bool:
    """Whether the tables have a run of the model's family in this format, with the release of transformers that is installed."""
    return _ran(family_of(model), dtype, asked, packages) or _ran_on_ids(model, family_of(model), dtype, packages)


def _by_recipe(place: Place, asked: Asked, model: Model) -> Iterator[str]:
    """What is documented is so with the dtype that the engine takes by itself, or the model's own by name."""
    if recipe_of(model, asked.engine, place) is None:
        yield say(
            "the model was not run: {title} is not here, and that {engine} serves {model} there is documented nowhere that ivdoctor knows",
            engine=asked.engine,
            model=model.name,
            title=place.title,
        )
    elif asked.dtype not in ("auto", SHORT_NAME.get(model.dtype)):
        yield say(
            "that {engine} serves {model} on {title} is documented, but not in {dtype}",
            engine=asked.engine,
            model=model.name,
            title=place.title,
            dtype=TORCH_NAME[asked.dtype],
        )


def _close(  # noqa: PLR0917  # private, called once
    place: Place, asked: Asked, model: Model, checkpoint: Checkpoint | None, anatomy: Anatomy | None, packages: Packages | None
) -> Iterator[str]:
    """Where the weights alone take what the rest needs, a yes would be a guess; what is larger than the memory a finding says."""
    weights = weights_of(checkpoint, anatomy)
    needed = held(weights, place, asked, model=model, checkpoint=checkpoint, packages=packages) if weights else 0
    if needed > room_of(place):
        yield say(
            "the weights of {model} take more than nine tenths of {title}: whether the rest fits is not known", model=model.name, title=place.title
        )
    elif place.backend == "mps" and needed > WIRED * place.memory_mib * 2**20:
        yield say("the weights of {model} take more of the memory of {title} than macOS leaves", model=model.name, title=place.title)


def _by_transformers(  # noqa: PLR0917  # private, called once
    place: Place, asked: Asked, dtype: Half | None, model: Model, checkpoint: Checkpoint | None, packages: Packages | None, native: Native | None
) -> Iterator[str]:
    family = family_of(model)
    if model.quantization:
        yield from _quantised(place, model, checkpoint, packages)
    elif dtype is None:
        yield say("nobody can say in which format the model would be loaded: name one with --dtype")
    elif not seen(model, dtype, asked, packages):
        yield _unseen(place, dtype, model, family, packages)
    if model.remote_code:
        yield say("{model} brings code of its own, which is not run", model=model.name)
    elif native is not None and not native.known:
        yield say("transformers {version} does not know {type}", version=native.version, type=model.model_type)
    elif native is None and not (family and family.native_since not in ("", "?")):
        yield say("whether transformers knows {type} could not be looked up", type=model.model_type or say("the model's type"))


def _ran(family: Family | None, dtype: Half, asked: Asked, packages: Packages | None) -> bool:
    """
    Whether the family's cell was seen to run, with the release that is installed: others may cast elsewhere.

    Of an unknown caller's inputs the model's own dtype is taken, and a finding says so.
    """
    if family is None or not family.runs(dtype, asked.input_dtype or dtype):
        return False
    installed = packages.version("transformers") if packages else None
    measured = release(family.measured_with)[:2]
    return installed is not None and family.fits(installed) is not False and (not measured or release(installed)[:2] == measured)


def _ran_on_ids(model: Model, family: Family | None, dtype: Half, packages: Packages | None) -> bool:
    """Whether a model of this type, which takes nothing that floats, was seen to run with the release that is installed; one with limits of its own is another."""
    installed = packages.version("transformers") if packages else None
    measured = ran_with(model.model_type, dtype)
    own = family is not None and (bool(family.loads_with) or bool(family.name) or bool(family.code))
    return bool(measured) and installed is not None and not own and release(installed)[:2] == release(measured)[:2]


def _unseen(place: Place, dtype: Half, model: Model, family: Family | None, packages: Packages | None) -> str:
    measured = family.measured_with if family else ""
    if family and measured and family.runs(dtype, dtype):
        installed = (packages.version("transformers") if packages else None) or say("what is installed here, which is none")
        return say(
            "{type} was seen to run in {dtype} with transformers {measured}, and not with {installed}",
            type=model.model_type,
            dtype=dtype,
            measured=measured,
            installed=installed,
        )
    type = model.model_type or say("its type")
    return say(
        "the model was not run: {title} is not here, and of {type} in {dtype} the tables have no run", title=place.title, type=type, dtype=dtype
    )


def _quantised(place: Place, model: Model, checkpoint: Checkpoint | None, packages: Packages | None) -> Iterator[str]:
    """What transformers does with packed weights there is in the tables or unknown; that it then runs was tried by nobody."""
    found = fate(model, checkpoint, place, packages)
    if found is None:
        yield say("what transformers does with {method} on {title} is not known", method=model.quantization, title=place.title)
    elif found.outcome not in ("refused", "unread"):
        yield say("{model}'s quantised weights were not run on {title}", model=model.name, title=place.title)


def _sized(checkpoint: Checkpoint | None, anatomy: Anatomy | None) -> bool:
    """Whether the bytes of the weights are known: of pickles the files' size is, which bounds them."""
    return bool((checkpoint and (checkpoint.stored or checkpoint.bytes)) or (anatomy and anatomy.stored))
