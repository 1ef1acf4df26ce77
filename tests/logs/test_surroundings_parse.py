"""The parts of single values."""

import pytest

from ivdoctor.facts import Host
from ivdoctor.logs import surroundings_parse as parse
from ivdoctor.logs.surroundings import Surroundings


@pytest.mark.parametrize(
    ("text", "system", "release", "machine", "libc"),
    [
        ("Linux-6.18.13-200.fc43.x86_64-x86_64-with-glibc2.35", "Linux", "6.18.13-200.fc43.x86_64", "x86_64", "glibc 2.35"),
        ("Linux-5.4.0-x86_64-with-debian-buster-sid", "Linux", "5.4.0", "x86_64", ""),
        ("Linux-5.15.0-1-tegra-aarch64-with-glibc2.35", "Linux", "5.15.0-1-tegra", "aarch64", "glibc 2.35"),
        ("Windows-2019Server-10.0.17763-SP0", "Windows", "2019Server", "", ""),
        ("macOS-14.1-arm64-arm-64bit-Mach-O", "Darwin", "", "arm64", ""),
        ("Darwin-19.6.0-x86_64-i386-64bit", "Darwin", "19.6.0", "x86_64", ""),
    ],
)
def test_platforms_are_taken_apart(text: str, system: str, release: str, machine: str, libc: str) -> None:
    """As each system and each Python's age writes them."""
    assert parse.platform(text) == parse.Platform(system=system, release=release, machine=machine, libc=libc)
    surroundings = Surroundings()
    surroundings.feed(f"* Platform: {text}")
    assert [one.fact.python for one in surroundings.outcomes() if isinstance(one.fact, Host)] == [""]
