"""Noticing that a thread has come to a marker.

From CPython 3.12 on by ``sys.monitoring``: line events in the code objects that have markers, and in no others, under
a tool id of our own, so coverage and debuggers go on as they are. Otherwise by a trace function in the watched threads
alone, which hands every event on to the one that was there before. When no thread is watched, nothing is left of it.

Not here: where the markers are (``_markers``).
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, Literal

from ._markers import Gates, MarkerRegistry
from ._threads import quietly

Arrive = Callable[[str, FrameType], object]
"""Called in a watched thread with a marker's name and the frame that has come to it."""
Event = Literal["call", "line", "return", "exception", "opcode"]

_TOOL = "frontrun markers"
_IDS = (4, 3, 2, 5)

_lock = threading.Lock()
_watched: dict[int, _Watch] = {}
_tool: int | None = None
_instrumented: list[CodeType] = []


class _Watch:
    """What is to happen when one thread comes to a marker."""

    def __init__(self, registry: MarkerRegistry, arrive: Arrive) -> None:
        self.registry = registry
        self.arrive = arrive
        self.traces = False
        self.replaced_tracer: Any = None

    def gates(self, frame: FrameType) -> Gates:
        """Return where the code of a frame is gated. Finding out is no part of the program."""
        with quietly:
            return self.registry.gates(frame.f_code, frame)

    def look(self, frame: FrameType) -> None:
        """Arrive at the markers before the instruction that a frame is about to execute."""
        for name in self.gates(frame).get(frame.f_lasti, ()):
            self.arrive(name, frame)


def watch(registry: MarkerRegistry, arrive: Arrive) -> None:
    """Have ``arrive`` called whenever the calling thread comes to a marker."""
    made = _Watch(registry, arrive)
    with quietly, _lock:
        if not _watched:
            _begin_monitoring()
        _watched[threading.get_ident()] = made
    if _tool is None:
        _trace(made)


def hold(registry: MarkerRegistry) -> None:
    """Keep monitoring in place in this process and those forked from it, so that none has to begin anew."""
    if sys.version_info >= (3, 12):
        watch(registry, lambda *_: None)
        if _tool is None:
            unwatch()


def unwatch() -> None:
    """Stop watching the calling thread."""
    made = forget(threading.get_ident())
    if made is not None and made.traces:
        sys.settrace(made.replaced_tracer)


def forget(ident: int) -> _Watch | None:
    """Stop watching a thread, which may be stuck, as far as that can be done from outside."""
    with quietly, _lock:
        made = _watched.pop(ident, None)
        if made is not None and not _watched:
            _end_monitoring()
        return made


def _begin_monitoring() -> None:
    """Take a free tool id, if this interpreter has monitoring and one is free."""
    global _tool
    if sys.version_info < (3, 12):
        return
    monitoring = sys.monitoring
    _tool = next((id_ for id_ in _IDS if monitoring.get_tool(id_) is None), None)
    if _tool is None:
        return
    monitoring.use_tool_id(_tool, _TOOL)
    events = monitoring.events
    monitoring.register_callback(_tool, events.PY_START, _on_start)
    monitoring.register_callback(_tool, events.PY_RESUME, _on_start)
    monitoring.register_callback(_tool, events.LINE, _on_line)
    monitoring.set_events(_tool, events.PY_START | events.PY_RESUME)
    # Places that an earlier use of this id has switched off are to be seen again.
    monitoring.restart_events()


def _end_monitoring() -> None:
    global _tool
    if sys.version_info < (3, 12) or _tool is None:
        return
    monitoring = sys.monitoring
    monitoring.set_events(_tool, 0)
    while _instrumented:
        monitoring.set_local_events(_tool, _instrumented.pop(), 0)
    for event in (monitoring.events.PY_START, monitoring.events.PY_RESUME, monitoring.events.LINE):
        monitoring.register_callback(_tool, event, None)
    monitoring.free_tool_id(_tool)
    _tool = None


def _on_start(code: CodeType, _: int) -> Any:
    """Ask for the lines of a code object with markers; code without them is not looked at again."""
    if sys.version_info >= (3, 12):
        made = _watched.get(threading.get_ident())
        if made is None:
            return None
        tool = _tool
        if tool is not None and made.gates(sys._getframe(1)):
            with quietly, _lock:
                _instrumented.append(code)
                sys.monitoring.set_local_events(tool, code, sys.monitoring.events.LINE)
        return sys.monitoring.DISABLE
    return None


def _on_line(_: CodeType, __: int) -> Any:
    made = _watched.get(threading.get_ident())
    if made is not None:
        made.look(sys._getframe(1))


def _trace(made: _Watch) -> None:
    """Watch the calling thread by a trace function."""
    previous = made.replaced_tracer = sys.gettrace()
    made.traces = True

    def trace(frame: FrameType, event: Event, arg: Any) -> Any:
        inner = previous(frame, event, arg) if previous is not None else None
        if previous is not None and sys.gettrace() is not trace:
            # A tracer that is called may put itself in our place.
            sys.settrace(trace)
        if not made.gates(frame):
            return inner

        def trace_lines(frame: FrameType, event: Event, arg: Any) -> Any:
            nonlocal inner
            if event == "line":
                made.look(frame)
            if inner is not None:
                inner = inner(frame, event, arg) or inner
                if sys.gettrace() is not trace:
                    sys.settrace(trace)
            return trace_lines

        return trace_lines

    sys.settrace(trace)
