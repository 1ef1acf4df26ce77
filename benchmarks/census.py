"""
What the census of a large checkpoint costs: 61 files with 70,000 tensors, 0.2 to 2 TB of holes, in a fresh process.

`python benchmarks/census.py [ROUNDS]` prints one line a bound; the exit code is 1 when one is missed. What it is measured against is
the same headers through `json.loads` alone, and every process begins with the same imports, which are counted apart.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

FILES, TENSORS, EXPERTS, WIDE, NARROW = 61, 70_000, 384, 7168, 2048
"""As Kimi-K2 and DeepSeek-V3 are built: nearly all tensors belong to experts, in three matrices with their scales."""

CPU_BOUND, PEAK_BOUND, RATIO_BOUND = 1.0, 200.0, 6.0
"""Seconds, MiB, and times the reading of the same JSON."""

MEASURE = """
import json, os, resource, sys, time
sys.path.insert(0, os.getcwd())
{imports}
before = time.process_time()
{work}
after = time.process_time()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # of the parent too, which therefore builds nothing itself
print(json.dumps({{"cpu": after - before, "start": before, "peak": peak, "found": found}}))
"""

CENSUS = MEASURE.format(
    imports="from ivdoctor.modelfiles import read_checkpoint",
    work="""
one = read_checkpoint(sys.argv[1])
found = [one.files, sum(kind.tensors for kind in one.stored), one.bytes, one.parameters, len(one.missing), len(one.torn)]
""",
)

JSON = MEASURE.format(
    imports="import ivdoctor.modelfiles",
    work="""
found = [0, 0]
with open(os.path.join(sys.argv[1], "model.safetensors.index.json")) as source:
    promised = json.load(source)["weight_map"]
for name in sorted(set(promised.values())):
    with open(os.path.join(sys.argv[1], name), "rb") as source:
        header = json.loads(source.read(int.from_bytes(source.read(8), "little")))
    found = [found[0] + 1, found[1] + len(header) - 1]
""",
)


def entries(kind: str) -> list[tuple[str, str, list[int]]]:
    """Name, dtype and shape of every tensor."""
    packed = {
        "fp8": [("weight", "F8_E4M3", 1, 1), ("weight_scale_inv", "F32", 128, 128)],
        "int4": [("weight_packed", "I32", 1, 8), ("weight_scale", "BF16", 1, 32), ("weight_shape", "I32", 0, 0)],
        "bf16": [("weight", "BF16", 1, 1)],
    }[kind]
    found: list[tuple[str, str, list[int]]] = []
    layer = 0
    while len(found) < TENSORS:
        for expert in range(EXPERTS):
            for matrix, rows, columns in (("gate_proj", NARROW, WIDE), ("up_proj", NARROW, WIDE), ("down_proj", WIDE, NARROW)):
                name = f"model.layers.{layer}.mlp.experts.{expert}.{matrix}"
                found += [(f"{name}.{leaf}", dtype, [rows // high, columns // wide] if high else [2]) for leaf, dtype, high, wide in packed]
        layer += 1
    return found[:TENSORS]


def built(folder: Path, kind: str) -> None:
    """The checkpoint: headers as they are, and the data a hole."""
    widths = {"F8_E4M3": 1, "F32": 4, "I32": 4, "BF16": 2}
    tensors = entries(kind)
    share = -(-len(tensors) // FILES)
    index = {}
    for number in range(FILES):
        file = f"model-{number + 1:05}-of-{FILES:05}.safetensors"
        header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
        end = 0
        for name, dtype, shape in tensors[number * share : (number + 1) * share]:
            begin, end = end, end + widths[dtype] * (shape[0] * shape[1] if len(shape) > 1 else shape[0])
            header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
            index[name] = file
        text = json.dumps(header, separators=(",", ":")).encode()
        with (folder / file).open("wb") as out:
            out.write(len(text).to_bytes(8, "little") + text)
            out.truncate(8 + len(text) + end)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}, indent=2))


def measured(program: str, folder: Path) -> dict[str, Any]:
    """In a process of its own."""
    done = subprocess.run([sys.executable, "-c", program, str(folder)], capture_output=True, check=True, cwd=Path(__file__).parent.parent)
    return dict(json.loads(done.stdout))


def main() -> int:
    """Each kind of checkpoint, alternately through the census and through JSON alone."""
    if sys.argv[1:2] == ["build"]:
        built(Path(sys.argv[2]), sys.argv[3])
        return 0
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    print(f"{os.cpu_count()} cores, {rounds} rounds, {time.strftime('%Y-%m-%d')}")
    missed = 0
    for kind in ("bf16", "fp8", "int4"):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            subprocess.run([sys.executable, __file__, "build", name, kind], check=True)
            runs = [(measured(CENSUS, folder), measured(JSON, folder)) for _ in range(rounds)]
        files, tensors, size, parameters, missing, torn = runs[0][0]["found"]
        assert (files, tensors, missing, torn) == (FILES, TENSORS, 0, 0), runs[0][0]
        cpu, plain = (statistics.median(run[at]["cpu"] for run in runs) for at in (0, 1))
        peak, least = (statistics.median(run[at]["peak"] for run in runs) for at in (0, 1))
        print(f"{kind}: {files} files, {tensors} tensors, {size / 1e9:.0f} GB, {parameters / 1e9:.1f} billion parameters")
        for what, value, bound in (("cpu", cpu, CPU_BOUND), ("peak", peak, PEAK_BOUND), ("cpu / json.loads", cpu / plain, RATIO_BOUND)):
            missed += value > bound
            print(f"  {what:16} = {value:.2f} (bound {bound})")
        start = statistics.median(run[0]["start"] for run in runs)
        print(f"  json.loads alone = {plain:.2f} s, {least:.0f} MiB; the start of Python and the imports = {start:.2f} s")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
