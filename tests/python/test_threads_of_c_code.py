"""Threads and tasks of pools whose function is written in C: the call is a step, although no code in scope makes it."""

from __future__ import annotations

import _thread
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from frontrun.dpor import explore_dpor


def by_threads(box: list[int], *functions: Any) -> None:
    threads = [threading.Thread(target=function, args=(number,)) for number, function in enumerate(functions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def by_timers(box: list[int], *functions: Any) -> None:
    timers = [threading.Timer(0.5, function, [number]) for number, function in enumerate(functions)]
    for timer in timers:
        timer.start()
    for timer in timers:
        timer.join()


def by_raw_threads(box: list[int], *functions: Any) -> None:
    for number, function in enumerate(functions):
        _thread.start_new_thread(function, (number,))
    while len(box) < len(functions):
        time.sleep(0.01)


def by_pool(box: list[int], *functions: Any) -> None:
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        one.submit(functions[0], 0)
        other.submit(functions[1], 1)


@pytest.mark.parametrize("start", [by_threads, by_timers, by_raw_threads, by_pool])
def test_appending_has_two_orders(start: Any) -> None:
    result = explore_dpor(
        list, [lambda box: start(box, box.append, box.append)], lambda box: True, observe=list, stop_on_first=False
    )
    assert (result.verdict, set(result.outcomes)) == ("exhausted", {"[0, 1]", "[1, 0]"})


class Appending:
    """A callable object."""

    def __init__(self, box: list[int]) -> None:
        self.box = box

    def __call__(self, number: int) -> None:
        self.box.append(number)


@pytest.mark.parametrize("wrap", [lambda box: partial(box.append), Appending])
def test_what_calls_it_makes_no_difference(wrap: Any) -> None:
    result = explore_dpor(
        list, [lambda box: by_threads(box, wrap(box), box.append)], lambda box: True, observe=list, stop_on_first=False
    )
    assert (result.verdict, set(result.outcomes)) == ("exhausted", {"[0, 1]", "[1, 0]"})


def test_threads_that_are_given_c_functions_by_the_call() -> None:
    """The functions of `explore_dpor` get the state themselves."""
    box: list[Any] = []
    result = explore_dpor(lambda: 7, [box.append, box.append], lambda _: box == [7, 7], stop_on_first=False)
    assert (result.verdict, result.num_explored) == ("exhausted", 2)
