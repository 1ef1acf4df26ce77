"""A guarded loader for one machine and one model: a script of a few lines, without ivdoctor in it. Pure: facts in, text out."""

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from .choice import Pick, decide, quantised, sized, trained
from .facts import TORCH_NAME, Asked, Cast, Checkpoint, Model, Packages, Place, Precision, Torch
from .lines import class_name, from_pretrained
from .outcome import Outcome, known
from .report import Loader
from .text import say
from .wheels import lacks_code

Fact = TypeVar("Fact")

FED = "{k: v.to(DEVICE, %s if v.is_floating_point() else None) if torch.is_tensor(v) else v for k, v in inputs.items()}"
"""The inputs on the device, floating ones in this dtype; as torch's own `Module.to` does it."""

FINITE = """\
def finite(value):
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return not (torch.isnan(value) | (value == float("inf"))).any() if torch.is_tensor(value) else all(map(finite, parts))
"""
"""A mask is filled with -Inf, and some outputs are masked: it is no sign of an overflow."""

GUARD = """\
@torch.no_grad()
def run({given}, dtype=DTYPE):  # {run}
    try:
{trust}        {ready} = {made}
        output = {ready}(**{fed})
        if not finite(output):
            raise FloatingPointError(f{not_finite})
        return output, {ready}{numpy}
    except (RuntimeError, FloatingPointError) as error:
        if dtype == FALLBACK or "memory" in str(error).lower() or "alloc" in str(error).lower():  # {no_help}
            raise
        print(f{message}, file=sys.stderr)
    {ready} = output = None  # {freed}
    return run({given}, FALLBACK)
"""
"""What failed is let go outside the `except` block: inside it, the traceback still holds the model."""

QUANTISED = """\
{trust}model = {made}


@torch.no_grad()
def run(inputs):  # {run}
    output = model(**{fed})
    if not finite(output):
        raise FloatingPointError({not_finite})
    return output, model
"""


def loaders(outcomes: Iterable[Outcome], found: Iterable[Place], shared: Mapping[type, Any], asked: Asked) -> tuple[Loader, ...]:
    """One for each place that torch reaches; the CPU's only where there is no other."""
    outcomes = tuple(outcomes)
    made: dict[str, Loader] = {}
    for place in found:
        here = known(outcomes, place.name)
        one = loader(
            place,
            asked,
            torch=_fact(shared, Torch),
            model=_fact(shared, Model),
            checkpoint=_fact(shared, Checkpoint),
            packages=_fact(shared, Packages),
            cast=_fact(here, Cast),
            precision=_fact(here, Precision),
        )
        if one:
            made[place.name] = one
    return tuple(one for name, one in made.items() if name != "cpu" or len(made) == 1)


def loader(
    place: Place,
    asked: Asked,
    *,
    torch: Torch | None,
    model: Model | None = None,
    checkpoint: Checkpoint | None = None,
    cast: Cast | None = None,
    precision: Precision | None = None,
    packages: Packages | None = None,
) -> Loader | None:
    """None where nothing can run: no torch, a place it does not reach, or a build without code for the device."""
    if torch is None or not place.reachable or lacks_code(torch, place, precision) or _dead(precision):
        return None
    stored = checkpoint.dtype if checkpoint else ""
    how = quantised(model.quantization, stored) if model else ""
    if model and how:
        reason = say("the model is quantised ({how}): its weights keep the format they are stored in", how=how)
        return Loader(
            title=say("A loader that does not cast"), place=place.name, code=_quantised(place, model, packages, cast, reason), reason=_line(reason)
        )
    pick = decide(
        place, asked, trained(model.dtype if model else "", stored), cast=cast, precision=precision, family=model.model_type if model else ""
    )
    pick = sized(pick, place, checkpoint)
    reason = _line(pick.reason)
    title = say("A guarded loader in {dtype}", dtype=f"torch.{pick.name}")
    return Loader(title=title, place=place.name, code=_guarded(place, model, packages, cast, pick), reason=reason)


def _fact(facts: Mapping[type, Any], kind: type[Fact]) -> Fact | None:
    found = facts.get(kind)
    return found if isinstance(found, kind) else None


