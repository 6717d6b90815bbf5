"""`explore_dpor` against programs whose classes and outcomes are known by counting."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

import pytest
from frontrun.dpor import InterleavingResult, explore_dpor


class Box:
    """Shared attributes."""

    value: Any


def explore(
    setup: Callable[[], Any], threads: list[Callable[[Any], object]], holds: Callable[[Any], object], **options: Any
) -> InterleavingResult:
    return explore_dpor(setup, threads, holds, stop_on_first=False, **options)


def box(value: Any) -> Box:
    made = Box()
    made.value = value
    return made


def increment(shared: Box) -> None:
    before = shared.value
    shared.value = before + 1


def test_two_increments_have_four_classes_and_lose_an_update_in_two() -> None:
    result = explore(lambda: box(0), [increment, increment], lambda s: s.value == 2, observe=lambda s: s.value)
    assert (result.verdict, result.property_holds, result.exhausted) == ("failed", False, True)
    assert result.num_explored == 4
    assert result.outcomes == {"1": 2, "2": 2}
    assert result.failure_kind == "invariant"


def test_three_increments_have_36_classes() -> None:
    result = explore(lambda: box(0), [increment] * 3, lambda s: True, observe=lambda s: s.value)
    assert result.num_explored == 36
    assert set(result.outcomes) == {"1", "2", "3"}
    assert result.property_holds is True


@pytest.mark.parametrize("count", [2, 3, 4])
def test_writers_have_a_class_for_each_order(count: int) -> None:
    writers = [lambda s, n=n: setattr(s, "value", n) for n in range(count)]
    result = explore(lambda: box(None), writers, lambda s: True, observe=lambda s: s.value)
    assert result.num_explored == math.factorial(count)
    assert set(result.outcomes) == {str(n) for n in range(count)}


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_readers_beside_a_writer_have_two_classes_each(count: int) -> None:
    def read(shared: Box) -> None:
        str(shared.value)

    result = explore(lambda: box(0), [lambda s: setattr(s, "value", 1)] + [read] * count, lambda s: True)
    assert result.num_explored == 2**count


@pytest.mark.parametrize(("count", "classes"), [(2, 3), (3, 7), (4, 15)])
def test_philosophers_deadlock_in_one_class(count: int, classes: int) -> None:
    def eat(seat: int) -> Callable[[Any], None]:
        def philosopher(forks: Any) -> None:
            with forks[seat], forks[(seat + 1) % count]:
                pass

        return philosopher

    result = explore(
        lambda: tuple(threading.Lock() for _ in range(count)), [eat(n) for n in range(count)], lambda s: True
    )
    assert (result.num_explored, result.failure_kind, len(result.failures)) == (classes, "deadlock", 1)


def test_a_failing_trylock_reads_the_lock() -> None:
    def attempt(lock: Any) -> None:
        if lock.acquire(blocking=False):
            lock.release()

    assert explore(threading.Lock, [attempt, attempt], lambda s: True).num_explored == 4


def test_reentrant_acquisitions_are_one_step() -> None:
    def twice(lock: Any) -> None:
        with lock, lock:
            pass

    assert explore(threading.RLock, [twice, twice], lambda s: True).num_explored == 2


def test_an_exception_in_a_thread_is_a_failure() -> None:
    def fail(shared: Box) -> None:
        raise KeyError(shared.value)

    result = explore(lambda: box("gone"), [fail], lambda s: True)
    assert result.failure_kind == "exception"
    assert "gone" in result.failures[0].message


def test_threads_started_by_threads_are_controlled() -> None:
    def boss(shared: Box) -> None:
        workers = [threading.Thread(target=increment, args=(shared,)) for _ in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    result = explore(lambda: box(0), [boss], lambda s: s.value == 2, observe=lambda s: s.value)
    assert (result.num_explored, result.outcomes) == (4, {"1": 2, "2": 2})


def test_a_run_that_hangs_is_killed_and_is_no_pass() -> None:
    def spin(shared: Box) -> None:
        while True:
            pass

    result = explore(lambda: box(0), [spin], lambda s: True, timeout_per_run=0.5)
    assert result.failure_kind == "hang"
    assert result.property_holds is False


def test_a_bounded_search_never_holds() -> None:
    result = explore(lambda: box(0), [increment] * 3, lambda s: True, max_executions=5)
    assert (result.verdict, result.property_holds, result.num_explored) == ("bounded", None, 5)
    with pytest.raises(AssertionError):
        result.assert_holds()
    result.assert_holds(allow_bounded=True)


def test_the_caller_is_left_as_it_was() -> None:
    before = (threading.Thread.start, threading.Event.wait, increment.__code__)
    explore(lambda: box(0), [increment, increment], lambda s: True)
    assert (threading.Thread.start, threading.Event.wait, increment.__code__) == before
