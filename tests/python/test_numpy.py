"""Arrays of NumPy are shared memory: what overlaps is in conflict, what does not commutes."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from frontrun.dpor import explore_dpor

Thread = Callable[[Any], object]


def values(state: Any) -> dict[str, Any]:
    return {name: value.tolist() if hasattr(value, "tolist") else value for name, value in vars(state).items()}


def explore(setup: Callable[[], Any], *threads: Thread) -> tuple[str, int, set[str]]:
    result = explore_dpor(
        setup,
        threads,
        lambda s: True,
        observe=values,
        stop_on_first=False,
        reproduce_on_failure=0,
    )
    return result.verdict, result.num_explored, result.outcomes.keys()


def arrays() -> SimpleNamespace:
    """Two arrays, views of the first one, a matrix, and a place for results."""
    a = np.zeros(6, dtype=int)
    return SimpleNamespace(a=a, left=a[:3], right=a[3:], b=np.ones(6, dtype=int), m=np.zeros((2, 2), dtype=int), r=None)


def fill_left(s: Any) -> None:
    s.left += 1


def fill_right(s: Any) -> None:
    s.right += 2


def set_item(s: Any) -> None:
    s.a[1] = 5


def set_slice(s: Any) -> None:
    s.a[:2] = 7


def add_into(s: Any) -> None:
    np.add(s.b[3:], 1, out=s.a[3:])


def add_whole(s: Any) -> None:
    np.add(s.a, 1, out=s.a)


def set_column(s: Any) -> None:
    s.m[:, 0] = 1


def set_other_column(s: Any) -> None:
    s.m[:, 1] = 2


def set_row(s: Any) -> None:
    s.m[0] = 3


def increment(s: Any) -> None:
    s.a[0] = s.a[0] + 1


def fill_method(s: Any) -> None:
    s.b.fill(4)


def copy_into(s: Any) -> None:
    s.a[:] = s.b


def every_other(s: Any) -> None:
    s.a[::2] += 1


def the_others(s: Any) -> None:
    s.a[1::2] += 1


def mask(s: Any) -> None:
    s.a[s.a == 0] = 9


def reading(read: Callable[[Any], Any]) -> Thread:
    def thread(s: Any) -> None:
        s.r = read(s)

    return thread


# Threads that touch different elements, or only read.
COMMUTING: dict[str, tuple[Thread, Thread]] = {
    "disjoint views": (fill_left, fill_right),
    "item and view": (set_item, fill_right),
    "slice and view": (set_slice, fill_right),
    "out and view": (add_into, fill_left),
    "out and slice": (add_into, set_slice),
    "columns": (set_column, set_other_column),
    "strides": (every_other, the_others),
    "item of another part": (set_item, reading(lambda s: s.a[2].item())),
    "two readers": (lambda s: s.a + s.b, lambda s: s.a - 1),
    "length": (set_item, reading(lambda s: len(s.a))),
    "making a view": (set_item, lambda s: s.a[1:3]),
    "different arrays": (set_item, fill_method),
}

# Threads that touch a common element.
CONFLICTING: dict[str, tuple[Thread, Thread]] = {
    "item and item": (set_item, reading(lambda s: s.a[1].item())),
    "item and sum": (set_item, reading(lambda s: s.a.sum().item())),
    "item and operator": (set_item, reading(lambda s: (s.a + 1).tolist())),
    "item and sign": (set_item, reading(lambda s: (-s.a).tolist())),
    "item and built-in function": (set_item, reading(lambda s: abs(s.a).tolist())),
    "item and remainders": (set_item, reading(lambda s: divmod(s.a, 2)[1].tolist())),
    "item and list": (set_item, reading(lambda s: list(map(int, s.a)))),
    "item and comparison": (set_item, reading(lambda s: (s.a == 5).tolist())),
    "item and truth": (set_item, reading(lambda s: bool(s.a[1:2]))),
    "item and text": (set_item, reading(lambda s: f"{s.a}")),
    "item and function": (set_item, reading(lambda s: np.sum(s.a).item())),
    "item and fancy index": (set_item, reading(lambda s: s.a[[0, 1]].tolist())),
    "item and mask": (set_item, mask),
    "view and slice": (fill_left, set_slice),
    "view and out": (fill_right, add_into),
    "whole and view": (add_whole, fill_left),
    "row and column": (set_row, set_column),
    "method and source": (fill_method, copy_into),
    "source and slice": (fill_method, reading(lambda s: s.b.tolist())),
}


@pytest.mark.parametrize("name", COMMUTING)
def test_different_elements_commute(name: str) -> None:
    verdict, executions, outcomes = explore(arrays, *COMMUTING[name])
    assert (verdict, executions, len(outcomes)) == ("exhausted", 1, 1)


@pytest.mark.parametrize("name", CONFLICTING)
def test_common_elements_conflict(name: str) -> None:
    first, second = CONFLICTING[name]
    serial = set()
    for order in ((first, second), (second, first)):
        state = arrays()
        for thread in order:
            thread(state)
        serial.add(repr(values(state)))
    verdict, executions, outcomes = explore(arrays, first, second)
    assert verdict == "exhausted"
    assert executions >= 2
    assert serial <= outcomes


def test_an_update_of_an_element_is_lost() -> None:
    verdict, _, outcomes = explore(lambda: SimpleNamespace(a=np.zeros(3)), increment, increment)
    assert (verdict, outcomes) == ("exhausted", {"{'a': [1.0, 0.0, 0.0]}", "{'a': [2.0, 0.0, 0.0]}"})


def test_halves_of_a_large_array_commute() -> None:
    def half(start: int) -> Thread:
        def thread(s: Any) -> None:
            s.a[start : start + 50_000] += 1

        return thread

    result = explore_dpor(
        lambda: SimpleNamespace(a=np.zeros(100_000)),
        [half(0), half(50_000)],
        lambda s: bool((s.a == 1).all()),
    )
    assert (result.verdict, result.num_explored) == ("exhausted", 1)


def test_memory_of_a_bytearray_is_shared_with_its_array() -> None:
    def setup() -> SimpleNamespace:
        buffer = bytearray(4)
        return SimpleNamespace(buffer=buffer, a=np.frombuffer(buffer, dtype=np.uint8), r=None)

    def write(s: Any) -> None:
        s.buffer[0] = 1

    verdict, executions, _ = explore(setup, write, reading(lambda s: s.a[0].item()))
    assert (verdict, executions) == ("exhausted", 2)
