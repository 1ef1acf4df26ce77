"""A guarded loader for one machine and one model: a script of a few lines, without ivdoctor in it. Pure: facts in, text out."""

import keyword
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from .choice import Pick, decide, quantised, sized, trained
from .facts import TORCH_NAME, Asked, Cast, Checkpoint, Model, Packages, Place, Precision, Torch, release
from .outcome import Outcome, known
from .report import Loader
from .rules._wheels import lacks_code
from .text import say

Fact = TypeVar("Fact")

RENAMED = (4, 56)
"""The transformers that takes `dtype=` for what was `torch_dtype=`. Source: transformers#39782 (2025-08-22)."""

FEED = '''\
def cast(value, dtype):
    """{cast}"""
    if torch.is_tensor(value):
        return value.to(DEVICE, dtype if value.is_floating_point() else value.dtype)
    return [cast(one, dtype) for one in value] if isinstance(value, (list, tuple)) else value


def finite(value):
    """{finite}"""
    if torch.is_tensor(value):
        return not value.is_floating_point() or bool(torch.isfinite(value).all())
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return all(finite(one) for one in parts)


def feed(model, inputs, dtype):
    """{feed}"""
    with torch.no_grad():
        output = model(**{{name: cast(value, dtype) for name, value in inputs.items()}})
    if not finite(output):
        raise FloatingPointError(f{not_finite})
    return output
'''

GUARD = '''\
def run({parameters}):
    """{run}"""
    ready = None
    try:
        ready = {ready}
        return feed(ready, inputs, DTYPE), ready
    except (RuntimeError, FloatingPointError) as error:
        said = " ".join(str(error).split())[:200]
        if DTYPE == FALLBACK or "memory" in said.lower() or "alloc" in said.lower():  # {no_help}
            raise
        print(f{message}, file=sys.stderr)
    ready = None  # {freed}
    ready = {again}
    return feed(ready, inputs, FALLBACK), ready
'''

QUANTISED = '''\
model = transformers.{name}.from_pretrained({arguments}).eval()


def run(inputs):
    """{run}"""
    return feed(model, inputs, model.dtype), model
'''


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
            title=say("A loader that does not cast"), place=place.name, code=_quantised(place, model, packages, reason), reason=_line(reason)
        )
    pick = decide(place, asked, trained(model.dtype if model else "", stored), cast=cast, precision=precision)
    pick = sized(pick, place, checkpoint)
    reason = _line(pick.reason)
    title = say("A guarded loader in {dtype}", dtype=f"torch.{pick.name}")
    return Loader(title=title, place=place.name, code=_guarded(place, model, packages, pick), reason=reason)


def _fact(facts: Mapping[type, Any], kind: type[Fact]) -> Fact | None:
    found = facts.get(kind)
    return found if isinstance(found, kind) else None


def _dead(precision: Precision | None) -> bool:
    """Whether operations were run there, and none gave a right result."""
    operations = precision.operations if precision else ()
    return bool(operations) and all(one.status != "works" for one in operations)


def _guarded(place: Place, model: Model | None, packages: Packages | None, pick: Pick) -> str:
    imports = ["import sys", "", "import torch"] if model else ["import copy", "import sys", "", "import torch"]
    load = ""
    if model:
        imports.append("import transformers")
        load = (
            f"def load(dtype):\n    return transformers.{_class(model)}.from_pretrained({_arguments(packages, 'dtype', model)}).to(DEVICE).eval()\n"
        )
        run = say("The output, and the model it came from: in DTYPE or, where that fails, loaded anew in FALLBACK.")
        freed = say("a weight that was cast cannot be cast back: it is loaded again")
    else:
        run = say("The output, and the copy it came from: in DTYPE or, where that fails, in FALLBACK. Give it the model uncast.")
        freed = say("a weight that was cast cannot be cast back: the original is copied again")
    guard = GUARD.format(
        parameters="inputs" if model else "model, inputs",
        run=_quotable(run),
        ready="load(DTYPE)" if model else "copy.deepcopy(model).to(DEVICE, DTYPE)",
        again="load(FALLBACK)" if model else "copy.deepcopy(model).to(DEVICE, FALLBACK)",
        no_help=_line(say("another dtype does not help")),
        freed=_line(freed),
        message=_literal(say("{dtype} failed, so {fallback} is used instead: {error}", dtype="{DTYPE}", fallback="{FALLBACK}", error="{said}")),
    )
    constants = [*_naming(model, packages), *_comment(pick.reason), f"DTYPE = torch.{pick.name}", f"FALLBACK = torch.{TORCH_NAME['fp32']}"]
    return _script(place, model, imports, constants, [*([load] if load else []), _feed(), guard])


