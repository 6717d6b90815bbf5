"""What a controlled event loop has to run: tasks, callbacks and timers as threads of the gate.

Each of them is a thread that the gate decides about; the thread that runs the loop then calls the handle of whoever
goes on. What one step schedules comes behind the callbacks that it has scheduled before. A timer goes off behind those
that were surely set before it and for no longer, by the same step or task or by whoever has scheduled that.

Not here: how a loop gets such a model (``_event_loops``), what a step is to the gate (native side).
"""

from __future__ import annotations

import asyncio
import heapq
import os
import sys
import weakref
from asyncio import events, futures
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import _core
from ._sleeping import Sleepers
from ._threads import quietly

_PACKAGE = str(Path(__file__).parent)
_ASYNCIO = str(Path(asyncio.__file__).parent)
_NUMBER = "_frontrun_number"
_SLEPT = futures._set_result_unless_cancelled  # type: ignore[attr-defined]
"""What the timer of one that sleeps calls."""
_SHORT = 1.0
"""Timers of fewer seconds may go off at any moment."""
EPOCH = 1000.0
"""What the clock of a controlled loop shows first."""


class _Flag:
    """Something that is to happen, known to the gate by its identity."""


class _Wakeup(_Flag):
    """A suspended task may go on."""


class _Turn(_Flag):
    """A callback has been called, or a timer has gone off."""


class _Readiness(_Flag):
    """There is something to read at a descriptor, or room to write."""


class _Interest(_Flag):
    """Whether a descriptor is waited for."""

    is_there = False


