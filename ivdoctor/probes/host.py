"""The operating system and the interpreter."""

import os
import platform
import sys

from ..facts import Host, Version
from ..probe import probe

CONTAINER_MARKS = ("/.dockerenv", "/run/.containerenv")


@probe()
def host() -> Host:
    """From the standard library, and psutil for the memory."""
    import psutil

    release = platform.release()
    return Host(
        system=platform.system(),
        release=Version(release),
        machine=platform.machine(),
        libc=" ".join(part for part in platform.libc_ver() if part),
        python=Version(platform.python_version()),
        implementation=platform.python_implementation(),
        memory_mib=int(psutil.virtual_memory().total / 2**20),
        wsl=sys.platform.startswith("linux") and "microsoft" in release.lower(),
        container=_container(),
    )


def _container() -> bool:
    # os.path: asking pathlib about a folder without rights raises.
    return "KUBERNETES_SERVICE_HOST" in os.environ or any(map(os.path.exists, CONTAINER_MARKS))
