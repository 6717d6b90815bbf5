"""Threads of the calling process under a schedule: what it means, how it ends, and that nothing of it stays."""

from __future__ import annotations

import queue
import sys
import threading
import time
from typing import Any

import pytest
from frontrun.bytecode import (
    DeadlockError,
    controlled_interleaving,
    explore_interleavings,
    run_with_schedule,
    schedule_of,
    schedule_strategy,
)
from frontrun.dpor import explore_dpor
from hypothesis import given, settings


class Counter:
    def __init__(self) -> None:
        self.value = 0

    def increment(self) -> None:
        temp = self.value
        self.value = temp + 1


def bump(counter: Counter) -> None:
    before = counter.value
    counter.value = before + 1


@pytest.mark.parametrize(
    ("schedule", "value"), [([0, 0, 1, 1], 2), ([0, 1, 0, 1], 1), ([0, 1, 1, 0], 1), ([1, 1, 0, 0], 2), ([], 2)]
)
def test_each_number_is_one_visible_step(schedule: list[int], value: int) -> None:
    assert run_with_schedule(schedule, Counter, [bump, bump]).value == value


def test_the_callers_own_objects_are_worked_on() -> None:
    counter = Counter()
    order: list[str] = []

    def note(name: str, times: int = 1) -> None:
        for _ in range(times):
            order.append(name)
        bump(counter)

    with controlled_interleaving([1, 0], num_threads=2) as runner:
        runner.run([note, note], args=[("a",), ("b",)], kwargs=[{}, {"times": 2}])
    assert sorted(order) == ["a", "b", "b"]
    assert counter.value == 2


def test_a_number_whose_thread_cannot_go_on_is_passed_over() -> None:
    class State:
        def __init__(self) -> None:
            self.lock = threading.Lock()
            self.log: list[int] = []

    def hold(state: State) -> None:
        with state.lock:
            state.log.append(0)
            state.log.append(0)

    def follow(state: State) -> None:
        with state.lock:
            state.log.append(1)

    # The first thread takes the lock, so that nothing but its own steps can follow.
    assert run_with_schedule([0, 0, 1, 1, 1, 1, 0, 1], State, [hold, follow]).log == [0, 0, 1]
    assert run_with_schedule([1, 1, 1, 1, 0], State, [hold, follow]).log == [1, 0, 0]


def test_a_counterexample_can_be_run_here() -> None:
    result = explore_interleavings(Counter, [lambda c: c.increment()] * 2, lambda c: c.value == 2, seed=3)
    assert result.counterexample is not None
    schedule = schedule_of(result.counterexample)
    assert run_with_schedule(schedule, Counter, [lambda c: c.increment()] * 2).value == 1
    found = explore_dpor(Counter, [bump, bump], lambda c: c.value == 2)
    assert run_with_schedule(schedule_of(found.trace or ""), Counter, [bump, bump]).value == 1


def everything() -> tuple[Any, ...]:
    names = ("start", "join", "is_alive", "_bootstrap_inner")
    primitives = [vars(cls)[name] for cls in (threading.Event, threading.Condition) for name in ("wait",)]
    return (*(vars(threading.Thread)[name] for name in names), *primitives, bump.__code__, Counter.increment.__code__)


class Locks:
    def __init__(self) -> None:
        self.a, self.b = threading.Lock(), threading.Lock()


def ab(locks: Locks) -> None:
    with locks.a, locks.b:
        pass


def ba(locks: Locks) -> None:
    with locks.b, locks.a:
        pass


def test_nothing_stays_behind_whatever_happened() -> None:
    before, threads, profile = everything(), threading.active_count(), (sys.gettrace(), sys.getprofile())

    def fail(counter: Counter) -> None:
        raise KeyError(counter.value)

    run_with_schedule([0, 1, 0, 1], Counter, [bump, bump])
    with pytest.raises(KeyError):
        run_with_schedule([0, 1], Counter, [bump, fail])
    with pytest.raises(DeadlockError, match="none can go on"):
        run_with_schedule([0, 0, 1, 1] * 3, Locks, [ab, ba])
    assert everything() == before
    assert (sys.gettrace(), sys.getprofile()) == profile
    assert threading.active_count() == threads
    start = time.monotonic()
    queue.Queue().put(1)
    assert time.monotonic() - start < 60


