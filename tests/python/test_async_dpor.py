"""Systematic exploration of asyncio tasks: as many executions as brute force finds classes, and the same outcomes."""

from __future__ import annotations

import asyncio
from typing import Any

import frontrun
import pytest
from every_order import explore_every_order
from frontrun.async_dpor import explore_async_dpor


class State:
    """What the tasks share: attributes, and one of each primitive."""

    def __init__(self) -> None:
        self.x = 0
        self.y = 0
        self.log = ""
        self.lock = asyncio.Lock()
        self.other = asyncio.Lock()
        self.event = asyncio.Event()
        self.queue: asyncio.Queue[str] = asyncio.Queue()
        self.small: asyncio.Queue[str] = asyncio.Queue(1)
        self.semaphore = asyncio.Semaphore(1)
        self.condition = asyncio.Condition()
        self.task: Any = None

    def note(self, text: str) -> None:
        self.log += text


async def pause() -> None:
    await asyncio.sleep(0)


async def increment(state: State) -> None:
    before = state.x
    await pause()
    state.x = before + 1


async def increment_at_once(state: State) -> None:
    await pause()
    state.x += 1


async def increment_locked(state: State) -> None:
    async with state.lock:
        before = state.x
        await pause()
        state.x = before + 1


async def increment_with_permit(state: State) -> None:
    async with state.semaphore:
        before = state.x
        await pause()
        state.x = before + 1


async def set_x(state: State) -> None:
    await pause()
    state.x = 1


async def set_y(state: State) -> None:
    await pause()
    state.y = 1


async def x_then_y(state: State) -> None:
    state.x = 1
    await pause()
    state.y = 1


async def y_then_x(state: State) -> None:
    seen = state.y
    await pause()
    state.note(f"{seen}{state.x}")


async def y_if_x(state: State) -> None:
    await pause()
    if state.x:
        state.note(f"y={state.y}")


async def y_unless_x(state: State) -> None:
    await pause()
    state.note("-" if state.x else str(state.y))


async def private(state: State) -> None:
    mine = 0
    for nth in range(2):
        await pause()
        mine += nth
    assert mine == 1


async def forward(state: State) -> None:
    async with state.lock:
        await pause()
        async with state.other:
            state.note("f")


async def backward(state: State) -> None:
    async with state.other:
        await pause()
        async with state.lock:
            state.note("b")


async def wait_event(state: State) -> None:
    await state.event.wait()
    state.note(f"w{state.x}")


async def set_event(state: State) -> None:
    state.x = 1
    state.event.set()
    await pause()
    state.x = 2


async def clear_event(state: State) -> None:
    await pause()
    state.event.clear()


async def put(state: State) -> None:
    await state.queue.put("p")
    await pause()
    await state.queue.put("q")


async def put_one(state: State) -> None:
    await state.queue.put("o")


async def get(state: State) -> None:
    state.note(await state.queue.get())


async def get_twice(state: State) -> None:
    state.note(await state.queue.get())
    state.note(await state.queue.get())


async def get_if_any(state: State) -> None:
    await pause()
    state.note("e" if state.queue.empty() else state.queue.get_nowait())


async def put_small(state: State) -> None:
    await state.small.put("a")
    await state.small.put("b")


async def get_small(state: State) -> None:
    state.note(await state.small.get())
    state.note(await state.small.get())


async def await_condition(state: State) -> None:
    async with state.condition:
        await state.condition.wait_for(lambda: state.x)
        state.note("c")


async def wait_condition(state: State) -> None:
    async with state.condition:
        await state.condition.wait()


async def notify(state: State) -> None:
    async with state.condition:
        state.x = 1
        state.condition.notify_all()


async def children(state: State) -> None:
    one = asyncio.create_task(increment(state))
    other = asyncio.create_task(increment(state))
    await one
    await other
    state.note(str(state.x))


