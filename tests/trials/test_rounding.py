"""What a cast does to stored weights, counted with exact fractions, and what a real loader keeps in fp32."""

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402  # torch first

from ivdoctor.facts import Kept, Rounding  # noqa: E402
from ivdoctor.trials import rounding as module  # noqa: E402
from ivdoctor.trials.rounding import kept, rounding, turned  # noqa: E402

pytestmark = pytest.mark.usefixtures("_as_it_was")


def holding(*weights: Any) -> nn.Module:
    """A model of these weights, one tensor each."""
    return nn.ParameterList([nn.Parameter(one, requires_grad=False) for one in weights])


def counted(*weights: Any, stored: str = "float32") -> tuple[int, int]:
    found = rounding(holding(*weights), stored)
    assert found
    assert found.stored == stored
    return found.weights, found.changed


def every_bfloat16() -> Any:
    """All finite ones, each once."""
    patterns = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16)
    every = patterns.view(torch.bfloat16)
    return every[torch.isfinite(every)]


def test_bfloat16_weights_are_hurt_below_2_to_the_minus_17_and_beyond_65504_alone() -> None:
    """All 65280 of them: hurt is exactly what fp16 cannot hold, a multiple of 2^-24 up to 65504, by fractions."""
    every = every_bfloat16()
    values = [Fraction(one) for one in every.double().tolist()]
    hurt = [(value % Fraction(1, 2**24)) != 0 or abs(value) > 65504 for value in values]

    assert counted(every, stored="bfloat16") == (65280, sum(hurt))
    assert {True} == {abs(value) < Fraction(1, 2**17) or abs(value) > 65504 for value, bad in zip(values, hurt, strict=True) if bad}
    assert 0 < sum(hurt) < 65280


@pytest.mark.parametrize(
    ("value", "changed"),
    [
        (2.0**-17 * (1 + 127 / 128), 0),
        (2.0**-17, 0),
        (2.0**-18 * (1 + 127 / 128), 1),
        (2.0**-18, 0),
        (2.0**-24, 0),
        (2.0**-25, 1),
        (1e-30, 1),
        (65280.0, 0),
        (65536.0, 1),
        (3e38, 1),
        (0.0, 0),
        (-0.0, 0),
        (1.0, 0),
    ],
)
def test_bfloat16_weights_at_the_edges(value: float, changed: int) -> None:
    """Also with the other sign."""
    weight = torch.tensor([value]).to(torch.bfloat16)
    assert weight.double() == torch.tensor([value]).double() or value in (1e-30, 3e38)

    assert counted(weight, stored="bfloat16") == (1, changed)
    assert counted(-weight, stored="bfloat16") == (1, changed)


def to_bfloat16(value: Fraction) -> Fraction:
    """The nearest with 8 significant bits, the even one of two; by integers."""
    return nearest(value, bits=8, least=-133)


def to_float16(value: Fraction) -> Fraction:
    """The nearest with 11 significant bits that is a multiple of 2^-24."""
    return nearest(value, bits=11, least=-24)


def nearest(value: Fraction, *, bits: int, least: int) -> Fraction:
    if not value:
        return value
    exponent = 0
    while abs(value) >= Fraction(2) ** (exponent + 1):
        exponent += 1
    while abs(value) < Fraction(2) ** exponent:
        exponent -= 1
    step = Fraction(2) ** max(exponent - bits + 1, least)
    return round(value / step) * step  # a Fraction's round takes the even one of two


def test_float32_weights_are_rounded_twice() -> None:
    """Counted one by one with exact fractions: 8 bits from 11 is not 8 bits from 24."""
    torch.manual_seed(8)
    weights = torch.cat([torch.randn(1500) * 0.02, torch.randn(300) * 1e-5, torch.randn(200) * 3])
    values = [Fraction(one) for one in weights.double().tolist()]
    changed = sum(to_bfloat16(value) != to_bfloat16(to_float16(value)) for value in values)

    assert counted(weights[:777], weights[777:]) == (2000, changed)
    assert changed > 50


def test_one_weight_between_two() -> None:
    """1 + 2^-8 + 2^-12 is nearer to the upper bfloat16; by way of float16 it lies half way, and goes to the even one."""
    assert counted(torch.tensor([1 + 2**-8 + 2**-12])) == (1, 1)
    assert counted(torch.tensor([1 + 2**-8 + 2**-10])) == (1, 0)


