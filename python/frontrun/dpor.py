"""Systematic exploration: every class of executions of some threads, exactly once.

Each execution runs in a process of its own, forked from the caller, so closures work and nothing that a run does to its
memory is seen by the next one or by the caller.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

from . import _checkpoint, _core, _preload, _program, _reporter, _threads
from ._instrument import Scope, instrument_existing, instrument_later
from .common import Failure, InterleavingResult

__all__ = ["InterleavingResult", "explore_dpor"]

State = TypeVar("State")

_REPLAY = "FRONTRUN_REPLAY"
_calls: dict[str, int] = {}


def explore_dpor(
    setup: Callable[[], State],
    threads: Sequence[Callable[[State], object]],
    invariant: Callable[[State], object],
    *,
    max_executions: int | None = None,
    preemption_bound: int | None = None,
    stop_on_first: bool = True,
    reproduce_on_failure: int = 10,
    total_timeout: float | None = None,
    timeout_per_run: float = 5.0,
    observe: Callable[[State], object] | None = None,
    trace_dir: str | os.PathLike[str] | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    workers: int | None = None,
) -> InterleavingResult:
    """Run ``threads`` on fresh state in every order that can make a difference, and check ``invariant`` after each.

    :param setup: makes the state, anew for each execution.
    :param threads: one callable a thread; each gets the state.
    :param invariant: called with the state when all threads have ended; a false value or an exception is a failure.
    :param max_executions: end the search after so many executions; then the verdict is ``bounded``, never ``holds``.
    :param preemption_bound: leave out executions with more preemptions; the verdict is then at most ``bounded``.
    :param stop_on_first: end the search at the first failure.
    :param reproduce_on_failure: how often the first failing execution is replayed.
    :param total_timeout: end the search after so many seconds.
    :param timeout_per_run: an execution that takes longer is killed and counts as a failure of kind ``hang``.
    :param observe: its ``repr`` is counted per execution, evaluated after the invariant, whatever that said.
    :param trace_dir: where traces go; a new temporary directory by default.
    :param include: globs on dotted module names whose code is in scope besides the project's.
    :param exclude: globs on dotted module names whose code is not in scope.
    :param workers: how many executions run at a time; one for each core by default.
    :returns: verdict, failures with their traces, outcomes.
    """
    scope = Scope(tuple(include), tuple(exclude))
    call = _name_of_call()
    program = _Program(setup, tuple(threads), invariant, observe)
    if _REPLAY in os.environ:
        _replay_if_asked(program, scope, call)
    directory = os.fspath(trace_dir) if trace_dir is not None else tempfile.mkdtemp(prefix="frontrun-")
    servers = _Servers(program, scope, call, workers or len(os.sched_getaffinity(0)))
    try:
        report = _core.explore_served(
            servers.fds, directory, max_executions, total_timeout, preemption_bound, stop_on_first, timeout_per_run
        )
    finally:
        servers.wait()
    reproduced = None
    if report["failures"] and reproduce_on_failure > 0:
        servers = _Servers(program, scope, call, 1)
        try:
            trace = report["failures"][0]["trace"]
            reproduced = _core.confirm_served(servers.fds[0], trace, reproduce_on_failure, timeout_per_run)
        finally:
            servers.wait()
    return _result(report, reproduced)


class _Program:
    """The program that one execution runs: setup, threads, invariant."""

    def __init__(
        self,
        setup: Callable[[], Any],
        threads: tuple[Callable[[Any], object], ...],
        invariant: Callable[[Any], object],
        observe: Callable[[Any], object] | None,
    ) -> None:
        self.setup = setup
        self.threads = threads
        self.invariant = invariant
        self.observe = observe

    def __call__(self) -> None:
        state = self.setup()
        started = [threading.Thread(target=function, args=(state,)) for function in self.threads]
        for thread in started:
            thread.start()
        for thread in started:
            thread.join()
        try:
            self._check(state)
        finally:
            if self.observe is not None:
                _core.observe(repr(self.observe(state)))

    def _check(self, state: Any) -> None:
        """Ask the invariant; an exception from it is a failing invariant too."""
        try:
            holds = self.invariant(state)
        except Exception as error:
            with _threads.quietly:
                message, details = _reporter.describe_exception(error)
            _core.report_failure("invariant", message, details)
            return
        if not holds:
            with _threads.quietly:
                message = self._describe()
            _core.report_failure("invariant", message, "")

    def _describe(self) -> str:
        name = getattr(self.invariant, "__name__", "invariant")
        try:
            lines, _ = inspect.getsourcelines(self.invariant)
        except (OSError, TypeError):
            return f"{name} does not hold"
        return f"{name} does not hold: {lines[0].strip()}"


def _run(request: _core.Request, program: _Program, call: str) -> NoReturn:
    """Be one execution."""
    header = _program.facts(sys.orig_argv, call, [])
    _program.begin(request, header)
    _program.leave(_program.run(program))


class _Servers:
    """The processes that fork executions, one for each worker."""

    def __init__(self, program: _Program, scope: Scope, call: str, count: int) -> None:
        pairs = _core.socket_pairs(count)
        self.fds = [ours for ours, _ in pairs]
        _flush()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        if self.pid == 0:
            _serve(program, scope, call, self.fds, [theirs for _, theirs in pairs])
        for _, theirs in pairs:
            os.close(theirs)

    def wait(self) -> None:
        """Wait for the servers, which end when their sockets are closed."""
        os.waitpid(self.pid, 0)


def _serve(program: _Program, scope: Scope, call: str, foreign: list[int], fds: list[int]) -> NoReturn:
    """Be the server; in each forked child, be an execution."""
    try:
        for fd in foreign:
            os.close(fd)
        instrument_existing(scope)
        instrument_later(scope)
        _preload.watch()
        _run(_checkpoint.serve(fds), program, call)
    except BaseException as error:
        print(f"frontrun: the exploration could not be served: {error!r}", file=sys.stderr)
    finally:
        os._exit(0)


def _flush() -> None:
    """Flush before a fork, so that no buffered text is written twice."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()


