"""
What cast-then-infer costs over the plain forward passes it needs, and how much memory it takes beside the model.

`python benchmarks/cast.py FOLDER [ROUNDS]` with a folder that holds a Hugging Face model. One process, alternately; the exit code is 1 where
a bound is missed.
"""

import os
import statistics
import sys
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

import torch

from ivdoctor.facts import TORCH_NAME, Asked
from ivdoctor.rooms import linux
from ivdoctor.trials import cast
from ivdoctor.trials.inputs import samples
from ivdoctor.trials.load import load
from ivdoctor.trials.recast import recast
from ivdoctor.trials.subject import Subject

if TYPE_CHECKING:
    from typing_extensions import Self

TIME, MEMORY = 1.3, 1.0
"""The bounds: of the plain passes, and of the model's own bytes."""


class Peak(threading.Thread):
    """The most memory held by this process while the context lasts, above what it had at its start; in MiB."""

    def __enter__(self) -> "Self":
        self.most = self.before = linux.held_mib(os.getpid())
        self.over = threading.Event()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.join()

    def run(self) -> None:
        """Every few milliseconds; the kernel's own mark is set back by the passes that are measured."""
        while not self.over.wait(0.003):
            self.most = max(self.most, linux.held_mib(os.getpid()))


def main() -> int:
    """Count the passes of one run, then time both, alternately."""
    folder, *rest = sys.argv[1:]
    rounds = int(rest[0]) if rest else 5
    loaded = load(folder, "cpu")
    inputs = next(samples(folder, loaded.model, loaded.config))
    subject = Subject(name="benchmark", model=loaded.model, inputs=inputs, baseline=loaded.dtype, device="cpu", real=True)
    weights = sum(one.numel() * one.element_size() for one in loaded.model.parameters()) / 2**20
    for parameter in loaded.model.parameters():
        parameter.sum()  # mapped from the file, it becomes resident when it is first read
    passes: Counter[str] = Counter()
    loaded.model.register_forward_pre_hook(lambda model, _: passes.update([str(next(model.parameters()).dtype).removeprefix("torch.")]))
    with torch.no_grad():
        with Peak() as peak:
            cast.compare(subject, Asked())
        extra = (peak.most - peak.before) / weights
        ratios = []
        for _ in range(rounds):
            passes.clear()
            began = time.perf_counter()
            cast.compare(subject, Asked())
            whole = time.perf_counter() - began
            needed = dict(passes)
            ratios.append(whole / plain(subject, needed))
    ratio = statistics.median(ratios)
    print(f"{os.cpu_count()} cores, {rounds} rounds, {sum(needed.values())} passes, {weights:.0f} MiB of weights, {time.strftime('%Y-%m-%d')}")
    print(f"time   cast-then-infer / its plain passes = {ratio:.2f} (bound {TIME})")
    print(f"memory extra / the model's weights = {extra:.2f} (bound {MEMORY})")
    return int(ratio > TIME or extra > MEMORY)


def plain(subject: Subject, passes: dict[str, int]) -> float:
    """Seconds of as many passes in each format, with nothing attached; the casts themselves are not counted."""
    seconds = 0.0
    for dtype in ("fp32", "bf16", "fp16"):
        with recast(subject.model, getattr(torch, TORCH_NAME[dtype]), "cpu"):
            call = subject.call(dtype)
            began = time.perf_counter()
            for _ in range(passes[TORCH_NAME[dtype]]):
                call()
            seconds += time.perf_counter() - began
    return seconds


if __name__ == "__main__":
    sys.exit(main())
