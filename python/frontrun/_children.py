"""Child processes, which live in real time: which descriptors they get, and how their ends are waited for."""

from __future__ import annotations

import _posixsubprocess
import os
import select
import sys
from typing import Any

from . import _core, _threads

_PATIENCE = 10.0
"""How many seconds a child is given to end."""
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
        if "subprocess" in sys.modules:
            _give_time(sys.modules["subprocess"].Popen)
        return original(*arguments)

    fork_exec.is_noticed = True  # type: ignore[attr-defined]
    module.fork_exec = fork_exec
    if "subprocess" in sys.modules:
        subprocess: Any = sys.modules["subprocess"]
        subprocess._fork_exec = fork_exec
        _give_time(subprocess.Popen)


def _give_time(cls: Any) -> None:
    """Have those who wait for a child no longer than a time wait in real time: it cannot end in no time."""
    original = cls._wait
    if hasattr(original, "gives_time"):
        return

    def wait(self: Any, timeout: float | None) -> Any:
        if timeout is not None and self.returncode is None and _core.current() is not None:
            with _threads.quietly:
                _await_end(self.pid, min(timeout, _PATIENCE))
        return original(self, timeout)

    wait.gives_time = True  # type: ignore[attr-defined]
    cls._wait = wait


def _await_end(pid: int, seconds: float) -> None:
    try:
        process = os.pidfd_open(pid)
    except OSError:
        return
    try:
        ends = select.poll()
        ends.register(process, select.POLLIN)
        ends.poll(max(seconds, 0) * 1000)
    finally:
        os.close(process)


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
