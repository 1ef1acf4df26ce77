"""The dtype flow, its replay and the miniature of the user's architecture: what their probes would give, made up."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

from ..facts import HALVES, TORCH_NAME, Flow, Flowed, Half, InputCast, Miniature, Pair, Replay, Replayed, Site, Trial
from ..facts.flow import Way

PATCHES = Site(
    module="model.vision_tower.embeddings.patch_embedding",
    file="transformers/models/internvl/modeling_internvl.py",
    line=291,
    op="aten.convolution",
    code="embeddings = self.projection(pixel_values)",
)
WAYS: tuple[Way, ...] = ("loaded", "cast")
PAIRS = (
    ("aten.convolution", 3, 1, "model.vision_tower.embeddings.patch_embedding"),
    ("aten.linear", 3, 171, "model.language_model.layers.*.self_attn.q_proj"),
    ("aten.native_layer_norm", 3, 48, "model.vision_tower.encoder.layer.*.norm1"),
    ("aten.scaled_dot_product_attention", 3, 52, "model.language_model.layers.*.self_attn"),
)


def a_flow(
    raised: Mapping[str, str] | None = None,
    unknown: Mapping[str, str] | None = None,
    casts: Mapping[str, tuple[InputCast, ...]] | None = None,
    **changes: Any,
) -> Flow:
    """
    Of a model that takes pixels and ids; every cell runs in both ways, unless it is said to be otherwise.

    Args:
        raised: torch's message by cell, `bf16/fp32` for both ways or `loaded:bf16/fp32` for one.
        unknown: why the flow could not be carried through, by cell as above.
        casts: what the model's own code casts, by cell as above.
    """
    flow = Flow(
        model="model",
        architecture="InternVLForConditionalGeneration",
        library="transformers 5.23.0",
        inputs="input_ids 1x270 int64, pixel_values 1x3x448x448 float32",
        steps=("forward", "decode"),
        floats=True,
        parameters=938_158_976,
        cells=tuple(_cells(raised or {}, unknown or {}, casts or {})),
        pairs=tuple(Pair(op=op, dtypes=("bfloat16",) * number, count=count, modules=(module,)) for op, number, count, module in PAIRS),
        paired="loaded:bf16/bf16",
    )
    return replace(flow, **changes)


def a_miniature(raised: Mapping[str, str] | None = None, remedies: Mapping[str, Mapping[str, str]] | None = None, **changes: Any) -> Miniature:
    """
    Of the model of `a_flow`: every cell runs, unless it is said to be otherwise; then every remedy was tried on it, and passed.

    Args:
        raised: torch's message by cell, `bf16/fp32` for both ways or `loaded:bf16/fp32` for one.
        remedies: by cell as above, what a remedy ended in, the message of one that failed or nothing; by itself `cast-input` and `everything-X`.
    """
    cells = tuple(_cells(raised or {}, {}, {}))
    made = Miniature(
        model="model",
        architecture="InternVLForConditionalGeneration",
        library="transformers 5.23.0",
        changes=("num_hidden_layers 24 -> 2", "hidden_size 2048 -> 64"),
        parameters=214_016,
        inputs="input_ids 1x20 int64, pixel_values 1x3x56x56 float32",
        cells=cells,
        trials=tuple(trial for one in cells if one.status == "raised" for trial in _trials(one, _of(remedies or {}, one))),
    )
    return replace(made, **changes)


def a_replay(raised: Mapping[str, str] | None = None, **changes: Any) -> Replay:
    """
    The inventory of `a_flow`; every pair runs, but those of the operators that are named with their messages.

    Args:
        raised: `aten.linear` to torch's message.
    """
    messages = raised or {}
    pairs = tuple(
        Replayed(
            op=one.op, dtypes=one.dtypes, status="raised" if one.op in messages else "ran", message=messages.get(one.op, ""), modules=one.modules
        )
        for one in a_flow().pairs
    )
    return replace(Replay(paired="loaded:bf16/bf16", pairs=pairs), **changes)


def _of(by_cell: Mapping[str, Any], one: Flowed) -> Any:
    """What is said of the cell, by its case or by its formats alone."""
    return by_cell.get(one.case) or by_cell.get(f"{one.model}/{one.input}")


def _cells(raised: Mapping[str, str], unknown: Mapping[str, str], casts: Mapping[str, tuple[InputCast, ...]]) -> Iterator[Flowed]:
    for way, model, given in product(WAYS, HALVES, HALVES):
        one = Flowed(way=way, model=model, input=given, status="ran")
        message, reason = _of(raised, one), _of(unknown, one)
        if message:
            yield _raised(one, message)
        elif reason:
            yield replace(one, status="unknown", message=reason)
        else:
            yield replace(one, casts=_of(casts, one) or ())


def _raised(one: Flowed, message: str) -> Flowed:
    error, _, said = message.rpartition(": ")
    operands = (TORCH_NAME[one.input], TORCH_NAME[one.model], TORCH_NAME[one.model])
    origin = Site(module="pixel_values", dtype=TORCH_NAME[one.input])
    return replace(one, status="raised", error=error or "RuntimeError", message=said, operands=operands, location=PATCHES, origin=origin)


def _trials(one: Flowed, ends: Mapping[str, str] | None) -> Iterator[Trial]:
    own = {"cast-input": "", **{f"everything-{dtype}": "" for dtype in HALVES}}
    for remedy, message in (own if ends is None else ends).items():
        computes_in = _computes_in(remedy, one)
        yield Trial(
            remedy=remedy,
            case=one.case,
            status="failed" if message else "passed",
            how="miniature",
            where="cpu",
            before=f"{one.error}: {one.message}",
            after=message or f"ran, output {TORCH_NAME[computes_in]}",
            computes_in=computes_in,
        )


def _computes_in(remedy: str, one: Flowed) -> Half:
    if remedy == "cast-model":
        return one.input
    return next((dtype for dtype in HALVES if remedy.endswith(f"-{dtype}")), one.model)
