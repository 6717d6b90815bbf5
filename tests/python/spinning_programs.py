"""Random threads that go round loops until something has happened, and all that they can do, by brute force.

Model: a thread is a list of actions, and an action is one step, since all of it happens with the lock held. One that
finds nothing is a step that changes nothing, so the states are finitely many, and the search remembers those that it
has seen. A state in which every step comes back to it is one in which the program gets nowhere.
"""

from __future__ import annotations

import queue
import random
import threading
from collections import deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

Action = tuple[str, int, int]
Program = list[list[Action]]
# The variables, the tokens, and for each thread the number of its action, how often it has tried that, and its notes.
Place = tuple[int, int, tuple[int, ...]]
State = tuple[tuple[int, ...], tuple[int, ...], tuple[Place, ...]]

VARIABLES = 2
QUEUES = 2
CHANGES = ("set", "add", "note", "put", "tries")
LOOPS = ("with", "local", "call", "timed", "notified", "function", "take", "take timed", "take left", "take if there")


def program(seed: int) -> Program:
    """Two or three threads of up to three actions."""
    draw = random.Random(seed)
    count = draw.choice((2, 2, 2, 3))

    def action() -> Action:
        return draw.choice(draw.choice((CHANGES, LOOPS))), draw.randrange(2), draw.randint(1, 2)

    return [[action() for _ in range(draw.randint(1, 5 - count))] for _ in range(count)]


def all_outcomes(threads: Program) -> tuple[set[str], bool]:
    """What the threads can note and leave behind, and whether they can get nowhere."""
    first: State = ((0,) * VARIABLES, (0,) * QUEUES, ((0, 0, ()),) * len(threads))
    seen, frontier = {first}, [first]
    outcomes, stuck = set(), False
    while frontier:
        state = frontier.pop()
        after = [_step(state, me, actions) for me, actions in enumerate(threads) if state[2][me][0] < len(actions)]
        if not after:
            outcomes.add(repr((list(state[0]), list(state[1]), [list(place[2]) for place in state[2]])))
        stuck |= bool(after) and all(following == state for following in after)
        new = [following for following in after if following not in seen]
        seen.update(new)
        frontier += new
    return outcomes, stuck


def _step(state: State, me: int, actions: list[Action]) -> State:
    """Let a thread take its next action, or try to."""
    values, tokens = list(state[0]), list(state[1])
    at, tried, notes = state[2][me]
    kind, which, value = actions[at]
    goes_on = True
    if kind == "set":
        values[which] = value
    elif kind == "add":
        values[which] += 1
    elif kind == "put":
        tokens[which] += 1
    elif kind == "tries" and tried < 2:
        tried = 2 if values[which] >= value else tried + 1
        goes_on = False
    elif kind in ("note", "tries"):
        notes += (values[which],)
    elif kind.startswith("take"):
        goes_on = tokens[which] > 0
        tokens[which] -= goes_on
    else:
        goes_on = values[which] >= value
    places = list(state[2])
    places[me] = (at + 1, 0, notes) if goes_on else (at, tried, notes)
    return tuple(values), tuple(tokens), tuple(places)


def real_state(threads: Program) -> SimpleNamespace:
    lock = threading.RLock() if len(threads) == 3 else threading.Lock()
    return SimpleNamespace(
        values=[0] * VARIABLES,
        queues=[queue.Queue(), deque()],
        notes=[[] for _ in threads],
        lock=lock,
        changed=threading.Condition(lock),
    )


def observe(state: Any) -> object:
    return state.values, [state.queues[0].qsize(), len(state.queues[1])], state.notes


def workers(threads: Program) -> list[Callable[[Any], None]]:
    """The same threads."""

    def worker(me: int, actions: list[Action]) -> Callable[[Any], None]:
        def run(s: Any) -> None:
            for action in actions:
                _act(s, s.notes[me], action)

        return run

    return [worker(me, actions) for me, actions in enumerate(threads)]


def _act(s: Any, notes: list[int], action: Action) -> None:
    kind, which, value = action
    if kind == "note":
        with s.lock:
            notes.append(s.values[which])
    elif kind in ("set", "add"):
        with s.changed:
            s.values[which] = value if kind == "set" else s.values[which] + 1
            s.changed.notify_all()
    elif kind == "put":
        s.queues[which].put(1) if which == 0 else s.queues[which].append(1)
    elif kind == "tries":
        for _ in range(2):
            with s.lock:
                if s.values[which] >= value:
                    break
        with s.lock:
            notes.append(s.values[which])
    elif kind.startswith("take"):
        _take(s.queues[which], kind)
    else:
        _wait(s, kind, which, value)


def _take(source: Any, kind: str) -> None:
    while True:
        try:
            if isinstance(source, deque):
                # To take from an empty deque counts as a change, so that a loop around that alone is no wait.
                while not source:
                    pass
                source.popleft()
            elif kind == "take timed":
                source.get(timeout=0.1)
            elif kind == "take left":
                while source.empty():
                    pass
                source.get_nowait()
            else:
                source.get_nowait()
        except (queue.Empty, IndexError):
            continue
        return


def _is_there(s: Any, which: int, value: int) -> bool:
    with s.lock:
        return bool(s.values[which] >= value)


def _wait(s: Any, kind: str, which: int, value: int) -> None:
    lock = s.lock
    if kind == "function":
        while not _is_there(s, which, value):
            pass
    elif kind in ("timed", "notified"):
        with s.changed:
            while s.values[which] < value:
                s.changed.wait(0.1 if kind == "timed" else None)
    elif kind == "call":
        found = False
        while not found:
            lock.acquire()
            found = s.values[which] >= value
            lock.release()
    elif kind == "local":
        while True:
            with lock:
                if s.values[which] >= value:
                    break
    else:
        while True:
            with s.lock:
                if s.values[which] >= value:
                    break
