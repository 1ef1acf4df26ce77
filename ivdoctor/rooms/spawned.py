"""Rooms with an interpreter of their own: the way where processes cannot be forked."""

import contextlib
import json
import os
import signal
import subprocess
from typing import Any, BinaryIO, cast

from . import linux
from .inside import boot
from .watch import Ended


class SpawnedDoor:
    """One process, one request."""

    def __init__(self, request: dict[str, Any]) -> None:
        self._process = subprocess.Popen(  # noqa: S603  # this interpreter and our own code
            boot("ivdoctor.rooms.inside", "spawned"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.pid = self._process.pid
        self.results = cast("BinaryIO", self._process.stdout)
        self.output = cast("BinaryIO", self._process.stderr)
        requests = cast("BinaryIO", self._process.stdin)
        with contextlib.suppress(BrokenPipeError), requests:
            requests.write(json.dumps(request).encode())

    def ended(self) -> Ended | None:
        """How it ended, or None while it runs."""
        code = self._process.poll()
        return None if code is None else Ended(code=code)

    def kill(self) -> None:
        """End it and all it started."""
        if os.name == "nt":
            import psutil

            with contextlib.suppress(psutil.Error):
                for child in psutil.Process(self.pid).children(recursive=True):
                    child.kill()
        else:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()

    def memory_mib(self) -> float:
        """Memory that it and all it started hold."""
        if linux.HERE:
            return linux.held_mib(self.pid)
        import psutil

        try:
            process = psutil.Process(self.pid)
            family = [process, *process.children(recursive=True)]
            return float(sum(one.memory_info().rss for one in family)) / 2**20
        except psutil.Error:
            return 0.0
