"""A value that two object graphs share only if no program can tell them apart.

Model: objects are numbered in the order in which a walk from the roots meets them, and the value is the walk written
down. Code, modules and builtin types do not change and stand for themselves.
"""

from __future__ import annotations

import gc
import types
from array import array
from collections import deque
from typing import Any

# The name of the module that a program is.
PROGRAM = "program"

ATOMS = (int, str, bytes, bool, type(None), type(...), type(NotImplemented))
FIXED = (types.CodeType, types.ModuleType, types.BuiltinFunctionType, types.MethodDescriptorType)
SEQUENCES = (list, tuple, deque)
BUFFERS = (bytearray, array)


def canonical(roots: list[object]) -> tuple[object, ...]:
    """Return the value of the graph under ``roots``."""
    words: list[object] = []
    numbers: dict[int, int] = {}
    # A number belongs to an address only while the object lives.
    kept: list[object] = []
    # The walk is depth-first; what was found last comes next.
    ahead: list[object] = roots[::-1]
    while ahead:
        value = ahead.pop()
        kind = type(value)
        if kind in ATOMS:
            words += (kind, value)
        elif kind in FIXED and getattr(value, "__self__", None) is None:
            words.append(id(value))
        elif id(value) in numbers:
            words.append(numbers[id(value)])
        else:
            numbers[id(value)] = len(numbers)
            kept.append(value)
            contents = _contents(value)
            words.append(len(contents))
            ahead += contents[::-1]
            ahead.append(kind)
    return tuple(words)


def _contents(value: Any) -> list[Any]:
    """What a mutable object, or one that holds others, consists of."""
    if isinstance(value, type):
        return _class_attributes(value)
    if isinstance(value, BaseException):
        return list(value.args)
    if isinstance(value, types.FunctionType):
        return [value.__code__, *(value.__closure__ or ())]
    if isinstance(value, dict):
        return [*([x for pair in value.items() for x in pair]), *_attributes(value)]
    if isinstance(value, SEQUENCES):
        return [*value, *_attributes(value)]
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=repr)
    if isinstance(value, BUFFERS):
        return [bytes(value)]
    if isinstance(value, (float, complex, range, slice)):
        return [repr(value)]
    if hasattr(type(value), "__next__"):
        # It tells its position, and its length hint that its container has changed.
        hint = getattr(type(value), "__length_hint__", None)
        return [_reduced(value), hint(value) if hint else None, *_inner(value)]
    return [
        vars(value).get("__name__") if hasattr(value, "__dict__") else getattr(value, "__name__", None),
        *_attributes(value),
        *_inner(value),
    ]


def _reduced(iterator: Any) -> object:
    try:
        return iterator.__reduce__()[1:]
    except (TypeError, RuntimeError) as error:
        return type(error).__name__


def _inner(value: object) -> list[Any]:
    """What the collector sees below an object, its type apart; an instance's dictionary is among its attributes."""
    if _can_change(type(value)):
        return []
    return [below for below in gc.get_referents(value) if below is not type(value)]


def _attributes(value: object) -> list[Any]:
    found = list(getattr(value, "__dict__", {}).items())
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        found += [(name, getattr(value, name)) for name in slots if hasattr(value, name)]
    return [part for pair in found for part in pair]


def _class_attributes(kind: type) -> list[Any]:
    """The attributes of a class that can change."""
    if not _can_change(kind):
        return [kind.__qualname__]
    own = [(name, value) for name, value in vars(kind).items() if not name.startswith("__")]
    return [kind.__qualname__, *(part for pair in own for part in pair)]


def _can_change(kind: type) -> bool:
    """Whether the program made the class."""
    return bool(kind.__flags__ & 1 << 9) and kind.__module__ == PROGRAM
