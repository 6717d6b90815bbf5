"""Bugs that need two preemptions at most are found by random executions, whatever the seed."""

from __future__ import annotations

import queue
import threading
from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import pytest
from frontrun.bytecode import explore_interleavings
from shares import share

Program = tuple[Any, list[Any], Any]
SEEDS = share(10)


def lost_update() -> Program:
    def add(s: Any) -> None:
        s.n = s.n + 1

    return lambda: SimpleNamespace(n=0), [add, add], lambda s: s.n == 2


def lost_update_of_three() -> Program:
    def add(s: Any) -> None:
        s.n += 1

    return lambda: SimpleNamespace(n=0), [add] * 3, lambda s: s.n == 3


def overdraft() -> Program:
    def withdraw(s: Any) -> None:
        if s.balance >= 80:
            s.balance -= 80

    return lambda: SimpleNamespace(balance=100), [withdraw, withdraw], lambda s: s.balance >= 0


def lazy_initialisation() -> Program:
    def get(s: Any) -> None:
        if s.cache is None:
            s.made += 1
            s.cache = object()

    return lambda: SimpleNamespace(cache=None, made=0), [get, get], lambda s: s.made == 1


def double_checked_without_second_check() -> Program:
    def get(s: Any) -> None:
        if s.cache is None:
            with s.lock:
                s.made += 1
                s.cache = 1

    return lambda: SimpleNamespace(cache=None, made=0, lock=threading.Lock()), [get, get], lambda s: s.made == 1


def locks_in_two_orders() -> Program:
    def one(s: Any) -> None:
        with s.a, s.b:
            pass

    def other(s: Any) -> None:
        with s.b, s.a:
            pass

    return lambda: SimpleNamespace(a=threading.Lock(), b=threading.Lock()), [one, other], lambda s: True


def three_philosophers() -> Program:
    def eat(seat: int) -> Any:
        def philosopher(forks: Any) -> None:
            with forks[seat], forks[(seat + 1) % 3]:
                pass

        return philosopher

    return lambda: [threading.Lock() for _ in range(3)], [eat(n) for n in range(3)], lambda s: True


def different_locks_for_one_thing() -> Program:
    def add(lock: str) -> Any:
        def adder(s: Any) -> None:
            with getattr(s, lock):
                s.n += 1

        return adder

    setup = lambda: SimpleNamespace(n=0, a=threading.Lock(), b=threading.Lock())  # noqa: E731
    return setup, [add("a"), add("b")], lambda s: s.n == 2


def atomic_parts_that_are_not_atomic_together() -> Program:
    def add(s: Any) -> None:
        with s.lock:
            before = s.n
        with s.lock:
            s.n = before + 1

    return lambda: SimpleNamespace(n=0, lock=threading.Lock()), [add, add], lambda s: s.n == 2


def dictionary_counter() -> Program:
    def count(d: Any) -> None:
        d["key"] += 1

    return lambda: defaultdict(int), [count, count], lambda d: d["key"] == 2


def check_then_insert() -> Program:
    def register(s: Any) -> None:
        if "key" not in s.d:
            s.inserted.append(1)
            s.d["key"] = 1

    return lambda: SimpleNamespace(d={}, inserted=[]), [register, register], lambda s: len(s.inserted) == 1


def pop_from_a_list_that_was_not_empty() -> Program:
    def take(items: Any) -> None:
        if items:
            items.pop()

    return lambda: [1], [take, take], lambda s: True


def iteration_while_it_changes() -> Program:
    def total(d: Any) -> None:
        for _ in d:
            pass

    def insert(d: Any) -> None:
        d["new"] = 1

    return lambda: {"a": 1, "b": 2}, [total, insert], lambda s: True


def wait_behind_an_if() -> Program:
    def consume(s: Any) -> None:
        with s.condition:
            if not s.items:
                s.condition.wait()
            s.items.pop()

    def produce(s: Any) -> None:
        with s.condition:
            s.items.append(1)
            s.condition.notify_all()

    setup = lambda: SimpleNamespace(items=[], condition=threading.Condition())  # noqa: E731
    return setup, [consume, consume, produce], lambda s: True


def lost_wakeup() -> Program:
    def wait(s: Any) -> None:
        with s.condition:
            s.condition.wait()

    def notify(s: Any) -> None:
        with s.condition:
            s.condition.notify()

    return lambda: SimpleNamespace(condition=threading.Condition()), [wait, notify], lambda s: True


def empty_queue_after_a_look() -> Program:
    def take(q: Any) -> None:
        if not q.empty():
            q.get_nowait()

    def setup() -> Any:
        made: Any = queue.Queue()
        made.put(1)
        return made

    return setup, [take, take], lambda s: True


def one_window_of_many() -> Program:
    def write(s: Any) -> None:
        for n in range(20):
            s.x = n

    def read(s: Any) -> None:
        s.seen = s.x

    return lambda: SimpleNamespace(x=None, seen=None), [write, read], lambda s: s.seen != 10


def torn_pair() -> Program:
    def move(s: Any) -> None:
        s.x = 1
        s.y = 1

    def look(s: Any) -> None:
        s.seen = (s.x, s.y)

    return lambda: SimpleNamespace(x=0, y=0, seen=None), [move, look], lambda s: s.seen in (None, (0, 0), (1, 1))


def value_that_came_back() -> Program:
    def flip(s: Any) -> None:
        s.x = "B"
        s.x = "A"

    def swap(s: Any) -> None:
        before = s.x
        s.between = s.x
        s.same = before == s.x

    setup = lambda: SimpleNamespace(x="A", between="A", same=True)  # noqa: E731
    return setup, [flip, swap], lambda s: not (s.same and s.between == "B")


def semaphore_with_one_permit_too_many() -> Program:
    def add(s: Any) -> None:
        with s.semaphore:
            s.n += 1

    return lambda: SimpleNamespace(n=0, semaphore=threading.Semaphore(2)), [add, add], lambda s: s.n == 2


PROGRAMS = [
    atomic_parts_that_are_not_atomic_together,
    check_then_insert,
    dictionary_counter,
    different_locks_for_one_thing,
    double_checked_without_second_check,
    empty_queue_after_a_look,
    iteration_while_it_changes,
    lazy_initialisation,
    locks_in_two_orders,
    lost_update,
    lost_update_of_three,
    lost_wakeup,
    one_window_of_many,
    overdraft,
    pop_from_a_list_that_was_not_empty,
    semaphore_with_one_permit_too_many,
    three_philosophers,
    torn_pair,
    value_that_came_back,
    wait_behind_an_if,
]


@pytest.mark.parametrize("program", PROGRAMS)
def test_it_is_found_with_every_seed(program: Any) -> None:
    setup, threads, invariant = program()
    missed = [
        seed
        for seed in SEEDS
        if explore_interleavings(setup, threads, invariant, seed=seed, reproduce_on_failure=0).property_holds
        is not False
    ]
    assert missed == []
