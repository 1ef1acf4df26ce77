"""A model's facts as people read them: the summary's lines about it."""

from collections.abc import Iterator, Mapping
from typing import Any

from .evidence import FOLLOWS, loads_as
from .facts import TORCH_NAME, Adapter, Anatomy, Checkpoint, Model, Native, Packages, Stored, release
from .families import family_of
from .report import Line
from .systems import system_of
from .text import count, say


def model_line(model: Model) -> str:
    """Its name and class, the dtype it says, how it is quantised, and whether it brings code."""
    kind = ", ".join(model.architectures) or model.model_type or say("no architecture named")
    parts = [f"{model.name}: {kind}"]
    if model.dtype:
        parts.append(say("saved in {dtype}", dtype=model.dtype))
    if model.quantization:
        how = " ".join(dict.fromkeys(filter(None, (model.quantization, model.quantised.dialect if model.quantised else ""))))
        parts.append(say("quantised by {method}", method=how))
    if model.tied:
        parts.append(say("its head shares the embedding's weights"))
    if model.remote_code:
        parts.append(say("names code of its own"))
    return ", ".join(parts)


def checkpoint_line(checkpoint: Checkpoint) -> str:
    """Files, and what is stored in them."""
    size = f"{count('{number} file', '{number} files', checkpoint.files)}, {checkpoint.format}, {checkpoint.bytes / 2**30:.2f} GiB"
    return f"{size}: {shares(checkpoint.stored)}" if checkpoint.stored else size


def anatomy_line(anatomy: Anatomy) -> str:
    """How many weights, and who says so."""
    how = {
        "arithmetic": say("counted from the configuration"),
        "meta": say("counted on the architecture, built without data"),
        "published": say("published: {source}", source=anatomy.source),
    }[anatomy.how]
    size = sum(one.bytes for one in anatomy.stored) / 2**30
    return say(
        "{count} weights, {size} GiB as stored ({shares}); {how}",
        count=f"{anatomy.parameters:,}",
        size=f"{size:.2f}",
        shares=shares(anatomy.stored),
        how=how,
    )


def native_line(native: Native) -> str:
    """Whether the installed transformers knows the type."""
    if native.known:
        return say("transformers {version} knows {type}", version=native.version, type=native.model_type)
    return say("transformers {version} does not know {type}", version=native.version, type=native.model_type)


def adapter_line(adapter: Adapter) -> str:
    """What it is, and of which model."""
    base = adapter.base or say("a model it does not name")
    rank = say(", rank {rank}", rank=adapter.rank) if adapter.rank else ""
    stored = f", {shares(adapter.stored)}" if adapter.stored else ""
    return say("{method} for {base}{rank}{stored}", method=adapter.method, base=base, rank=rank, stored=stored)


def shares(stored: tuple[Stored, ...]) -> str:
    """`bfloat16 8,030,261,248`; what is packed or scales says so."""
    words = {"weights": "", "packed": say(" packed"), "scales": say(" scales")}
    return ", ".join(f"{one.dtype}{words[one.role]} {one.parameters:,}" for one in stored if one.parameters)


def about(facts: Mapping[type, Any]) -> Iterator[Line]:
    """What is concluded from several facts: the dtype it would be loaded in, and what is known of its family."""
    model, checkpoint, packages = (facts.get(kind) for kind in (Model, Checkpoint, Packages))
    if not isinstance(model, Model):
        return
    text = _loads_as(model, checkpoint, packages)
    if text:
        yield Line(label=say("loads as"), text=text)
    family = family_of(model)
    if family:
        yield Line(label=say("family"), text="; ".join(filter(None, (_family(family), family.note, family.source))))
    system = system_of(model)
    if system:
        unknown = say("unknown: {what}", what=system.unknown) if system.unknown else ""
        yield Line(label=say("known of it"), text="; ".join(filter(None, (system.note, unknown, system.source))))


def _loads_as(model: Model, checkpoint: Checkpoint | None, packages: Packages | None) -> str:
    """The dtype where none is named, and why: the release decides whether configuration and weights are asked at all."""
    dtype = loads_as(model, checkpoint, packages)
    installed = packages.version("transformers") if packages else None
    if dtype is None or model.quantization:
        return ""
    if installed and release(installed) < FOLLOWS:
        return say("float32 by transformers {version}, whatever is stored, where no dtype is named", version=installed)
    why = say("config.json says so") if model.dtype else say("the weights are, and config.json names none")
    who = say("transformers {version}", version=installed) if installed else say("transformers 5")
    return say("{dtype} by {who} where no dtype is named: {why}", dtype=TORCH_NAME[dtype], who=who, why=why)


def _family(family: Any) -> str:
    """The cells that run, in words."""
    cast = {"yes": say("casts its inputs itself"), "no": say("does not cast its inputs")}.get(family.casts_input, "")
    cells = {
        "9/9": say("runs whatever the dtypes of model and input are"),
        "diagonal": say("runs only where model and input have the same dtype"),
        "diagonal+fp32": say("runs where model and input have the same dtype, and in float32 with any input"),
    }
    ran = cells.get(family.cells, "")
    return ", ".join(filter(None, (family.model_type, cast, ran)))
