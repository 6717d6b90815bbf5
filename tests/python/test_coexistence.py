"""Tools that watch a program by trace functions, profile functions or events do so while it is explored, too.

What they are told of lies on the same lines as without, and verdict and outcomes are the same. A tool written in Python
that keeps books is shared state too, so there may be more executions.
"""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from frontrun.dpor import explore_dpor
from watching_tools import TOOLS, seen


def increment(s: Any) -> None:
    before = s.value
    s.value = before + 1


def explore() -> tuple[str, int, dict[str, int]]:
    seen.clear()
    result = explore_dpor(
        lambda: SimpleNamespace(value=0),
        [increment, increment],
        lambda s: True,
        observe=lambda s: s.value,
        exclude=["watching_tools"],
        stop_on_first=False,
        reproduce_on_failure=0,
    )
    return result.verdict, result.num_explored, result.outcomes


def told() -> list[str]:
    """What the tool is told of in one execution, in any order."""
    result = explore_dpor(
        lambda: SimpleNamespace(value=0),
        [increment],
        lambda s: True,
        observe=lambda s: sorted(set(seen)),
        exclude=["watching_tools"],
        reproduce_on_failure=0,
    )
    (outcome,) = result.outcomes
    found: list[str] = eval(outcome)
    return found


@pytest.mark.parametrize("name", TOOLS)
def test_exploration_is_the_same(name: str) -> None:
    expected, executions, outcomes = explore()
    assert (expected, executions) == ("exhausted", 4)
    with TOOLS[name]():
        verdict, watched, seen_outcomes = explore()
    assert (verdict, set(seen_outcomes)) == (expected, set(outcomes))
    assert watched >= executions


@pytest.mark.parametrize("name", ["trace function", "profile function", "events"])
def test_a_tool_is_told_of_the_same_lines(name: str) -> None:
    with TOOLS[name]():
        seen.clear()
        thread = threading.Thread(target=increment, args=(SimpleNamespace(value=0),))
        thread.start()
        thread.join()
        expected = sorted(set(seen))
        assert expected
        seen.clear()
        assert told() == expected
