"""One controlled run of a program in this process: models in place, main thread controlled, trace completed."""

from __future__ import annotations

import gc
import os
import platform
import sys
from collections.abc import Callable
from importlib.machinery import FileFinder
from typing import Any, NoReturn

from . import _core, _primitives, _reporter, _threads
from ._on_import import when_imported


def facts(command: list[str], call: str | None, directory: str, flags: list[tuple[str, str]]) -> dict[str, Any]:
    """Return what the trace's header says about the program and where it runs."""
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    return {
        "command": command,
        "call": call,
        "directory": directory,
        "python": sys.version,
        "python_version": tuple(sys.version_info[:3]),
        "executable": sys.executable,
        "flags": [("gil", str(gil).lower()), ("optimize", str(sys.flags.optimize)), *flags],
        "hash_seed": os.environ.get("PYTHONHASHSEED", "random"),
        "platform": f"{platform.system()} {platform.machine()}",
    }


_started_by_command_line = False


def start_from_command_line() -> None:
    """Note that this whole process is run under control, from its checkpoint on."""
    global _started_by_command_line
    _started_by_command_line = True


def is_under_control() -> bool:
    """Whether this process is an execution, or will be one from its checkpoint on."""
    return _started_by_command_line or _core.has_begun()


def refuse_nesting() -> None:
    """Raise an error where an exploration or a controlled run would be part of another one."""
    if is_under_control():
        message = "explorations and controlled runs cannot be nested: frontrun runs this program already"
        raise RuntimeError(message)


def begin(request: _core.Request, header: dict[str, Any]) -> None:
    """Begin the run: from here on the calling thread is the controlled main thread."""
    # When cycles are collected hangs on how much was allocated, by this package, too; what their end touches differed.
    gc.set_threshold(0)
    _core.begin_run(request, header)
    _threads.install()
    _primitives.install()
    watch_imports()
    _threads.at_first_start(_import_alike)


def _import_alike() -> None:
    """Let imports do the same in every run, whatever earlier runs have left in the folders that are looked through.

    What was known of a folder holds only until something in it changes, and a file that one run compiles is found
    compiled by the next. A run that was forked knows other folders than one that began with the interpreter, so what is
    known is forgotten where both become concurrent.
    """
    with _threads.quietly:
        sys.dont_write_bytecode = True
        for finder in sys.path_importer_cache.values():
            if type(finder) is FileFinder:
                finder.invalidate_caches()


def watch_imports() -> None:
    """Put the model of event loops in place as soon as the program has asyncio, and get to know the calls of NumPy."""
    when_imported("asyncio", _install_event_loops)
    when_imported("numpy", _core.know_calls)
    when_imported("concurrent.futures._base", _install_futures)
    when_imported("linecache", _install_source_lines)


def _install_event_loops() -> None:
    from . import _event_loops

    _event_loops.install()
    _core.know_calls()


def _install_source_lines() -> None:
    from . import _source_lines

    _source_lines.install()


def _install_futures() -> None:
    from . import _futures

    _futures.install()


def run(program: Callable[[], object], begin_late: Callable[[], object] | None = None) -> int:
    """Run the program, wait for its threads, complete the trace, and return the exit code.

    An exception that the program lets out is a failure; ``SystemExit`` gives the exit code. ``begin_late`` begins the
    run of a program that has ended before its checkpoint, so that its end is recorded all the same.
    """
    code = 0
    failure: tuple[str, str, str] | None = None
    try:
        program()
    except SystemExit as exit_:
        code = _exit_code(exit_)
    except BaseException as error:
        code = 1
        with _threads.quietly:
            message, details = _reporter.describe_exception(error)
            failure = ("assertion" if isinstance(error, AssertionError) else "exception", message, details)
            print(details, end="", file=sys.stderr)
    if begin_late is not None and not _core.has_begun():
        begin_late()
    if failure is not None:
        _core.report_failure(*failure)
    if code != 0:
        _core.report_failure("exit_code", f"the program exited with code {code}", "")
    _threads.join_all()
    failed = _core.finish_run()
    return code or int(failed)


def _exit_code(exit_: SystemExit) -> int:
    if exit_.code is None:
        return 0
    if isinstance(exit_.code, int):
        return exit_.code
    print(exit_.code, file=sys.stderr)
    return 1


def leave(code: int) -> NoReturn:
    """End the process without running what the interpreter runs at its end, apart from flushing."""
    _reporter.flush_output()
    os._exit(code & 0xFF)
