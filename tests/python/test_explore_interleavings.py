"""`explore_interleavings`: seeds, samplers, honest verdicts, and what it finds."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from frontrun.bytecode import SAMPLERS, InterleavingResult, explore_interleavings


class Counter:
    def __init__(self, value: int = 0) -> None:
        self.value = value

    def increment(self) -> None:
        temp = self.value
        self.value = temp + 1


class Locked(Counter):
    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()

    def increment(self) -> None:
        with self.lock:
            super().increment()


def sample(
    setup: Callable[[], Any] = Counter, count: int = 2, holds: Callable[[Any], object] | None = None, **options: Any
) -> InterleavingResult:
    threads = [lambda c: c.increment()] * count
    invariant = holds or (lambda c: c.value == count)
    return explore_interleavings(setup, threads, invariant, **{"reproduce_on_failure": 0, "seed": 1, **options})


def test_a_lost_update_is_found_explained_and_reproduced() -> None:
    result = sample(reproduce_on_failure=5)
    assert (result.verdict, result.property_holds, result.failure_kind) == ("failed", False, "invariant")
    assert result.reproduced == (5, 5)
    assert result.counterexample is not None
    assert Path(result.counterexample).exists()
    assert "temp = self.value" in (result.explanation or "")
    assert result.num_explored == result.failures[0].attempt


def test_a_search_without_failure_proves_nothing() -> None:
    result = sample(Locked, max_attempts=30)
    assert (result.verdict, result.property_holds, result.num_explored) == ("bounded", None, 30)
    assert (result.bounded_by, result.exhausted, result.unique_interleavings) == ("attempts", False, 2)
    assert "nothing is proved" in (result.explanation or "")
    with pytest.raises(AssertionError, match="not proved"):
        result.assert_holds()
    result.assert_holds(allow_bounded=True)


def test_what_has_one_class_only_is_exhausted_at_once() -> None:
    def on_its_own(counters: list[Counter], at: int) -> None:
        counters[at].increment()

    result = explore_interleavings(
        lambda: [Counter(), Counter()],
        [lambda c: on_its_own(c, 0), lambda c: on_its_own(c, 1)],
        lambda c: c[0].value == c[1].value == 1,
    )
    assert (result.verdict, result.property_holds, result.num_explored) == ("exhausted", True, 1)


@pytest.mark.parametrize("sampler", ["walk", "pct2", "pct3", "pos"])
def test_a_seed_gives_the_same_executions_whatever_the_number_of_workers(sampler: str) -> None:
    def run(seed: int, workers: int) -> tuple[Any, ...]:
        found = sample(
            count=3,
            samplers=[sampler],
            seed=seed,
            workers=workers,
            stop_on_first=False,
            max_attempts=25,
            observe=lambda c: c.value,
        )
        failing = [failure.attempt for failure in found.failures]
        return found.num_explored, found.unique_interleavings, found.outcomes, failing

    assert run(5, 1) == run(5, 2)
    assert any(run(5, 2) != run(seed, 2) for seed in range(6, 10))


def test_the_first_failure_is_the_same_in_each_run() -> None:
    runs = [sample(count=3, seed=11, workers=workers) for workers in (1, 2, 2, 3)]
    assert len({(run.num_explored, run.failures[0].attempt) for run in runs}) == 1
    assert all(len(run.failures) == 1 for run in runs)


def test_a_seed_is_drawn_and_reported() -> None:
    first, second = sample(seed=None), sample(seed=None)
    assert first.seed is not None
    assert first.seed != second.seed
    assert sample(seed=first.seed).num_explored == first.num_explored


def test_bounds_of_detection_follow_from_threads_steps_and_attempts() -> None:
    result = sample(Locked, max_attempts=21, samplers=["pct2"])
    said = re.search(r"depth 2 within the first (\d+) steps of 3 threads", result.explanation or "")
    assert said is not None
    steps = int(said[1])
    # Each worker acquires, reads, writes and releases, and the main thread reads.
    assert 9 <= steps <= 20
    assert result.detection_bounds == pytest.approx({2: 1 - (1 - 1 / (3 * steps)) ** min(20, steps)})
    assert sample(Locked, max_attempts=21, samplers=["walk"]).detection_bounds == {}


def test_a_loop_that_waits_for_another_thread_ends() -> None:
    class Flag:
        up = False

    def wait(flag: Flag) -> None:
        while not flag.up:
            pass

    def raise_it(flag: Flag) -> None:
        flag.up = True

    # In the first order the waiting thread is the second one; priorities would let it spin for ever.
    result = explore_interleavings(
        Flag, [raise_it, wait], lambda f: f.up, max_attempts=30, max_ops=50, samplers=["pct1", "pct2", "walk"], seed=3
    )
    assert (result.verdict, result.num_explored) == ("bounded", 30)


def test_deadlocks_and_exceptions_are_failures() -> None:
    class Locks:
        def __init__(self) -> None:
            self.a, self.b = threading.Lock(), threading.Lock()

    def ab(locks: Locks) -> None:
        with locks.a, locks.b:
            pass

    def ba(locks: Locks) -> None:
        with locks.b, locks.a:
            pass

    assert explore_interleavings(Locks, [ab, ba], lambda s: True, seed=1).failure_kind == "deadlock"
    pops = [lambda items: items.pop() if items else None] * 2
    assert explore_interleavings(lambda: [1], pops, lambda s: True, seed=1).failure_kind == "exception"


@pytest.mark.parametrize("options", [{"max_attempts": 0}, {"samplers": []}, {"samplers": ["dice"]}, {"max_ops": 0}])
def test_senseless_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"attempt|sampler"):
        sample(**options)


def test_default_samplers_are_all_known() -> None:
    assert sample(Locked, max_attempts=1 + len(SAMPLERS)).num_explored == 1 + len(SAMPLERS)
