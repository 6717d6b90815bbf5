"""Every interleaving of the opcodes of two functions, by brute force on the interpreter that runs this.

Model: two threads take turns. A thread is told of every opcode before it executes it. It stops before each one that can
touch what threads share, and there the schedule says who goes on. The search is depth-first over the choices; each
interleaving runs from the beginning on a state that is made anew. Nothing is pruned and no state is remembered, so
every interleaving runs exactly once.

Invariants: only one thread runs at a time, since the other waits for its baton. Code is not changed.

Nothing of the package under test is used here: this is what it is compared with. Which opcodes can touch what threads
share is in `shared_opcodes`.
"""

from __future__ import annotations

import _thread
import functools
import math
import types
from collections.abc import Callable, Iterator, Sequence

import opcode_events
from opcode_events import tell

# What an interleaving consists of: what the threads do, and what observes the end, given their results.
Begin = Callable[[], tuple[Sequence[Callable[[], object]], Callable[[list[object]], str]]]
# Tells of each code unit of a code object whether threads stop before the opcode there; frames other than the first
# one of a thread may differ.
Stops = Callable[[types.CodeType, bool], list[bool]]

# The code that drives a thread; it is none of the thread's.
OWN = (__file__, opcode_events.__file__)


class TooLargeError(Exception):
    """The program has more interleavings than the search may take."""


class Interleaver:
    """Two threads that do some work under a list of choices, again and again."""

    def __init__(self, stops: Stops) -> None:
        # What was chosen in this interleaving, and how many stops each thread met.
        self.choices: list[int] = []
        self.steps = [0, 0]
        self._stops = stops
        self._work: Sequence[Callable[[], object]] = []
        self._results: list[object] = [None, None]
        self._taken = 0
        self._live: set[int] = set()
        # A thread that was just chosen passes the stop at which it stands, or its first one.
        self._chosen = -1
        self._batons = [_thread.allocate_lock() for _ in self._results]
        self._done = _thread.allocate_lock()
        for lock in (*self._batons, self._done):
            lock.acquire()
        for name in range(len(self._batons)):
            _thread.start_new_thread(self._thread, (name,))

    def run(self, work: Sequence[Callable[[], object]], prefix: list[int]) -> list[object]:
        """Follow the prefix, then let each thread go on as long as it can; return the threads' results."""
        self._work, self.choices, self.steps, self._taken = work, prefix[:], [0, 0], 0
        self._live = {0, 1}
        self._chosen = self._choose(0)
        self._batons[self._chosen].release()
        self._done.acquire()
        return self._results

    def end(self) -> None:
        """Let the threads end."""
        self._work = []
        for baton in self._batons:
            baton.release()

    def _choose(self, current: int) -> int:
        """Who goes on; the current thread where the list is over."""
        if self._taken == len(self.choices):
            self.choices.append(current)
        self._taken += 1
        return self.choices[self._taken - 1]

    def _thread(self, me: int) -> None:
        reached = functools.partial(self._reached, me)
        while True:
            self._batons[me].acquire()
            if not self._work:
                return
            tell(reached)
            try:
                self._results[me] = self._work[me]()
            except Exception as error:
                self._results[me] = type(error).__name__
            tell(None)
            self._live.discard(me)
            if self._live:
                self._chosen = 1 - me
                self._batons[1 - me].release()
            else:
                self._done.release()

    def _reached(self, me: int, frame: types.FrameType, offset: int) -> None:
        """Called before each opcode of a thread."""
        if frame.f_code.co_filename not in OWN:
            nested = frame.f_back is None or frame.f_back.f_code.co_filename not in OWN
            if self._stops(frame.f_code, nested)[offset >> 1]:
                self._stop(me)

    def _stop(self, me: int) -> None:
        self.steps[me] += 1
        if self._chosen == me:
            self._chosen = -1
        elif len(self._live) == 2:
            chosen = self._choose(me)
            if chosen != me:
                self._chosen = chosen
                self._batons[chosen].release()
                self._batons[me].acquire()
                self._chosen = -1


def interleavings(begin: Begin, stops: Stops, limit: int) -> Iterator[str]:
    """Yield the outcome of each interleaving of what ``begin`` makes."""
    interleaver = Interleaver(stops)
    branches: list[list[int]] = [[]]
    taken = 0
    try:
        while branches:
            prefix = branches.pop()
            work, observe = begin()
            results = interleaver.run(work, prefix)
            taken += 1
            if taken > limit or math.comb(sum(interleaver.steps), interleaver.steps[0]) > limit:
                raise TooLargeError
            yield observe(results)
            choices = interleaver.choices
            branches += [[*choices[:at], 1 - choices[at]] for at in range(len(prefix), len(choices))]
    finally:
        interleaver.end()
