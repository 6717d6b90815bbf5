"""Programs on one condition, and what they can do if waits may end by themselves: by brute force, twice.

Model: a thread is a list of sections, each of which holds the condition's lock and does a few things: waits, in a loop
or not, notifies, sets or looks at a flag. :func:`outcomes` goes through all states, in which a waiter that has not been
notified may leave the queue at any moment, once in its life; nobody who leaves it so is saved from a deadlock.
:func:`classes` counts Mazurkiewicz classes: each wait is of one of two kinds, and steps that touch the same things are
ordered. Neither has a line of frontrun.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Generator, Iterator
from types import SimpleNamespace
from typing import Any

Section = list[str]
Program = list[list[Section]]
Event = tuple[Any, ...]
Body = Generator[Event, Any, None]

KINDS = ["wait", "if", "while", "wait_for", "notify", "notify all", "set", "look", "look"]


def random_program(seed: int) -> Program:
    """Two or three threads with one or two sections each."""
    draw = random.Random(seed)
    count = draw.choice((2, 2, 3))
    most = 3 if count == 2 else 2

    def section() -> Section:
        return [draw.choice(KINDS) for _ in range(draw.randint(1, most))]

    return [[section() for _ in range(draw.choice((1, 1, 2) if count == 2 else (1,)))] for _ in range(count)]


def real(number: int, sections: list[Section]) -> Callable[[Any], None]:
    """The thread as frontrun runs it."""

    def do(p: Any, what: str) -> None:
        if what == "wait" or (what == "if" and not p.flag):
            p.condition.wait()
        elif what == "while":
            while not p.flag:
                p.condition.wait()
        elif what == "wait_for":
            p.condition.wait_for(lambda: p.flag)
        elif what == "notify":
            p.condition.notify()
        elif what == "notify all":
            p.condition.notify_all()
        elif what == "set":
            p.flag = True
        elif what == "look":
            p.results[number].append(p.flag)

    def run(p: Any) -> None:
        for section in sections:
            with p.condition:
                for what in section:
                    do(p, what)

    return run


def state(program: Program) -> SimpleNamespace:
    results: list[list[bool]] = [[] for _ in program]
    return SimpleNamespace(condition=threading.Condition(), flag=False, results=results)


def _body(sections: list[Section], wait: Callable[[], Body], log: list[bool]) -> Body:
    """The steps of a thread; each gets what it looked at."""
    for section in sections:
        yield ("acquire",)
        for what in section:
            if what == "wait" or (what == "if" and not (yield ("get",))):
                yield from wait()
            elif what in ("while", "wait_for"):
                while not (yield ("get",)):
                    yield from wait()
            elif what.startswith("notify"):
                yield ("notify", 99 if what == "notify all" else 1)
            elif what == "set":
                yield ("set",)
            elif what == "look":
                log.append((yield ("get",)))
        yield ("release",)


def _literal_wait() -> Body:
    yield ("wait",)
    yield ("wake",)


class _ChoosingWait:
    """A wait that is said beforehand to be notified or to end by itself, which it does once."""

    def __init__(self, allowed: bool) -> None:
        self._left = int(allowed)

    def __call__(self) -> Body:
        if self._left and (yield ("choose",)):
            self._left = 0
            yield ("release",)
            yield ("acquire",)
        else:
            yield ("wait",)
            yield ("wake",)


def _follow(make: Callable[[list[bool]], Body], seen: tuple[Any, ...]) -> tuple[Event | None, list[bool]]:
    """What a thread does after it has seen all that, and what it has logged."""
    log: list[bool] = []
    body = make(log)
    try:
        event = next(body)
        for value in seen:
            event = body.send(value)
    except StopIteration:
        return None, log
    return event, log


# The lock's owner, the flag, the queue, who has been notified, who has left the queue by itself, ever and just now.
Shared = tuple[int | None, bool, tuple[int, ...], frozenset[int], frozenset[int], frozenset[int]]
START: Shared = (None, False, (), frozenset(), frozenset(), frozenset())


def _step(shared: Shared, me: int, event: Event) -> tuple[Shared, Any] | None:
    """What the event does, and what it sees; ``None`` if it has to wait."""
    owner, flag, queue, notified, spent, awake = shared
    match event[0]:
        case "acquire":
            return None if owner is not None else ((me, flag, queue, notified, spent, awake), None)
        case "release":
            return (None, flag, queue, notified, spent, awake), None
        case "get":
            return shared, flag
        case "set":
            return (owner, True, queue, notified, spent, awake), None
        case "notify":
            rest = queue[event[1] :]
            return (owner, flag, rest, notified | set(queue[: event[1]]), spent, awake), None
        case "wait":
            return (None, flag, (*queue, me), notified - {me}, spent, awake - {me}), None
        case "wake":
            if owner is not None or (me not in notified and me not in awake):
                return None
            return (me, flag, queue, notified - {me}, spent, awake - {me}), None
    raise AssertionError(event)


def _leave(shared: Shared, me: int) -> Shared | None:
    """What it is when a waiter leaves the queue by itself."""
    owner, flag, queue, notified, spent, awake = shared
    if me not in queue or me in spent:
        return None
    return owner, flag, tuple(other for other in queue if other != me), notified, spent | {me}, awake | {me}


def outcomes(program: Program, *, spurious: bool) -> tuple[set[str], bool]:
    """What the threads may have seen in the end, and whether they can get stuck."""
    makers = [lambda log, sections=sections: _body(sections, _literal_wait, log) for sections in program]
    first = (START, ((),) * len(program))
    known, frontier = {first}, [first]
    found, stuck = set(), False
    while frontier:
        shared, seen = frontier.pop()
        followed = [_follow(make, past) for make, past in zip(makers, seen, strict=True)]
        after = []
        for me, (event, _) in enumerate(followed):
            done = _step(shared, me, event) if event else None
            if done is not None:
                after.append((done[0], (*seen[:me], (*seen[me], done[1]), *seen[me + 1 :])))
        if not after:
            if all(event is None for event, _ in followed):
                found.add(repr([log for _, log in followed]))
            else:
                stuck = True
        if spurious:
            left = [_leave(shared, me) for me in range(len(program))]
            after += [(changed, seen) for changed in left if changed is not None]
        new = [state for state in after if state not in known]
        known.update(new)
        frontier += new
    return found, stuck


def _footprint(shared: Shared, me: int, event: Event) -> tuple[set[Any], set[Any]]:
    """What the event reads, and what it writes."""
    match event[0]:
        case "acquire" | "release":
            return set(), {"lock"}
        case "get":
            return {"flag"}, set()
        case "set":
            return set(), {"flag"}
        case "wait":
            return set(), {"lock", "queue"}
        case "wake":
            return set(), {"lock", me}
        case "notify" if shared[2]:
            return set(), {"queue", *shared[2][: event[1]]}
        case "notify":
            return {"queue"}, set()
    return set(), set()


# For each step its thread, its number there, what was chosen, its past as how many steps of whom, what it touches.
Trace = tuple[tuple[int, int, Any, tuple[int, ...], frozenset[Any], frozenset[Any]], ...]


def _extended(trace: Trace, width: int, me: int, choice: Any, touched: tuple[set[Any], set[Any]]) -> Trace:
    reads, writes = touched
    clock, number = [0] * width, 0
    for other, at, _, past, their_reads, their_writes in trace:
        if other == me or writes & (their_reads | their_writes) or reads & their_writes:
            clock = list(map(max, clock, past))
            clock[other] = max(clock[other], at + 1)
        number += other == me
    return (*trace, (me, number, choice, tuple(clock), frozenset(reads), frozenset(writes)))


def classes(program: Program, *, spurious: bool) -> int:
    """How many classes of executions there are."""
    width = len(program)
    makers = [lambda log, sections=sections: _body(sections, _ChoosingWait(spurious), log) for sections in program]
    known: set[frozenset[Any]] = set()
    complete = 0
    frontier: list[tuple[Shared, tuple[tuple[Any, ...], ...], Trace]] = [(START, ((),) * width, ())]
    while frontier:
        shared, seen, trace = frontier.pop()
        after = list(_extensions(makers, shared, seen, trace))
        complete += not after
        for shared, seen, trace in after:
            name = frozenset(step[:4] for step in trace)
            if name not in known:
                known.add(name)
                frontier.append((shared, seen, trace))
    return complete


def _extensions(
    makers: list[Callable[[list[bool]], Body]], shared: Shared, seen: tuple[tuple[Any, ...], ...], trace: Trace
) -> Iterator[tuple[Shared, tuple[tuple[Any, ...], ...], Trace]]:
    for me, make in enumerate(makers):
        event, _ = _follow(make, seen[me])
        if event is None:
            continue
        choices = (False, True) if event[0] == "choose" else (None,)
        for choice in choices:
            done = (shared, choice) if event[0] == "choose" else _step(shared, me, event)
            if done is not None:
                touched = _footprint(shared, me, event)
                longer = _extended(trace, len(makers), me, choice, touched)
                yield done[0], (*seen[:me], (*seen[me], done[1]), *seen[me + 1 :]), longer
