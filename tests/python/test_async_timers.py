"""Timers of one event loop: in any order, but for those that no order of real time could exchange."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from frontrun.async_dpor import explore_async_dpor

Task = Callable[["Log"], Awaitable[object]]


class Log:
    def __init__(self) -> None:
        self.text = ""

    def note(self, text: str) -> None:
        self.text += text


async def outcomes_are(tasks: list[Task], expected: set[str]) -> int:
    """Check that exactly these texts can be in the log in the end; return how many executions show it."""
    for outcome in expected:
        result = await explore_async_dpor(Log, tasks, lambda log, no=outcome: log.text != no)
        assert result.failure_kind == "invariant", (outcome, result.explanation)
    result = await explore_async_dpor(Log, tasks, lambda log: log.text in expected)
    assert result.verdict == "exhausted", result.explanation
    return result.num_explored


def explore(tasks: list[Task], expected: set[str]) -> int:
    return asyncio.run(outcomes_are(tasks, expected))


def test_timers_of_one_step_go_off_in_the_order_in_which_they_were_set_and_end() -> None:
    async def set_two(log: Log) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(0.01, log.note, "a")
        loop.call_later(0.02, log.note, "b")
        await asyncio.sleep(0.02)
        log.note("c")

    assert explore([set_two], {"abc"}) == 1


def test_one_that_is_set_later_for_less_goes_off_before_or_after() -> None:
    async def set_two(log: Log) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(0.02, log.note, "a")
        loop.call_later(0.01, log.note, "b")
        await asyncio.sleep(0.01)
        log.note("c")

    # The task can end, and the loop with it, before the first one has gone off.
    assert explore([set_two], {"abc", "bac", "bca", "bc"}) == 4


def test_a_task_sets_its_timers_behind_those_of_the_step_that_made_it() -> None:
    async def sleep(log: Log) -> None:
        try:
            await asyncio.sleep(0.02)
            log.note("slept")
        except asyncio.CancelledError:
            log.note("cancelled")

    async def cancel_halfway(log: Log) -> None:
        task = asyncio.ensure_future(sleep(log))
        asyncio.get_running_loop().call_later(0.01, task.cancel)
        await asyncio.wait([task])

    # A task that is cancelled before its first step notes nothing.
    explore([cancel_halfway], {"cancelled", ""})


def test_timers_of_two_tasks_go_off_in_any_order() -> None:
    def sleeper(name: str, seconds: float) -> Task:
        async def sleep(log: Log) -> None:
            await asyncio.sleep(seconds)
            log.note(name)

        return sleep

    assert explore([sleeper("a", 0.01), sleeper("b", 0.02)], {"ab", "ba"}) == 2


def test_a_timeout_can_be_too_short_for_what_is_set_behind_it() -> None:
    async def give_up(log: Log) -> None:
        try:
            async with asyncio.timeout(0.05):
                await asyncio.sleep(0.01)
                log.note("in time")
        except TimeoutError:
            log.note("too late")

    explore([give_up], {"in time", "too late"})


def test_an_interval_never_goes_off_twice_at_once() -> None:
    async def tick(log: Log) -> None:
        for name in "abc":
            await asyncio.sleep(0.01)
            log.note(name)

    async def watch(log: Log) -> None:
        asyncio.get_running_loop().call_later(0.03, log.note, ".")
        await asyncio.sleep(0.03)

    explore([tick, watch], {"abc.", "ab.c", "a.bc", ".abc"})
