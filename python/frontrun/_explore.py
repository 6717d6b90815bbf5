"""The front door: one call for systematic and for random exploration of some threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from . import _exploration, _threads
from ._async_program import AsyncProgram, chosen_tasks, is_async
from ._calls import this_call
from ._exploration import Clock, Execution, Program, text_of
from ._options import Strategy, check_execution, options
from ._serial import serial_outcomes
from ._snapshot import snapshot
from .common import InterleavingResult

State = TypeVar("State")


def explore(
    setup: Callable[[], State],
    workers: Callable[[State], object] | Sequence[Callable[[State], object]],
    invariant: Callable[[State], object] | None = None,
    *,
    count: int | None = None,
    strategy: Strategy = "dpor",
    max_executions: int | None = None,
    preemption_bound: int | None = None,
    max_attempts: int | None = None,
    max_ops: int | None = None,
    seed: int | None = None,
    samplers: Sequence[str] | None = None,
    stop_on_first: bool = True,
    reproduce_on_failure: int = 10,
    total_timeout: float | None = None,
    timeout_per_run: float = 5.0,
    serializable_invariant: bool = False,
    error_on_any_race: bool = False,
    cancel: bool | Sequence[int] = False,
    observe: Callable[[State], object] | None = None,
    trace_dir: str | os.PathLike[str] | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    trace_packages: Sequence[str] = (),
    trust: Sequence[str] = (),
    clock: Clock = "virtual",
    gil: bool = False,
    spurious_wakeups: bool = False,
    free_threaded: bool = False,
    jobs: int | None = None,
    execution: Execution = "thread",
) -> InterleavingResult:
    """Run workers on fresh state in different orders, each worker in a thread, and check what comes of it.

    If one of them is a coroutine function, the workers are tasks of one event loop instead. Then setup and invariant
    may be asynchronous, too. The result may be awaited, which gives the result.

    An exception that a worker lets out, a deadlock, a crash and a hang are failures in any case. ``invariant`` may be
    left out when ``serializable_invariant`` or ``error_on_any_race`` say what is right.

    :param setup: makes the state, anew for each execution.
    :param workers: one callable a thread, or one callable for ``count`` threads; each gets the state.
    :param invariant: called with the state when all threads have ended; a false value or an exception is a failure.
    :param count: how many threads run the one worker.
    :param strategy: ``"dpor"`` runs every class of executions once and can prove; ``"random"`` draws executions.
    :param max_executions: of ``"dpor"``: end the search after so many executions.
    :param preemption_bound: of ``"dpor"``: leave out executions with more preemptions.
    :param max_attempts: of ``"random"``: how many executions are run; 200 by default.
    :param max_ops: of ``"random"``: after so many steps, 300 by default, an execution goes on as a random walk.
    :param seed: of ``"random"``: what the executions are drawn from.
    :param samplers: of ``"random"``: names of the samplers that take turns, see :mod:`frontrun.bytecode`.
    :param stop_on_first: end the search at the first failure.
    :param reproduce_on_failure: how often the first failing execution is replayed.
    :param total_timeout: end the search after so many seconds.
    :param timeout_per_run: an execution that takes longer is killed and counts as a failure of kind ``hang``.
    :param serializable_invariant: every execution must end with a state that some serial order of the workers ends
        with, too. Those are run first. States are compared by the ``repr`` of what ``observe`` returns, or else by
        their contents: types, attributes, items; not by their own ``repr`` or ``__eq__``.
    :param error_on_any_race: a data race in any execution is a failure of kind ``race``.
    :param cancel: of coroutine functions: workers that may be cancelled from outside, each once, at any ``await``: the
        numbers, or true for all. A worker that ends so has not failed; the invariant has to hold all the same.
    :param observe: its ``repr`` is counted per execution, evaluated after the invariant, whatever that said.
    :param trace_dir: where traces go and stay; by default those of failures alone go to ``.frontrun/NAME/``.
    :param include: globs on dotted module names whose code is in scope besides the project's.
    :param exclude: globs on dotted module names in whose code threads switch only where it waits.
    :param trace_packages: names of packages whose code is in scope besides the project's.
    :param trust: globs on dotted module names whose code is not looked into; an exploration is then ``bounded``.
    :param clock: what time is to the threads: ``"virtual"`` (sleeps take none, and waits of a second or more give up
        when nothing else can happen), ``"explored"`` (waits may give up at any moment), ``"real"``.
    :param gil: count only executions that an interpreter with a GIL can have, which switches threads at fewer places.
    :param spurious_wakeups: waits on a ``threading.Condition`` in code in scope may end although nobody has notified
        them, once in each thread of an execution.
    :param free_threaded: let threads switch inside C code that iterates, too, such as ``list(ordered.keys())``, as they
        can on a free-threaded build of CPython.
    :param jobs: how many executions run at a time; one for each core by default.
    :param execution: ``"thread"``, or ``"process"``: each worker is run in a process of its own, which is forked after
        ``setup`` and has a copy of the state. They meet in files and in databases of SQLite. ``invariant`` and
        ``observe`` get the parent's copy, which no worker has changed, and look at what is outside.
    :returns: verdict, failures with their traces, outcomes; see
        :meth:`~frontrun.common.InterleavingResult.assert_holds`.
    """
    chosen = options(
        strategy=strategy,
        max_executions=max_executions,
        preemption_bound=preemption_bound,
        max_attempts=max_attempts,
        max_ops=max_ops,
        seed=seed,
        samplers=samplers,
        stop_on_first=stop_on_first,
        reproduce_on_failure=reproduce_on_failure,
        total_timeout=total_timeout,
        timeout_per_run=timeout_per_run,
        error_on_any_race=error_on_any_race,
        trace_dir=trace_dir,
        include=include,
        exclude=exclude,
        trace_packages=trace_packages,
        trust=trust,
        jobs=jobs,
        clock=clock,
        gil=gil,
        spurious_wakeups=spurious_wakeups,
        free_threaded=free_threaded,
    )
    if invariant is None and not (serializable_invariant or error_on_any_race):
        message = "an invariant is needed, or serializable_invariant, or error_on_any_race"
        raise TypeError(message)
    check_execution(execution, gil=gil, error_on_any_race=error_on_any_race)
    if execution == "process" and serializable_invariant and observe is None:
        message = "serializable_invariant needs observe for execution='process': no worker changes the caller's state"
        raise TypeError(message)
    describe = text_of(observe) or (_snapshot_quietly if serializable_invariant else None)
    threads = _threads_of(workers, count)
    program = Program(setup, threads, invariant, describe, execution=execution)
    program = _program(program, cancel, serializable_invariant)
    call = this_call()
    if serializable_invariant:
        outcomes, failed = serial_outcomes(program, chosen, call)
        if failed is not None:
            return failed
        program = replace(program, outcomes=outcomes)
    return _exploration.explore(program, chosen, call)


def _program(program: Program, cancel: bool | Sequence[int], serializable: bool) -> Program:
    """The program, of tasks if its workers are some."""
    cancelled = chosen_tasks(cancel, len(program.threads))
    if not any(map(is_async, program.threads)):
        if cancelled:
            message = "cancel needs workers that are coroutine functions: nobody can cancel a thread"
            raise TypeError(message)
        return program
    if program.execution == "process":
        message = "workers that are processes cannot be coroutine functions"
        raise TypeError(message)
    if cancelled and serializable:
        message = "no serial order says what a cancelled worker may leave behind: cancel needs an invariant instead"
        raise TypeError(message)
    return AsyncProgram(program.setup, program.threads, program.invariant, program.describe, cancelled=cancelled)


def _threads_of(workers: Any, count: int | None) -> tuple[Callable[[Any], object], ...]:
    """The functions of the threads."""
    if callable(workers):
        if count is None or count < 1:
            message = "one worker needs count=N, the number of threads that run it"
            raise TypeError(message)
        threads: tuple[Callable[[Any], object], ...] = (workers,) * count
    elif count is not None:
        message = "count goes with one worker, not with several"
        raise TypeError(message)
    else:
        threads = tuple(workers)
    return threads


def _snapshot_quietly(state: Any) -> str:
    with _threads.quietly:
        return snapshot(state)
