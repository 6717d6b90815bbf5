"""`explore_dpor` against programs whose classes and outcomes are known by counting."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
from frontrun.dpor import InterleavingResult, explore_dpor


class Box:
    """Shared attributes."""

    value: Any


def explore(
    setup: Callable[[], Any], threads: list[Callable[[Any], object]], holds: Callable[[Any], object], **options: Any
) -> InterleavingResult:
    return explore_dpor(setup, threads, holds, stop_on_first=False, **options)


def box(value: Any) -> Box:
    made = Box()
    made.value = value
    return made


def increment(shared: Box) -> None:
    before = shared.value
    shared.value = before + 1


def test_two_increments_have_four_classes_and_lose_an_update_in_two() -> None:
    result = explore(lambda: box(0), [increment, increment], lambda s: s.value == 2, observe=lambda s: s.value)
    assert (result.verdict, result.property_holds, result.exhausted) == ("failed", False, True)
    assert result.num_explored == 4
    assert result.outcomes == {"1": 2, "2": 2}
    assert result.failure_kind == "invariant"


def test_three_increments_have_36_classes() -> None:
    result = explore(lambda: box(0), [increment] * 3, lambda s: True, observe=lambda s: s.value)
    assert result.num_explored == 36
    assert set(result.outcomes) == {"1", "2", "3"}
    assert result.property_holds is True


@pytest.mark.parametrize("count", [2, 3, 4])
def test_writers_have_a_class_for_each_order(count: int) -> None:
    writers = [lambda s, n=n: setattr(s, "value", n) for n in range(count)]
    result = explore(lambda: box(None), writers, lambda s: True, observe=lambda s: s.value)
    assert result.num_explored == math.factorial(count)
    assert set(result.outcomes) == {str(n) for n in range(count)}


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_readers_beside_a_writer_have_two_classes_each(count: int) -> None:
    def read(shared: Box) -> None:
        str(shared.value)

    result = explore(lambda: box(0), [lambda s: setattr(s, "value", 1)] + [read] * count, lambda s: True)
    assert result.num_explored == 2**count


@pytest.mark.parametrize(("count", "classes"), [(2, 3), (3, 7), (4, 15)])
def test_philosophers_deadlock_in_one_class(count: int, classes: int) -> None:
    def eat(seat: int) -> Callable[[Any], None]:
        def philosopher(forks: Any) -> None:
            with forks[seat], forks[(seat + 1) % count]:
                pass

        return philosopher

    result = explore(
        lambda: tuple(threading.Lock() for _ in range(count)), [eat(n) for n in range(count)], lambda s: True
    )
    assert (result.num_explored, result.failure_kind, len(result.failures)) == (classes, "deadlock", 1)


def test_a_failing_trylock_reads_the_lock() -> None:
    def attempt(lock: Any) -> None:
        if lock.acquire(blocking=False):
            lock.release()

    assert explore(threading.Lock, [attempt, attempt], lambda s: True).num_explored == 4


def test_reentrant_acquisitions_are_one_step() -> None:
    def twice(lock: Any) -> None:
        with lock, lock:
            pass

    assert explore(threading.RLock, [twice, twice], lambda s: True).num_explored == 2


def test_an_exception_in_a_thread_is_a_failure() -> None:
    def fail(shared: Box) -> None:
        raise KeyError(shared.value)

    result = explore(lambda: box("gone"), [fail], lambda s: True)
    assert result.failure_kind == "exception"
    assert "gone" in result.failures[0].message


def test_threads_started_by_threads_are_controlled() -> None:
    def boss(shared: Box) -> None:
        workers = [threading.Thread(target=increment, args=(shared,)) for _ in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    result = explore(lambda: box(0), [boss], lambda s: s.value == 2, observe=lambda s: s.value)
    assert (result.num_explored, result.outcomes) == (4, {"1": 2, "2": 2})


def test_when_a_thread_object_dies_makes_no_difference() -> None:
    """It dies with its thread in the system, unless somebody holds it then, which is a question of real time."""

    class Box:
        def __init__(self) -> None:
            self.timer = threading.Timer(0.01, int)
            self.timer.start()

    def renew(box: Box) -> None:
        if not box.timer.is_alive():
            box.timer = threading.Timer(0.01, int)

    results = [explore_dpor(Box, [renew, renew], lambda box: True) for _ in range(4)]
    assert [(result.verdict, result.num_explored) for result in results] == [("exhausted", 7)] * 4


def test_a_run_that_hangs_is_killed_and_is_no_pass() -> None:
    def spin(shared: Box) -> None:
        while True:
            pass

    result = explore(lambda: box(0), [spin], lambda s: True, timeout_per_run=0.5)
    assert result.failure_kind == "hang"
    assert result.property_holds is False


def test_a_bounded_search_never_holds() -> None:
    result = explore(lambda: box(0), [increment] * 3, lambda s: True, max_executions=5)
    assert (result.verdict, result.property_holds, result.num_explored) == ("bounded", None, 5)
    with pytest.raises(AssertionError):
        result.assert_holds()
    result.assert_holds(allow_bounded=True)


def test_the_caller_is_left_as_it_was() -> None:
    before = (threading.Thread.start, threading.Event.wait, increment.__code__)
    explore(lambda: box(0), [increment, increment], lambda s: True)
    assert (threading.Thread.start, threading.Event.wait, increment.__code__) == before


class Timed:
    """What the tests of waits with a timeout share."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.event = threading.Event()
        self.condition = threading.Condition()
        self.got: dict[str, object] = {}


