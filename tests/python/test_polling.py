"""Tasks that sleep for a moment, look whether something has happened, and sleep again."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from frontrun.async_dpor import explore_async_dpor

Explore = Callable[..., tuple[int, dict[str, Any]]]


def state() -> SimpleNamespace:
    return SimpleNamespace(flag=False, number=0, log=[], tasks=[], event=asyncio.Event())


async def set_flag(s: Any) -> None:
    s.flag = True


async def poll(s: Any) -> None:
    while not s.flag:
        await asyncio.sleep(0)


async def poll_in_moments(s: Any) -> None:
    while not s.flag:
        await asyncio.sleep(0.01)


async def poll_by_a_function(s: Any) -> None:
    async def is_set() -> bool:
        return bool(s.flag)

    while not await is_set():
        await asyncio.sleep(0.01)


async def poll_an_event(s: Any) -> None:
    while not s.event.is_set():
        await asyncio.sleep(0)


async def set_event(s: Any) -> None:
    s.event.set()


async def poll_for_two(s: Any) -> None:
    while s.number < 2:
        await asyncio.sleep(0)


async def increment(s: Any) -> None:
    s.number += 1


async def answer(s: Any) -> None:
    await poll(s)
    s.number = 1


async def ask(s: Any) -> None:
    s.flag = True
    while s.number == 0:
        await asyncio.sleep(0)


async def try_three_times(s: Any) -> None:
    for n in range(3):
        if s.flag:
            s.log.append(n)
            return
        await asyncio.sleep(0.01)
    s.log.append("none")


# Before the first look, between the first two, and behind the second: one that has seen nothing twice waits. Who sets a
# flag and looks for an answer in the same step never finds it at the first look.
COUNTS: dict[str, tuple[list[Any], int]] = {
    "yields": ([poll, set_flag], 3),
    "moments": ([poll_in_moments, set_flag], 3),
    "a function": ([poll_by_a_function, set_flag], 3),
    "an event": ([poll_an_event, set_event], 3),
    "two that poll": ([poll, poll_in_moments, set_flag], 9),
    "three that poll": ([poll, poll, poll, set_flag], 27),
    "each other": ([answer, ask], 6),
    "tries": ([try_three_times, set_flag], 4),
}


def explored(workers: list[Any], **options: Any) -> Any:
    return asyncio.run(
        explore_async_dpor(
            state,
            workers,
            lambda s: True,
            stop_on_first=False,
            reproduce_on_failure=0,
            observe=lambda s: (s.flag, s.number, s.log),
            **options,
        )
    )


@pytest.mark.parametrize("name", COUNTS)
def test_a_poll_is_a_wait(name: str) -> None:
    workers, count = COUNTS[name]
    result = explored(workers)
    assert (result.verdict, result.num_explored) == ("exhausted", count), result.explanation


def test_outcomes_of_tries_are_all_found() -> None:
    assert set(explored([try_three_times, set_flag]).outcomes) == {
        "(True, 0, [0])",
        "(True, 0, [1])",
        "(True, 0, [2])",
        "(True, 0, ['none'])",
    }


def test_each_write_lets_one_look_again() -> None:
    result = explored([poll_for_two, increment, increment])
    assert result.exhausted, result.explanation
    assert set(result.outcomes) == {"(False, 2, [])"}


async def count_rounds(s: Any) -> None:
    rounds = 0
    while not s.flag:
        rounds += 1
        await asyncio.sleep(0.05)


async def write_down_rounds(s: Any) -> None:
    while not s.flag:
        s.log.append("waiting")
        await asyncio.sleep(0.5)


async def poll_until(s: Any) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + 20
    while not s.flag and loop.time() < end:
        await asyncio.sleep(0.5)
    s.log.append(s.flag)


# So many looks are taken while others can go on: for a second, or ten.
@pytest.mark.parametrize(("worker", "looks"), [(count_rounds, 20), (write_down_rounds, 20), (poll_until, 2)])
def test_one_that_is_in_another_state_each_time_gives_way_in_the_end(worker: Any, looks: int) -> None:
    result = explored([worker, set_flag])
    assert (result.verdict, result.num_explored) == ("exhausted", looks + 1), result.explanation


def test_one_that_waits_for_what_never_comes_gets_nowhere() -> None:
    result = explored([poll, increment])
    assert (result.verdict, {failure.kind for failure in result.failures}) == ("failed", {"livelock"})
    assert "a change of" in result.explanation


async def poll_within_a_time(s: Any) -> None:
    try:
        await asyncio.wait_for(poll_in_moments(s), 0.5)
        s.log.append("found")
    except TimeoutError:
        s.log.append("late")


def test_a_poll_within_a_time_can_be_late() -> None:
    result = explored([poll_within_a_time, set_flag])
    assert result.exhausted, result.explanation
    assert set(result.outcomes) == {"(True, 0, ['found'])", "(True, 0, ['late'])"}


def test_a_poll_within_a_long_time_is_late_when_nobody_can_go_on() -> None:
    async def poll_for_long(s: Any) -> None:
        try:
            await asyncio.wait_for(poll(s), 50)
        except TimeoutError:
            s.log.append("late")

    assert set(explored([poll_for_long, set_flag]).outcomes) == {"(True, 0, [])"}
    assert set(explored([poll_for_long, increment]).outcomes) == {"(False, 1, ['late'])"}


async def victim(s: Any) -> None:
    s.tasks.append(asyncio.current_task())
    try:
        await poll(s)
        s.log.append("found")
    except asyncio.CancelledError:
        s.log.append("cancelled")


async def canceller(s: Any) -> None:
    for task in s.tasks:
        task.cancel()


def test_a_poll_can_be_cancelled() -> None:
    result = explored([victim, canceller, set_flag])
    assert result.exhausted, result.explanation
    assert set(result.outcomes) == {"(True, 0, ['found'])", "(True, 0, ['cancelled'])"}


def test_a_poll_that_only_cancelling_ends_is_no_livelock_when_it_is_cancelled() -> None:
    async def waits_for_victims(s: Any) -> None:
        while not s.tasks:
            await asyncio.sleep(0)
        await canceller(s)

    result = explored([victim, waits_for_victims])
    assert result.exhausted, result.explanation
    assert set(result.outcomes) == {"(False, 0, ['cancelled'])"}


def test_sleep_stays_a_coroutine_function() -> None:
    explored([set_flag])
    assert inspect.iscoroutinefunction(asyncio.sleep)
    assert asyncio.run(asyncio.sleep(0, "result")) == "result"


SCRIPT = """
import asyncio, threading, time

