"""Threads that were started before the run, which is a fork of the process that has them: they do not exist in it.

Executors can do without, since they start threads when they need them. A test whose fixtures have started any others
would wait in vain for what these do.
"""

from __future__ import annotations

import gc
import queue
import sys
import threading
import time
from collections.abc import Iterator, Set
from typing import Any

_GRACE = 1.0
"""How many seconds the thread of an executor has to become idle, after the future of its job is done."""


def started_since(before: Set[threading.Thread]) -> list[str]:
    """The names of the threads that were started since there were these, but not of executors with nothing to do."""
    until = time.monotonic() + _GRACE
    while (pools := list(_pools())) and not all(map(_is_idle, pools)) and time.monotonic() < until:
        time.sleep(0.01)
    idle = {thread for pool in pools if _is_idle(pool) for thread in pool._threads}
    others = set(threading.enumerate()) - idle - before
    return sorted(thread.name for thread in others if not thread.name.startswith("pytest_timeout "))


def _is_idle(pool: Any) -> bool:
    return bool(pool._idle_semaphore._value >= len(pool._threads))


def renew_executors() -> None:
    """Let executors start threads anew when they need them."""
    for pool in _pools():
        pool._threads = set()
        pool._idle_semaphore = threading.Semaphore(0)
        pool._work_queue = queue.SimpleQueue()


def _pools() -> Iterator[Any]:
    """The executors that have threads."""
    module: Any = sys.modules.get("concurrent.futures.thread")
    # From 3.14 on a forked process does not know any more that there were threads.
    if module is None or (sys.version_info < (3, 14) and not module._threads_queues):
        return
    for candidate in gc.get_objects():
        # Asking `isinstance` may run code of the program.
        if module.ThreadPoolExecutor in type(candidate).__mro__ and candidate._threads:
            yield candidate
