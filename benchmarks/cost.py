"""
What ivdoctor costs, as ratios to what nobody can avoid, measured alternately in one run.

`python benchmarks/cost.py [ROUNDS]` prints one line a bound; the exit code is 1 when one is missed.
CPU time and peak memory are those of all processes of a command, from the kernel's own accounting.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

IVDOCTOR = [sys.executable, "-m", "ivdoctor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one run of a command: seconds, and MiB of its largest process."""

    cpu: float
    wall: float
    peak: float


MEASURE = """
import json, resource, subprocess, sys, time
began = time.perf_counter()
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({"cpu": used.ru_utime + used.ru_stime, "wall": time.perf_counter() - began, "peak": used.ru_maxrss / 1024}))
"""


BYTECODE = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | {"PYTHONPYCACHEPREFIX": tempfile.mkdtemp()}
"""Every package compiled before it is timed, as pip leaves an installed one: an editable checkout need not be."""


def cost(command: list[str]) -> Cost:
    """Through a small parent: the kernel keeps the largest descendant's peak per parent."""
    done = subprocess.run([sys.executable, "-c", MEASURE, *command], capture_output=True, check=True, env=BYTECODE)
    return Cost(**json.loads(done.stdout))


OPERATORS = """
import time
began = time.process_time()
import torch
imported = time.process_time()
from ivdoctor.facts import Asked
from ivdoctor.probes.precision import precision
from ivdoctor.testing import a_place, a_torch_without_cuda
given = {"torch": a_torch_without_cuda(), "place": a_place(), "asked": Asked()}
ready = time.process_time()
precision(**given)
print((time.process_time() - ready) / (imported - began))
"""
"""What the live operators of a plain check cost beside the import of torch, in one process: its import alone differs by more from run to run."""

OPERATORS_BOUND = 0.3


CONFIG = Path(__file__).parents[1] / "tests" / "systems" / "InternVideo2_5_Chat_8B.json"


def _model() -> Path:
    """A small model's folder: its configuration and one file of weights."""
    folder = Path(tempfile.mkdtemp())
    header = json.dumps({"lm_head.weight": {"dtype": "BF16", "shape": [64, 64], "data_offsets": [0, 8192]}}).encode()
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "architectures": ["LlamaForCausalLM"], "dtype": "bfloat16"}))
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(8192))
    return folder


def main() -> int:
    """Alternate all commands, take medians, compare."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    snapshot = Path(tempfile.mkdtemp()) / "host.json"
    subprocess.run([*IVDOCTOR, "collect", "-o", str(snapshot)], check=True)
    console = Path(sys.executable).with_name("ivdoctor")
    commands = {
        "import click": [sys.executable, "-c", "import click"],
        "import torch": [sys.executable, "-c", "import torch"],
        "--help": [str(console), "--help"],
        "check": [str(console), "check"],
        "check --snapshot": [str(console), "check", "--snapshot", str(snapshot)],
        "check --target": [str(console), "check", "--target", "T4", "--dtype", "bf16"],
        "check CONFIG": [str(console), "check", str(CONFIG), "--target", "T4"],
        "targets": [str(console), "targets"],
        "census": [str(console), "census", str(_model())],
        "targets T4": [str(console), "targets", "T4"],
    }
    runs: dict[str, list[Cost]] = {name: [] for name in commands}
    for command in commands.values():
        cost(command)
    for _ in range(rounds):
        for name, command in commands.items():
            runs[name].append(cost(command))
    bounds = [
        ("--help", "import click", "cpu", 1.5),
        ("check", "import torch", "cpu", 1.6),
        ("check", "import torch", "wall", 1.5),
        ("check", "import torch", "peak", 1.4),
        ("check --snapshot", "--help", "cpu", 3.0),
        ("check --target", "--help", "cpu", 4.0),
        ("check CONFIG", "--help", "cpu", 4.0),
        ("targets", "--help", "cpu", 3.0),
        ("census", "--help", "cpu", 3.0),
        ("targets T4", "--help", "cpu", 3.0),
    ]
    print(f"{os.cpu_count()} cores, {rounds} rounds, {time.strftime('%Y-%m-%d')}")
    missed = 0
    for mine, theirs, what, bound in bounds:
        top, bottom = (statistics.median(getattr(one, what) for one in runs[name]) for name in (mine, theirs))
        missed += top / bottom > bound
        print(f"{what:4} {mine:17} / {theirs:12} = {top / bottom:.2f} (bound {bound}; {top:.3f} / {bottom:.3f})")
    ratios = [float(subprocess.run([sys.executable, "-c", OPERATORS], capture_output=True, check=True).stdout) for _ in range(rounds)]
    missed += statistics.median(ratios) > OPERATORS_BOUND
    print(f"cpu  the live operators / import torch = {statistics.median(ratios):.2f} (bound {OPERATORS_BOUND})")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
