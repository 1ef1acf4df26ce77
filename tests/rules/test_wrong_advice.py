"""What no failure in a text may be answered with, whatever rule speaks and whatever the hardware: the `wrong` column of the survey's taxonomy."""

import re
from collections.abc import Callable
from functools import cache
from io import BytesIO

import pytest

from ivdoctor.explanation import Told, explain, read
from ivdoctor.facts import Failure, Place
from ivdoctor.finding import Finding, Fix, Tried
from ivdoctor.plugins import plugins
from ivdoctor.tables import table
from ivdoctor.testing import a_failure, a_place, operands

PLACES: dict[str, Place | None] = {
    "none": None,
    "cpu": a_place(),
    "t4": a_place("sm_75", "Tesla T4"),
    "v100": a_place("sm_70", "Tesla V100-SXM2-32GB"),
    "p40": a_place("sm_61", "Tesla P40"),
    "a100": a_place("sm_80", "NVIDIA A100-SXM4-80GB"),
    "h100": a_place("sm_90", "NVIDIA H100 80GB HBM3"),
    "newer": a_place("sm_140", "NVIDIA Unknown"),
    "unlisted": a_place("gfx1300", "AMD Unknown"),
    "rx6800": a_place("gfx1030", "AMD Radeon RX 6800"),
    "mi300x": a_place("gfx942", "AMD Instinct MI300X"),
    "m1": a_place("mps", "Apple M1"),
    "m3": a_place("mps", "Apple M3 Max"),
}

CLASH = {
    "conv-input-param-dtype-mismatch": ("input", "weight"),
    "matmul-dtype-mismatch": ("mat1", "mat2"),
    "index-write-dtype-mismatch": ("destination", "source"),
    "operand-dtype-mismatch": ("self", "other"),
    "peft-kbit-dtype-mismatch": ("input", "weight"),
    "fsdp-uniform-dtype": ("first", "second"),
    "distributed-dtype-mismatch": ("first", "second"),
}
FLOATS = ("float16", "bfloat16", "float32", "float64", "")

READERS = [rule for rule in plugins().rules if rule.builtin and rule.asks_for(Failure)]

FAILURES = [
    *(read(BytesIO(row["text"].encode())).failures[0] for row in table("message_examples")),
    *(
        a_failure(category, operands=operands(**{one: first, other: second}), words=words)
        for category, (one, other) in CLASH.items()
        for first in FLOATS
        for second in FLOATS
        if first != second or not first
        for words in ((), ("lora", "training"), ("vllm",))
    ),
    *(a_failure(category, words=("training", "vllm")) for category in sorted({rule.category for rule in READERS})),
]
"""Every example, every pair of floating dtypes of what can clash, and what words beside the message change."""

DTYPE = frozenset({"cast-input", "cast-model", "cast-module", "load-dtype", "fp16", "bf16", "fp32", "autocast"})
"""Actions that change a dtype."""

BF16 = re.compile(r"bfloat16|bf16", re.IGNORECASE)
OFF = re.compile(r"bf16=False")
PACKED_CAST = re.compile(r"u?int8|\bbyte\b|\.char\(", re.IGNORECASE)
ONE_PARAMETER = re.compile(r"\b(?:weight|bias)(?:\.data)? ?= ?.*\.(?:to|half|float|bfloat16)\(|\b(?:weight|bias)\.(?:half|float|bfloat16)\(")
IDS = re.compile(r"\b(?:input_ids|token_ids|ids|attention_mask) ?= ?.*\.(?:to\(\w*dtype|half|float|bfloat16)")
CAST_INDEX = re.compile(r"\b(?:index|indices|idx|mask)\.(?:to|long|int|half|float)\(")
SIXTEEN = re.compile(r"float16|\.half\(|bf16|fp16", re.IGNORECASE)


def shown(fix: Fix) -> str:
    """What somebody would read and run."""
    return f"{fix.title}\n{fix.code}\n{fix.command}\n{fix.diff}"


def done(fix: Fix) -> str:
    """What somebody would run."""
    return f"{fix.code}\n{fix.command}\n{fix.diff}"


def changes_dtype(fix: Fix) -> bool:
    return fix.action in DTYPE


def takes_bf16(fix: Fix) -> bool:
    return fix.action == "bf16" or bool(BF16.search(OFF.sub("", done(fix))))


