"""The inside of a room: a process that runs probes and writes what they found on a pipe of its own."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from .. import codec
from ..probe import Absent, DeviceFault, Probe
from ..text import say
from . import linux

MOST_LINES = 12
"""Lines of an exception's text that are kept."""

BOOT = "import sys; sys.path[:1] = [p for p in sys.path[:1] if p]; sys.path.append({root!r}); from {module} import {function}; {function}()"
"""The caller's folder must not be able to shadow torch, so the empty path entry of `-c` goes."""


def boot(module: str, function: str) -> list[str]:
    """The command line of a fresh interpreter that runs one function of ivdoctor's."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return [sys.executable, "-c", BOOT.format(root=root, module=module, function=function)]


def preload(modules: Sequence[str]) -> dict[str, str]:
    """
    Import what every room of this kind needs.

    A module that is not there is `absent`; one that breaks on import is `failed`, and stays so:
    a second import of a half-imported torch fails in another, misleading way.
    """
    from importlib import import_module

    for name in modules:
        try:  # one or two names
            import_module(name)
        except ModuleNotFoundError as error:
            if error.name == name:
                return {"status": "absent", "reason": say("{name} is not installed", name=name)}
            return {"status": "failed", "reason": say("import {name}: {error}", name=name, error=_said(error))}
        except BaseException as error:  # noqa: BLE001  # a sick torch raises OSError, SystemExit, anything
            return {"status": "failed", "reason": say("import {name}: {error}", name=name, error=_said(error))}
    return {"status": "ok"}


def serve_jobs(requests: BinaryIO, results: BinaryIO) -> None:
    """Run the jobs of one request in order; stop after the first that went wrong, for the process may be spoilt."""
    request = json.loads(requests.read())
    requests.close()
    loaded = preload(request["preload"])
    _write(results, {"event": "loaded", **loaded})
    if loaded["status"] != "ok":
        return
    for number, job in enumerate(request["jobs"]):
        _write(results, {"event": "start", "job": number})
        answer = _run(job)
        left = linux.reap_children()
        if left:
            answer["left"] = left
        _write(results, {"event": "end", "job": number, **answer})
        if answer["status"] == "failed":
            return


def spawned() -> None:
    """Main of a room with an interpreter of its own: request on stdin, results on what was stdout."""
    if hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    results = os.fdopen(os.dup(1), "wb")
    requests = os.fdopen(os.dup(0), "rb")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    serve_jobs(requests, results)
    results.flush()
    sys.stdout.flush()
    os._exit(0)


def _run(job: dict[str, Any]) -> dict[str, Any]:
    """One probe by its name: its fact in plain words, or how it failed."""
    began = time.perf_counter()
    try:
        probe: Probe = codec.find(job["probe"])
        given = {name: codec.build(value, codec.find(kind)) for name, (kind, value) in job["given"].items()}
    except BaseException as error:  # noqa: BLE001  # whatever the import of a probe raises is an outcome of that probe
        return {"status": "failed", "reason": _said(error), "seconds": time.perf_counter() - began}
    answer = look(probe, given)
    if answer["status"] != "ok":
        return answer
    try:
        return answer | {"fact": codec.plain(answer["fact"])}
    except BaseException as error:  # noqa: BLE001  # a plugin's fact may hold anything
        return {"status": "failed", "reason": _said(error), "seconds": answer["seconds"]}


def look(probe: Probe, given: Mapping[str, Any], through: tuple[type[BaseException], ...] = ()) -> dict[str, Any]:
    """
    One probe: its fact, or how it failed.

    Args:
        through: what is nobody's failure, and is raised on.
    """
    began = time.perf_counter()
    answer: dict[str, Any]
    try:
        fact = probe(**given)
        if isinstance(fact, probe.fact):
            answer = {"status": "ok", "fact": fact}
        else:
            reason = say("it gave a {given}, not a {promised}", given=type(fact).__name__, promised=probe.fact.__name__)
            answer = {"status": "failed", "reason": reason}
    except through:
        raise
    except Absent as absence:
        answer = {"status": "absent", "reason": str(absence)}
    except DeviceFault as fault:
        answer = {"status": "failed", "reason": say("the device failed: {error}", error=fault)}
    except BaseException as error:  # noqa: BLE001  # whatever a probe raises is an outcome of that probe
        answer = {"status": "failed", "reason": _said(error)}
    return answer | {"seconds": time.perf_counter() - began}


def _said(error: BaseException) -> str:
    """Type and first lines of an exception: whole C++ stack traces follow in some."""
    try:
        text = "\n".join(_lines(str(error)))
    except Exception:  # noqa: BLE001  # an exception that cannot say what it is
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _lines(text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines()):
        if number == MOST_LINES:
            return
        yield line[:500]


def _write(results: BinaryIO, message: dict[str, Any]) -> None:
    results.write(json.dumps(message).encode() + b"\n")
    results.flush()