def test_runs_after_one_that_was_broken_off_are_right() -> None:
    for _ in range(20):
        with pytest.raises(DeadlockError):
            run_with_schedule([0, 0, 1, 1] * 3, Locks, [ab, ba])
        assert run_with_schedule([0, 1, 0, 1], Counter, [bump, bump]).value == 1
    assert explore_dpor(Counter, [bump, bump], lambda c: True).num_explored == 4


def test_a_deadlock_says_who_waits_and_time_limits_hold() -> None:
    def wait_for_nobody(state: Any) -> None:
        state.wait()

    with pytest.raises(DeadlockError, match="wait_for_nobody"):
        run_with_schedule([], threading.Event, [wait_for_nobody])

    def spin(counter: Counter) -> None:
        while counter.value >= 0:
            counter.value += 1

    start = time.monotonic()
    with pytest.raises(TimeoutError, match=r"0\.2 s"):
        run_with_schedule([], Counter, [spin], timeout=0.2)
    assert time.monotonic() - start < 5
    assert run_with_schedule([1, 1], Counter, [bump, bump]).value == 2


def test_a_time_limit_may_pass_at_any_moment() -> None:
    for nth in range(30):
        try:
            counter = run_with_schedule([0, 1, 0, 1], Counter, [bump, bump], timeout=nth / 10_000)
        except TimeoutError:
            continue
        assert counter.value == 1
    assert run_with_schedule([0, 1, 0, 1], Counter, [bump, bump]).value == 1


def test_library_code_that_waits_is_ended_too() -> None:
    def get(box: queue.Queue[int]) -> None:
        box.get()

    before = threading.active_count()
    with pytest.raises(DeadlockError):
        run_with_schedule([0, 1], queue.Queue, [get, get])
    assert threading.active_count() == before


def test_functions_made_under_control_work_afterwards() -> None:
    class Holder:
        function: Any = None
        value = 0

    def make(holder: Holder) -> None:
        def add() -> int:
            holder.value += 1
            return holder.value

        holder.function = add

    holder = run_with_schedule([0], Holder, [make])
    assert holder.function() == 1

    def use(holder: Holder) -> None:
        holder.function()

    assert run_with_schedule([0, 1], lambda: holder, [use, use]).value == 3
    assert holder.function() == 4


def test_nested_runs_are_refused_and_another_thread_may_run_them() -> None:
    def nested(counter: Counter) -> None:
        run_with_schedule([], Counter, [bump])

    with pytest.raises(RuntimeError, match="nested"):
        run_with_schedule([], Counter, [nested])
    values: list[int] = []
    thread = threading.Thread(target=lambda: values.append(run_with_schedule([0, 1, 0, 1], Counter, [bump] * 2).value))
    thread.start()
    thread.join()
    assert values == [1]


@pytest.mark.parametrize(("schedule", "count"), [([2], 2), ([-1], 2), ([], 0)])
def test_numbers_without_a_thread_are_refused(schedule: list[int], count: int) -> None:
    with pytest.raises(ValueError, match="threads"), controlled_interleaving(schedule, count):
        pass


def test_as_many_functions_as_threads_are_needed() -> None:
    with controlled_interleaving([0], 2) as runner, pytest.raises(ValueError, match="2 functions"):
        runner.run([lambda: None])


def test_hypothesis_draws_schedules() -> None:
    seen: set[int] = set()

    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(schedule=schedule_strategy(2, max_ops=6))
    def run(schedule: list[int]) -> None:
        seen.add(run_with_schedule(schedule, Counter, [bump, bump]).value)

    run()
    assert seen == {1, 2}


def test_without_hypothesis_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(ImportError, match="pip install hypothesis"):
        schedule_strategy(2)
