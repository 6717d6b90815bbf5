"""Event loops that were made before the run that uses them: those of a pytest test's fixtures.

The run is a fork of the process that made them, or the same process later on. What such a loop was to run it goes on
to run: callbacks, timers, tasks that wait. What it asks the system with would be shared with the process that it was
forked from, and is made anew.

Not here: what a controlled loop has to run (``_loop_model``), loops that the run makes (``_event_loops``), the threads
of their executors (``_earlier_threads``).
"""

from __future__ import annotations

import math
import selectors
import time
from typing import TYPE_CHECKING, Any

from . import _core, _threads

if TYPE_CHECKING:
    from ._loop_model import LoopModel  # It imports asyncio, which is the program's to do.

_taken_over: list[Any] = []
_began = 0.0


def note_beginning() -> None:
    """Note when the explored region begins, by the system's clock: to the timers of loops it stands still there."""
    global _began
    _began = time.monotonic()


def take_over(loop: Any, model: LoopModel, now: float) -> None:
    """Let the model have what an earlier loop was to run; ``now`` is what its clock shows from here on."""
    _taken_over.append(loop)
    with _threads.quietly:
        _renew_selector(loop)
    ready, scheduled = list(loop._ready), sorted(loop._scheduled)
    loop._ready.clear()
    loop._scheduled.clear()
    for handle in ready:
        if not handle.cancelled():
            model.admit(handle)
    for timer in scheduled:
        if not timer.cancelled():
            # Rounded, because the time that the program has taken so far varies.
            left = timer.when() - _began
            delay = math.ceil(left) if left >= model.short else 0
            timer._when = now + delay
            model.admit_timer(timer, delay)


def _renew_selector(loop: Any) -> None:
    """Give the loop a selector of this process: what is done to one is seen by all processes that have it."""
    own = getattr(loop, "_ssock", None)
    if own is None:
        return
    if loop._selector.get_map().keys() - {own.fileno()}:
        end_unfollowed()
    loop._selector = selectors.DefaultSelector()
    loop._add_reader(own.fileno(), loop._read_from_self)


def end_unfollowed() -> None:
    """End a run whose loop is to wait for a descriptor: without its news, tasks would seem to wait for ever."""
    _core.end_unfollowed(
        "an event loop that waits for its tasks, for servers, and for what this run has connected",
        "it waits for another descriptor, too",
    )
    message = "a controlled event loop cannot wait for this descriptor: nobody knows when it is ready"
    raise RuntimeError(message)


def end_threads() -> None:
    """Have threads end that wait for earlier loops to end, as those of executors do.

    That is what the fixtures would see to after the run, as ``asyncio.Runner`` does it.
    """
    if not _threads.have_started():
        return
    for loop in _taken_over:
        if not loop.is_closed():
            loop.run_until_complete(_end(loop))


async def _end(loop: Any) -> None:
    from asyncio import tasks  # It is there if there are loops; others do not pay for it.

    left: list[Any] = [task for task in tasks.all_tasks(loop) if task is not tasks.current_task(loop)]
    # A set of them has another order in each interpreter.
    left.sort(key=lambda task: (len(task.get_name()), task.get_name()))
    for task in left:
        task.cancel()
    await tasks.gather(*left, return_exceptions=True)
    await loop.shutdown_default_executor()
