"""CPython's own tests have the same results under `frontrun record` as without it.

Those of threads and queues run as they are, those of what suspends with the standard library in scope, too.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

# `TestForkInThread` differs, too: a forked process answers over a pipe there, so the run ends as diverged.
DIFFERENT = {
    # The exception of a raw thread is said to come from frontrun's function around its own.
    "test.test_thread.ThreadRunningTests.test_unraisable_exception",
    # A task that a callback makes can come to its end before the loop stops, while a real loop calls what is ready
    # first come, first served.
    "test.test_asyncgen.AsyncGenAsyncioTest.test_async_gen_asyncio_shutdown_exception_02",
    # Sleeping is no order: a thread that looks again and again with a sleep between may give up before the one that it
    # waits for, which sleeps too, has gone on, and 50 ms may end after 500 ms.
    "test.test_threading.CRLockTests.test_recursion_count",
    "test.test_threading.PyRLockTests.test_recursion_count",
    "test.test_threading.BarrierTests.test_reset",
    "test.test_concurrent_futures.test_wait.ThreadPoolWaitTests.test_timeout",
    "test.test_concurrent_futures.test_shutdown.ThreadPoolShutdownTest.test_cancel_futures",
    # Sleeping is no proof, either, that the others have come to wait before the event is set and cleared at once.
    "test.test_threading.EventTests.test_set_and_clear",
    # How many threads there are, and that one has ended, says the system, which takes real time for it.
    "test.test_threading.CRLockTests.test_different_thread",
    "test.test_threading.PyRLockTests.test_different_thread",
    "test.test_threading.ConditionAsRLockTests.test_different_thread",
    "test.test_threading.ThreadTests.test_repr_stopped",
    # What a forked process does takes real time, of which none passes while a thread sleeps between two looks.
    "test.test_threading.ThreadTests.test_is_alive_after_fork",
    # A thread that has given up in a test before tells so in the middle of this one's line.
    "test.test_threading.ThreadTests.test_various_ops",
    # The test makes a future done by writing to its private state.
    "test.test_concurrent_futures.test_future.FutureTests.test_exception_with_success",
}

# The others start processes, whose answers are awaited for three seconds of real time, or are about the end of the
# interpreter.
THREADING = ["Lock", "Condition", "Event", "Semaphore", "Barrier", "Timer"]
THREADING += [
    f"ThreadTests.test_{name}"
    for name in ("various_ops", "foreign", "enumerate", "ident", "daemon", "is_alive", "repr", "args", "name", "limbo")
]
# `test_thread_pool` makes pools of processes, too. Some distributions of CPython come without these tests.
FUTURES = [
    f"test.test_concurrent_futures.test_{name}" for name in ("future", "wait", "as_completed", "init", "shutdown")
]

# Threads with handles, from `_thread.start_joinable_thread` of 3.13, are no part of this.
RAW = ["LockTests", "BarrierTest", "test__count", "stack_size", "test_save_exception_state", "test_starting_threads"]
# The others push ten thousand items from fifty threads to fifty others, which takes minutes.
QUEUES = ["basic", "nowait", "negative", "queue_join", "queue_task_done", "shrinking", "failing", "order", "references"]

EVERYTHING = [
    "asyncgen",
    "collections",
    "contextlib",
    "contextlib_async",
    "coroutines",
    "dataclasses",
    "descr",
    "enum",
    "functools",
    "generators",
    "patma",
    "typing",
]

RESULT = re.compile(
    r"^\w+ \(([\w.]+)\)(?:\n[^\n]*?)? ?\.\.\. ?(?:[^\n]*?)(ok|FAIL|ERROR|skipped|expected failure)\b", re.MULTILINE
)


def results(text: str) -> dict[str, str]:
    return {name: result for name, result in RESULT.findall(text) if name not in DIFFERENT}


@pytest.mark.parametrize(
    "words",
    [
        ["test.test_threading_local"],
        ["test.test_sched"],
        ["test.test_queue", *(word for name in QUEUES for word in ("-k", f"test_{name}"))],
        ["test.test_thread", *(word for name in RAW for word in ("-k", name))],
        ["test.test_threading", *(word for name in THREADING for word in ("-k", name))],
        *([[*FUTURES, "-k", "ThreadPool", "-k", "FutureTests"]] if find_spec("test.test_concurrent_futures") else []),
    ],
    ids=lambda words: words[0],
)
def test_results_are_the_same(words: list[str], frontrun: Callable[..., Any], tmp_path: Path) -> None:
    compare(frontrun, tmp_path, words)


@pytest.mark.parametrize("name", EVERYTHING)
def test_results_are_the_same_with_everything_in_scope(name: str, frontrun: Callable[..., Any], tmp_path: Path) -> None:
    compare(frontrun, tmp_path, [f"test.test_{name}"], "--scope", "all")


def compare(frontrun: Callable[..., Any], tmp_path: Path, words: list[str], *options: str) -> None:
    plain = subprocess.run(
        [sys.executable, "-m", "unittest", "-v", *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    recorded = frontrun("record", *options, "-o", "t.frz", "-m", "unittest", "-v", *words, timeout=300)
    # Whatever comes of the last test, the run of the tests has come to its end.
    ran = re.compile(r"^Ran \d+ tests?", re.MULTILINE)
    assert ran.findall(recorded.stderr) == ran.findall(plain.stderr) != [], recorded.stderr[-3000:]
    expected = results(plain.stderr)
    assert len(expected) >= 10
    assert results(recorded.stderr) == expected
