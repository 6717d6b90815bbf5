"""`frontrun.explore`: workers, strategies, and properties that need no invariant."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict, deque
from types import SimpleNamespace
from typing import Any

import frontrun
import pytest
from frontrun._snapshot import snapshot
from frontrun.dpor import explore_dpor


class Counter:
    def __init__(self) -> None:
        self.value = 0
        self.lock = threading.Lock()


def increment(counter: Counter) -> None:
    counter.value = counter.value + 1


def locked(counter: Counter) -> None:
    with counter.lock:
        counter.value = counter.value + 1


def test_one_worker_for_several_threads() -> None:
    result = frontrun.explore(Counter, increment, lambda c: c.value == 3, count=3, stop_on_first=False)
    assert (result.verdict, result.num_explored) == ("failed", 36)
    with pytest.raises(AssertionError, match="invariant"):
        result.assert_holds()
    frontrun.explore(Counter, locked, lambda c: c.value == 2, count=2).assert_holds()


def test_random_strategy_is_bounded_and_says_so() -> None:
    result = frontrun.explore(Counter, [locked, locked], lambda c: c.value == 2, strategy="random", seed=1)
    assert (result.verdict, result.num_explored, result.seed) == ("bounded", 200, 1)
    with pytest.raises(AssertionError, match="not proved"):
        result.assert_holds()
    result.assert_holds(allow_bounded=True)
    racy = frontrun.explore(Counter, increment, lambda c: c.value == 2, count=2, strategy="random", seed=1)
    assert racy.property_holds is False


@pytest.mark.parametrize("strategy", ["dpor", "random"])
def test_serializable_outcomes_need_no_invariant(strategy: Any) -> None:
    result = frontrun.explore(Counter, increment, count=2, serializable_invariant=True, strategy=strategy)
    assert (result.property_holds, result.failure_kind) == (False, "invariant")
    assert "no serial order" in result.failures[0].message
    assert "value=2" in result.failures[0].details
    safe = frontrun.explore(Counter, locked, count=2, serializable_invariant=True, strategy=strategy)
    assert safe.property_holds is (True if strategy == "dpor" else None)


def test_every_serial_order_is_right() -> None:
    def first(s: Any) -> None:
        with s.lock:
            s.log.append("first")

    def second(s: Any) -> None:
        with s.lock:
            s.log.append("second")

    def setup() -> Any:
        return SimpleNamespace(lock=threading.Lock(), log=[])

    result = frontrun.explore(setup, [first, second], serializable_invariant=True)
    assert (result.verdict, result.num_explored, len(result.outcomes)) == ("exhausted", 2, 2)


def test_observe_decides_what_is_compared() -> None:
    def setup() -> Any:
        return SimpleNamespace(n=0, seen=[])

    def look(s: Any) -> None:
        s.seen.append(s.n)
        s.n = 1

    compared = frontrun.explore(setup, look, count=2, serializable_invariant=True, observe=lambda s: s.n)
    assert compared.property_holds is True
    assert compared.outcomes.keys() == {"1"}
    everything = frontrun.explore(setup, look, count=2, serializable_invariant=True)
    assert everything.property_holds is False


def test_a_serial_order_that_fails_is_the_failure() -> None:
    def use(s: Any) -> None:
        s.made.clear()

    def make(s: Any) -> None:
        s.made = {}

    result = frontrun.explore(SimpleNamespace, [make, use], serializable_invariant=True)
    assert (result.failure_kind, result.num_explored) == ("exception", 1)


def test_too_many_serial_orders_are_refused() -> None:
    workers = [lambda c, n=n: setattr(c, "value", n) for n in range(7)]
    with pytest.raises(ValueError, match="serial orders"):
        frontrun.explore(Counter, workers, serializable_invariant=True)


@pytest.mark.parametrize("strategy", ["dpor", "random"])
def test_a_race_is_a_failure_on_request(strategy: Any) -> None:
    def write(counter: Counter) -> None:
        counter.value = 5

    result = frontrun.explore(Counter, write, count=2, error_on_any_race=True, strategy=strategy)
    assert (result.verdict, result.failure_kind, result.reproduced) == ("failed", "race", (10, 10))
    assert "Counter#1.value" in result.failures[0].message
    assert frontrun.explore(Counter, write, lambda c: c.value == 5, count=2).property_holds is True
    safe = frontrun.explore(Counter, locked, count=2, error_on_any_race=True)
    assert (safe.property_holds, safe.races_detected) == (True, 0)


@pytest.mark.parametrize(
    ("error", "options"),
    [
        (TypeError, {}),
        (TypeError, {"invariant": bool, "count": None}),
        (TypeError, {"invariant": bool, "seed": 1}),
        (TypeError, {"invariant": bool, "strategy": "random", "preemption_bound": 2}),
        (TypeError, {"invariant": bool, "workers": [increment], "count": 2}),
        (ValueError, {"invariant": bool, "strategy": "hope"}),
    ],
)
def test_arguments_that_make_no_sense_are_refused(error: type[Exception], options: dict[str, Any]) -> None:
    arguments = {"setup": Counter, "workers": increment, "count": 2, **options}
    with pytest.raises(error):
        frontrun.explore(**arguments)


def test_coroutine_functions_are_tasks() -> None:
    async def increment(counter: Counter) -> None:
        before = counter.value
        await asyncio.sleep(0)
        counter.value = before + 1

    result = frontrun.explore(Counter, increment, lambda counter: counter.value == 2, count=2, stop_on_first=False)
    assert (result.num_explored, len(result.failures)) == (4, 2)
    assert not frontrun.explore(Counter, increment, count=2, serializable_invariant=True).property_holds


def test_a_thread_does_not_drop_a_coroutine() -> None:
    async def increment(counter: Counter) -> None:
        counter.value += 1

    result = frontrun.explore(Counter, [lambda counter: increment(counter)], lambda counter: True)
    assert "returned a coroutine" in result.failures[0].message


def test_explore_dpor_takes_its_early_arguments_by_position() -> None:
    result = explore_dpor(
        Counter, [locked] * 2, lambda c: c.value == 2, None, None, 100_000, 5.0, True, True, 5.0, 10, 60.0
    )
    assert (result.verdict, result.num_explored) == ("exhausted", 2)


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self) -> None:
        self.a = 1


class Shy:
    def __init__(self, inside: object) -> None:
        self.inside = inside

    def __repr__(self) -> str:
        return "always the same"

    def __getattr__(self, name: str) -> object:
        raise RuntimeError(name)


def test_equal_contents_have_equal_snapshots() -> None:
    for make in (
        lambda: {"a": [1, (2.5, None)], "b": {3, 1, 2}},
        lambda: SimpleNamespace(lock=threading.Lock(), items=deque([Shy(1)])),
        Slotted,
        lambda: Shy(Shy(object())),
    ):
        assert snapshot(make()) == snapshot(make())
    assert snapshot({"a": 1, "b": 2}) == snapshot({"b": 2, "a": 1})


def test_different_contents_have_different_snapshots() -> None:
    shared: list[object] = []
    values: list[object] = [
        1,
        True,
        "1",
        [1],
        (1,),
        {1},
        frozenset({1}),
        {1: 1},
        Shy(1),
        Shy(2),
        Slotted(),
        deque([1]),
        None,
        OrderedDict(a=1, b=2),
        OrderedDict(b=2, a=1),
        {"a": 1, "b": 2},
        [shared, shared],
        [[], []],
        int,
        len,
    ]
    assert len({snapshot(value) for value in values}) == len(values)


def test_a_cycle_has_a_snapshot() -> None:
    cycle: list[object] = []
    cycle.append(cycle)
    assert snapshot(cycle) == "list([<#0>])"
