"""Every fault of a probe stays in its room: forked and spawned."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ivdoctor.probe import Probe
from ivdoctor.rooms import Answer, Job, Rooms

WAYS = [
    pytest.param(True, id="forked", marks=pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks")),
    pytest.param(False, id="spawned"),
]


@pytest.fixture(params=WAYS)
def rooms(request: pytest.FixtureRequest, faults: None) -> Iterator[Rooms]:
    with Rooms(forked=request.param) as opened:
        yield opened


def probes(*names: str) -> list[Probe]:
    import faulty_probes  # type: ignore[import-not-found]  # on the path by the fixture

    return [getattr(faulty_probes, name) for name in names]


def visit(rooms: Rooms, *names: str, room: str = "plain") -> list[Answer]:
    return list(rooms.visit(room, [Job(probe=probe, given={}) for probe in probes(*names)]))


def test_answers_come_in_order_from_one_process(rooms: Rooms) -> None:
    """Probes of one room share a process, and absence is an answer that does not end it."""
    first, second, third = visit(rooms, "good", "absent", "good")

    assert (first.status, second.status, third.status) == ("ok", "absent", "ok")
    assert second.reason == "nothing of the kind here"
    assert first.fact["pid"] == third.fact["pid"] != os.getpid()


@pytest.mark.usefixtures("faults")
def test_what_needs_no_torch_may_answer_in_this_process() -> None:
    """A fault of Python's is an answer there too, and ends nothing; a Ctrl-C is nobody's answer."""
    with Rooms(here=True) as opened:
        first, second, third = visit(opened, "good", "raises", "good")
        assert (first.status, second.status, third.status) == ("ok", "failed", "ok")
        assert second.reason.startswith("ValueError: no good")
        assert first.fact.pid == third.fact.pid == os.getpid()
        with pytest.raises(KeyboardInterrupt):
            visit(opened, "is_interrupted")


@pytest.mark.usefixtures("faults")
def test_what_needs_torch_has_a_room_of_its_own_all_the_same() -> None:
    """Nothing of torch's comes into this process."""
    with Rooms(here=True) as opened:
        (one,) = visit(opened, "good", room="torch")
    assert one.status == "absent" or one.fact["pid"] != os.getpid()


