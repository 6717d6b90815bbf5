"""Brute force for asyncio: every order of what is ready, one after the other, and what each of them ends with.

Independent of frontrun: an event loop whose queue is a choice, run again and again until all choices have been made.
Tracked attributes, futures and deques say what each step read and wrote, from which follows the Mazurkiewicz class of
an order: for each step, which steps of whom are in its past.
"""

from __future__ import annotations

import asyncio
import asyncio.locks
import asyncio.queues
import collections
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

Worker = Callable[[Any], object]
_UNTRACKED = ("_loop", "__class__", "__dict__")


class Log:
    """Which locations the step under way reads and writes. Objects are kept alive, so that an ``id`` is of one only."""

    def __init__(self) -> None:
        self.reads: set[tuple[int, str]] = set()
        self.writes: set[tuple[int, str]] = set()
        self.kept: list[object] = []

    def note(self, thing: object, name: str, *, write: bool) -> None:
        self.kept.append(thing)
        (self.writes if write else self.reads).add((id(thing), name))


log = Log()


class Tracked:
    """Instance attributes are noted."""

    def __getattribute__(self, name: str) -> Any:
        if name not in _UNTRACKED and name in object.__getattribute__(self, "__dict__"):
            log.note(self, name, write=False)
        return object.__getattribute__(self, name)

    def __setattr__(self, name: str, value: object) -> None:
        if name not in _UNTRACKED:
            log.note(self, name, write=True)
        object.__setattr__(self, name, value)


def _noting(cls: Any, name: str, write: bool) -> Any:
    original = getattr(cls, name)

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        log.note(self, "", write=write)
        return original(self, *args, **kwargs)

    return call


def _deque() -> Any:
    writing = ("append", "appendleft", "pop", "popleft", "remove", "clear")
    reading = ("__len__", "__iter__", "__contains__", "__getitem__")
    cls: Any = collections.deque
    body = {name: _noting(cls, name, True) for name in writing} | {name: _noting(cls, name, False) for name in reading}
    return type("deque", (cls,), body | {"__bool__": lambda self: len(self) > 0})


class TrackedFuture(asyncio.Future):  # type: ignore[type-arg]
    """Notes its state."""

    def __await__(self) -> Any:
        log.note(self, "", write=False)
        return (yield from super().__await__())

    __iter__ = __await__


class TrackedTask(asyncio.Task):  # type: ignore[type-arg]
    """Notes its state, and that it is to be cancelled."""

    def __await__(self) -> Any:
        log.note(self, "", write=False)
        return (yield from super().__await__())

    __iter__ = __await__

    def cancel(self, *args: Any, **kwargs: Any) -> bool:
        log.note(self, "", write=False)
        log.note(self, "cancel", write=True)
        return super().cancel(*args, **kwargs)


def _completing(name: str) -> Any:
    """What completes a future, unless it is done: then that is all that it has to do with it."""
    original = getattr(asyncio.Future, name)

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        log.note(self, "", write=not asyncio.Future.done(self))
        return original(self, *args, **kwargs)

    return call


for _name in ("set_result", "set_exception", "cancel"):
    setattr(TrackedFuture, _name, _completing(_name))
for _name in ("done", "result", "exception", "cancelled"):
    setattr(TrackedFuture, _name, _noting(asyncio.Future, _name, False))
    setattr(TrackedTask, _name, _noting(asyncio.Task, _name, False))


LEAVING: tuple[str, Any] = ("leaving", None)
"""The choice to leave the loop."""


