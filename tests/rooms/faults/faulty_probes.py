"""Probes that really do what probes must never do."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

from ivdoctor.probe import Absent, DeviceFault, probe


@dataclass(frozen=True, slots=True, kw_only=True)
class Good:
    """A fact."""

    text: str = "fine"
    pid: int = 0


@probe()
def good() -> Good:
    return Good(pid=os.getpid())


@probe()
def absent() -> Good:
    raise Absent("nothing of the kind here")


@probe()
def raises() -> Good:
    raise ValueError("no good\n" + "a very long story\n" * 1000)


@probe()
def is_interrupted() -> Good:
    raise KeyboardInterrupt


@probe()
def exits() -> Good:
    sys.exit(3)


@probe(timeout=1)
def hangs() -> Good:
    time.sleep(600)
    return Good()


@probe(timeout=1)
def hangs_in_c() -> Good:
    """Not to be interrupted by any Python signal handler."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    ctypes.PyDLL(None).sleep(600)  # keeps the interpreter's lock
    return Good()


@probe()
def os_exits() -> Good:
    os._exit(7)


@probe()
def segfaults() -> Good:
    os.write(2, b"about to fall\n")
    ctypes.string_at(0)
    return Good()


@probe()
def dies_of_fpe() -> Good:
    os.kill(os.getpid(), signal.SIGFPE)
    return Good()


@probe()
def is_killed() -> Good:
    os.kill(os.getpid(), signal.SIGKILL)
    return Good()


@probe(timeout=60)
def prints_a_gigabyte() -> Good:
    block = b"noise " * 2**17
    for _ in range(2**30 // len(block)):
        os.write(1, block)
        os.write(2, b"x")
    return Good()


@probe(memory_mib=0, timeout=60)
def eats_what_is_free() -> Good:
    return eats_memory.look()  # type: ignore[return-value]  # it never does


@probe(memory_mib=300, timeout=60)
def eats_memory() -> Good:
    eaten = []
    while True:
        eaten.append(b"x" * 2**24)
        time.sleep(0.005)


@probe()
def leaves_a_child() -> Good:
    subprocess.Popen(["sleep", "987"])
    return Good()


@probe()
def leaves_a_daemon() -> Good:
    """Twice forked, in a session of its own, with every descriptor it inherited."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execvp("sleep", ["sleep", "986"])
        os._exit(0)
    os.wait()
    return Good()


POISONED: list[bool] = []


@probe(room="trial")
def poisons() -> Good:
    POISONED.append(True)
    raise DeviceFault("CUDA error: device-side assert triggered")


@probe(room="trial")
def needs_a_clean_device() -> Good:
    if POISONED:
        raise RuntimeError("CUDA error: device-side assert triggered")
    return Good()


@probe()
def gives_something_else() -> Good:
    return "not a fact"  # type: ignore[return-value]


@probe()
def closes_everything() -> Good:
    os.closerange(3, 256)
    return Good()


@probe()
def writes_nonsense() -> Good:
    """On every descriptor it can find, the results' pipe among them."""
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, b"\xff{nonsense\n")
        except OSError:
            continue
    return Good()


@probe()
def reads_stdin() -> Good:
    return Good(text=repr(sys.stdin.read()))


@probe()
def kills_the_server() -> Good:
    """What the kernel does when memory runs out and the process that holds torch is the largest."""
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(30)
    return Good()


@probe()
def speaks_for_the_room() -> Good:
    """Valid JSON of another shape, on every descriptor it can find."""
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, b'42\n{"event":"end"}\n')
        except OSError:
            continue
    return Good()


class Mute(Exception):
    """Cannot say what it is."""

    def __str__(self) -> str:
        raise ValueError


@probe()
def raises_what_cannot_speak() -> Good:
    raise Mute
