"""Tasks under a schedule in the caller's own loop, and tasks in orders that are drawn at random."""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from frontrun.async_bytecode import (
    DeadlockError,
    await_point,
    controlled_interleaving,
    explore_interleavings,
    run_with_schedule,
    schedule_of,
    schedule_strategy,
)
from hypothesis import given, settings


class Counter:
    def __init__(self) -> None:
        self.value = 0
        self.lock = asyncio.Lock()

    async def increment(self) -> None:
        before = self.value
        await await_point()
        self.value = before + 1

    async def increment_locked(self) -> None:
        async with self.lock:
            await self.increment()


def increment(counter: Counter) -> Any:
    return counter.increment()


def run(schedule: list[int], setup: Callable[[], Any], tasks: list[Any], **options: Any) -> Any:
    return asyncio.run(run_with_schedule(schedule, setup, tasks, **options))


@pytest.mark.parametrize(
    ("schedule", "value"), [([0, 0, 1, 1], 2), ([0, 1, 0, 1], 1), ([0, 1, 1, 0], 1), ([1, 1, 0, 0], 2), ([], 2)]
)
def test_each_number_is_one_step_of_a_task(schedule: list[int], value: int) -> None:
    assert run(schedule, Counter, [increment, increment]).value == value


def tasks_that_note(log: list[str]) -> list[Any]:
    async def work(name: str) -> None:
        for nth in range(2):
            log.append(f"{name}{nth}")
            await await_point()
        log.append(f"{name}!")

    return [lambda _, name=name: work(name) for name in "abc"]


def by_hand(schedule: tuple[int, ...], log: list[str]) -> None:
    coroutines: list[Coroutine[Any, Any, None] | None] = [task(None) for task in tasks_that_note(log)]
    for nth in schedule:
        coroutine = coroutines[nth]
        assert coroutine is not None
        try:
            coroutine.send(None)
        except StopIteration:
            coroutines[nth] = None


def test_steps_are_those_of_coroutines_that_are_driven_by_hand() -> None:
    orders = sorted(set(itertools.permutations([0, 0, 0, 1, 1, 1, 2, 2, 2])))

    async def compare() -> None:
        for schedule in orders[::60]:
            log: list[str] = []
            expected: list[str] = []
            await run_with_schedule(list(schedule), lambda: None, tasks_that_note(log))
            by_hand(schedule, expected)
            assert log == expected, schedule

    asyncio.run(compare())


def test_the_callers_own_objects_are_worked_on_in_its_own_loop() -> None:
    async def main() -> None:
        loop, lock, order = asyncio.get_running_loop(), asyncio.Lock(), []

        async def note(name: str, times: int = 1) -> None:
            async with lock:
                await await_point()
                assert asyncio.get_running_loop() is loop
                order.extend(name * times)

        async with controlled_interleaving([1, 0, 0, 1], num_tasks=2) as runner:
            await runner.run([note, note], args=[("a",), ("b",)], kwargs=[{}, {"times": 2}])
        assert order == ["b", "b", "a"]
        # The lock is bound to this loop, and not to one that has gone.
        await asyncio.gather(note("c"), note("d"))
        assert order[3:] == ["c", "d"]

    asyncio.run(main())


def test_a_number_whose_task_cannot_go_on_is_passed_over() -> None:
    log: list[int] = []

    async def hold(counter: Counter) -> None:
        async with counter.lock:
            log.append(0)
            await await_point()
            log.append(0)

    async def follow(counter: Counter) -> None:
        async with counter.lock:
            log.append(1)

    run([0, 1, 1, 1, 0, 1], Counter, [hold, follow])
    assert log == [0, 0, 1]


def test_children_and_callbacks_of_a_task_go_on_at_once() -> None:
    log: list[str] = []

    async def child() -> None:
        log.append("c")
        await await_point()
        log.append("d")

    async def parent(_: object) -> None:
        await asyncio.gather(child(), child())
        log.append("p")

    async def other(_: object) -> None:
        log.append("o")

    run([0, 0, 1], lambda: None, [parent, other])
    assert (sorted(log[:4]), log[4:]) == (list("ccdd"), ["p", "o"])


def test_time_passes_when_no_task_can_go_on() -> None:
    log: list[str] = []

    async def sleep(_: object) -> None:
        await asyncio.sleep(3600)
        log.append("slept")

    async def work(_: object) -> None:
        try:
            async with asyncio.timeout(0.001):
                await await_point()
                log.append("worked")
                await asyncio.Event().wait()
        except TimeoutError:
            log.append("timed out")

    start = time.monotonic()
    run([0, 0, 0, 1, 1], lambda: None, [sleep, work])
    assert log == ["worked", "timed out", "slept"]
    assert time.monotonic() - start < 60


def test_a_counterexample_can_be_run_here() -> None:
    async def set_up() -> Counter:
        await await_point()
        return Counter()

    async def holds(counter: Counter) -> bool:
        await await_point()
        return counter.value == 2

    async def main() -> int:
        result = await explore_interleavings(set_up, [increment] * 2, holds, seed=3)
        assert result.counterexample is not None
        schedule = schedule_of(result.counterexample)
        assert sorted(schedule) == [0, 0, 1, 1]
        return int((await run_with_schedule(schedule, set_up, [increment] * 2)).value)

    assert asyncio.run(main()) == 1