def _name_of_call() -> str:
    """Name the call of the API: ``file:line:function#ordinal``."""
    frame = sys._getframe(2)
    place = f"{frame.f_code.co_filename}:{frame.f_lineno}:{frame.f_code.co_qualname}"
    _calls[place] = _calls.get(place, 0) + 1
    return f"{place}#{_calls[place]}"


def _replay_if_asked(program: _Program, scope: Scope, call: str) -> None:
    """Re-enact one execution, if the environment asks for this call."""
    asked = json.loads(os.environ[_REPLAY])
    if asked["call"] != call:
        return
    del os.environ[_REPLAY]
    instrument_existing(scope)
    instrument_later(scope)
    _preload.watch()
    _run(_core.Request(asked["out"], asked["schedule"]), program, call)


def _result(report: dict[str, Any], reproduced: tuple[int, int] | None) -> InterleavingResult:
    failures = tuple(Failure(**failure) for failure in report["failures"])
    incomplete = report["waiting"] or report["cut_runs"] or report["errors"] or report["diverged"]
    return InterleavingResult(
        verdict=report["verdict"],
        num_explored=report["executions"],
        failures=failures,
        outcomes=report["outcomes"],
        exhausted=not incomplete and report["bounded_by"] is None,
        bounded_by=report["bounded_by"],
        reproduced=reproduced,
        explanation=_explain(report, failures, reproduced),
        first_trace=report["first_trace"],
    )


def _explain(report: dict[str, Any], failures: tuple[Failure, ...], reproduced: tuple[int, int] | None) -> str | None:
    """Say what failed and how it came about, or why there is no verdict."""
    parts = []
    if failures:
        first = failures[0]
        parts += [f"{first.kind} after {report['executions']} executions: {first.message}", _core.explain(first.trace)]
        if reproduced is not None:
            parts.append(f"reproduced {reproduced[0]}/{reproduced[1]}")
        parts.append(f"replay it: frontrun replay {first.trace}")
    parts += report["errors"]
    if report["first_divergence"]:
        parts.append(f"an execution could not follow its schedule: {report['first_divergence']}")
    return "\n".join(parts) or None
