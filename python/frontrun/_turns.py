"""Turns: of the threads that take part, one runs at a time, from where it has stopped to where it stops next.

Model: a thread that takes part is an *execution*. It stops before it begins, at a marker, and where it has to wait for
a lock; there it gives its turn away, and goes on when it has been chosen. Everything else that it may wait for (a
socket, a sleep) it waits for with the turn in its hand.

Invariants: the choice is made under one lock and is a function of where the executions have stopped and of which locks
are free, never of time. Time decides only when there is nothing to choose: a thread outside may still release a lock,
and the running one may still stop. After ``deadlock_timeout`` seconds without either, waiting is an error.

Not here: who is chosen (``choose`` of the subclasses), how a stop is noticed (``_marked_thread``).
"""

from __future__ import annotations

import enum
import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from . import _core
from ._threads import quietly
from .common import ScheduleError

_POLL_SECONDS = 0.005
_NOT_THE_PROGRAM = (str(Path(__file__).parent), os.path.dirname(os.__file__), "<frozen")


class State(enum.Enum):
    """What an execution is doing."""

    STARTING = "has not begun"
    RUNNING = "runs"
    AT_MARKER = "waits at a marker"
    AT_LOCK = "waits for a lock"
    ENDED = "has ended"


class Abandoned(BaseException):
    """Unwinds a thread that can no longer get its turn."""


@dataclass(eq=False)
class Execution:
    """A thread that takes part."""

    name: str
    woken: threading.Condition
    state: State = State.STARTING
    marker: str = ""
    place: str = ""
    """Where it has stopped: file and line."""
    lock: Any = None
    deadline: float | None = None
    ident: int | None = None

    def can_go_on(self) -> bool:
        """Whether it has begun to wait for a lock and need not wait any more."""
        return self.state is State.AT_LOCK and (_core.is_lock_free(self.lock) or self.is_out_of_time())

    def is_out_of_time(self) -> bool:
        """Whether it has waited for a lock as long as it was willing to."""
        return self.deadline is not None and time.monotonic() >= self.deadline


def place_of(frame: FrameType | None) -> str:
    """The innermost place in the program that a frame has come to: file and line."""
    outermost = frame
    while frame is not None:
        if not frame.f_code.co_filename.startswith(_NOT_THE_PROGRAM):
            return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"
        frame = frame.f_back
    return f"{os.path.basename(outermost.f_code.co_filename)}:{outermost.f_lineno}" if outermost is not None else "?"


