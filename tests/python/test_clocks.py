"""Time is scheduled: an hour of sleep takes no time, and every way to ask for the time agrees with that."""

from __future__ import annotations

import datetime
import queue
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from frontrun.dpor import explore_dpor

DAY = 86_400

CLOCKS: dict[str, Callable[[], float]] = {
    "time": time.time,
    "time_ns": lambda: time.time_ns() / 1e9,
    "monotonic": time.monotonic,
    "monotonic_ns": lambda: time.monotonic_ns() / 1e9,
    "perf_counter": time.perf_counter,
    "perf_counter_ns": lambda: time.perf_counter_ns() / 1e9,
    "clock_gettime": lambda: time.clock_gettime(time.CLOCK_MONOTONIC),
    "clock_gettime_ns": lambda: time.clock_gettime_ns(time.CLOCK_REALTIME) / 1e9,
    "localtime": lambda: time.mktime(time.localtime()),
    "localtime of none": lambda: time.mktime(time.localtime(None)),
    "gmtime": lambda: time.mktime(time.gmtime()),
    "ctime": lambda: time.mktime(time.strptime(time.ctime())),
    "asctime": lambda: time.mktime(time.strptime(time.asctime())),
    "strftime": lambda: time.mktime(time.strptime(time.strftime("%Y %m %d %H %M %S"), "%Y %m %d %H %M %S")),
    "datetime.now": lambda: datetime.datetime.now().timestamp(),
    "datetime.now of a zone": lambda: datetime.datetime.now(datetime.UTC).timestamp(),
    "datetime.utcnow": lambda: datetime.datetime.utcnow().timestamp(),
    "datetime.today": lambda: datetime.datetime.today().timestamp(),
    "date.today": lambda: time.mktime(datetime.date.today().timetuple()),
}