def test_equal_seeds_give_equal_executions() -> None:
    results = [
        asyncio.run(explore_interleavings(Counter, [increment] * 3, lambda c: c.value == 3, 50, seed=seed))
        for seed in (5, 5)
    ]
    assert results[0].counterexample is not None
    assert results[0].num_explored == results[1].num_explored
    assert (results[0].reproduction_attempts, results[0].reproduction_successes) == (10, 10)
    assert "reproduced 10/10" in str(results[0].explanation)


def test_what_is_not_found_is_not_proved() -> None:
    def explore(tasks: list[Any]) -> Any:
        return asyncio.run(
            explore_interleavings(Counter, tasks, lambda c: c.value < 3, 20, seed=1, observe=lambda c: c.value)
        )

    locked = explore([lambda c: c.increment_locked()] * 2)
    assert (locked.verdict, locked.outcomes) == ("bounded", {"2": 20})
    assert 0 < locked.detection_bounds[2] < 1
    assert explore([increment]).verdict == "exhausted"


def test_nothing_stays_behind_whatever_happened() -> None:
    def everything() -> tuple[Any, ...]:
        loop: Any = asyncio.get_running_loop()
        return (
            *(getattr(type(loop), name) for name in ("call_soon", "call_at", "time", "run_forever", "stop")),
            *(loop._thread_id, loop._default_executor, asyncio.current_task(), asyncio.Handle.cancel),
            *(Counter.increment.__code__, asyncio.Lock.acquire.__code__, sys.get_asyncgen_hooks()),
            *(set(vars(loop)), asyncio.all_tasks()),
        )

    async def fail(counter: Counter) -> None:
        await await_point()
        raise KeyError(counter.value)

    async def main() -> None:
        before = everything()
        await run_with_schedule([0, 1, 0, 1], Counter, [increment] * 2)
        assert everything() == before
        with pytest.raises(KeyError):
            await run_with_schedule([0, 1], Counter, [increment, fail])
        with pytest.raises(DeadlockError, match=r"none can go on(.|\n)*Worker-1"):
            await run_with_schedule([0, 1], asyncio.Event, [lambda event: event.wait()] * 2)
        assert everything() == before
        assert (await run_with_schedule([0, 1, 0, 1], Counter, [increment] * 2)).value == 1
        await asyncio.sleep(0.01)

    asyncio.run(main())


def test_other_tasks_of_the_loop_wait_and_then_go_on() -> None:
    async def main() -> None:
        log: list[str] = []
        event, late = asyncio.Event(), asyncio.Event()

        async def wait() -> None:
            await event.wait()
            log.append("woken")
            await asyncio.sleep(0.01)
            log.append("later")

        async def poll() -> None:
            log.append("polled")

        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)
        polling = asyncio.create_task(poll())

        async def wake(_: object) -> None:
            event.set()
            asyncio.get_running_loop().call_later(0.01, late.set)
            log.append("wakes")

        await run_with_schedule([0], lambda: None, [wake])
        assert log[0] == "wakes"
        assert "polled" not in log
        await asyncio.wait_for(asyncio.gather(waiting, polling, late.wait()), 60)
        assert sorted(log) == ["later", "polled", "wakes", "woken"]

    asyncio.run(main())


@pytest.mark.parametrize("visible", [True, False])
def test_time_limits_hold(visible: bool) -> None:
    async def count(counter: Counter) -> None:
        while True:
            counter.value += 1

    async def spin(_: Counter) -> None:
        while True:
            pass

    async def main() -> None:
        start = time.monotonic()
        with pytest.raises(TimeoutError, match=r"0\.2 s"):
            await run_with_schedule([], Counter, [count if visible else spin, increment], timeout=0.2)
        assert time.monotonic() - start < 30
        assert (await run_with_schedule([0, 1], Counter, [increment] * 2)).value == 1

    asyncio.run(main())


def test_threads_of_a_run_end_with_it() -> None:
    def add(counter: Counter) -> int:
        counter.value += 1
        return counter.value

    async def in_thread(counter: Counter) -> None:
        await asyncio.to_thread(add, counter)

    async def main() -> None:
        for _ in range(2):
            counter = await run_with_schedule([0, 1], Counter, [in_thread] * 2)
            assert counter.value == 2
            assert await asyncio.wait_for(asyncio.to_thread(add, counter), 60) == 3

    asyncio.run(main())


def test_nested_runs_are_refused() -> None:
    async def nested(_: Counter) -> None:
        await run_with_schedule([], Counter, [increment])

    with pytest.raises(RuntimeError, match="nested"):
        run([], Counter, [nested])


@pytest.mark.parametrize(("schedule", "count"), [([2], 2), ([-1], 2), ([], 0)])
def test_numbers_without_a_task_are_refused(schedule: list[int], count: int) -> None:
    with pytest.raises(ValueError, match="tasks"):
        run(schedule, Counter, [increment] * count)


def test_as_many_functions_as_tasks_are_needed() -> None:
    async def main() -> None:
        async with controlled_interleaving([0], 2) as runner:
            with pytest.raises(ValueError, match="2 coroutine functions"):
                await runner.run([increment])

    asyncio.run(main())


def test_hypothesis_draws_schedules() -> None:
    seen: set[int] = set()

    @settings(max_examples=20, deadline=None, derandomize=True)
    @given(schedule=schedule_strategy(2, max_ops=6))
    def draw(schedule: list[int]) -> None:
        seen.add(run(schedule, Counter, [increment] * 2).value)

    draw()
    assert seen == {1, 2}
