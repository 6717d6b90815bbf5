"""Programs without a race, by name: each is exhausted, holds, and has as many classes as counting gives."""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Callable
from itertools import permutations
from types import SimpleNamespace
from typing import Any

import pytest
from frontrun.dpor import explore_dpor

State = Any
Thread = Callable[[State], object]

TOTAL = 0


def locked(body: Thread) -> Thread:
    def thread(state: State) -> None:
        with state.lock:
            body(state)

    return thread


def state(lock: Callable[[], Any] = threading.Lock, **attributes: Any) -> Callable[[], State]:
    def setup() -> State:
        global TOTAL
        TOTAL = 0
        made = {name: value() if callable(value) else value for name, value in attributes.items()}
        return SimpleNamespace(lock=lock(), x=0, y=0, **made)

    return setup


def increment(s: State) -> None:
    s.x += 1


def increment_twice(s: State) -> None:
    increment(s)
    with s.lock:
        increment(s)


def increment_in_try(s: State) -> None:
    s.lock.acquire()
    try:
        s.x += 1
    finally:
        s.lock.release()


def fail_with_lock(s: State) -> None:
    try:
        with s.lock:
            s.x += 1
            raise ValueError
    except ValueError:
        pass


def increment_global(_: State) -> None:
    global TOTAL
    TOTAL += 1


def swap(s: State) -> None:
    s.x, s.y = s.y, s.x


def nest(s: State) -> None:
    with s.lock, s.second, s.third:
        s.x += 1


def three_times(s: State) -> None:
    for _ in range(3):
        with s.lock:
            s.x += 1


def compute(s: State) -> None:
    with s.lock:
        before = s.x
    after = sum(range(before, before + 5))
    with s.lock:
        s.y += after - after + 1


def signal(s: State) -> None:
    s.x = 1
    s.event.set()


def await_signal(s: State) -> None:
    s.event.wait()
    s.y = s.x


def notify(s: State) -> None:
    with s.condition:
        s.x = 1
        s.condition.notify()


def await_notice(s: State) -> None:
    with s.condition:
        while not s.x:
            s.condition.wait()
        s.y = s.x