class ChoosingLoop(asyncio.SelectorEventLoop):
    """Runs what is ready in the order of ``choices``, and then always the first; notes how many there were."""

    def __init__(self, choices: list[int]) -> None:
        super().__init__()
        self.choices = choices
        self.widths: list[int] = []
        self.ready: list[tuple[str, asyncio.Handle]] = []
        self.names: dict[Any, str] = {}
        self.children: collections.Counter[str] = collections.Counter()
        self.scheduled: list[tuple[str, asyncio.Handle, bool]] = []
        self.faults: list[asyncio.Handle] = []
        self.current = ""
        self.steps: list[tuple[str, Log]] = []
        self.set_task_factory(lambda loop, coroutine, **kwargs: TrackedTask(coroutine, loop=loop, **kwargs))

    def create_future(self) -> Any:
        return TrackedFuture(loop=self)

    def _child(self) -> str:
        self.children[self.current] += 1
        name = f"{self.current}.{self.children[self.current]}"
        log.note(self, name, write=True)
        return name

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:  # type: ignore[override]
        handle = asyncio.Handle(callback, args, self, context)
        task = getattr(callback, "__self__", None)
        is_task = isinstance(task, asyncio.Task) and getattr(callback, "__name__", "step") in ("step", "task_wakeup")
        if is_task and task not in self.names:
            self.names[task] = self._child()
        self.ready.append((self.names[task] if is_task else self._child(), handle))
        self.scheduled.append((self.current, handle, is_task))
        return handle

    def _predecessors(self, wanted: asyncio.Handle) -> list[asyncio.Handle]:
        """The callbacks that who scheduled this one has scheduled before."""
        at, scheduler = next((at, who) for at, (who, handle, _) in enumerate(self.scheduled) if handle is wanted)
        return [handle for who, handle, is_task in self.scheduled[:at] if who == scheduler and not is_task]

    def _may_go(self, name: str, handle: asyncio.Handle) -> bool:
        """Whether all callbacks have been called that come before: also those of who goes on."""
        waiting = [entry[1] for entry in self.ready]
        own = [late for who, late, is_task in self.scheduled if who == name and not is_task and late is not handle]
        return not any(before in waiting for before in [*self._predecessors(handle), *own])

    def _cancel(self, task: Any) -> None:
        """Have a task cancelled by nobody else's step, at any moment; the loop is not left before."""
        handle = asyncio.Handle(task.cancel, (), self, None)
        name = self._child()
        self.ready.append((name, handle))
        self.scheduled.append((name, handle, False))
        self.faults.append(handle)

    def run_chosen(self, workers: Sequence[Any], cancelled: Sequence[int] = ()) -> bool:
        """Run until the workers have ended and the loop is left, or nothing is ready. Returns whether it was left."""
        tasks = [self.create_task(worker) for worker in workers]
        for nth in cancelled:
            self._cancel(tasks[nth])
        asyncio.events._set_running_loop(self)
        try:
            while options := self._options(tasks):
                turn = len(self.widths)
                entry = options[self.choices[turn] if turn < len(self.choices) else 0]
                self.widths.append(len(options))
                if entry is LEAVING:
                    self._leave(tasks)
                    return True
                self._run_step(entry)
        finally:
            asyncio.events._set_running_loop(None)
        return False

    def _options(self, tasks: list[Any]) -> list[tuple[str, Any]]:
        options: list[tuple[str, Any]] = [entry for entry in self.ready if self._may_go(*entry)]
        names = [self.names[task] for task in tasks]
        late = [handle for who, handle, is_task in self.scheduled if who in names and not is_task] + self.faults
        waiting = [entry[1] for entry in self.ready]
        if all(asyncio.Task.done.__get__(task)() for task in tasks) and not any(handle in waiting for handle in late):
            options.append(LEAVING)
        return options

    def _leave(self, tasks: list[Any]) -> None:
        step = Log()
        for task in tasks:
            step.note(task, "", write=False)
        for who, handle, is_task in self.scheduled:
            if who in [self.names[task] for task in tasks] and not is_task:
                step.note(handle, "called", write=False)
        for handle in self.faults:
            step.note(handle, "called", write=False)
        step.note(self, "running", write=True)
        self.steps.append(("leaving", step))

    def _run_step(self, entry: tuple[str, asyncio.Handle]) -> None:
        name, handle = entry
        self.ready.remove(entry)
        log.__init__()  # type: ignore[misc]
        log.note(self, name, write=False)
        log.note(self, "running", write=False)
        task = next((task for task, known in self.names.items() if known == name), None)
        if task is not None:
            log.note(task, "cancel", write=False)
            waited = task._fut_waiter
            if waited is not None:
                log.note(waited, "", write=False)
        self.current = name
        handle._run()
        for before in self._predecessors(handle):
            log.note(before, "called", write=False)
        if task is None:
            log.note(handle, "called", write=True)
        if task is not None and asyncio.Task.done.__get__(task)():
            log.note(task, "", write=True)
        step = Log()
        step.reads, step.writes, step.kept = log.reads, log.writes, log.kept
        self.steps.append((name, step))
        self.current = ""


