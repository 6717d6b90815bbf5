"""The first call of a thread, or of a task of a thread pool, made visible where it is C code.

What a function written in Python does is seen in its own code. A C function is seen where it is called, but
``Thread.run`` and its like are not in scope; so for C functions they are run from a copy that is.
"""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from . import _core

_run: Any = threading.Thread.run
# The functions that threads run by default, and where the function is that they call.
_RUNS: dict[Any, str] = {_run: "_target", threading.Timer.run: "function"}
_run_task: Any = None


def _is_seen_itself(function: object) -> bool:
    return isinstance(function, (types.FunctionType, types.MethodType))


def visible(run: Callable[[], object]) -> Callable[[], object]:
    """The same ``run`` of a thread, but so that a call of C code is seen."""
    if not isinstance(run, types.MethodType) or run.__func__ not in _RUNS:
        return run
    called = vars(run.__self__).get(_RUNS[run.__func__])
    return run if called is None or _is_seen_itself(called) else partial(_in_scope(run.__func__), run.__self__)


def of_raw_thread(
    function: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Callable[[], object]:
    """The call that a thread of ``start_new_thread`` makes."""
    if _is_seen_itself(function):
        return partial(function, *args, **kwargs)
    return partial(_in_scope(_run), types.SimpleNamespace(_target=function, _args=args, _kwargs=kwargs))


@cache
def _in_scope(function: Any) -> types.FunctionType:
    """A copy of a function whose accesses and calls are seen."""
    return types.FunctionType(_core.rewrite(function.__code__, "in scope"), function.__globals__)


def _run_visibly(task: Any) -> None:
    """Run a task of a thread pool."""
    (_run_task if _is_seen_itself(task.fn) else _in_scope(_run_task))(task)


def install() -> None:
    """Put this in place for thread pools, if the program has any."""
    global _run_task
    pools: Any = sys.modules.get("concurrent.futures.thread")
    if pools is not None and pools._WorkItem.run is not _run_visibly and hasattr(pools._WorkItem.run, "__code__"):
        _run_task = pools._WorkItem.run
        pools._WorkItem.run = _run_visibly


def uninstall() -> None:
    """Take it out again."""
    pools: Any = sys.modules.get("concurrent.futures.thread")
    if pools is not None and _run_task is not None and pools._WorkItem.run is _run_visibly:
        pools._WorkItem.run = _run_task
