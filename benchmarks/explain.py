"""
What `ivdoctor explain` costs, as ratios measured in one run.

`python benchmarks/explain.py [MIB]` makes logs of that size (1024 unless given) and prints, for each, the time of reading it against
`for line in sys.stdin.buffer: pass`, and the peak memory; then the CPU time of a short traceback against `ivdoctor --help`; then each
recogniser on adversarial text of 1 MiB against twice as much.
"""

import io
import os
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from ivdoctor.logs.messages import recognisers
from ivdoctor.logs.reading import read

if TYPE_CHECKING:
    from benchmarks.cost import cost
else:  # a script beside this one
    from cost import cost

FRAME = '  File "/opt/conda/lib/python3.11/site-packages/torch/nn/modules/module.py", line {number}, in _call_impl\n    return forward_call(*args, **kwargs)\n'
TRACEBACK = (
    "Traceback (most recent call last):\n"
    '  File "demo.py", line 33, in <module>\n    output = model.chat(tokenizer, pixel_values, question)\n'
    + "".join(FRAME.format(number=1700 + number) for number in range(22))
    + "RuntimeError: Input type (c10::BFloat16) and bias type (c10::Half) should be the same\n"
)
"""Fifty lines."""

WORDS = (
    "step loss lr tokens throughput eta epoch batch loading shard model checkpoint layer weights cuda memory GiB running requests queue prompt cache"
)
ALONE = "for line in __import__('sys').stdin.buffer: pass"
BOUND, START = 3.0, 3.0
GROWTH = 3.0
"""Of time where a text doubles: a square would be 4."""


def logs(size: int) -> dict[str, str]:
    """A chunk of each kind of log; the file repeats it."""
    chance = random.Random(1)  # noqa: S311  # a log, not a secret
    lines = [
        f"INFO 11-23 09:{n % 60:02}:{n % 59:02} [loggers.py:{n % 300}] " + " ".join(chance.choices(WORDS.split(), k=12)) + "\n" for n in range(size)
    ]
    quiet = "".join(lines)
    failing = "".join(line + (TRACEBACK if number % 5000 == 0 else "") for number, line in enumerate(lines))
    labelled = "".join(
        f"(Worker_TP{number % 8} pid={4000 + number % 8}) ERROR 11-23 09:00:{number % 60:02} [core.py:396] {line}"
        for number, line in enumerate(TRACEBACK.splitlines(True) * 200)
    )
    return {
        "no failure": quiet,
        "a traceback in 5,000 lines": failing,
        "nothing but tracebacks": TRACEBACK * 200,
        "tracebacks of eight workers": labelled,
    }


def on_stdin(command: list[str], path: Path) -> float:
    """Seconds of one process that reads the file from stdin."""
    with path.open("rb") as file:
        began = perf_counter()
        subprocess.run(command, stdin=file, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        return perf_counter() - began


def reading(mib: int) -> bool:
    """The ratio of whole processes, alternately, the least of three."""
    kept = True
    ivdoctor = [str(Path(sys.executable).with_name("ivdoctor")), "explain", "--format", "json"]
    for name, chunk in logs(20_000).items():
        path = Path(tempfile.mkdtemp()) / "big.log"
        with path.open("w", encoding="utf-8") as file:
            for _ in range(mib * 2**20 // len(chunk)):
                file.write(chunk)
        pairs = [(on_stdin([sys.executable, "-c", ALONE], path), on_stdin(ivdoctor, path)) for _ in range(3)]
        ratio = min(own for _, own in pairs) / min(alone for alone, _ in pairs)
        peak = cost([*ivdoctor, str(path)]).peak
        print(f"{name}, {path.stat().st_size / 2**20:.0f} MiB: {ratio:.2f} of iterating over the lines (bound {BOUND}), peak {peak:.0f} MiB")
        kept &= ratio <= BOUND
        os.unlink(path)
    return kept


def start(rounds: int = 9) -> bool:
    """CPU time of a short traceback against `--help`."""
    console = str(Path(sys.executable).with_name("ivdoctor"))
    path = Path(tempfile.mkdtemp()) / "failure.txt"
    path.write_text(TRACEBACK, encoding="utf-8")
    pairs = [(cost([console, "--help"]).cpu, cost([console, "explain", str(path)]).cpu) for _ in range(rounds + 1)][1:]
    ratio = statistics.median(own for _, own in pairs) / statistics.median(helped for helped, _ in pairs)
    print(f"start-up and {TRACEBACK.count(chr(10))} lines: {ratio:.2f} of the CPU time of --help (bound {START})")
    return ratio <= START


def adversarial() -> bool:
    """Each recogniser's own words, over and over, in one line of 1 MiB and of 2: the time may grow no faster than the text."""
    worst = (0.0, "", 0.0)
    for one in recognisers():
        for needle in one.needles:
            for fragment in (f"Error {needle} ", f"Error: {needle}(", f'Error "{needle}'):
                times = []
                for size in (2**20, 2**21):
                    text = (fragment * (size // len(fragment))).encode()
                    began = perf_counter()
                    read(io.BytesIO(text))
                    times.append(perf_counter() - began)
                worst = max(worst, (times[1] / max(times[0], 0.01), f"{one.family}: {fragment!r}", times[1]))
    print(f"adversarial lines of 2 MiB against 1 MiB: at most {worst[0]:.2f} times as long ({worst[1]}, {worst[2]:.2f} s); bound {GROWTH}")
    return worst[0] <= GROWTH


def main() -> int:
    """All three; the exit code is 1 when a bound is missed."""
    mib = int(sys.argv[1]) if len(sys.argv) > 1 else 1024
    return 0 if all([start(), adversarial(), reading(mib)]) else 1


if __name__ == "__main__":
    sys.exit(main())