def class_of(steps: Sequence[tuple[str, Log]]) -> frozenset[Any]:
    """The class of an order: for each step its past, as how many steps of whom."""
    clocks: list[dict[str, int]] = []
    counts: collections.Counter[str] = collections.Counter()
    result = set()
    for at, (name, mine) in enumerate(steps):
        clock: dict[str, int] = {}
        for earlier, (other, theirs) in enumerate(steps[:at]):
            conflict = mine.writes & (theirs.reads | theirs.writes) or theirs.writes & mine.reads
            if conflict or other == name:
                for who, count in clocks[earlier].items():
                    clock[who] = max(clock.get(who, 0), count)
        counts[name] += 1
        clock[name] = counts[name]
        clocks.append(clock)
        result.add((name, counts[name], frozenset(clock.items())))
    return frozenset(result)


@contextmanager
def _tracking() -> Iterator[None]:
    """Let the primitives of asyncio be tracked."""
    saved: list[tuple[Any, str, Any]] = []

    def put(holder: Any, name: str, value: Any) -> None:
        saved.append((holder, name, getattr(holder, name)))
        setattr(holder, name, value)

    deque = types.SimpleNamespace(deque=_deque())
    for module in (asyncio.locks, asyncio.queues):
        put(module, "collections", deque)
    for name in ("Lock", "Event", "Condition", "Semaphore", "BoundedSemaphore"):
        cls = type(name, (Tracked, getattr(asyncio.locks, name)), {})
        put(asyncio.locks, name, cls)
        put(asyncio, name, cls)
    put(asyncio, "Queue", type("Queue", (Tracked, asyncio.Queue), {}))
    try:
        yield
    finally:
        for holder, name, value in reversed(saved):
            setattr(holder, name, value)


def explore_every_order(
    setup: Callable[[], Any],
    workers: Sequence[Worker],
    observe: Callable[[Any], object],
    cancelled: Sequence[int] = (),
) -> tuple[int, set[str], int]:
    """How many classes there are, the outcomes, and how many classes get stuck."""
    classes: dict[frozenset[Any], bool] = {}
    outcomes: set[str] = set()
    choices: list[int] | None = []
    with _tracking():
        while choices is not None:
            loop = ChoosingLoop(choices)
            state = setup()
            if type(state).__module__ != "builtins":
                state.__class__ = type(type(state).__name__, (Tracked, type(state)), {})
            loop.set_exception_handler(lambda *_: None)
            stuck = not loop.run_chosen([_call(worker, state) for worker in workers], cancelled)
            classes[class_of(loop.steps)] = stuck
            if not stuck:
                outcomes.add(repr(observe(state)))
            choices = _next(choices, loop.widths)
            _discard(loop)
    return len(classes), outcomes, sum(classes.values())


async def _call(worker: Worker, state: Any) -> None:
    result: Any = worker(state)
    await result


def _discard(loop: ChoosingLoop) -> None:
    for task in loop.names:
        if not asyncio.Task.done.__get__(task)():
            task._log_destroy_pending = False
            task.get_coro().close()
    loop.close()


def _next(choices: list[int], widths: list[int]) -> list[int] | None:
    """The choices that come after these, in which there were so many."""
    made = (choices + [0] * len(widths))[: len(widths)]
    while made:
        if made[-1] + 1 < widths[len(made) - 1]:
            return [*made[:-1], made[-1] + 1]
        made.pop()
    return None
