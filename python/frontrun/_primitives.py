"""The models of the primitives that ``threading`` writes in Python: Event, Semaphore, Condition.

Each method is one step of the gate (a wait on a condition is two), and then changes the primitive's own attributes, so
that state made before control began, subclasses, and uncontrolled code all see the same object. What is built from
these in Python (Barrier, queue.Queue, futures) runs as it is.
"""

from __future__ import annotations

import _thread
import math
import sys
import threading
from collections.abc import Callable
from typing import Any

from . import _core, _replaced, _spurious
from ._threads import quietly

_Event: Any = threading.Event
_Semaphore: Any = threading.Semaphore
_BoundedSemaphore: Any = threading.BoundedSemaphore
_Condition: Any = threading.Condition
_REAL_LOCKS = (_thread.LockType, _thread.RLock)
_ALL = 0xFFFFFFFF
_NO_NUMBER = "Invalid value NaN (not a number)"


def _event_step(kind: str, event: Any, timeout: float | None = None) -> bool:
    return _core.primitive(kind, event, int(event._flag), timeout=timeout)


def _is_refused(timeout: float | None) -> bool:
    """Whether a wait is refused for its time, as it is from 3.14 on where that is no number."""
    return sys.version_info >= (3, 14) and timeout is not None and math.isnan(timeout)


def event_is_set(self: Any) -> bool:
    if not _core.is_concurrent():
        return bool(self._flag)
    return _event_step("event_is_set", self)


def event_set(self: Any) -> None:
    if not _core.is_concurrent():
        _originals[_Event, "set"](self)
        return
    _event_step("event_set", self)
    self._flag = True


def event_clear(self: Any) -> None:
    if not _core.is_concurrent():
        _originals[_Event, "clear"](self)
        return
    _event_step("event_clear", self)
    self._flag = False


def event_wait(self: Any, timeout: float | None = None) -> bool:
    if not _core.is_concurrent():
        return bool(_originals[_Event, "wait"](self, timeout))
    if _is_refused(timeout) and not event_is_set(self):
        raise ValueError(_NO_NUMBER)
    return _event_step("event_wait", self, timeout)


def semaphore_acquire(self: Any, blocking: bool = True, timeout: float | None = None) -> bool:
    if not _core.is_concurrent():
        return bool(_originals[_Semaphore, "acquire"](self, blocking, timeout))
    if not blocking and timeout is not None:
        message = "can't specify timeout for non-blocking acquire"
        raise ValueError(message)
    kind = "semaphore_acquire" if blocking else "semaphore_try"
    taken = _core.primitive(kind, self, self._value, timeout=timeout)
    if taken:
        self._value -= 1
    return taken


def semaphore_release(self: Any, n: int = 1) -> None:
    if not _core.is_concurrent():
        _originals[_Semaphore, "release"](self, n)
        return
    _release_permits(self, n, 0)


def bounded_semaphore_release(self: Any, n: int = 1) -> None:
    if not _core.is_concurrent():
        _originals[_BoundedSemaphore, "release"](self, n)
        return
    _release_permits(self, n, self._initial_value)


def _release_permits(semaphore: Any, n: int, bound: int) -> None:
    if n < 1:
        message = "n must be one or more"
        raise ValueError(message)
    if not _core.primitive("semaphore_release", semaphore, semaphore._value, count=n, bound=bound):
        message = "Semaphore released too many times"
        raise ValueError(message)
    semaphore._value += n


def _is_modelled(condition: Any) -> bool:
    """Whether the condition's lock is one of the interpreter's own, so that the gate knows its state."""
    return _core.is_concurrent() and isinstance(condition._lock, _REAL_LOCKS)


def condition_wait(self: Any, timeout: float | None = None) -> bool:
    modelled = _is_modelled(self)
    if modelled:
        with quietly:
            if not self._is_owned():
                message = "cannot wait on un-acquired lock"
                raise RuntimeError(message)
        if _is_refused(timeout):
            raise ValueError(_NO_NUMBER)
    spurious = _spurious.chosen(timeout) if _core.is_concurrent() else None
    if spurious is not None:
        _spurious.wait(spurious, self, self._lock if modelled else None)
        return True
    if not modelled:
        return bool(_originals[_Condition, "wait"](self, timeout))
    _core.primitive("condition_wait", self, 0, lock=self._lock)
    with quietly:
        saved = self._release_save()
    notified = _core.primitive("condition_wake", self, 0, lock=self._lock, timeout=timeout)
    with quietly:
        self._acquire_restore(saved)
    return notified


def condition_wait_for(self: Any, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
    if not _is_modelled(self):
        return _originals[_Condition, "wait_for"](self, predicate, timeout)
    result = predicate()
    while not result:
        notified = condition_wait(self, timeout)
        result = predicate()
        if not notified:
            break
    return result


def condition_notify(self: Any, n: int = 1) -> None:
    if not _is_modelled(self):
        _originals[_Condition, "notify"](self, n)
        return
    _notify(self, n)


def condition_notify_all(self: Any) -> None:
    if not _is_modelled(self):
        _originals[_Condition, "notify_all"](self)
        return
    _notify(self, _ALL)


def _notify(condition: Any, count: int) -> None:
    with quietly:
        if not condition._is_owned():
            message = "cannot notify on un-acquired lock"
            raise RuntimeError(message)
    _core.primitive("condition_notify", condition, 0, lock=condition._lock, count=max(0, count))


_MODELS: dict[Any, dict[str, Callable[..., Any]]] = {
    _Event: {"is_set": event_is_set, "set": event_set, "clear": event_clear, "wait": event_wait},
    _Semaphore: {"acquire": semaphore_acquire, "release": semaphore_release},
    _BoundedSemaphore: {"release": bounded_semaphore_release},
    _Condition: {
        "wait": condition_wait,
        "wait_for": condition_wait_for,
        "notify": condition_notify,
        "notify_all": condition_notify_all,
    },
}
_functions = {(cls, name): cls.__dict__[name] for cls, methods in _MODELS.items() for name in methods}
_originals = {which: _replaced.original_of(function) for which, function in _functions.items()}


def install() -> None:
    """Put the models in place, for the rest of this process."""
    _spurious.forget()
    for (cls, name), function in _functions.items():
        _replaced.replace(function, _MODELS[cls][name])


def uninstall() -> None:
    """Take the models out again, for a process that goes on after its run."""
    for which, function in _functions.items():
        _replaced.restore(function, _originals[which])