def test_only_floating_weights_count_and_a_tied_one_once() -> None:
    """Packed integers are no weights here."""
    tied = nn.Parameter(torch.full((4, 4), 2.0**-25))
    model = nn.Module()
    model.a, model.b = tied, tied
    model.packed = nn.Parameter(torch.ones(100, dtype=torch.uint8), requires_grad=False)
    model.register_buffer("table", torch.full((7,), 2.0**-25))

    assert rounding(model, "bfloat16") == Rounding(stored="bfloat16", weights=16, changed=16)


@pytest.mark.parametrize("stored", ["float16", "float64", "int8", "float8_e4m3fn", ""])
def test_other_formats_are_not_counted(stored: str) -> None:
    """A float16 file has lost what it had to lose."""
    assert rounding(holding(torch.ones(3)), stored) is None


def test_there_is_an_end_to_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was looked at is what is said."""
    monkeypatch.setattr(module, "MOST", 10)

    assert counted(torch.ones(6), torch.full((6,), 1e-20), torch.full((6,), 1e-20)) == (12, 6)


def frequencies(theta: float, dims: int = 128) -> Any:
    """As every rotary embedding makes them."""
    return torch.tensor([theta ** (-2 * pair / dims) for pair in range(dims // 2)], dtype=torch.float64).float()


@pytest.mark.parametrize(
    ("theta", "position", "bf16", "fp16"),
    [
        (1e4, 512, 9, 0),
        (1e4, 4096, 36, 16),
        (1e4, 32768, 61, 34),
        (1e6, 512, 6, 0),
        (1e6, 4096, 23, 6),
        (1e6, 32768, 36, 23),
    ],
)
def test_rotary_frequencies_are_turned_as_was_measured(theta: float, position: int, bf16: int, fp16: int) -> None:
    """Per cent of 128 dimensions, measured before this was written."""
    off = [round(100 * turned(frequencies(theta), dtype, position)) for dtype in (torch.bfloat16, torch.float16)]

    assert off == [bf16, fp16]


def test_frequencies_that_are_exact_are_not_turned() -> None:
    """Powers of two, and none at all."""
    assert turned(torch.tensor([1.0, 0.5, 2.0**-10]), torch.bfloat16, 4096) == 0
    assert turned(torch.zeros(0), torch.bfloat16, 4096) == 0


def left(model: Any, short: str = "bf16") -> Any:
    """As if a loader had left every floating tensor of it in fp32."""
    return {short: {name: one.dtype for name, one in (*model.named_parameters(), *model.named_buffers()) if one.is_floating_point()}}


def test_of_rotary_frequencies_it_is_said_how_far_they_turn() -> None:
    """Where the context ends, or at 4096; and only for them. A tower that sees has fewer positions."""
    rotary = nn.Module()
    rotary.register_buffer("inv_freq", frequencies(1e4), persistent=False)
    rotary.register_buffer("scale", torch.ones(3), persistent=False)
    model = nn.ModuleDict({"rope": rotary})
    seeing = nn.ModuleDict({"visual": rotary})

    long = kept(model, SimpleNamespace(max_position_embeddings=131072), left(model))
    short = kept(model, SimpleNamespace(text_config=SimpleNamespace(max_position_embeddings=512)), left(model))
    unknown = kept(model, SimpleNamespace(), left(model))

    inv_freq, scale = long
    assert (inv_freq.name, inv_freq.what, inv_freq.position) == ("rope.inv_freq", "rotary", 4096)
    assert {dtype: round(100 * off) for dtype, off in inv_freq.off.items()} == {"bf16": 36, "fp16": 16}
    assert scale == Kept(name="rope.scale", what="other", formats=("bf16",))
    assert (short[0].position, {dtype: round(100 * off) for dtype, off in short[0].off.items()}) == (512, {"bf16": 9, "fp16": 0})
    assert unknown == long
    assert kept(seeing, SimpleNamespace(), left(seeing))[0].position == 128


def test_what_a_loader_leaves_in_fp32_is_kept_by_format() -> None:
    """Whatever was cast, or is another's copy, is not."""
    model: Any = nn.ModuleDict({"gate": nn.Linear(2, 2), "wo": nn.Linear(2, 2, bias=False)})
    model.register_buffer("original_inv_freq", torch.ones(2))
    dtypes = dict.fromkeys(("gate.bias", "wo.weight", "original_inv_freq", "not_there"), torch.float32)
    loaded: Any = {"bf16": dtypes | {"gate.weight": torch.bfloat16, "wo.weight": torch.bfloat16}, "fp16": dtypes}

    assert [(one.name, one.formats) for one in kept(model, SimpleNamespace(), loaded)] == [("gate.bias", ("bf16", "fp16")), ("wo.weight", ("fp16",))]
