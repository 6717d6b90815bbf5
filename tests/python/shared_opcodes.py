"""Before which opcodes of a small program the other thread may come in and make a difference.

Model: an opcode is private if it does nothing but move values between constants, locals and stack, make an object that
nobody else knows yet, or look a name up that the program never binds after `setup`. Everything else is shared, whatever
its operands are. What C code does after a callback is a part of no opcode of the callback, so the end of a function is
shared, too, unless it is the thread's own. Where objects may die that have a `__del__`, so is each opcode that drops a
reference.
"""

from __future__ import annotations

import dis
import functools
import inspect
import sys
import types
from collections.abc import Iterator

MOVES = """
    BUILD_CONST_KEY_MAP BUILD_LIST BUILD_MAP BUILD_SET BUILD_SLICE BUILD_STRING BUILD_TUPLE CACHE CHECK_EXC_MATCH COPY
    COPY_FREE_VARS END_FOR EXTENDED_ARG IS_OP JUMP_BACKWARD JUMP_BACKWARD_NO_INTERRUPT JUMP_FORWARD KW_NAMES LIST_APPEND
    LIST_TO_TUPLE LOAD_ASSERTION_ERROR LOAD_BUILD_CLASS LOAD_CLOSURE LOAD_COMMON_CONSTANT LOAD_CONST LOAD_FAST
    LOAD_FAST_AND_CLEAR LOAD_FAST_BORROW LOAD_FAST_BORROW_LOAD_FAST_BORROW LOAD_FAST_CHECK LOAD_FAST_LOAD_FAST
    LOAD_SMALL_INT MAKE_CELL MAKE_FUNCTION MAP_ADD NOP NOT_TAKEN POP_EXCEPT POP_ITER POP_TOP PUSH_EXC_INFO PUSH_NULL
    RESUME RETURN_GENERATOR SET_ADD SET_FUNCTION_ATTRIBUTE STORE_FAST STORE_FAST_LOAD_FAST STORE_FAST_STORE_FAST SWAP
"""
ENDS = frozenset(["RERAISE", "RETURN_CONST", "RETURN_VALUE"])
# They may drop the last reference to an object.
DROPS = frozenset(["DELETE_FAST", "POP_ITER", "POP_TOP", "STORE_FAST", *ENDS])
# Jumps that look at no more than an identity, or at what is known to be a bool.
ON_NONE = "_NONE"
LEAVE_BOOLS = frozenset(["COMPARE_OP", "CONTAINS_OP", "IS_OP", "TO_BOOL", "UNARY_NOT"])
BY_NAME = frozenset(["LOAD_ATTR", "LOAD_GLOBAL", "LOAD_METHOD", "LOAD_NAME"])
BINDING = frozenset(["STORE_ATTR", "DELETE_ATTR", "STORE_GLOBAL", "DELETE_GLOBAL"])
# With these a program can bind names that do not stand in its text.
NAMESPACES = frozenset(["__dict__", "__class__", "vars", "globals"])
# Attributes of C objects that change by themselves.
STATES = frozenset(["gi_running", "gi_frame", "obj", "mapping"])


class SharedOpcodes:
    """The opcodes of a program before which threads stop; ``threads`` is the code of its threads."""

    def __init__(self, threads: list[types.CodeType], definitions: types.CodeType, finalizers: bool) -> None:
        codes = [code for thread in (*threads, definitions) for code in _all_codes(thread)]
        self._finalizers = finalizers
        self._cells = {name for thread in threads for name in thread.co_freevars}
        self._binds_anything = any(NAMESPACES & {*code.co_names} for code in codes)
        self._bound = {name for code in codes for name in _bound_names(code)}

    @functools.cache  # noqa: B019
    def stops(self, code: types.CodeType, nested: bool) -> list[bool]:
        """Tell of each unit of a code object whether threads stop there; ``nested`` unless it is a thread's own."""
        result = [False] * (len(code.co_code) // 2)
        before = ""
        for instruction in dis.get_instructions(code):
            if instruction.opname not in ("EXTENDED_ARG", "CACHE"):
                result[instruction.offset >> 1] = self._is_shared(instruction, before, code, nested)
                before = instruction.opname
        return result

    def _is_shared(self, instruction: dis.Instruction, before: str, code: types.CodeType, nested: bool) -> bool:
        name, argument = instruction.opname, str(instruction.argval)
        if before == "PRECALL":
            # Nothing comes between the opcodes of one call of 3.11; the first one may do all of it.
            return False
        if self._finalizers and name in DROPS:
            return True
        if name in MOVES.split() or ON_NONE in name:
            return False
        if name in ENDS:
            return nested or bool(code.co_flags & inspect.CO_GENERATOR)
        if name.startswith(("POP_JUMP", "JUMP_IF")) and (before in LEAVE_BOOLS or sys.version_info >= (3, 13)):
            return False
        if name in BY_NAME:
            return self._binds_anything or argument in self._bound or argument in STATES
        if name.endswith("_DEREF"):
            return argument in self._cells
        return True


def _all_codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType) and constant.co_name != "setup":
            yield from _all_codes(constant)


def _bound_names(code: types.CodeType) -> Iterator[str]:
    """The names that an opcode binds, and those that a string could be."""
    for instruction in dis.get_instructions(code):
        if instruction.opname in BINDING:
            yield instruction.argval
    for constant in code.co_consts:
        for text in constant if isinstance(constant, tuple) else (constant,):
            if isinstance(text, str):
                yield from text.replace("=", " ").split()
