"""Programs for which the comparison with every interleaving has once found something wrong, and what is right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from frontrun.dpor import explore_dpor


def add_and_look(s: Any) -> None:
    s.counts["z"] += 1
    s.seen = s.counts.get("b")


# What makes the state, the threads, what is observed, every outcome, and the number of executions.
PROGRAMS: dict[str, tuple[Callable[[], Any], list[Callable[[Any], object]], Callable[[Any], object], set[str], int]] = {
    "get of a defaultdict makes no entry": (
        lambda: SimpleNamespace(counts=defaultdict(int, a=1)),
        [lambda s: s.counts.get("b"), add_and_look],
        lambda s: (dict(s.counts), s.seen),
        {"({'a': 1, 'z': 1}, None)"},
        1,
    ),
    "get of a defaultdict reads the entry": (
        lambda: SimpleNamespace(counts=defaultdict(int), seen=None),
        [lambda s: setattr(s, "seen", s.counts.get("b")), lambda s: s.counts["b"]],
        lambda s: (dict(s.counts), s.seen),
        {"({'b': 0}, None)", "({'b': 0}, 0)"},
        2,
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_has_every_outcome(name: str) -> None:
    setup, threads, observe, outcomes, executions = PROGRAMS[name]
    result = explore_dpor(setup, threads, lambda s: True, observe=observe, stop_on_first=False, reproduce_on_failure=0)
    assert (result.verdict, set(result.outcomes), result.num_explored) == ("exhausted", outcomes, executions)
