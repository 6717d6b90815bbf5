"""Which descriptors child processes get: what is read and written there happens in real time, in no set order."""

from __future__ import annotations

import _posixsubprocess
import os
import sys
from typing import Any

from . import _core, _threads

_EXECUTABLE_CLOSES, _KEPT = 2, 3
# The pipes for the child's standard streams and for the news that it could not be started, both ends of each.
_PIPES = slice(6, 14)


def install() -> None:
    """Notice every child process that ``subprocess`` and ``multiprocessing`` start."""
    module: Any = _posixsubprocess
    original = module.fork_exec
    if hasattr(original, "is_noticed"):
        return

    def fork_exec(*arguments: Any) -> Any:
        with _threads.quietly:
            inherited = {*arguments[_KEPT], *(fd for fd in arguments[_PIPES] if fd >= 0)}
            if not arguments[_EXECUTABLE_CLOSES]:
                inherited.update(_inheritable())
        _core.note_inherited(sorted(inherited))
        return original(*arguments)

    fork_exec.is_noticed = True  # type: ignore[attr-defined]
    module.fork_exec = fork_exec
    if "subprocess" in sys.modules:
        subprocess: Any = sys.modules["subprocess"]
        subprocess._fork_exec = fork_exec


def _inheritable() -> set[int]:
    """Return the descriptors that a child gets which closes none."""
    found = set()
    for fd in map(int, os.listdir("/proc/self/fd")):
        try:
            if os.get_inheritable(fd):
                found.add(fd)
        except OSError:
            continue
    return found
