"""Locks and shared values of multiprocessing, by which threads of one process wait for each other."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from frontrun.dpor import InterleavingResult, explore_dpor


def state() -> Any:
    return SimpleNamespace(
        lock=multiprocessing.Lock(),
        again=multiprocessing.RLock(),
        permits=multiprocessing.Semaphore(1),
        value=multiprocessing.Value("i", 0),
        count=0,
    )


def explore(threads: list[Callable[[Any], object]], holds: Callable[[Any], object]) -> InterleavingResult:
    return explore_dpor(state, threads, holds, stop_on_first=False, reproduce_on_failure=0)


def with_a_lock(s: Any) -> None:
    with s.lock:
        s.count += 1


def with_a_lock_twice(s: Any) -> None:
    with s.again, s.again:
        s.count += 1


def with_a_permit(s: Any) -> None:
    s.permits.acquire()
    s.count += 1
    s.permits.release()


@pytest.mark.parametrize("adds", [with_a_lock, with_a_lock_twice, with_a_permit])
def test_they_keep_threads_apart(adds: Callable[[Any], None]) -> None:
    result = explore([adds, adds, adds], lambda s: s.count == 3)
    assert result.verdict == "exhausted", result.explanation


def test_a_shared_value_has_a_lock_that_has_to_be_held() -> None:
    def add(s: Any) -> None:
        s.value.value += 1

    def add_with_its_lock(s: Any) -> None:
        with s.value:
            s.value.value += 1

    assert explore([add, add], lambda s: s.value.value == 2).failure_kind == "invariant"
    assert explore([add_with_its_lock] * 2, lambda s: s.value.value == 2).verdict == "exhausted"


def test_two_that_are_taken_in_two_orders_are_a_deadlock() -> None:
    def one_way(s: Any) -> None:
        with s.lock, s.again:
            s.count += 1

    def the_other_way(s: Any) -> None:
        with s.again, s.lock:
            s.count += 1

    result = explore([one_way, the_other_way], lambda s: s.count == 2)
    assert (result.verdict, {failure.kind for failure in result.failures}) == ("failed", {"deadlock"})


def test_a_wait_that_gives_up() -> None:
    def try_for_moments(s: Any) -> None:
        if s.lock.acquire(timeout=0.1):
            s.count += 10
            s.lock.release()

    def try_at_once(s: Any) -> None:
        if s.lock.acquire(block=False):
            s.count += 10
            s.lock.release()

    for tries in (try_for_moments, try_at_once):
        result = explore_dpor(
            state, [with_a_lock, tries], lambda s: True, observe=lambda s: s.count, stop_on_first=False
        )
        assert (result.verdict, set(result.outcomes)) == ("exhausted", {"1", "11"}), result.explanation
