"""State as text: equal texts for states that cannot be told apart by what is in them.

A ``repr`` will not do: by default it shows an address, which differs from run to run. Here an object is its type and
its attributes, whatever its own ``repr`` says; the order of a set or of a dictionary's keys does not count; what has
been described before is named by its number. Locks and other objects without readable contents are their type.
"""

from __future__ import annotations

import types
from collections import OrderedDict, deque
from typing import Any

_PLAIN = (type(None), bool, int, float, complex, str, bytes, bytearray, range, slice, type(Ellipsis))
_NAMED = (type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType)


def snapshot(value: Any) -> str:
    """Describe ``value`` and everything that is reachable from it."""
    return _describe(value, {})


def _describe(value: Any, known: dict[int, tuple[int, Any]]) -> str:
    if type(value) in _PLAIN:
        return repr(value)
    if isinstance(value, _NAMED):
        return f"<{getattr(value, '__qualname__', value.__name__)}>"
    if id(value) in known:
        return f"<#{known[id(value)][0]}>"
    # The object is kept alive, so that no other one can have its address.
    known[id(value)] = (len(known), value)
    name = type(value).__name__
    content = _content(value, known)
    attributes = [f"{key}={_describe(item, known)}" for key, item in sorted(_attributes(value).items())]
    if content is None and not attributes:
        return _leaf(value)
    return f"{name}({', '.join(([] if content is None else [content]) + attributes)})"


def _content(value: Any, known: dict[int, tuple[int, Any]]) -> str | None:
    """What a container holds; ``None`` for what is no container."""
    if isinstance(value, (list, tuple, deque)):
        return f"[{', '.join(_describe(item, known) for item in value)}]"
    if isinstance(value, (set, frozenset)):
        return f"{{{', '.join(sorted(_describe(item, known) for item in value))}}}"
    if isinstance(value, dict):
        items = [f"{_describe(key, known)}: {_describe(item, known)}" for key, item in _sorted_items(value)]
        return f"{{{', '.join(items)}}}"
    return None


def _sorted_items(value: dict[Any, Any]) -> list[tuple[Any, Any]]:
    items = list(value.items())
    return items if isinstance(value, OrderedDict) else sorted(items, key=lambda item: snapshot(item[0]))


def _attributes(value: Any) -> dict[str, Any]:
    """The attributes that an object has of its own, read without any property or ``__getattr__``."""
    found = dict(getattr(value, "__dict__", {}))
    for cls in type(value).__mro__:
        for name, slot in vars(cls).items():
            if isinstance(slot, types.MemberDescriptorType) and cls.__module__ != "builtins":
                try:
                    found[name] = slot.__get__(value)
                except AttributeError:
                    continue
    return found


def _leaf(value: Any) -> str:
    """Describe an object of an opaque type: by its ``repr`` if that says more than where it lies."""
    has_own = any("__repr__" in vars(cls) for cls in type(value).__mro__[:-1])
    text = repr(value) if has_own else ""
    return type(value).__name__ if " at 0x" in text or not text else text
