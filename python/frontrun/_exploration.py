"""One exploration: a program of some threads, the processes that run its executions, and the result.

Each execution runs in a process of its own, forked from the caller, so closures work and nothing that a run does to its
memory is seen by the next one or by the caller.

Not here: which executions are run (the native loop), what callers may ask for (``dpor``, ``bytecode``, ``explore``).
"""

from __future__ import annotations

import functools
import inspect
import json
import os
import random
import shlex
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

from . import (
    _checkpoint,
    _core,
    _earlier_loops,
    _earlier_threads,
    _first_calls,
    _preload,
    _processes,
    _program,
    _reporter,
    _spurious,
    _threads,
)
from ._calls import Call
from ._instrument import Scope, instrument_existing, instrument_later, rewrite_ahead
from ._traces import Traces
from .common import Failure, InterleavingResult

_REPLAY = "FRONTRUN_REPLAY"
_one_at_a_time = threading.Lock()


def text_of(observe: Callable[[Any], object] | None) -> Callable[[Any], str] | None:
    """What makes the text of an outcome, if one is observed."""
    return None if observe is None else (lambda state: repr(observe(state)))


Clock = Literal["virtual", "explored", "real"]
Execution = Literal["thread", "process"]


@dataclass(frozen=True)
class Program:
    """The program that one execution runs: setup, threads, checks."""

    setup: Callable[[], Any]
    threads: Sequence[Callable[[Any], object]]
    invariant: Callable[[Any], object] | None = None
    describe: Callable[[Any], str] | None = None
    """What is observed of the state at the end, as text."""
    outcomes: frozenset[str] | None = None
    """What may be observed, if not everything may."""
    serial: bool = False
    """Whether each thread is to end before the next one starts."""
    execution: Execution = "thread"
    """What the workers are."""

    def __call__(self) -> None:
        state = self.setup()
        if self.execution == "process":
            started = _processes.start(self.threads, state)
        else:
            started = [_thread_of(function, state) for function in self.threads]
        for thread in started:
            thread.start()
            if self.serial:
                thread.join()
        for thread in started:
            thread.join()
        self.check(state)

    def check(self, state: Any) -> None:
        """Ask the invariant, and observe the state whatever that says."""
        try:
            if self.invariant is not None:
                self._check(self.invariant, state)
        finally:
            if self.describe is not None:
                self._observe(self.describe(state))

    def _check(self, invariant: Callable[[Any], object], state: Any) -> None:
        """Ask the invariant; an exception from it is a failing invariant too."""
        try:
            holds = invariant(state)
        except Exception as error:
            with _threads.quietly:
                message, details = _reporter.describe_exception(error)
            _core.report_failure("invariant", message, details)
            return
        if not holds:
            with _threads.quietly:
                message = _reporter.describe_broken(invariant)
            _core.report_failure("invariant", message, "")

    def _observe(self, outcome: str) -> None:
        _core.observe(outcome)
        if self.outcomes is not None and outcome not in self.outcomes:
            serial = "\n".join(sorted(self.outcomes))
            message = f"no serial order of the threads ends with {outcome}"
            _core.report_failure("invariant", message, f"serial orders end with\n{serial}\n")


def _thread_of(function: Callable[[Any], object], state: Any) -> threading.Thread:
    """The thread that calls a function, which is seen in its own code, or else where the thread calls it."""
    if not _first_calls.is_seen_itself(function):
        return threading.Thread(target=function, args=(state,))

    @functools.wraps(function)
    def worker() -> None:
        result = function(state)
        if inspect.iscoroutine(result):
            result.close()
            message = f"{function!r} returned a coroutine, which a thread does not run: explore async workers as tasks"
            raise TypeError(message)

    return threading.Thread(target=worker)


@dataclass(frozen=True)
class Sampling:
    """Executions are to be drawn at random instead of running every class."""

    attempts: int
    seed: int
    samplers: tuple[str, ...]
    steps: int

    def bounds(self, executions: int, threads: int, steps: int) -> dict[int, float]:
        """With what probability at least a bug of each depth would have been found by so many executions.

        An attempt of probabilistic concurrency testing finds a bug of depth d in a program of n threads and k steps
        with probability 1/(n k^(d-1)) at least (Burckhardt et al., ASPLOS 2010). The first execution is not drawn.
        """
        found: dict[int, float] = {}
        drawn = [self.samplers[attempt % len(self.samplers)] for attempt in range(executions - 1)]
        for sampler in {name for name in drawn if name.startswith("pct")}:
            depth = int(sampler.removeprefix("pct"))
            # Attempts that mirror others are not independent of them.
            pairs, rest = divmod(drawn.count(sampler), 2 * steps)
            independent = pairs * steps + min(rest, steps)
            found[depth] = 1 - (1 - 1 / (threads * steps ** (depth - 1))) ** independent
        return dict(sorted(found.items()))


