"""The first call of a thread, made visible where it is C code.

What a function written in Python does is seen in its own code. A C function is seen where it is called, but
``Thread.run`` and its like are not in scope; so for C functions they are run from a copy that is.
"""

from __future__ import annotations

import threading
import types
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from . import _core

_run: Any = threading.Thread.run
# The functions that threads run by default, and where the function is that they call.
_RUNS: dict[Any, str] = {_run: "_target", threading.Timer.run: "function"}
# Their code as it is before anything is hidden.
_CODE = {function: function.__code__ for function in _RUNS}


def is_seen_itself(function: object) -> bool:
    """Whether what a function does is seen in its own code."""
    return isinstance(function, (types.FunctionType, types.MethodType))


def visible(run: Callable[[], object]) -> Callable[[], object]:
    """The same ``run`` of a thread, but so that a call of C code is seen."""
    if not isinstance(run, types.MethodType) or run.__func__ not in _RUNS:
        return run
    called = vars(run.__self__).get(_RUNS[run.__func__])
    return run if called is None or is_seen_itself(called) else partial(_in_scope(run.__func__), run.__self__)


def of_raw_thread(
    function: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Callable[[], object]:
    """The call that a thread of ``start_new_thread`` makes."""
    if is_seen_itself(function):
        return partial(function, *args, **kwargs)
    return partial(_in_scope(_run), types.SimpleNamespace(_target=function, _args=args, _kwargs=kwargs))


@cache
def _in_scope(function: Any) -> types.FunctionType:
    """A copy of a function whose accesses and calls are seen."""
    return types.FunctionType(_core.rewrite(_CODE[function], "in scope"), function.__globals__)
