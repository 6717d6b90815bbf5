"""Systematic exploration of asyncio tasks: every class of executions, exactly once.

A task goes on from one suspension to the next without interruption, so that is what is ordered: each step of each task
that is ready, in whatever order. An event loop itself calls what is ready first come, first served; that another order
can happen takes an ``await`` that waits for something outside, as nearly all do in a program that is not a test. An
``await`` that does not suspend, such as that of a coroutine that returns at once, is no place to switch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TypeVar

from ._async_program import AsyncProgram, chosen_tasks
from ._calls import this_call
from ._exploration import Options, explore, text_of
from ._instrument import Scope
from .common import InterleavingResult

__all__ = ["InterleavingResult", "explore_async_dpor"]

State = TypeVar("State")


async def explore_async_dpor(
    setup: Callable[[], State],
    tasks: Sequence[Callable[[State], object]],
    invariant: Callable[[State], object],
    max_executions: int | None = None,
    preemption_bound: int | None = None,
    max_branches: int | None = None,
    timeout_per_run: float = 5.0,
    stop_on_first: bool = True,
    detect_io: bool = True,
    deadlock_timeout: float = 5.0,
    reproduce_on_failure: int = 10,
    total_timeout: float | None = None,
    *,
    cancel: bool | Sequence[int] = False,
    observe: Callable[[State], object] | None = None,
    trace_dir: str | os.PathLike[str] | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    workers: int | None = None,
    trace_packages: Sequence[str] = (),
) -> InterleavingResult:
    """Run ``tasks`` on fresh state in every order that can make a difference, and check ``invariant`` after each.

    Executions run in processes of their own, each in an event loop of its own; the caller's loop waits meanwhile.

    :param setup: makes the state, anew for each execution; it may be a coroutine function.
    :param tasks: one coroutine function a task; each gets the state.
    :param invariant: called with the state when all tasks have ended; a false value or an exception is a failure. It
        may be a coroutine function.
    :param max_executions: end the search after so many executions; then the verdict is ``bounded``, never ``holds``.
    :param preemption_bound: leave out executions with more preemptions; the verdict is then at most ``bounded``.
    :param max_branches: accepted and ignored: ``timeout_per_run`` is what ends a long execution.
    :param timeout_per_run: an execution that takes longer is killed and counts as a failure of kind ``hang``.
    :param stop_on_first: end the search at the first failure.
    :param detect_io: accepted and ignored.
    :param deadlock_timeout: accepted and ignored: a deadlock is found at once, whatever time it is.
    :param reproduce_on_failure: how often the first failing execution is replayed.
    :param total_timeout: end the search after so many seconds.
    :param cancel: tasks that may be cancelled from outside, each once, at any ``await``: the numbers, or true for all.
        A task that ends so has not failed; the invariant has to hold all the same.
    :param observe: its ``repr`` is counted per execution, evaluated after the invariant, whatever that said.
    :param trace_dir: where traces go; a new temporary directory by default.
    :param include: globs on dotted module names whose code is in scope besides the project's.
    :param exclude: globs on dotted module names whose code is not in scope.
    :param trace_packages: names of packages whose code is in scope besides the project's.
    :param workers: how many executions run at a time; one for each core by default.
    :returns: verdict, failures with their traces, outcomes.
    """
    del max_branches, detect_io, deadlock_timeout
    options = Options(
        scope=Scope(tuple(include), tuple(exclude), tuple(trace_packages)),
        max_executions=max_executions,
        preemption_bound=preemption_bound,
        stop_on_first=stop_on_first,
        reproduce_on_failure=reproduce_on_failure,
        total_timeout=total_timeout,
        timeout_per_run=timeout_per_run,
        trace_dir=trace_dir,
        workers=workers,
    )
    program = AsyncProgram(setup, tuple(tasks), invariant, text_of(observe), cancelled=chosen_tasks(cancel, len(tasks)))
    return explore(program, options, this_call())
