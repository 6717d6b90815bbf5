"""Tasks that wait for a moment, look, and wait again: ``asyncio.sleep`` under control, and timers that go off in vain.

Model: a task that would only do again what it has just done waits, in place of a moment of sleep, for a change of what
it has read; the native side knows whether that is so. One that changes nothing either, but is in another state each
time, since it counts or asks a clock, sleeps so for a second in all. After that, and after ten seconds in all whatever
it does, it goes on only when nobody else can: otherwise it could keep the others from ever doing what it waits for.
So it is with timers that a task sets for something else, such as ``wait_for``, once they have gone off for a second in
all, and with callbacks that schedule themselves again and again, at once or by timers.

A moment is less than a second; a sleep of none counts as one of ten milliseconds.

Not here: longer sleeps, which end when nobody can go on; timers (``_loop_model``).
"""

from __future__ import annotations

import asyncio
import types
from collections import defaultdict
from collections.abc import Callable, Generator
from typing import Any

from . import _core, _replaced

_QUIET, _SAME = 1, 2
_LEAST = 0.01
_PATIENCE = 1.0
_MOST_CHANGING = 10.0
_MOST_GIVEN_UP = 3
"""So often a poll goes on without a change when nobody can, in case what it waits for cannot be seen."""

_code = asyncio.sleep.__code__
_sleep = _replaced.original_of(asyncio.sleep)


class _Rests:
    """How a task, or a callback, has rested so far; in seconds.

    No dataclass: the code of one is made from a text, which is seen as the program's.
    """

    def __init__(self) -> None:
        # Asleep since it has changed anything, asleep in all, and until timers went off.
        self.quiet = self.total = self.in_vain = 0.0
        # Whether it waits for a change, and how often in a row that was without one.
        self.polls, self.given_up = False, 0
        # Whether the timer that it is about to set is that of a sleep which ends when nobody can go on.
        self.sleeps_late = False


class Sleepers:
    """How the tasks and callbacks of a loop have rested, by their numbers."""

    def __init__(self) -> None:
        self._rests: defaultdict[int, _Rests] = defaultdict(_Rests)
        self._setters: dict[int, tuple[int, float]] = {}

    def poll(self, task: int) -> None:
        """Note that a task waits for a change."""
        self._rests[task].polls = True

    def is_polling(self, task: int) -> bool:
        """Whether a task waits for a change."""
        return self._rests[task].polls

    def waits_for_ever(self, task: int) -> bool:
        """Whether a task that polls does not go on without a change any more."""
        return self._rests[task].given_up >= _MOST_GIVEN_UP

    def give_up(self, task: int) -> None:
        """Note that a task goes on because nobody can."""
        rests = self._rests[task]
        rests.given_up += rests.polls
        rests.polls = False

    def go_on(self, task: int) -> None:
        """Note that a task goes on."""
        rests = self._rests[task]
        if rests.polls:
            rests.polls, rests.given_up = False, 0

    def rest(self, task: int, delay: float, *, quietly: bool) -> float:
        """Note that a task sleeps, and whether it has changed nothing since it did the last time.

        Return for how long it is to do so. One that has slept for long enough sets a timer whatever the delay, and goes
        on when nobody else can.
        """
        rests, seconds = self._rests[task], max(delay, _LEAST)
        rests.given_up = 0
        rests.quiet = rests.quiet + seconds if quietly else seconds
        rests.total += seconds
        rests.sleeps_late = rests.quiet >= _PATIENCE or rests.total >= _MOST_CHANGING
        return seconds if rests.sleeps_late else delay

    def is_late(self, who: int) -> bool:
        """Whether the timer that a task or a callback is about to set goes off only when nobody can go on."""
        rests = self._rests[who]
        sleeps_late, rests.sleeps_late = rests.sleeps_late, False
        return sleeps_late or rests.in_vain >= _PATIENCE

    def note_timer(self, timer: int, setter: int, delay: float, *, is_of_task: bool) -> None:
        """Note that a task or a callback has set a timer, not in order to sleep."""
        if is_of_task:
            self._setters[timer] = setter, delay
        else:
            # What goes off again and again rests in between.
            self._rests[timer].in_vain = self._rests[setter].in_vain + max(delay, _LEAST)

    def go_off(self, timer: int) -> None:
        """Note that a timer, if it is one, has gone off: its task has waited in vain."""
        if timer in self._setters:
            setter, delay = self._setters.pop(timer)
            self._rests[setter].in_vain += max(delay, _LEAST)

    def forget(self, who: int) -> None:
        """Forget a task or a callback that has ended."""
        self._rests.pop(who, None)
        self._setters.pop(who, None)


@types.coroutine
def _suspend() -> Generator[None]:
    yield


Find = Callable[[], tuple[Sleepers, int, Any, float] | None]


def install(find: Find) -> None:
    """Replace ``asyncio.sleep``. ``find`` finds sleepers, number and task of who calls it, and how long a moment is."""
    if _replaced.is_replaced(asyncio.sleep):
        return

    async def sleep(delay: Any, result: Any) -> Any:
        found = find()
        if found is None or not (isinstance(delay, (int, float)) and delay < found[3]):
            return await _sleep(delay, result)
        sleepers, number, task, _ = found
        kind, mark = _core.come_to_sleep(task, task.get_coro(), delay, result)
        try:
            if kind == _SAME:
                sleepers.poll(number)
                await _suspend()
            else:
                await _sleep(sleepers.rest(number, delay, quietly=kind == _QUIET))
        finally:
            _core.wake_from_sleep(mark)
        return result

    _replaced.replace(asyncio.sleep, sleep)


def uninstall() -> None:
    """Give ``asyncio.sleep`` its own code back."""
    asyncio.sleep.__code__ = _code
