"""From which figures on a cast has changed too much."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """
    The defaults; `--limit NAME=VALUE` sets another.

    They are drawn between what rounding alone does and what a broken cast does: all-MiniLM-L6-v2 gives 1.1e-2 in bf16 and 1.4e-3 in
    fp16 (2026-11-23), a model that has overflowed gives 1 or NaN.
    """

    relative_l2: float = 0.1
    """Distance of the output over the size of the baseline's: ten times what bf16's 8 bits do to a sound six-layer model."""
    cosine: float = 0.99
    """Least cosine between the two outputs: below it retrieval changes its order."""
    top1: float = 0.9
    """Least share of positions whose largest logit is the same: one greedy token in ten may fall on a near tie."""
    kl: float = 0.1
    """Largest mean Kullback-Leibler divergence in nats between the two distributions: at 0.1 the perplexity moves by a tenth."""
    headroom: float = 0.5
    """Largest activation over 65504: above a half, an input twice as loud overflows float16."""
