"""What rules about the dtype flow share: the ways out of a cell that raises, tried on a miniature or foretold by other cells."""

from collections.abc import Iterator
from dataclasses import dataclass

from ..evidence import BARRED, Range
from ..evidence_flow import cell_at
from ..facts import HALVES, TORCH_NAME, Asked, Flow, Flowed, Half, Miniature, Model, Packages, Place, Site, Trial
from ..finding import Fix, Tried
from ..lines import INPUTS, class_name, from_pretrained
from ..text import say
from ._remedies import SUPPORT, caveat, ranked, wanted

SIZES = (
    "cast-input",
    "load-at-once",
    "cast-afterwards",
    "cast-module",
    "cast-model",
    "autocast",
    *(f"{way}-{dtype}" for way in ("load-in", "cast-to", "everything") for dtype in ("bf16", "fp16", "fp32")),
)
"""Remedies that may be advised, from the smallest change to the largest."""

MODULE = """\
def own_dtype(module, args):
    weight = next(module.parameters())
    return tuple(one.to(weight.dtype) if torch.is_tensor(one) and one.is_floating_point() else one for one in args)

model.get_submodule("{module}").register_forward_pre_hook(own_dtype)"""
"""The cast at the layer that raises, without a change of its code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """What the ways out of one cell are made of."""

    flow: Flow
    miniature: Miniature | None
    cell: Flowed
    place: Place
    asked: Asked
    model: Model | None
    packages: Packages | None
    fp16: Range

    def fixes(self) -> tuple[Fix, ...]:
        """
        Those that a miniature has run first, the one to take first of all; then those that other cells of the flow foretell.

        One a format and kind of change: the smallest that passed.
        """
        trials = self.miniature.tried(self.cell.case) if self.miniature else ()
        chosen: dict[tuple[Half, bool], Fix] = {}
        for trial in ranked(trials, self.place, self.asked, self.fp16, SIZES):
            if self._apart(trial.remedy):
                chosen.setdefault(
                    (trial.computes_in, trial.remedy in ("cast-module", "autocast")), self._fix(trial.remedy, trial.computes_in, Tried.of(trial))
                )
        done = {trial.remedy for trial in trials}
        foretold = [one for one in self._foretold() if one[0] not in done]
        for remedy, dtype, case in sorted(foretold, key=self._order):
            chosen.setdefault((dtype, False), self._fix(remedy, dtype, self._predicted(case)))
        return tuple(sorted(chosen.values(), key=lambda fix: not (self._bears() and fix.code == INPUTS)))

    def _bears(self) -> bool:
        """Whether the model may stay in its format: native at the place, or slow and no more; not float16 where its numbers are known to leave it."""
        if self.cell.model == "fp16" and self.fp16 in BARRED:
            return False
        return self.place.backend == "cpu" or self.place.dtypes.of(self.cell.model) not in ("emulated", "none")

    def _apart(self, remedy: str) -> bool:
        """A cast of the inputs is none where nothing floats, nor one of a module that is not known."""
        if remedy == "cast-input":
            return self.flow.floats
        return remedy != "cast-module" or bool(self.cell.location and self.cell.location.module)

    def _foretold(self) -> Iterator[tuple[str, Half, str]]:
        """Cells that run, by what leads to them."""
        flow, cell, floats = self.flow, self.cell, self.flow.floats
        if floats and cell.input != cell.model:
            yield from self._running("cast-input", cell_at(flow, cell.way, cell.model, cell.model, floats=True))
        other = "cast-afterwards" if cell.way == "loaded" else "load-at-once"
        yield from self._running(other, cell_at(flow, "cast" if cell.way == "loaded" else "loaded", cell.model, cell.model, floats=floats))
        for dtype in HALVES:
            if dtype != cell.model:
                yield from self._running(f"everything-{dtype}", cell_at(flow, cell.way, dtype, dtype, floats=floats))

    @staticmethod
    def _running(remedy: str, found: Flowed | None) -> Iterator[tuple[str, Half, str]]:
        if found and found.status == "ran":
            yield remedy, found.model, found.case

    def _order(self, one: tuple[str, Half, str]) -> tuple[int, bool, int]:
        """Native at the place, or asked for by name on a CPU; then the format wanted; then the smallest change."""
        remedy, dtype, _ = one
        only_slow = self.place.backend == "cpu" and self.asked.dtype != "auto"
        support = 0 if only_slow else SUPPORT.index(self.place.dtypes.of(dtype))
        return support, dtype != wanted(self.place, self.asked, self.fp16), SIZES.index(remedy)

    def _predicted(self, case: str) -> Tried:
        before = f"{self.cell.error}: {self.cell.message}" if self.cell.error else self.cell.message
        return Tried(status="passed", how="shadow", where="cpu", before=before, after=say("{case} runs in the flow", case=case))

    def _fix(self, remedy: str, dtype: Half, tried: Tried) -> Fix:
        title, code, action = self._written(remedy, dtype)
        return Fix(title=title + caveat(dtype, self.place, self.fp16), code=code, action=action, trial=tried)

    def _written(self, remedy: str, dtype: Half) -> tuple[str, str, str]:
        """The remedy in words, as lines, and the kind of change."""
        torch, module = f"torch.{TORCH_NAME[dtype]}", self.cell.location.module if self.cell.location else ""
        cast = f"model = model.to({torch})"
        fixed: dict[str, tuple[str, str, str]] = {
            "cast-input": (say("Cast the inputs to the model's own dtype"), INPUTS, "cast-input"),
            "cast-model": (say("Cast the whole model to the inputs' dtype, {dtype}", dtype=TORCH_NAME[dtype]), cast, "cast-model"),
            "cast-module": (say("Cast what goes into `{module}` to its own dtype", module=module), MODULE.format(module=module), "cast-module"),
            "autocast": (say("Run the call under autocast"), self._autocast(torch), "autocast"),
            "load-at-once": (
                say("Load in {dtype} at once, and cast nothing afterwards", dtype=TORCH_NAME[dtype]),
                self._fed(self._loading(torch)),
                "load-dtype",
            ),
            "cast-afterwards": (
                say("Load in float32 and cast afterwards, which casts what the loader keeps in float32 too"),
                self._fed(f"{self._loading('torch.float32')}.to({torch})"),
                "cast-model",
            ),
        }
        if remedy in fixed:
            return fixed[remedy]
        loads = remedy.startswith("load-in") or (remedy.startswith("everything") and self.cell.way == "loaded")
        return say("Run model and inputs in {dtype}", dtype=TORCH_NAME[dtype]), self._fed(self._loading(torch) if loads else cast), dtype

    def _loading(self, torch: str) -> str:
        return f"model = {from_pretrained(class_name(self.model), 'path', torch, self.packages, self.model)}"

    def _fed(self, line: str) -> str:
        return f"{line}\n{INPUTS}" if self.flow.floats else line

    def _autocast(self, torch: str) -> str:
        return f"with torch.autocast(model.device.type, dtype={torch}):\n    output = model(**inputs)"


def unhelpful(miniature: Miniature | None, case: str) -> Iterator[str]:
    """What was tried on the miniature and does not help, one line each."""
    names = {
        "cast-input": say("casting the inputs"),
        "cast-module": say("casting at the layer that raises"),
        "cast-model": say("casting the model to the inputs' dtype"),
        "autocast": say("torch.autocast around the call"),
        "cast-afterwards": say("loading in float32 and casting afterwards"),
        "load-at-once": say("loading in the dtype at once"),
        **{f"everything-{dtype}": say("model and inputs in {dtype}", dtype=TORCH_NAME[dtype]) for dtype in HALVES},
    }
    trials: tuple[Trial, ...] = miniature.tried(case) if miniature else ()
    for one in trials:
        if one.status == "failed":
            yield say("does not help: {remedy}: {after}", remedy=names.get(one.remedy, one.remedy), after=one.after)


KINDS = {
    "conv-input-param-dtype-mismatch": ("convolution", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d"),
    "matmul-dtype-mismatch": ("linear", "matmul", "mm", "bmm", "addmm", "baddbmm", "einsum", "_grouped_mm"),
    "attention-qkv-dtype-mismatch": ("scaled_dot_product_attention",),
    "index-write-dtype-mismatch": ("index_put_", "index_put", "index_copy_", "masked_scatter", "masked_scatter_", "scatter_", "index_add_"),
    "norm-dtype-mismatch": ("layer_norm", "native_layer_norm", "group_norm", "native_group_norm", "batch_norm", "native_batch_norm", "rms_norm"),
}


def kind_of(op: str, operands: tuple[str, ...], place: Place) -> str:
    """The failure's slug, by its operator and by whether its operands differ."""
    floats = {one for one in operands if "float" in one}
    if len(floats) == 1:
        half = "cpu-half-op-unsupported" if place.backend == "cpu" else "op-dtype-unsupported"
        return {"bfloat16": "bf16-op-unsupported", "float16": half}.get(floats.pop(), "op-dtype-unsupported")
    op = plain(op)
    return next((slug for slug, names in KINDS.items() if op in names), "operand-dtype-mismatch")


def plain(op: str) -> str:
    """`linear` of `aten.linear.default` and of `torch.nn.functional.linear`; `einsum` of `torch.einsum`."""
    if "aten." in op:
        return op.rpartition("aten.")[2].partition(".")[0]
    return op.rpartition(".")[2]


def site(where: Site | None) -> str:
    """`modeling_internvl.py:291`; the module, or nothing, where no line is known."""
    if where is None:
        return ""
    return f"{where.file.rpartition('/')[2]}:{where.line}" if where.file else where.module
