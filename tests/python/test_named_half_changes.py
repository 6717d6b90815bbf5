"""Programs by name in which one thread meets what another has half done: each with its outcomes and number of classes.

What all serial orders end with comes beside, so that it is seen which outcomes are the bug. The classes are counted by
hand: a reader's one call in C code is one step, and one that calls back is a step before, between and after callbacks.
Each of these counts as if it looked at the whole list, for nobody looks into C code.
"""

from __future__ import annotations

import functools
import math
import weakref
from collections import defaultdict
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from frontrun.dpor import explore_dpor

State = Any
Thread = Callable[[State], object]


def having(**made: Callable[[], Any]) -> Callable[[], State]:
    return lambda: SimpleNamespace(result=None, x=0, **{name: make() for name, make in made.items()})


def keeping(function: Thread) -> Thread:
    return lambda s: setattr(s, "result", function(s))


def result(s: State) -> Any:
    return s.result


def put_two(name: str, first: tuple[Any, Any], second: tuple[Any, Any]) -> Thread:
    """Change two elements, one after the other."""

    def thread(s: State) -> None:
        getattr(s, name)[first[0]] = first[1]
        getattr(s, name)[second[0]] = second[1]

    return thread


def add(one: int, other: int) -> int:
    return one + other


def same(value: int) -> int:
    return value


def smallest_after_sorting(s: State) -> int:
    s.items.sort()
    return s.items[0]  # type: ignore[no-any-return]


def rename_and_renumber(s: State) -> None:
    s.keys[0] = "b"
    s.values[0] = 2


def increment_entry(s: State) -> None:
    s.entries["k"] += 1


def merge_entry(s: State) -> None:
    s.entries |= {"k": 10}


def remember_weakly(s: State) -> None:
    reference = weakref.ref(s.object)
    value = reference().value  # type: ignore[union-attr]
    s.object.value = value + 1


def assign(s: State) -> None:
    s.object.value = 5


class Counter:
    """What a weak reference can lead to."""

    value = 0


class Lazy:
    """What is computed when it is first asked for, without a lock in any version of the standard library."""

    def __init__(self) -> None:
        self.computed = 0
        self.kept: int | None = None

    @property
    def value(self) -> int:
        if self.kept is None:
            self.computed += 1
            self.kept = 7
        return self.kept


def append_length() -> Any:
    items: list[int] = []

    def append() -> None:
        items.append(len(items))

    return SimpleNamespace(append=append, items=items)


def missing_entry(s: State) -> None:
    s.counts["k"] += 1


# What is shared, the two threads, what is observed, what serial orders end with, what comes besides, and the classes.
PROGRAMS: dict[str, tuple[Callable[[], State], list[Thread], Callable[[State], Any], set[Any], set[Any], int]] = {
    # Three steps that look at the list and two stores, each in every order with each.
    "reduce": (
        having(items=lambda: [1, 2, 3]),
        [keeping(lambda s: functools.reduce(add, s.items)), put_two("items", (0, 10), (2, 30))],
        result,
        {6, 42},
        {15, 33},
        math.comb(5, 2),
    ),
    "slice of bytes": (
        having(data=lambda: bytearray(b"ab")),
        [keeping(lambda s: bytes(s.data[:])), put_two("data", (0, 120), (1, 121))],
        result,
        {b"ab", b"xy"},
        {b"xb"},
        3,
    ),
    # The other thread comes before the sort, after the look, or between them.
    "sort and reverse": (
        having(items=lambda: [2, 3, 1]),
        [keeping(smallest_after_sorting), lambda s: s.items.reverse()],
        result,
        {1},
        {3},
        3,
    ),
    "lazy map": (
        having(items=lambda: [1, 2]),
        [keeping(lambda s: tuple(map(same, s.items))), put_two("items", (0, 10), (1, 20))],
        result,
        {(1, 2), (10, 20)},
        {(10, 2), (1, 20)},
        math.comb(5, 2),
    ),
    "lazy filter": (
        having(items=lambda: [1, 2]),
        [keeping(lambda s: tuple(filter(lambda v: v > 0, s.items))), put_two("items", (0, 0), (1, -1))],
        result,
        {(1, 2), ()},
        {(2,), (1,)},
        math.comb(5, 2),
    ),
    "zip": (
        having(keys=lambda: ["a"], values=lambda: [1]),
        [keeping(lambda s: dict(zip(s.keys, s.values, strict=True))), rename_and_renumber],
        lambda s: tuple(s.result.items()),
        {(("a", 1),), (("b", 2),)},
        {(("b", 1),)},
        3,
    ),
    "join": (
        having(items=lambda: ["a", "b"]),
        [keeping(lambda s: "".join(s.items)), put_two("items", (0, "x"), (1, "y"))],
        result,
        {"ab", "xy"},
        {"xb"},
        3,
    ),
    "starred unpacking": (
        having(items=lambda: [1, 2, 3]),
        [keeping(lambda s: [*s.items]), put_two("items", (0, 10), (2, 30))],
        lambda s: tuple(s.result),
        {(1, 2, 3), (10, 2, 30)},
        {(10, 2, 3)},
        3,
    ),
    # The merge writes the entry and then the attribute. The entry is written before it is read, after it is written, or
    # between; before that, the attribute is written before or after the other thread has read it.
    "merge and store": (
        having(entries=lambda: {"k": 0}),
        [increment_entry, merge_entry],
        lambda s: s.entries["k"],
        {10, 11},
        {1},
        4,
    ),
    "weak reference": (
        having(object=Counter),
        [remember_weakly, assign],
        lambda s: s.object.value,
        {6, 5},
        {1},
        3,
    ),
    "missing entry": (
        having(counts=lambda: defaultdict(int)),
        [missing_entry, missing_entry],
        lambda s: s.counts["k"],
        {2},
        {1},
        6,
    ),
    # Counted by a program that runs all orders of these reads and writes.
    "lazy property": (Lazy, [lambda s: s.value] * 2, lambda s: s.computed, {1}, {2}, 18),
    "list of a closure": (
        append_length,
        [lambda s: s.append()] * 2,
        lambda s: tuple(s.items),
        {(0, 1)},
        {(0, 0)},
        4,
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_comes_of_half_a_change(name: str) -> None:
    setup, threads, observe, serial, torn, classes = PROGRAMS[name]
    result = explore_dpor(setup, threads, lambda s: True, observe=observe, stop_on_first=False, reproduce_on_failure=0)
    assert (result.verdict, set(result.outcomes)) == ("exhausted", {repr(value) for value in serial | torn})
    assert result.num_explored == classes


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_is_found_as_a_failure(name: str) -> None:
    setup, threads, observe, serial, _, _ = PROGRAMS[name]
    result = explore_dpor(setup, threads, lambda s: observe(s) in serial)
    assert (result.verdict, result.property_holds, result.failures[0].kind) == ("failed", False, "invariant")
    assert result.reproduction_successes == result.reproduction_attempts > 0
