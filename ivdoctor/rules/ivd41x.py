"""IVD41x: the dtype flow of the model that was named, before any weight is there."""

from collections.abc import Iterable, Iterator

from ..evidence_flow import Meant, carried, covers, meant, outcome
from ..facts import (
    HALVES,
    TORCH_NAME,
    Asked,
    Cast,
    Checkpoint,
    Flow,
    Held,
    InputCast,
    Miniature,
    Model,
    Packages,
    Place,
    Replay,
    Replayed,
    Torch,
    release,
)
from ..families import family_of
from ..finding import Fix, Problem, Severity, Tried
from ..kernels import OWN_LOADER, cpu_missing
from ..lines import class_name, from_pretrained
from ..rule import rule
from ..text import count, say
from ._family import NOTHING_INSTALLED
from ._flow import Ways, kind_of, plain, site, unhelpful
from ._flow_raised import apart, confidence, on_miniature, operands, severity, told, worst
from ._remedies import caveat, elsewhere, range_of, untried, wanted

SHOWN = 8
"""Lines of a list that are told."""


@rule("IVD410", severity=Severity.ERROR, confidence="likely")
def flow_raises(
    flow: Flow,
    place: Place,
    asked: Asked,
    miniature: Miniature | None,
    model: Model | None,
    checkpoint: Checkpoint | None,
    packages: Packages | None,
    cast: Cast | None,
) -> Iterator[Problem]:
    """
    The model's own code raises in the combination of dtypes that is judged.

    Its real code is run on tensors that have a dtype and a shape and no numbers, as `from_pretrained(dtype=)` leaves it and as `.to()` leaves
    it; each operator's answer is the installed torch's own, on small stand-ins on the CPU. The line is where it raises, and `because` is what
    made the odd dtype: a weight kept in float32, a line that casts, or the input itself. An error where it fails whatever the inputs are, or
    where their dtype was named; a warning where the caller is unknown and a cast of the inputs cures it, and where it fails only when it is
    cast after loading. Certain where a miniature of the same architecture was run on this CPU and raised at the same line; another device's
    operators may differ. Silent where the model itself was run in that combination: IVD406 to IVD408 say what came of it; and of a quantised
    one, whose packed layers the flow does not have.

    ## Fix
    The first of those that the miniature has run; else what another cell of the flow foretells.
    """
    cell = meant(asked, model, checkpoint, packages)
    if cell is None or covers(cast, cell) or asked.engine not in OWN_LOADER or (model and model.quantization):
        return
    loaded, after = worst(flow, miniature, "loaded", cell), worst(flow, miniature, "cast", cell)
    failed = loaded if loaded.raised else after
    if failed.raised is None:
        return
    one = failed.raised
    ways = Ways(flow=flow, miniature=miniature, cell=one, place=place, asked=asked, model=model, packages=packages, fp16=range_of(model, None, asked))
    yield Problem(
        message=told(flow, one),
        evidence=(*operands(one), *apart(loaded, after), *on_miniature(failed, miniature), *unhelpful(miniature, one.case)),
        severity=severity(flow, miniature, cell, loaded),
        confidence=confidence(failed, place),
        category=kind_of(one.location.op if one.location else "", one.operands, place),
        location=one.location,
        origin=one.origin,
        fixes=ways.fixes(),
    )


@rule("IVD411", severity=Severity.NOTE, confidence="likely", category="silent-wrong-dtype")
def flow_casts_inputs(flow: Flow, asked: Asked, model: Model | None, checkpoint: Checkpoint | None, packages: Packages | None) -> Iterator[Problem]:
    """
    The model casts its float inputs itself, on the way through its code.

    Then inputs of another dtype pass without a word. A warning where a dtype in the middle holds less than what comes before and after it:
    float32 pixels that become bfloat16 and then float16 have lost three of float16's bits, and those that become float16 and then bfloat16
    all that is beyond 65504. Of the combination that is judged alone.

    ## Fix
    Give the inputs in the model's own dtype.
    """
    cell = meant(asked, model, checkpoint, packages)
    found = outcome(flow, None, "loaded", cell.dtype, cell.input).flowed if cell else None
    if cell is None or found is None:
        return
    lost = [one for one in found.casts if narrowed(one.through)]
    for one in lost:
        yield Problem(
            message=say("{input} goes through {middle} on its way: {through}", input=one.input, middle=narrowed(one.through), through=_arrows(one)),
            severity=Severity.WARNING,
            location=one.location,
            fixes=(_own_dtype(flow, cell),),
        )
    kept = [one for one in found.casts if one not in lost]
    if kept:
        yield Problem(
            message=say("the model casts {inputs} itself", inputs=", ".join(dict.fromkeys(one.input for one in kept))),
            evidence=tuple(f"{one.input}: {_arrows(one)}, {site(one.location)}" for one in kept[:SHOWN]),
            location=kept[0].location,
        )


