"""The program of one execution whose workers are tasks of one event loop.

Nothing but the workers runs in the loop, so that every order is one of theirs. A worker may also be an ordinary
function: then it is one step. Setup, invariant and what is observed may be asynchronous, too, and run before and after.

Not here: how tasks are scheduled (``_event_loops``), how executions are chosen (``_exploration``).
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from . import _core, _event_loops, _reporter, _threads
from ._exploration import Program

WORKER = "Worker-"
"""What the names of the workers' tasks begin with."""


@dataclass(frozen=True)
class AsyncProgram(Program):
    """Setup, tasks, checks."""

    cancelled: frozenset[int] = frozenset()
    """Which tasks somebody else cancels, at any moment or when they have ended. A task that ends so has not failed."""

    def __call__(self) -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        state = _resolved(loop, self.setup())
        tasks: list[asyncio.Task[None]] = []
        for worker in self.threads:
            coroutine = named(_run(worker, state), worker)
            tasks.append(loop.create_task(coroutine, name=f"{WORKER}{len(tasks) + 1}"))
            if self.serial:
                _event_loops.run_until_ended(loop, tasks[-1:])
        if not self.serial:
            _event_loops.run_until_ended(loop, tasks, [tasks[nth] for nth in sorted(self.cancelled)])
        with _threads.quietly:
            checks = self if self.invariant is None else replace(self, invariant=_resolving(loop, self.invariant))
        checks.check(state)


def _resolved(loop: asyncio.AbstractEventLoop, value: Any) -> Any:
    """What is awaited, where there is something to await."""
    return loop.run_until_complete(value) if inspect.isawaitable(value) else value


def _resolving(loop: asyncio.AbstractEventLoop, function: Callable[[Any], object]) -> Callable[[Any], object]:
    return functools.wraps(function)(lambda state: _resolved(loop, function(state)))


def named(coroutine: Any, worker: Callable[..., object]) -> Any:
    """A coroutine of this package under the name of the worker that it runs."""
    while isinstance(worker, functools.partial):
        worker = worker.func
    name = getattr(worker, "__qualname__", type(worker).__qualname__)
    coroutine.__qualname__ = name.rpartition("<locals>.")[2]
    return coroutine


async def awaited(value: Any) -> Any:
    """The same within a coroutine."""
    return await value if inspect.isawaitable(value) else value


async def _run(worker: Callable[[Any], object], state: Any) -> None:
    """Run a worker; an exception that it lets out is a failure."""
    try:
        result = worker(state)
        if inspect.isawaitable(result):
            await result
    except (SystemExit, KeyboardInterrupt, asyncio.CancelledError):
        raise
    except BaseException as error:
        with _threads.quietly:
            described = _reporter.describe_exception(error)
        _core.report_exception(*described)


def chosen_tasks(cancel: bool | Sequence[int], count: int) -> frozenset[int]:
    """The numbers of the tasks that are to be cancelled."""
    if isinstance(cancel, bool):
        return frozenset(range(count)) if cancel else frozenset()
    chosen = frozenset(cancel)
    if not chosen <= frozenset(range(count)):
        message = f"cancel={list(cancel)}: {count} tasks have numbers from 0 to {count - 1}"
        raise ValueError(message)
    return chosen


def is_async(worker: Callable[[Any], object]) -> bool:
    """Whether a worker is a coroutine function, or an object that is called like one."""
    while isinstance(worker, functools.partial):
        worker = worker.func
    called = type(worker).__call__
    return inspect.iscoroutinefunction(worker) or inspect.iscoroutinefunction(called)
