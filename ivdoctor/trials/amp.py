"""
Training steps of the miniature: autocast, gradient scaling, and an update of the weights.

The step object stands in for `torch.optim`, whose optimizers cost an import of the compiler when the first is made.
"""

import contextlib
import math
import os
import warnings
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..facts import Half, Site, Step
from ..text import say
from . import threads
from .failure import location
from .miniature import WIDTH, Miniature, build
from .run import CODE, EXPECTED, PACKAGE, Forward, LastFunction, raised, torch_dtype

RATE = 0.1
TRIES = 8
"""A scaler begins at 65536 and halves after each step that overflowed: a real loop goes through it too, here down to 512."""

OWN = CODE | {os.path.join(PACKAGE, "trials", name) for name in ("amp.py", "misuse.py")}
"""The miniature's own lines and those that train it."""

NO_AUTOCAST = ("autocast device_type", "AutocastCPU only support")
"""torch's words where autocast for a device, or float16 on the CPU, came with a later version (1.13 and 2.13 were seen, 2026-11-23)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a training step is written."""

    weights: Half
    autocast: Half | None
    scaled: bool = False
    call: Forward

    @property
    def computes_in(self) -> Half:
        """The format of its matrix products."""
        return self.autocast or self.weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one."""

    status: Literal["ran", "raised", "absent"]
    error: str = ""
    """The exception's type."""
    message: str = ""
    """torch's words, or why it is absent, or that the scaler backed off."""
    location: Site | None = None
    by_scaler: bool = False
    """Whether the scaler raised, after a forward and a backward pass that worked."""
    loss: float = 0.0
    gradients_finite: bool = False
    moved: bool = False

    @property
    def usable(self) -> bool:
        """Whether it ran, with finite numbers, and the weights moved."""
        return self.status == "ran" and self.loss >= 0 and self.gradients_finite and self.moved

    def said(self) -> str:
        """In one line what came of it."""
        if self.status == "raised":
            return f"{self.error}: {self.message}"
        if self.status == "absent":
            return self.message
        if self.loss < 0:
            return say("ran, and the loss is not finite")
        if not self.gradients_finite:
            return say("ran, and the gradients are not finite")
        if not self.moved:
            return say("ran, and the weights did not move")
        return say("ran, loss {loss:.4f}, gradients finite", loss=self.loss)


class Sgd:
    """What a GradScaler asks of an optimizer: `param_groups` and `step()`."""

    def __init__(self, parameters: tuple[nn.Parameter, ...]) -> None:
        self.param_groups = [{"params": list(parameters)}]
        self.stepped = False

    def step(self) -> None:
        """Out of place: the weights it began with are shared by all runs."""
        self.stepped = True
        for parameter in self.param_groups[0]["params"]:
            if parameter.grad is not None:
                parameter.data = parameter.data.sub(parameter.grad, alpha=RATE)

    def zero_grad(self) -> None:
        """As every loop does before its backward pass."""
        for parameter in self.param_groups[0]["params"]:
            parameter.grad = None

    def finite(self) -> bool:
        """Whether every gradient is; one look, because each look waits for the accelerator."""
        gradients = [parameter.grad.reshape(-1) for parameter in self.param_groups[0]["params"] if parameter.grad is not None]
        return bool(gradients) and bool(torch.isfinite(torch.cat(gradients)).all())


