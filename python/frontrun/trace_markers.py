"""Threads whose order at ``# frontrun: name`` comments is what a schedule says.

A marker gates the code that follows it: a thread that comes to one waits until the schedule says that it is its turn to
pass it. Between two markers a thread is not interrupted by the others of the schedule. What a thread does before its
first marker is not gated: the threads begin in the order in which the schedule names them first, and each runs to its
first marker before the next begins. After the last step they run to their ends one after the other.

The threads are ordinary threads of this process. One that has to wait for a lock gives its turn away until the lock is
free. A step that cannot happen is an error as soon as that is certain.

Not here: searching all orders (``_marker_exploration``) and listing them (``_marker_schedules``), which are offered
from here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from . import _core, _marker_events
from ._marked_thread import MarkedThread
from ._marker_exploration import explore_marker_interleavings
from ._marker_schedules import all_marker_schedules, marker_schedule_strategy
from ._markers import MarkerRegistry
from ._turns import Execution, State, Turns
from .common import Schedule, ScheduleError, Step

__all__ = [
    "MarkerRegistry",
    "Schedule",
    "ScheduleError",
    "Step",
    "ThreadCoordinator",
    "TraceExecutor",
    "all_marker_schedules",
    "explore_marker_interleavings",
    "frontrun",
    "marker_schedule_strategy",
]

_GRACE_SECONDS = 0.5


class ThreadCoordinator(Turns):
    """Gives turns in the order of a schedule."""

    def __init__(self, schedule: Schedule, *, deadlock_timeout: float = 5.0) -> None:
        super().__init__(deadlock_timeout)
        self.schedule = schedule
        self._steps = tuple(schedule.steps)
        self._names = list(dict.fromkeys(step.execution_name for step in self._steps))
        self._position = 0

    def is_finished(self) -> bool:
        """Whether every step of the schedule has happened."""
        return self._position == len(self._steps)

    is_complete = is_finished

    def wait_for_turn(self, execution_name: str, marker_name: str) -> None:
        """Wait until the schedule says that an execution may pass a marker, or is over.

        An execution that no executor has started holds no turn afterwards: the next step may happen at once.

        :raises ScheduleError: when nothing has moved for ``deadlock_timeout`` seconds.
        """
        if execution_name in self.executions:
            self.stop_at_marker(execution_name, marker_name, "?")
            return
        with self._mutex:
            while not self.is_finished() and self._steps[self._position] != Step(execution_name, marker_name):
                if self.error is None and not self._ended.wait(self.deadlock_timeout):
                    self._fail(ScheduleError(f"{self.about_to()} for {self.deadlock_timeout:g} s nothing has moved"))
                if self.error is not None:
                    raise self.error
            if not self.is_finished():
                self._position += 1
            self._wake_all()

    def choose(self) -> Execution | None:
        """Choose those that need no step first, then the one that the next step names."""
        missing = [name for name in self._names if name not in self.executions]
        if missing:
            if not self.is_closed:
                return None
            raise ScheduleError(f"{self._cannot(self._first_of(missing[0]))} no execution is called {missing[0]}")
        ordered = [*map(self.executions.__getitem__, self._names), *self._unnamed()]
        for execution in ordered:
            if execution.state is State.STARTING or execution.can_go_on():
                return execution
        for execution in ordered:
            self._check_possible(execution)
        if self.is_finished():
            chosen = next((execution for execution in ordered if execution.state is State.AT_MARKER), None)
        else:
            named = self.executions[self._steps[self._position].execution_name]
            chosen = named if named.state is State.AT_MARKER else None
            self._position += chosen is not None
        if chosen is None and any(self._unfinished()) and not self.can_anybody_go_on():
            raise ScheduleError(f"{self.about_to()} {self.describe()}")
        return chosen

    def about_to(self) -> str:
        """Name the next step, as one that cannot happen."""
        return "the schedule is over, but" if self.is_finished() else self._cannot(self._position)

    def _unnamed(self) -> Iterable[Execution]:
        return (execution for name, execution in self.executions.items() if name not in self._names)

    def _check_possible(self, execution: Execution) -> None:
        """Raise if an execution can no longer do its next step."""
        at = self._first_of(execution.name, self._position)
        if at is None:
            return
        if execution.state is State.ENDED:
            raise ScheduleError(f"{self._cannot(at)} {execution.name} has ended{self._after(execution.name)}")
        if execution.state is State.AT_MARKER and execution.marker != self._steps[at].marker_name:
            raise ScheduleError(
                f"{self._cannot(at)} {self.describe_one(execution)}{self._after(execution.name)},"
                f" and no step before this one lets it pass"
            )

    def _first_of(self, name: str, position: int = 0) -> int | None:
        steps = range(position, len(self._steps))
        return next((at for at in steps if self._steps[at].execution_name == name), None)

    def _after(self, name: str) -> str:
        """Say what an execution has done last."""
        done = [at for at in range(self._position) if self._steps[at].execution_name == name]
        return f" after step {done[-1] + 1} (marker {self._steps[done[-1]].marker_name})" if done else ""

    def _cannot(self, at: int | None) -> str:
        step = self._steps[at or 0]
        number = f"step {(at or 0) + 1} of {len(self._steps)}"
        return f"{number}, {step.execution_name} at marker {step.marker_name}, cannot happen:"


class TraceExecutor:
    """Runs threads, or coroutines in threads of their own, in the order of a schedule."""

    def __init__(self, schedule: Schedule, *, deadlock_timeout: float = 5.0) -> None:
        self.schedule = schedule
        self.deadlock_timeout = deadlock_timeout
        self.marker_registry = MarkerRegistry()
        self.reset()

    def reset(self) -> None:
        """Forget the threads that have run, so that the schedule can be run again."""
        self.coordinator = ThreadCoordinator(self.schedule, deadlock_timeout=self.deadlock_timeout)
        self.threads: list[MarkedThread] = []
        self.thread_errors: dict[str, BaseException] = {}

    @property
    def task_errors(self) -> dict[str, BaseException]:
        """The same as ``thread_errors``."""
        return self.thread_errors

    def run(
        self,
        execution: str | Mapping[str, Callable[[], object]],
        target: Callable[..., object] | None = None,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> None:
        """Start the execution that is called ``execution``; :meth:`wait` waits for it.

        With a mapping from names to functions, start them all and wait for them, at most ``timeout`` seconds.
        """
        if _core.current() is not None:
            message = (
                "a program that frontrun explores has its threads ordered already: it cannot order them by markers"
            )
            raise RuntimeError(message)
        if isinstance(execution, str):
            if target is None:
                message = f"there is nothing to run as {execution}"
                raise TypeError(message)
            self._start({execution: _bound(target, args, kwargs)})
            return
        self._start(execution)
        self.wait(timeout)

    def wait(self, timeout: float | None = None) -> None:
        """Wait until all threads have ended.

        :raises ScheduleError: when a step of the schedule cannot happen.
        :raises TimeoutError: when they have not ended after ``timeout`` seconds.
        :raises BaseException: the first exception that a thread has let out.
        """
        try:
            in_time = self.coordinator.wait_until_ended(timeout)
        except BaseException as error:
            self.coordinator.report_error(error)
            raise
        if not in_time:
            message = f"not ended after {timeout:g} s: {self.coordinator.describe()}"
            self.coordinator.report_error(TimeoutError(message))
        for thread in self.threads:
            thread.join(_GRACE_SECONDS)
            if thread.is_alive() and thread.ident is not None:
                # It is stuck where it cannot be unwound, and is left to itself.
                _marker_events.forget(thread.ident)
            if thread.error is not None:
                self.thread_errors.setdefault(thread.name, thread.error)
        self._raise_first()

    def _start(self, functions: Mapping[str, Callable[[], object]]) -> None:
        made = [
            MarkedThread(self.coordinator, self.marker_registry, name, function) for name, function in functions.items()
        ]
        for thread in made:
            self.coordinator.enroll(thread.name)
        for thread in made:
            self.threads.append(thread)
            thread.start()

    def _raise_first(self) -> None:
        """Raise what went wrong first: an exception of a thread explains a step that could not happen."""
        reason = self.coordinator.error
        for error in self.thread_errors.values():
            if reason is not None:
                error.add_note(str(reason))
            raise error
        if reason is not None:
            raise reason


def _bound(
    target: Callable[..., object], args: Iterable[Any], kwargs: Mapping[str, Any] | None
) -> Callable[[], object]:
    return lambda: target(*args, **(kwargs or {}))


def frontrun(
    schedule: Schedule,
    threads: Mapping[str, Callable[..., object]],
    thread_args: Mapping[str, Iterable[Any]] | None = None,
    thread_kwargs: Mapping[str, Mapping[str, Any]] | None = None,
    timeout: float | None = None,
    deadlock_timeout: float = 5.0,
) -> TraceExecutor:
    """Run threads in the order of a schedule, and wait for them.

    :param threads: the function of each execution, by name.
    :param thread_args: the positional arguments of each, by name.
    :param thread_kwargs: the keyword arguments of each, by name.
    :param timeout: how many seconds the threads may take.
    :param deadlock_timeout: after how many seconds without a step waiting is given up.
    :returns: the executor that ran them.
    """
    executor = TraceExecutor(schedule, deadlock_timeout=deadlock_timeout)
    functions = {
        name: _bound(target, (thread_args or {}).get(name, ()), (thread_kwargs or {}).get(name))
        for name, target in threads.items()
    }
    executor.run(functions, timeout=timeout)
    return executor
