"""Systematic exploration: every class of executions of some threads, exactly once."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TypeVar

from ._calls import this_call
from ._exploration import Clock, Execution, Options, Program, explore, text_of
from ._instrument import Scope
from ._options import check_execution
from .common import InterleavingResult

__all__ = ["InterleavingResult", "explore_dpor"]

State = TypeVar("State")


def explore_dpor(
    setup: Callable[[], State],
    threads: Sequence[Callable[[State], object]],
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
    workers: int | None = None,
    execution: Execution = "thread",
) -> InterleavingResult:
    """Run ``threads`` on fresh state in every order that can make a difference, and check ``invariant`` after each.

    :param setup: makes the state, anew for each execution.
    :param threads: one callable a thread; each gets the state.
    :param invariant: called with the state when all threads have ended; a false value or an exception is a failure.
    :param max_executions: end the search after so many executions; then the verdict is ``bounded``, never ``holds``.
    :param preemption_bound: leave out executions with more preemptions; the verdict is then at most ``bounded``.
    :param max_branches: accepted and ignored: ``timeout_per_run`` is what ends a long execution.
    :param timeout_per_run: an execution that takes longer is killed and counts as a failure of kind ``hang``.
    :param stop_on_first: end the search at the first failure.
    :param detect_io: accepted and ignored: I/O is always seen, for a search that is blind to it proves nothing.
    :param deadlock_timeout: accepted and ignored: a deadlock is found at once, whatever time it is.
    :param reproduce_on_failure: how often the first failing execution is replayed.
    :param total_timeout: end the search after so many seconds.
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
    :param workers: how many executions run at a time; one for each core by default.
    :param execution: ``"thread"``, or ``"process"``: each worker is run in a process of its own, which is forked after
        ``setup`` and has a copy of the state. They meet in files and in databases of SQLite. ``invariant`` and
        ``observe`` get the parent's copy, which no worker has changed, and look at what is outside.
    :returns: verdict, failures with their traces, outcomes.
    """
    check_execution(execution, gil=gil)
    del max_branches, detect_io, deadlock_timeout
    options = Options(
        scope=Scope(tuple(include), tuple(exclude), tuple(trace_packages), trust=tuple(trust)),
        max_executions=max_executions,
        preemption_bound=preemption_bound,
        stop_on_first=stop_on_first,
        reproduce_on_failure=reproduce_on_failure,
        total_timeout=total_timeout,
        timeout_per_run=timeout_per_run,
        trace_dir=trace_dir,
        workers=workers,
        clock=clock,
        gil=gil,
        spurious_wakeups=spurious_wakeups,
        free_threaded=free_threaded,
    )
    program = Program(setup, tuple(threads), invariant, text_of(observe), execution=execution)
    return explore(program, options, this_call())
