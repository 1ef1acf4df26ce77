"""
What the dtype flow costs, as a ratio to a warm forward pass of the same class and inputs on torch's meta device, in one run.

`python -m benchmarks.flow_cost [TYPE ...]` builds each type's default configuration; medians of five. Warm means that contracts are known; the 3x3 is timed cold.
The meta device takes the same model and the same inputs; where it cannot carry them, only the flow's own time is printed.
"""

import copy
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "critical")
warnings.filterwarnings("ignore")

import torch  # noqa: E402  # after the switches above
from torch import Tensor  # noqa: E402
from transformers.initialization import no_init_weights  # noqa: E402

from benchmarks import flow_models  # noqa: E402
from ivdoctor.flow.cells import attempt, cells_of, fed, flowing  # noqa: E402
from ivdoctor.flow.world import World  # noqa: E402

TYPES = ("llama", "gpt2", "bert", "vit", "clip", "mixtral", "qwen2", "t5", "mistral", "internvl", "wav2vec2", "deepseek_v3")
TIMES = 5


def seconds(call: Callable[[], Any], times: int = TIMES) -> float:
    """The median."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def on_meta(cls: Any, config: Any, feed: dict[str, Any]) -> Callable[[], Any]:
    """The plain forward pass without data."""
    with torch.device("meta"), no_init_weights():
        model = cls(copy.deepcopy(config)).eval()
    inputs = {
        name: torch.empty(value.shape, dtype=value.dtype, device="meta") if isinstance(value, Tensor) else value for name, value in feed.items()
    }

    def run() -> None:
        with torch.no_grad():
            model(**inputs)

    return run


def main() -> None:
    """One line a type."""
    torch.set_num_threads(1)
    print(f"{'type':<16}{'meta ms':>9}{'cell ms':>9}{'cell':>7}{'3x3 ms':>9}{'3x3':>7}")
    for key in sys.argv[1:] or TYPES:
        cls, config = flow_models.configured(key)
        made = flowing(cls, config, World())
        made.decodes = False  # one forward pass against one
        made.feed = {name: value for name, value in made.feed.items() if "mask" not in name}  # the meta device cannot look into them
        whole = seconds(partial(cells_of, made), 1)
        made.build.becomes(made.build.cast(torch.bfloat16))
        one = seconds(partial(attempt, made, "bf16"))
        try:
            plain = on_meta(cls, config, fed(made.feed, torch.float32))
            plain()
            meta = seconds(plain)
        except Exception as error:  # noqa: BLE001  # it is told
            print(
                f"{key:<16}{'-':>9}{one * 1e3:>9.0f}{'-':>7}{whole * 1e3:>9.0f}{'-':>7}  meta: {type(error).__name__}: {str(error).splitlines()[0][:80]}"
            )
            continue
        print(f"{key:<16}{meta * 1e3:>9.0f}{one * 1e3:>9.0f}{one / meta:>7.2f}{whole * 1e3:>9.0f}{whole / meta:>7.2f}", flush=True)


if __name__ == "__main__":
    main()
