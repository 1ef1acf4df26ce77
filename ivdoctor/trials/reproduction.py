"""The reproduction: the 3x3 of model and pixel dtype, the towers apart, and every remedy on what raised."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor, nn

from ..facts import HALVES, TORCH_NAME, Attempt, Cell, Half, Mismatch, Towers, Trial
from .miniature import Miniature, build
from .remedies import FOR_CELLS, FOR_TOWERS, Remedy
from .run import attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """The fp32 miniature on a device, and what it says there; one model, recast from its fp32 weights for each run."""

    device: str
    model: Miniature
    parameters: tuple[tuple[str, nn.Parameter], ...]
    weights: dict[tuple[str, Half], Tensor]
    """Every parameter's fp32 values cast once to each format; nothing writes into them."""
    pixels: Tensor
    ids: Tensor
    expected: Tensor

    def cast(self, vision: Half, projector: Half, lm: Half, pixels: Half) -> tuple[Miniature, Tensor]:
        """The model with its parts in these formats, and the pixels in theirs."""
        parts = {"vision": vision, "projector": projector, "lm": lm}
        for name, parameter in self.parameters:
            parameter.data = self.weights[name, parts[name.partition(".")[0]]]
        return self.model, self.pixels.to(_dtype(pixels))

    def run(self, vision: Half, projector: Half, lm: Half, pixels: Half) -> Attempt:
        """A forward pass in these formats."""
        model, cast = self.cast(vision, projector, lm, pixels)
        return attempt(model, cast, self.ids, self.expected)


def reproduce(device: str) -> Mismatch:
    """
    Everything, on one device, in about a hundred tiny forward passes.

    Raises:
        DeviceFault: the device was lost on the way.
    """
    torch.set_num_threads(1)
    model, pixels, ids = build(device)
    with torch.no_grad():
        expected = model(pixels, ids).cpu().double()
    parameters = tuple(model.named_parameters())
    weights = {(name, short): parameter.detach().to(_dtype(short)) for name, parameter in parameters for short in HALVES}
    patient = Patient(device=device, model=model, parameters=parameters, weights=weights, pixels=pixels, ids=ids, expected=expected)
    cells = tuple(Cell(model=one, input=two, attempt=patient.run(one, one, one, two)) for one, two in product(HALVES, HALVES))
    towers = tuple(
        Towers(vision=vision, projector=projector, lm=lm, attempt=patient.run(vision, projector, lm, vision))
        for vision, projector, lm in product(HALVES, HALVES, HALVES)
        if not vision == projector == lm
    )
    return Mismatch(cells=cells, towers=towers, trials=(*_cell_trials(patient, cells), *_tower_trials(patient, towers)))


def _cell_trials(patient: Patient, cells: tuple[Cell, ...]) -> Iterator[Trial]:
    for cell in cells:
        if cell.attempt.status == "raised":
            for name, remedy in FOR_CELLS.items():
                yield _trial(patient, name, remedy, cell.case, (cell.model,) * 3, cell.input, cell.attempt)


def _tower_trials(patient: Patient, towers: tuple[Towers, ...]) -> Iterator[Trial]:
    """Where one part is odd; with three formats in three parts there is nothing new to see."""
    for one in towers:
        if one.attempt.status == "raised" and len({one.vision, one.projector, one.lm}) < len(HALVES):
            for name, remedy in FOR_TOWERS.items():
                yield _trial(patient, name, remedy, one.case, (one.vision, one.projector, one.lm), one.vision, one.attempt)


def _trial(  # noqa: PLR0917  # private, called twice
    patient: Patient, name: str, remedy: Remedy, case: str, parts: tuple[Half, Half, Half], pixels: Half, before: Attempt
) -> Trial:
    """Half-then-bf16 starts from fp32 weights, as the demo's loader gives them; the others from the failing model."""
    start: tuple[Half, Half, Half] = ("fp32", "fp32", "fp32") if name == "half-then-bf16" else parts
    treated = remedy(*patient.cast(*start, pixels))
    after = attempt(treated.model, treated.pixels, patient.ids, patient.expected, treated.call, locate=False)
    metrics = dict(treated.metrics)
    if after.status == "ran":
        metrics["relative_l2"] = after.relative_l2
    return Trial(
        remedy=name,
        case=case,
        status="passed" if after.status == "ran" and after.relative_l2 >= 0 else "failed",
        how="miniature",
        where=patient.device,
        before=f"{before.error}: {before.message}",
        after=f"ran, output {after.output}" if after.status == "ran" else f"{after.error}: {after.message}",
        computes_in=treated.computes_in,
        metrics=metrics,
    )


def _dtype(short: Half) -> torch.dtype:
    dtype: torch.dtype = getattr(torch, TORCH_NAME[short])
    return dtype