@dataclass(frozen=True)
class Options:
    """How to explore, apart from the program."""

    scope: Scope = field(default_factory=Scope)
    max_executions: int | None = None
    preemption_bound: int | None = None
    stop_on_first: bool = True
    reproduce_on_failure: int = 10
    total_timeout: float | None = None
    timeout_per_run: float = 5.0
    trace_dir: str | os.PathLike[str] | None = None
    workers: int | None = None
    fail_on_race: bool = False
    gil: bool = False
    """Whether only executions count that an interpreter with a GIL can have."""
    free_threaded: bool = False
    """Whether threads switch inside C code that iterates, too, as they can on a free-threaded build."""
    clock: Clock = "virtual"
    spurious_wakeups: bool = False
    """Whether waits on conditions may end although nobody has notified them."""
    sampling: Sampling | None = None
    before: Callable[[], object] | None = None
    """What each execution's process does first, before it is under control."""

    def __post_init__(self) -> None:
        if self.gil and self.free_threaded:
            message = "gil=True and free_threaded=True exclude each other"
            raise ValueError(message)


def explore(program: Callable[[], object], options: Options, call: Call) -> InterleavingResult:
    """Explore ``program`` on behalf of ``call``, or re-enact one execution of it.

    Threads that explore at the same time do so one after the other: servers that are forked meanwhile would hold each
    other's sockets.
    """
    _program.refuse_nesting()
    if _REPLAY in os.environ:
        _replay_if_asked(program, options, call)
    with _one_at_a_time, Traces(call, options.trace_dir) as traces:
        report = _search(program, options, call, traces.directory)
        reproduced = _reproduce(program, options, call, report)
        if _is_of_processes(program):
            # Processes have no GIL in common.
            report["failures"] = [{**failure, "gil_reachable": None} for failure in report["failures"]]
        # Once it is kept, a trace can be replaced by another process that explores by the same call.
        report["account"] = _core.explain(report["failures"][0]["trace"]) if report["failures"] else None
        traces.keep(report)
        return _result(report, reproduced, options.sampling)


def _search(program: Callable[[], object], options: Options, call: Call, directory: str) -> dict[str, Any]:
    """Run the executions, and return the native loop's report."""
    _core.set_clock(options.clock)
    servers = _Servers(program, options, call, options.workers or len(os.sched_getaffinity(0)))
    try:
        return _core.explore_served(
            servers.fds,
            directory,
            max_executions=options.max_executions,
            max_seconds=options.total_timeout,
            preemption_bound=options.preemption_bound,
            stop_on_first=options.stop_on_first,
            timeout_per_run=options.timeout_per_run,
            fail_on_race=options.fail_on_race,
            gil=options.gil,
            plan=vars(options.sampling) if options.sampling else None,
        )
    finally:
        servers.wait()


def _reproduce(
    program: Callable[[], object], options: Options, call: Call, report: dict[str, Any]
) -> tuple[int, int] | None:
    """Replay the first failing execution; return how often it failed again, of how many times."""
    # A run that was cut because it did not end would only be cut again.
    if not report["failures"] or report["failures"][0]["kind"] == "hang" or options.reproduce_on_failure <= 0:
        return None
    servers = _Servers(program, options, call, 1)
    try:
        trace = report["failures"][0]["trace"]
        return _core.confirm_served(servers.fds[0], trace, options.reproduce_on_failure, options.timeout_per_run)
    finally:
        servers.wait()


def _prepare(scope: Scope) -> None:
    """Make what this process executes from now on visible, and alike in every process that runs the program."""
    _core.note_makers()
    _earlier_loops.note_beginning()
    _earlier_threads.renew_executors()
    instrument_existing(scope)
    instrument_later(scope)
    _preload.watch()
    _program.watch_imports()
    random.seed(0)


def _run(request: _core.Request, program: Callable[[], object], options: Options, call: Call) -> NoReturn:
    """Be one execution."""
    if options.before is not None:
        options.before()
    _core.set_free_threaded(options.free_threaded)
    _spurious.allow(options.spurious_wakeups)
    flags = [("execution", "process")] if _is_of_processes(program) else []
    header = _program.facts(call.command, call.name, call.directory, flags)
    _program.begin(request, header)
    _program.leave(_program.run(program))


