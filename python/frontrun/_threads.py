"""The model of threads: ``threading.Thread`` and ``_thread.start_new_thread`` under control.

A controlled start seats the new thread, lets the interpreter's own start-up run while the parent waits, and parks the
new thread right before its ``run``. The thread's end is a step of its own; the turn passes on only after the
interpreter has taken the thread out of its books.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import _core, _first_calls, _replaced, _reporter

_PACKAGE = str(Path(__file__).parent)
_NUMBER = "_frontrun_number"
# Numbers, and threads as long as the program holds them: what hangs on a thread's life is to end with it.
_JOINABLE: list[tuple[int, weakref.ref[threading.Thread]]] = []
_before_first_start: list[Callable[[], object]] = []

_Thread = threading.Thread
_start = _replaced.original_of(_Thread.start)
_join = _replaced.original_of(_Thread.join)
_dangling: Any = threading._dangling  # type: ignore[attr-defined]
_remove: Callable[[weakref.ref[threading.Thread]], None] = _dangling._remove
_is_alive = _replaced.original_of(_Thread.is_alive)
_bootstrap_inner: Callable[[threading.Thread], None] = _Thread._bootstrap_inner  # type: ignore[attr-defined]


class _Quietly:
    """What happens inside is invisible to the recorder."""

    def __enter__(self) -> None:
        _core.quiet()

    def __exit__(self, *_: object) -> None:
        _core.loud()


quietly = _Quietly()


def caller() -> tuple[str, str, int]:
    """Where the program, or its call of this package, starts a thread: file, function, line."""
    frame = sys._getframe(2)
    while frame.f_code.co_filename.startswith(_PACKAGE) and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_code.co_qualname, frame.f_lineno


def at_first_start(call: Callable[[], object]) -> None:
    """Have ``call`` called right before the program starts its first thread. It may fork."""
    _before_first_start.append(call)


def pass_checkpoint() -> None:
    """Do what is to be done before the program becomes concurrent, once."""
    while _before_first_start:
        _before_first_start.pop()()


def _number(thread: threading.Thread) -> int | None:
    """The number of a controlled thread. It lies in the thread's own dictionary, read without any Python code."""
    return thread.__dict__.get(_NUMBER)


def start(self: threading.Thread) -> None:
    """Start a thread; under control it parks before its first step."""
    pass_checkpoint()
    if _core.current() is None or _number(self) is not None:
        _start(self)
        return
    number = _core.spawn(self.name, *caller())
    with quietly:
        self.__dict__[_NUMBER] = number
        _core.note_streams(_reporter.stream_descriptors())
        try:
            _start(self)
        except BaseException:
            _core.abandon(number)
            raise
        if not self.daemon:
            _JOINABLE.append((number, weakref.ref(self)))
    _core.await_arrival(number)


def bootstrap_inner(self: threading.Thread) -> None:
    """Run in the new thread: the interpreter's start-up and clean-up around the controlled run."""
    number = _number(self)
    if number is None:
        _bootstrap_inner(self)
        return
    _core.adopt(number)
    run = _first_calls.visible(self.run)

    def controlled_run() -> None:
        del self.run
        run_controlled(run)

    self.run = controlled_run  # type: ignore[method-assign]
    try:
        _bootstrap_inner(self)
    finally:
        _core.depart()


def run_controlled(function: Callable[..., object], *args: Any, **kwargs: Any) -> None:
    """Run a thread's function from its first turn to its last step, noting an exception that it lets out."""
    if not _core.begin():
        return
    try:
        function(*args, **kwargs)
    except SystemExit:
        raise
    except BaseException as error:
        with quietly:
            _core.report_exception(*_reporter.describe_exception(error))
        raise
    finally:
        _core.end()


def run_raw(number: int, function: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Run the function of ``start_new_thread`` under control, as the new thread's own function."""
    _core.adopt(number)
    try:
        run_controlled(_first_calls.of_raw_thread(function, args, kwargs))
    finally:
        _core.depart()


def join(self: threading.Thread, timeout: float | None = None) -> None:
    """Wait for a thread, at most ``timeout`` seconds of the controlled clock."""
    number = _number(self)
    if number is None or _core.current() is None or number == _core.current():
        _join(self, timeout)
        return
    if not _core.join(number, None if timeout is None else max(0.0, timeout)):
        return
    with quietly:
        _join(self)


def is_alive(self: threading.Thread) -> bool:
    """Return whether a thread runs; under control this looks at its end."""
    number = _number(self)
    if number is None or _core.current() is None:
        return bool(_is_alive(self))
    return not _core.has_ended(number)


# The register of the threads that have not died is kept out of sight. A thread object that nobody else holds dies with
# its thread in the system, some time after the last step: when that is does not hang on the order of steps.


def _register(self: threading.Thread) -> None:
    with quietly:
        type(_dangling).add(_dangling, self)


def _take_out(reference: weakref.ref[threading.Thread]) -> None:
    with quietly:
        _remove(reference)


def have_started() -> bool:
    """Return whether the run has started threads that a program would wait for at its end."""
    return bool(_JOINABLE)


def end_pools() -> None:
    """End the threads of executors, as the interpreter does at its end."""
    for call in reversed(getattr(threading, "_threading_atexits", [])):
        call()


def join_all() -> None:
    """Wait for every non-daemon thread, as the interpreter does at its end."""
    while _JOINABLE:
        number, reference = _JOINABLE.pop(0)
        if _core.current() is not None:
            _core.join(number, None)
        thread = reference()
        if thread is not None:
            with quietly:
                _join(thread)


def install() -> None:
    """Put the model in place; after a fork, again for the locks that are new."""
    _replaced.replace(_Thread.start, start)
    _replaced.replace(_Thread.join, join)
    _replaced.replace(_Thread.is_alive, is_alive)
    _Thread._bootstrap_inner = bootstrap_inner  # type: ignore[attr-defined]
    _dangling.add, _dangling._remove = _register, _take_out
    for name in ("_active_limbo_lock", "_shutdown_locks_lock"):
        lock = getattr(threading, name, None)
        if lock is not None:
            _core.ignore_lock(lock)


def uninstall() -> None:
    """Take the model out again, for a process that goes on after its run."""
    _replaced.restore(_Thread.start, _start)
    _replaced.restore(_Thread.join, _join)
    _replaced.restore(_Thread.is_alive, _is_alive)
    _Thread._bootstrap_inner = _bootstrap_inner  # type: ignore[attr-defined]
    _dangling.__dict__.pop("add", None)
    _dangling._remove = _remove
    _JOINABLE.clear()


def wrap_raw(arguments: tuple[Any, ...]) -> tuple[tuple[Any, ...], int]:
    """Return the arguments of ``start_new_thread`` that run its function under control, and the thread's number."""
    function, args, *rest = arguments
    number = _core.spawn(getattr(function, "__name__", "thread"), *caller())
    return (run_raw, (number, function, args, rest[0] if rest else {})), number
