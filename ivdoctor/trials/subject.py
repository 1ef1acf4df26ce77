"""A model to be cast, its inputs, and how to speak of what it raises."""

import contextlib
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ..facts import Half, Site
from ..probe import DeviceFault
from .failure import device_is_lost, first_line, location, pathless
from .inputs import Inputs
from .run import LastFunction, torch_dtype


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A model on the CPU in its baseline format, and what goes in."""

    name: str
    model: nn.Module
    inputs: Inputs
    baseline: Half
    device: str
    real: bool
    """Not the miniature: its passes are worth timing."""
    again: Callable[[Half], nn.Module] | None = None
    """Loads it anew in another format, as transformers leaves it there."""

    def call(self, dtype: Half, floats: Half | None = None) -> Callable[[], Any]:
        """
        A forward pass; the weights must be in this format already, the floating inputs are brought to it, or to `floats`.

        What the model draws at random, masks or noise, it draws from the same seed each time.
        """
        return self.calling(self.model, floats or dtype)

    def calling(self, model: nn.Module, floats: Half) -> Callable[[], Any]:
        """The same of another copy of the model."""
        tensors = self.inputs.to(self.device, torch_dtype(floats))

        def forward() -> Any:
            torch.manual_seed(0)
            return model(**tensors)

        return forward


def slowness(device: str, dtype: Half) -> float:
    """How many times longer a product of two 256x256 matrices takes than in fp32: a CPU without the instructions runs a naive loop."""
    if device != "cpu":
        return 1.0
    times = []
    for kind in (torch.float32, torch_dtype(dtype)):
        left = torch.ones(256, 256, dtype=kind)
        least = float("inf")
        for _ in range(3):
            began = time.perf_counter()
            left @ left
            least = min(least, time.perf_counter() - began)
        times.append(least)
    return times[1] / times[0]


def said(error: BaseException) -> str:
    """
    An exception in one line.

    Raises:
        DeviceFault: nothing more can be tried on this device in this process.
    """
    if device_is_lost(error):
        raise DeviceFault(first_line(error)) from error
    return f"{type(error).__name__}: {pathless(first_line(error))[:500]}"


def where(subject: Subject, error: BaseException, call: Callable[[], Any]) -> Site:
    """The line of the model's own code, not torch's."""
    watching = LastFunction()
    with contextlib.suppress(Exception), watching:  # it is known to raise; which function did is the point
        call()
    library = os.path.dirname(os.path.abspath(torch.__file__)) + os.sep
    home = os.path.dirname(os.path.abspath(sys.modules[type(subject.model).__module__.partition(".")[0]].__file__ or ""))
    return location(error, subject.model, watching.name, own=lambda file: file.startswith(home) and not file.startswith(library), root=home)
