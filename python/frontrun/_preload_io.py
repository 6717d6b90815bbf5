"""The I/O of this process and its children as events, told by the preloaded library through a pipe.

This is for looking at a program that is not under control: events come after the calls, in the order of the pipe. Under
control the library asks before each call instead, and nothing goes through a pipe.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import sys
import threading
from collections.abc import Callable
from typing import NamedTuple

from . import _core
from ._preload import library_path

__all__ = ["IOEventDispatcher", "PreloadIOEvent"]

VARIABLE = "FRONTRUN_IO_FD"
_PIPE_SIZE = 1 << 20

_ESCAPE = re.compile(rb"\\x([0-9a-f]{2})")
_KINDS = {"r": "read", "w": "write", "rw": "write"}
_OWN_KINDS = frozenset({"close", "connect", "accept", "bind", "listen", "shutdown"})


class PreloadIOEvent(NamedTuple):
    """One call of libc: ``kind`` is ``read``, ``write``, ``close``, ``connect``, …; ``fd`` is -1 for a path."""

    kind: str
    resource_id: str
    fd: int
    pid: int
    tid: int


Listener = Callable[[PreloadIOEvent], object]


class IOEventDispatcher:
    """Reads events on a background thread, keeps them, and hands them to listeners.

    Children take part if they inherit the environment and the descriptor :attr:`fd` (``subprocess`` has ``pass_fds``).
    """

    def __init__(self) -> None:
        self.events: list[PreloadIOEvent] = []
        self.lost = 0
        self.fd = -1
        self._listeners: list[Listener] = []
        self._polled = 0
        self._marks = 0
        self._changed = threading.Condition()
        self._reader: threading.Thread | None = None
        self._before: str | None = None

    def __enter__(self) -> IOEventDispatcher:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def add_listener(self, listener: Listener) -> None:
        """Have ``listener`` called with each event from now on, on the background thread."""
        self._listeners.append(listener)

    def remove_listener(self, listener: Listener) -> None:
        """Undo :meth:`add_listener`."""
        self._listeners.remove(listener)

    def start(self) -> None:
        """Begin to read events of this process and of children that are started from now on."""
        if self._reader is not None:
            message = "the dispatcher has been started"
            raise RuntimeError(message)
        reading, self.fd = os.pipe()
        os.set_inheritable(self.fd, True)
        # Nobody waits for room in the pipe: what a starting interpreter does has to fit, however late the reader is.
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            with contextlib.suppress(OSError):
                fcntl.fcntl(self.fd, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
        self._before = os.environ.get(VARIABLE)
        os.environ[VARIABLE] = f"{self.fd}:{os.fstat(self.fd).st_ino}"
        self._marks = 0
        self._reader = threading.Thread(target=self._read, args=(reading,), name="frontrun I/O events", daemon=True)
        self._reader.start()
        _core.watch_io(str(library_path()), [])
        _core.write_io_to(self.fd)

    def stop(self) -> None:
        """Hand on what has happened until now, and end."""
        if self._reader is None:
            return
        _core.write_io_to(-1)
        if self._before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = self._before
        self._write(b"end\n")
        self._reader.join()
        self._reader = None
        os.close(self.fd)
        self.fd = -1

    def poll(self) -> list[PreloadIOEvent]:
        """Return the events since the last call, all of those whose calls have returned."""
        if self._reader is not None:
            with self._changed:
                wanted = self._marks + 1
            self._write(b"mark\n")
            with self._changed:
                self._changed.wait_for(lambda: self._marks >= wanted)
        new = self.events[self._polled :]
        self._polled += len(new)
        return new

    def _write(self, line: bytes) -> None:
        """Write a line of our own. The library has made the pipe non-blocking."""
        while True:
            try:
                os.write(self.fd, line)
            except BlockingIOError:
                threading.Event().wait(0.001)
            else:
                return

    def _read(self, fd: int) -> None:
        """Be the background thread."""
        with os.fdopen(fd, "rb") as lines:
            for line in lines:
                if line == b"end\n":
                    return
                if line == b"mark\n":
                    with self._changed:
                        self._marks += 1
                        self._changed.notify_all()
                    continue
                self._take(line.rstrip(b"\n").split(b"\t"))

    def _take(self, fields: list[bytes]) -> None:
        if fields[0] == b"lost":
            self.lost += int(fields[1])
            return
        event = _event(fields)
        if (event.pid, event.tid) == (os.getpid(), threading.get_native_id()):
            return  # What a listener does would call it again, without end.
        self.events.append(event)
        for listener in list(self._listeners):
            try:
                listener(event)
            except Exception as error:
                sys.excepthook(type(error), error, error.__traceback__)


def _event(fields: list[bytes]) -> PreloadIOEvent:
    """Make an event of the fields of a line: pid, tid, function, access, fd, five numbers, resource."""
    pid, tid, function, access, fd = (field.decode() for field in fields[:5])
    kind = function if function in _OWN_KINDS else _KINDS.get(access, function)
    resource = _ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), fields[10])
    return PreloadIOEvent(kind, os.fsdecode(resource), int(fd), int(pid), int(tid))
