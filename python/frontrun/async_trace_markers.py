"""Tasks whose order at ``# frontrun: name`` comments is what a schedule says.

Each task runs in a thread of its own, in an event loop of its own, and waits for its turns there as the threads of
``trace_markers`` do. A marker gates the ``await`` that follows it, or the line that it is on; between two markers a
task runs without interruption by the others, awaits included. What belongs to one event loop (``asyncio.Lock``,
``asyncio.Queue``, futures) cannot be shared by these tasks; ordinary objects, and the primitives of ``threading``, can.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from .common import Schedule, ScheduleError, Step
from .trace_markers import TraceExecutor, _bound

__all__ = ["AsyncTraceExecutor", "Schedule", "ScheduleError", "Step", "async_frontrun"]

Task = Callable[..., Coroutine[Any, Any, object]]


class AsyncTraceExecutor:
    """Runs coroutine functions, each in an event loop of its own, in the order of a schedule."""

    def __init__(self, schedule: Schedule, *, deadlock_timeout: float = 5.0) -> None:
        self.schedule = schedule
        self._executor = TraceExecutor(schedule, deadlock_timeout=deadlock_timeout)

    @property
    def task_errors(self) -> dict[str, BaseException]:
        """The exceptions that tasks have let out, by name."""
        return self._executor.thread_errors

    def run(self, tasks: Mapping[str, Task], timeout: float | None = 10.0) -> None:
        """Run the tasks and wait for them, at most ``timeout`` seconds; not to be awaited.

        :raises ScheduleError: when a step of the schedule cannot happen.
        :raises TimeoutError: when they have not ended in time.
        :raises BaseException: the first exception that a task has let out.
        """
        self._executor.run(tasks, timeout=timeout)

    def reset(self) -> None:
        """Forget the tasks that have run, so that the schedule can be run again."""
        self._executor.reset()


def async_frontrun(
    schedule: Schedule,
    tasks: Mapping[str, Task],
    task_args: Mapping[str, Iterable[Any]] | None = None,
    task_kwargs: Mapping[str, Mapping[str, Any]] | None = None,
    timeout: float | None = 10.0,
    deadlock_timeout: float = 5.0,
) -> AsyncTraceExecutor:
    """Run tasks in the order of a schedule, and wait for them.

    :param tasks: the coroutine function of each execution, by name.
    :param task_args: the positional arguments of each, by name.
    :param task_kwargs: the keyword arguments of each, by name.
    :param timeout: how many seconds the tasks may take.
    :param deadlock_timeout: after how many seconds without a step waiting is given up.
    :returns: the executor that ran them.
    """
    executor = AsyncTraceExecutor(schedule, deadlock_timeout=deadlock_timeout)
    bound: dict[str, Any] = {
        name: _bound(task, (task_args or {}).get(name, ()), (task_kwargs or {}).get(name))
        for name, task in tasks.items()
    }
    executor.run(bound, timeout)
    return executor