class Managed:
    """A counter behind a property."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._x = 0

    @property
    def x(self) -> int:
        return self._x

    @x.setter
    def x(self, value: int) -> None:
        self._x = value


def counters() -> Any:
    """Return two closures over variables of their own, and what reads both."""

    def counter() -> Any:
        value = 0

        def count() -> int:
            nonlocal value
            value += 1
            return value

        return count

    first, second = counter(), counter()
    return SimpleNamespace(first=first, second=second, lock=threading.Lock(), x=0)


def add_and_multiply(s: State) -> None:
    s.x += 1
    s.x *= 0
    s.y += 1


def two_in_a_cell() -> Any:
    """Return two closures over the same variable."""
    value = 0

    def up() -> None:
        nonlocal value
        value += 1

    def down() -> None:
        nonlocal value
        value -= 1

    return SimpleNamespace(up=up, down=down, get=lambda: value, lock=threading.Lock())


def count_in_element(place: int) -> Thread:
    def thread(s: State) -> None:
        s.l[place] += 1
        s.l[place] += 1

    return thread


def steps_apart(key: str, name: str) -> Thread:
    def thread(s: State) -> None:
        for number in (1, 2):
            s.d[key] = number
            getattr(s, name).append(number)

    return thread


# What is shared, the threads, what holds in the end, and the number of classes: threads that take one lock once have
# one for each order, threads that share nothing have one.
PROGRAMS: dict[str, tuple[Callable[[], State], list[Thread], Callable[[State], bool], int]] = {
    "counter under a lock": (state(), [locked(increment)] * 2, lambda s: s.x == 2, 2),
    "re-entrant lock": (state(threading.RLock), [locked(increment_twice)] * 2, lambda s: s.x == 4, 2),
    "semaphore": (state(lambda: threading.Semaphore(1)), [locked(increment)] * 2, lambda s: s.x == 2, 2),
    "acquire and release": (state(), [increment_in_try] * 2, lambda s: s.x == 2, 2),
    "closure under a lock": (counters, [locked(lambda s: s.first())] * 2, lambda s: s.first() == 3, 2),
    "an element for each": (
        state(l=lambda: [0, 0]),
        [lambda s: s.l.__setitem__(0, 1), lambda s: s.l.__setitem__(1, 2)],
        lambda s: s.l == [1, 2],
        1,
    ),
    "an attribute for each": (
        state(),
        [lambda s: setattr(s, "x", 1), lambda s: setattr(s, "y", 2)],
        lambda s: (s.x, s.y) == (1, 2),
        1,
    ),
    "a key for each": (
        state(d=lambda: {"a": 0, "b": 0}),
        [lambda s: s.d.__setitem__("a", 1), lambda s: s.d.__setitem__("b", 2)],
        lambda s: s.d == {"a": 1, "b": 2},
        1,
    ),
    "a dictionary for each": (
        state(d=dict, e=dict),
        [lambda s: s.d.update(a=1), lambda s: s.e.update(a=1)],
        lambda s: s.d == s.e,
        1,
    ),
    "a closure for each": (counters, [lambda s: s.first(), lambda s: s.second()], lambda s: s.first() == s.second(), 1),
    "immutable values": (
        state(text="ab", pair=(1, 2)),
        [lambda s: s.text.upper() + str(sum(s.pair))] * 2,
        lambda s: s.text == "ab",
        1,
    ),
    "pure functions": (state(), [lambda s: sorted([3, 1, 2])] * 2, lambda s: True, 1),
    "fresh objects": (state(), [lambda s: [SimpleNamespace(n=n) for n in range(3)][-1].n] * 2, lambda s: True, 1),
    "locals alone": (state(), [lambda s: [n * n for n in range(4)]] * 2, lambda s: True, 1),
    "five threads apart": (
        state(l=lambda: [0] * 5),
        [lambda s, n=n: s.l.__setitem__(n, n) for n in range(5)],  # type: ignore[misc]
        lambda s: s.l == list(range(5)),
        1,
    ),
    "set before, read after an event": (state(event=threading.Event), [signal, await_signal], lambda s: s.y == 1, 1),
    "queue": (
        state(queue=queue.SimpleQueue),
        [lambda s: s.queue.put(1), lambda s: setattr(s, "y", s.queue.get())],
        lambda s: s.y == 1,
        1,
    ),
    # The consumer may come first, take the lock of the queue, and wait.
    "queue with a lock": (
        state(queue=queue.Queue),
        [lambda s: s.queue.put(1), lambda s: setattr(s, "y", s.queue.get())],
        lambda s: s.y == 1,
        2,
    ),
    "write and read under a lock": (
        state(),
        [locked(lambda s: setattr(s, "x", 1)), locked(lambda s: setattr(s, "y", s.x))],
        lambda s: s.y in (0, 1),
        2,
    ),
    # The same here.
    "condition": (state(condition=threading.Condition), [notify, await_notice], lambda s: s.y == 1, 2),
    "three locks in order": (
        state(second=threading.Lock, third=threading.Lock),
        [nest] * 2,
        lambda s: s.x == 2,
        2,
    ),
    "three times each": (state(), [three_times] * 2, lambda s: s.x == 6, math.comb(6, 3)),
    "exception with a lock": (state(), [fail_with_lock] * 2, lambda s: s.x == 2, 2),
    "work between locks": (state(), [compute] * 2, lambda s: s.y == 2, math.comb(4, 2)),
    "item under a lock": (
        state(d=lambda: {"n": 0}),
        [locked(lambda s: s.d.__setitem__("n", s.d["n"] + 1))] * 2,
        lambda s: s.d["n"] == 2,
        2,
    ),
    "append under a lock": (state(l=list), [locked(lambda s: s.l.append(1))] * 2, lambda s: len(s.l) == 2, 2),
    "property under a lock": (Managed, [locked(increment)] * 2, lambda s: s.x == 2, 2),
    "global under a lock": (state(), [locked(increment_global)] * 2, lambda s: TOTAL == 2, 2),
    "swap under a lock": (state(), [locked(swap)] * 2, lambda s: (s.x, s.y) == (0, 0), 2),
    "setattr under a lock": (
        state(),
        [locked(lambda s: setattr(s, "x", getattr(s, "x") + 1))] * 2,  # noqa: B009
        lambda s: s.x == 2,
        2,
    ),
    "augmented assignment under a lock": (
        state(),
        [locked(add_and_multiply)] * 2,
        lambda s: s.x == 0 and s.y == 2,
        2,
    ),
    "cell of a closure under a lock": (
        two_in_a_cell,
        [locked(lambda s: s.up()), locked(lambda s: s.down())],
        lambda s: s.get() == 0,
        2,
    ),
    "increments of an element for each": (
        state(l=lambda: [0, 0]),
        [count_in_element(0), count_in_element(1)],
        lambda s: s.l == [2, 2],
        1,
    ),
    "several steps apart": (
        state(d=lambda: {"a": 0, "b": 0}, first=list, second=list),
        [steps_apart("a", "first"), steps_apart("b", "second")],
        lambda s: s.d == {"a": 2, "b": 2} and s.first == s.second == [1, 2],
        1,
    ),
    "one writer": (
        state(),
        [lambda s: (setattr(s, "x", 1), setattr(s, "y", 1)), lambda s: s.lock],
        lambda s: (s.x, s.y) == (1, 1),
        1,
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_holds_in_every_class(name: str) -> None:
    setup, threads, holds, classes = PROGRAMS[name]
    result = explore_dpor(setup, threads, holds, stop_on_first=False)
    assert (result.verdict, result.property_holds, result.failures) == ("exhausted", True, ())
    assert result.num_explored == classes


def sections(number: int, count: int) -> Thread:
    def thread(s: State) -> None:
        for _ in range(count):
            with s.lock:
                s.log.append(number)

    return thread


def orders(threads: int, count: int) -> set[tuple[int, ...]]:
    return set(permutations([number for number in range(threads) for _ in range(count)]))


LOCKS: list[Callable[[], Any]] = [
    threading.Lock,
    threading.RLock,
    threading.Semaphore,
    threading.BoundedSemaphore,
    threading.Condition,
]


@pytest.mark.parametrize("lock", LOCKS)
@pytest.mark.parametrize(("threads", "count"), [(2, 1), (2, 2), (3, 1)])
def test_a_lock_is_taken_in_every_order(lock: Callable[[], Any], threads: int, count: int) -> None:
    check_orders(lock, threads, count)


@pytest.mark.parametrize(("threads", "count", "number"), [(2, 3, 20), (2, 4, 70), (3, 2, 90)])
def test_a_lock_is_taken_in_every_order_of_many(threads: int, count: int, number: int) -> None:
    assert len(orders(threads, count)) == number
    check_orders(threading.Lock, threads, count)


def check_orders(lock: Callable[[], Any], threads: int, count: int) -> None:
    """Each order in which the sections can come is one execution, whatever happens in them."""
    setup = state(lock, log=list)
    workers = [sections(number, count) for number in range(threads)]
    result = explore_dpor(setup, workers, lambda s: True, observe=lambda s: tuple(s.log), stop_on_first=False)
    expected = orders(threads, count)
    assert result.outcomes == {repr(order): 1 for order in expected}
    assert (result.verdict, result.num_explored) == ("exhausted", len(expected))
