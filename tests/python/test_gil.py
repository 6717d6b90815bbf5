"""Whether a failing execution can happen with a GIL, which CPython gives up in calls, loops and functions only."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
from frontrun.dpor import explore_dpor


class Latest(deque[int]):
    """Its operators are those of the class in C."""


class State:
    def __init__(self) -> None:
        self.latest = Latest(maxlen=2)
        self.half = Fraction(1, 2)
        self.n = 0
        self.items: dict[str, int] = {}
        self.counter = Counter(a=0)
        self.lock = threading.Lock()

    @property
    def seen(self) -> int:
        return self.n

    @property
    def one(self) -> int:
        return 1

    def get(self) -> int:
        return self.n


def add_at_once(state: State) -> None:
    state.n += 1


def add_what_a_method_gives(state: State) -> None:
    before = state.get()
    state.n = before + 1


def add_what_a_property_gives(state: State) -> None:
    before = state.seen
    state.n = before + 1


def add_in_each_round(state: State) -> None:
    for _ in (1,):
        state.n += 1


def add_behind_a_loop_that_does_not_turn(state: State) -> None:
    before = state.n
    while before < 0:
        before = 0
    state.n = before + 1


def add_to_a_counter(state: State) -> None:
    state.counter["a"] += 1
    state.n = state.counter["a"]


def add_behind_a_call(state: State) -> None:
    before = state.n
    one = len("x")
    state.n = before + one


def add_behind_a_loop(state: State) -> None:
    before = state.n
    for one in (1, 1):
        last = one
    state.n = before + last


def add_behind_a_property(state: State) -> None:
    before = state.n
    state.n = before + state.one


def add_behind_a_lock(state: State) -> None:
    before = state.n
    with state.lock:
        pass
    state.n = before + 1


def add_behind_an_operator_in_c(state: State) -> None:
    before = state.n
    state.latest += [1]
    state.n = before + 1


def add_behind_an_operator_in_python(state: State) -> None:
    before = state.n
    _ = state.half + state.half
    state.n = before + 1


TOGETHER = [
    add_behind_an_operator_in_c,
    add_at_once,
    add_what_a_method_gives,
    add_what_a_property_gives,
    add_in_each_round,
    add_behind_a_loop_that_does_not_turn,
    add_to_a_counter,
]
APART = [
    add_behind_a_call,
    add_behind_a_loop,
    add_behind_a_property,
    add_behind_a_lock,
    add_behind_an_operator_in_python,
]


@pytest.mark.parametrize("add", [*TOGETHER, *APART])
def test_a_lost_update_needs_a_place_to_switch(add: Callable[[State], None]) -> None:
    every = explore_dpor(State, [add, add], lambda state: state.n == 2, stop_on_first=False, reproduce_on_failure=0)
    assert every.failures
    assert {failure.gil_reachable for failure in every.failures} == {add in APART}
    assert every.gil_reachable is (add in APART)
    assert every.explanation
    assert ("builds: with a GIL, too" if add in APART else "builds: free-threaded only") in every.explanation
    with_gil = explore_dpor(State, [add, add], lambda state: state.n == 2, reproduce_on_failure=0, gil=True)
    assert with_gil.verdict == ("failed" if add in APART else "exhausted")


def test_only_what_a_gil_allows_is_counted() -> None:
    def explore(*, gil: bool) -> tuple[int, dict[str, int]]:
        threads = [add_at_once, add_at_once]
        result = explore_dpor(State, threads, lambda state: True, observe=lambda state: state.n, gil=gil)
        assert result.verdict == "exhausted"
        return result.num_explored, result.outcomes

    assert explore(gil=False) == (4, {"1": 2, "2": 2})
    assert explore(gil=True) == (2, {"2": 2})


def test_the_command_line_says_it(tmp_path: Path) -> None:
    example = Path(__file__).parents[2] / "examples" / "lost_update.py"
    reachable = tmp_path / "reachable.py"
    reachable.write_text(example.read_text())
    unreachable = tmp_path / "unreachable.py"
    unreachable.write_text(example.read_text().replace("round(before + amount, 2)", "before + amount"))
    assert reachable.read_text() != unreachable.read_text()
    start = [sys.executable, "-m", "frontrun", "explore", "-q"]

    def run(program: Path, *options: str) -> str:
        command = [*start, *options, "python", str(program)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False).stdout

    assert "\nbuilds: with a GIL, too: " in run(reachable)
    assert "\nbuilds: free-threaded only: " in run(unreachable)
    assert json.loads(run(unreachable, "--json"))["failures"][0]["gil_reachable"] is False
    assert json.loads(run(reachable, "--json", "--gil"))["verdict"] == "failed"
    assert run(unreachable, "--gil").startswith("exhausted: ")