def _is_of_processes(program: Callable[[], object]) -> bool:
    """Whether the program's workers are processes."""
    return isinstance(program, Program) and program.execution == "process"


class _Servers:
    """The processes that fork executions, one for each worker."""

    def __init__(self, program: Callable[[], object], options: Options, call: Call, count: int) -> None:
        pairs = _core.socket_pairs(count)
        self.fds = [ours for ours, _ in pairs]
        rewrite_ahead(options.scope)
        _flush()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        if self.pid == 0:
            _serve(program, options, call, self.fds, [theirs for _, theirs in pairs])
        for _, theirs in pairs:
            os.close(theirs)

    def wait(self) -> None:
        """Wait for the servers, which end when their sockets are closed."""
        os.waitpid(self.pid, 0)


def _serve(program: Callable[[], object], options: Options, call: Call, foreign: list[int], fds: list[int]) -> NoReturn:
    """Be the server; in each forked child, be an execution."""
    try:
        for fd in foreign:
            os.close(fd)
        _prepare(options.scope)
        _run(_checkpoint.serve(fds), program, options, call)
    except BaseException as error:
        print(f"frontrun: the exploration could not be served: {error!r}", file=sys.stderr)
    finally:
        os._exit(0)


def _flush() -> None:
    """Flush before a fork, so that no buffered text is written twice."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()


def _replay_if_asked(program: Callable[[], object], options: Options, call: Call) -> None:
    """Re-enact one execution, if the environment asks for this call."""
    asked = json.loads(os.environ[_REPLAY])
    if asked["call"] != call.name:
        return
    del os.environ[_REPLAY]
    _prepare(options.scope)
    _core.set_clock(options.clock)
    _run(_core.Request(asked["out"], asked["schedule"]), program, options, call)


def _result(
    report: dict[str, Any], reproduced: tuple[int, int] | None, sampling: Sampling | None
) -> InterleavingResult:
    failures = tuple(Failure(**failure) for failure in report["failures"])
    incomplete = any(report[part] for part in ("waiting", "cut_runs", "left_behind", "errors", "diverged"))
    bounds = {}
    if sampling is not None and report["sampled"]:
        bounds = sampling.bounds(report["executions"], report["most_threads"], report["horizon"])
    return InterleavingResult(
        verdict=report["verdict"],
        num_explored=report["executions"],
        unique_interleavings=report["classes"],
        failures=failures,
        outcomes=report["outcomes"],
        exhausted=not incomplete and report["bounded_by"] is None,
        bounded_by=report["bounded_by"],
        reproduced=reproduced,
        explanation=_explain(report, failures, reproduced, bounds),
        first_trace=report["first_trace"],
        races_detected=report["races"],
        most_threads=report["most_threads"],
        seed=sampling.seed if sampling is not None else None,
        detection_bounds=bounds,
    )


def _explain(
    report: dict[str, Any],
    failures: tuple[Failure, ...],
    reproduced: tuple[int, int] | None,
    bounds: dict[int, float],
) -> str | None:
    """Say what failed and how it came about, or why there is no verdict."""
    parts = []
    if failures:
        first = failures[0]
        parts += [f"{first.kind} after {report['executions']} executions: {first.message}", report["account"]]
        if first.gil_reachable is not None:
            parts.append(_core.describe_builds(first.gil_reachable))
        if reproduced is not None:
            parts.append(f"reproduced {reproduced[0]}/{reproduced[1]}")
        output = os.path.splitext(first.trace)[0] + ".out"
        if os.path.exists(output):
            parts.append(f"output: {as_typed(output)}")
        parts.append(f"replay it: frontrun replay {as_typed(first.trace)}")
    parts += report["errors"]
    if report["first_divergence"]:
        parts.append(f"an execution could not follow its schedule: {report['first_divergence']}")
    if report["verdict"] == "bounded":
        parts.append(f"nothing is proved: bounded by {report['bounded_by']} after {report['executions']} executions")
        parts += [
            f"a bug of depth {depth} within the first {report['horizon']} steps of {report['most_threads']} threads "
            f"would have been found with probability {bound:.2g} or more"
            for depth, bound in bounds.items()
        ]
    return "\n".join(parts) or None


def as_typed(path: str) -> str:
    """A path as one types it here."""
    here = f"{os.getcwd()}/"
    return shlex.quote(path.removeprefix(here))
