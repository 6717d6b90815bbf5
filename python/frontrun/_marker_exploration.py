"""All orders of steps at markers, each exactly once.

Every step is taken to conflict with every other: what lies between two markers is not recorded, so nothing is known
that would let two orders count as one. Three threads with four markers each have 34,650 orders, and all of them run.

Model: an order is a list of names. Running one tells who else could have gone on at each step; each of these, at each
step beyond the given order, is an order still to be run. So every order is run by exactly one item, and no table of
what has been seen is needed. Each execution runs in a process of its own, forked from one that does nothing else.

Not here: one execution (``_order_search``).
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn, TypeVar

from . import _core, _marker_events
from ._markers import MarkerRegistry
from ._order_search import OrderSearch, Report, Threads, run_order
from .common import Failure, InterleavingResult, Schedule, Step

State = TypeVar("State")


def explore_marker_interleavings(
    setup: Callable[[], State],
    threads: dict[str, tuple[Callable[[State], object], Sequence[str]]],
    invariant: Callable[[State], object],
    *,
    stop_on_first: bool = True,
    max_executions: int | None = None,
    total_timeout: float | None = None,
    timeout: float = 10.0,
    deadlock_timeout: float = 5.0,
    reproduce_on_failure: int = 10,
    observe: Callable[[State], object] | None = None,
    workers: int | None = None,
) -> InterleavingResult:
    """Run threads on fresh state in every order of their steps at markers, and check ``invariant`` after each.

    What a thread does before its first marker is done at its start, in the order of ``threads``; where one takes a
    lock before its first marker, the starts are steps as well. An order that cannot happen, because of a lock or
    because a marker is not on a thread's way, is not run and is no failure.

    :param setup: makes the state, anew for each execution.
    :param threads: by name, a function of the state (or a coroutine function, which gets an event loop of its own) and
        the markers at which it stops.
    :param invariant: called with the state when all threads have ended; a false value or an exception is a failure.
    :param stop_on_first: end the search at the first failure.
    :param max_executions: end the search after so many executions; the verdict is then ``bounded``, never ``holds``.
    :param total_timeout: end the search after so many seconds.
    :param timeout: an execution that takes longer is killed and counts as a failure of kind ``hang``.
    :param deadlock_timeout: how long a thread may run without a stop before that counts as a failure of kind ``hang``.
    :param reproduce_on_failure: how often the first failing execution is run again.
    :param observe: its ``repr`` is counted per execution.
    :param workers: how many executions run at a time; one for each core by default.
    :returns: verdict and failures; the counterexample is a :class:`Schedule`.
    """
    if _core.current() is not None:
        message = "a program that frontrun explores cannot explore the orders of its markers"
        raise RuntimeError(message)
    program = _Program(setup, dict(threads), invariant, observe, timeout, deadlock_timeout)
    budget = _Budget(stop_on_first, max_executions, total_timeout, workers or len(os.sched_getaffinity(0)))
    answer = json.loads(_in_process(lambda: _search(program, budget, reproduce_on_failure)))
    return _result(answer, program.threads)


@dataclass(frozen=True)
class _Program:
    """What runs in each execution."""

    setup: Callable[[], Any]
    threads: Threads
    invariant: Callable[[Any], object]
    observe: Callable[[Any], object] | None
    timeout: float
    deadlock_timeout: float
    registry: MarkerRegistry = field(default_factory=MarkerRegistry)


@dataclass(frozen=True)
class _Budget:
    """When to end the search, and how many executions run at a time."""

    stop_on_first: bool
    max_executions: int | None
    total_timeout: float | None
    workers: int


@dataclass
class _Found:
    """What the search has found so far."""

    executions: int = 0
    failures: list[Report] = field(default_factory=list)
    left: str | None = None
    outcomes: dict[str, int] = field(default_factory=dict)
    reached: dict[str, set[str]] = field(default_factory=dict)

    def add(self, report: Report) -> None:
        """Count one execution."""
        self.executions += 1
        self.left = self.left or report.left
        if report.failure is not None:
            self.failures.append(report)
        if report.outcome is not None:
            self.outcomes[report.outcome] = self.outcomes.get(report.outcome, 0) + 1
        for step in report.steps:
            self.reached.setdefault(step.name, set()).add(step.marker)


def _search(program: _Program, budget: _Budget, reproduce: int) -> str:
    """Run all orders, and return what was found as JSON."""
    begun = time.monotonic()
    first = _run_all(program, [[]], False)[0]
    starts_are_steps = first.locks_before_markers
    _warm_up(program, first.files)
    found = _Found()
    waiting: list[list[str]] = [[]]
    bounded_by = None
    while waiting and not (found.failures and budget.stop_on_first):
        count = min(budget.workers, len(waiting))
        if budget.max_executions is not None:
            count = min(count, budget.max_executions - found.executions)
        if count == 0:
            bounded_by = "max_executions"
            break
        if budget.total_timeout is not None and time.monotonic() - begun >= budget.total_timeout:
            bounded_by = "total_timeout"
            break
        batch = [waiting.pop() for _ in range(count)]
        for order, report in zip(batch, _run_all(program, batch, starts_are_steps), strict=True):
            found.add(report)
            waiting += _others(order, report)
    again: list[Report] = []
    if found.failures:
        names = [step.name for step in found.failures[0].steps]
        again = [_run_all(program, [names], starts_are_steps)[0] for _ in range(reproduce)]
    return json.dumps(
        {
            "executions": found.executions,
            "failures": [failure.as_dict() for failure in found.failures],
            "left": found.left,
            "outcomes": found.outcomes,
            "reached": {name: sorted(markers) for name, markers in found.reached.items()},
            "waiting": len(waiting),
            "bounded_by": bounded_by,
            "reproduced": sum(report.failure is not None for report in again),
            "attempts": len(again),
        }
    )


def _warm_up(program: _Program, files: list[str]) -> None:
    """Do here, once, what each execution would have to do anew: find markers, and prepare code for being watched."""
    program.registry.learn(files)
    _marker_events.hold(program.registry)
    nothing: Threads = {name: (lambda _: None, ()) for name in ("a", "b")}
    search = OrderSearch([], False, program.deadlock_timeout)
    run_order(lambda: None, nothing, lambda _: True, None, search, program.registry)
    gc.freeze()


def _others(order: list[str], report: Report) -> list[list[str]]:
    """The orders that branch off from an execution, beyond the order that it was given."""
    names = [step.name for step in report.steps]
    return [
        [*names[:at], other]
        for at in range(len(order), len(names))
        for other in report.steps[at].enabled
        if other != names[at]
    ]


def _run_all(program: _Program, orders: list[list[str]], starts_are_steps: bool) -> list[Report]:
    """Run some orders at the same time, each in a process of its own."""
    running = [_fork(partial(_run_one, program, order, starts_are_steps)) for order in orders]
    deadline = time.monotonic() + program.timeout
    return [_collect(pid, end, deadline, program.timeout) for pid, end in running]


def _run_one(program: _Program, order: list[str], starts_are_steps: bool) -> str:
    search = OrderSearch(order, starts_are_steps, program.deadlock_timeout)
    report = run_order(program.setup, program.threads, program.invariant, program.observe, search, program.registry)
    return json.dumps(report.as_dict())


def _collect(pid: int, end: int, deadline: float, timeout: float) -> Report:
    """Read the report of an execution; one that is late is killed."""
    parts: list[bytes] = []
    try:
        while True:
            ready, _, _ = select.select([end], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                os.kill(pid, signal.SIGKILL)
                return Report(failure=("hang", f"the execution did not end within {timeout:g} s", ""))
            part = os.read(end, 1 << 16)
            if not part:
                break
            parts.append(part)
    finally:
        os.close(end)
        _, status = os.waitpid(pid, 0)
    if not parts:
        return Report(failure=("crash", f"the process ended with status {status}", ""))
    return Report.from_dict(json.loads(b"".join(parts)))


def _fork(work: Callable[[], str]) -> tuple[int, int]:
    """Do some work in a forked process; return it and where its answer can be read."""
    ours, theirs = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        os.close(ours)
        _answer(work, theirs)
    os.close(theirs)
    return pid, ours


def _answer(work: Callable[[], str], end: int) -> NoReturn:
    """Write the answer of some work, silently otherwise, and end this process."""
    try:
        silence = os.open(os.devnull, os.O_RDWR)
        os.dup2(silence, 1)
        answer = work().encode()
        while answer:
            answer = answer[os.write(end, answer) :]
    finally:
        os._exit(0)


def _in_process(work: Callable[[], str]) -> bytes:
    """Do some work in a forked process group of its own, and return its answer."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()

    def led() -> str:
        os.setpgid(0, 0)
        return work()

    pid, end = _fork(led)
    parts: list[bytes] = []
    try:
        while part := os.read(end, 1 << 16):
            parts.append(part)
    except BaseException:
        os.killpg(pid, signal.SIGKILL)
        raise
    finally:
        os.close(end)
        os.waitpid(pid, 0)
    if not parts:
        message = "the exploration's process has ended without an answer"
        raise RuntimeError(message)
    return b"".join(parts)


