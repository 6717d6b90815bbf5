"""C code that calls back into Python is atomic only between its callbacks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from frontrun.dpor import explore_dpor


class Equal:
    """Compares by Python code."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return self.value == other

    __hash__ = None  # type: ignore[assignment]


def two() -> Iterator[int]:
    yield 1
    yield 2


# Values, what one thread does, what the other does, and every outcome: the first's result and the list.
PROGRAMS: dict[str, tuple[list[Any], Callable[[Any], Any], Callable[[Any], Any], set[str]]] = {
    "reduce": (
        [1, 2, 3],
        lambda s: functools.reduce(lambda total, value: total + value, s.values),
        lambda s: s.values.__setitem__(2, 10),
        {"(6, [1, 2, 10])", "(13, [1, 2, 10])"},
    ),
    "map": (
        [1, 2],
        lambda s: list(map(lambda value: value, s.values)),  # noqa: C417
        lambda s: s.values.append(3),
        {"([1, 2], [1, 2, 3])", "([1, 2, 3], [1, 2, 3])"},
    ),
    "sort": (
        [2, 1],
        lambda s: s.values.sort(key=lambda value: value),
        lambda s: s.values.append(3),
        {"('ValueError', [1, 2])", "(None, [1, 2, 3])"},
    ),
    "membership": (
        [Equal(1), Equal(2)],
        lambda s: 2 in s.values,
        lambda s: s.values.clear(),
        {"(True, [])", "(False, [])"},
    ),
    "extend": (
        [0],
        lambda s: s.values.extend(two()),
        lambda s: s.values.append(9),
        {"(None, [0, 1, 2, 9])", "(None, [0, 1, 9, 2])", "(None, [0, 9, 1, 2])"},
    ),
    "max": (
        [1, 2],
        lambda s: max(s.values, key=lambda value: -value),
        lambda s: s.values.append(0),
        {"(0, [1, 2, 0])", "(1, [1, 2, 0])"},
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_other_threads_run_between_callbacks(name: str) -> None:
    values, first, second, expected = PROGRAMS[name]

    def attempt(shared: Any) -> None:
        try:
            shared.result = first(shared)
        except ValueError as error:
            shared.result = type(error).__name__

    result = explore_dpor(
        lambda: SimpleNamespace(values=list(values), result=None),
        [attempt, second],
        lambda shared: True,
        observe=lambda shared: (shared.result, shared.values),
        stop_on_first=False,
    )
    assert (set(result.outcomes), result.verdict) == (expected, "exhausted")


def test_a_generator_that_ends_is_running_until_then() -> None:
    def generator(shared: Any) -> Iterator[None]:
        yield
        shared.last += 1

    def setup() -> Any:
        shared = SimpleNamespace(last=0, results=[None, None])
        shared.generator = generator(shared)
        next(shared.generator)
        return shared

    def resume(number: int) -> Callable[[Any], None]:
        def thread(shared: Any) -> None:
            try:
                shared.results[number] = next(shared.generator, "end")
            except ValueError:
                shared.results[number] = "already executing"

        return thread

    result = explore_dpor(
        setup,
        [resume(0), resume(1)],
        lambda shared: True,
        observe=lambda shared: shared.results,
        stop_on_first=False,
    )
    assert set(result.outcomes) == {"['end', 'end']", "['end', 'already executing']", "['already executing', 'end']"}
