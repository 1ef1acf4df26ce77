"""The reproduction: what a run of `probes/mismatch.py` would give, made up."""

from collections.abc import Iterator, Mapping
from itertools import product

from ..facts import (
    HALVES,
    TORCH_NAME,
    Attempt,
    Cell,
    Half,
    Mismatch,
    Site,
    Towers,
    Trial,
)


def a_mismatch(where: str = "cpu", *, refused: Mapping[str, str] | None = None, overflow: tuple[Half, ...] = ()) -> Mismatch:
    """
    The reproduction in the shape it has on a healthy device: the cells, two of the tower combinations, every remedy.

    Made up, and checked against a real run by ivdoctor's own tests.

    Args:
        where: the place it is said to have run on.
        refused: messages by format (`fp16`) for formats in which even an agreeing pass raises.
        overflow: formats in which an agreeing pass runs and gives no finite numbers.
    """
    made = _Reproduction(where, refused or {}, overflow)
    cells = tuple(made.cell(model, given) for model, given in product(HALVES, HALVES))
    towers = (made.towers("bf16", "bf16", "fp16"), made.towers("bf16", "fp32", "fp32"))
    trials = [trial for cell in cells if cell.attempt.status == "raised" or cell.attempt.relative_l2 < 0 for trial in made.cell_trials(cell)]
    trials += [trial for one in towers for trial in made.tower_trials(one)]
    return Mismatch(cells=cells, towers=towers, trials=tuple(trials))


CPP = {"fp32": "float", "fp16": "c10::Half", "bf16": "c10::BFloat16"}
PYTHON = {"fp32": "Float", "fp16": "Half", "bf16": "BFloat16"}
DISTANCE = {"fp32": 0.0, "fp16": 6.6e-4, "bf16": 5.3e-3}


class _Reproduction:
    """What a run would give: agreeing dtypes run unless refused, differing ones raise with torch's own words."""

    def __init__(self, where: str, refused: Mapping[str, str], overflow: tuple[Half, ...]) -> None:
        self.where, self.refused, self.overflow = where, refused, overflow

    def agreeing(self, dtype: Half) -> Attempt:
        if dtype in self.refused:
            return self._raised(self.refused[dtype], "vision.patch_embedding", "aten.convolution")
        distance = -1.0 if dtype in self.overflow else DISTANCE[dtype]
        return Attempt(status="ran", output=TORCH_NAME[dtype], relative_l2=distance)

    def cell(self, model: Half, given: Half) -> Cell:
        if model == given:
            return Cell(model=model, input=given, attempt=self.agreeing(model))
        message = f"Input type ({CPP[given]}) and bias type ({CPP[model]}) should be the same"
        origin = Site(module="pixel_values", dtype=TORCH_NAME[given])
        return Cell(model=model, input=given, attempt=self._raised(message, "vision.patch_embedding", "aten.convolution", origin))

    def towers(self, vision: Half, projector: Half, lm: Half) -> Towers:
        if vision == projector:
            message = f"Index put requires the source and destination dtypes match, got {PYTHON[lm]} for the destination and {PYTHON[vision]} for the source."
            attempt = self._raised(message, "", "aten.index_put_", Site(module="projector", dtype=TORCH_NAME[projector]))
        else:
            message = f"mat1 and mat2 must have the same dtype, but got {PYTHON[vision]} and {PYTHON[projector]}"
            attempt = self._raised(message, "projector.1", "aten.linear", Site(module="vision", dtype=TORCH_NAME[vision]))
        return Towers(vision=vision, projector=projector, lm=lm, attempt=attempt)

    def cell_trials(self, cell: Cell) -> Iterator[Trial]:
        lost = self._raised(
            f"mat1 and mat2 must have the same dtype, but got {PYTHON[cell.input]} and {PYTHON[cell.model]}", "projector.1", "aten.linear"
        )
        same = cell.model == cell.input
        rounding = {"weights": 11408.0, "weights_changed": 693.0}
        yield self._trial("cast-model", cell, cell.input, self.agreeing(cell.input))
        yield self._trial("cast-input", cell, cell.model, self.agreeing(cell.model))
        yield self._trial("cast-tower", cell, cell.model, self.agreeing(cell.model) if same else lost)
        yield self._trial("autocast", cell, "bf16", self.agreeing("bf16") if cell.model == "bf16" else lost)
        yield self._trial("half-then-bf16", cell, "bf16", self.agreeing("bf16"), rounding)
        for dtype in HALVES:
            yield self._trial(f"everything-{dtype}", cell, dtype, self.agreeing(dtype))

    def tower_trials(self, one: Towers) -> Iterator[Trial]:
        yield self._trial("unify", one, one.lm, self.agreeing(one.lm))
        yield self._trial("cast-at-write", one, one.lm, self.agreeing(one.lm) if one.vision == one.projector else one.attempt)
        for dtype in HALVES:
            yield self._trial(f"everything-{dtype}", one, dtype, self.agreeing(dtype))

    def _trial(self, remedy: str, failure: Cell | Towers, dtype: Half, after: Attempt, metrics: Mapping[str, float] | None = None) -> Trial:
        ran = after.status == "ran"
        before = failure.attempt
        return Trial(
            remedy=remedy,
            case=failure.case,
            status="passed" if ran and after.relative_l2 >= 0 else "failed",
            how="miniature",
            where=self.where,
            before=f"{before.error}: {before.message}",
            after=f"ran, output {after.output}" if ran else f"{after.error}: {after.message}",
            computes_in=dtype,
            metrics=dict(metrics or {}) | ({"relative_l2": after.relative_l2} if ran else {}),
        )

    @staticmethod
    def _raised(message: str, module: str, operator: str, origin: Site | None = None) -> Attempt:
        location = Site(module=module, file="ivdoctor/trials/miniature.py", line=1, op=operator)
        return Attempt(status="raised", error="RuntimeError", message=message, location=location, origin=origin)
