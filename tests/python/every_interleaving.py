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
import dis
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


class Switches:
    """Where an interpreter with a GIL can switch two threads: it tells of the opcodes that look at the eval breaker.

    A call looks there in the end, unless it is that of a Python function, whose ``RESUME`` does. Which of both it was
    cannot be told from opcodes once Python code has run inside: ``most`` says whether it then counts as the former.
    """

    def __init__(self, most: bool) -> None:
        self._most = most
        self.begin()

    def begin(self) -> None:
        """Begin an interleaving."""
        self._possible = [True, True]
        # The last opcode of each frame, and the frame that executed last.
        self._latest: list[dict[int, str]] = [{}, {}]
        self._current = [0, 0]

    def can_switch(self, me: int, frame: types.FrameType, offset: int) -> bool:
        """Whether the thread can be switched somewhere between its last stop and this opcode."""
        ended = id(frame) != self._current[me]
        name = opcode_names(frame.f_code)[offset >> 1]
        if name not in PROLOGUE and id(frame) not in self._latest[me]:
            # Its `RESUME`, of which `sys.monitoring` does not tell, is behind it.
            self._possible[me] = True
        if self._latest[me].get(id(frame)) in CALLS and (self._most or not ended):
            self._possible[me] = True
        return self._possible[me]

    def stopped(self, me: int) -> None:
        """Begin anew at a stop."""
        self._possible[me] = False

    def executes(self, me: int, frame: types.FrameType, offset: int) -> None:
        """Take note of an opcode."""
        name = opcode_names(frame.f_code)[offset >> 1]
        before = self._latest[me].pop(id(frame), "")
        if name not in ENDS and (name != "YIELD_VALUE" or before == "SEND"):
            self._latest[me][id(frame)] = name
        self._current[me] = id(frame)
        if name in LOOKS:
            self._possible[me] = True


# Opcodes that come before anything else in a frame.
PROLOGUE = frozenset(["COPY_FREE_VARS", "MAKE_CELL", "POP_TOP", "RESUME", "RETURN_GENERATOR"])
ENDS = frozenset(["RERAISE", "RETURN_CONST", "RETURN_VALUE"])
CALLS = frozenset(["CALL", "CALL_KW", "CALL_FUNCTION_EX", "PRECALL"])
JUMPS_BACK = ("JUMP_BACKWARD", "POP_JUMP_BACKWARD_IF_FALSE", "POP_JUMP_BACKWARD_IF_TRUE")
LOOKS = frozenset(["RESUME", *JUMPS_BACK, *(f"POP_JUMP_BACKWARD_IF_{test}" for test in ("NONE", "NOT_NONE"))])


@functools.cache
def opcode_names(code: types.CodeType) -> list[str]:
    """The names of a code object's opcodes, by code unit."""
    names = [""] * (len(code.co_code) // 2)
    for instruction in dis.get_instructions(code):
        names[instruction.offset >> 1] = instruction.opname
    return names


class TooLargeError(Exception):
    """The program has more interleavings than the search may take."""


class Interleaver:
    """Two threads that do some work under a list of choices, again and again."""

    def __init__(self, stops: Stops, gil: Switches | None = None) -> None:
        # What was chosen in this interleaving, and how many stops each thread met.
        self.choices: list[int] = []
        self.steps = [0, 0]
        self._stops = stops
        self._gil = gil
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
        if self._gil is not None:
            self._gil.begin()
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
            can_switch = self._gil is None or self._gil.can_switch(me, frame, offset)
            if self._stops(frame.f_code, nested)[offset >> 1]:
                if can_switch:
                    self._stop(me)
                elif self._chosen == me:
                    self._chosen = -1
                if self._gil is not None:
                    self._gil.stopped(me)
            if self._gil is not None:
                self._gil.executes(me, frame, offset)

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


def interleavings(begin: Begin, stops: Stops, limit: int, gil: Switches | None = None) -> Iterator[str]:
    """Yield the outcome of each interleaving of what ``begin`` makes, or of each one that a GIL allows."""
    interleaver = Interleaver(stops, gil)
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
