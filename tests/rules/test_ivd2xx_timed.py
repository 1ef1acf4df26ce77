"""IVD204: the clock of this machine is believed before the list of its instructions."""

import pytest

from ivdoctor.facts import Asked, Operation, Place
from ivdoctor.finding import Severity
from ivdoctor.rules._slow import is_slow, times
from ivdoctor.rules.ivd2xx import half_precision_slow_on_this_cpu
from ivdoctor.testing import a_cast, a_cpu, a_model, a_place, a_precision, an_operation, findings

PLAIN = a_place("cpu", features=("avx2",))
XEON = a_place("cpu", features=("avx512_fp16", "avx512_bf16"))
PRODUCTS = ("matmul", "linear", "conv2d")


def test_ivd204_fires_where_the_clock_is_slow_whatever_the_instructions() -> None:
    """A capped oneDNN, or a library without the kernel: the CPU has the instructions, and the products crawl."""
    (found,) = findings(half_precision_slow_on_this_cpu, XEON, a_precision(ratios={"bf16": 60.0, "fp16": 1.0}))
    assert found.severity is Severity.NOTE
    assert found.message == "matrix products in bf16 are slow on this CPU"
    assert found.fixes[0].code.startswith("model = model.float()")


def test_ivd204_silent_where_the_clock_is_fast_whatever_the_instructions() -> None:
    """Also where the format was asked for."""
    assert findings(half_precision_slow_on_this_cpu, PLAIN, a_cpu("avx2"), a_precision(ratios={"bf16": 1.1, "fp16": 1.9})) == []
    assert findings(half_precision_slow_on_this_cpu, PLAIN, a_precision(ratios={"bf16": 1.1, "fp16": 1.9}), Asked(dtype="fp16")) == []


def test_ivd204_fires_for_each_format_by_its_own_clock() -> None:
    """bf16 is converted at no price that shows, fp16 falls to plain loops."""
    (found,) = findings(half_precision_slow_on_this_cpu, PLAIN, a_cpu("avx2"), a_precision(ratios={"bf16": 1.5, "fp16": 80.0}))
    assert found.message == "this CPU has no instructions for fp16, so that matrix products are slow"


def test_ivd204_fires_with_its_own_ratios_in_place_of_those_of_other_machines() -> None:
    """The slowest first; what is not slow is not named, and neither is a format that is fast."""
    odd = (an_operation("fp16", "linear", ratio=12.25), an_operation("fp16", "layer_norm", ratio=1.9), an_operation("fp16", "attention", ratio=30))
    (found,) = findings(half_precision_slow_on_this_cpu, PLAIN, a_cpu("avx2"), a_precision(*odd, ratios={"fp16": 80.0, "bf16": 1.0}))
    assert found.evidence[0].startswith("table: ")
    assert found.evidence[1:] == ("measured here, fp16 beside fp32 on one thread: matmul 80x, conv2d 80x, attention 30x, linear 12.25x",)


def test_ivd204_fires_with_the_ratios_of_other_machines_where_none_was_timed_here() -> None:
    """A run without times tells nothing of speed."""
    (found,) = findings(half_precision_slow_on_this_cpu, PLAIN, a_cpu("avx2"), a_precision())
    assert "50 to 180 times slower" in found.evidence[1]
    assert not times(a_precision())
    assert not times(a_precision(ratios={"fp32": 1.0}))
    assert times(a_precision(ratios={"bf16": 1.0}))


def test_ivd204_fires_with_its_own_ratios_and_how_long_the_model_took() -> None:
    """Both are this machine's."""
    told = (a_precision(ratios={"fp16": 80.0, "bf16": 1.0}), a_cast(), a_model())
    (found,) = findings(half_precision_slow_on_this_cpu, PLAIN, a_cpu("avx2"), *told)
    assert [line.partition(":")[0] for line in found.evidence] == ["table", "measured here, fp16 beside fp32 on one thread", "measured"]


@pytest.mark.parametrize(
    ("asked", "severity"), [(Asked(dtype="fp16"), Severity.WARNING), (Asked(dtype="bf16"), Severity.NOTE), (Asked(), Severity.NOTE)]
)
def test_ivd204_fires_as_a_warning_where_the_format_that_is_slow_was_asked_for(asked: Asked, severity: Severity) -> None:
    """By the clock: this CPU has instructions for neither, and bf16 is fast."""
    (found,) = findings(half_precision_slow_on_this_cpu, PLAIN, a_precision(ratios={"fp16": 80.0, "bf16": 1.0}), asked)
    assert found.severity is severity


@pytest.mark.parametrize(
    ("place", "odd", "slow"),
    [
        (PLAIN, (), True),
        (XEON, (), False),
        (PLAIN, tuple(an_operation("fp16", name, ratio=1.0) for name in PRODUCTS), False),
        (XEON, (an_operation("fp16", "linear", ratio=1.0), an_operation("fp16", "conv2d", ratio=2.0)), True),
        (XEON, (an_operation("fp16", "conv2d", ratio=1.99),), False),
        (XEON, (an_operation("fp16", "layer_norm", ratio=40.0), an_operation("fp16", "attention", ratio=40.0)), False),
        (PLAIN, (an_operation("fp16", "layer_norm", ratio=1.0),), True),
        (PLAIN, tuple(an_operation("fp16", name, "refused") for name in PRODUCTS), True),
        (XEON, (an_operation("bf16", "matmul", ratio=90.0),), False),
    ],
    ids=[
        "not timed, without",
        "not timed, with",
        "fast, without",
        "one product at twice the time",
        "just below",
        "no product",
        "no product, without",
        "refused",
        "another format",
    ],
)
def test_slow_is_what_the_clock_says_of_the_products_and_else_what_the_table_says(place: Place, odd: tuple[Operation, ...], slow: bool) -> None:
    """Products are what falls to plain loops; a norm or an attention that is slow by itself is no matter of instructions."""
    assert is_slow("fp16", place, a_precision(*odd)) is slow


def test_without_a_run_the_table_tells() -> None:
    """As for a target."""
    assert [is_slow(dtype, place, None) for place in (PLAIN, XEON) for dtype in ("fp16", "bf16")] == [True, True, False, False]