SIZES = {"float64": (52, 11), "float32": (23, 8), "bfloat16": (7, 8), "float16": (10, 5), "float8_e4m3fn": (3, 4), "float8_e5m2": (2, 5)}
"""Bits of the fraction and of the exponent."""


def narrowed(through: tuple[str, ...]) -> str:
    """The dtype in the middle that holds less than both ends do, in its fraction or in its exponent; empty where none does."""
    known = [SIZES[one] for one in through if one in SIZES]
    if len(known) < 3 or len(known) != len(through):  # noqa: PLR2004  # two ends and a middle
        return ""
    ends = [min(first, last) for first, last in zip(known[0], known[-1], strict=True)]
    middle = zip(through[1:-1], known[1:-1], strict=True)
    return next((name for name, bits in middle if any(one < end for one, end in zip(bits, ends, strict=True))), "")


def _arrows(one: InputCast) -> str:
    return " -> ".join(one.through)


def _own_dtype(flow: Flow, cell: Meant) -> Fix:
    code = "inputs = inputs.to(model.device, model.dtype)"
    own = flow.cell("loaded", cell.dtype, cell.dtype)
    trial = untried(say("what is lost on the way is a matter of numbers, and a flow has none"))
    if own and own.status == "ran":
        trial = Tried(status="passed", how="shadow", where="cpu", after=say("{case} runs in the flow", case=own.case))
    return Fix(title=say("Give the inputs in the model's own dtype"), code=code, action="cast-input", trial=trial)


@rule("IVD412", severity=Severity.NOTE, confidence="likely", category="silent-wrong-dtype")
def cast_throws_out_of_float32(
    flow: Flow, place: Place, asked: Asked, model: Model | None, checkpoint: Checkpoint | None, packages: Packages | None, cast: Cast | None
) -> Iterator[Problem]:
    """
    `.to(dtype)` and `.half()` cast what loading in that dtype keeps in float32.

    Rotary frequencies, the correction bias of a router, norms that the authors listed: the loader leaves them in float32, and a cast
    afterwards does not ask. What it costs to keep them is small and said; what it costs to cast them is a matter of numbers, which IVD606 and
    IVD607 tell of a model that was run. Silent where it was.

    ## Fix
    Give the dtype to `from_pretrained`, and cast nothing afterwards.
    """
    cell = meant(asked, model, checkpoint, packages)
    thrown = [one for one in flow.held if cell and cell.dtype in one.formats]
    if cell is None or not thrown or (cast and cast.how == "real-run"):
        return
    elements = sum(one.elements for one in thrown)
    yield Problem(
        message=say(
            ".to({dtype}) casts {tensors} tensors that loading in it keeps in float32: {first}",
            dtype=f"torch.{TORCH_NAME[cell.dtype]}",
            tensors=sum(one.tensors for one in thrown),
            first=thrown[0].name,
        ),
        evidence=(*(_held(one) for one in thrown[:SHOWN]), say("kept in float32 they take {size} MiB more", size=f"{elements * 2 / 2**20:,.2g}")),
        fixes=_at_once(flow, cell, place, asked, model, packages),
    )


def _held(one: Held) -> str:
    return f"{one.name}: {one.what}, {count('{number} tensor', '{number} tensors', one.tensors)}, {', '.join(one.formats)}"


