"""Words beside a message that bear on its cure."""

import re

from .patterns import Lazy

HINTS = {
    "lora": Lazy(r"\blora\w*|\bpeft\b", re.IGNORECASE),
    "training": Lazy(r"\btrain(?:er|ing|\.py|_step)|training_step|accelerator\.backward|\.fit\(", re.IGNORECASE),
    "vllm": Lazy(r"\bvllm\b", re.IGNORECASE),
    "fp8-cache": Lazy(r"kv[-_ ]cache.{0,24}fp8|fp8.{0,24}kv[-_ ]cache", re.IGNORECASE),
}
"""By the name that rules ask for."""


def words(text: str) -> tuple[str, ...]:
    """The hints that stand in a few lines of text, sorted."""
    return tuple(sorted(name for name, pattern in HINTS.items() if pattern.search(text)))
