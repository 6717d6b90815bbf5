"""Spurious wake-ups: a wait on a condition that returns although nobody has notified it.

Model: a waiter that wakes up by itself is as if it had never been among the waiters. Whoever would have notified it
before would have woken it; whom the others notify does not hang on one that leaves the queue unnotified. So such a wait
gives the condition's lock back and takes it again, and there are two executions of a wait to explore, one with and one
without. Which of them it is, a race decides that nobody else sees: of the waiter, who looks whether it is to wake up,
and a thread that says so, and that has ended before the wait begins. The looks come first unless the schedule says
otherwise, so nobody wakes up by itself in an execution that is recorded.

Invariants:

* Every execution without spurious wake-ups is one with them, too. So what deadlocks without them still does.
* A thread wakes up by itself once in an execution. A loop that waits again has an end, then.
* Waits of code out of scope are left alone: the standard library is taken to be right about them.

Not here: waits that are notified, or give up (``_primitives``).
"""

from __future__ import annotations

import _thread
from typing import Any

from . import _core, _threads
from ._threads import quietly

_start_new_thread = _thread.start_new_thread
_allowed = False
# Who has woken up by itself in this run, by number.
_woken: set[int] = set()
# Held for the whole run, like all objects that its events name.
_choices: list[SpuriousWakeUp] = []


class SpuriousWakeUp:
    """That a wait ends by itself: a flag that is set or not, and what such a wait waits for instead."""


def allow(wanted: bool) -> None:
    """Say whether waits of the runs of this process may end by themselves."""
    global _allowed
    _allowed = wanted


def forget() -> None:
    """Begin a run, in which nobody has woken up yet."""
    _woken.clear()
    _choices.clear()


def chosen(timeout: float | None) -> SpuriousWakeUp | None:
    """Whether the wait that the calling thread is about to begin ends by itself: then by this."""
    me = _core.current()
    waits = timeout is None or timeout > 0
    if not (_allowed and waits) or me is None or me in _woken or not _core.is_in_scope():
        return None
    choice = SpuriousWakeUp()
    _choices.append(choice)
    chooser = _core.spawn("spurious wake-up", *_threads.caller())
    with quietly:
        _start_new_thread(_threads.run_raw, (chooser, _choose, (choice,), {}))
    _core.await_arrival(chooser)
    wakes = _core.primitive("event_is_set", choice, 0)
    _core.join(chooser, None)
    if not wakes:
        return None
    _woken.add(me)
    return choice


def _choose(choice: Any) -> None:
    _core.primitive("event_set", choice, 0)


def wait(choice: SpuriousWakeUp, condition: Any, lock: Any | None) -> None:
    """Give the lock of a condition back, and take it again; ``lock`` is that lock where the gate knows its state."""
    if lock is None:
        condition._acquire_restore(condition._release_save())
        return
    _core.primitive("condition_wait", choice, 0, lock=lock)
    with quietly:
        saved = condition._release_save()
    _core.primitive("condition_wake", choice, 0, lock=lock, timeout=0.0)
    with quietly:
        condition._acquire_restore(saved)
