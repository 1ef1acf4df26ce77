"""Words beside a message that bear on its cure."""

import re

HINTS = {
    "backward": re.compile(r"\bbackward\b|\.backward\(", re.IGNORECASE),
    "autocast": re.compile(r"autocast|custom_fwd|torch\.amp|cuda\.amp", re.IGNORECASE),
    "lora": re.compile(r"\blora\w*|\bpeft\b", re.IGNORECASE),
    "offload": re.compile(r"offload", re.IGNORECASE),
    "training": re.compile(r"\btrain(?:er|ing|\.py|_step)|training_step|accelerator\.backward|\.fit\(", re.IGNORECASE),
    "half-in-code": re.compile(r"\.half\(\)|torch\.float16|--fp16|--half", re.IGNORECASE),
    "awq": re.compile(r"\bawq\b|awq_|gptq|exllama", re.IGNORECASE),
    "vllm": re.compile(r"\bvllm\b", re.IGNORECASE),
    "cpu": re.compile(r"device=['\"]?cpu|--cpu|\.cpu\(\)|map_location=['\"]cpu", re.IGNORECASE),
}
"""By the name that rules ask for."""


def words(text: str) -> tuple[str, ...]:
    """The hints that stand in a few lines of text, sorted."""
    return tuple(sorted(name for name, pattern in HINTS.items() if pattern.search(text)))