def _at_once(flow: Flow, cell: Meant, place: Place, asked: Asked, model: Model | None, packages: Packages | None) -> tuple[Fix, ...]:
    """Where the model runs as the loader leaves it."""
    found = outcome(flow, None, "loaded", cell.dtype, cell.dtype).flowed
    if found is None or found.status != "ran":
        return ()
    title = say("Load in {dtype} at once, and cast nothing afterwards", dtype=TORCH_NAME[cell.dtype])
    line = f"model = {from_pretrained(class_name(model), 'path', f'torch.{TORCH_NAME[cell.dtype]}', packages, model)}"
    trial = Tried(status="passed", how="shadow", where="cpu", after=say("{case} runs in the flow", case=found.case))
    return (Fix(title=title + caveat(cell.dtype, place, range_of(model, None, asked)), code=line, action="load-dtype", trial=trial),)


@rule("IVD413", severity=Severity.ERROR, confidence="likely", category="op-dtype-unsupported")
def operator_missing_here(
    replay: Replay,
    place: Place,
    asked: Asked,
    flow: Flow | None,
    miniature: Miniature | None,
    model: Model | None,
    checkpoint: Checkpoint | None,
    packages: Packages | None,
    cast: Cast | None,
) -> Iterator[Problem]:
    """
    An operator of the model has no kernel for its dtypes on this device.

    Every pair of operator and dtypes that the dtype flow met was really run here, in small shapes; the model itself was not. A note where the
    pairs are of another precision than the one that is judged. Silent where the model was run here, and on a CPU where its miniature was.

    ## Fix
    Run in another precision, or update torch.
    """
    cell = meant(asked, model, checkpoint, packages)
    of = replay.paired.partition(":")[2].partition("/")[0]
    shown = flow is not None and cell is not None and place.kind == "cpu" and carried(flow, miniature, cell) is not None
    if shown or (cell and covers(cast, cell)):
        return
    said = {(one.location.op, one.operands) for one in (flow.cells if flow else ()) if one.status == "raised" and one.location}  # by IVD410
    for one in [pair for pair in replay.pairs if pair.status == "raised" and (pair.op, pair.dtypes) not in said][:SHOWN]:
        yield Problem(
            message=say("{op} of {dtypes} raises on {place}: {message}", op=one.op, dtypes=_dtypes(one), place=place.name, message=one.message),
            evidence=(say("called in {modules}", modules=", ".join(one.modules)),) if one.modules else (),
            severity=None if cell and of == cell.dtype else Severity.NOTE,
            category=kind_of(one.op, one.dtypes, place),
            fixes=tuple(_other_formats(place, asked, of, model)),
        )


def _dtypes(one: Replayed) -> str:
    return ", ".join(one.dtypes)


def _other_formats(place: Place, asked: Asked, but: str, model: Model | None) -> Iterator[Fix]:
    """The best other format there; on a Mac the CPU for what Metal lacks; a newer torch."""
    fp16 = range_of(model, None, asked)
    best = wanted(place, Asked(), fp16)
    use = best if best != but else "fp32"
    if use != but:
        title = say("Run the model in {dtype}", dtype=TORCH_NAME[use]) + caveat(use, place, fp16)
        yield Fix(title=title, action=use, code=f"model = model.to(torch.{TORCH_NAME[use]})", trial=untried(say("the model was not run here")))
    if place.backend == "mps":
        title = say("Let the CPU run what Metal lacks: slower")
        yield Fix(title=title, kind="setting", action="device", command="PYTORCH_ENABLE_MPS_FALLBACK=1", trial=untried(say("it is read at start")))
    yield Fix(title=say("Update torch"), kind="command", action="version", trial=untried(say(NOTHING_INSTALLED)))


