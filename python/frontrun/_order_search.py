"""One execution of a search through all orders of steps at markers.

Model: a step begins where an execution goes on after a stop: at a marker, at a lock that has become free, or, if the
starts are ordered too, at its beginning. Whenever nobody runs, the order so far says who goes on, and after its end the
first who can. What else could have gone on is noted: these are the orders that are still to be run.

Not here: which orders are run (``_marker_exploration``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from . import _reporter
from ._marked_thread import MarkedThread
from ._markers import MarkerRegistry
from ._turns import Execution, State, Turns
from .common import ScheduleError

Threads = Mapping[str, tuple[Callable[[Any], object], Sequence[str]]]
"""By name: a function of the state, and the markers at which it stops."""


class OrderLeftError(ScheduleError):
    """An execution that an order names cannot go on there: the program depends on more than the order."""


@dataclass
class Taken:
    """One step of an order."""

    name: str
    marker: str
    """Empty for a start, or for going on with a lock."""
    place: str
    enabled: list[str]
    """Who could have gone on."""


@dataclass
class Report:
    """What one execution was like."""

    steps: list[Taken] = field(default_factory=list)
    failure: tuple[str, str, str] | None = None
    """Kind, message, details."""
    left: str | None = None
    """Why it could not follow its order."""
    outcome: str | None = None
    locks_before_markers: bool = False
    """Whether a thread took a lock before its first marker, so that the order of the starts matters."""
    files: list[str] = field(default_factory=list)
    """The files in which markers were found."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as values that JSON has."""
        return asdict(self)

    @staticmethod
    def from_dict(values: dict[str, Any]) -> Report:
        """Make it from what :meth:`as_dict` returned."""
        steps = [Taken(**step) for step in values.pop("steps")]
        failure = values.pop("failure")
        return Report(steps=steps, failure=tuple(failure) if failure else None, **values)


class OrderSearch(Turns):
    """Gives turns in a given order, and beyond its end to the first that can go on."""

    def __init__(self, order: Sequence[str], starts_are_steps: bool, deadlock_timeout: float) -> None:
        super().__init__(deadlock_timeout)
        self.steps: list[Taken] = []
        self._order = order
        self._starts_are_steps = starts_are_steps

    def is_complete(self) -> bool:
        """Everything is ordered, to the end."""
        return False

    def about_to(self) -> str:
        """Say what cannot happen while nobody goes on."""
        return f"after {len(self.steps)} steps"

    def choose(self) -> Execution | None:
        """Choose by the order, and then the first that can go on; note who else could."""
        if not self.is_closed:
            return None
        executions = self.executions.values()
        if not self._starts_are_steps:
            for execution in executions:
                if execution.state is State.STARTING:
                    return execution
        enabled = [e for e in executions if e.state in (State.STARTING, State.AT_MARKER) or e.can_go_on()]
        if not enabled:
            if any(self._unfinished()) and not self.can_anybody_go_on():
                raise ScheduleError(f"no thread can go on: {self.describe()}")
            return None
        at = len(self.steps)
        name = self._order[at] if at < len(self._order) else enabled[0].name
        chosen = next((execution for execution in enabled if execution.name == name), None)
        if chosen is None:
            raise OrderLeftError(f"step {at + 1} was {name}'s, which cannot go on now: {self.describe()}")
        marker = chosen.marker if chosen.state is State.AT_MARKER else ""
        self.steps.append(Taken(name, marker, chosen.place, [execution.name for execution in enabled]))
        return chosen


def run_order(
    setup: Callable[[], Any],
    threads: Threads,
    invariant: Callable[[Any], object],
    observe: Callable[[Any], object] | None,
    search: OrderSearch,
    registry: MarkerRegistry,
) -> Report:
    """Run threads once, on fresh state, and check the invariant."""
    report = Report(steps=search.steps)
    try:
        state = setup()
        made = _run_threads(threads, state, search, registry)
    except Exception as error:
        report.failure = ("exception", *_reporter.describe_exception(error))
        return report
    report.files = registry.files()
    report.locks_before_markers = any(thread.locked_before_marker for thread in made)
    if isinstance(search.error, OrderLeftError):
        report.left = str(search.error)
    elif errors := [thread.error for thread in made if thread.error is not None]:
        report.failure = ("exception", *_reporter.describe_exception(errors[0]))
    elif search.error is not None:
        kind = "deadlock" if str(search.error).startswith("no thread") else "hang"
        report.failure = (kind, str(search.error), "")
    else:
        report.failure = _check(invariant, state)
        report.outcome = repr(observe(state)) if observe is not None else None
    return report


def _run_threads(threads: Threads, state: Any, search: OrderSearch, registry: MarkerRegistry) -> list[MarkedThread]:
    made = [
        MarkedThread(search, registry, name, _bound(function, state), frozenset(markers))
        for name, (function, markers) in threads.items()
    ]
    for thread in made:
        search.enroll(thread.name)
    for thread in made:
        thread.start()
    search.wait_until_ended(None)
    if search.error is None:
        for thread in made:
            thread.join()
    return made


def _bound(function: Callable[[Any], object], state: Any) -> Callable[[], object]:
    return lambda: function(state)


def _check(invariant: Callable[[Any], object], state: Any) -> tuple[str, str, str] | None:
    """Ask the invariant; an exception from it is a failing invariant too."""
    try:
        holds = invariant(state)
    except Exception as error:
        return ("invariant", *_reporter.describe_exception(error))
    return None if holds else ("invariant", _reporter.describe_broken(invariant), "")
