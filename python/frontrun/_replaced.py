"""Replacing what a Python function does, under whatever name or binding it is already known.

Model: the function keeps its identity and gets other code, which calls the model. So a method that was bound before
(``Thread(target=event.set)``) obeys, too. The original lives on as a function of its own.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from typing import Any

_MODEL = "the model"


def original_of(function: Any) -> Callable[..., Any]:
    """Return a function that does what ``function`` does now, and goes on to do so."""
    made = types.FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__)
    made.__kwdefaults__ = function.__kwdefaults__
    return made


def replace(function: Any, model: Callable[..., Any]) -> None:
    """Make ``function``, whose parameters are all named, call ``model`` with its arguments.

    A coroutine function awaits what the model returns.
    """
    code = function.__code__
    if is_replaced(function) and any(constant is model for constant in code.co_consts):
        return
    names = ", ".join(code.co_varnames[: code.co_argcount])
    place: dict[str, Any] = {}
    # A call of a constant itself would be a warning of the compiler.
    source = f"def calls({names}): return {_MODEL!r}.__call__({names})"
    if code.co_flags & inspect.CO_COROUTINE:
        source = f"async {source.replace('return', 'return await')}"
    exec(compile(source, __file__, "exec"), place)  # noqa: S102
    calls = place["calls"].__code__
    constants = tuple(model if constant == _MODEL else constant for constant in calls.co_consts)
    function.__code__ = calls.replace(co_consts=constants, co_name=code.co_name, co_qualname=code.co_qualname)


def is_replaced(function: Any) -> bool:
    """Whether ``function`` calls a model."""
    return bool(function.__code__.co_filename == __file__)


def restore(function: Any, original: Any) -> None:
    """Give ``function`` the code of its original back."""
    function.__code__ = original.__code__
