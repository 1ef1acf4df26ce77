"""Rooms forked from a server that has imported torch once."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
from collections.abc import Sequence
from typing import Any, BinaryIO, cast

from ..text import say
from . import linux
from .inside import boot
from .job import LOADING
from .watch import Ended, LastWords, how_it_ended


class ServerLost(Exception):
    """The server died or hung while importing; `status` and the text are the outcome of whoever needed it."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Server:
    """One server process and the socket to it."""

    def __init__(self, *, loading: float = LOADING) -> None:
        self._loading = loading
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  # this interpreter and our own code
                [*boot("ivdoctor.rooms.server", "main"), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._words = LastWords(cast("BinaryIO", self._process.stdout))
        self._loaded: dict[tuple[str, ...], dict[str, str]] = {}

    def preload(self, modules: Sequence[str]) -> dict[str, str]:
        """
        Import modules in the server, once.

        Raises:
            ServerLost: the import killed the process or never came back.
        """
        key = tuple(modules)
        if key not in self._loaded:
            self._control.send(json.dumps({"preload": modules}).encode())
            self._loaded[key] = self.receive(self._loading)
        return self._loaded[key]

    def open(self, request: dict[str, Any]) -> "ForkedDoor":
        """A new room for this request."""
        requests_read, requests_write = os.pipe()
        results_read, results_write = os.pipe()
        output_read, output_write = os.pipe()
        theirs = [requests_read, results_write, output_write]
        try:
            socket.send_fds(self._control, [json.dumps({"open": True}).encode()], theirs)
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        door = ForkedDoor(self, self.receive(self._loading)["pid"], os.fdopen(results_read, "rb"), os.fdopen(output_read, "rb"))
        with contextlib.suppress(BrokenPipeError), os.fdopen(requests_write, "wb") as requests:
            requests.write(json.dumps(request).encode())
        return door

    def receive(self, timeout: float) -> Any:
        """The next message, or ServerLost after this many seconds."""
        if self._control.fileno() < 0:
            raise ServerLost("crashed", say("the process rooms are forked from is gone"))
        if not select.select([self._control], [], [], timeout)[0]:
            self.close()
            raise ServerLost("timeout", say("no answer within {seconds:g} s", seconds=timeout))
        try:
            message = self._control.recv(1 << 16)
        except ConnectionError:
            message = b""
        if not message:
            code = self._process.wait()
            self.close()
            raise ServerLost("crashed", how_it_ended(code, self._words))
        return json.loads(message)

    def readable(self) -> bool:
        """Whether a message waits."""
        return self._control.fileno() < 0 or bool(select.select([self._control], [], [], 0)[0])

    def close(self) -> None:
        """End the server; its rooms die with it."""
        self._control.close()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class ForkedDoor:
    """A room forked from the server."""

    def __init__(self, server: Server, pid: int, results: BinaryIO, output: BinaryIO) -> None:
        self._server, self.pid, self.results, self.output = server, pid, results, output
        self._ended: Ended | None = None

    def ended(self) -> Ended | None:
        """How it ended, or None while it runs."""
        if self._ended is None and self._server.readable():
            self._ended = Ended(**self._server.receive(0))
        return self._ended

    def kill(self) -> None:
        """End it and all it started, and wait for the server to have buried it."""
        if self._ended is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)  # before its setsid the group is not its own
            self._ended = Ended(**self._server.receive(10))
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def memory_mib(self) -> float:
        """Memory that it and all it started hold."""
        return linux.held_mib(self.pid)
