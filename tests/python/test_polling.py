"""Tasks that sleep for a moment, look whether something has happened, and sleep again."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import inspect
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polling_programs
import pytest
from frontrun.async_dpor import explore_async_dpor
from shares import portions, share

Explore = Callable[..., tuple[int, dict[str, Any]]]


def state() -> SimpleNamespace:
    return SimpleNamespace(flag=False, number=0, log=[], tasks=[], event=asyncio.Event(), queue=asyncio.Queue())


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


async def beat(s: Any) -> None:
    while True:
        await asyncio.sleep(0.3)


async def repeat_a_timer(s: Any) -> None:
    def tick() -> None:
        if not s.flag:
            asyncio.get_running_loop().call_later(2 if s.number else 0.7, tick)

    tick()


async def work_beside_a_heart(s: Any) -> None:
    heart = asyncio.create_task(beat(s))
    await asyncio.sleep(0)
    s.flag = True
    heart.cancel()


def test_a_heart_that_beats_is_no_hang() -> None:
    result = explored([work_beside_a_heart])
    assert result.exhausted, result.explanation
    assert result.num_explored < 20


def test_a_timer_that_sets_itself_again_is_no_hang() -> None:
    result = explored([repeat_a_timer, set_flag])
    assert result.exhausted, result.explanation
    assert result.num_explored < 50


async def take_within_a_time(s: Any) -> None:
    while True:
        try:
            s.log.append(await asyncio.wait_for(s.queue.get(), 0.4))
            return
        except TimeoutError:
            continue


async def wait_within_a_time(s: Any) -> None:
    while not s.flag:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.4):
                await s.event.wait()


async def put(s: Any) -> None:
    await s.queue.put("item")


async def stop(s: Any) -> None:
    s.flag = True


async def repeat_a_callback(s: Any) -> None:
    def tick() -> None:
        s.number += 1
        if not s.flag:
            asyncio.get_running_loop().call_soon(tick)

    tick()


def test_a_callback_that_schedules_itself_again_is_no_hang() -> None:
    result = explored([repeat_a_callback, set_flag], max_executions=10)
    assert result.failures == (), result.explanation
    assert result.verdict in ("bounded", "exhausted")


@pytest.mark.parametrize("workers", [[take_within_a_time, put], [wait_within_a_time, stop]])
def test_one_that_waits_in_vain_again_and_again_is_no_hang(workers: list[Any]) -> None:
    result = explored(workers)
    assert result.exhausted, result.explanation
    assert 3 < result.num_explored < 300


def test_a_timeout_of_one_that_has_slept_for_long_can_come_at_any_moment() -> None:
    async def sleeps_then_waits(s: Any) -> None:
        for _ in range(4):
            await asyncio.sleep(0.5)
        s.flag = True
        try:
            await asyncio.wait_for(s.event.wait(), 0.5)
            s.log.append("found")
        except TimeoutError:
            s.log.append("late")

    async def set_event_then(s: Any) -> None:
        await poll(s)
        s.event.set()

    outcomes = set(explored([sleeps_then_waits, set_event_then]).outcomes)
    assert outcomes == {"(True, 0, ['found'])", "(True, 0, ['late'])"}


@pytest.mark.skipif(sys.version_info < (3, 12), reason="tasks are started eagerly from 3.12 on")
def test_one_that_is_started_eagerly_sleeps_for_itself() -> None:
    async def starts_eagerly(s: Any) -> None:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]
        child = asyncio.create_task(poll(s))
        s.number = 1
        await child

    # Its first look belongs to the step that starts it, so that it waits behind the third.
    result = explored([starts_eagerly, set_flag])
    assert (result.verdict, result.num_explored) == ("exhausted", 4), result.explanation


def test_chance_is_no_state_that_stays_the_same() -> None:
    async def poll_by_chance(s: Any) -> None:
        while random.random() < 0.9:
            await asyncio.sleep(0)

    assert explored([poll_by_chance, set_flag]).exhausted


CLOCKS: list[Callable[[], float]] = [
    lambda: asyncio.get_running_loop().time(),
    time.monotonic,
    time.perf_counter,
    time.time,
    lambda: datetime.datetime.now().timestamp(),
]


@pytest.mark.parametrize("delay", [0, 0.3])
@pytest.mark.parametrize("clock", CLOCKS, ids=["loop", "monotonic", "performance", "time", "date"])
def test_one_that_looks_at_a_clock_ends_when_its_time_has_come(clock: Callable[[], float], delay: float) -> None:
    async def poll_for_three_seconds(s: Any) -> None:
        end = clock() + 3
        while not s.flag and clock() < end:
            await asyncio.sleep(delay)
        s.log.append(clock() >= end)

    result = explored([poll_for_three_seconds, increment])
    assert result.exhausted, result.explanation
    assert set(result.outcomes) == {"(False, 1, [True])"}


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


@pytest.mark.parametrize("seeds", portions(share(150, "FRONTRUN_POLLING_PROGRAMS"), 10), ids=str)
def test_random_programs_have_the_outcomes_of_brute_force(seeds: list[int]) -> None:
    for seed in seeds:
        tasks = polling_programs.program(seed)
        outcomes, stuck = polling_programs.all_outcomes(tasks)
        result = asyncio.run(
            explore_async_dpor(
                lambda tasks=tasks: polling_programs.real_state(tasks),  # type: ignore[misc]
                list(polling_programs.workers(tasks)),
                lambda s: True,
                stop_on_first=False,
                reproduce_on_failure=0,
                observe=polling_programs.observe,
                max_executions=2000,
                workers=1,
            )
        )
        kinds = {failure.kind for failure in result.failures}
        if result.bounded_by == "executions":
            assert set(result.outcomes) <= outcomes, (seed, tasks)
            continue
        assert set(result.outcomes) == outcomes, (seed, tasks)
        assert kinds == ({"livelock"} if stuck else set()), (seed, tasks, result.explanation)
        assert result.verdict == ("failed" if stuck else "exhausted"), (seed, tasks, result.explanation)