FAULTS = {
    "raises": ("failed", "ValueError: no good"),
    "exits": ("failed", "SystemExit: 3"),
    "hangs": ("timeout", "no answer within 1 s"),
    "hangs_in_c": ("timeout", "no answer within 1 s"),
    "os_exits": ("crashed", "exit code 7"),
    "segfaults": ("crashed", "SIGSEGV; last words: about to fall"),
    "dies_of_fpe": ("crashed", "SIGFPE"),
    "is_killed": ("crashed", "SIGKILL"),
    "eats_memory": ("crashed", "more than 300 MiB"),
    "gives_something_else": ("failed", "it gave a str, not a Good"),
    "closes_everything": ("crashed", "exit code"),
    "writes_nonsense": ("crashed", ""),
    "speaks_for_the_room": ("crashed", ""),
    "raises_what_cannot_speak": ("failed", "Mute"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_and_the_others_answer(rooms: Rooms, name: str) -> None:
    """The probe before keeps its answer, the one after gets a new room, and the reason says what happened."""
    status, reason = FAULTS[name]

    before, fault, after = visit(rooms, "good", name, "good")

    assert ("ok", status, "ok") == (before.status, fault.status, after.status)
    assert reason in fault.reason
    assert len(fault.reason) < 8000
    assert before.fact["pid"] != after.fact["pid"]


def test_a_gigabyte_of_output_is_drained(rooms: Rooms) -> None:
    """Results travel on a pipe of their own: noise neither blocks nor reaches them."""
    (answer,) = visit(rooms, "prints_a_gigabyte")

    assert answer.status == "ok"


@pytest.mark.parametrize("name", ["leaves_a_child", "leaves_a_daemon"])
def test_children_left_behind_are_ended_and_named(rooms: Rooms, name: str, request: pytest.FixtureRequest) -> None:
    """The fact counts, the reason tells of the child, and the child is gone."""
    if name == "leaves_a_daemon" and "spawned" in request.node.name:
        pytest.skip("only a server that adopts orphans sees a process that detached itself")
    began = time.monotonic()

    (answer,) = visit(rooms, name)

    assert answer.status == "ok"
    assert "left 1 process(es) running" in answer.reason
    assert not running("987" if name == "leaves_a_child" else "986")
    assert time.monotonic() - began < 20


def running(argument: str) -> list[str]:
    found = []
    for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if f"sleep\0{argument}\0" in cmdline.read_text(errors="replace"):
                found.append(cmdline.parent.name)
        except OSError:
            continue
    return found


def test_a_poisoned_device_gets_a_new_process(rooms: Rooms) -> None:
    """What comes after a device error runs in a process that never saw it."""
    pytest.importorskip("torch")

    poisoned, clean = visit(rooms, "poisons", "needs_a_clean_device", room="trial:cpu")

    assert poisoned.status == "failed"
    assert "device-side assert" in poisoned.reason
    assert clean.status == "ok"


def test_stdin_is_closed(rooms: Rooms) -> None:
    """A probe that asks a question gets no answer, and does not wait for one."""
    (answer,) = visit(rooms, "reads_stdin")

    assert answer.fact["text"] == "''"


def test_nothing_runs_after_the_context_ends(faults: None) -> None:
    """Leaving in the middle, as Ctrl-C does, ends the room and the server."""
    with Rooms() as rooms:
        answers = rooms.visit("plain", [Job(probe=probe, given={}) for probe in probes("good", "hangs")])
        pid = next(answers).fact["pid"]
    assert not Path(f"/proc/{pid}").exists()


def test_a_server_that_is_killed_is_an_outcome(faults: None) -> None:
    """And the next room gets a new one; nothing stays behind."""
    if not sys.platform.startswith("linux"):
        pytest.skip("rooms are forked on Linux")
    with Rooms(forked=True) as rooms:
        (killed,) = visit(rooms, "kills_the_server")
        (after,) = visit(rooms, "good")

    assert (killed.status, after.status) == ("crashed", "ok")
    assert not Path(f"/proc/{after.fact['pid']}").exists()


def test_an_ignored_sigchld_does_not_matter(faults: None) -> None:
    """Some launchers leave it so, and then nobody's children can be waited for."""
    program = (
        "import signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "from ivdoctor.rooms import Rooms, Job; import faulty_probes\n"
        "for forked in (sys.platform.startswith('linux'), False):\n"
        "    with Rooms(forked=forked) as rooms:\n"
        "        print([a.status for a in rooms.visit('plain', [Job(probe=faulty_probes.good, given={})])])"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert done.stdout == "['ok']\n['ok']\n", done.stderr


@pytest.mark.parametrize("name", ["torch_raises", "torch_aborts", "torch_missing"])
def test_a_torch_that_cannot_be_imported_is_an_outcome(rooms: Rooms, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in torch really fails in the room; plain rooms still open afterwards."""
    body, status, reason = {
        "torch_raises": ("raise OSError('libcudart.so.12: cannot open shared object file')", "failed", "OSError: libcudart.so.12"),
        "torch_aborts": ("import os; os.abort()", "crashed", "SIGABRT"),
        "torch_missing": ("raise ModuleNotFoundError('No module named torch', name='torch')", "absent", "torch is not installed"),
    }[name]
    (tmp_path / "torch.py").write_text(body)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]]))

    answers = visit(rooms, "good", "good", room="torch")
    (after,) = visit(rooms, "good")

    assert [status] * 2 == [answer.status for answer in answers]
    assert all(reason in answer.reason for answer in answers)
    assert after.status == "ok"


def test_the_callers_folder_cannot_shadow_a_module(faults: None, tmp_path: Path) -> None:
    """A json.py where the user stands is not imported by the rooms."""
    (tmp_path / "json.py").write_text("raise SystemExit('shadowed')")
    program = (
        "import sys; sys.path.pop(0)\n"
        "from ivdoctor.rooms import Rooms, Job; import faulty_probes\n"
        "with Rooms() as rooms: print([a.status for a in rooms.visit('plain', [Job(probe=faulty_probes.good, given={})])])"
    )

    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.stdout == "['ok']\n", done.stderr


def test_the_room_dies_with_a_killed_parent(faults: None) -> None:
    """SIGKILL of the doctor leaves neither server nor room."""
    if not sys.platform.startswith("linux"):
        pytest.skip("needs PR_SET_PDEATHSIG")
    program = (
        "from ivdoctor.rooms import Rooms, Job; import faulty_probes, sys\n"
        "with Rooms() as rooms:\n"
        "    for a in rooms.visit('plain', [Job(probe=p, given={}) for p in (faulty_probes.good, faulty_probes.hangs)]):\n"
        "        print(a.fact['pid'], flush=True)\n"
    )
    process: subprocess.Popen[Any] = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        pid = int(process.stdout.readline())
    process.kill()
    process.wait()

    until = time.monotonic() + 5
    while Path(f"/proc/{pid}").exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists()