async def gathered(state: State) -> None:
    await asyncio.gather(set_x(state), set_y(state))
    state.note(f"{state.x}{state.y}")


async def in_group(state: State) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(set_x(state))
        group.create_task(set_y(state))
    state.note(f"{state.x}{state.y}")


async def victim(state: State) -> None:
    state.task = asyncio.current_task()
    try:
        await pause()
        state.x = 1
        await pause()
        state.y = 1
    except asyncio.CancelledError:
        state.note("cancelled")


async def cancels_parent(state: State) -> None:
    """Who cancels a task cancels the child that it waits for just then."""
    parent = asyncio.create_task(parent_of_two(state))
    asyncio.get_running_loop().call_soon(parent.cancel)
    await asyncio.wait([parent])


async def parent_of_two(state: State) -> None:
    for child in [asyncio.create_task(child_of_victim()) for _ in range(2)]:
        await child


async def child_of_victim() -> None:
    pass


async def canceller(state: State) -> None:
    await pause()
    if state.task is not None:
        state.note(str(state.task.cancel()))


async def careless(state: State) -> None:
    """Keeps the lock if it is cancelled meanwhile."""
    await state.lock.acquire()
    await pause()
    state.lock.release()


async def cancels_child(state: State) -> None:
    child = asyncio.create_task(wait_event(state))
    await pause()
    child.cancel()
    try:
        await child
    except asyncio.CancelledError:
        state.note("c")


async def cancels_lock_waiter(state: State) -> None:
    child = asyncio.create_task(increment_locked(state))
    await pause()
    child.cancel()
    await asyncio.wait([child])
    state.note("c" if child.cancelled() else "d")


async def shielded(state: State) -> None:
    inner = asyncio.ensure_future(set_x(state))
    outer = asyncio.ensure_future(asyncio.shield(inner))
    await pause()
    outer.cancel()
    await asyncio.wait([outer])
    await inner
    state.note("c" if outer.cancelled() else "d")


async def calls_soon(state: State) -> None:
    loop = asyncio.get_running_loop()
    loop.call_soon(state.note, "1")
    loop.call_soon(state.note, "2")
    await pause()
    state.note("s")


SCENARIOS: dict[str, list[Any]] = {
    "lost_update": [increment] * 2,
    "lost_update_3": [increment] * 3,
    "at_once": [increment_at_once] * 3,
    "locked": [increment_locked] * 2,
    "locked_3": [increment_locked] * 3,
    "locked_and_not": [increment_locked, increment],
    "permits": [increment_with_permit] * 2,
    "independent": [set_x, set_y],
    "one_location": [set_x, set_x, set_x],
    "private": [private] * 3,
    "message": [x_then_y, y_then_x],
    "message_2": [x_then_y, y_then_x, y_then_x],
    "hidden_read": [set_y, set_x, y_if_x],
    "hidden_read_2": [set_x, set_y, y_unless_x],
    "inversion": [forward, backward],
    "event": [wait_event, set_event],
    "event_2": [wait_event, wait_event, set_event],
    "event_cleared": [wait_event, set_event, clear_event],
    "queue": [put, get],
    "queue_2": [put, get, get],
    "queue_twice": [put, get_twice],
    "queue_forever": [put_one, get, get],
    "queue_poll": [put_one, get_if_any],
    "queue_producers": [put_one, put_one, get_twice],
    "bounded_queue": [put_small, get_small],
    "condition": [await_condition, notify],
    "lost_wakeup": [wait_condition, notify],
    "children": [children, set_x],
    "gather": [gathered, set_x],
    "group": [in_group, set_x],
    "cancel": [victim, canceller],
    "cancel_2": [victim, canceller, canceller],
    "cancel_parent": [cancels_parent],
    "cancel_child": [cancels_child, set_event],
    "cancel_lock_waiter": [cancels_lock_waiter, increment_locked],
    "shield": [shielded, set_x],
    "call_soon": [calls_soon, set_x],
    "call_soon_2": [calls_soon, increment],
}