def _quantised(place: Place, model: Model, packages: Packages | None, reason: str) -> str:
    code = QUANTISED.format(
        name=_class(model),
        arguments=_arguments(packages, '"auto"', model) + ("" if place.name == "cpu" else ", device_map=DEVICE"),
        run=_quotable(say("The output, and the model: only the inputs are cast, to the model's own dtype.")),
    )
    constants = [*_naming(model, packages), *_comment(reason)]
    return _script(place, model, ["import torch", "import transformers"], constants, [_feed(), code])


def _script(place: Place, model: Model | None, imports: list[str], constants: list[str], functions: list[str]) -> str:
    """In the order it is read: imports, what to fill in, functions."""
    named = [f"MODEL = {_literal('path/to/' + model.name)}  # {_line(say('your own path'))}"] if model else []
    if model and model.remote_code:
        named += [*_comment(say("the model needs code of its own repository: read that, and write True if you trust it")), "TRUST = False"]
    head = [*named, f"DEVICE = {_literal(place.name)}", *constants]
    return "\n".join([*imports, "", *head]) + "\n\n\n" + "\n\n".join(functions)


def _feed() -> str:
    return FEED.format(
        cast=_quotable(say("On the device; in this dtype if it is a floating tensor.")),
        finite=_quotable(say("Whether every number of an output is.")),
        feed=_quotable(say("The output for inputs cast to this dtype. numpy knows no bfloat16: call .float() first.")),
        not_finite=_literal(say("the output in {dtype} is not finite", dtype="{dtype}")),
    )


def _arguments(packages: Packages | None, dtype: str, model: Model) -> str:
    """Of `from_pretrained`; trust is always passed: left out, transformers asks on stdin."""
    named = f"{_keyword(packages)}={dtype}" if _keyword(packages) else f"**{{DTYPE_IS: {dtype}}}"
    return f"MODEL, {named}, trust_remote_code={'TRUST' if model.remote_code else False}"


def _keyword(packages: Packages | None) -> str:
    """What the installed transformers calls the dtype to load in; empty where its version is not known."""
    version = packages.version("transformers") if packages else None
    if not version:
        return ""
    return "dtype" if release(version) >= RENAMED else "torch_dtype"


def _naming(model: Model | None, packages: Packages | None) -> list[str]:
    """What the dtype is called, to be found out where the script runs."""
    if model is None or _keyword(packages):
        return []
    return [f'DTYPE_IS = "dtype" if tuple(map(int, transformers.__version__.split(".")[:2])) >= {RENAMED} else "torch_dtype"']


def _class(model: Model) -> str:
    """
    The architecture by name where that is a Python name and the class is transformers' own.

    The name is the repository's, and stands in code: nothing but an identifier gets there.
    """
    name = model.architectures[0] if model.architectures else ""
    plain = name.isascii() and name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("_")
    return name if plain and not model.remote_code else "AutoModel"


def _line(text: str) -> str:
    """One line that ends no comment: driver and exception texts hold anything."""
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())


def _literal(text: str) -> str:
    """As Python writes it, in double quotes where that is the same."""
    written = repr(text)
    return f'"{text}"' if written == f"'{text}'" and '"' not in text else written


def _quotable(text: str) -> str:
    """One line that ends no docstring."""
    return _line(text).replace("\\", "/").replace('"', "'")


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(_line(text)[:600], 110, break_on_hyphens=False)]
