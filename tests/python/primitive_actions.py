"""Operations on all primitives of the standard library, each with a model.

Model: an operation is one or a few atomic steps on a small shared state; what it returns or raises is its result. The
primitives are linearizable, so the steps need not be those of CPython's code.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

LONG = 3600
SHORT = 0.01
NO_RESULT = object()
DONE = object()

Shared = dict[str, Any]
# Changes, next phase, result.
Step = tuple[Shared, Any, Any]
Stepper = Callable[[Shared, int, Any], Step | None]


@dataclass(frozen=True)
class Action:
    """An operation: what a thread does, its steps, and the step of giving up when nobody can go on."""

    name: str
    real: Callable[[Any], Any]
    step: Stepper
    gives_up: Stepper | None = None


ACTIONS: dict[str, list[Action]] = {}


def action(group: str, name: str, real: Callable[[Any], Any], step: Stepper, gives_up: Stepper | None = None) -> None:
    ACTIONS.setdefault(group, []).append(Action(f"{group} {name}", real, step, gives_up))


def at_once(step: Callable[[Shared, int], tuple[Shared, Any] | None]) -> Stepper:
    """An operation of one step."""

    def stepper(s: Shared, me: int, _: Any) -> Step | None:
        done = step(s, me)
        return None if done is None else (done[0], DONE, done[1])

    return stepper


def returns(result: Any) -> Stepper:
    return lambda _s, _me, _phase: ({}, DONE, result)


# Locks. What a thread takes and does not give back may stop the others, which is what is wanted.
def take(key: str) -> Stepper:
    return at_once(lambda s, _: None if s[key] else ({key: 1}, True))


def try_take(key: str) -> Stepper:
    return at_once(lambda s, _: ({}, False) if s[key] else ({key: 1}, True))


action("lock", "acquire", lambda p: p.lock.acquire(), take("lock"))
action("lock", "try", lambda p: p.lock.acquire(blocking=False), try_take("lock"))
action("lock", "wait shortly", lambda p: p.lock.acquire(timeout=SHORT), try_take("lock"))
action("lock", "wait long", lambda p: p.lock.acquire(timeout=LONG), take("lock"), returns(False))
action(
    "lock",
    "release",
    lambda p: p.lock.release(),
    at_once(lambda s, _: ({"lock": 0}, None) if s["lock"] else ({}, "RuntimeError")),
)
action("lock", "locked", lambda p: p.lock.locked(), at_once(lambda s, _: ({}, bool(s["lock"]))))


def take_again(s: Shared, me: int) -> tuple[Shared, Any] | None:
    owner, count = s["rlock"]
    return ({"rlock": (me, count + 1)}, True) if count == 0 or owner == me else None


def give_back(s: Shared, me: int) -> tuple[Shared, Any]:
    owner, count = s["rlock"]
    return ({"rlock": (owner, count - 1)}, None) if count and owner == me else ({}, "RuntimeError")


action("rlock", "acquire", lambda p: p.rlock.acquire(), at_once(take_again))
action(
    "rlock", "try", lambda p: p.rlock.acquire(blocking=False), at_once(lambda s, me: take_again(s, me) or ({}, False))
)
action("rlock", "release", lambda p: p.rlock.release(), at_once(give_back))

# Semaphores.
for key, bound in (("semaphore", 9), ("bounded", 1)):

    def permit(s: Shared, _: int, key: str = key) -> tuple[Shared, Any] | None:
        return ({key: s[key] - 1}, True) if s[key] else None

    def try_permit(s: Shared, me: int, key: str = key) -> tuple[Shared, Any]:
        return permit(s, me, key) or ({}, False)

    def more_permits(s: Shared, _: int, key: str = key, bound: int = bound) -> tuple[Shared, Any]:
        return ({key: s[key] + 1}, None) if s[key] < bound else ({}, "ValueError")

    action(key, "acquire", lambda p, key=key: getattr(p, key).acquire(), at_once(permit))
    action(key, "try", lambda p, key=key: getattr(p, key).acquire(blocking=False), at_once(try_permit))
    action(key, "wait shortly", lambda p, key=key: getattr(p, key).acquire(timeout=SHORT), at_once(try_permit))
    action(key, "wait long", lambda p, key=key: getattr(p, key).acquire(timeout=LONG), at_once(permit), returns(False))
    action(key, "release", lambda p, key=key: getattr(p, key).release(), at_once(more_permits))

# Events.
action("event", "set", lambda p: p.event.set(), at_once(lambda _s, _: ({"event": True}, None)))
action("event", "clear", lambda p: p.event.clear(), at_once(lambda _s, _: ({"event": False}, None)))
action("event", "is set", lambda p: p.event.is_set(), at_once(lambda s, _: ({}, s["event"])))
action("event", "wait", lambda p: p.event.wait(), at_once(lambda s, _: ({}, True) if s["event"] else None))
action("event", "wait shortly", lambda p: p.event.wait(SHORT), at_once(lambda s, _: ({}, s["event"])))
action(
    "event",
    "wait long",
    lambda p: p.event.wait(LONG),
    at_once(lambda s, _: ({}, True) if s["event"] else None),
    returns(False),
)


# Conditions, with their lock: `inside` is what happens while it is held.
def locked(inside: Stepper) -> Stepper:
    def stepper(s: Shared, me: int, phase: Any) -> Step | None:
        if phase == 0:
            return None if s["held"] else ({"held": 1}, 1, NO_RESULT)
        if isinstance(phase, tuple) and phase[0] == "leave":
            return {"held": 0}, DONE, phase[1]
        return inside(s, me, phase)

    return stepper


def join_waiters(s: Shared, me: int) -> Shared:
    return {"held": 0, "waiters": (*s["waiters"], me), "notified": s["notified"] - {me}}


def wait_inside(s: Shared, me: int, phase: Any, *, patient: bool = True) -> Step | None:
    if phase == 1:
        return join_waiters(s, me), 2, NO_RESULT
    if s["held"] or (patient and me not in s["notified"]):
        return None
    return wake(s, me)


def wake(s: Shared, me: int) -> Step:
    waiters = tuple(other for other in s["waiters"] if other != me)
    changes = {"held": 1, "waiters": waiters, "notified": s["notified"] - {me}}
    return changes, ("leave", me in s["notified"]), NO_RESULT


def give_up_waiting(s: Shared, me: int, phase: Any) -> Step | None:
    return wake(s, me) if phase == 2 and not s["held"] else None


def wait_for_flag(s: Shared, me: int, phase: Any) -> Step | None:
    if phase == 1:
        return ({}, ("leave", None), NO_RESULT) if s["flag"] else (join_waiters(s, me), 2, NO_RESULT)
    if s["held"] or me not in s["notified"]:
        return None
    return wake(s, me)[0], 1, NO_RESULT


def notify(count: int, *, sets_flag: bool = False) -> Stepper:
    def inside(s: Shared, _me: int, _phase: Any) -> Step:
        chosen, rest = s["waiters"][:count], s["waiters"][count:]
        changes = {"waiters": rest, "notified": s["notified"] | set(chosen)}
        return {**changes, **({"flag": True} if sets_flag else {})}, ("leave", None), NO_RESULT

    return locked(inside)


def holding(inside: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def real(p: Any) -> Any:
        with p.condition:
            return inside(p)

    return real


def real_wait_for_flag(p: Any) -> None:
    while not p.flag:
        p.condition.wait()


def real_set_flag(p: Any) -> None:
    p.flag = True
    p.condition.notify()


action("condition", "wait", holding(lambda p: p.condition.wait()), locked(wait_inside))
action(
    "condition",
    "wait shortly",
    holding(lambda p: p.condition.wait(SHORT)),
    locked(lambda s, me, phase: wait_inside(s, me, phase, patient=False)),
)
action("condition", "wait long", holding(lambda p: p.condition.wait(LONG)), locked(wait_inside), give_up_waiting)
action("condition", "wait for flag", holding(real_wait_for_flag), locked(wait_for_flag))
action(
    "condition",
    "wait_for flag",
    holding(lambda p: p.condition.wait_for(lambda: p.flag) and None),
    locked(wait_for_flag),
)
action("condition", "set flag", holding(real_set_flag), notify(1, sets_flag=True))
action("condition", "notify", holding(lambda p: p.condition.notify()), notify(1))
action("condition", "notify all", holding(lambda p: p.condition.notify_all()), notify(99))
action("condition", "notify alone", lambda p: p.condition.notify(), returns("RuntimeError"))


# Barriers of two: (how many are inside, phase), with the phases of CPython's own description.
FILLING, DRAINING, RESETTING, BROKEN = 0, 1, -1, -2


def leave_barrier(count: int, phase: int) -> Shared:
    return {"barrier": (count, FILLING if count == 0 and phase in (RESETTING, DRAINING) else phase)}


def barrier_wait(s: Shared, _me: int, mine: Any) -> Step | None:
    count, phase = s["barrier"]
    if mine == 0:
        if phase in (RESETTING, DRAINING):
            return None
        if phase == BROKEN:
            return {}, DONE, "BrokenBarrierError"
        if count + 1 == 2:
            return leave_barrier(count, DRAINING), DONE, count
        return {"barrier": (count + 1, phase)}, ("inside", count), NO_RESULT
    if phase == FILLING:
        return None
    return leave_barrier(count - 1, phase), DONE, mine[1] if phase > 0 else "BrokenBarrierError"


def barrier_reset(s: Shared, _: int) -> tuple[Shared, Any]:
    count, phase = s["barrier"]
    return {"barrier": (count, (RESETTING if phase in (FILLING, BROKEN) else phase) if count else FILLING)}, None


action("barrier", "wait", lambda p: p.barrier.wait(), barrier_wait)
action(
    "barrier",
    "abort",
    lambda p: p.barrier.abort(),
    at_once(lambda s, _: ({"barrier": (s["barrier"][0], BROKEN)}, None)),
)
action("barrier", "reset", lambda p: p.barrier.reset(), at_once(barrier_reset))


# Queues: items, and how many tasks are not done.
ORDERS: dict[str, Callable[[tuple[int, ...], int], tuple[int, ...]]] = {
    "queue": lambda items, new: (*items, new),
    "lifo": lambda items, new: (new, *items),
    "priority": lambda items, new: tuple(sorted((*items, new))),
    "simple": lambda items, new: (*items, new),
}


def put(kind: str, item: int, most: int, *, waits: bool) -> Stepper:
    def step(s: Shared, _: int) -> tuple[Shared, Any] | None:
        items, tasks = s[kind]
        if len(items) >= most:
            return None if waits else ({}, "Full")
        return {kind: (ORDERS[kind](items, item), tasks + 1)}, None

    return at_once(step)


def get(kind: str, *, waits: bool) -> Stepper:
    def step(s: Shared, _: int) -> tuple[Shared, Any] | None:
        items, tasks = s[kind]
        if not items:
            return None if waits else ({}, "Empty")
        return {kind: (items[1:], tasks)}, items[0]

    return at_once(step)


def task_done(s: Shared, _: int) -> tuple[Shared, Any]:
    items, tasks = s["queue"]
    return ({"queue": (items, tasks - 1)}, None) if tasks else ({}, "ValueError")


for kind, most in (("queue", 1), ("lifo", 99), ("priority", 99), ("simple", 99)):
    for item in (1, 2):
        action(kind, f"put {item}", lambda p, k=kind, i=item: getattr(p, k).put(i), put(kind, item, most, waits=True))
    action(kind, "put_nowait", lambda p, k=kind: getattr(p, k).put_nowait(3), put(kind, 3, most, waits=False))
    action(kind, "get", lambda p, k=kind: getattr(p, k).get(), get(kind, waits=True))
    action(kind, "get_nowait", lambda p, k=kind: getattr(p, k).get_nowait(), get(kind, waits=False))
    action(kind, "get shortly", lambda p, k=kind: getattr(p, k).get(timeout=SHORT), get(kind, waits=False))
    action(kind, "get long", lambda p, k=kind: getattr(p, k).get(timeout=LONG), get(kind, waits=True), returns("Empty"))
    action(kind, "size", lambda p, k=kind: getattr(p, k).qsize(), at_once(lambda s, _, k=kind: ({}, len(s[k][0]))))
action("queue", "task_done", lambda p: p.queue.task_done(), at_once(task_done))
action("queue", "join", lambda p: p.queue.join(), at_once(lambda s, _: None if s["queue"][1] else ({}, None)))


# Futures, and a shared variable.
def set_result(s: Shared, _: int) -> tuple[Shared, Any]:
    return ({}, "InvalidStateError") if s["future"] else ({"future": True}, None)


action("future", "set_result", lambda p: p.future.set_result(7), at_once(set_result))
action("future", "result", lambda p: p.future.result(), at_once(lambda s, _: ({}, 7) if s["future"] else None))
action(
    "future",
    "result for long",
    lambda p: p.future.result(LONG),
    at_once(lambda s, _: ({}, 7) if s["future"] else None),
    returns("TimeoutError"),
)
action("future", "done", lambda p: p.future.done(), at_once(lambda s, _: ({}, s["future"])))


def add(s: Shared, _me: int, phase: Any) -> Step:
    return ({}, ("read", s["x"]), NO_RESULT) if phase == 0 else ({"x": phase[1] + 1}, DONE, None)


def real_add(p: Any) -> None:
    p.x += 1


action("variable", "add", real_add, add)
action("variable", "get", lambda p: p.x, at_once(lambda s, _: ({}, s["x"])))


def real_state() -> SimpleNamespace:
    return SimpleNamespace(
        lock=threading.Lock(),
        rlock=threading.RLock(),
        semaphore=threading.Semaphore(1),
        bounded=threading.BoundedSemaphore(1),
        event=threading.Event(),
        condition=threading.Condition(),
        flag=False,
        barrier=threading.Barrier(2),
        queue=queue.Queue(1),
        lifo=queue.LifoQueue(),
        priority=queue.PriorityQueue(),
        simple=queue.SimpleQueue(),
        future=Future(),
        x=0,
        results={},
    )


MODEL_STATE: Shared = {
    "lock": 0,
    "rlock": (0, 0),
    "semaphore": 1,
    "bounded": 1,
    "event": False,
    "held": 0,
    "waiters": (),
    "notified": frozenset(),
    "flag": False,
    "barrier": (0, FILLING),
    **dict.fromkeys(ORDERS, ((), 0)),
    "future": False,
    "x": 0,
}