def _dead(precision: Precision | None) -> bool:
    """Whether operations were run there, and none gave a right result."""
    operations = precision.operations if precision else ()
    return bool(operations) and all(one.status != "works" for one in operations)


def _guarded(place: Place, model: Model | None, packages: Packages | None, cast: Cast | None, pick: Pick) -> str:
    if model:
        imports = ["import sys", "", "import torch", "import transformers"]
        run = say("the output, and its model; where DTYPE fails, both anew in FALLBACK")
        freed = say("a weight that was cast cannot be cast back: it is loaded anew")
    else:
        imports = ["import copy", "import sys", "", "import torch"]
        run = say("give it the model uncast; the output, and its copy of the model; where DTYPE fails, both anew in FALLBACK")
        freed = say("a weight that was cast cannot be cast back: the original is copied anew")
    code = GUARD.format(
        given="inputs" if model else "model, inputs",
        run=_line(run),
        trust=_trust(model, "        "),
        ready="model" if model else "copied",
        made=f"{_loaded(model, packages, cast, 'dtype')}.to(DEVICE).eval()" if model else "copy.deepcopy(model).to(DEVICE, dtype)",
        fed=FED % "dtype",
        not_finite=_literal(say("the output in {dtype} is not finite", dtype="{dtype}")),
        numpy=f"  # {_line(say('numpy has no bfloat16: call .float() first'))}" if pick.dtype == "bf16" else "",
        no_help=_line(say("another dtype does not help")),
        message=_literal(
            say("{dtype} failed, so {fallback} is used instead: {error}", dtype="{dtype}", fallback="{FALLBACK}", error="{error!r:.200}")
        ),
        freed=_line(freed),
    )
    constants = f"DEVICE, DTYPE, FALLBACK = {_literal(place.name)}, torch.{pick.name}, torch.{TORCH_NAME['fp32']}"
    return _script(imports, model, pick.reason, constants, code)


def _quantised(place: Place, model: Model, packages: Packages | None, cast: Cast | None, reason: str) -> str:
    code = QUANTISED.format(
        trust=_trust(model),
        made=_loaded(model, packages, cast, '"auto"', "" if place.name == "cpu" else ", device_map=DEVICE") + ".eval()",
        run=_line(say("the output, and the model; only the inputs are cast, to the model's own dtype")),
        fed=FED % "model.dtype",
        not_finite=_literal(say("the output is not finite")),
    )
    return _script(["import torch", "import transformers"], model, reason, f"DEVICE = {_literal(place.name)}", code)


def _script(imports: list[str], model: Model | None, reason: str, constants: str, code: str) -> str:
    """In the order it is read: imports, what to fill in, functions."""
    named = [f"MODEL = {_literal('path/to/' + model.name)}  # {_line(say('your own path'))}"] if model else []
    return "\n".join([*imports, "", *named, *_comment(reason), constants]) + f"\n\n\n{FINITE}\n\n{code}"


def _loaded(model: Model, packages: Packages | None, cast: Cast | None, dtype: str, more: str = "") -> str:
    """The call of `from_pretrained`. Trust is always passed: left out, transformers asks on stdin."""
    kind = f"transformers.{class_name(model, cast)}"
    return from_pretrained(kind, "MODEL", dtype, packages, older=True, more=f", trust_remote_code=False{more}")


def _trust(model: Model | None, indent: str = "") -> str:
    """A comment above the call, the one place where it is decided."""
    if model is None or not model.remote_code:
        return ""
    return f"{indent}# {_line(say('the model needs code of its own repository: read that, and write True if you trust it'))}\n"


def _line(text: str) -> str:
    """One line that ends no comment: driver and exception texts hold anything."""
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())


def _literal(text: str) -> str:
    """As Python writes it, in double quotes where that is the same."""
    written = repr(text)
    return f'"{text}"' if written == f"'{text}'" and '"' not in text else written


def _comment(text: str) -> list[str]:
    """Two lines at most: the report has the whole beside the code."""
    return [f"# {line}" for line in textwrap.wrap(_line(text), 118, max_lines=2, placeholder=" ...", break_on_hyphens=False)]
