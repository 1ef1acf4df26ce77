"""Rooms: one process for each set of probes that share a fate, so that none can hurt the doctor or another."""

import contextlib
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .. import codec
from . import linux
from .inside import look
from .job import LOADING, Answer, Job

if TYPE_CHECKING:
    from typing_extensions import Self  # Python 3.11; only the type checker needs it

    from .forked import Server
    from .watch import Door

__all__ = ["Answer", "Job", "Rooms"]

PRELOAD: dict[str, tuple[str, ...]] = {"plain": (), "driver": (), "torch": ("torch",), "trial": ("torch",)}
"""What a room imports before its first probe, by the part of its name before the colon."""


class Rooms:
    """
    A place to run probes in; a context manager that leaves no process behind.

    On Linux rooms are forked from a server that has imported torch once; elsewhere each is a new interpreter.
    """

    def __init__(self, *, forked: bool | None = None, loading: float = LOADING, here: bool = False) -> None:
        """
        Nothing is started before the first visit.

        Args:
            loading: how many seconds an import of torch may take.
            here: run what needs no torch in this process: for probes that read files of bounded size and nothing else.
        """
        self._here = here
        self._loading = loading
        self._forked = linux.HERE if forked is None else forked
        self._server: Server | None = None
        self._doors: list[Door] = []

    def __enter__(self) -> "Self":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        """End whatever still runs."""
        if not self._doors and self._server is None:
            return
        from .forked import ServerLost

        try:
            for door in self._doors:
                with contextlib.suppress(ServerLost, OSError, ValueError):
                    door.kill()
        finally:
            if self._server is not None:
                self._server.close()

    def visit(self, room: str, jobs: Sequence[Job]) -> Iterator[Answer]:
        """
        Run the jobs in order in one room, and in a new one after each that went wrong.

        Yields exactly one answer a job, in their order.
        """
        modules = PRELOAD[room.partition(":")[0]]
        if self._here and room == "plain":
            for job in jobs:
                yield Answer(**look(job.probe, job.given, through=(KeyboardInterrupt,)))
            return
        from .forked import ServerLost  # here, as below: most of a look at files alone would be this import

        waiting = list(jobs)
        while waiting:
            answers = 0
            try:
                for answer in self._run(modules, waiting):
                    answers += 1
                    yield answer
            except ServerLost as lost:
                self._server = None
                self._doors.clear()
                if answers < len(waiting):
                    yield from [Answer(status=lost.status, reason=str(lost)) for _ in waiting[answers:]]  # type: ignore[arg-type]  # one of two Status values
                return
            waiting = waiting[answers:]

    def _run(self, modules: tuple[str, ...], jobs: Sequence[Job]) -> Iterator[Answer]:
        request = {"preload": modules, "jobs": [_written(job) for job in jobs]}
        from .watch import watch

        if self._forked:
            from .forked import Server

            self._server = self._server or Server(loading=self._loading)
            loaded = self._server.preload(modules) if modules else {"status": "ok"}
            if loaded["status"] != "ok":
                for _ in jobs:
                    yield Answer(status=loaded["status"], reason=loaded["reason"])  # type: ignore[arg-type]  # a Status
                return
            door: Door = self._server.open(request)
        else:
            from .spawned import SpawnedDoor

            door = SpawnedDoor(request)
        self._doors.append(door)
        yield from watch(door, jobs, loading=self._loading)
        self._doors.remove(door)


def _written(job: Job) -> dict[str, Any]:
    given = {name: (codec.reference(type(fact)), codec.plain(fact)) for name, fact in job.given.items()}
    return {"probe": job.probe.reference, "given": given}
