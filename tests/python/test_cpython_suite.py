"""CPython's own tests have the same results under `frontrun record` as without it.

Those of threads and queues run as they are, those of what suspends with the standard library in scope, too.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# `TestForkInThread` differs, too: a forked process answers over a pipe there, so the run ends as diverged. The
# exception of a raw thread is said to come from frontrun's function around its own. A task that a callback makes can
# come to its end before the loop stops, while a real loop calls what is ready first come, first served.
DIFFERENT = {
    "test.test_thread.ThreadRunningTests.test_unraisable_exception",
    "test.test_asyncgen.AsyncGenAsyncioTest.test_async_gen_asyncio_shutdown_exception_02",
}

# Threads with handles, from `_thread.start_joinable_thread` of 3.13, are no part of this.
RAW = ["LockTests", "BarrierTest", "test__count", "stack_size", "test_save_exception_state", "test_starting_threads"]
# The others push ten thousand items from fifty threads to fifty others, which takes minutes.
QUEUES = ["basic", "nowait", "negative", "queue_join", "queue_task_done", "shrinking", "failing", "order", "references"]

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
    ],
    ids=lambda words: words[0],
)
def test_results_are_the_same(words: list[str], frontrun: Callable[..., Any], tmp_path: Path) -> None:
    compare(frontrun, tmp_path, words)


@pytest.mark.parametrize("name", ["asyncgen", "coroutines", "contextlib_async", "descr", "collections"])
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
