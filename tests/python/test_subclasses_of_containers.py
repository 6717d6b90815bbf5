"""A class that inherits from a container of C code, and leaves an operation to it, is that container there."""

from __future__ import annotations

import functools
from array import array
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from frontrun.dpor import explore_dpor

Step = Callable[[Any], object]


class Queue(deque[int]):
    pass


class Numbers(array):  # type: ignore[type-arg]
    pass


class Table(defaultdict[str, int]):
    pass


class Fixed(defaultdict[str, int]):
    def __missing__(self, key: str) -> int:
        return 7


class Bound(functools.partial[int]):
    pass


class Both(deque[int]):
    """Has an operation of its own, which works on an attribute, and inherits the others."""

    def __init__(self) -> None:
        super().__init__([1])
        self.got = 0

    def __getitem__(self, index: Any) -> int:
        return self.got


def increment(s: Any) -> None:
    s.c[0] += 1


def count(s: Any) -> None:
    s.c["k"] += 1


def get(s: Any) -> None:
    assert s.c["k"] in (0, 7)


def look(s: Any) -> None:
    s.got = len(s.c)


def state(container: Any) -> Any:
    return SimpleNamespace(c=container, got=None)


def bound() -> Any:
    items: list[int] = []
    return SimpleNamespace(items=items, length=Bound(len, items), got=None)


# What makes the state, the threads, what is observed, and every outcome with the number of executions that have it.
PROGRAMS: dict[str, tuple[Callable[[], Any], list[Step], Step, dict[str, int]]] = {
    "increments in a deque": (lambda: state(Queue([1])), [increment] * 2, lambda s: s.c[0], {"2": 2, "3": 2}),
    "length of a deque": (
        lambda: state(Queue()),
        [lambda s: s.c.append(1), look],
        lambda s: s.got,
        {"0": 1, "1": 1},
    ),
    "increments in an array": (
        lambda: state(Numbers("i", [1])),
        [increment] * 2,
        lambda s: s.c[0],
        {"2": 2, "3": 2},
    ),
    "a missing entry is made": (lambda: state(Table(int)), [get, look], lambda s: s.got, {"0": 1, "1": 1}),
    "a missing entry is not made": (lambda: state(Fixed(int)), [get, look], lambda s: (s.got, len(s.c)), {"(0, 0)": 1}),
    "a call of a partial object": (
        bound,
        [lambda s: s.items.append(1), lambda s: setattr(s, "got", s.length())],
        lambda s: s.got,
        {"0": 1, "1": 1},
    ),
    "an operation that is overridden": (
        lambda: state(Both()),
        [lambda s: setattr(s.c, "got", 5), lambda s: setattr(s, "got", s.c[0])],
        lambda s: s.got,
        {"0": 1, "5": 1},
    ),
    # The lookup is one read, whether the entry is there or `__missing__` answers.
    "counting in a counter": (lambda: state(Counter()), [count] * 2, lambda s: s.c["k"], {"1": 2, "2": 2}),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_has_every_outcome(name: str) -> None:
    setup, threads, observe, outcomes = PROGRAMS[name]
    result = explore_dpor(setup, threads, lambda s: True, observe=observe, stop_on_first=False, reproduce_on_failure=0)
    assert (result.verdict, result.outcomes) == ("exhausted", outcomes)
