"""Schedules over given markers: all of them, or drawn by Hypothesis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from .common import Schedule, Step

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy


def all_marker_schedules(threads: Mapping[str, Sequence[str]]) -> list[Schedule]:
    """Return every order in which threads can pass their markers, of which each passes its own in the given order.

    :param threads: the markers of each thread, by name.
    """
    counts = {name: len(markers) for name, markers in threads.items()}
    return [_schedule(order, threads) for order in _orders(counts, sum(counts.values())) if order]


def marker_schedule_strategy(threads: Mapping[str, Sequence[str]]) -> SearchStrategy[Schedule]:
    """Return a Hypothesis strategy for the orders in which threads can pass their markers.

    :param threads: the markers of each thread, by name.
    :raises ImportError: when Hypothesis is not installed.
    """
    try:
        from hypothesis import strategies
    except ImportError as error:
        message = "marker_schedule_strategy needs Hypothesis, which is not installed: pip install hypothesis"
        raise ImportError(message) from error
    names = [name for name, markers in threads.items() for _ in markers]
    return strategies.permutations(names).map(lambda order: _schedule(order, threads))


def _orders(counts: dict[str, int], left: int) -> Iterator[list[str]]:
    """Yield every list that has each name as often as its count says."""
    if left == 0:
        yield []
    for name, count in counts.items():
        if count > 0:
            for rest in _orders({**counts, name: count - 1}, left - 1):
                yield [name, *rest]


def _schedule(order: Iterable[str], threads: Mapping[str, Sequence[str]]) -> Schedule:
    """Give the n-th occurrence of each name the n-th of its markers."""
    markers = {name: iter(own) for name, own in threads.items()}
    return Schedule([Step(name, next(markers[name])) for name in order])
