"""IVD32x: what is known of a model's family and of its publisher's own code, and what the installed transformers makes of it."""

from collections.abc import Iterator

from ..evidence import judged
from ..facts import TORCH_NAME, Asked, Cast, Checkpoint, Flow, Half, Model, Native, Packages, Place, Torch
from ..families import Family, family_of
from ..finding import Fix, Problem, Severity
from ..kernels import OWN_LOADER
from ..lines import class_name, from_pretrained
from ..rule import rule
from ..systems import recipe_of, recipes_of, system_of
from ..text import say, share
from ._family import NOTHING_INSTALLED, as_pinned, one_variable, wanted_here
from ._remedies import caveat, elsewhere, range_of, untried
from ._weights import CAST


@rule("IVD320", severity=Severity.ERROR, category="neg-remote-code-config")
def transformers_does_not_run_its_code(model: Model, asked: Asked, packages: Packages) -> Iterator[Problem]:
    """
    The model's own code does not run with the transformers that is installed.

    A repository that brings its own modelling code was written for the releases of its day. Version 5 of transformers changed what
    such code builds on: it fails while loading, whatever the dtype. Where an engine with an implementation of its own was named, this is not asked.

    Source: the table of families, each row with its own; transformers 5.23 and 4.40.1 with the published code of InternVideo2.5 (2026-11-22).

    ## Fix
    Install a release that the code was written for, in an environment of its own.
    """
    installed, family = packages.version("transformers"), family_of(model)
    if installed is None or family is None or asked.engine not in OWN_LOADER or family.fits(installed) is not False:
        return
    system = system_of(model)
    pinned = next((pin for pin in system.pins if pin.startswith("transformers==")), "") if system else ""
    yield Problem(
        message=say(
            "transformers {installed} does not run the code of {model}, which takes {wanted}",
            installed=installed,
            model=model.name,
            wanted=pinned.removeprefix("transformers==") or family.loads_with,
        ),
        evidence=tuple(filter(None, (family.breaks, family.note, family.source))),
        fixes=(
            Fix(
                title=say("Install a release that it was written for"),
                kind="command",
                action="version",
                command=f'pip install "{pinned or "transformers" + family.loads_with}"',
                trial=untried(say(NOTHING_INSTALLED)),
            ),
        ),
    )


@rule("IVD321", severity=Severity.ERROR, category="neg-remote-code-config")
def architecture_unknown(model: Model, native: Native, asked: Asked) -> Iterator[Problem]:
    """
    The installed transformers does not know the model's type, and the model brings no code of its own.

    Loading ends in `does not recognize this architecture`, whatever the dtype. Either the release is older than the
    architecture, or the repository's code and the `auto_map` that names it are missing. A warning where the family is known to come with code of its own.

    ## Fix
    Install a release that knows the type, or get the repository's own code as well.
    """
    if native.known or model.remote_code or asked.engine not in OWN_LOADER or not model.model_type:
        return
    family = family_of(model)
    since = family.native_since if family else ""
    later = since not in ("", "?")
    yield Problem(
        message=say("transformers {version} does not know the model type {type}", version=native.version, type=model.model_type),
        evidence=tuple(
            filter(
                None,
                (
                    say("known since {version}", version=since) if later else "",
                    f"{family.note}; {family.source}" if family and family.note else "",
                    say("the nearest that it knows: {names}", names=", ".join(native.nearest)) if native.nearest else "",
                ),
            )
        ),
        severity=Severity.WARNING if family and not later else None,
        fixes=(
            Fix(
                title=say("Install a release that knows it"),
                kind="command",
                action="version",
                command=f'pip install "transformers>={since}"' if later else "pip install --upgrade transformers",
                trial=untried(say(NOTHING_INSTALLED)),
            )
            if later or family is None
            else Fix(
                title=say("Get the repository's own code, and read it before you trust it"),
                action="other",
                trial=untried(say("ivdoctor runs no code of a repository")),
            ),
        ),
    )


