"""Programs in which nobody can go on: what kind of standstill it is, and what its report says."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

import pytest
from frontrun.dpor import InterleavingResult, explore_dpor


class Shared:
    """What the threads of these programs share."""

    def __init__(self) -> None:
        self.left = threading.Lock()
        self.right = threading.RLock()
        self.condition = threading.Condition()
        self.event = threading.Event()
        self.permits = threading.Semaphore(1)
        self.queue: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.flag = False


def stuck(*threads: Callable[[Shared], object]) -> InterleavingResult:
    """The exploration of threads that get stuck in some execution, up to the first such one."""
    result = explore_dpor(Shared, threads, lambda _: True)
    assert result.verdict == "failed", result
    return result


def line_of(name: str) -> int:
    """The line of this file in which an attribute of the shared state is made."""
    code = Shared.__init__.__code__
    with open(code.co_filename, encoding="utf-8") as file:
        return next(number for number, line in enumerate(file, 1) if f"self.{name}" in line and number > 1)


def left_right(shared: Shared) -> None:
    with shared.left, shared.right:
        pass


def right_left(shared: Shared) -> None:
    with shared.right, shared.left:
        pass


def waits(shared: Shared) -> None:
    with shared.condition:
        shared.condition.wait()


def waits_for_flag(shared: Shared) -> None:
    with shared.condition:
        while not shared.flag:
            shared.condition.wait()


def notifies(shared: Shared) -> None:
    with shared.condition:
        shared.condition.notify()


def notifies_then_sets(shared: Shared) -> None:
    notifies(shared)
    shared.flag = True


def sets_then_notifies(shared: Shared) -> None:
    with shared.condition:
        shared.flag = True
        shared.condition.notify()


def sets_and_clears(shared: Shared) -> None:
    shared.event.set()
    shared.event.clear()


def spins(shared: Shared) -> None:
    while not shared.flag:
        pass


def tries_for_ever(shared: Shared) -> None:
    while not shared.left.acquire(blocking=False):
        pass


def test_a_circular_wait_is_told_with_the_places_where_the_locks_were_made_and_taken() -> None:
    result = stuck(left_right, right_left)
    explanation = result.explanation or ""
    assert result.failure_kind == "deadlock"
    assert result.failures[0].message.startswith("circular wait: ")
    for name, kind in [("left", "lock"), ("right", "RLock")]:
        assert f"{kind}#1 (made at test_standstills.py:{line_of(name)}), which t0." in explanation, explanation
    assert explanation.count("in left_right") == explanation.count("in right_left") == 1, "the stack of each thread"


@pytest.mark.parametrize(
    ("threads", "missed"),
    [
        ([waits, notifies], ["t0.1 notified it when nobody waited"]),
        ([waits_for_flag, notifies_then_sets], ["t0.1 changed Shared#1.flag"]),
        ([lambda s: s.event.wait(), sets_and_clears], ["t0.1 set it", "t0.1 cleared it"]),
    ],
    ids=["notified before the wait", "changed after the look", "cleared after it was set"],
)
def test_a_lost_wake_up_is_told_with_what_came_too_early(threads: list[Any], missed: list[str]) -> None:
    result = stuck(*threads)
    explanation = result.explanation or ""
    assert result.failures[0].message.startswith("lost wake-up: "), result.failures[0].message
    for deed in missed:
        assert f"before: {deed}  test_standstills.py:" in explanation, explanation


def test_a_thread_that_waits_as_long_as_it_should_has_not_lost_its_wake_up() -> None:
    def waits_for_false(shared: Shared) -> None:
        with shared.condition:
            while shared.flag is not None:
                shared.condition.wait()

    for threads in [(waits_for_false, sets_then_notifies), (waits,), (lambda s: s.event.wait(),)]:
        assert stuck(*threads).failures[0].message.startswith("missing wake-up: ")
    assert explore_dpor(Shared, [waits_for_flag, sets_then_notifies], lambda s: s.flag).verdict == "exhausted"


def test_a_notification_that_went_to_another_waiter_is_told() -> None:
    explanation = stuck(waits_for_flag, waits_for_flag, sets_then_notifies).explanation or ""
    assert "notified it, which woke t0." in explanation, explanation


def test_who_took_the_last_permit_or_item_is_told() -> None:
    for take in (lambda s: s.permits.acquire(), lambda s: s.queue.get()):
        result = explore_dpor(Shared, [lambda s: s.queue.put(1), take, take], lambda _: True)
        assert "before: t0.1 took the last one" in (result.explanation or ""), result.explanation


def test_a_lock_whose_owner_has_ended_is_an_orphan() -> None:
    result = stuck(lambda s: s.left.acquire(), left_right)
    assert result.failure_kind == "deadlock"
    assert result.failures[0].message.startswith("orphan lock: ")
    assert "the thread that holds the lock ended without giving it back" in (result.explanation or "")


def test_a_thread_that_takes_its_own_lock_again_waits_for_itself() -> None:
    def twice(shared: Shared) -> None:
        with shared.left, shared.left:
            pass

    assert stuck(twice).failures[0].message.startswith("self-deadlock: ")


@pytest.mark.parametrize(
    "threads",
    [
        [spins],
        [spins, lambda s: setattr(s, "flag", None)],
        [lambda s: s.left.acquire(), tries_for_ever],
        [spins, lambda s: s.event.wait()],
    ],
    ids=["a flag that nobody sets", "a flag that is set to nothing", "a lock that nobody gives back", "beside a wait"],
)
def test_a_loop_that_nobody_can_end_is_a_livelock(threads: list[Any]) -> None:
    result = stuck(*threads)
    assert result.failure_kind == "livelock", result.explanation
    assert "1 thread loops for ever" in result.failures[0].message


def test_loops_beside_a_circular_wait_do_not_hide_it() -> None:
    result = explore_dpor(Shared, [left_right, right_left, spins], lambda _: True, stop_on_first=False)
    kinds = {failure.kind for failure in result.failures}
    assert kinds == {"deadlock", "livelock"}
    circular = [failure for failure in result.failures if failure.kind == "deadlock"]
    assert all(failure.message.startswith("circular wait: ") for failure in circular)


def test_a_livelock_behind_a_lock_is_one() -> None:
    def spins_with_lock(shared: Shared) -> None:
        with shared.left:
            spins(shared)

    result = explore_dpor(Shared, [spins_with_lock, left_right], lambda _: True, stop_on_first=False)
    assert {failure.kind for failure in result.failures} == {"livelock"}
