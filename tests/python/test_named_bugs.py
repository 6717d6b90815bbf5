"""Bugs and their repairs by name: deadlocks, lost wake-ups, orders. Each comes with every outcome it can have.

An outcome is what is observed in the end, or how an execution fails. The racy programs come with what serial orders end
with, so that it is seen which outcomes are the bug.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from itertools import permutations
from types import SimpleNamespace
from typing import Any

import pytest
from frontrun.dpor import InterleavingResult, explore_dpor

State = Any
Thread = Callable[[State], object]
Program = tuple[Callable[[], State], list[Thread], Callable[[State], Any], set[Any]]


def having(**made: Callable[[], Any]) -> Callable[[], State]:
    return lambda: SimpleNamespace(x=0, y=0, got=None, **{name: make() for name, make in made.items()})


def explore(setup: Callable[[], State], threads: list[Thread], observe: Callable[[State], Any]) -> InterleavingResult:
    return explore_dpor(
        setup, threads, lambda state: True, observe=observe, stop_on_first=False, reproduce_on_failure=0
    )


def outcomes(result: InterleavingResult) -> set[str]:
    """What is observed, and the kinds of failures."""
    return set(result.outcomes) | {failure.kind for failure in result.failures}


def take(first: str, second: str) -> Thread:
    def thread(s: State) -> None:
        with getattr(s, first), getattr(s, second):
            s.x += 1

    return thread


def observe_value(s: State) -> None:
    with s.count_lock:
        s.x += 1
    with s.sum_lock:
        s.y += 5


def read_both(s: State) -> None:
    with s.count_lock:
        count = s.x
    with s.sum_lock:
        s.got = (count, s.y)


def transfer(s: State) -> None:
    with s.a:
        s.x -= 10
    with s.b:
        s.y += 10


def audit(s: State) -> None:
    with s.a, s.b:
        s.got = s.x + s.y


def drain(attempt: Callable[[Any], bool]) -> Thread:
    def thread(s: State) -> None:
        s.items.append(1)
        if attempt(s.lock):
            while s.items:
                s.items.pop()
            s.lock.release()

    return thread


def retry(s: State) -> None:
    while not s.lock.acquire(blocking=False):
        pass
    s.x += 1
    s.lock.release()


def use(s: State) -> None:
    s.got = s.resource.name


def initialise(s: State) -> None:
    s.resource = SimpleNamespace(name="ready")


def wait_a_little(s: State) -> None:
    s.event.wait(0.01)
    s.x += 1


def increment_and_set(s: State) -> None:
    s.x += 1
    s.event.set()


def delayed(s: State) -> None:
    time.sleep(0.5)
    s.x = 10


def increment(s: State) -> None:
    s.x += 1


def wait_for_notice(s: State) -> None:
    with s.condition:
        s.condition.wait()


def notify(s: State) -> None:
    with s.condition:
        s.condition.notify()


def start_two(s: State) -> None:
    threads = [threading.Thread(target=increment, args=(s,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def get_at_once(s: State) -> None:
    try:
        s.got = s.queue.get_nowait()
    except queue.Empty:
        s.got = "empty"


def spin(s: State) -> None:
    while not s.x:
        pass
    s.got = s.x


def produce(s: State) -> None:
    for item in range(2):
        with s.condition:
            while s.items:
                s.condition.wait()
            s.items.append(item)
            s.condition.notify_all()


def consume(s: State) -> None:
    s.got = []
    for _ in range(2):
        with s.condition:
            while not s.items:
                s.condition.wait()
            s.got.append(s.items.pop())
            s.condition.notify_all()


def eat(seat: int, count: int) -> Thread:
    def thread(s: State) -> None:
        with s.forks[seat], s.forks[(seat + 1) % count]:
            pass

    return thread


def philosophers(count: int) -> Program:
    forks = having(forks=lambda: [threading.Lock() for _ in range(count)])
    return (forks, [eat(seat, count) for seat in range(count)], lambda s: "fed", {"fed", "deadlock"})


def locked_writers(count: int) -> Program:
    def write(number: int) -> Thread:
        def thread(s: State) -> None:
            with s.lock:
                s.items.append(number)

        return thread

    orders = set(permutations(range(count)))
    return (
        having(lock=threading.Lock, items=list),
        [write(n) for n in range(count)],
        lambda s: tuple(s.items),
        orders,
    )


def slots(count: int) -> Program:
    def write(number: int) -> Thread:
        def thread(s: State) -> None:
            for slot in range(count):
                s.items[slot] = number

        return thread

    every = {tuple((n >> bit) & 1 for bit in range(count)) for n in range(2**count)}
    return having(items=lambda: [None] * count), [write(0), write(1)], lambda s: tuple(s.items), every


def two(thread: Thread) -> list[Thread]:
    return [thread, thread]


# What is shared, the threads, what is observed, and every outcome.
PROGRAMS: dict[str, Program] = {
    "two locks in both orders": (
        having(a=threading.Lock, b=threading.Lock),
        [take("a", "b"), take("b", "a")],
        lambda s: s.x,
        {2, "deadlock"},
    ),
    "two locks in one order": (having(a=threading.Lock, b=threading.Lock), two(take("a", "b")), lambda s: s.x, {2}),
    "three philosophers": philosophers(3),
    "four philosophers": philosophers(4),
    "snapshot under two locks": (
        having(count_lock=threading.Lock, sum_lock=threading.Lock),
        [observe_value, read_both],
        lambda s: s.got,
        {(0, 0), (1, 5), (1, 0), (0, 5)},
    ),
    "transfer and audit": (having(a=threading.Lock, b=threading.Lock), [transfer, audit], lambda s: s.got, {0, -10}),
    "trylock loses a wake-up": (
        having(lock=threading.Lock, items=list),
        two(drain(lambda lock: lock.acquire(blocking=False))),
        lambda s: len(s.items),
        {0, 1},
    ),
    "trylock with a timeout of 0": (
        having(lock=threading.RLock, items=list),
        two(drain(lambda lock: lock.acquire(timeout=0))),
        lambda s: len(s.items),
        {0, 1},
    ),
    "re-entrant trylock loses a wake-up": (
        having(lock=threading.RLock, items=list),
        two(drain(lambda lock: lock.acquire(blocking=False))),
        lambda s: len(s.items),
        {0, 1},
    ),
    "trylock of a lock with a timeout of 0": (
        having(lock=threading.Lock, items=list),
        two(drain(lambda lock: lock.acquire(timeout=0))),
        lambda s: len(s.items),
        {0, 1},
    ),
    "trylock in a loop": (having(lock=threading.Lock), two(retry), lambda s: s.x, {2}),
    "used before it is made": (
        having(resource=lambda: None),
        [initialise, use],
        lambda s: s.got,
        {"ready", None, "exception"},
    ),
    "wait with a timeout, then increment": (
        having(event=threading.Event),
        [wait_a_little, increment_and_set],
        lambda s: s.x,
        {1, 2},
    ),
    "delayed write in the middle": (having(), [delayed, increment], lambda s: s.x, {1, 10, 11}),
    "notification that nobody hears": (
        having(condition=threading.Condition),
        [wait_for_notice, notify],
        lambda s: "woken",
        {"woken", "deadlock"},
    ),
    "event that nobody sets": (having(event=threading.Event), [lambda s: s.event.wait()], lambda s: 0, {"deadlock"}),
    "flag in a loop": (having(), [spin, increment], lambda s: s.got, {1}),
    "barrier": (having(barrier=lambda: threading.Barrier(2)), two(lambda s: s.barrier.wait()), lambda s: 0, {0}),
    "bounded buffer": (
        having(condition=threading.Condition, items=list),
        [produce, consume],
        lambda s: tuple(s.got),
        {(0, 1)},
    ),
    "get before put": (
        having(queue=queue.Queue),
        [lambda s: setattr(s, "got", s.queue.get()), lambda s: s.queue.put(1)],
        lambda s: s.got,
        {1},
    ),
    "get at once": (
        having(queue=queue.Queue),
        [lambda s: s.queue.put(1), get_at_once],
        lambda s: s.got,
        {1, "empty"},
    ),
    "threads that a thread starts": (having(), [start_two], lambda s: s.x, {1, 2}),
    "one element by two indices": (
        having(items=lambda: [0, 0, 0]),
        [lambda s: s.items.__setitem__(-1, 1), lambda s: s.items.__setitem__(2, 2)],
        lambda s: s.items[2],
        {1, 2},
    ),
    "one key by two names": (
        having(entries=dict),
        [lambda s: s.entries.__setitem__(1, "a"), lambda s: s.entries.__setitem__(True, "b")],
        lambda s: s.entries[1],
        {"a", "b"},
    ),
    "dictionary in another": (
        having(entries=lambda: {"a": 0, "b": 0}),
        [
            lambda s: setattr(s, "got", tuple({**s.entries}.values())),
            lambda s: (s.entries.__setitem__("a", 1), s.entries.__setitem__("b", 1)),
        ],
        lambda s: s.got,
        {(0, 0), (1, 0), (1, 1)},
    ),
    "order under a lock": locked_writers(2),
    "four writers under a lock": locked_writers(4),
    "three slots": slots(3),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_has_these_outcomes(name: str) -> None:
    setup, threads, observe, expected = PROGRAMS[name]
    result = explore(setup, threads, observe)
    assert result.exhausted
    kinds = {"deadlock", "exception"}
    assert outcomes(result) == {value if value in kinds else repr(value) for value in expected}


@pytest.mark.parametrize(("name", "classes"), [("four writers under a lock", 24), ("three slots", 8)])
def test_each_order_that_matters_is_one_execution(name: str, classes: int) -> None:
    setup, threads, observe, expected = PROGRAMS[name]
    result = explore(setup, threads, observe)
    assert (result.num_explored, len(expected)) == (classes, classes)