@rule("IVD322", severity=Severity.WARNING, category="conv-input-param-dtype-mismatch", confidence="likely")
def inputs_are_not_cast(
    model: Model, place: Place, asked: Asked, packages: Packages | None, checkpoint: Checkpoint | None, cast: Cast | None, flow: Flow | None
) -> Iterator[Problem]:
    """
    The model's first layer takes its input as it comes: a caller whose inputs are of another dtype fails there.

    Processors give float32, and a demo may cast to a dtype of its own choice; a model in float16 or bfloat16 that does not cast its inputs
    raises at its first convolution: `Input type (...) and bias type (...) should be the same`, the failure of InternVideo2.5. Where the model
    itself was not run, and its dtype flow is not known either (IVD410), the table of families says so. A warning while the caller is unknown, an error where an input dtype was named that does not fit.

    ## Fix
    One variable for both: load the model in it and cast the inputs to it.
    """
    family = family_of(model)
    if family is None or family.casts_input != "no" or asked.engine not in OWN_LOADER or (cast and cast.how == "real-run"):
        return
    dtype = judged(asked, model, checkpoint, packages)
    given = asked.input_dtype
    if dtype is None or (given or "fp32") == dtype or family.runs(dtype, given or "fp32"):
        return
    flowed = flow.cell("loaded", dtype, given or "fp32") if flow else None
    if flowed and flowed.status != "unknown":
        return  # seen here: IVD410 says where it raises
    named = given is not None and family.runs(dtype, given) is False
    use = wanted_here(dtype, place, asked, range_of(model, None, asked))
    yield Problem(
        message=_uncast(model, family, dtype, given),
        evidence=tuple(filter(None, (say("it raises at {site}", site=family.site) if family.site else "", family.note, family.source))),
        severity=Severity.ERROR if named else None,
        fixes=(one_variable(use, model, place, family, packages, range_of(model, None, asked)),),
        avoid=_other_dtype(use, place),
    )


def _uncast(model: Model, family: Family, dtype: Half, given: Half | None) -> str:
    layer = family.first_op or say("its first layer")
    what = family.input or say("its inputs")
    if given:
        return say(
            "{model} does not cast {inputs}: {layer} in {dtype} fails on {given}",
            model=model.name,
            inputs=what,
            layer=layer,
            dtype=TORCH_NAME[dtype],
            given=TORCH_NAME[given],
        )
    return say(
        "{model} does not cast {inputs}: {layer} in {dtype} fails on any other, and processors give float32",
        model=model.name,
        inputs=what,
        layer=layer,
        dtype=TORCH_NAME[dtype],
    )


def _other_dtype(use: Half, place: Place) -> tuple[str, ...]:
    """The cure of the best known thread, where it is poison."""
    if use == "bf16" or place.dtypes.bf16 == "native":
        return ()
    return (say("model.to(torch.bfloat16): {title} has no bfloat16 arithmetic", title=place.title),)


@rule("IVD323", severity=Severity.NOTE, category="operand-dtype-mismatch")
def published_code_fixes_a_dtype(model: Model, asked: Asked) -> Iterator[Problem]:
    """
    The publisher's own demo writes a dtype down, apart from the model's.

    The literal stands in the caller's code, not in the configuration: it breaks as soon as the model is loaded in anything else.

    ## Fix
    Where you took over that code, replace the literal by `model.dtype`.
    """
    family = family_of(model)
    if family is None or not family.trap or asked.engine not in OWN_LOADER:
        return
    inputs = family.input if family.input.isidentifier() else "inputs"
    yield Problem(
        message=say("{model}'s published code: {trap}", model=model.name, trap=family.trap),
        evidence=(family.source,),
        fixes=(
            Fix(
                title=say("Cast to the model's own dtype instead"),
                action="cast-input",
                code=f"{inputs} = {inputs}.to(model.device, model.dtype)",
                trial=untried(say("it is a line of the caller's code")),
            ),
        ),
    )


@rule("IVD324", severity=Severity.WARNING)
def repository_pins_other_versions(model: Model, packages: Packages, asked: Asked, torch: Torch | None, place: Place | None) -> Iterator[Problem]:
    """
    The model's own repository asks for other releases than those that are installed.

    Its code was tried with these alone. Nobody has said whether it runs with others. A torch that has no code for the device is left out of
    the command. Where an engine with an implementation of its own was named, this is not asked.

    ## Fix
    Install what its requirements say, in an environment of its own.
    """
    system = system_of(model)
    if system is None or not system.pins or asked.engine not in OWN_LOADER:
        return
    there = {one.name: one.version for one in packages.installed} | ({"torch": torch.version.partition("+")[0]} if torch else {})
    wanted = dict(pin.split("==") for pin in system.pins)
    family = family_of(model)
    if family and family.fits(there.get("transformers", "")) is False:
        wanted.pop("transformers", None)  # it does not run at all, which is said elsewhere
    other = [f"{name} {there[name]}, {version}" for name, version in wanted.items() if name in there and there[name] != version]
    if other:
        yield Problem(
            message=say("{model} asks for other releases (installed, asked for): {list}", model=model.name, list="; ".join(other)),
            evidence=(system.source,),
            fixes=(as_pinned(system.pins, place),),
        )