class LoopModel:
    """What a controlled loop has to run.

    What one step schedules, be it callbacks or the waking of tasks, happens behind the callbacks that it has scheduled
    before: ``_latest`` has the last one of each scheduler.
    """

    def __init__(self, loop: Any) -> None:
        self.short = _SHORT
        self.sleepers = Sleepers()
        self._loop = weakref.ref(loop)
        self._handles: dict[int, events.Handle] = {}
        self._tasks: dict[int, Any] = {}
        self._wakeups: dict[int, _Wakeup] = {}
        self._turns: dict[int, _Turn] = {}
        self._latest: dict[int, _Turn] = {}
        self._timers: dict[int, list[tuple[float, _Turn]]] = {}
        self._spawned: dict[int, list[int]] = {}
        self._schedulers: dict[int, int] = {}
        self._watches: dict[int, _Readiness] = {}
        self._watching: dict[events.Handle, int] = {}
        self._interests: dict[tuple[int, bool], _Interest] = {}
        self._endings: dict[int, _Flag] = {}
        self._ended: list[int] = []
        self._runner: int | None = None
        self._stop: _Flag | None = None
        self._error: BaseException | None = None
        models.add(self)

    def ask_for_tasks(self) -> None:
        """Read of all tasks that the loop has had whether they are done."""
        _core.read_flags([*map(_core.flag_number, self._tasks.values()), *self._ended])

    def tasks(self) -> list[Any]:
        """The tasks that have not ended."""
        return list(self._tasks.values())

    def find_sleeper(self) -> tuple[Sleepers, int, Any, float] | None:
        """Return what ``_sleeping`` asks for, if the step under way is that of a task."""
        number = _core.current()
        task = None if number is None else self._tasks.get(number)
        # A task that is started eagerly begins within a step of another one.
        with quietly:
            if task is None or asyncio.current_task() is not task:
                return None
        return self.sleepers, _me(), task, self.short

    def admit(self, handle: events.Handle) -> None:
        """Take in what ``call_soon`` is given: a step of a task, or a callback."""
        callback: Any = handle._callback  # type: ignore[attr-defined]
        task = _task_of(callback)
        number = None if task is None else getattr(task, _NUMBER, None)
        if task is None:
            self._admit_callback(handle, _name_of_callback(callback))
            return
        if number is None:
            number = self._spawn(_name_of_task(task))
            setattr(task, _NUMBER, number)
            self._tasks[number] = task
        self._handles[number] = handle
        wakeup = self._wakeups.pop(number, None)
        if wakeup is not None:
            self._signal(wakeup)

    def _admit_callback(self, handle: events.Handle, name: str) -> None:
        me = _me()
        if me not in self._tasks and self.sleepers.is_late(me):
            # The flag is that of nobody else: it goes on when its time has come.
            number = self._spawn(name, handle, _core.virtual_time())
        else:
            number = self._spawn(name)
        if me not in self._tasks:
            self.sleepers.note_timer(number, me, 0.0, is_of_task=False)
        self._turns[number] = self._latest[_me()] = _Turn()
        self._schedulers[number] = _me()
        self._handles[number] = handle

    def admit_fault(self, callback: Callable[[], object], name: str) -> _Flag:
        """Take in what happens to the loop from outside, once, at any moment; return the flag that it has happened."""
        number = _core.spawn_task(name, _place(), self._loop(), None, None, None)
        turn = self._turns[number] = _Turn()
        self._handles[number] = events.Handle(callback, (), self._loop(), None)  # type: ignore[arg-type]
        return turn

    def admit_timer(self, timer: events.TimerHandle, delay: float) -> None:
        """Take in a timer, which goes off after ``delay`` seconds."""
        name = _name_of_callback(timer._callback)  # type: ignore[attr-defined]
        # A timer that is cancelled need not wait.
        if delay >= self.short or self.sleepers.is_late(_me()):
            number = self._spawn(name, timer, timer.when() - EPOCH)
        else:
            number = self._spawn_short(name, delay)
        self._handles[number] = timer
        if timer._callback is not _SLEPT:  # type: ignore[attr-defined]
            self.sleepers.note_timer(number, _me(), delay, is_of_task=_me() in self._tasks)

    def admit_news(self, handle: events.Handle) -> None:
        """Take in what somebody outside the loop has it call, once, at any moment."""
        self._handles[self._spawn(_name_of_callback(handle._callback))] = handle  # type: ignore[attr-defined]

    def admit_watch(self, handle: events.Handle, fd: int, *, writes: bool) -> bool:
        """Take in a callback that goes on whenever a descriptor is ready. Return whether it can be told when."""
        flag = _Readiness()
        number = self._spawn(_name_of_callback(handle._callback), flag)  # type: ignore[attr-defined]
        self._handles[number], self._watches[number], self._watching[handle] = handle, flag, number
        return _core.watch(number, fd, flag, writes)

    def note_interest(self, fd: Any, *, writes: bool, begins: bool) -> None:
        """Note that a descriptor is waited for from now on, or no more: who asks for that, too, depends on it."""
        # Which number a descriptor has hangs on which others are open, and that is no step: what it leads to is known.
        with quietly:
            inode = os.fstat(number_of(fd)).st_ino
        known = self._interests.setdefault((inode, writes), _Interest())
        change = begins != known.is_there
        known.is_there = begins
        if not change:
            _core.read_flag(known)
        elif begins:
            _core.set_flag(known)
        else:
            _core.clear_flag(known)

    def forget_watch(self, handle: events.Handle) -> None:
        """Have a callback that waits for a descriptor, if it is one, go on no more."""
        number = self._watching.pop(handle, None)
        if number is not None:
            del self._watches[number]
            self._handles.pop(number, None)
            _core.unwatch(number)

    def _wake_watches(self) -> None:
        """Let those go on whose descriptors the step under way has made ready."""
        for number in _core.take_ready():
            if _me() in self._latest:
                loop: Any = self._loop()
                self._admit_callback(events.Handle(_core.refresh_watch, (number,), loop, None), "wake")
            else:
                _core.refresh_watch(number)

    def _spawn_short(self, name: str, delay: float) -> int:
        known = self._timers.setdefault(_me(), [])
        before = [turn for other, turn in known if other <= delay]
        number = self._spawn(name, before[-1] if before else None)
        turn = self._turns[number] = _Turn()
        # Behind a timer that was set for longer there is nothing that does not come behind this one, too.
        known[:] = [(other, earlier) for other, earlier in known if other < delay]
        known.append((delay, turn))
        return number

    def _spawn(self, name: str, awaited: object | None = None, deadline: float | None = None) -> int:
        after = self._latest.get(_me())
        number = _core.spawn_task(name, _place(), self._loop(), awaited, after, deadline)
        if self._runner is not None:
            _core.host_tasks(self._runner, [number])
        spawned = self._spawned.get(_me())
        if spawned is None:
            self._timers[number] = list(self._timers.get(_me(), ()))
        else:
            spawned.append(number)
        return number

    def _signal(self, flag: _Flag) -> None:
        """Set a flag, behind the callbacks that are scheduled."""
        loop: Any = self._loop()
        if _me() in self._latest:
            self._admit_callback(events.Handle(_core.set_flag, (flag,), loop, None), "wake")
        else:
            _core.set_flag(flag)

    def release(self, loop: Any, clock: float) -> None:
        """Leave what remains to the loop, which goes on uncontrolled; its clock has shown ``clock`` last."""
        for task in self._tasks.values():
            delattr(task, _NUMBER)
        handles = [handle for number, handle in self._handles.items() if number not in self._watches]
        left = [handle for handle in handles if not handle.cancelled()]
        for handle in left:
            if isinstance(handle, events.TimerHandle):
                handle._when = loop.time() + handle.when() - clock  # type: ignore[attr-defined]
                heapq.heappush(loop._scheduled, handle)
            elif handle._callback not in (_core.set_flag, _core.refresh_watch):  # type: ignore[attr-defined]
                loop._ready.append(handle)
        models.discard(self)

    def stop(self) -> None:
        """Have the thread that runs the loop stop doing so.

        A loop that a callback stops calls what was scheduled together with that one before it does.
        """
        if self._stop is not None:
            me = _me()
            last = self._latest.get(self._schedulers.get(me, me))
            if last is not None and last is not self._turns.get(me):
                self._latest.setdefault(me, last)
            self._signal(self._stop)

    def run_until_stopped(self) -> None:
        """Run the loop until ``stop`` is called."""
        self._stop = _Flag()
        try:
            self.run([self._stop])
        finally:
            self._stop = None

    def run_until_ended(self, tasks: list[Any], faults: list[_Flag]) -> None:
        """Run the loop until these tasks have ended, and these faults have happened."""
        for task in tasks:
            self._endings[getattr(task, _NUMBER)] = _Flag()
        self.run([*self._endings.values(), *faults])
        self._endings.clear()

    def run(self, flags: list[_Flag]) -> None:
        """Run the loop until all of these flags are set."""
        loop: Any = self._loop()
        me = self._runner = _me()
        _core.host_tasks(me, list(self._handles.keys() | self._tasks.keys()))
        _core.set_flag(loop)
        number = me
        try:
            for until in flags:
                _core.run_until(me, loop, until, until is flags[-1])
                while (number := self._next(number, loop)) != me:
                    self._step(number, flags)
        finally:
            self._runner = None
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _next(self, number: int, loop: Any) -> int:
        """Ask who goes on, and be that one."""
        while True:
            number = _core.next_in_loop(number)
            _core.become_thread(number)
            if not _core.resume_in_loop(loop):
                return number
            # The time of a timer has come, or somebody looks again for whom nothing has changed.
            self.sleepers.give_up(number)
            _core.await_in_task(number, loop, None, None)

    def _step(self, number: int, flags: list[_Flag]) -> None:
        """Let a task or a callback go on, up to where it suspends or ends."""
        self._latest.pop(number, None)
        self.sleepers.go_on(number)
        handle = self._handles.pop(number)
        task = self._tasks.get(number)
        if task is not None:
            _core.begin_task_step(task)
        else:
            _core.read_flag(handle)
        # Asked as loops ask, without the lock that some handles have.
        if not handle._cancelled:
            self.sleepers.go_off(number)
            self._spawned[number] = []
            try:
                handle._run()
            except (SystemExit, KeyboardInterrupt) as error:
                if _core.current() is None:  # The run is over, and the process is the caller's.
                    raise
                self._error = error
                for flag in flags:
                    _core.set_flag(flag)
            self._hand_down_timers(number)
        if _core.current() is not None:
            self._wake_watches()
        if number in self._watches:
            self._handles[number], flag = handle, self._watches[number]
            _core.end_step(False)
            _core.await_in_task(number, self._loop(), flag, self._latest.get(number))
            return
        with quietly:
            ended = task is None or task.done()
        if ended:
            self._end(number, task)
            # What a callback alone holds dies before it has ended: that can run code, such as finalizers.
            if task is None:
                del handle
            _core.end_step(ended)
            return
        _core.suspend_task(task)
        # At the end of the step another thread may come in between and wake the task.
        awaited = None if number in self._handles else self._wakeups.setdefault(number, _Wakeup())
        _core.end_step(ended)
        del handle, task
        if self.sleepers.is_polling(number):
            _core.await_change_in_task(number, self._loop(), self.sleepers.waits_for_ever(number))
            return
        _core.await_in_task(number, self._loop(), awaited, self._latest.get(number))

    def _hand_down_timers(self, number: int) -> None:
        """Who was scheduled by a step comes behind all of it, also the timers that it set after that."""
        for child in self._spawned.pop(number, ()):
            self._timers[child] = list(self._timers.get(number, ()))

    def _end(self, number: int, task: Any) -> None:
        self._timers.pop(number, None)
        self._schedulers.pop(number, None)
        self.sleepers.forget(number)
        turn = self._turns.pop(number, None)
        if turn is not None:
            _core.set_flag(turn)
        if task is not None:
            del self._tasks[number]
            self._ended.append(_core.flag_number(task))
            _core.set_flag(task)
            if number in self._endings:
                self._signal(self._endings[number])