def hold(shared: Timed) -> None:
    with shared.lock:
        pass


def test_a_long_wait_gives_up_only_when_nobody_can_go_on() -> None:
    def wait(shared: Timed) -> None:
        shared.got["event"] = shared.event.wait(5)

    result = explore(Timed, [wait, lambda s: s.event.set()], lambda s: True, observe=lambda s: s.got)
    assert (result.verdict, result.outcomes) == ("exhausted", {"{'event': True}": 1})
    result = explore(Timed, [wait], lambda s: True, observe=lambda s: s.got)
    assert (result.verdict, result.outcomes) == ("exhausted", {"{'event': False}": 1})


def test_a_short_wait_may_give_up_at_any_moment() -> None:
    def attempt(shared: Timed) -> None:
        if shared.lock.acquire(timeout=0.05):
            shared.lock.release()
            shared.got["lock"] = True

    result = explore(Timed, [hold, attempt], lambda s: True, observe=lambda s: s.got)
    assert (result.verdict, set(result.outcomes)) == ("exhausted", {"{}", "{'lock': True}"})


def test_a_notification_before_the_wait_is_lost_and_found() -> None:
    def wait(shared: Timed) -> None:
        with shared.condition:
            shared.got["notified"] = shared.condition.wait(5)

    def notify(shared: Timed) -> None:
        with shared.condition:
            shared.condition.notify()

    result = explore(Timed, [wait, notify], lambda s: True, observe=lambda s: s.got)
    assert result.outcomes == {"{'notified': True}": 1, "{'notified': False}": 1}
    assert result.verdict == "exhausted"


def test_what_was_given_up_is_found_served_too() -> None:
    """The lock's holder never gives it back; the other order, in which the patient thread has it first, deadlocks."""

    def keep(shared: Timed) -> None:
        shared.lock.acquire()

    def patient(shared: Timed) -> None:
        shared.got["lock"] = shared.lock.acquire(timeout=5)

    result = explore(Timed, [keep, patient], lambda s: True, observe=lambda s: s.got)
    assert result.num_explored == 2
    assert [failure.kind for failure in result.failures] == ["deadlock"]
    assert result.outcomes == {"{'lock': False}": 1}


def test_an_hour_of_sleep_takes_no_time() -> None:
    def sleep(shared: Timed) -> None:
        start = time.monotonic()
        time.sleep(3600)
        shared.got["hours"] = round((time.monotonic() - start) / 3600)

    result = explore(Timed, [sleep], lambda s: True, observe=lambda s: s.got)
    assert result.outcomes == {"{'hours': 1}": 1}


def test_a_queue_that_stays_empty_says_so_after_its_timeout() -> None:
    def get(box: Any) -> None:
        try:
            box.queue.get(timeout=5)
        except queue.Empty:
            box.empty = True

    def setup() -> Any:
        made: Any = Box()
        made.queue = queue.Queue()
        made.empty = False
        return made

    result = explore(setup, [get], lambda s: s.empty)
    assert result.verdict == "exhausted"


class Cache(OrderedDict[str, str]):
    """An ordered dictionary whose ``setdefault`` goes through methods of its own, so that it is several steps."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.RLock()

    def __contains__(self, key: object) -> bool:
        with self.lock:
            return super().__contains__(key)

    def __setitem__(self, key: str, value: str) -> None:
        with self.lock:
            super().__setitem__(key, value)


def test_setdefault_of_an_ordered_dictionary_with_methods_of_its_own_is_no_single_step() -> None:
    def login(name: str) -> Callable[[Any], object]:
        return lambda s: setattr(s, name, s.cache.setdefault("session", name))

    def setup() -> Box:
        made = Box()
        made.cache = Cache()  # type: ignore[attr-defined]
        return made

    result = explore(setup, [login("a"), login("b")], lambda s: s.a == s.b)
    assert result.failure_kind == "invariant"