@rule("IVD325", severity=Severity.ERROR, category="neg-device-mismatch")
def its_own_code_names_a_device(model: Model, place: Place, asked: Asked) -> Iterator[Problem]:
    """
    The model's own code moves its parts to CUDA by name.

    On a place without CUDA it ends there, whatever the dtype. ROCm answers to the same name. Where an engine with an implementation of its
    own was named, this is not asked.

    ## Fix
    Take an NVIDIA or AMD accelerator, or change its code.
    """
    system = system_of(model)
    if system is None or not system.backends or asked.engine not in OWN_LOADER or place.backend in ("", "rocm", *system.backends):
        return
    yield Problem(
        message=say(
            "{model}'s own code is written for {names}, and {title} is none", model=model.name, names=", ".join(system.backends), title=place.title
        ),
        evidence=(system.note, system.source),
        fixes=(
            Fix(
                title=say("Take an accelerator that it is written for, or change its code"),
                kind="hardware",
                action="device",
                trial=elsewhere(place, say("ivdoctor runs no code of a repository")),
            ),
        ),
    )


@rule("IVD326", severity=Severity.WARNING, category="silent-wrong-dtype")
def loaded_wider_than_stored(model: Model, checkpoint: Checkpoint, asked: Asked, packages: Packages, place: Place) -> Iterator[Problem]:
    """
    Weights in 16 bit are loaded in float32 where no dtype is named: twice the memory.

    transformers before version 5 follows neither the configuration nor the weights by itself.

    Source: transformers 4.40.1 and 5.23.0, by loading (2026-11-22).

    ## Fix
    Name the dtype when loading.
    """
    if model.quantization or asked.dtype != "auto" or asked.engine not in OWN_LOADER or checkpoint.dtype not in ("float16", "bfloat16"):
        return
    if judged(asked, model, checkpoint, packages) != "fp32":
        return
    fp16 = range_of(model, None, asked)
    stored: Half = "fp16" if checkpoint.dtype == "float16" else "bf16"
    use = wanted_here(stored, place, asked, fp16)
    yield Problem(
        message=say(
            "transformers {version} loads the {stored} weights in float32 where no dtype is named",
            version=packages.version("transformers") or "",
            stored=checkpoint.dtype,
        ),
        fixes=(
            Fix(
                title=say("Name the dtype when loading") + caveat(use, place, fp16),
                action="load-dtype",
                code=f"model = {from_pretrained(class_name(model), 'path', f'torch.{TORCH_NAME[use]}', packages, model)}",
                trial=untried(say("it is a line of the caller's code")),
            ),
        ),
    )


@rule("IVD327", severity=Severity.NOTE, category="silent-wrong-dtype")
def weights_of_several_dtypes(checkpoint: Checkpoint) -> Iterator[Problem]:
    """
    The files hold floating weights of more than one dtype.

    A loader that is given one dtype casts them all to it, but for the modules that their class keeps in fp32: what was stored wider on purpose,
    a router or a norm, is rounded. Scales of quantised weights are another matter and are not counted.

    ## Fix
    Nothing where the output is right; else keep those modules in float32 after loading.
    """
    floats = [one for one in checkpoint.stored if one.role == "weights" and one.dtype in CAST]
    if len(floats) < 2:  # noqa: PLR2004  # one is not several
        return
    whole = sum(one.parameters for one in floats)
    yield Problem(
        message=say(
            "the weights are stored in several dtypes: {shares}",
            shares=", ".join(f"{one.dtype} {share(one.parameters, whole)}" for one in floats),
        ),
        evidence=tuple(
            say("{dtype}: {tensors} tensors, {count} weights", dtype=one.dtype, tensors=one.tensors, count=one.parameters) for one in floats
        ),
    )


@rule("IVD328", severity=Severity.NOTE, confidence="likely")
def documented_hardware(model: Model, asked: Asked, place: Place) -> Iterator[Problem]:
    """
    On which hardware the engine is documented to serve this model.

    From the recipes of the engine and the model's own documentation. Other hardware may serve it as well; nobody has said so.
    For a model that was not run, such a recipe is what a yes rests on.

    ## Fix
    Take the recipe's arguments.
    """
    if asked.engine in OWN_LOADER:
        return
    rows = [row for row in recipes_of(model) if row["engine"] == asked.engine]
    found = recipe_of(model, asked.engine, place)
    if found:
        yield Problem(
            message=say("{engine} is documented to serve {model} on {title}", engine=asked.engine, model=model.name, title=place.title),
            evidence=tuple(filter(None, (found.note, *(say("needs {package}", package=one) for one in found.packages), found.source))),
            fixes=(
                Fix(
                    title=say("As documented"),
                    kind="command",
                    command=f"vllm serve PATH {found.arguments}".rstrip() if asked.engine == "vllm" else found.arguments,
                    trial=elsewhere(place, say("no engine was started")),
                ),
            ),
        )
    elif rows:
        yield Problem(
            message=say(
                "{engine} is documented to serve {model} on other hardware than {title}", engine=asked.engine, model=model.name, title=place.title
            ),
            evidence=tuple(f"{row['source']} ({row['date']})" for row in rows),
        )
