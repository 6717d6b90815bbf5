"""The model of ``concurrent.futures.Future``, which the standard library writes in Python.

Model: that a future is done is a flag, set in the critical section that completes the future. What is asked for then
never changes again, so that a thread that asks waits for the flag and needs no lock. Nothing else that happens to the
future is ordered with the asking. All else (callbacks, ``wait``, ``as_completed``) runs as it is, under the future's
own lock.

Not here: executors, whose queues and locks run as they are; futures of asyncio (``futures.rs``).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures._base import CancelledError, Future, InvalidStateError
from typing import Any

from . import _core, _replaced

_Future: Any = Future
_CANCELLED = ("CANCELLED", "CANCELLED_AND_NOTIFIED")
_DONE = (*_CANCELLED, "FINISHED")


def _is_done(future: Any) -> bool:
    return future._state in _DONE


def _wait_until_done(future: Any, timeout: float | None) -> None:
    if not _core.primitive("event_wait", future, int(_is_done(future)), timeout=timeout):
        raise TimeoutError
    if future._state in _CANCELLED:
        raise CancelledError


def future_result(self: Any, timeout: float | None = None) -> Any:
    if not _core.is_concurrent():
        return _originals["result"](self, timeout)
    _wait_until_done(self, timeout)
    return self._Future__get_result()


def future_exception(self: Any, timeout: float | None = None) -> Any:
    if not _core.is_concurrent():
        return _originals["exception"](self, timeout)
    _wait_until_done(self, timeout)
    return self._exception


def future_cancel(self: Any) -> bool:
    if not _core.is_concurrent():
        return bool(_originals["cancel"](self))
    with self._condition:
        if _is_done(self) or self._state == "RUNNING":
            return self._state in _CANCELLED
        _complete(self, "CANCELLED")
    self._invoke_callbacks()
    return True


def future_set_result(self: Any, result: Any) -> None:
    if not _core.is_concurrent():
        _originals["set_result"](self, result)
        return
    _finish(self, "_result", result, "add_result")


def future_set_exception(self: Any, exception: Any) -> None:
    if not _core.is_concurrent():
        _originals["set_exception"](self, exception)
        return
    _finish(self, "_exception", exception, "add_exception")


def _finish(future: Any, attribute: str, value: Any, tell: str) -> None:
    with future._condition:
        if _is_done(future):
            message = f"{future._state}: {future!r}"
            raise InvalidStateError(message)
        setattr(future, attribute, value)
        _complete(future, "FINISHED", tell)
    future._invoke_callbacks()


def _complete(future: Any, state: str, tell: str | None = None) -> None:
    _core.primitive("event_set", future, 0)
    future._state = state
    if tell is not None:
        for waiter in future._waiters:
            getattr(waiter, tell)(future)
    future._condition.notify_all()


_MODELS: dict[str, Callable[..., Any]] = {
    "result": future_result,
    "exception": future_exception,
    "cancel": future_cancel,
    "set_result": future_set_result,
    "set_exception": future_set_exception,
}
_functions = {name: _Future.__dict__[name] for name in _MODELS}
_originals = {name: _replaced.original_of(function) for name, function in _functions.items()}


def install() -> None:
    """Put the model in place, for the rest of this process."""
    for name, function in _functions.items():
        _replaced.replace(function, _MODELS[name])


def uninstall() -> None:
    """Take the model out again, for a process that goes on after its run."""
    for name, function in _functions.items():
        _replaced.restore(function, _originals[name])