WRONG: dict[str, Callable[[Fix], bool]] = {
    "conv-input-param-dtype-mismatch": lambda fix: bool(
        ONE_PARAMETER.search(done(fix)) or IDS.search(done(fix)) or "weight.dtype" in done(fix) or PACKED_CAST.search(done(fix))
    ),
    "matmul-dtype-mismatch": lambda fix: bool(PACKED_CAST.search(done(fix))),
    "attention-qkv-dtype-mismatch": lambda fix: fix.action == "device" or fix.kind == "hardware",
    "index-write-dtype-mismatch": lambda fix: fix.action == "autocast" or bool(CAST_INDEX.search(done(fix))),
    "peft-kbit-dtype-mismatch": lambda fix: bool(PACKED_CAST.search(done(fix))),
    "cpu-half-op-unsupported": takes_bf16,
    "bf16-op-unsupported": lambda fix: fix.action == "device" or fix.kind == "hardware",
    "numpy-bf16-unsupported": lambda fix: fix.action == "device" or fix.kind == "hardware",
    "flash-attn-needs-ampere": changes_dtype,
    "bf16-unsupported-gpu": takes_bf16,
    "bf16-gemm-unsupported-gpu": takes_bf16,
    "triton-bf16-needs-sm80": takes_bf16,
    "fp8-unsupported-gpu": lambda fix: takes_bf16(fix) and "dequantize" not in done(fix),
    "quant-kernel-dtype": lambda fix: takes_bf16(fix) or bool(PACKED_CAST.search(done(fix).replace("llm_int8_skip_modules", ""))),
    "quant-unsupported-gpu": changes_dtype,
    "fp16-overflow": lambda fix: fix.action == "fp16" or "clamp" in shown(fix),
    "amp-gradscaler-misuse": lambda fix: bool(re.search(r"\.half\(|torch\.float16|fp16=True", done(fix))),
    "cuda-arch-mismatch": changes_dtype,
    "neg-integer-dtype": lambda fix: changes_dtype(fix) or bool(SIXTEEN.search(done(fix))),
}
"""By category, beside what holds for every negative: no action that changes a dtype."""

NEWER_MACOS = "mps-dtype-unsupported"
"""The taxonomy itself names a newer macOS for bfloat16; that M1 and M2 emulate it is said beside it."""


def lacks(place: Place | None) -> bool:
    return place is not None and place.kind != "cpu" and place.dtypes.bf16 in ("emulated", "none")


def wrong(category: str, fix: Fix, place: Place | None) -> bool:
    """Whether this may never be offered for such a failure at this place."""
    if lacks(place) and BF16.search(OFF.sub("", done(fix) if category == NEWER_MACOS else shown(fix))):
        return True
    if category.startswith("neg-") and changes_dtype(fix):
        return True
    return category in WRONG and WRONG[category](fix)


WANTS_BF16 = re.compile(r"to be bfloat16 tensor|to have dtype torch\.bfloat16")
"""What torchao's kernels say of themselves: for them alone bfloat16 is right, where the hardware has it."""


def asked_for(found: Finding, fix: Fix, place: Place | None) -> bool:
    """Whether it is the format that the quantisation's kernel names."""
    return found.category == "quant-kernel-dtype" and fix.action == "bf16" and bool(WANTS_BF16.search(found.evidence[0])) and not lacks(place)


@cache
def offered(name: str) -> tuple[Finding, ...]:
    """What all of them are told at one place."""
    place = PLACES[name]
    told = [Told(failures=(failure,), outcomes=()) for failure in FAILURES]
    return tuple(found for one in told for found in explain(one, targets=[place] if place else []).findings)


@pytest.mark.parametrize("name", PLACES)
def test_nothing_is_ever_offered_that_the_taxonomy_calls_wrong(name: str) -> None:
    """Every rule, every example, every pair of dtypes, at every kind of hardware."""
    found = offered(name)
    assert {one.code for one in found} == {rule.code for rule in READERS}
    assert [
        (one.code, one.message, fix)
        for one in found
        for fix in one.fixes
        if wrong(one.category, fix, PLACES[name]) and not asked_for(one, fix, PLACES[name])
    ] == []


