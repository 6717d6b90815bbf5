"""All orders at markers, against brute force that shares nothing with the search but the words."""

from __future__ import annotations

import asyncio
import builtins
import random
import re
import threading
import time
from collections import Counter as Multiset
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from frontrun.common import InterleavingResult, Schedule, ScheduleError, Step
from frontrun.trace_markers import (
    TraceExecutor,
    all_marker_schedules,
    explore_marker_interleavings,
    marker_schedule_strategy,
)
from hypothesis import given, settings
from shares import share


class Counter:
    def __init__(self) -> None:
        self.value = 0
        self.lock = threading.Lock()

    def increment(self) -> None:
        temp = self.value  # frontrun: read_value
        temp += 1
        self.value = temp  # frontrun: write_value

    def increment_locked(self) -> None:
        with self.lock:
            self.increment()

    async def increment_async(self) -> None:
        # frontrun: read_value
        temp = await self.get()
        # frontrun: write_value
        self.value = temp + 1

    async def get(self) -> int:
        await asyncio.sleep(0)
        return self.value


MARKERS = ["read_value", "write_value"]


def explore(work: Callable[[Counter], object], names: str = "ab", **options: Any) -> InterleavingResult:
    return explore_marker_interleavings(
        Counter,
        dict.fromkeys(names, (work, MARKERS)),
        lambda c: c.value == len(names),
        **{"stop_on_first": False, "observe": lambda c: c.value, **options},
    )


@pytest.mark.parametrize("work", [Counter.increment, Counter.increment_async])
def test_two_increments_have_six_orders_of_which_four_lose_an_update(work: Callable[[Counter], object]) -> None:
    result = explore(work)
    assert (result.verdict, result.num_explored, result.exhausted) == ("failed", 6, True)
    assert result.outcomes == {"1": 4, "2": 2}
    assert result.reproduced == (10, 10)
    assert {failure.kind for failure in result.failures} == {"invariant"}
    with pytest.raises(AssertionError, match=r"1 a passes marker read_value \(test_marker_exploration.py:"):
        result.assert_holds()


def test_a_counterexample_is_a_schedule_that_fails_again() -> None:
    result = explore(Counter.increment, stop_on_first=True)
    schedule = result.counterexample
    assert isinstance(schedule, Schedule)
    counter = Counter()
    TraceExecutor(schedule).run({"a": counter.increment, "b": counter.increment})
    assert counter.value == 1


def test_what_a_lock_forbids_is_not_run_and_does_not_fail() -> None:
    result = explore(Counter.increment_locked)
    result.assert_holds()
    # Who starts first takes the lock; the other can start before, between and after its two markers.
    assert result.num_explored == 6
    assert result.outcomes == {"2": 6}


def test_a_deadlock_is_found() -> None:
    def setup() -> list[threading.Lock]:
        return [threading.Lock(), threading.Lock()]

    def work(first: int) -> Callable[[list[threading.Lock]], None]:
        def run(locks: list[threading.Lock]) -> None:
            # frontrun: outer
            with locks[first]:
                # frontrun: inner
                locks[1 - first].acquire()
                locks[1 - first].release()

        return run

    threads = {name: (work(at), ["outer", "inner"]) for at, name in enumerate("ab")}
    result = explore_marker_interleavings(setup, threads, lambda _: True, stop_on_first=False)
    assert result.verdict == "failed"
    assert {failure.kind for failure in result.failures} == {"deadlock"}
    # Both hold one lock, in either order of the outer and in either order of the inner markers.
    assert len(result.failures) == 4
    assert "that b holds" in (result.explanation or "")


def test_exceptions_of_threads_and_of_the_invariant_are_failures() -> None:
    def check_then_act(stock: list[int]) -> None:
        if stock:  # frontrun: check
            stock.pop()  # frontrun: act

    threads = {name: (check_then_act, ["check", "act"]) for name in "ab"}
    result = explore_marker_interleavings(lambda: [1], threads, lambda _: True, stop_on_first=False)
    # Once one has acted, the other does not come to its second marker: 4 orders with both checks first, 2 without.
    assert (result.num_explored, len(result.failures)) == (6, 4)
    assert {failure.kind for failure in result.failures} == {"exception"}
    assert "IndexError: pop from empty list" in result.failures[0].message
    result = explore_marker_interleavings(lambda: [1, 2], threads, lambda s: s[5], reproduce_on_failure=2)
    assert (result.failure_kind, result.num_explored, result.reproduced) == ("invariant", 1, (2, 2))


def test_a_marker_that_no_order_reaches_is_an_error() -> None:
    result = explore_marker_interleavings(
        Counter, {"a": (Counter.increment, [*MARKERS, "wirte_value"])}, lambda _: True
    )
    assert (result.verdict, result.property_holds) == ("error", None)
    assert result.explanation == "a never came to marker wirte_value"


