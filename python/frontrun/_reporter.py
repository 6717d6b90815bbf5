"""What the native side asks of Python when a run ends: stacks of waiting threads, flushed streams."""

from __future__ import annotations

import inspect
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path

from . import _core

_PACKAGE = str(Path(__file__).parent)
_THREADING = threading.__file__


def describe_waiting() -> str:
    """Return the stacks of all threads that the program started, and of the main thread."""
    names = {thread.ident: thread.name for thread in list(threading._active.values())}  # type: ignore[attr-defined]
    parts = []
    for ident, frame in sorted(sys._current_frames().items(), key=lambda item: names.get(item[0], "")):
        if ident not in names:
            continue
        stack = [entry for entry in traceback.extract_stack(frame) if _is_program(entry.filename)]
        parts.append(f"Thread {names[ident]}:\n" + "".join(traceback.format_list(stack)))
    loops = sys.modules.get("frontrun._loop_model")
    if loops is not None:
        parts += loops.describe_tasks()
    return "\n".join(parts)


def _is_program(filename: str) -> bool:
    return not filename.startswith((_PACKAGE, "<frozen")) and filename != _THREADING


def flush_output() -> None:
    """Flush the standard streams, whatever the program has put there."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            continue


def describe_exception(error: BaseException) -> tuple[str, str]:
    """Return one line and the traceback of an exception, without frontrun's own frames."""
    message = "".join(traceback.format_exception_only(type(error), error)).strip()
    summary = traceback.TracebackException.from_exception(error)
    summary.stack = traceback.StackSummary.from_list(
        [entry for entry in summary.stack if not entry.filename.startswith(_PACKAGE)]
    )
    return message, "".join(summary.format())


def stream_descriptors() -> list[int]:
    """Return the descriptors that the program's output streams write to, whose buffers are no shared state."""
    found = []
    for stream in (sys.stdout, sys.stderr):
        try:
            found.append(stream.fileno())
            _core.ignore_lock(stream.buffer)
        except (AttributeError, OSError, ValueError):
            continue
    return found


def describe_broken(invariant: Callable[..., object]) -> str:
    """Return one line that says which invariant does not hold."""
    name = getattr(invariant, "__name__", "invariant")
    try:
        lines, _ = inspect.getsourcelines(invariant)
    except (OSError, TypeError):
        return f"{name} does not hold"
    return f"{name} does not hold: {lines[0].strip()}"