@rule("IVD414", severity=Severity.WARNING, confidence="likely", category="op-dtype-unsupported")
def operator_missing_there(
    flow: Flow, place: Place, asked: Asked, torch: Torch | None, model: Model | None, checkpoint: Checkpoint | None, packages: Packages | None
) -> Iterator[Problem]:
    """
    An operator of the model is known to have no kernel for the dtype on the target, with the torch that is supposed there.

    By the table of kernels that CPU builds of torch lack; of other hardware no table knows single operators, and nothing is said.

    ## Fix
    Run in another precision there, or with a newer torch.
    """
    cell = meant(asked, model, checkpoint, packages)
    if cell is None or place.kind != "target" or place.backend != "cpu" or torch is None:
        return
    rows = {plain(row["operator"].partition("(")[0]): row for row in cpu_missing(cell.dtype, release(torch.version))}
    met = {name: pair for pair in flow.pairs for name in _names(pair.op) if name in rows and TORCH_NAME[cell.dtype] in pair.dtypes}
    if met:
        first, row = next((pair, rows[name]) for name, pair in met.items())
        yield Problem(
            message=say("torch {version} on a CPU has no {dtype} kernel for {op}", version=torch.version, dtype=cell.dtype, op=", ".join(met)),
            evidence=(*filter(None, (row["message"],)), say("called in {modules}", modules=", ".join(first.modules)), row["source"]),
            category=kind_of(first.op, (TORCH_NAME[cell.dtype],), place),
            fixes=tuple(_there(place, cell)),
        )


def _names(op: str) -> Iterable[str]:
    """What the table may call it."""
    name = plain(op)
    return ("conv1d", "conv2d", "conv3d") if name == "convolution" else (name, name.removeprefix("native_"), name.removeprefix("_"))


def _there(place: Place, cell: Meant) -> Iterator[Fix]:
    trial = elsewhere(place, "")
    if cell.dtype != HALVES[0]:
        yield Fix(title=say("Run the model in {dtype}", dtype=TORCH_NAME[HALVES[0]]), action="fp32", code="model = model.float()", trial=trial)
    yield Fix(title=say("Use a newer torch there"), kind="command", action="version", trial=trial)


@rule("IVD415", severity=Severity.NOTE, confidence="certain")
def flow_unknown(
    flow: Flow, asked: Asked, model: Model | None, checkpoint: Checkpoint | None, packages: Packages | None, cast: Cast | None, place: Place
) -> Iterator[Problem]:
    """
    The dtype flow could not be carried through in the combination that is judged, for a reason that is none of dtype's.

    An unknown is no pass: without a run of the model itself, and where the tables have none of its family, the verdict is undetermined. Nor is
    anything known of a part of the model that the inputs did not reach.

    ## Fix
    Check the model with its weights, or a model type that transformers runs.
    """
    cell = meant(asked, model, checkpoint, packages)
    if cell is None or flow.misfit or covers(cast, cell):
        return
    found = outcome(flow, None, "loaded", cell.dtype, cell.input).flowed
    if found is None or found.status == "unknown" or flow.unrun:
        missed = say("these inputs did not reach {parts}", parts=", ".join(flow.unrun)) if flow.unrun else say("the flow has no such cell")
        yield Problem(
            message=say(
                "whether {model} runs in {dtype} with inputs in {input} is unknown: {reason}",
                model=flow.model,
                dtype=cell.dtype,
                input=cell.input,
                reason=found.message if found and found.status == "unknown" else missed,
            ),
            evidence=tuple(filter(None, (flow.inputs,))),
            location=found.location if found else None,
            fixes=(
                Fix(
                    title=say("Check it where its weights are: then it is really run"),
                    kind="command",
                    command="ivdoctor check PATH",
                    trial=elsewhere(place, say("there are none here")),
                ),
            ),
        )


@rule("IVD416", severity=Severity.ERROR, category="neg-remote-code-config")
def its_own_code_does_not_fit(flow: Flow, model: Model | None, packages: Packages | None, asked: Asked) -> Iterator[Problem]:
    """
    The repository's own code was run, as `--trust-remote-code` allows, and does not fit the installed transformers.

    It fails before any tensor is made, so no dtype cures it. Where the table of families knows the release that it takes, IVD320 says so instead.

    ## Fix
    Install the release that the repository was written for, in an environment of its own.
    """
    installed, family = packages.version("transformers") if packages else None, family_of(model) if model else None
    if not flow.misfit or (installed and family and asked.engine in OWN_LOADER and family.fits(installed) is False):
        return
    yield Problem(
        message=say("the code of {model} does not run with {library}: {reason}", model=flow.model, library=flow.library, reason=flow.misfit),
        fixes=(
            Fix(
                title=say("Install the release that it was written for: its config.json names one as `transformers_version`"),
                kind="command",
                action="version",
                trial=untried(say(NOTHING_INSTALLED)),
            ),
        ),
    )
