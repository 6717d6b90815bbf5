"""Random tasks that write, read, yield and poll, and all that they can do, by brute force over a model.

Model: a task is a list of actions. It goes on from one suspension to the next in one step. A poll that finds nothing is
a step that changes nothing, so the states are finitely many, and the search remembers those that it has seen. A state
in which every step comes back to it is one in which the program gets nowhere.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

Action = tuple[str, int, int]
Program = list[list[Action]]
# The variables, and for each task the number of its action, how often it has tried that, and what it has noted.
Place = tuple[int, int, tuple[int, ...]]
State = tuple[tuple[int, ...], tuple[Place, ...]]

VARIABLES = 2
KINDS = ("set", "add", "note", "yield", "until", "until", "moments", "tries", "function")


def program(seed: int) -> Program:
    """Two or three tasks of up to four actions."""
    draw = random.Random(seed)
    count = draw.choice((2, 2, 3))

    def action() -> Action:
        return draw.choice(KINDS), draw.randrange(VARIABLES), draw.randint(1, 2)

    return [[action() for _ in range(draw.randint(1, 6 - count))] for _ in range(count)]


def all_outcomes(threads: Program) -> tuple[set[str], bool]:
    """What the tasks can note and leave behind, and whether they can get nowhere."""
    first: State = ((0,) * VARIABLES, ((0, 0, ()),) * len(threads))
    seen, frontier = {first}, [first]
    outcomes, stuck = set(), False
    while frontier:
        state = frontier.pop()
        after = [_step(state, me, actions) for me, actions in enumerate(threads) if state[1][me][0] < len(actions)]
        if not after:
            outcomes.add(repr((list(state[0]), [list(place[2]) for place in state[1]])))
        stuck |= bool(after) and all(following == state for following in after)
        new = [following for following in after if following not in seen]
        seen.update(new)
        frontier += new
    return outcomes, stuck


def _step(state: State, me: int, actions: list[Action]) -> State:
    """Let a task go on, up to where it suspends or ends."""
    values = list(state[0])
    at, tried, notes = state[1][me]
    while at < len(actions):
        kind, variable, value = actions[at]
        value_now = values[variable]
        if kind == "tries":
            if value_now < value and tried < 2:
                tried += 1
                break
            notes += (value_now,)
        elif kind in ("until", "moments", "function"):
            if value_now < value:
                break
        elif kind == "yield":
            if not tried:
                tried = 1
                break
        elif kind == "note":
            notes += (value_now,)
        else:
            values[variable] = value if kind == "set" else value_now + 1
        at, tried = at + 1, 0
    places = list(state[1])
    places[me] = (at, tried, notes)
    return tuple(values), tuple(places)


def real_state(threads: Program) -> SimpleNamespace:
    return SimpleNamespace(values=[0] * VARIABLES, notes=[[] for _ in threads])


def observe(state: Any) -> object:
    return state.values, state.notes


def workers(threads: Program) -> Iterator[Any]:
    """The same tasks for asyncio."""

    def worker(me: int, actions: list[Action]) -> Any:
        async def run(s: Any) -> None:
            for action in actions:
                await _act(s, s.notes[me], action)

        return run

    return (worker(me, actions) for me, actions in enumerate(threads))


async def _act(s: Any, notes: list[int], action: Action) -> None:
    kind, variable, value = action
    if kind == "set":
        s.values[variable] = value
    elif kind == "add":
        s.values[variable] += 1
    elif kind == "note":
        notes.append(s.values[variable])
    elif kind == "yield":
        await asyncio.sleep(0)
    elif kind == "until":
        while s.values[variable] < value:
            await asyncio.sleep(0)
    elif kind == "moments":
        while s.values[variable] < value:
            await asyncio.sleep(0.01)
    elif kind == "function":
        while not await _is_there(s, variable, value):
            await asyncio.sleep(0)
    else:
        for _ in range(2):
            if s.values[variable] >= value:
                break
            await asyncio.sleep(0.01)
        notes.append(s.values[variable])


async def _is_there(s: Any, variable: int, value: int) -> bool:
    return bool(s.values[variable] >= value)
