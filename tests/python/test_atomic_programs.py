"""Random functions of a library that threads call: what is explored equals every order of the calls, run one by one."""

from __future__ import annotations

import ast
import itertools
import os
import random
import sys
from typing import TYPE_CHECKING, Any

from frontrun.dpor import explore_dpor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

    import pytest

PROGRAMS = int(os.environ.get("FRONTRUN_ATOMIC_PROGRAMS", "12"))

HEAD = """
class State:
    def __init__(self):
        self.x = 0
        self.y = 1
        self.items = [1, 2]
        self.table = {"a": 1}
        self.names = {3}


def helper(state, n):
    state.x += n
    return len(state.items)
"""

STATEMENTS = (
    "last = state.x",
    "last = state.y",
    "state.x = last + 1",
    "state.y = last",
    "state.x += 2",
    "state.items.append(last)",
    "last = state.items[0] if state.items else 0",
    "last = state.items.pop() if state.items else -1",
    "state.items[-1:] = [last]",
    "last = len(state.items)",
    "last = sum(state.items)",
    "state.items.sort(key=lambda item: -item)",
    "state.table['a'] = last",
    "state.table['b'] = last",
    "last = state.table.get('b', 5)",
    "last = len(state.table)",
    "state.table.pop('a', None)",
    "last = sum(state.table.values())",
    "state.names.add(last)",
    "last = len(state.names)",
    "state.names.discard(3)",
    "last = helper(state, 1)",
    "last = max((value for value in state.table.values()), default=0)",
    "last = sorted([*state.items, last])[0]",
)


def body(draw: random.Random, depth: int = 0) -> Iterator[str]:
    for _ in range(draw.randint(1, 3)):
        if depth < 2 and draw.random() < 0.3:
            yield f"if last % 2 == {draw.randint(0, 1)}:"
            yield from (f"    {line}" for line in body(draw, depth + 1))
        else:
            yield draw.choice(STATEMENTS)


def library(draw: random.Random, count: int) -> str:
    functions = []
    for nth in range(count):
        lines = [f"def call{nth}(state, last=0):", *body(draw), "return last"]
        functions.append("\n    ".join(lines))
    return "\n\n\n".join([HEAD, *functions, ""])


def outcome(state: Any, seen: list[list[int]]) -> str:
    return repr((state.x, state.y, state.items, sorted(state.table.items()), sorted(state.names), seen))


def run_serially(module: ModuleType, programs: list[list[str]], order: tuple[int, ...]) -> str:
    state = module.State()
    seen: list[list[int]] = [[] for _ in programs]
    for thread in order:
        name = programs[thread][len(seen[thread])]
        seen[thread].append(getattr(module, name)(state))
    return outcome(state, seen)


def explored(module: ModuleType, programs: list[list[str]]) -> set[str]:
    def thread(nth: int, names: list[str]) -> Any:
        calls = [getattr(module, name) for name in names]

        def run(both: tuple[Any, list[list[int]]]) -> None:
            state, seen = both
            mine = seen[nth]
            for call in calls:
                mine.append(call(state))

        return run

    result = explore_dpor(
        setup=lambda: (module.State(), [[] for _ in programs]),
        threads=[thread(nth, names) for nth, names in enumerate(programs)],
        invariant=lambda both: True,
        observe=lambda both: outcome(*both),
        stop_on_first=False,
        timeout_per_run=60.0,
        exclude=("random_library*",),
    )
    assert result.verdict == "exhausted", result.explanation
    assert result.num_explored == result.unique_interleavings
    return {ast.literal_eval(seen) for seen in result.outcomes}


def test_blocks_have_the_outcomes_of_all_orders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    first = int(os.environ.get("FRONTRUN_ATOMIC_SEED", "0"))
    for seed in range(first, first + PROGRAMS):
        draw = random.Random(seed)
        programs = [[f"call{draw.randrange(4)}" for _ in range(draw.randint(1, 2))] for _ in range(draw.randint(2, 3))]
        name = f"random_library_{seed}"
        (tmp_path / f"{name}.py").write_text(library(draw, 4))
        module = __import__(name)
        turns = [thread for thread, names in enumerate(programs) for _ in names]
        expected = {run_serially(module, programs, order) for order in set(itertools.permutations(turns))}
        assert explored(module, programs) == expected, (seed, programs)
        del sys.modules[name]
