"""Random exploration: executions of some threads that are drawn from a seeded generator.

It finds what a systematic search would, often sooner and without its memory of what was run, and proves nothing: a
search that found no failure is ``bounded``. Which thread makes the next step is drawn by samplers that take turns:

``walk``
    each step from the enabled threads, uniformly;
``pctD``
    probabilistic concurrency testing for bugs of depth D (Burckhardt et al., ASPLOS 2010): of n threads and k steps,
    each attempt finds any bug of that depth with probability 1/(n k^(D-1)) or more;
``pos``
    partial order sampling (Yuan et al., CAV 2018): each pending step has a random priority that is drawn anew when a
    step is executed that it conflicts with.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from . import _core
from ._calls import this_call
from ._exploration import Options, Program, Sampling, explore, text_of
from ._in_caller import DeadlockError, run_threads
from ._instrument import Scope
from .common import InterleavingResult

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = [
    "ControlledRunner",
    "DeadlockError",
    "InterleavingResult",
    "controlled_interleaving",
    "explore_interleavings",
    "run_with_schedule",
    "schedule_of",
    "schedule_strategy",
]

State = TypeVar("State")

SAMPLERS = ("pct2", "pos", "pct2", "walk", "pct2", "pct3")
"""The samplers that take turns by default."""


def explore_interleavings(
    setup: Callable[[], State],
    threads: Sequence[Callable[[State], object]],
    invariant: Callable[[State], object],
    max_attempts: int = 200,
    max_ops: int = 300,
    timeout_per_run: float = 5.0,
    seed: int | None = None,
    debug: bool = False,
    detect_io: bool = True,
    deadlock_timeout: float = 5.0,
    reproduce_on_failure: int = 10,
    total_timeout: float | None = None,
    *,
    samplers: Sequence[str] = SAMPLERS,
    stop_on_first: bool = True,
    observe: Callable[[State], object] | None = None,
    trace_dir: str | os.PathLike[str] | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    workers: int | None = None,
) -> InterleavingResult:
    """Run ``threads`` on fresh state in orders that are drawn at random, and check ``invariant`` after each.

    The first execution is not drawn: it lets the first thread that can go on do so. If no other order can make a
    difference, the search ends there and is exhausted. Else it is ``bounded`` unless something fails;
    :attr:`~frontrun.common.InterleavingResult.detection_bounds` says what that is worth.

    :param setup: makes the state, anew for each execution.
    :param threads: one callable a thread; each gets the state.
    :param invariant: called with the state when all threads have ended; a false value or an exception is a failure.
    :param max_attempts: how many executions are run.
    :param max_ops: after so many steps an execution goes on as a random walk, in which no thread starves.
    :param timeout_per_run: an execution that takes longer is killed and counts as a failure of kind ``hang``.
    :param seed: equal seeds give equal executions on one version of CPython; drawn and reported when there is none.
    :param debug: print the result's explanation.
    :param detect_io: accepted and ignored: I/O is always seen, for a search that is blind to it proves nothing.
    :param deadlock_timeout: accepted and ignored: a deadlock is found at once, whatever time it is.
    :param reproduce_on_failure: how often the first failing execution is replayed.
    :param total_timeout: end the search after so many seconds.
    :param samplers: names of samplers, which take turns.
    :param stop_on_first: end the search at the first failure.
    :param observe: its ``repr`` is counted per execution, evaluated after the invariant, whatever that said.
    :param trace_dir: where traces go and stay; by default those of failures alone go to ``.frontrun/NAME/``.
    :param include: globs on dotted module names whose code is in scope besides the project's.
    :param exclude: globs on dotted module names in whose code threads switch only where it waits.
    :param workers: how many executions run at a time; one for each core by default. It changes no result.
    :returns: verdict, failures with their traces, outcomes.
    """
    del detect_io, deadlock_timeout
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
    result = explore(Program(setup, tuple(threads), invariant, text_of(observe)), options, this_call())
    if debug and result.explanation:
        print(result.explanation)
    return result


def sampling(attempts: int, seed: int | None, samplers: Sequence[str], steps: int) -> Sampling:
    """What is to be sampled; a seed is drawn if there is none."""
    if attempts < 1 or steps < 1:
        message = "at least one attempt of at least one step is needed"
        raise ValueError(message)
    if not samplers or not all(re.fullmatch(r"walk|pos|pct[1-9]\d*", sampler) for sampler in samplers):
        message = f"samplers are named walk, pos, pct1, pct2, ...: {list(samplers)}"
        raise ValueError(message)
    chosen = secrets.randbits(32) if seed is None else seed
    return Sampling(attempts, chosen % 2**64, tuple(samplers), min(steps, 2**32 - 1))


def check_schedule(schedule: Sequence[int], count: int, what: str) -> None:
    """Refuse numbers that name nobody."""
    if count < 1 or not all(0 <= number < count for number in schedule):
        message = f"a schedule of {count} {what} has numbers from 0 to {count - 1}"
        raise ValueError(message)


class ControlledRunner:
    """Runs functions in threads of this process under a schedule; made by :func:`controlled_interleaving`."""

    def __init__(self, schedule: Sequence[int], num_threads: int, scope: Scope) -> None:
        check_schedule(schedule, num_threads, "threads")
        self.schedule = list(schedule)
        self.num_threads = num_threads
        self._scope = scope

    def run(
        self,
        funcs: Sequence[Callable[..., object]],
        args: Sequence[Sequence[Any]] | None = None,
        kwargs: Sequence[Mapping[str, Any]] | None = None,
        timeout: float = 10.0,
    ) -> None:
        """Run one function a thread, with positional and keyword arguments for each if given, until all have ended.

        :raises DeadlockError: when no thread can go on.
        :raises TimeoutError: after ``timeout`` seconds.
        :raises BaseException: the first exception that a function lets out, when all have ended.
        """
        if len(funcs) != self.num_threads:
            message = f"{self.num_threads} functions are needed, one for each thread"
            raise ValueError(message)
        calls = [
            partial(function, *(args[nth] if args else ()), **(kwargs[nth] if kwargs else {}))
            for nth, function in enumerate(funcs)
        ]
        run_threads(calls, self.schedule, self._scope, timeout)


@contextmanager
def controlled_interleaving(
    schedule: Sequence[int], num_threads: int = 2, *, include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> Iterator[ControlledRunner]:
    """Give a runner whose threads take their steps in the order of ``schedule``.

    Each number names the thread that makes the next visible step: an access to something that could be shared, or an
    operation on a lock or the like. A number whose thread has ended or has to wait is passed over; behind the last one
    the first thread that can go on does so. The threads run in this process, so that they work on the caller's own
    objects, and everything is as it was when ``run`` returns. A schedule is good for one version of CPython.
    """
    scope = Scope(tuple(include), tuple(exclude), libraries=False)
    yield ControlledRunner(schedule, num_threads, scope)


def run_with_schedule(
    schedule: Sequence[int],
    setup: Callable[[], State],
    threads: Sequence[Callable[[State], object]],
    timeout: float = 5.0,
    detect_io: bool = True,
    debug: bool = False,
    deadlock_timeout: float = 5.0,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
) -> State:
    """Make a state, run ``threads`` on it under ``schedule`` as :func:`controlled_interleaving` does, and return it.

    ``detect_io``, ``debug`` and ``deadlock_timeout`` are accepted and ignored. ``setup`` runs before control begins.
    """
    del detect_io, debug, deadlock_timeout
    state = setup()
    with controlled_interleaving(schedule, len(threads), include=include, exclude=exclude) as runner:
        runner.run(threads, args=[(state,)] * len(threads), timeout=timeout)
    return state


def schedule_of(trace: str | os.PathLike[str]) -> list[int]:
    """Which thread made each visible step of a trace, such as a result's counterexample, for :func:`run_with_schedule`.

    Threads that were started by threads have no number, and their steps are left out.
    """
    return _core.turns(trace)


def schedule_strategy(num_threads: int, max_ops: int = 300) -> SearchStrategy[list[int]]:
    """Schedules of up to ``max_ops`` steps, for tests with Hypothesis."""
    try:
        from hypothesis import strategies
    except ImportError:
        message = "schedule_strategy needs Hypothesis: pip install hypothesis"
        raise ImportError(message) from None
    return strategies.lists(strategies.integers(0, num_threads - 1), max_size=max_ops)
