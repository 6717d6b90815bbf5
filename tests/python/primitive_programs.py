"""Random programs over all primitives, and what they can do, by brute force over the models.

Model: a program is a few threads, each a list of operations. Its outcomes are the results of all threads, in every
order of steps, and whether it can get stuck.

Run as a program, it compares a range of seeds: ``python primitive_programs.py FIRST LAST``.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

from frontrun.dpor import explore_dpor
from primitive_actions import ACTIONS, DONE, MODEL_STATE, NO_RESULT, Action, Shared, real_state

Program = list[list[Action]]


def program(seed: int) -> Program:
    """Two or three threads with up to six operations on one to three kinds of objects."""
    draw = random.Random(seed)
    groups = draw.sample(sorted(ACTIONS), draw.choice((1, 1, 2, 2, 3)))
    choices = [action for group in groups for action in ACTIONS[group]]
    threads = draw.choice((2, 2, 3))
    most = 3 if threads == 2 else 2
    return [[draw.choice(choices) for _ in range(draw.randint(1, most))] for _ in range(threads)]


def describe(threads: Program) -> str:
    return " || ".join("; ".join(action.name for action in thread) for thread in threads)


Place = tuple[int, Any]
# What is shared, where the threads are, their results, and the time: now, and when each made its last step.
Time = tuple[int, tuple[int, ...]]
State = tuple[tuple[Any, ...], tuple[Place, ...], tuple[tuple[Any, ...], ...], Time]


class Model:
    """All states of a program."""

    def __init__(self, threads: Program) -> None:
        self._threads = threads
        self._keys = sorted(MODEL_STATE)
        self.outcomes: set[str] = set()
        self.can_get_stuck = False

    def run(self) -> None:
        count = len(self._threads)
        first: State = (self._pack(MODEL_STATE), ((0, 0),) * count, ((),) * count, (0, (0,) * count))
        seen, frontier = {first}, [first]
        while frontier:
            state = frontier.pop()
            after = list(self._steps(state)) or list(self._give_up(state))
            if not after:
                if all(place[0] == len(thread) for place, thread in zip(state[1], self._threads, strict=True)):
                    self.outcomes.add(repr(dict(enumerate(map(list, state[2])))))
                else:
                    self.can_get_stuck = True
            new = [state for state in after if state not in seen]
            seen.update(new)
            frontier += new

    def _pack(self, shared: Shared) -> tuple[Any, ...]:
        return tuple(shared[key] for key in self._keys)

    def _steps(self, state: State) -> Iterator[State]:
        for me in range(len(self._threads)):
            yield from self._step(state, me, gives_up=False)

    def _give_up(self, state: State) -> Iterator[State]:
        """Nobody can go on, so the one that has waited longest stops waiting, of those that do not wait for ever."""
        waiting_since = state[3][1]
        for me in sorted(range(len(self._threads)), key=lambda me: (waiting_since[me], me)):
            after = list(self._step(state, me, gives_up=True))
            if after:
                yield from after
                return

    def _step(self, state: State, me: int, *, gives_up: bool) -> Iterator[State]:
        packed, places, results, (now, since) = state
        at, phase = places[me]
        if at == len(self._threads[me]):
            return
        stepper = self._threads[me][at].gives_up if gives_up else self._threads[me][at].step
        shared = dict(zip(self._keys, packed, strict=True))
        done = stepper(shared, me, phase) if stepper else None
        if done is None:
            return
        changes, following, result = done
        place = (at + 1, 0) if following is DONE else (at, following)
        new = results if result is NO_RESULT else _replaced(results, me, (*results[me], result))
        if gives_up:
            # They all wait for equally long.
            now = max(now, since[me] + 1)
        time = now, _replaced(since, me, now)
        yield self._pack({**shared, **changes}), _replaced(places, me, place), new, time


def _replaced(values: tuple[Any, ...], at: int, value: Any) -> tuple[Any, ...]:
    return (*values[:at], value, *values[at + 1 :])


def thread(number: int, actions: list[Action]) -> Callable[[Any], None]:
    def run(p: Any) -> None:
        mine = p.results[number]
        for each in actions:
            try:
                mine.append(each.real(p))
            except Exception as error:
                mine.append(type(error).__name__)

    return run


def disagreement(seed: int, most: int = 4000) -> str | None:
    """What an exploration of the program with this seed says otherwise than the model; ``None`` if nothing."""
    threads = program(seed)
    model = Model(threads)
    model.run()

    def setup() -> SimpleNamespace:
        state = real_state()
        state.results = {number: [] for number in range(len(threads))}
        return state

    result = explore_dpor(
        setup,
        [thread(number, actions) for number, actions in enumerate(threads)],
        lambda _: True,
        observe=lambda p: p.results,
        max_executions=most,
        stop_on_first=False,
        reproduce_on_failure=0,
        workers=1,
    )
    found, stuck = set(result.outcomes), {failure.kind for failure in result.failures}
    text = f"seed {seed}: {describe(threads)}\n  {result.verdict} after {result.num_explored}"
    if not found <= model.outcomes:
        return f"{text}, impossible: {sorted(found - model.outcomes)[:3]}"
    if stuck - {"deadlock"} or (stuck and not model.can_get_stuck):
        return f"{text}, impossible failure: {stuck} {result.explanation}"
    if result.bounded_by == "executions":
        return None
    if result.verdict not in ("failed", "exhausted"):
        return f"{text}: {result.explanation}"
    if found != model.outcomes:
        return f"{text}, missing: {sorted(model.outcomes - found)[:3]}"
    if model.can_get_stuck != bool(stuck):
        return f"{text}, a deadlock is missing"
    if result.verdict != ("failed" if stuck else "exhausted"):
        return f"{text}: {result.explanation}"
    return None


def main() -> None:
    first, last = map(int, sys.argv[1:])
    wrong = [text for seed in range(first, last) if (text := disagreement(seed)) and print(text, flush=True) is None]
    print(f"{last - first} programs, {len(wrong)} disagreements")


if __name__ == "__main__":
    main()
