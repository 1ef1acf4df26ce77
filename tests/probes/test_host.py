"""The operating system and the interpreter, against what Python and the kernel say."""

import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ivdoctor import codec
from ivdoctor.facts import Host
from ivdoctor.probes.host import host
from ivdoctor.rooms import Answer

Look = Callable[..., Answer]


def test_the_host_is_this_one(look: Look) -> None:
    """System, machine and interpreter are those the tests run on: a room is started with the same Python."""
    found = codec.build(look(host).fact, Host)

    assert (platform.system(), platform.machine()) == (found.system, found.machine)
    assert (platform.python_version(), platform.python_implementation()) == (found.python, found.implementation)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/meminfo")
def test_memory_is_what_the_kernel_says(look: Look) -> None:
    """In MiB, from the kernel's KiB."""
    total = next(line for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines() if line.startswith("MemTotal:"))

    assert int(total.split()[1]) // 1024 == codec.build(look(host).fact, Host).memory_mib


def test_a_kubernetes_pod_is_a_container(monkeypatch: pytest.MonkeyPatch, look: Look) -> None:
    """Not every runtime leaves a file; the variable that every pod has is a sign too."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert codec.build(look(host).fact, Host).container

    monkeypatch.delenv("KUBERNETES_SERVICE_HOST")
    assert any(map(os.path.exists, ("/.dockerenv", "/run/.containerenv"))) == codec.build(look(host).fact, Host).container