def test_only_the_given_markers_count() -> None:
    threads = {name: (Counter.increment, ["read_value"]) for name in "ab"}
    result = explore_marker_interleavings(Counter, threads, lambda c: c.value == 2)
    assert (result.verdict, result.num_explored) == ("exhausted", 2)


def test_budgets_are_said() -> None:
    result = explore(Counter.increment, "abc", max_executions=5, stop_on_first=False)
    assert (result.num_explored, result.exhausted, result.bounded_by) == (5, False, "max_executions")
    result = explore_marker_interleavings(
        Counter, dict.fromkeys("abc", (Counter.increment, MARKERS)), lambda _: True, total_timeout=0.0
    )
    assert (result.verdict, result.bounded_by, result.property_holds) == ("bounded", "total_timeout", None)


def test_an_execution_that_does_not_end_is_a_hang() -> None:
    def work(_: Counter) -> None:
        time.sleep(60)  # frontrun: sleep

    threads = {"a": (work, ["sleep"])}
    killed = explore_marker_interleavings(Counter, threads, lambda _: True, timeout=0.5, reproduce_on_failure=0)
    assert (killed.failure_kind, killed.reproduced) == ("hang", None)
    given_up = explore_marker_interleavings(
        Counter, threads, lambda _: True, deadlock_timeout=0.3, reproduce_on_failure=0
    )
    assert given_up.failure_kind == "hang"
    assert "a runs and has not come to a marker: test_marker_exploration.py:" in (given_up.explanation or "")


def test_nothing_that_an_execution_does_is_left() -> None:
    seen: list[int] = []

    def work(_: Counter) -> None:
        seen.append(1)  # frontrun: append

    result = explore_marker_interleavings(Counter, {n: (work, ["append"]) for n in "ab"}, lambda _: len(seen) == 2)
    assert (result.verdict, result.num_explored, seen) == ("exhausted", 2, [])


@pytest.mark.parametrize(("names", "count", "orders"), [("ab", 4, 70), ("abc", 2, 90), ("abcd", 1, 24)])
def test_every_order_runs_once(names: str, count: int, orders: int) -> None:
    def work(name: str) -> Callable[[list[str]], None]:
        def run(log: list[str]) -> None:
            for _ in range(count):
                log.append(name)  # frontrun: append

        return run

    threads = {name: (work(name), ["append"]) for name in names}
    result = explore_marker_interleavings(list, threads, lambda _: True, observe="".join)
    listed = all_marker_schedules({name: ["append"] * count for name in names})
    assert (result.verdict, result.num_explored, len(listed)) == ("exhausted", orders, orders)
    assert set(result.outcomes.values()) == {1}
    assert set(result.outcomes) == {repr("".join(step.execution_name for step in s.steps)) for s in listed}