@dataclass(frozen=True, slots=True, kw_only=True)
class Trainee:
    """The fp32 miniature on a device; one model, set back to its first weights for each way."""

    device: str
    model: Miniature
    weights: tuple[tuple[nn.Parameter, Tensor], ...]
    pixels: Tensor
    ids: Tensor
    done: dict[Way, Outcome]

    def train(self, way: Way) -> Outcome:
        """
        A forward and a backward pass and an update; run once, and remembered.

        Raises:
            DeviceFault: the device is lost to this process.
        """
        if way not in self.done:
            lacking = self._lacking(way)
            self.done[way] = Outcome(status="absent", message=lacking) if lacking else self._train(way)
        return self.done[way]

    @property
    def kind(self) -> str:
        """As autocast wants it: `cuda` for `cuda:1`."""
        return torch.device(self.device).type

    def _lacking(self, way: Way) -> str:
        """What this PyTorch does not have for the device; empty when nothing is missing."""
        if way.scaled and _scaler(self.kind) is None:
            return say("torch {version} has no GradScaler for {device}", version=torch.__version__, device=self.kind)
        return _no_autocast(self.device, way.autocast) if way.autocast else ""

    def _train(self, way: Way) -> Outcome:
        optimizer, scaler = Sgd(tuple(parameter for parameter, _ in self.weights)), _scaler(self.kind) if way.scaled else None
        watching, scaling, skipped = LastFunction(), False, 0
        try:
            pixels = self._cast(way.weights)
            while not optimizer.stepped and skipped < TRIES:
                watching, scaling = LastFunction(), False  # torch 1.13 does not enter one twice
                optimizer.zero_grad()
                with self._autocast(way), watching:
                    logits = way.call(self.model, pixels, self.ids)
                    loss = functional.cross_entropy(logits[0, :-1].float(), self.ids[0, 1:])
                if scaler is None:
                    loss.backward()  # type: ignore[no-untyped-call]  # torch's own has no types
                    optimizer.step()
                else:
                    scaler.scale(loss).backward()
                    scaling = True
                    scaler.step(optimizer)
                    scaler.update()
                    skipped += not optimizer.stepped
            lost, finite = float(loss.detach()), optimizer.finite()  # an accelerator's errors come late
            moved = any(not torch.equal(parameter, first.to(parameter.dtype)) for parameter, first in self.weights)
        except EXPECTED as error:
            failed = raised(error)
            site = location(error, self.model, watching.name, own=OWN.__contains__, root=PACKAGE)
            return Outcome(status="raised", error=failed.error, message=failed.message, location=site, by_scaler=scaling)
        return Outcome(
            status="ran",
            message=say("the scaler backed off: it skipped {skipped} steps", skipped=skipped) if skipped else "",
            loss=round(lost, 4) if math.isfinite(lost) else -1.0,
            gradients_finite=finite,
            moved=moved,
        )

    def _autocast(self, way: Way) -> contextlib.AbstractContextManager[Any]:
        """None at all where it is not wanted: torch 1.13 refuses formats even to a disabled one."""
        return torch.autocast(self.kind, torch_dtype(way.autocast)) if way.autocast else contextlib.nullcontext()

    def _cast(self, weights: Half) -> Tensor:
        """Set the model back to its first weights in this format, and give the pixels in it."""
        for parameter, first in self.weights:
            parameter.grad = None
            parameter.data = first.to(torch_dtype(weights))
        return self.pixels.to(torch_dtype(weights))


def trainee(device: str) -> Trainee:
    """With all its weights trained, on one thread."""
    threads.one()
    model, pixels, ids = build(device)
    weights = tuple((parameter, parameter.detach()) for parameter in model.parameters())
    return Trainee(device=device, model=model, weights=weights, pixels=pixels, ids=ids, done={})


def cast_at_scatter(model: Miniature, pixels: Tensor, ids: Tensor) -> Tensor:
    """The forward pass as it must be written: `nn.Embedding` is not autocast, so the tokens are cast to its dtype."""
    visual = model.projector(model.vision(pixels))
    embeds = model.lm.embed_tokens(ids)
    logits: Tensor = model.lm(embeds.masked_scatter(placeholders(ids), visual.to(embeds.dtype)))
    return logits


def placeholders(ids: Tensor) -> Tensor:
    """Where the visual tokens go, in the shape of the embeddings."""
    return (ids == 0)[..., None].expand(*ids.shape, WIDTH)


BF16 = Way(weights="fp32", autocast="bf16", call=cast_at_scatter)
FP16 = Way(weights="fp32", autocast="fp16", scaled=True, call=cast_at_scatter)
STEPS: tuple[tuple[Half, Way], ...] = (("bf16", BF16), ("fp16", FP16))


def steps(trainee: Trainee) -> tuple[Step, ...]:
    """
    One step under autocast in each half format, as the manuals write it.

    Raises:
        DeviceFault: the device was lost on the way.
    """
    return tuple(_step(dtype, way, trainee.train(way)) for dtype, way in STEPS)


def _step(dtype: Half, way: Way, outcome: Outcome) -> Step:
    return Step(
        dtype=dtype,
        scaled=way.scaled,
        status=outcome.status,
        message=outcome.message or ("" if outcome.usable else outcome.said()),
        location=outcome.location,
        loss=outcome.loss,
        gradients_finite=outcome.gradients_finite,
        moved=outcome.moved,
    )


def _scaler(kind: str) -> Any:
    """A GradScaler with its defaults; the one for any device is there since torch 2.3, the CUDA one always."""
    if hasattr(torch.amp, "GradScaler"):
        return torch.amp.GradScaler(kind)
    return torch.cuda.amp.GradScaler() if kind == "cuda" else None


def _no_autocast(device: str, dtype: Half) -> str:
    """Why autocast is not to be had here: torch says so, or warns and leaves the format out. Any other refusal is the step's own."""
    one = torch.ones(1, 1, device=device)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with torch.autocast(one.device.type, torch_dtype(dtype)):
                product = one @ one
    except EXPECTED as error:
        message = raised(error).message
        return message if any(mark in message for mark in NO_AUTOCAST) else ""
    if product.dtype == torch_dtype(dtype):
        return ""
    return say("torch {version} leaves {dtype} out of autocast for {device}", version=torch.__version__, dtype=dtype, device=one.device.type)
