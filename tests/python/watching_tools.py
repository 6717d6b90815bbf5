"""Tools that watch a program, each for as long as a block lasts. Their own code is not to be explored."""

from __future__ import annotations

import cProfile
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

# The name of the function whose execution they note.
WATCHED = "increment"

seen: list[str] = []


def note(what: str) -> None:
    seen.append(what)


@contextmanager
def trace_function() -> Iterator[None]:
    """As coverage and debuggers do it."""

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        if frame.f_code.co_name == WATCHED:
            note(f"{event} {frame.f_lineno - frame.f_code.co_firstlineno}")
            return trace
        return None

    threading.settrace(trace)
    try:
        yield
    finally:
        threading.settrace(None)  # type: ignore[arg-type]


@contextmanager
def profile_function() -> Iterator[None]:
    def profile(frame: FrameType, event: str, argument: object) -> None:
        if frame.f_code.co_name == WATCHED:
            note(event)

    threading.setprofile(profile)
    try:
        yield
    finally:
        threading.setprofile(None)  # type: ignore[arg-type]


@contextmanager
def profiler() -> Iterator[None]:
    with cProfile.Profile():
        yield


@contextmanager
def events() -> Iterator[None]:
    """As coverage and debuggers do it from 3.12 on."""
    if sys.version_info < (3, 12):
        with trace_function():
            yield
        return
    tool, line = 3, sys.monitoring.events.LINE

    def on_line(code: Any, number: int) -> None:
        if code.co_name == WATCHED:
            note(f"line {number - code.co_firstlineno}")

    sys.monitoring.use_tool_id(tool, "test")
    sys.monitoring.register_callback(tool, line, on_line)
    sys.monitoring.set_events(tool, line)
    try:
        yield
    finally:
        sys.monitoring.set_events(tool, 0)
        sys.monitoring.free_tool_id(tool)


TOOLS: dict[str, Callable[[], Any]] = {
    "trace function": trace_function,
    "profile function": profile_function,
    "profiler": profiler,
    "events": events,
}
