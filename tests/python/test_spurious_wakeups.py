"""Spurious wake-ups: outcomes, deadlocks and the number of classes are those that brute force finds."""

from __future__ import annotations

from typing import Any

import pytest
from condition_programs import Program, classes, outcomes, random_program, real, state
from frontrun.dpor import explore_dpor

PROGRAMS: dict[str, Program] = {
    "wait without a look": [[["wait", "look"]], [["set", "notify"]]],
    "if": [[["if", "look"]], [["set", "notify"]]],
    "while": [[["while", "look"]], [["set", "notify"]]],
    "wait_for": [[["wait_for", "look"]], [["set", "notify"]]],
    "nobody notifies": [[["while", "look"]], [["set"]]],
    "one waits for ever": [[["wait", "look"]]],
    "notified too early": [[["wait"]], [["notify"]]],
    "two of which one is notified": [[["wait", "look"]], [["wait", "look"]], [["set", "notify"]]],
    "two that look, one notified": [[["while", "look"]], [["while", "look"]], [["set", "notify"]]],
    "all are notified": [[["if", "look"]], [["wait_for"]], [["set", "notify all"]]],
    "waits twice": [[["wait", "look", "wait", "look"]], [["notify"], ["set", "notify"]]],
    "both wait and notify": [[["notify", "wait", "look"]], [["set", "notify", "wait"]]],
}
RANDOM = 20


def disagreement(program: Program, *, spurious: bool) -> str | None:
    """What an exploration says otherwise than brute force; ``None`` if nothing."""
    result = explore_dpor(
        lambda: state(program),
        [real(number, sections) for number, sections in enumerate(program)],
        lambda _: True,
        observe=lambda p: p.results,
        stop_on_first=False,
        reproduce_on_failure=0,
        spurious_wakeups=spurious,
        workers=1,
    )
    expected, stuck = outcomes(program, spurious=spurious)
    kinds = {failure.kind for failure in result.failures}
    found: tuple[Any, ...] = (set(result.outcomes), kinds, result.verdict, result.num_explored)
    wanted: tuple[Any, ...] = (
        expected,
        {"deadlock"} if stuck else set(),
        "failed" if stuck else "exhausted",
        classes(program, spurious=spurious),
    )
    return None if found == wanted else f"{program}: {found}, not {wanted} {result.explanation}"


@pytest.mark.parametrize("spurious", [True, False])
@pytest.mark.parametrize("name", PROGRAMS)
def test_small_programs_agree_with_brute_force(name: str, spurious: bool) -> None:
    assert disagreement(PROGRAMS[name], spurious=spurious) is None


@pytest.mark.parametrize("first", range(0, RANDOM, 10))
def test_random_programs_agree_with_brute_force(first: int) -> None:
    programs = map(random_program, range(first, first + 10))
    wrong = [text for program in programs if (text := disagreement(program, spurious=True))]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", ["while", "wait_for", "nobody notifies", "two that look, one notified"])
def test_loops_come_to_the_same_with_and_without(name: str) -> None:
    program = PROGRAMS[name]
    assert outcomes(program, spurious=True) == outcomes(program, spurious=False)
    assert disagreement(program, spurious=True) is None
