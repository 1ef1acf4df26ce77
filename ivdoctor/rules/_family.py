"""What rules about families share: which dtype to take at a place, the lines that use one variable for model and inputs, and what a repository pins."""

from ..builds import carriers, machine_of
from ..evidence import BARRED, Range
from ..facts import TORCH_NAME, Asked, Half, Model, Packages, Place, release
from ..families import Family
from ..finding import Fix
from ..lines import class_name, from_pretrained
from ..text import say
from ._remedies import caveat, elsewhere, untried

NOTHING_INSTALLED = "ivdoctor installs nothing"


def wanted_here(dtype: Half, place: Place, asked: Asked, fp16: Range) -> Half:
    """The format in question where the place computes in it or it was asked for by name on a CPU; else the other half format, else fp32; no fp16 that overflows."""
    if dtype == "fp16" and fp16 in BARRED:
        return "bf16" if place.dtypes.bf16 == "native" else "fp32"
    if place.dtypes.of(dtype) == "native" or (place.backend == "cpu" and asked.dtype == dtype):
        return dtype
    if place.dtypes.fp16 == "native" and fp16 not in BARRED:
        return "fp16"
    return "bf16" if place.dtypes.bf16 == "native" else "fp32"


def one_variable(use: Half, model: Model, place: Place, family: Family | None, packages: Packages | None, fp16: Range) -> Fix:
    """Model and inputs from one name, so that they cannot differ."""
    inputs = family.input if family and family.input.isidentifier() else "inputs"
    older = bool(family and family.loads_with)  # its code is of the days of `torch_dtype`, which newer releases take too
    return Fix(
        title=say("Load the model and cast {inputs} with one variable, {dtype}", inputs=inputs, dtype=TORCH_NAME[use]) + caveat(use, place, fp16),
        action="cast-input",
        code=(
            f"dtype = torch.{TORCH_NAME[use]}\n"
            f"model = {from_pretrained(class_name(model), 'path', 'dtype', None if older else packages, model, older=older)}\n"
            f"{inputs} = {inputs}.to(model.device, dtype)"
        ),
        trial=elsewhere(place, say("the model was not run")),
    )


def as_pinned(pins: tuple[str, ...], place: Place | None) -> Fix:
    """The repository's own requirements, but for a torch that has no code for the device."""
    torch = next((pin for pin in pins if pin.startswith("torch==")), "")
    title = say("Install what it asks for, in an environment of its own")
    if torch and place and not _carries(torch.removeprefix("torch=="), place):
        pins = tuple(pin for pin in pins if pin != torch)
        title = say("Install what else it asks for, in an environment of its own: {torch} has no code for {title}", torch=torch, title=place.title)
    command = "pip install " + " ".join(f'"{pin}"' for pin in pins)
    return Fix(title=title, kind="command", action="version", command=command, trial=untried(say(NOTHING_INSTALLED)))


def _carries(version: str, place: Place) -> bool:
    """Whether a published build of this torch has code for the device; of what the builds' table does not list, yes."""
    if place.compute_capability is None and place.gfx is None:
        return True
    minor, found = release(version)[:2], carriers(place.compute_capability, place.gfx, machine_of(place))
    return not found or any(release(one.torch_from)[:2] <= minor <= release(one.torch_last)[:2] for one in found)
