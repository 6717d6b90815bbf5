"""What can be observed when the threads of a small program have ended, as text."""

from __future__ import annotations

import types
from array import array
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Any


def observed(module: dict[str, Any], state: object, results: list[object]) -> str:
    """Describe the results of the threads, the state of a small program and everything else that its threads share."""
    parts = [("results", results), ("state", state), ("cell", module["peek"]()), ("global", module.get("GLOBAL"))]
    parts += [(name, _class_attributes(each)) for name, each in module.items() if _is_of_program(each)]
    return ", ".join(f"{name}={shown(value)}" for name, value in parts)


def _is_of_program(value: object) -> bool:
    return isinstance(value, type) and value.__module__ == "program"


def _class_attributes(kind: type) -> dict[str, object]:
    return {name: value for name, value in vars(kind).items() if isinstance(value, int) and name[0] != "_"}


def shown(value: Any, within: tuple[object, ...] = ()) -> str:
    """Describe a value by its contents, never by an address. Uses up what it can only iterate over."""
    name = type(value).__name__
    if any(value is outer for outer in within):
        return f"the {name} around"
    inner = partial(shown, within=(*within, value))
    if isinstance(value, dict):
        items = ", ".join(f"{inner(key)}: {inner(item)}" for key, item in value.items())
        return f"{name}{{{items}}}"
    if isinstance(value, (list, tuple, deque, type({}.keys()), type({}.values()), type({}.items()))):
        return f"{name}[{', '.join(map(inner, value))}]"
    if isinstance(value, (set, frozenset)):
        return f"{name}({sorted(value, key=repr)})"
    if isinstance(value, (bytearray, array)):
        return repr(value)
    if isinstance(value, memoryview):
        return f"memoryview({bytes(value)!r})"
    if hasattr(type(value), "__next__"):
        return f"{name}<{_left(value, inner)}>"
    if isinstance(value, (type, types.FunctionType, types.BuiltinFunctionType)):
        return value.__qualname__
    if hasattr(type(value), "__slots__") or hasattr(value, "__dict__"):
        names = [*getattr(type(value), "__slots__", ()), *sorted(getattr(value, "__dict__", ()))]
        here = vars(type(value)) if hasattr(type(value), "__slots__") else {}
        found = [(key, _attribute(value, key, here)) for key in names]
        return f"{name}({', '.join(f'{key}={inner(item)}' for key, item in found)})"
    return repr(value)


def _attribute(value: Any, key: str, slots: Any) -> Any:
    try:
        return slots[key].__get__(value) if key in slots else vars(value)[key]
    except AttributeError:
        return "unset"


def _left(iterator: Any, show: Callable[[Any], str]) -> str:
    try:
        return ", ".join(map(show, islice(iterator, 4)))
    except Exception as error:
        return type(error).__name__