@pytest.mark.parametrize("name", PLACES)
def test_no_leading_fix_runs_in_a_half_that_the_hardware_cripples(name: str) -> None:
    """A P40 computes float16 at 1/64 of its rate: where a clash of dtypes can be settled in float32, that leads."""
    place = PLACES[name]
    slow = place is not None and place.kind != "cpu" and place.dtypes.fp16 in ("emulated", "none")
    clashes = [one for one in offered(name) if one.category in ("conv-input-param-dtype-mismatch", "bf16-unsupported-gpu", "fp16-overflow")]
    assert [one.fixes[0] for one in clashes if slow and re.search(r"\.half\(|torch\.float16|fp16=True|dtype half", done(one.fixes[0]))] == []


def a_fix(code: str = "", action: str = "other", title: str = "", command: str = "") -> Fix:
    """One that somebody might have written."""
    return Fix(title=title, code=code, command=command, action=action, trial=Tried(status="not-tried"))


@pytest.mark.parametrize(
    ("category", "fix", "place"),
    [
        ("conv-input-param-dtype-mismatch", a_fix("layer.bias = layer.bias.to(x.dtype)"), "none"),
        ("conv-input-param-dtype-mismatch", a_fix("input_ids = input_ids.half()"), "none"),
        ("conv-input-param-dtype-mismatch", a_fix("x = x.to(layer.weight.dtype)"), "none"),
        ("conv-input-param-dtype-mismatch", a_fix("x = x.to(torch.uint8)"), "none"),
        ("conv-input-param-dtype-mismatch", a_fix("model = model.to(torch.bfloat16)"), "t4"),
        ("matmul-dtype-mismatch", a_fix("w = w.to(torch.uint8)"), "none"),
        ("matmul-dtype-mismatch", a_fix(command="vllm serve MODEL --dtype bfloat16"), "v100"),
        ("matmul-dtype-mismatch", a_fix(title="Run in bf16"), "m1"),
        ("attention-qkv-dtype-mismatch", a_fix(action="device"), "none"),
        ("index-write-dtype-mismatch", a_fix("dst[mask.long()] = src"), "none"),
        ("index-write-dtype-mismatch", a_fix(action="autocast"), "none"),
        ("peft-kbit-dtype-mismatch", a_fix("w = w.byte()\nw = w.to(torch.int8)"), "none"),
        ("cpu-half-op-unsupported", a_fix("model = model.to(torch.bfloat16)"), "cpu"),
        ("bf16-op-unsupported", a_fix(action="device"), "none"),
        ("numpy-bf16-unsupported", a_fix(action="device"), "none"),
        ("flash-attn-needs-ampere", a_fix(action="fp16"), "t4"),
        ("bf16-unsupported-gpu", a_fix("TrainingArguments(bf16=True)"), "a100"),
        ("bf16-gemm-unsupported-gpu", a_fix(action="bf16"), "none"),
        ("triton-bf16-needs-sm80", a_fix("torch.autocast('cuda', dtype=torch.bfloat16)"), "none"),
        ("fp8-unsupported-gpu", a_fix("model = model.to(torch.bfloat16)"), "h100"),
        ("quant-kernel-dtype", a_fix("model = model.to(torch.bfloat16)"), "h100"),
        ("quant-kernel-dtype", a_fix("w = w.to(torch.uint8)"), "h100"),
        ("quant-unsupported-gpu", a_fix(action="load-dtype"), "t4"),
        ("fp16-overflow", a_fix("x = x.clamp(-65504, 65504)"), "a100"),
        ("fp16-overflow", a_fix(action="bf16", title="Run in bfloat16"), "rx6800"),
        ("amp-gradscaler-misuse", a_fix("model = model.half()"), "none"),
        ("cuda-arch-mismatch", a_fix(action="fp32"), "none"),
        ("neg-integer-dtype", a_fix("ids = ids.to(torch.bfloat16)"), "none"),
        ("neg-oom", a_fix(action="bf16"), "a100"),
        ("neg-device-mismatch", a_fix(action="cast-input"), "none"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_wrong_advice_would_be_seen(category: str, fix: Fix, place: str) -> None:
    """The check above can fail, for each thing that the column names."""
    assert wrong(category, fix, PLACES[place])


def test_what_is_said_against_bf16_is_no_offer_of_it() -> None:
    """`bf16=False` switches it off; and where the hardware has it, a cast to it is no fault."""
    assert not wrong("bf16-unsupported-gpu", a_fix("TrainingArguments(bf16=False, fp16=True)"), PLACES["t4"])
    assert not wrong("conv-input-param-dtype-mismatch", a_fix("x = x.to(torch.bfloat16)"), PLACES["a100"])
