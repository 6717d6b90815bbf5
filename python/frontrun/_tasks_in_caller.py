"""One controlled run of some tasks in the caller's own event loop, so that they work with what belongs to that loop.

The caller is itself a task in the middle of a step. The loop is lent to the run: its other tasks do not go on
meanwhile, unless one of the run's tasks wakes them, and then they are a part of the run.

Not here: how a run begins and ends in a process that goes on (``_in_caller``), loops (``_event_loops``).
"""

from __future__ import annotations

import asyncio
import ctypes
import inspect
import threading
from asyncio import selector_events
from collections.abc import Callable, Sequence

from . import _event_loops
from ._async_program import WORKER, named
from ._in_caller import GRACE, BrokenOffError, run_controlled
from ._instrument import Scope


async def run_tasks(
    functions: Sequence[Callable[[], object]], turns: Sequence[int], scope: Scope, timeout: float
) -> None:
    """Run what ``functions`` return as tasks of the running loop; ``turns`` says whose step is next.

    :raises DeadlockError: when no task can go on.
    :raises TimeoutError: after ``timeout`` seconds.
    :raises BaseException: the first exception that a task lets out, when all have ended.
    """
    loop = asyncio.get_running_loop()
    if not isinstance(loop, selector_events.BaseSelectorEventLoop):
        message = f"tasks of {type(loop).__name__} cannot be controlled: it is no event loop of asyncio"
        raise RuntimeError(message)
    errors: list[BaseException] = []
    tasks: list[asyncio.Task[None]] = []

    def make_tasks() -> list[asyncio.Task[None]]:
        for nth, function in enumerate(functions, 1):
            coroutine = named(_keeping(errors, function), function)
            tasks.append(loop.create_task(coroutine, name=f"{WORKER}{nth}"))
        return tasks

    def body() -> None:
        _event_loops.install()
        _event_loops.run_in_step(loop, make_tasks)

    try:
        run_controlled(body, turns, scope, timeout, _interrupter())
    except BrokenOffError as broken:
        await _end(tasks)
        raise broken.reason from None
    if errors:
        raise errors[0]


async def _keeping(errors: list[BaseException], function: Callable[[], object]) -> None:
    """Run a worker and keep what it raises for the caller. Being cancelled is no error."""
    try:
        result = function()
        if inspect.isawaitable(result):
            await result
    except (SystemExit, KeyboardInterrupt, asyncio.CancelledError):
        raise
    except BaseException as error:
        errors.append(error)


def _interrupter() -> Callable[[], None]:
    """What ends code of the calling thread that goes on without any visible step."""
    caller = ctypes.c_ulong(threading.get_ident())
    return lambda: _raise_in(caller)


def _raise_in(thread: ctypes.c_ulong) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(SystemExit))


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel tasks of a run that was broken off, and see to it that nothing is said of how they end."""
    for task in tasks:
        task.cancel()
    ended, _ = await asyncio.wait(tasks, timeout=GRACE)
    for task in ended:
        if not task.cancelled():
            task.exception()
