"""What explorations and controlled runs leave in the process that calls them: nothing."""

from __future__ import annotations

import _thread
import builtins
import contextlib
import io
import os
import queue
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from frontrun.bytecode import DeadlockError, explore_interleavings, run_with_schedule
from frontrun.common import Schedule, Step
from frontrun.dpor import InterleavingResult, explore_dpor
from frontrun.trace_markers import TraceExecutor, explore_marker_interleavings

MODULES = [_thread, builtins, io, os, queue, signal, socket, sqlite3, sys, threading, time]
CLASSES = [threading.Thread, threading.Event, threading.Condition, threading.Semaphore, threading.Barrier, queue.Queue]
CHANGING = {"last_exc", "last_value", "last_type", "last_traceback", "_", "_dangling", "_shutdown_locks", "_active"}


class Counter:
    def __init__(self) -> None:
        self.value = 0
        self.lock = threading.Lock()

    def increment(self) -> None:
        temp = self.value  # frontrun: read_value
        self.value = temp + 1  # frontrun: write_value


def both_locks(counter: Counter) -> None:
    with counter.lock, counter.lock:
        pass


def systematic() -> None:
    explore_dpor(Counter, [Counter.increment] * 2, lambda c: c.value == 2)


def at_random() -> None:
    explore_interleavings(Counter, [Counter.increment] * 2, lambda c: c.value == 2, max_attempts=5, seed=1)


def by_turns() -> None:
    run_with_schedule([0, 1, 0, 1], Counter, [Counter.increment] * 2)


def by_turns_into_a_deadlock() -> None:
    with pytest.raises(DeadlockError):
        run_with_schedule([0, 1], Counter, [both_locks] * 2)


def by_markers() -> None:
    counter = Counter()
    steps = [Step(name, marker) for marker in ("read_value", "write_value") for name in "ab"]
    executor = TraceExecutor(Schedule(steps))
    executor.run({"a": counter.increment, "b": counter.increment})


def by_all_markers() -> None:
    threads = {name: (Counter.increment, ["read_value", "write_value"]) for name in "ab"}
    explore_marker_interleavings(Counter, threads, lambda c: c.value == 2)


def children() -> set[str]:
    """The processes whose parent this one is, also those that have ended and that nobody has waited for."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
            if parent == str(os.getpid()):
                found.add(process.name)
    return found


def state() -> dict[str, Any]:
    """What a test session shares with its tests, as far as one could change it unawares."""
    found: dict[str, Any] = {
        "files": sorted(os.listdir("/proc/self/fd")),
        "threads": threading.enumerate(),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGALRM, signal.SIGCHLD)],
        "tracing": (sys.gettrace(), sys.getprofile(), threading.gettrace(), threading.getprofile()),
        "directory": os.getcwd(),
        # Servers that other tests have started are there before and after.
        "children": children(),
        "environment": dict(os.environ),
        "code": (Counter.increment.__code__, queue.Queue.put.__code__, threading.Condition.wait.__code__),
        "hash": hash(threading.main_thread()) == object.__hash__(threading.main_thread()),
    }
    if sys.version_info >= (3, 12):
        found["tools"] = [sys.monitoring.get_tool(number) for number in range(6)]
    for owner in (*MODULES, *CLASSES):
        for name, value in list(vars(owner).items()):
            if name not in CHANGING and not isinstance(value, (int, float)):
                found[f"{owner.__name__}.{name}"] = id(value)
    return found


@pytest.mark.parametrize(
    "call", [systematic, at_random, by_turns, by_turns_into_a_deadlock, by_markers, by_all_markers]
)
def test_everything_is_as_it_was(call: Callable[[], None]) -> None:
    call()
    before = state()
    call()
    after = state()
    assert {name: value for name, value in after.items() if before.get(name) != value} == {}
    assert before.keys() == after.keys()
    assert time.sleep(0) is None
    assert Counter().lock.acquire(timeout=0.01)


def explored() -> InterleavingResult:
    return explore_dpor(
        Counter, [Counter.increment] * 2, lambda c: True, observe=lambda c: c.value, stop_on_first=False
    )


def test_it_works_from_other_threads_also_at_the_same_time() -> None:
    results: list[InterleavingResult] = []
    threads = [threading.Thread(target=lambda: results.append(explored())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(result.verdict, result.outcomes) for result in results] == [("exhausted", {"1": 2, "2": 2})] * 2


def test_a_controlled_run_works_from_another_thread() -> None:
    values: list[int] = []

    def call() -> None:
        values.append(run_with_schedule([0, 1, 0, 1], Counter, [Counter.increment] * 2).value)
        values.append(run_with_schedule([0, 0, 1, 1], Counter, [Counter.increment] * 2).value)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert values == [1, 2]


@pytest.mark.parametrize("inner", [systematic, at_random, by_turns])
def test_an_exploration_within_an_execution_is_an_error_that_says_so(inner: Callable[[], None]) -> None:
    result = explore_dpor(Counter, [lambda c: inner()], lambda c: True)
    assert result.failure_kind == "exception"
    assert "cannot be nested" in result.failures[0].message
    with pytest.raises(RuntimeError, match="cannot be nested"):
        run_with_schedule([], Counter, [lambda c: inner()])


def test_a_program_that_the_command_line_explores_cannot_explore(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "from frontrun.dpor import explore_dpor\nexplore_dpor(list, [lambda s: s.append(1)] * 2, lambda s: True)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-m", "frontrun", "explore", "program.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "RuntimeError: explorations and controlled runs cannot be nested" in ended.stdout
