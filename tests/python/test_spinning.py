"""Loops that wait by reading: decided like any other wait, and never taken for one when they make progress."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
from frontrun.dpor import InterleavingResult, explore_dpor


class Shared:
    """What the threads of these programs share."""

    def __init__(self) -> None:
        self.flag = False
        self.data = 0
        self.seen: Any = None
        self.turn = 0
        self.count = 0
        self.wants = [False, False]
        self.lock = threading.Lock()
        self.other = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.event = threading.Event()
        self.queue: queue.Queue[int] = queue.Queue()
        self.entries: dict[str, int] = {}
        self.items: deque[int] = deque()


def explore(
    threads: list[Callable[[Shared], object]], holds: Callable[[Shared], object], observe: str, **options: Any
) -> InterleavingResult:
    return explore_dpor(Shared, threads, holds, observe=lambda s: getattr(s, observe), stop_on_first=False, **options)


def publish(shared: Shared) -> None:
    shared.data = 1
    shared.flag = True


def increment(shared: Shared) -> None:
    before = shared.count
    shared.count = before + 1


def spin(shared: Shared) -> None:
    while not shared.flag:
        pass
    shared.seen = shared.data


def spin_with_sleep(shared: Shared) -> None:
    while not shared.flag:
        time.sleep(0.1)
    shared.seen = shared.data


def spin_for_ever_until_break(shared: Shared) -> None:
    while True:
        if shared.flag:
            break
    shared.seen = shared.data


@pytest.mark.parametrize("reader", [spin, spin_with_sleep, spin_for_ever_until_break])
def test_a_flag_that_is_waited_for_orders_what_was_written_before_it(reader: Callable[[Shared], object]) -> None:
    """Either the flag is seen at the first look, or after the one change that can happen."""
    result = explore([publish, reader], lambda s: s.seen == 1, "seen")
    assert (result.verdict, result.num_explored, result.outcomes) == ("exhausted", 2, {"1": 2})


def test_a_loop_that_nobody_can_end_is_a_failure_and_no_hang() -> None:
    result = explore([spin], lambda _: True, "seen")
    assert (result.verdict, result.failure_kind) == ("failed", "livelock")
    assert "while not shared.flag" in (result.explanation or "")


def petersons(me: int) -> Callable[[Shared], None]:
    def run(shared: Shared) -> None:
        shared.wants[me] = True
        shared.turn = 1 - me
        while shared.wants[1 - me] and shared.turn == 1 - me:
            pass
        increment(shared)
        shared.wants[me] = False

    return run


def dekkers(me: int) -> Callable[[Shared], None]:
    def run(shared: Shared) -> None:
        shared.wants[me] = True
        while shared.wants[1 - me]:
            if shared.turn != me:
                shared.wants[me] = False
                while shared.turn != me:
                    pass
                shared.wants[me] = True
        increment(shared)
        shared.turn = 1 - me
        shared.wants[me] = False

    return run


def trylock(_: int) -> Callable[[Shared], None]:
    def run(shared: Shared) -> None:
        while not shared.lock.acquire(blocking=False):
            pass
        increment(shared)
        shared.lock.release()

    return run


@pytest.mark.parametrize("algorithm", [petersons, dekkers, trylock])
def test_mutual_exclusion_by_spinning_is_proved(algorithm: Callable[[int], Callable[[Shared], None]]) -> None:
    result = explore([algorithm(0), algorithm(1)], lambda s: s.count == 2, "count")
    assert result.verdict == "exhausted"
    assert set(result.outcomes) == {"2"}


def test_mutual_exclusion_that_forgets_the_turn_is_refuted() -> None:
    def forgets(me: int) -> Callable[[Shared], None]:
        def run(shared: Shared) -> None:
            while shared.wants[1 - me]:
                pass
            shared.wants[me] = True
            increment(shared)
            shared.wants[me] = False

        return run

    result = explore([forgets(0), forgets(1)], lambda s: s.count == 2, "count")
    assert result.failure_kind == "invariant"
    assert set(result.outcomes) == {"1", "2"}


def test_a_loop_over_a_fixed_number_of_rounds_is_no_wait() -> None:
    def three_looks(shared: Shared) -> None:
        shared.seen = "gone"
        for _ in [None] * 3:
            if shared.flag:
                shared.seen = "seen"
                return

    result = explore([publish, three_looks], lambda _: True, "seen")
    assert (result.num_explored, result.outcomes) == (4, {"'gone'": 1, "'seen'": 3})


def test_a_loop_that_counts_is_no_wait() -> None:
    def counts(shared: Shared) -> None:
        looks = 0
        while not shared.flag and looks < 3:
            looks += 1
        shared.seen = looks

    result = explore([publish, counts], lambda _: True, "seen")
    assert (result.num_explored, result.outcomes) == (5, {"0": 1, "1": 1, "2": 1, "3": 2})


def test_a_function_that_is_called_again_is_no_loop() -> None:
    def look(shared: Shared) -> bool:
        while True:
            if shared.flag:
                return True
            break
        return False

    def looks_twice(shared: Shared) -> None:
        shared.seen = (look(shared), look(shared))

    result = explore([publish, looks_twice], lambda _: True, "seen")
    assert set(result.outcomes) == {"(False, False)", "(False, True)", "(True, True)"}


def test_polling_until_a_deadline_may_be_late_on_the_explored_clock() -> None:
    def polls(shared: Shared) -> None:
        end = time.monotonic() + 5
        shared.seen = "in time"
        while not shared.flag:
            if time.monotonic() > end:
                shared.seen = "late"
                return
            time.sleep(1)

    assert set(explore([publish, polls], lambda _: True, "seen").outcomes) == {"'in time'"}
    result = explore([publish, polls], lambda _: True, "seen", clock="explored")
    assert set(result.outcomes) == {"'late'", "'in time'"}


def test_a_short_wait_that_is_repeated_is_one_wait() -> None:
    def waits(shared: Shared) -> None:
        while not shared.event.wait(0.1):
            pass
        shared.seen = 1

    result = explore([lambda s: s.event.set(), waits], lambda s: s.seen == 1, "seen")
    assert (result.verdict, result.num_explored) == ("exhausted", 2)


class Box:
    """An object of the program, whose memory can become another one's."""

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds


@pytest.mark.parametrize(
    ("make", "rounds"),
    [
        (lambda n: (n,), lambda box: box[0]),
        (lambda n: [n], lambda box: box[0]),
        (lambda n: {0: n}, lambda box: box[0]),
        (lambda n: frozenset({n}), lambda box: next(iter(box))),
        (lambda n: bytes([n]), lambda box: box[0]),
        (lambda n: complex(n), lambda box: box.real),
        (lambda n: ((n,), "same"), lambda box: box[0][0]),
        (Box, lambda box: box.rounds),
    ],
    ids=["tuple", "list", "dict", "frozenset", "bytes", "complex", "nested tuple", "object"],
)
def test_another_object_at_the_same_address_is_another_state(
    make: Callable[[int], Any], rounds: Callable[[Any], int]
) -> None:
    """A loop that gives up after three looks keeps its count where memory is used again."""

    def looks(shared: Shared) -> None:
        shared.seen = "gone"
        box = make(0)
        while rounds(box) < 3:
            if shared.flag:
                shared.seen = "seen"
                return
            count = rounds(box)
            del box
            box = make(int(count) + 1)
            del count

    result = explore([publish, looks], lambda _: True, "seen")
    assert (result.verdict, result.outcomes) == ("exhausted", {"'gone'": 1, "'seen'": 3})


def spin_under_a_lock(shared: Shared) -> None:
    while True:
        with shared.lock:
            if shared.flag:
                return


def publish_under_a_lock(shared: Shared) -> None:
    with shared.lock:
        shared.flag = True


def spin_under_a_lock_of_its_own_name(shared: Shared) -> None:
    lock = shared.lock
    while True:
        with lock:
            if shared.flag:
                return


def spin_and_give_back(shared: Shared) -> None:
    while True:
        shared.lock.acquire()
        try:
            if shared.flag:
                return
        finally:
            shared.lock.release()


def is_set(shared: Shared) -> bool:
    with shared.lock:
        return shared.flag


def spin_by_a_function(shared: Shared) -> None:
    while not is_set(shared):
        pass


def spin_with_two_locks(shared: Shared) -> None:
    while True:
        with shared.lock, shared.other:
            if shared.flag:
                return


def spin_and_rest(shared: Shared) -> None:
    while True:
        with shared.lock:
            if shared.flag:
                return
        time.sleep(0.01)


UNDER_A_LOCK = [
    spin_under_a_lock,
    spin_under_a_lock_of_its_own_name,
    spin_and_give_back,
    spin_by_a_function,
    spin_with_two_locks,
    spin_and_rest,
]