def test_the_readme_shows_what_happens(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    source = next(block for block in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "TraceExecutor" in block)
    file = tmp_path / "test_counter.py"
    file.write_text(source)
    scope: dict[str, Any] = {}
    exec(compile(source, str(file), "exec"), scope)
    scope["test_this_order_loses_an_update"]()
    with pytest.raises(AssertionError) as raised:
        scope["test_no_order_loses_an_update"]()
    # How many executions run beside the failing one depends on the number of cores.
    shown = str(raised.value).split("executions")[1]
    assert shown in readme
    with pytest.raises(ScheduleError) as cannot:
        TraceExecutor(Schedule([Step("a", "read_value"), Step("a", "wirte_value")])).run(
            {"a": scope["Counter"]().increment}
        )
    assert str(cannot.value) in readme.replace("\nafter", " after")


class TestSchedules:
    def test_all_are_listed_once_and_keep_the_order_of_each_thread(self) -> None:
        listed = all_marker_schedules({"a": ["x", "y"], "b": ["z"]})
        assert [" ".join(f"{s.execution_name}.{s.marker_name}" for s in schedule.steps) for schedule in listed] == [
            "a.x a.y b.z",
            "a.x b.z a.y",
            "b.z a.x a.y",
        ]
        assert all_marker_schedules({}) == []

    @settings(max_examples=20, deadline=None)
    @given(marker_schedule_strategy({"a": MARKERS, "b": MARKERS}))
    def test_hypothesis_draws_them(self, schedule: Schedule) -> None:
        counter = Counter()
        TraceExecutor(schedule).run({"a": counter.increment, "b": counter.increment})
        names = [step.execution_name for step in schedule.steps]
        assert counter.value == (2 if names[0] == names[1] else 1)

    def test_without_hypothesis_there_is_a_clear_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        real = builtins.__import__

        def refuse(name: str, *args: Any) -> Any:
            if name == "hypothesis":
                raise ImportError(name)
            return real(name, *args)

        monkeypatch.setattr(builtins, "__import__", refuse)
        with pytest.raises(ImportError, match="pip install hypothesis"):
            marker_schedule_strategy({"a": MARKERS})


# Random programs. Each is generated twice: as functions with markers, and as generators that brute force drives.

Block = list[Any]


def random_block(draw: random.Random, depth: int) -> Block:
    block: Block = []
    for _ in range(draw.randint(1, 2)):
        variable, lock = draw.choice("xy"), draw.choice("LM")
        kind = draw.choice(["read", "write", "add", "lock", "if"] if depth else ["read", "write", "add"])
        if draw.random() < 0.7:
            block.append(("marker",))
        if kind == "lock":
            block.append(("lock", lock, random_block(draw, depth - 1)))
        elif kind == "if":
            block.append(("if", variable, random_block(draw, depth - 1)))
        else:
            block.append((kind, variable))
    return block


def render(block: Block, as_generator: bool, indent: int) -> Iterator[str]:
    pad = "    " * indent
    for kind, *rest in block:
        if kind == "marker":
            yield pad + ("yield None" if as_generator else "# frontrun: m")
        elif kind == "read":
            yield f"{pad}r = s.{rest[0]}"
        elif kind == "write":
            yield f"{pad}s.{rest[0]} = 2 * r + n"
        elif kind == "add":
            yield f"{pad}s.{rest[0]} += n"
        elif kind == "if":
            yield f"{pad}if s.{rest[0]} % 2:"
            yield from render(rest[1], as_generator, indent + 1)
        elif as_generator:
            yield f"{pad}while s.{rest[0]}: yield {rest[0]!r}"
            yield f"{pad}s.{rest[0]} = True"
            yield from render(rest[1], as_generator, indent)
            yield f"{pad}s.{rest[0]} = False"
        else:
            yield f"{pad}with s.{rest[0]}:"
            yield from render(rest[1], as_generator, indent + 1)


def compile_program(blocks: list[Block], as_generator: bool, directory: Any) -> list[Callable[..., Any]]:
    lines = []
    for at, block in enumerate(blocks):
        first = "    yield None" if as_generator else "    # frontrun: m"
        lines += [f"def t{at}(s, n={at + 1}):", first, "    r = 0", *render(block, as_generator, 1), "    r = 1"]
    file = directory / f"program_{as_generator}.py"
    file.write_text("\n".join(lines) + "\n")
    scope: dict[str, Any] = {}
    exec(compile(file.read_text(), str(file), "exec"), scope)
    return [scope[f"t{at}"] for at in range(len(blocks))]


class Shared:
    def __init__(self, lock: Callable[[], Any]) -> None:
        self.x, self.y = 1, 0
        self.L, self.M = lock(), lock()


def brute_force(functions: list[Callable[..., Any]], most: int) -> Multiset[str] | None:
    """Count the outcomes of all orders, deadlocks included; ``None`` when there are more than ``most`` orders."""
    outcomes: Multiset[str] = Multiset()
    orders: list[list[int]] = [[]]
    while orders:
        order = orders.pop()
        state = Shared(lambda: False)
        running = [function(state) for function in functions]
        waits = {at: next(thread) for at, thread in enumerate(running)}
        taken = 0
        while enabled := [at for at, lock in waits.items() if lock is None or not getattr(state, lock)]:
            if taken == len(order):
                orders += [[*order, at] for at in enabled[1:]]
                order.append(enabled[0])
            at = order[taken]
            taken += 1
            try:
                waits[at] = next(running[at])
            except StopIteration:
                del waits[at]
        outcomes["deadlock" if waits else repr((state.x, state.y))] += 1
        if outcomes.total() + len(orders) > most:
            return None
    return outcomes


@pytest.mark.parametrize("seed", share(120))
def test_random_programs_have_the_orders_and_outcomes_of_brute_force(seed: int, tmp_path: Any) -> None:
    draw = random.Random(seed)
    expected = None
    while expected is None:
        blocks = [random_block(draw, 2) for _ in range(draw.choice([2, 2, 3]))]
        expected = brute_force(compile_program(blocks, True, tmp_path), 80)
    functions = compile_program(blocks, False, tmp_path)
    result = explore_marker_interleavings(
        lambda: Shared(threading.Lock),
        {f"t{at}": (function, ["m"]) for at, function in enumerate(functions)},
        lambda _: True,
        stop_on_first=False,
        reproduce_on_failure=1,
        observe=lambda s: (s.x, s.y),
    )
    deadlocks = sum(failure.kind == "deadlock" for failure in result.failures)
    assert len(result.failures) == deadlocks == expected.pop("deadlock", 0)
    assert result.outcomes == dict(expected)
    assert result.num_explored == expected.total() + deadlocks
    assert result.exhausted
    assert result.reproduced == ((1, 1) if deadlocks else None)
