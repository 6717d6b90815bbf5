"""Futures of `concurrent.futures`: every outcome that they can have, and no more executions than they need."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, InvalidStateError, ThreadPoolExecutor, wait
from typing import Any

import pytest
from frontrun.dpor import InterleavingResult, explore_dpor


class State:
    """A future, one more, and what the threads saw."""

    def __init__(self) -> None:
        self.future: Future[int] = Future()
        self.other: Future[int] = Future()
        self.seen: list[object] = []


Worker = Callable[[State], object]


def explore(workers: list[Worker], holds: Callable[[State], object] = lambda _: True) -> InterleavingResult:
    return explore_dpor(State, workers, holds)


def outcomes_are(workers: list[Worker], expected: list[list[object]]) -> int:
    """Check that exactly these outcomes are possible; return how many executions show it."""
    for outcome in expected:
        result = explore(workers, lambda state, outcome=outcome: state.seen != outcome)
        assert result.failure_kind == "invariant", (outcome, result.explanation)
    result = explore(workers, lambda state: state.seen in expected)
    assert result.verdict == "exhausted", result.explanation
    return result.num_explored


def give_one(state: State) -> None:
    state.future.set_result(1)


def ask(state: State) -> None:
    try:
        state.seen.append(state.future.result())
    except CancelledError:
        state.seen.append("cancelled")


def work(state: State) -> None:
    if state.future.set_running_or_notify_cancel():
        state.future.set_result(1)


def cancel(state: State) -> None:
    state.future.cancel()


def test_whoever_asks_for_a_result_has_it_in_one_execution() -> None:
    assert outcomes_are([ask, work], [[1]]) == 1
    assert outcomes_are([work, ask], [[1]]) == 1


def test_an_exception_is_the_result_too() -> None:
    def fail(state: State) -> None:
        state.future.set_exception(KeyError("k"))

    def see(state: State) -> None:
        state.seen.append(type(state.future.exception()).__name__)

    assert outcomes_are([see, fail], [["KeyError"]]) == 1


def test_a_future_is_cancelled_only_before_it_runs() -> None:
    # Before it runs, while it does, when it has; and while it is being completed, when the lock has to be waited for.
    assert outcomes_are([ask, work, cancel], [[1], ["cancelled"]]) == 4


def test_whether_it_can_still_be_cancelled() -> None:
    def try_to_cancel(state: State) -> None:
        state.seen.append(state.future.cancel())

    outcomes_are([work, try_to_cancel], [[True], [False]])


def test_only_one_result_counts() -> None:
    def give(value: int) -> Worker:
        def giver(state: State) -> None:
            try:
                state.future.set_result(value)
            except InvalidStateError:
                state.seen.append(value)

        return giver

    def holds(state: State) -> bool:
        return [state.future.result()] != state.seen

    result = explore([give(1), give(2)], holds)
    assert (result.verdict, result.num_explored) == ("exhausted", 2), result.explanation
    outcomes_are([give(1), give(2)], [[1], [2]])


def test_a_result_is_there_before_the_callbacks_have_run() -> None:
    def with_callback(state: State) -> None:
        state.future.add_done_callback(lambda _: state.seen.append("called"))
        state.future.set_result(1)

    outcomes_are([ask, with_callback], [[1, "called"], ["called", 1]])


def test_a_late_callback_runs_in_the_thread_that_adds_it() -> None:
    def add(state: State) -> None:
        state.future.add_done_callback(lambda _: state.seen.append("called"))
        state.seen.append("added")

    outcomes_are([add, give_one], [["called", "added"], ["added", "called"]])


def test_waiting_for_the_first_of_two() -> None:
    def wait_for_first(state: State) -> None:
        done = wait([state.future, state.other], return_when=FIRST_COMPLETED).done
        state.seen.append(sorted(future.result() for future in done))

    def give_two(state: State) -> None:
        state.other.set_result(2)

    outcomes_are([wait_for_first, give_one, give_two], [[[1]], [[2]], [[1, 2]]])


def test_time_runs_out_where_nobody_gives_a_result() -> None:
    def ask_for_an_hour(state: State) -> None:
        try:
            state.future.result(timeout=3600)
        except TimeoutError:
            state.seen.append("too late")

    def do_something_else(state: State) -> None:
        state.other.set_result(2)

    assert outcomes_are([ask_for_an_hour, do_something_else], [["too late"]]) == 1
    outcomes_are([ask_for_an_hour, give_one], [[]])


def test_a_short_time_can_be_too_short_or_long_enough() -> None:
    def ask_for_a_moment(state: State) -> None:
        try:
            state.seen.append(state.future.result(timeout=0))
        except TimeoutError:
            state.seen.append("too late")

    assert outcomes_are([ask_for_a_moment, give_one], [["too late"], [1]]) == 2


def test_a_result_that_nobody_gives_is_a_deadlock() -> None:
    result = explore([ask, lambda state: state.other.set_result(2)])
    assert result.failure_kind == "deadlock"
    assert "waits for Future#1" in str(result.explanation), result.explanation


def test_a_job_that_waits_for_another_one_of_a_full_pool_is_a_deadlock() -> None:
    def outer(pool: ThreadPoolExecutor) -> int:
        return pool.submit(int).result()

    def use_pool(_: State) -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(outer, pool)

    result = explore_dpor(State, [use_pool, lambda _: None], lambda _: True)
    assert result.failure_kind == "deadlock", result.explanation


@pytest.mark.parametrize(("jobs", "most"), [(1, 1), (2, 31)], ids=["one job", "two jobs"])
def test_jobs_of_an_executor_need_few_executions(jobs: int, most: int) -> None:
    def use_pool(state: State) -> None:
        with ThreadPoolExecutor(2) as pool:
            state.seen += pool.map(abs, range(jobs))

    result = explore_dpor(State, [use_pool], lambda state: state.seen == list(range(jobs)))
    assert result.verdict == "exhausted", result.explanation
    assert result.num_explored <= most


def test_signatures_are_those_of_the_standard_library() -> None:
    from frontrun import _futures

    for name, model in _futures._MODELS.items():
        expected: Any = inspect.signature(_futures._originals[name])
        assert list(inspect.signature(model).parameters) == list(expected.parameters)