@pytest.mark.parametrize("spins", UNDER_A_LOCK)
def test_a_lock_that_is_given_back_in_each_round_is_no_change(spins: Callable[[Shared], None]) -> None:
    result = explore([spins, publish_under_a_lock], lambda _: True, "flag")
    assert (result.verdict, result.num_explored) == ("exhausted", 2), result.explanation
    result = explore([spins], lambda _: True, "flag")
    assert (result.verdict, result.failure_kind) == ("failed", "livelock")
    assert "for want of a change of" in str(result.explanation)


def put(shared: Shared) -> None:
    shared.queue.put(1)


def take_if_there(shared: Shared) -> None:
    while True:
        try:
            shared.seen = shared.queue.get_nowait()
        except queue.Empty:
            continue
        return


def take_while_not_empty(shared: Shared) -> None:
    while shared.queue.empty():
        pass
    shared.seen = shared.queue.get()


def take_within_moments(shared: Shared) -> None:
    while True:
        try:
            shared.seen = shared.queue.get(timeout=0.1)
        except queue.Empty:
            continue
        return


@pytest.mark.parametrize(("takes", "count"), [(take_if_there, 2), (take_while_not_empty, 2), (take_within_moments, 4)])
def test_a_queue_that_is_looked_at_in_a_loop_is_waited_for(takes: Callable[[Shared], None], count: int) -> None:
    result = explore([takes, put], lambda s: s.seen == 1, "seen")
    assert (result.verdict, result.num_explored) == ("exhausted", count), result.explanation
    assert explore([takes], lambda _: True, "seen").failure_kind == "livelock"


def wait_within_moments(shared: Shared) -> None:
    with shared.changed:
        while not shared.flag:
            shared.changed.wait(0.1)


def publish_silently(shared: Shared) -> None:
    with shared.changed:
        shared.flag = True


def publish_and_tell(shared: Shared) -> None:
    with shared.changed:
        shared.flag = True
        shared.changed.notify_all()


@pytest.mark.parametrize(("publishes", "count"), [(publish_silently, 3), (publish_and_tell, 4)])
def test_short_waits_in_vain_are_one_wait(publishes: Callable[[Shared], None], count: int) -> None:
    result = explore([wait_within_moments, publishes], lambda _: True, "flag")
    assert (result.verdict, result.num_explored) == ("exhausted", count), result.explanation
    assert explore([wait_within_moments], lambda _: True, "flag").failure_kind == "livelock"


def test_long_waits_in_vain_are_one_wait() -> None:
    def wait_for_long(shared: Shared) -> None:
        with shared.changed:
            while not shared.flag:
                shared.changed.wait(5)

    result = explore([wait_for_long, publish_and_tell], lambda _: True, "flag")
    assert result.verdict == "exhausted", result.explanation
    assert explore([wait_for_long], lambda _: True, "flag").failure_kind == "livelock"


def test_a_key_that_is_not_there_is_waited_for() -> None:
    def take(shared: Shared) -> None:
        while True:
            try:
                shared.seen = shared.entries.pop("key")
            except KeyError:
                continue
            return

    result = explore([take, lambda s: s.entries.update(key=1)], lambda s: s.seen == 1, "seen")
    assert (result.verdict, result.num_explored) == ("exhausted", 2), result.explanation


def test_a_deadline_is_no_wait_without_end() -> None:
    def spin_until_late(shared: Shared) -> None:
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            with shared.lock:
                if shared.flag:
                    return
            time.sleep(0.2)
        shared.seen = "late"

    result = explore([spin_until_late, publish_under_a_lock], lambda _: True, "seen")
    assert (result.verdict, set(result.outcomes)) == ("exhausted", {"None", "'late'"}), result.explanation


def take_from_a_deque(shared: Shared) -> None:
    while True:
        try:
            shared.items.popleft()
        except IndexError:
            continue
        return


def append_to_a_deque(shared: Shared) -> None:
    shared.items.append(1)


def go_round_for_ever(shared: Shared) -> None:
    while True:
        with shared.lock:
            shared.count += 1


def test_one_that_keeps_the_others_from_going_on_is_no_failure() -> None:
    result = explore([take_from_a_deque, append_to_a_deque], lambda s: True, "flag", timeout_per_run=2)
    assert (result.verdict, result.failures) == ("diverged", ()), result.explanation
    assert "t0.0 went on for 3." in str(result.explanation)
    assert "while t0.1 could have gone on" in str(result.explanation)


def test_one_that_goes_on_when_the_others_have_ended_hangs() -> None:
    result = explore(
        [go_round_for_ever, publish_under_a_lock], lambda s: True, "flag", timeout_per_run=2, reproduce_on_failure=0
    )
    assert (result.verdict, result.failure_kind) == ("failed", "hang"), result.explanation
