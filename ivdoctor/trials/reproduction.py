"""The reproduction: the 3x3 of model and pixel dtype, the towers apart, and every remedy on what raised."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor, nn

from ..facts import HALVES, Attempt, Cell, Half, Mismatch, Towers, Trial
from . import threads
from .miniature import Miniature, build
from .remedies import FOR_CELLS, FOR_TOWERS, Remedy
from .run import EXPECTED, attempt, raised, torch_dtype

TREATED = frozenset({"bf16/bf16/fp16", "bf16/bf16/fp32", "fp16/fp16/bf16", "bf16/fp32/fp32", "bf16/fp32/bf16", "fp16/fp32/fp16"})
"""Vision, projector and LM as people really load them apart; the other combinations are run, and not treated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """The fp32 miniature on a device, and what it says there; one model, recast from its fp32 weights for each run."""

    device: str
    model: Miniature
    parameters: tuple[tuple[str, nn.Parameter], ...]
    weights: dict[tuple[str, Half], Tensor]
    """Every parameter's values by format, cast from fp32 when first needed; nothing writes into them."""
    pixels: Tensor
    ids: Tensor
    expected: Tensor

    def cast(self, vision: Half, projector: Half, lm: Half, pixels: Half) -> tuple[Miniature, Tensor]:
        """The model with its parts in these formats, and the pixels in theirs."""
        parts = {"vision": vision, "projector": projector, "lm": lm}
        for name, parameter in self.parameters:
            short = parts[name.partition(".")[0]]
            if (name, short) not in self.weights:
                self.weights[name, short] = self.weights[name, "fp32"].to(torch_dtype(short))
            parameter.data = self.weights[name, short]
        return self.model, self.pixels.to(torch_dtype(pixels))

    def run(self, vision: Half, projector: Half, lm: Half, pixels: Half) -> Attempt:
        """A forward pass in these formats."""
        try:
            model, cast = self.cast(vision, projector, lm, pixels)
        except EXPECTED as error:  # MPS refuses to hold bf16 before macOS 14
            return raised(error)
        return attempt(model, cast, self.ids, self.expected)


def reproduce(device: str) -> Mismatch:
    """
    Everything, on one device, in about a hundred tiny forward passes.

    Raises:
        DeviceFault: the device was lost on the way.
    """
    threads.one()
    model, pixels, ids = build()
    with torch.no_grad():
        expected = model(pixels, ids).double()
    model.to(device)
    parameters = tuple(model.named_parameters())
    patient = Patient(
        device=device,
        model=model,
        parameters=parameters,
        weights={(name, "fp32"): parameter.detach() for name, parameter in parameters},
        pixels=pixels.to(device),
        ids=ids.to(device),
        expected=expected,
    )
    cells = tuple(Cell(model=one, input=two, attempt=patient.run(one, one, one, two)) for one, two in product(HALVES, HALVES))
    towers = tuple(
        Towers(vision=vision, projector=projector, lm=lm, attempt=patient.run(vision, projector, lm, vision))
        for vision, projector, lm in product(HALVES, HALVES, HALVES)
        if not vision == projector == lm
    )
    return Mismatch(cells=cells, towers=towers, trials=(*_cell_trials(patient, cells), *_tower_trials(patient, towers)))


def _cell_trials(patient: Patient, cells: tuple[Cell, ...]) -> Iterator[Trial]:
    for cell in cells:
        if not cell.attempt.usable:
            for name, remedy in FOR_CELLS.items():
                yield _trial(patient, name, remedy, cell.case, (cell.model,) * 3, cell.input, cell.attempt)


def _tower_trials(patient: Patient, towers: tuple[Towers, ...]) -> Iterator[Trial]:
    for one in towers:
        if not one.attempt.usable and one.case in TREATED:
            for name, remedy in FOR_TOWERS.items():
                yield _trial(patient, name, remedy, one.case, (one.vision, one.projector, one.lm), one.vision, one.attempt)


def _trial(  # noqa: PLR0917  # private, called twice
    patient: Patient, name: str, remedy: Remedy, case: str, parts: tuple[Half, Half, Half], pixels: Half, before: Attempt
) -> Trial:
    """Half-then-bf16 starts from fp32 weights, as the demo's loader gives them; the others from the failing model."""
    start: tuple[Half, Half, Half] = ("fp32", "fp32", "fp32") if name == "half-then-bf16" else parts
    computes_in, metrics = start[-1], dict[str, float]()
    try:
        treated = remedy(*patient.cast(*start, pixels))
    except EXPECTED as error:
        after = raised(error)
    else:
        computes_in, metrics = treated.computes_in, dict(treated.metrics)
        after = attempt(treated.model, treated.pixels, patient.ids, patient.expected, treated.call, locate=False)
    if after.status == "ran":
        metrics["relative_l2"] = after.relative_l2
    return Trial(
        remedy=name,
        case=case,
        status="passed" if after.usable else "failed",
        how="miniature",
        where=patient.device,
        before=before.said(),
        after=after.said(),
        computes_in=computes_in,
        metrics=metrics,
    )