def _me() -> int:
    """The number of the thread, task or callback that this is."""
    me = _core.current()
    assert me is not None
    return me


def number_of(fd: Any) -> int:
    """Return the number of a descriptor, or of that of a file."""
    return fd if isinstance(fd, int) else int(fd.fileno())


def _task_of(callback: Any) -> Any:
    """The task that a callback makes go on, if it is such a one."""
    task = getattr(callback, "__self__", None)
    if not isinstance(task, asyncio.Task):
        return None
    steps = ("task_wakeup", "__wakeup", "__step")
    is_step = type(callback).__name__ == "TaskStepMethWrapper" or getattr(callback, "__name__", None) in steps
    return task if is_step else None


def _name_of_task(task: Any) -> str:
    coroutine = task.get_coro()
    return f"{task.get_name()} ({getattr(coroutine, '__qualname__', type(coroutine).__name__)})"


def _name_of_callback(callback: Any) -> str:
    return str(getattr(callback, "__qualname__", type(callback).__name__))


def _place() -> tuple[str, str, int]:
    """Where the program schedules something: file, function, line."""
    frame = sys._getframe(1)
    while frame.f_code.co_filename.startswith((_PACKAGE, _ASYNCIO)) and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_code.co_qualname, frame.f_lineno


models: weakref.WeakSet[LoopModel] = weakref.WeakSet()


def describe_tasks() -> list[str]:
    """Say of every task that has not ended where it waits."""
    parts = []
    for model in models:
        for task in model.tasks():
            stack = [
                f'  File "{frame.f_code.co_filename}", line {frame.f_lineno}, in {frame.f_code.co_name}\n'
                for frame in _frames(task)
                if not frame.f_code.co_filename.startswith(_PACKAGE)
            ]
            parts.append(f"Task {_name_of_task(task)}:\n" + "".join(stack))
    return sorted(parts)


def _frames(task: Any) -> list[Any]:
    """The frames of a suspended task, the innermost last."""
    frames = []
    awaitable = task.get_coro()
    while awaitable is not None:
        frame = getattr(awaitable, "cr_frame", None) or getattr(awaitable, "gi_frame", None)
        if frame is None:
            break
        frames.append(frame)
        awaitable = getattr(awaitable, "cr_await", None) or getattr(awaitable, "gi_yieldfrom", None)
    return frames