class Box:
    ready = False
    value = 0

async def set_late(work):
    await asyncio.sleep(2)
    work()

async def main():
    box = Box()
    def work():
        box.value = 1
        box.ready = True
    async def wait():
        while not box.ready:
            await asyncio.sleep({delay})
        assert box.value == 1
    await asyncio.gather(wait(), {work})

asyncio.run(main())
"""


@pytest.mark.parametrize("delay", ["0", "0.01"])
@pytest.mark.parametrize("work", ["asyncio.sleep(0.2)", "set_late(work)"])
def test_scripts_that_poll_are_explored(explore: Explore, tmp_path: Path, delay: str, work: str) -> None:
    text = SCRIPT.format(delay=delay, work=work)
    if work.startswith("asyncio.sleep"):
        text = text.replace("    async def wait", "    work()\n    async def wait")
    (tmp_path / "polls.py").write_text(text)
    code, result = explore("polls.py")
    assert (code, result["verdict"]) == (0, "exhausted"), result


def test_one_that_polls_for_what_a_thread_does_is_no_failure(explore: Explore, tmp_path: Path) -> None:
    (tmp_path / "polls.py").write_text(SCRIPT.format(delay="0.01", work="asyncio.to_thread(work)"))
    code, result = explore("--max-executions", "30", "polls.py")
    assert (code, result["verdict"]) == (124, "bounded"), result


def test_a_race_behind_a_poll_is_found(explore: Explore, tmp_path: Path) -> None:
    text = SCRIPT.format(delay="0.01", work="asyncio.to_thread(work)")
    lines = ["        box.value = 1\n", "        box.ready = True\n"]
    text = text.replace("".join(lines), "".join(reversed(lines)))
    (tmp_path / "polls.py").write_text(text)
    code, result = explore("polls.py")
    assert (code, result["verdict"]) == (1, "failed"), result
