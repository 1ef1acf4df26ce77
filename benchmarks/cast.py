"""
What cast-then-infer costs over the plain forward passes it needs, and how much memory it takes beside the model.

`python benchmarks/cast.py FOLDER [ROUNDS]` with a folder that holds a Hugging Face model. One process, alternately; the exit code is 1 where
a bound is missed.
"""

import os
import statistics
import sys
import time
from collections import Counter

import torch

from ivdoctor.facts import TORCH_NAME, Asked
from ivdoctor.rooms import linux
from ivdoctor.trials import cast
from ivdoctor.trials.inputs import sample
from ivdoctor.trials.load import load
from ivdoctor.trials.recast import recast


def main() -> int:
    """Count the passes of one run, then time both, alternately."""
    folder, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5
    torch.set_num_threads(os.cpu_count() or 1)
    loaded = load(folder, "cpu")
    inputs = sample(folder, loaded.model, loaded.config)
    subject = cast.Subject(name="benchmark", model=loaded.model, inputs=inputs, baseline=loaded.dtype, device="cpu", real=True)
    weights = sum(one.numel() * one.element_size() for one in loaded.model.parameters()) / 2**20
    with torch.no_grad():
        cast.compare(subject, Asked())  # warm
        ratios, extras = [], []
        for _ in range(rounds):
            passes: Counter[str] = Counter()
            counting = loaded.model.register_forward_pre_hook(
                lambda model, _, passes=passes: passes.update([str(next(model.parameters()).dtype).removeprefix("torch.")])
            )
            before = reset()
            began = time.perf_counter()
            cast.compare(subject, Asked())
            whole = time.perf_counter() - began
            extras.append(peak() - before)
            counting.remove()
            ratios.append(whole / plain(subject, passes))
    ratio, extra = statistics.median(ratios), statistics.median(extras) / weights
    print(f"{os.cpu_count()} cores, {rounds} rounds, {sum(passes.values())} passes, {weights:.0f} MiB of weights, {time.strftime('%Y-%m-%d')}")
    print(f"time   cast-then-infer / its plain passes = {ratio:.2f} (bound 1.3)")
    print(f"memory extra / the model's weights = {extra:.2f} (bound 1.0)")
    return int(ratio > 1.3 or extra > 1.0)


def plain(subject: cast.Subject, passes: Counter[str]) -> float:
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


def reset() -> float:
    """Set the high-water mark back; resident MiB now."""
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")
    return linux.resident_mib(os.getpid())


def peak() -> float:
    """The high-water mark in MiB; the passes set it back too, so that of the last counts, with every copy still held."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))


if __name__ == "__main__":
    sys.exit(main())
