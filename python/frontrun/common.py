"""What every kind of exploration returns."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Step:
    """One step of a schedule: an execution passes a marker."""

    execution_name: str
    marker_name: str


@dataclass(frozen=True)
class Schedule:
    """The order in which executions pass their markers."""

    steps: Sequence[Step]

    def __post_init__(self) -> None:
        if not self.steps:
            message = "a schedule has at least one step"
            raise ValueError(message)


class ScheduleError(TimeoutError):
    """A schedule cannot be followed: says which step cannot happen, and why.

    A ``TimeoutError``, because that is what waiting for the step would end in; most often nobody has to wait for it.
    """


@dataclass(frozen=True)
class Failure:
    """One failing execution."""

    kind: str
    """``invariant``, ``exception``, ``assertion``, ``deadlock``, ``livelock``, ``exit_code``, ``crash``, ``hang`` or
    ``race``."""
    message: str
    """One line that says what failed."""
    details: str
    """Traceback, or the stacks of the waiting threads."""
    trace: str
    """Path of the trace file that replays it; empty where there is none."""
    attempt: int = 1
    """The how manieth execution it was."""
    schedule: Schedule | None = None
    """The order of markers that fails, if markers were explored."""
    gil_reachable: bool | None = None
    """Whether an interpreter with a GIL can have it, too, or only a free-threaded one; ``None`` if nobody knows."""


@dataclass(frozen=True)
class InterleavingResult:
    """The answer of an exploration."""

    verdict: str
    """``failed``, ``exhausted``, ``bounded``, ``diverged`` or ``error``."""
    num_explored: int
    """How many executions ran; after an exhaustive search, the number of Mazurkiewicz classes."""
    failures: tuple[Failure, ...] = ()
    outcomes: dict[str, int] = field(default_factory=dict)
    """``repr`` of what ``observe`` returned, and in how many executions."""
    exhausted: bool = False
    """Whether every class of executions ran."""
    bounded_by: str | None = None
    """Which budget ended the search, if one did."""
    reproduced: tuple[int, int] | None = None
    """How often the first failing execution failed again, of how many replays."""
    explanation: str | None = None
    """The failing execution as interleaved source lines, or why there is no verdict."""
    first_trace: str | None = None
    """Path of the first execution's trace, if traces were to be kept or an execution has failed."""
    unique_interleavings: int = 0
    """How many Mazurkiewicz classes the executions that ran to their end belong to."""
    races_detected: int = 0
    """How many data races the executions showed, each once per pair of places and location."""
    most_threads: int = 0
    """How many threads an execution had at most, the main thread included."""
    seed: int | None = None
    """What a random search drew from; the same seed gives the same executions."""
    detection_bounds: dict[int, float] = field(default_factory=dict)
    """Of a random search, for bugs of each depth: with what probability at least one would have been found.

    A bug of depth d needs d - 1 preemptions at certain places. The bounds hold for bugs that show within as many steps
    as the first execution had, and count the attempts of probabilistic concurrency testing only.
    """

    def __await__(self) -> Generator[None, None, InterleavingResult]:
        """Give the result itself, so that a test may await an exploration as well as call it."""
        return self
        yield

    @property
    def property_holds(self) -> bool | None:
        """``True`` when every execution ran and none failed, ``False`` on a failure, else ``None``."""
        if self.failures:
            return False
        return True if self.verdict == "exhausted" else None

    @property
    def failure_kind(self) -> str | None:
        """The kind of the first failure."""
        return self.failures[0].kind if self.failures else None

    @property
    def gil_reachable(self) -> bool | None:
        """Whether an interpreter with a GIL can have the first failing execution; ``None`` where it is not known."""
        return self.failures[0].gil_reachable if self.failures else None

    @property
    def trace(self) -> str | None:
        """Path of the first failing trace."""
        return self.failures[0].trace if self.failures else None

    @property
    def counterexample(self) -> str | Schedule | None:
        """What fails: a trace file, the same as :attr:`trace`, or the order of markers."""
        return (self.failures[0].schedule or self.trace) if self.failures else None

    @property
    def reproduction_attempts(self) -> int:
        """How often the first failing execution was replayed."""
        return self.reproduced[1] if self.reproduced else 0

    @property
    def reproduction_successes(self) -> int:
        """How often it failed again."""
        return self.reproduced[0] if self.reproduced else 0

    def assert_holds(self, *, allow_bounded: bool = False) -> None:
        """Raise ``AssertionError`` unless the property holds.

        A search that ended before it was exhausted proves nothing and raises too, unless ``allow_bounded``.
        """
        if self.failures:
            raise AssertionError(self.explanation or self.failures[0].message)
        if self.verdict != "exhausted" and not (allow_bounded and self.verdict == "bounded"):
            reason = self.explanation or "no reason is known"
            message = f"not proved: {self.verdict} after {self.num_explored} executions: {reason}"
            raise AssertionError(message)
