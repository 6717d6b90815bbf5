"""One controlled run of some threads in the caller's own process, so that it sees what they do to its objects.

Unlike an execution in a process of its own it has to leave everything as it was: code, classes of ``threading``, the
clock. A run that ends early (deadlock, time limit) raises ``SystemExit`` in its threads at their next visible step; one
that is stuck in code without any is left behind as a daemon thread.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from . import _core, _primitives, _program, _spurious, _threads
from ._instrument import Scope, instrument_existing

GRACE = 1.0
"""How many seconds a thread of a run that is over has to unwind."""


class DeadlockError(RuntimeError):
    """No thread of a controlled run can go on."""


def run_threads(functions: Sequence[Callable[[], object]], turns: Sequence[int], scope: Scope, timeout: float) -> None:
    """Run ``functions`` in threads of this process; ``turns`` says whose step is next.

    :raises DeadlockError: when no thread can go on.
    :raises TimeoutError: after ``timeout`` seconds.
    :raises BaseException: the first exception that a function lets out, when all have ended.
    """
    errors: list[BaseException] = []
    threads = [threading.Thread(target=_keeping(errors, function), daemon=True) for function in functions]

    def run() -> None:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    try:
        run_controlled(run, turns, scope, timeout)
    except BrokenOffError as broken:
        for thread in threads:
            if thread.ident is not None:
                thread.join(GRACE)
        raise broken.reason from None
    if errors:
        raise errors[0]


class BrokenOffError(Exception):
    """A controlled run has come to an end before its threads have."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.reason = reason


def run_controlled(
    body: Callable[[], None],
    turns: Sequence[int],
    scope: Scope,
    timeout: float,
    bark: Callable[[], None] = lambda: None,
) -> None:
    """Call ``body`` as the main thread of a controlled run; ``turns`` says whose step is next.

    ``bark`` is called, by another thread, when the run has been broken off because its time was over.

    :raises BrokenOffError: when no thread can go on, or after ``timeout`` seconds.
    """
    with tempfile.TemporaryDirectory(prefix="frontrun-") as directory:
        request = _core.Request(Path(directory, "run.frz"), turns=list(turns))
        over = threading.Event()
        watchdog = threading.Timer(timeout, _bark, [over, f"the threads did not end within {timeout} s", bark])
        watchdog.daemon = True
        watchdog.start()
        try:
            end = _begin(request, scope)
            try:
                body()
            finally:
                end()
        except SystemExit:
            failure = _core.take_failure()
            if failure is None:
                raise
            kind, message, details = failure
            error = DeadlockError if kind in ("deadlock", "livelock") else TimeoutError
            raise BrokenOffError(error(f"{message}\n{details}".strip())) from None
        finally:
            # A watchdog that is barking already must not bark at the next run.
            over.set()
            watchdog.cancel()
            watchdog.join()


def _bark(over: threading.Event, message: str, bark: Callable[[], None]) -> None:
    """End the run, as soon as it has begun: on a busy machine its time may be over before."""
    while not _core.has_begun():
        if over.wait(0.01):
            return
    if not over.is_set():
        _core.abort_run(message)
        if not over.wait(GRACE):
            bark()


def _keeping(errors: list[BaseException], function: Callable[[], object]) -> Callable[[], None]:
    """Run a function and keep what it raises for the caller."""

    def run() -> None:
        try:
            function()
        except SystemExit:
            return
        except BaseException as error:
            errors.append(error)

    return run


def _begin(request: _core.Request, scope: Scope) -> Callable[[], None]:
    """Make the calling thread the main thread of a controlled run; return what ends it and undoes everything.

    No context manager, since the code of ``contextlib`` itself is under control meanwhile.
    """
    _program.refuse_nesting()
    replaced = instrument_existing(scope)
    thresholds = gc.get_threshold()

    def end() -> None:
        _core.finish_run()
        gc.set_threshold(*thresholds)
        _primitives.uninstall()
        _threads.uninstall()
        for function, code in replaced:
            function.__code__ = code

    try:
        gc.set_threshold(0)
        _core.begin_run(request, _program.facts(sys.orig_argv, None, os.getcwd(), []), in_caller=True)
        _threads.install()
        _spurious.allow(False)
        _primitives.install()
    except BaseException:
        end()
        raise
    return end