# Somebody else cancels the workers with these numbers, each at some moment.
CANCELLED: dict[str, tuple[list[Any], list[int]]] = {
    "counter": ([increment] * 2, [0]),
    "counter_2": ([increment] * 2, [0, 1]),
    "locked": ([increment_locked] * 2, [0]),
    "locked_2": ([increment_locked] * 2, [0, 1]),
    "locked_3": ([increment_locked] * 3, [1]),
    "permits": ([increment_with_permit] * 2, [0, 1]),
    "event": ([wait_event, set_event], [0]),
    "event_2": ([wait_event, set_event], [0, 1]),
    "queue": ([put, get], [1]),
    "queue_2": ([put_one, get, get], [1]),
    "bounded_queue": ([put_small, get_small], [0]),
    "condition": ([await_condition, notify], [0]),
    "condition_2": ([await_condition, notify], [0, 1]),
    "children": ([children], [0]),
    "victim": ([victim, canceller], [0]),
    "inversion": ([forward, backward], [0]),
    "message": ([x_then_y, y_then_x], [0, 1]),
    "private": ([private] * 2, [0, 1]),
    "cancels_child": ([cancels_child, set_event], [0]),
    "lock_waiter": ([cancels_lock_waiter, increment_locked], [0]),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_as_by_brute_force(name: str) -> None:
    compare(SCENARIOS[name], [])


@pytest.mark.parametrize("name", CANCELLED)
def test_cancellations_as_by_brute_force(name: str) -> None:
    compare(*CANCELLED[name])


def test_who_can_be_cancelled() -> None:
    with pytest.raises(ValueError, match="2 tasks have numbers from 0 to 1"):
        asyncio.run(explore_async_dpor(State, [increment] * 2, lambda state: True, cancel=[2]))
    with pytest.raises(TypeError, match="nobody can cancel a thread"):
        frontrun.explore(State, repr, lambda state: True, count=2, cancel=True)


def test_a_lock_that_a_cancelled_worker_keeps_is_found() -> None:
    result = frontrun.explore(State, [careless, increment_locked], lambda state: True, cancel=[0])
    assert (result.verdict, result.failure_kind) == ("failed", "deadlock"), result.explanation
    assert frontrun.explore(State, [careless, increment_locked], lambda state: True).exhausted


async def initialise(state: State) -> None:
    await pause()
    state.task = {"ready": True}
    state.event.set()


async def use(state: State) -> None:
    await pause()
    state.note(str(state.task["ready"]))


async def use_when_there(state: State) -> None:
    await state.event.wait()
    state.note(str(state.task["ready"]))


def test_a_resource_that_is_used_before_it_is_initialised() -> None:
    def explore(user: Any) -> Any:
        return asyncio.run(explore_async_dpor(State, [initialise, user], lambda state: True, stop_on_first=False))

    result = explore(use)
    assert (result.verdict, result.num_explored) == ("failed", 2), result.explanation
    assert [failure.kind for failure in result.failures] == ["exception"]
    assert explore(use_when_there).exhausted


def compare(workers: list[Any], cancelled: list[int]) -> None:
    """All classes, outcomes and deadlocks are those that brute force finds."""

    def observe(state: State) -> object:
        return (state.x, state.y, state.log, state.lock.locked(), state.semaphore.locked(), state.queue.qsize())

    classes, outcomes, stuck = explore_every_order(State, workers, observe, cancelled)
    result = asyncio.run(
        explore_async_dpor(
            State,
            workers,
            lambda state: True,
            stop_on_first=False,
            reproduce_on_failure=0,
            observe=observe,
            cancel=cancelled,
        )
    )
    deadlocks = sum(failure.kind == "deadlock" for failure in result.failures)
    assert result.exhausted, result.explanation
    assert set(result.outcomes) == outcomes
    assert (result.num_explored, deadlocks) == (classes, stuck)
