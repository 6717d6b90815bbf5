"""Every end of a run is an outcome: none stops the exploration, and none leaves a process behind."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# The program counts in which order its two threads run; `when` is true in the second class of executions only.
TWO_THREADS = """
import ctypes, os, signal, subprocess, sys, threading, time
seen = [0]
def first():
    seen[0] = 1
def second():
    when = seen[0] == 0
    {body}
threads = [threading.Thread(target=f) for f in (first, second)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""

Explore = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def judge(explore: Explore, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Explore a program; return the report."""

    def judge(program: str, *options: object) -> dict[str, Any]:
        (tmp_path / "program.py").write_text(textwrap.dedent(program))
        return explore(*options, "program.py")[1]

    return judge


def kinds(report: dict[str, Any]) -> list[str]:
    return [failure["kind"] for failure in report["failures"]]


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        ("assert not when", "exception", "AssertionError"),
        ("if when: raise LookupError('x')", "exception", "LookupError"),
        ("if when: os._exit(3)", "exit_code", "exited with code 3 (os._exit)"),
        ("if when: os.abort()", "crash", "SIGABRT"),
        ("if when: ctypes.string_at(0)", "crash", "SIGSEGV"),
        ("if when: os.kill(os.getpid(), signal.SIGTERM)", "crash", "SIGTERM"),
        ("if when: os.kill(os.getpid(), signal.SIGKILL)", "crash", "SIGKILL"),
    ],
)
def test_a_failing_end_is_found_in_the_other_class(
    judge: Callable[..., dict[str, Any]], body: str, kind: str, message: str
) -> None:
    report = judge(TWO_THREADS.format(body=body))
    assert (report["verdict"], report["executions"], kinds(report)) == ("failed", 2, [kind])
    assert message in report["failures"][0]["message"]


@pytest.mark.parametrize(
    "body",
    [
        "if when: sys.exit(3)",
        "if when: os._exit(0)",
        "if when: subprocess.run(['true'], check=True)",
        "if when: print('x' * 3_000_000)",
    ],
)
def test_an_end_that_is_no_failure_is_none(judge: Callable[..., dict[str, Any]], body: str) -> None:
    report = judge(TWO_THREADS.format(body=body))
    assert (report["verdict"], report["executions"]) == ("exhausted", 2)


def test_exploration_goes_on_after_a_crash(judge: Callable[..., dict[str, Any]]) -> None:
    body = "if when: ctypes.string_at(0)\n    assert when, 'late'"
    report = judge(TWO_THREADS.format(body=body), "--keep-going")
    assert sorted(kinds(report)) == ["crash", "exception"]


def test_memory_that_runs_out_is_an_exception(judge: Callable[..., dict[str, Any]]) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))\n"
    report = judge(limit + TWO_THREADS.format(body="if when: bytearray(8 << 30)"))
    assert (kinds(report), report["failures"][0]["message"]) == (["exception"], "MemoryError")


def test_what_a_run_started_ends_with_it(judge: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    mark = str(os.getpid() + 1_000_000)
    report = judge(TWO_THREADS.format(body=f"if when: subprocess.Popen(['sleep', '{mark}'])"))
    assert (report["verdict"], report["executions"]) == ("exhausted", 2)
    assert not any(mark in commands(path) for path in Path("/proc").glob("[0-9]*/cmdline"))


def commands(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def test_a_forked_process_is_no_part_of_the_run(judge: Callable[..., dict[str, Any]]) -> None:
    report = judge("""
        import os, threading
        seen, lock = [], threading.Lock()
        def work():
            with lock:
                seen.append(1)
            pid = os.fork()
            if pid == 0:
                with lock:
                    for _ in range(100):
                        seen.append(2)
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        assert seen == [1, 1]
    """)
    assert report["verdict"] == "exhausted"


DAEMON = """
import threading, time
seen = [0]
def work():
    {body}
threading.Thread(target=work, daemon=True).start()
assert seen[0] < 1
"""


@pytest.mark.parametrize(
    ("body", "verdict", "executions"),
    [
        ("pass", "exhausted", 1),
        ("seen[0] = 1", "failed", 2),
        ("time.sleep(10); seen[0] = 1", "failed", 2),
        ("raise LookupError", "failed", 1),
        ("threading.Event().wait(); seen[0] = 1", "exhausted", 1),
        # It has no part in anything, so nothing is lost.
        ("\n    while True: time.sleep(1)", "exhausted", 1),
        # What it adds in later rounds is not known.
        ("\n    while seen[0] > -5: seen[0] -= 1; time.sleep(1)", "bounded", None),
    ],
)
def test_daemons_run_as_far_as_they_could_have(
    judge: Callable[..., dict[str, Any]], body: str, verdict: str, executions: int | None
) -> None:
    report = judge(DAEMON.format(body=body))
    assert report["verdict"] == verdict
    assert executions is None or report["executions"] == executions
    assert verdict != "bounded" or report["bounded_by"] == "left_behind"


def test_a_passed_run_with_a_waiting_daemon_is_no_deadlock(
    judge: Callable[..., dict[str, Any]], frontrun: Callable[..., Any]
) -> None:
    judge(DAEMON.format(body="threading.Event().wait()"), "-o", "out")
    shown = frontrun("show", "out/first.frz").stdout
    assert "passed" in shown
    assert "nobody is going to" not in shown


def test_handlers_at_exit_run_behind_the_threads(judge: Callable[..., dict[str, Any]]) -> None:
    program = """
        import atexit, threading
        event = threading.Event()
        threading.Thread(target=event.wait, daemon={daemon}).start()
        {register}(event.set)
    """
    late = program.format(daemon=False, register="atexit.register")
    assert kinds(judge(late)) == ["deadlock"], "handlers run when all threads have ended"
    early = program.format(daemon=False, register="threading._register_atexit")
    assert judge(early)["verdict"] == "exhausted"
    daemon = program.format(daemon=True, register="atexit.register")
    assert judge(daemon)["verdict"] == "exhausted"


def test_nobody_is_left(judge: Callable[..., dict[str, Any]]) -> None:
    # Servers that other tests have started are children, too.
    before = _children()
    report = judge(TWO_THREADS.format(body="if when: os.kill(os.getpid(), signal.SIGSTOP)"), "--timeout", "1")
    assert kinds(report) == ["hang"]
    assert _children() <= before


def _children() -> set[str]:
    mine = os.getpid()
    return {path.parent.name for path in Path("/proc").glob("[0-9]*/stat") if _parent(path) == mine}


def _parent(stat: Path) -> int:
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
