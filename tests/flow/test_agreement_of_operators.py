"""Single operators: the flow raises where the CPU raises."""

import warnings

import pytest

pytest.importorskip("torch")

from benchmarks.flow_operators import outcome, rows  # they import torch


@pytest.mark.parametrize("group", sorted({group for group, _ in rows(("mixed:", "kernel:"))}))
def test_every_expression_of_a_group(group: str) -> None:
    """In the formats models are run in; the same words, too."""
    warnings.simplefilter("ignore")
    for _, expression in rows((group,)):
        real = outcome(expression, shadows=False)
        assert (expression, outcome(expression, shadows=True)) == (expression, real)
