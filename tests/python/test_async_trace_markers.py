"""Tasks ordered by markers, each in an event loop of its own."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from frontrun.async_trace_markers import AsyncTraceExecutor, async_frontrun
from frontrun.common import Schedule, ScheduleError, Step
from frontrun.trace_markers import TraceExecutor


def schedule(*steps: str) -> Schedule:
    return Schedule([Step(*step.split()) for step in steps])


class AsyncCounter:
    def __init__(self) -> None:
        self.value = 0

    async def get_count(self) -> int:
        await asyncio.sleep(0.001)
        return self.value

    async def set_count(self, value: int) -> None:
        await asyncio.sleep(0)
        self.value = value

    async def increment(self) -> None:
        # frontrun: read_counter
        current = await self.get_count()
        # frontrun: write_counter
        await self.set_count(current + 1)

    async def increment_inline(self, by: int = 1) -> None:
        current = await self.get_count()  # frontrun: read_counter
        await self.set_count(current + by)  # frontrun: write_counter


LOST = schedule("a read_counter", "b read_counter", "a write_counter", "b write_counter")
SERIAL = schedule("a read_counter", "a write_counter", "b read_counter", "b write_counter")


@pytest.mark.parametrize(("order", "value"), [(LOST, 1), (SERIAL, 2)])
@pytest.mark.parametrize("work", [AsyncCounter.increment, AsyncCounter.increment_inline])
def test_the_order_decides_whether_an_update_is_lost(order: Schedule, value: int, work: object) -> None:
    executor = AsyncTraceExecutor(order)
    for _ in range(3):
        counter = AsyncCounter()
        executor.run({"a": lambda c=counter: work(c), "b": lambda c=counter: work(c)})  # type: ignore[operator]
        assert counter.value == value
        assert executor.task_errors == {}
        executor.reset()


def test_the_function_passes_arguments() -> None:
    counter = AsyncCounter()
    executor = async_frontrun(
        LOST,
        {"a": AsyncCounter.increment_inline, "b": AsyncCounter.increment_inline},
        task_args={"a": (counter,), "b": (counter, 10)},
    )
    assert isinstance(executor, AsyncTraceExecutor)
    assert counter.value == 10
    counter = AsyncCounter()
    tasks = dict.fromkeys("ab", counter.increment_inline)
    async_frontrun(SERIAL, tasks, task_kwargs={"a": {"by": 3}, "b": {"by": 4}})
    assert counter.value == 7


def test_threads_and_tasks_can_be_ordered_together() -> None:
    counter = AsyncCounter()

    def reset() -> None:
        counter.value = 100  # frontrun: reset

    order = schedule("a read_counter", "t reset", "a write_counter")
    TraceExecutor(order).run({"a": counter.increment, "t": reset}, timeout=10)
    assert counter.value == 1


def test_awaits_between_two_markers_are_not_interrupted() -> None:
    log: list[str] = []

    async def work(name: str) -> None:
        for _ in range(2):
            # frontrun: turn
            log.append(f"{name} begins")
            await asyncio.gather(asyncio.sleep(0.005), asyncio.sleep(0.002))
            log.append(f"{name} ends")

    async_frontrun(
        schedule("b turn", "a turn", "a turn", "b turn"), {"a": work, "b": work}, task_args={"a": "a", "b": "b"}
    )
    assert log == [f"{name} {what}" for name in "baab" for what in ("begins", "ends")]


def test_an_exception_of_a_task() -> None:
    async def fail() -> None:
        # frontrun: read_counter
        await asyncio.sleep(0)
        raise KeyError("lost")

    begun = time.monotonic()
    executor = AsyncTraceExecutor(LOST)
    with pytest.raises(KeyError) as raised:
        executor.run({"a": fail, "b": AsyncCounter().increment})
    assert "step 3 of 4, a at marker write_counter, cannot happen: a has ended" in raised.value.__notes__[0]
    assert list(executor.task_errors) == ["a"]
    assert time.monotonic() - begun < 4


def test_steps_that_cannot_happen_are_said_at_once() -> None:
    begun = time.monotonic()
    with pytest.raises(ScheduleError, match="step 2 of 2, a at marker wirte, cannot happen: a waits at marker write"):
        async_frontrun(schedule("a read_counter", "a wirte"), {"a": AsyncCounter().increment})
    with pytest.raises(ScheduleError, match="no execution is called c"):
        async_frontrun(schedule("a read_counter", "c read_counter"), {"a": AsyncCounter().increment})
    assert time.monotonic() - begun < 4


def test_a_lock_of_threading_that_a_waiting_task_holds() -> None:
    lock, counter = threading.Lock(), AsyncCounter()

    async def increment() -> None:
        with lock:
            await counter.increment()

    begun = time.monotonic()
    with pytest.raises(ScheduleError, match=r"step 2 of 4, b at marker read_counter, cannot happen.*that a holds"):
        async_frontrun(LOST, {"a": increment, "b": increment})
    async_frontrun(SERIAL, {"a": increment, "b": increment})
    assert counter.value == 2
    assert time.monotonic() - begun < 4


def test_a_task_that_takes_too_long() -> None:
    async def work() -> None:
        # frontrun: sleep
        await asyncio.sleep(0.5)

    with pytest.raises(TimeoutError, match=r"not ended after 0.1 s: a runs"):
        async_frontrun(schedule("a sleep"), {"a": work}, timeout=0.1)
    time.sleep(0.6)
