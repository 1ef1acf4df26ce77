"""The few things only Linux gives: children that die with their parent, and the list of one's children."""

import contextlib
import os
import signal
import sys

HERE = sys.platform.startswith("linux")

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def prctl(option: int, value: int) -> None:
    """Set an attribute of this process, or do nothing where the kernel has no such call."""
    if not HERE:
        return
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def die_with_parent() -> None:
    """A doctor that is killed must leave nothing running."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """Descendants whose parent ended become children of this process, however they detached themselves."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)


def children(pid: int | None = None) -> list[int]:
    """Process ids of the direct children; empty where the kernel does not list them."""
    if not HERE:
        return []
    found: list[int] = []
    tasks = f"/proc/{pid or os.getpid()}/task"
    with contextlib.suppress(OSError):
        for task in os.listdir(tasks):
            with contextlib.suppress(OSError), open(f"{tasks}/{task}/children", encoding="ascii") as listing:
                found += [int(child) for child in listing.read().split()]
    return found


def reap_children() -> int:
    """Kill and collect what a probe left running; how many those were."""
    left = 0
    for child in children():
        with contextlib.suppress(OSError):
            done, _ = os.waitpid(child, os.WNOHANG)
            if done == 0:
                left += 1
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
    return left


def held_mib(pid: int) -> float:
    """
    Memory of a process and its descendants that only they can give back, in MiB; 0 when it is gone.

    Pages of mapped files are left out: the kernel takes those back when it needs them, and a checkpoint that is mapped twice counts twice.
    """
    total = 0.0
    waiting = [pid]
    while waiting:
        one = waiting.pop()
        with contextlib.suppress(OSError, ValueError, IndexError), open(f"/proc/{one}/status", "rb") as status:
            total += sum(int(line.split()[1]) for line in status if line.startswith((b"RssAnon:", b"RssShmem:"))) / 1024
        waiting += children(one)
    return total
