"""Tells a thread of each opcode that it is about to execute.

Model: from 3.12 on the events of `sys.monitoring` say so, since there a trace function misses opcodes of code that has
just been met (3.13), or crashes the interpreter when another thread resumes what it has traced (3.12). On 3.11 a trace
function does.
"""

from __future__ import annotations

import _thread
import sys
import types
from collections.abc import Callable
from typing import Any

# Called with the frame and the offset of the opcode.
Told = Callable[[types.FrameType, int], None]

if sys.version_info >= (3, 12):
    _TOOL = 4
    _events = sys.monitoring.events
    _told: dict[int, Told] = {}

    def tell(told: Told | None) -> None:
        """Have the calling thread told from now on, or no longer."""
        if told is None:
            del _told[_thread.get_ident()]
        else:
            _told[_thread.get_ident()] = told

    def _entered(code: types.CodeType, *arguments: object) -> None:
        if _thread.get_ident() in _told and not sys.monitoring.get_local_events(_TOOL, code):
            sys.monitoring.set_local_events(_TOOL, code, _events.INSTRUCTION)

    def _executes(code: types.CodeType, offset: int) -> None:
        told = _told.get(_thread.get_ident())
        if told is not None:
            told(sys._getframe(1), offset)

    sys.monitoring.use_tool_id(_TOOL, "every interleaving")
    for _event in (_events.PY_START, _events.PY_RESUME, _events.PY_THROW):
        sys.monitoring.register_callback(_TOOL, _event, _entered)
    sys.monitoring.register_callback(_TOOL, _events.INSTRUCTION, _executes)
    sys.monitoring.set_events(_TOOL, _events.PY_START | _events.PY_RESUME | _events.PY_THROW)
else:

    def tell(told: Told | None) -> None:
        """Have the calling thread told from now on, or no longer."""
        sys.settrace(None if told is None else _tracer(told))

    def _tracer(told: Told) -> Any:
        def called(frame: types.FrameType, event: str, argument: object) -> Any:
            frame.f_trace_lines = False
            frame.f_trace_opcodes = True
            return executed

        def executed(frame: types.FrameType, event: str, argument: object) -> Any:
            if event == "opcode":
                told(frame, frame.f_lasti)
            return executed

        return called
