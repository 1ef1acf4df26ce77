"""Cast, then infer, for testing: what a run of `probes/cast.py` would give, made up."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from ..facts import TORCH_NAME, WRONG, Cast, CastRun, Drift, Fed, Half, Kept, Rounding, Site, Trial

FIGURES: dict[str, dict[Half, float]] = {
    "real-run": {"fp32": 0.0, "bf16": 1.08e-2, "fp16": 1.39e-3},
    "miniature": {"fp32": 0.0, "bf16": 4.79e-3, "fp16": 5.34e-4},
}
"""Relative L2 distances as measured: of all-MiniLM-L6-v2, and of the miniature."""

LAYERS = 6
LOST = 3
"""The layer in which a drift begins."""
BURST = "encoder.layer.2.output.dense"
"""The first module that overflows."""
ATTENTION = Site(module="encoder.layer.0.attention", file="transformers/models/bert/modeling_bert.py", line=1, op="aten.linear")
PIXELS = Site(module="embeddings.patch_embeddings", file="transformers/models/vit/modeling_vit.py", line=1, op="aten.convolution")

MINIATURE: tuple[tuple[str, str, bool], ...] = (
    ("vision.patch_embedding", "Conv2d", False),
    ("vision.blocks.0", "Block", True),
    ("vision.blocks.1", "Block", True),
    ("vision", "Vision", False),
    ("projector", "Sequential", False),
    ("lm.lm_head", "Linear", False),
    ("lm", "LanguageModel", False),
    ("(whole model)", "Miniature", False),
)


def a_cast(
    where: str = "cpu",
    *,
    how: Literal["real-run", "miniature"] = "real-run",
    baseline: Half = "fp32",
    overflow: tuple[Half, ...] = (),
    raised: Mapping[Half, str] | None = None,
    drift: Mapping[Half, float] | None = None,
    skipped: Mapping[Half, str] | None = None,
    logits: Mapping[Half, tuple[float, float]] | None = None,
    fed: Mapping[tuple[Half, Half], str] | None = None,
    kept: tuple[Kept, ...] = (),
    loaded: Mapping[Half, float | str] | None = None,
    nonfinite: int = 0,
    **changes: Any,
) -> Cast:
    """
    A text model of six layers that was run in fp32, bf16 and fp16, and lost no more than rounding takes.

    Made up, and checked against a real run of the miniature by ivdoctor's own tests. The trials follow from the runs; other
    fields are given by name.

    Args:
        where: the place it is said to have run on.
        how: `miniature` for what a checkup without a model gives.
        baseline: another where fp32 does not fit; there is no run in it, as it is what the others are compared with.
        overflow: formats whose output is not finite; in fp16 the baseline's largest activation is then beyond 65504.
        raised: messages by format.
        drift: relative L2 distances by format, lost in the fourth layer.
        skipped: reasons by format.
        logits: share of equal first choices and divergence in nats, by format; a model with them gives logits.
        fed: messages by model's and inputs' format, for a model that takes floating inputs; empty for one that runs.
        kept: tensors that a loader keeps in fp32; each format is then also tried as a loader leaves it.
        loaded: what came of loading in a format at once where that is not what a cast gives: a relative L2 distance, -1 for an output
            that is not finite, or a message.
        nonfinite: NaN and Inf in the baseline's own output; its trial then fails.
    """
    made = _Made(
        how=how,
        where=where,
        baseline=baseline,
        overflow=overflow,
        raised=raised or {},
        drift=drift or {},
        skipped=skipped or {},
        logits=logits or {},
        loaded=loaded or {},
        nonfinite=nonfinite,
    )
    formats: tuple[Half, ...] = ("bf16", "fp16")
    runs = tuple(made.run(dtype) for dtype in formats if dtype != baseline)
    clashes = tuple(
        Fed(model=model, input=given, status="raised" if said else "ran", message=said, location=PIXELS if said else None)
        for (model, given), said in (fed or {}).items()
    )
    real, floats = how == "real-run", next((TORCH_NAME[given] for _, given in fed or {}), "")
    cast = Cast(
        model="model" if real else "miniature",
        how=how,
        baseline=baseline,
        baseline_reason="" if baseline == "fp32" else f"fp32 needs 24.0 GiB and 15.2 GiB on {where} are free",
        inputs="2 sentences of ten words through the model's own tokenizer" if real else "2 frames of noise and a row of ids",
        floats=floats,
        nonfinite=nonfinite,
        architecture="LlamaForCausalLM" if real else "",
        output=("logits 2x13x30522" if logits else "last_hidden_state 2x13x384") if real else "output 1x7x32",
        parameters=22713216 if real else 9184,
        headroom=(1.6 if "fp16" in overflow else 0.00295) if real else 4.89e-5,
        headroom_module=(BURST if "fp16" in overflow else "encoder.layer.0.output.dense") if real else "vision.blocks.0",
        runs=runs,
        fed=clashes,
        rounding=Rounding(stored="float32", weights=22713216, changed=1371655) if real else None,
        kept=kept,
        trials=tuple(made.trials(runs, clashes, kept=bool(kept))),
    )
    return replace(cast, **changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """What was asked for, and the runs and trials that follow from it."""

    how: Literal["real-run", "miniature"]
    where: str
    baseline: Half
    overflow: tuple[Half, ...]
    raised: Mapping[Half, str]
    drift: Mapping[Half, float]
    skipped: Mapping[Half, str]
    logits: Mapping[Half, tuple[float, float]]
    loaded: Mapping[Half, float | str]
    nonfinite: int

    def run(self, dtype: Half) -> CastRun:
        if dtype in self.raised:
            return CastRun(dtype=dtype, status="raised", message=self.raised[dtype], location=ATTENTION)
        if dtype in self.skipped:
            return CastRun(dtype=dtype, status="skipped", message=self.skipped[dtype])
        modules, real = tuple(self.modules(dtype)), self.how == "real-run"
        first = next((one.module for one in modules if one.relative_l2 < 0), "")
        lost = f"encoder.layer.{LOST if dtype in self.drift else LAYERS - 1}" if real else "vision.blocks.1"
        ratios: dict[str, Any] = {"time_ratio": {"bf16": 0.98, "fp16": 2.57}[dtype], "memory_ratio": 0.5} if real else {}
        run = CastRun(dtype=dtype, status="ran", first_nonfinite=first, lost_at=first or lost, modules=modules, **ratios)
        if first:
            return replace(run, relative_l2=-1.0, max_abs=-1.0, nonfinite=9984)
        far = self.far(dtype)
        top1, kl = self.logits.get(dtype, (None, None) if real else (1.0, 1e-6))
        return replace(run, relative_l2=far, max_abs=3 * far, cosine=(1 + far**2) ** -0.5, top1=top1, kl=kl)

    def far(self, dtype: Half) -> float:
        return self.drift.get(dtype, FIGURES[self.how][dtype])

    def modules(self, dtype: Half) -> Iterator[Drift]:
        """Rising to the output's distance, from the fourth layer on where it drifts; not finite from the burst on."""
        burst = False
        whole = list(_layers() if self.how == "real-run" else MINIATURE)
        for number, (name, kind, block) in enumerate(whole, 1):
            burst = burst or (dtype in self.overflow and name == (BURST if self.how == "real-run" else "vision.blocks.0"))
            before = dtype in self.drift and any(name.startswith(part) for part in ("embeddings", *map("encoder.layer.{}".format, range(LOST))))
            top = FIGURES[self.how][dtype] if before else self.far(dtype)
            rising = top if (dtype in self.drift and not before) or number == len(whole) else top * number / len(whole)
            yield Drift(module=name, kind=kind, relative_l2=-1.0 if burst else rising, block=block)

    def trials(self, runs: tuple[CastRun, ...], fed: tuple[Fed, ...], *, kept: bool) -> Iterator[Trial]:
        itself = CastRun(dtype=self.baseline, status="ran", cosine=1.0, nonfinite=self.nonfinite)
        for run in (*runs, itself):
            if run.status != "skipped":
                yield self.trial(f"everything-{run.dtype}", "cast", "", run)
        by_dtype = {run.dtype: run for run in (*runs, itself)}
        for one in fed:
            if one.status == "raised":
                yield self.trial("cast-input", one.case, one.message, by_dtype[one.model])
        for run in runs:
            if run.dtype in self.loaded:
                yield self.trial(f"load-in-{run.dtype}", "cast", "", self.load(run.dtype, self.loaded[run.dtype]))
            elif kept and run.status == "ran":
                yield self.trial(f"load-in-{run.dtype}", "cast", "", run)

    def load(self, dtype: Half, came: float | str) -> CastRun:
        if isinstance(came, str):
            return CastRun(dtype=dtype, status="raised", message=came)
        return CastRun(dtype=dtype, status="ran", relative_l2=came, nonfinite=9984 if came < 0 else 0)

    def trial(self, remedy: str, case: str, before: str, run: CastRun) -> Trial:
        ran = "ran, and the output is not finite" if run.nonfinite else f"ran, output {TORCH_NAME[run.dtype]}"
        return Trial(
            remedy=remedy,
            case=case,
            status="passed" if run.usable and run.relative_l2 < WRONG else "failed",
            how=self.how,
            where=self.where,
            before=before,
            after=ran if run.status == "ran" else run.message,
            computes_in=run.dtype,
            metrics={"relative_l2": run.relative_l2} if run.status == "ran" else {},
        )


def _layers() -> Iterator[tuple[str, str, bool]]:
    yield "embeddings", "BertEmbeddings", False
    for number in range(LAYERS):
        layer = f"encoder.layer.{number}"
        yield from ((f"{layer}.attention", "BertAttention", False), (f"{layer}.output.dense", "Linear", False), (layer, "BertLayer", True))
    yield "encoder", "BertEncoder", False
    yield "(whole model)", "BertModel", False
