"""The process rooms are forked from: it has imported torch, and of ivdoctor what every room needs, so that a room costs milliseconds."""

import json
import os
import signal
import socket
import sys
from typing import Any

from . import linux
from .inside import preload, serve_jobs


def main() -> None:
    """
    Serve on the socket whose descriptor is the last argument, one room at a time, until it is closed.

    One at a time is enough: rooms of one machine would only fight for its cores and its device.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, as some launchers leave it, no child could be waited for
    linux.die_with_parent()
    linux.adopt_orphans()
    control = socket.socket(fileno=int(sys.argv[-1]))
    control.set_inheritable(False)
    from .. import codec, facts, probe, tables  # noqa: F401  # what every room needs is imported here once

    codec.dump({})
    while True:
        try:
            message, descriptors, _, _ = socket.recv_fds(control, 1 << 16, 3)
        except ConnectionError:
            return
        if not message:
            return
        request = json.loads(message)
        if "preload" in request:
            _send(control, preload(request["preload"]))
        else:
            _room(control, *descriptors)


def _room(control: socket.socket, requests: int, results: int, output: int) -> None:
    """Fork, tell the room's process id, wait, and tell how it ended."""
    room = os.fork()
    if room == 0:
        code = 70
        try:
            linux.die_with_parent()
            os.setsid()
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            with open(os.devnull, "rb") as nothing:
                os.dup2(nothing.fileno(), 0)
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.close(output)
            control.close()
            serve_jobs(os.fdopen(requests, "rb"), os.fdopen(results, "wb"))
            sys.stdout.flush()
            sys.stderr.flush()
            code = 0
        finally:
            os._exit(code)
    for descriptor in (requests, results, output):
        os.close(descriptor)
    _send(control, {"pid": room})
    _, status = os.waitpid(room, 0)
    left = linux.reap_children()
    _send(control, {"code": os.waitstatus_to_exitcode(status), "left": left})


def _send(control: socket.socket, message: dict[str, Any]) -> None:
    control.send(json.dumps(message).encode())