@pytest.mark.parametrize("name", CLOCKS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_clock_goes_on_with_a_sleep(name: str) -> None:
    read = CLOCKS[name]

    def sleep(_: Any) -> None:
        before = read()
        time.sleep(3 * DAY)
        # A local clock may have been put forward or back meanwhile.
        assert 3 * DAY - 3700 < read() - before < 3 * DAY + 3800, read() - before

    began = time.monotonic()
    result = explore_dpor(lambda: None, [sleep, lambda _: None], lambda _: True)
    assert result.property_holds, result.explanation
    assert time.monotonic() - began < 60


def test_the_cpu_does_not_work_while_a_thread_sleeps() -> None:
    def sleep(_: Any) -> None:
        before = time.process_time(), time.clock_gettime(time.CLOCK_PROCESS_CPUTIME_ID)
        time.sleep(DAY)
        assert time.process_time() - before[0] < DAY / 2
        assert time.clock_gettime(time.CLOCK_PROCESS_CPUTIME_ID) - before[1] < DAY / 2

    assert explore_dpor(lambda: None, [sleep, lambda _: None], lambda _: True).property_holds


def shared() -> SimpleNamespace:
    return SimpleNamespace(
        lock=threading.Lock(),
        condition=threading.Condition(),
        event=threading.Event(),
        semaphore=threading.Semaphore(0),
        queue=queue.Queue(),
        simple=queue.SimpleQueue(),
        seen=None,
    )


def received(get: Callable[..., Any], timeout: float) -> bool:
    try:
        get(timeout=timeout)
    except queue.Empty:
        return False
    return True


def waited(condition: threading.Condition, timeout: float) -> bool:
    with condition:
        return condition.wait(timeout)


def notify(condition: threading.Condition) -> None:
    with condition:
        condition.notify()


WAITS: dict[str, tuple[Callable[[Any, float], Any], Callable[[Any], Any]]] = {
    "event": (lambda s, t: s.event.wait(t), lambda s: s.event.set()),
    "semaphore": (lambda s, t: s.semaphore.acquire(timeout=t), lambda s: s.semaphore.release()),
    "condition": (lambda s, t: waited(s.condition, t), lambda s: notify(s.condition)),
    "queue": (lambda s, t: received(s.queue.get, t), lambda s: s.queue.put(1)),
    "simple queue": (lambda s, t: received(s.simple.get, t), lambda s: s.simple.put(1)),
}


@pytest.mark.parametrize("name", WAITS)
def test_on_the_explored_clock_a_long_wait_may_give_up_at_any_moment(name: str) -> None:
    wait, end = WAITS[name]

    def waits(s: Any) -> None:
        s.seen = wait(s, 3600)

    def outcomes(clock: Any) -> set[str]:
        result = explore_dpor(shared, [waits, end], lambda s: s.seen is not None, observe=lambda s: s.seen, clock=clock)
        assert result.property_holds, result.explanation
        return set(result.outcomes)

    # Who notifies before anybody waits, notifies nobody.
    assert outcomes("virtual") == ({"True", "False"} if name == "condition" else {"True"})
    assert outcomes("explored") == {"True", "False"}


def test_a_lock_and_a_join_give_up_early_on_the_explored_clock() -> None:
    def holds(s: Any) -> None:
        with s.lock:
            s.event.wait()

    def waits(s: Any) -> None:
        holder = threading.Thread(target=holds, args=(s,))
        holder.start()
        taken = s.lock.acquire(timeout=60)
        if taken:
            s.lock.release()
        holder.join(60)
        s.seen = (taken, holder.is_alive())
        s.event.set()

    def outcomes(clock: Any) -> set[str]:
        result = explore_dpor(shared, [waits], lambda _: True, observe=lambda s: s.seen, clock=clock)
        assert result.property_holds, result.explanation
        return set(result.outcomes)

    assert outcomes("virtual") == outcomes("explored") == {"(True, True)", "(False, True)"}


POLLS: dict[str, Callable[[Any], Any]] = {
    "sleep": lambda s: time.sleep(0.1),
    "event": lambda s: s.event.wait(0.1),
    "queue": lambda s: received(s.queue.get, 0.1),
    "simple queue": lambda s: received(s.simple.get, 0.1),
    "condition": lambda s: waited(s.condition, 0.1),
}


@pytest.mark.parametrize("name", POLLS)
def test_who_polls_until_a_deadline_lets_the_others_run(name: str) -> None:
    def polls(s: Any) -> None:
        rounds = 0
        end = time.monotonic() + 30
        while s.seen is None:
            rounds += 1
            assert time.monotonic() < end
            POLLS[name](s)
        assert rounds < 300

    def works(s: Any) -> None:
        s.seen = 1

    result = explore_dpor(shared, [polls, works], lambda _: True)
    assert (result.verdict, result.explanation) == ("exhausted", None)


def test_short_sleeps_keep_no_order_until_they_are_long() -> None:
    def outcomes(rounds: int) -> set[str]:
        def sleeps(s: Any) -> None:
            for _ in range(rounds):
                time.sleep(0.4)
            s.seen = s.event.is_set()

        result = explore_dpor(shared, [sleeps, lambda s: s.event.set()], lambda _: True, observe=lambda s: s.seen)
        assert result.property_holds, result.explanation
        return set(result.outcomes)

    assert outcomes(2) == outcomes(3) == {"False", "True"}
    assert outcomes(4) == {"True"}


def test_the_real_clock_takes_its_time() -> None:
    def sleeps(_: Any) -> None:
        began = time.monotonic()
        time.sleep(0.2)
        threading.Event().wait(0.2)
        threading.Lock().acquire(timeout=0.2)
        assert 0.4 <= time.monotonic() - began < 60

    began = time.monotonic()
    assert explore_dpor(lambda: None, [sleeps, lambda _: None], lambda _: True, clock="real").property_holds
    assert time.monotonic() - began >= 0.4


def test_there_are_three_clocks() -> None:
    with pytest.raises(ValueError, match="no clock is called"):
        explore_dpor(lambda: None, [print], lambda _: True, clock="broken")  # type: ignore[arg-type]


def test_the_command_line_and_its_traces_know_the_clock(explore: Any, frontrun: Any, tmp_path: Any) -> None:
    (tmp_path / "late.py").write_text(
        "import threading\n"
        "event = threading.Event()\n"
        "thread = threading.Thread(target=event.set)\n"
        "thread.start()\n"
        "assert event.wait(3600)\n"
    )
    assert explore("late.py")[1]["verdict"] == "exhausted"
    assert explore("--clock", "explored", "-o", "out", "late.py")[1]["verdict"] == "failed"
    assert "AssertionError" in frontrun("replay", "out/failure-1.frz").stdout


def test_who_polls_for_short_times_does_not_keep_another_from_waking_up() -> None:
    def poll(p: Any) -> None:
        while not p.done:
            time.sleep(0.1)

    def poll_ever_more_slowly(p: Any) -> None:
        pause = 0.1
        for _ in range(7):
            time.sleep(pause)
            pause *= 2
        p.done = True

    def explored(threads: list[Callable[[Any], None]]) -> Any:
        return explore_dpor(
            lambda: SimpleNamespace(done=False), threads, lambda _: True, max_executions=3, reproduce_on_failure=0
        )

    for threads in ([poll, poll_ever_more_slowly], [poll_ever_more_slowly, poll]):
        result = explored(threads)
        assert not result.failures, result.explanation


def test_time_passes_for_all_who_wait() -> None:
    def wait(p: Any) -> None:
        began = time.monotonic()
        assert not p.events.pop().wait(5)
        p.took.append(round(time.monotonic() - began))

    def setup() -> SimpleNamespace:
        return SimpleNamespace(events=[threading.Event() for _ in range(2)], took=[], began=time.monotonic())

    def invariant(p: Any) -> bool:
        return p.took == [5, 5] and round(time.monotonic() - p.began) == 5

    result = explore_dpor(setup, [wait, wait], invariant)
    assert result.property_holds, result.explanation
