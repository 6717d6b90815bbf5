"""Random exploration of asyncio tasks, and tasks under a given order of steps: :mod:`frontrun.bytecode` for coroutines.

A step of a task goes from where it was suspended to where it suspends next. :func:`await_point` is a place where it
does, and so is every other ``await`` that has to wait. No step is an opcode, so an order of steps is good for every
version of CPython, as far as the program and asyncio itself suspend at the same places.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from . import _core
from ._async_program import WORKER, AsyncProgram, awaited, chosen_tasks
from ._calls import this_call
from ._exploration import Options, explore, text_of
from ._in_caller import DeadlockError
from ._instrument import Scope
from ._tasks_in_caller import run_tasks
from .bytecode import SAMPLERS, check_schedule, sampling
from .bytecode import schedule_strategy as _schedule_strategy
from .common import InterleavingResult

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = [
    "ControlledRunner",
    "DeadlockError",
    "InterleavingResult",
    "await_point",
    "controlled_interleaving",
    "explore_interleavings",
    "run_with_schedule",
    "schedule_of",
    "schedule_strategy",
]

State = TypeVar("State")


async def await_point() -> None:
    """Suspend the task, so that others may go on first. Without frontrun this is ``await asyncio.sleep(0)``."""
    await asyncio.sleep(0)


async def explore_interleavings(
    setup: Callable[[], Any],
    tasks: Sequence[Callable[[Any], object]],
    invariant: Callable[[Any], object],
    max_attempts: int = 200,
    max_ops: int = 100,
    timeout_per_run: float = 5.0,
    seed: int | None = None,
    deadlock_timeout: float = 5.0,
    *,
    cancel: bool | Sequence[int] = False,
    samplers: Sequence[str] = SAMPLERS,
    stop_on_first: bool = True,
    reproduce_on_failure: int = 10,
    total_timeout: float | None = None,
    observe: Callable[[Any], object] | None = None,
    trace_dir: str | os.PathLike[str] | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    workers: int | None = None,
) -> InterleavingResult:
    """Run ``tasks`` on fresh state in orders that are drawn at random, and check ``invariant`` after each.

    Executions run in processes of their own, each in an event loop of its own; the caller's loop waits meanwhile. The
    first execution is not drawn. If no other order can make a difference, the search ends there and is exhausted. Else
    it is ``bounded`` unless something fails; :attr:`~frontrun.common.InterleavingResult.detection_bounds` says what
    that is worth.

    :param setup: makes the state, anew for each execution; it may be a coroutine function.
    :param tasks: one coroutine function a task; each gets the state.
    :param invariant: called with the state when all tasks have ended; a false value or an exception is a failure. It
        may be a coroutine function.
    :param max_attempts: how many executions are run.
    :param max_ops: after so many steps an execution goes on as a random walk, in which no task starves.
    :param timeout_per_run: an execution that takes longer is killed and counts as a failure of kind ``hang``.
    :param seed: equal seeds give equal executions; drawn and reported when there is none.
    :param deadlock_timeout: accepted and ignored: a deadlock is found at once, whatever time it is.
    :param cancel: tasks that may be cancelled from outside, each once, at any ``await``: the numbers, or true for all.
        A task that ends so has not failed; the invariant has to hold all the same.
    :param samplers: names of samplers, which take turns, see :mod:`frontrun.bytecode`.
    :param stop_on_first: end the search at the first failure.
    :param reproduce_on_failure: how often the first failing execution is replayed.
    :param total_timeout: end the search after so many seconds.
    :param observe: its ``repr`` is counted per execution, evaluated after the invariant, whatever that said.
    :param trace_dir: where traces go and stay; by default those of failures alone go to ``.frontrun/NAME/``.
    :param include: globs on dotted module names whose code is in scope besides the project's.
    :param exclude: globs on dotted module names whose code is not in scope.
    :param workers: how many executions run at a time; one for each core by default. It changes no result.
    :returns: verdict, failures with their traces, outcomes.
    """
    del deadlock_timeout
    options = Options(
        scope=Scope(tuple(include), tuple(exclude)),
        stop_on_first=stop_on_first,
        reproduce_on_failure=reproduce_on_failure,
        total_timeout=total_timeout,
        timeout_per_run=timeout_per_run,
        trace_dir=trace_dir,
        workers=workers,
        sampling=sampling(max_attempts, seed, samplers, max_ops),
    )
    program = AsyncProgram(setup, tuple(tasks), invariant, text_of(observe), cancelled=chosen_tasks(cancel, len(tasks)))
    return explore(program, options, this_call())


class ControlledRunner:
    """Runs coroutine functions as tasks under a schedule; made by :func:`controlled_interleaving`."""

    def __init__(self, schedule: Sequence[int], num_tasks: int, scope: Scope) -> None:
        check_schedule(schedule, num_tasks, "tasks")
        self.schedule = list(schedule)
        self.num_tasks = num_tasks
        self._scope = scope

    async def run(
        self,
        funcs: Sequence[Callable[..., object]],
        args: Sequence[Sequence[Any]] | None = None,
        kwargs: Sequence[Mapping[str, Any]] | None = None,
        timeout: float = 10.0,
    ) -> None:
        """Run one coroutine function a task, with arguments for each if given, until all have ended.

        :raises DeadlockError: when no task can go on.
        :raises TimeoutError: after ``timeout`` seconds.
        :raises BaseException: the first exception that a task lets out, when all have ended.
        """
        if len(funcs) != self.num_tasks:
            message = f"{self.num_tasks} coroutine functions are needed, one for each task"
            raise ValueError(message)
        calls = [
            partial(function, *(args[nth] if args else ()), **(kwargs[nth] if kwargs else {}))
            for nth, function in enumerate(funcs)
        ]
        await run_tasks(calls, self.schedule, self._scope, timeout)


@asynccontextmanager
async def controlled_interleaving(
    schedule: Sequence[int], num_tasks: int = 2, *, include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> AsyncIterator[ControlledRunner]:
    """Give a runner whose tasks take their steps in the order of ``schedule``.

    Each number names the task that makes the next step, up to where it suspends. A number whose task has ended or has
    to wait is passed over; behind the last one the first task that can go on does so. Callbacks, and tasks that the
    tasks make, have no number: they go on as soon as they can. Timers go off when nobody can go on. All of it runs in
    the caller's event loop, so that locks, queues and futures that belong to it can be used; its other tasks wait
    meanwhile, unless they are woken.
    """
    scope = Scope(tuple(include), tuple(exclude), libraries=False)
    yield ControlledRunner(schedule, num_tasks, scope)


async def run_with_schedule(
    schedule: Sequence[int],
    setup: Callable[[], Any],
    tasks: Sequence[Callable[[Any], object]],
    timeout: float = 5.0,
    deadlock_timeout: float = 5.0,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
) -> Any:
    """Make a state, run ``tasks`` on it under ``schedule`` as :func:`controlled_interleaving` does, and return it.

    ``deadlock_timeout`` is accepted and ignored. ``setup``, which may be a coroutine function, runs before control
    begins.
    """
    del deadlock_timeout
    state = await awaited(setup())
    async with controlled_interleaving(schedule, len(tasks), include=include, exclude=exclude) as runner:
        await runner.run(tasks, args=[(state,)] * len(tasks), timeout=timeout)
    return state


def schedule_of(trace: str | os.PathLike[str]) -> list[int]:
    """Which task made each step of a trace, such as a result's counterexample, for :func:`run_with_schedule`.

    Callbacks, and tasks that were made by tasks, have no number, and their steps are left out.
    """
    return _core.turns(trace, WORKER)


def schedule_strategy(num_tasks: int, max_ops: int = 100) -> SearchStrategy[list[int]]:
    """Schedules of up to ``max_ops`` steps, for tests with Hypothesis."""
    return _schedule_strategy(num_tasks, max_ops)
