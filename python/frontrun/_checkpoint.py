"""Where a program is forked: at its first thread start, if nothing outside the process was touched before.

A scout, forked before the program begins, runs up to the first thread start and says whether it got there clean. If so
the server runs there too and forks each execution from there; else it forks them before the program's first line.
"""

from __future__ import annotations

import _thread
import os
import random
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, NoReturn

from . import _core, _reporter, _threads

_CLEAN = b"c"

# Audit events that say that something outside the process has changed, or will be shared with it.
_TOUCHING = (
    "ctypes.",
    "ftplib.",
    "http.client.",
    "mmap.",
    "os.chflags",
    "os.chmod",
    "os.chown",
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.kill",
    "os.link",
    "os.mkdir",
    "os.posix_spawn",
    "os.putenv",
    "os.remove",
    "os.removexattr",
    "os.rename",
    "os.rmdir",
    "os.setxattr",
    "os.spawn",
    "os.symlink",
    "os.system",
    "os.truncate",
    "os.utime",
    "pty.",
    "shutil.",
    "smtplib.",
    "socket.",
    "sqlite3.",
    "subprocess.",
    "tempfile.",
    "urllib.",
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def serve(fds: list[int]) -> _core.Request:
    """Serve runs from here. Return in each forked run; the server itself does not return."""
    _reporter.flush_output()
    state = random.getstate()
    # The server has one thread, which goes on in each fork; what threading does after a fork would declare the threads
    # dead that the program has made and not yet started.
    after_fork: Any = threading._after_fork  # type: ignore[attr-defined]
    code = after_fork.__code__
    after_fork.__code__ = _nothing.__code__
    request = _core.serve(fds)
    if request is None:
        os._exit(0)
    after_fork.__code__ = code
    _revive_unstarted()
    # A forked process seeds its generator anew, which would make each run another program.
    random.setstate(state)
    return request


def _revive_unstarted() -> None:
    """Undo what a fork has done to threads that were made and not yet started: from 3.13 on they count as ended."""
    make_handle = getattr(_thread, "_ThreadHandle", None)
    if make_handle is None:
        return
    for thread in list(threading._dangling):  # type: ignore[attr-defined]
        if not thread._started.is_set():
            thread._handle = make_handle()


def _nothing() -> None:
    """Do nothing, in place of another function."""


def is_reached_clean(program: Callable[[], object]) -> bool:
    """Run the program in a forked scout up to its first thread start; return whether it touched nothing before."""
    ours, theirs = os.pipe()
    _reporter.flush_output()
    pid = os.fork()
    if pid == 0:
        os.close(ours)
        _scout(program, theirs)
    os.close(theirs)
    answer = os.read(ours, 1)
    os.close(ours)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return answer == _CLEAN


def _scout(program: Callable[[], object], answer: int) -> NoReturn:
    """Run the program silently; answer at its first thread start."""
    try:
        silence = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(silence, fd)
        touched: list[str] = []
        before = _open_files()

        def watch(event: str, args: tuple[Any, ...]) -> None:
            if event.startswith(_TOUCHING) or (event == "open" and _writes(args)):
                touched.append(event)

        def arrive() -> NoReturn:
            if not touched and _open_files() <= before:
                os.write(answer, _CLEAN)
            os._exit(0)

        sys.addaudithook(watch)
        _threads.at_first_start(arrive)
        program()
    finally:
        os._exit(0)


def _writes(args: tuple[Any, ...]) -> bool:
    """Whether an ``open`` may change a file. The interpreter's own cache of compiled modules does not count."""
    path, mode, flags = args
    if isinstance(path, str) and "__pycache__" in path:
        return False
    return bool(flags & _WRITING) or (isinstance(mode, str) and any(letter in mode for letter in "wax+"))


def _open_files() -> set[str]:
    """The files and sockets that are open now: forked processes would share their positions."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{name}:{os.readlink(f'/proc/self/fd/{name}')}")
        except OSError:
            continue
    return {entry for entry in found if f"/proc/{os.getpid()}/fd" not in entry}