def _result(answer: dict[str, Any], threads: Threads) -> InterleavingResult:
    reports = [Report.from_dict(values) for values in answer["failures"]]
    failures = tuple(_failure(report) for report in reports)
    complete = answer["waiting"] == 0 and answer["left"] is None
    missed = _missed(answer["reached"], threads) if complete else []
    if failures:
        verdict = "failed"
    elif answer["left"] is not None:
        verdict = "diverged"
    elif missed:
        verdict = "error"
    else:
        verdict = "bounded" if answer["bounded_by"] else "exhausted"
    return InterleavingResult(
        verdict=verdict,
        num_explored=answer["executions"],
        failures=failures,
        outcomes=answer["outcomes"],
        exhausted=complete and not missed,
        bounded_by=answer["bounded_by"],
        reproduced=(answer["reproduced"], answer["attempts"]) if answer["attempts"] else None,
        explanation=_explain(answer, reports, missed),
    )


def _failure(report: Report) -> Failure:
    kind, message, details = report.failure or ("", "", "")
    steps = [Step(step.name, step.marker) for step in report.steps if step.marker]
    return Failure(kind, message, details, trace="", schedule=Schedule(steps) if steps else None)


def _missed(reached: dict[str, list[str]], threads: Threads) -> list[str]:
    """The markers that no execution has come to."""
    return [
        f"{name} never came to marker {marker}"
        for name, (_, markers) in threads.items()
        for marker in dict.fromkeys(markers)
        if marker not in reached.get(name, [])
    ]


def _explain(answer: dict[str, Any], failures: list[Report], missed: list[str]) -> str | None:
    """Say what failed and in which order, or why there is no verdict."""
    parts = []
    if failures:
        kind, message, details = failures[0].failure or ("", "", "")
        parts.append(f"{kind} after {answer['executions']} executions: {message}")
        for number, step in enumerate(failures[0].steps, 1):
            what = f"passes marker {step.marker}" if step.marker else "goes on" if step.place else "starts"
            parts.append(f"{number:5} {step.name} {what}{f' ({step.place})' if step.place else ''}")
        parts += [details.rstrip()] if details else []
        if answer["attempts"]:
            parts.append(f"reproduced {answer['reproduced']}/{answer['attempts']}")
    elif answer["left"] is not None:
        parts.append(f"an execution could not follow its order: {answer['left']}")
    else:
        parts += missed
    return "\n".join(parts) or None