class Turns:
    """The executions that take part, and whose turn it is."""

    def __init__(self, deadlock_timeout: float) -> None:
        self.deadlock_timeout = deadlock_timeout
        self.executions: dict[str, Execution] = {}
        self.running: Execution | None = None
        self.error: BaseException | None = None
        self.is_closed = False
        """Whether no further execution will be enrolled."""
        self._mutex = threading.Lock()
        self._ended = threading.Condition(self._mutex)
        self._is_idle = False
        self._is_free = False
        self._since = time.monotonic()
        self._waiting_outside: set[int] = set()

    def choose(self) -> Execution | None:
        """Choose who goes on when nobody runs; ``None`` when nobody can, for now.

        :raises ScheduleError: when nobody will ever be able to.
        """
        raise NotImplementedError

    def is_complete(self) -> bool:
        """Whether what was asked for has happened, so that the executions may end as they like."""
        raise NotImplementedError

    def about_to(self) -> str:
        """Say what cannot happen while nobody goes on."""
        raise NotImplementedError

    # What the executions call, each in its own thread.

    def enroll(self, name: str) -> None:
        """Announce an execution."""
        with quietly, self._mutex:
            if name in self.executions and self.executions[name].state is not State.ENDED:
                message = f"an execution called {name} is under way"
                raise ValueError(message)
            self.executions[name] = Execution(name, threading.Condition(self._mutex))

    def begin(self, name: str) -> None:
        """Wait for the first turn."""
        with quietly, self._mutex:
            execution = self.executions[name]
            execution.ident = threading.get_ident()
            self._park(execution)

    def stop_at_marker(self, name: str, marker: str, place: str) -> None:
        """Stop at a marker until it may be passed."""
        with quietly, self._mutex:
            execution = self.executions[name]
            execution.state, execution.marker, execution.place = State.AT_MARKER, marker, place
            self._park(execution)

    def await_lock(self, name: str, lock: Any, timeout: float | None) -> bool:
        """Stop until a lock is free. Return ``False`` when the time is over first."""
        with quietly, self._mutex:
            execution = self.executions[name]
            execution.state, execution.lock, execution.place = State.AT_LOCK, lock, place_of(sys._getframe(1))
            is_limited = timeout is not None and timeout >= 0
            execution.deadline = time.monotonic() + timeout if timeout is not None and is_limited else None
            self._park(execution)
            while self._is_free and not _core.is_lock_free(lock) and not execution.is_out_of_time():
                execution.woken.wait(_POLL_SECONDS)
            execution.lock = None
            return _core.is_lock_free(lock) or not execution.is_out_of_time()

    def end(self, name: str) -> None:
        """Give the turn away for good."""
        with quietly, self._mutex:
            execution = self.executions[name]
            execution.state = State.ENDED
            if self.running is execution:
                self.running = None
            self._since = time.monotonic()
            self._dispatch()
            self._ended.notify_all()

    # What the thread that started them calls.

    def wait_until_ended(self, timeout: float | None) -> bool:
        """Wait until every execution has ended, or none can go on. Return ``False`` when the time is over first."""
        deadline = None if timeout is None else time.monotonic() + timeout
        me = threading.get_ident()
        with self._mutex:
            self.is_closed = True
            self._waiting_outside.add(me)
            try:
                self._since = time.monotonic()
                self._dispatch()
                while self.error is None and any(self._unfinished()):
                    is_ordered = not self.is_complete() or self.running is None
                    patience = [self._until_stalled()] if is_ordered else []
                    patience += [deadline - time.monotonic()] if deadline is not None else []
                    self._ended.wait(max(0.0, min(patience)) if patience else None)
                    if deadline is not None and time.monotonic() >= deadline and any(self._unfinished()):
                        return self.error is not None
                    if is_ordered:
                        self._check_stall()
                return True
            finally:
                self._waiting_outside.discard(me)

    def report_error(self, error: BaseException) -> None:
        """End the run: executions that wait for their turn are unwound."""
        with quietly, self._mutex:
            self._fail(error)

    # The rest is called with the mutex held.

    def _unfinished(self) -> Iterator[Execution]:
        return (execution for execution in self.executions.values() if execution.state is not State.ENDED)

    def _fail(self, error: BaseException) -> None:
        if self.error is None:
            self.error = error
        self._wake_all()

    def _wake_all(self) -> None:
        for execution in self.executions.values():
            execution.woken.notify_all()
        self._ended.notify_all()

    def _park(self, me: Execution) -> None:
        """Give the turn away; return when it has come back."""
        if self.running is me:
            self.running = None
        self._since = time.monotonic()
        self._dispatch()
        while self.running is not me and not self._is_free:
            if self.error is not None:
                raise Abandoned
            me.woken.wait(self._patience(me))
            if self.running is None:
                self._dispatch()
            if self.running is not me:
                self._check_stall()
        me.state = State.RUNNING

    def _patience(self, me: Execution) -> float:
        """How long to wait before looking again."""
        if self.running is None and me.state is State.AT_LOCK:
            return _POLL_SECONDS
        return max(0.0, self._until_stalled())

    def _until_stalled(self) -> float:
        return self._since + self.deadlock_timeout - time.monotonic()

    def _dispatch(self) -> None:
        """Give the turn to whoever is chosen."""
        if self.running is not None or self.error is not None or self._is_free:
            return
        try:
            chosen = self.choose()
        except ScheduleError as error:
            self._fail(error)
            return
        if chosen is not None:
            self._is_idle = False
            self.running = chosen
            self._since = time.monotonic()
            chosen.woken.notify()
        elif not self._is_idle:
            # From now on those that wait for locks look whether somebody outside has released one.
            self._is_idle = True
            self._wake_all()

    def _check_stall(self) -> None:
        """After too long a time without a stop, give up, or let everybody go if nothing is left to be ordered."""
        if self.error is not None or self._until_stalled() > 0:
            return
        if self.is_complete() and self.running is not None:
            self._is_free = True
            self._wake_all()
            return
        since = f"for {self.deadlock_timeout:g} s nothing has moved"
        self._fail(ScheduleError(f"{self.about_to()} {since}: {self.describe()}"))

    def can_anybody_go_on(self) -> bool:
        """Whether an execution that waits for a lock may still stop waiting while all others stand still."""
        return any(self._can_be_helped(e) for e in self._unfinished() if e.state is State.AT_LOCK)

    def _can_be_helped(self, waiting: Execution) -> bool:
        """Whether an execution's wait may end by itself, or by somebody besides the executions."""
        if waiting.deadline is not None or not self.is_closed:
            return True
        holder = _core.lock_holder(waiting.lock)
        if holder != waiting.ident and any(holder == execution.ident for execution in self._unfinished()):
            return False
        ours = {execution.ident for execution in self._unfinished()} | self._waiting_outside
        frames = sys._current_frames()
        # Threads without a Python frame may call in at any time.
        if not self._waiting_outside or set(frames) - ours or _native_threads() > len(frames):
            return True
        # The last one outside may have released the lock before it ended.
        return waiting.can_go_on()

    def describe(self) -> str:
        """Say where every execution is."""
        return "; ".join(self.describe_one(execution) for execution in self.executions.values()) or "there is no thread"

    def describe_one(self, execution: Execution) -> str:
        """Say where an execution is."""
        text = f"{execution.name} {execution.state.value}"
        if execution.state is State.AT_MARKER:
            return f"{execution.name} waits at marker {execution.marker} ({execution.place})"
        if execution.state is State.AT_LOCK:
            return f"{text} at {execution.place}{self._holder(execution)}"
        if execution.state is State.RUNNING and execution.ident is not None:
            return f"{text} and has not come to a marker: {place_of(sys._current_frames().get(execution.ident))}"
        return text

    def _holder(self, waiting: Execution) -> str:
        holder = _core.lock_holder(waiting.lock)
        for execution in self.executions.values():
            if holder is not None and execution.ident == holder and execution is not waiting:
                return f" that {execution.name} holds"
        return ""


def _native_threads() -> int:
    """How many threads the system knows of this process; none where it does not tell."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 0
