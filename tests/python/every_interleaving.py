"""Every interleaving of the opcodes of a few functions, by brute force on the interpreter that runs this.

Model: the code of a thread's function becomes that of a generator that yields before each opcode that is more than a
move between locals and stack, so a thread is advanced by ``next`` and no real thread is needed. The search goes
depth-first over which thread takes the next step, each branch from a fresh state. A branch ends where a configuration
has been seen: position, locals and value stack of each thread, and everything that can be reached from there.

Python code that an opcode calls (a property, a key function) is one step of its caller.

Nothing of the package under test is used here: this is what it is compared with.
"""

from __future__ import annotations

import gc
import sys
import types
from collections.abc import Callable
from typing import Any

from bytecode import Bytecode, Instr
from configuration import canonical

# They move values between constants, locals and stack, or follow them.
PRIVATE = {
    "BUILD_TUPLE",
    "CALL_INTRINSIC_1",
    "CHECK_EXC_MATCH",
    "COPY",
    "COPY_FREE_VARS",
    "END_FOR",
    "JUMP_BACKWARD",
    "JUMP_FORWARD",
    "LOAD_CLOSURE",
    "LOAD_CONST",
    "LOAD_FAST",
    "LOAD_FAST_AND_CLEAR",
    "LOAD_FAST_CHECK",
    "LOAD_FAST_LOAD_FAST",
    "MAKE_CELL",
    "NOP",
    "POP_EXCEPT",
    "POP_JUMP_BACKWARD_IF_NONE",
    "POP_JUMP_BACKWARD_IF_NOT_NONE",
    "POP_JUMP_FORWARD_IF_NONE",
    "POP_JUMP_FORWARD_IF_NOT_NONE",
    "POP_JUMP_IF_NONE",
    "POP_JUMP_IF_NOT_NONE",
    "POP_TOP",
    "PUSH_EXC_INFO",
    "PUSH_NULL",
    "RERAISE",
    "RESUME",
    "RETURN_CONST",
    "RETURN_GENERATOR",
    "RETURN_VALUE",
    "STORE_FAST",
    "STORE_FAST_LOAD_FAST",
    "STORE_FAST_STORE_FAST",
    "SWAP",
}
# The first opcodes of a call: nothing comes between them and the last.
CALL_PARTS = {"KW_NAMES", "PRECALL"}

# What a run consists of: what gives all that is shared, the threads (see `stepwise`), and what observes the end.
Begin = Callable[[], tuple[Callable[[], object], list[types.GeneratorType], Callable[[], str]]]


class TooLargeError(Exception):
    """The program has more steps or configurations than the search may take."""


def stepwise(code: types.CodeType) -> types.CodeType:
    """Return the code of a generator function with a yield before each opcode that can matter."""
    program = Bytecode.from_code(code)
    result: list[Any] = []
    begun, in_call = False, False
    for item in program:
        if isinstance(item, Instr):
            if begun and not in_call and item.name not in PRIVATE:
                result += _pause(item.location)
            begun = begun or item.name == "RESUME"
            in_call = item.name in CALL_PARTS
        result.append(item)
    program[:] = result
    return program.to_code(compute_exception_stack_depths=False)


def _pause(location: Any) -> list[Instr]:
    depth = (0,) if sys.version_info >= (3, 12) else ()
    names = (("LOAD_CONST", None), ("YIELD_VALUE", *depth), ("RESUME", 1), ("POP_TOP",))
    return [Instr(*name, location=location) for name in names]


def outcomes(begin: Begin, max_steps: int, max_configurations: int) -> set[str]:
    """Return every outcome of what ``begin`` makes."""
    seen: set[tuple[object, ...]] = set()
    found: set[str] = set()
    branches: list[tuple[int, ...]] = [()]
    while branches:
        schedule = branches.pop()
        shared, threads, observe = begin()
        live = dict(enumerate(threads))
        # What comes before a thread's first yield is private.
        for choice in (*range(len(threads)), *schedule):
            _step(live, choice)
        while True:
            configuration = canonical([shared(), *(_place(live.get(name)) for name in range(len(threads)))])
            if configuration in seen:
                break
            seen.add(configuration)
            if not live:
                found.add(observe())
                break
            if len(schedule) >= max_steps or len(seen) > max_configurations:
                raise TooLargeError
            first, *others = live
            branches += [(*schedule, other) for other in others]
            schedule = (*schedule, first)
            _step(live, first)
        # A generator that is dropped midway would run its handlers.
        for name in list(live):
            while name in live:
                _step(live, name)
    return found


def _step(live: dict[int, types.GeneratorType], name: int) -> None:
    try:
        next(live[name])
    except StopIteration:
        del live[name]


def _place(thread: types.GeneratorType | None) -> object:
    """Where a thread stands, with its locals and its value stack, which the collector is shown."""
    if thread is None:
        return None
    return [thread.gi_frame.f_lasti, *gc.get_referents(thread)]
