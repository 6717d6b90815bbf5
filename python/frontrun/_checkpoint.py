"""Where a program is forked: as late as possible before it becomes concurrent or touches what is outside.

A scout, forked before the program begins, runs up to the first thread start and says how far it got clean: to there, to
one of the points that the program's runner has offered (before each test, say), or nowhere. The server then runs to
that point and forks each execution from it.

What forked runs would share although nobody else can reach it, is no reason to fork early: files without a name are
copied for each run.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, NoReturn

from . import _core, _reporter, _threads

_AT_THREAD = b"thread"

# Audit events that say that something outside the process has changed, or will be shared with it.
_TOUCHING = (
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
    "socket.connect",
    "socket.send",
    "sqlite3.",
    "subprocess.",
    "tempfile.",
    "urllib.",
)
# Functions of libc that change what is outside, of which the I/O library does not tell where ctypes calls them.
_UNTOLD = re.compile(
    r"bind|connect|copy_file_range|creat|exec[lv]p?e?|f?(open|reopen)|[fl]?ch(mod|own)|kill|(sym)?link|mk(dir|fifo|nod|[do]*s?temps?)"
    r"|mq_open|msgget|p?write(v2?)?|popen|posix_spawnp?|remove|rename|rmdir|sem_?(get|open)|send(to|m?msg|file)?|shm(_open|get)"
    r"|splice|syscall|system|f?truncate|unlink|[fl]?utime(s|ns)?|v?fork(pty)?"
)
_VARIANTS = re.compile(r"^_+|(at2?|s?64|_chk|_2)+$")

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def serve(fds: list[int]) -> _core.Request:
    """Serve runs from here. Return in each forked run; the server itself does not return."""
    _reporter.flush_output()
    request = _core.serve(fds)
    if request is None:
        os._exit(0)
    threading.main_thread()._set_native_id()  # type: ignore[attr-defined]
    return request


def offer() -> None:
    """Say that the program may well be forked here: what comes next is what the user wants to be explored."""
    for call in _on_offer:
        call()


_on_offer: list[Callable[[], object]] = []


def at(point: int | None, call: Callable[[], object]) -> None:
    """Have ``call`` called once at a point that :func:`latest_clean_point` has found. It may fork."""
    if point is None:
        _threads.at_first_start(call)
    elif point == 0:
        call()
    else:
        countdown = [point]

        def count() -> None:
            countdown[0] -= 1
            if countdown[0] == 0:
                _on_offer.clear()
                call()

        _on_offer.append(count)


def latest_clean_point(program: Callable[[], object]) -> int | None:
    """Run the program in a forked scout up to its first thread start; return the last point that it reached clean.

    ``None`` is the thread start itself, 0 the start of the program, ``n`` the ``n``-th offer.
    """
    ours, theirs = os.pipe()
    _reporter.flush_output()
    pid = os.fork()
    if pid == 0:
        os.close(ours)
        _scout(program, theirs)
    os.close(theirs)
    answer = os.read(ours, 64)
    os.close(ours)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None if answer == _AT_THREAD else int(answer or b"0")


def _scout(program: Callable[[], object], answer: int) -> NoReturn:
    """Run the program silently; answer at its first thread start."""
    try:
        silence = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(silence, fd)
        traces = _Traces()
        before = _open_files()
        offers = 0
        last_clean = 0

        def is_clean() -> bool:
            return traces.is_clean() and _open_files() <= before

        def note() -> None:
            nonlocal offers, last_clean
            offers += 1
            if last_clean == offers - 1 and is_clean():
                last_clean = offers

        def arrive() -> NoReturn:
            os.write(answer, _AT_THREAD if is_clean() else str(last_clean).encode())
            os._exit(0)

        _core.scout_outside()
        sys.addaudithook(traces.watch)
        _on_offer.append(note)
        _threads.at_first_start(arrive)
        program()
    finally:
        os._exit(0)


class _Traces:
    """What a program leaves outside its process, as its audit events tell, and the I/O library of its C code."""

    def __init__(self) -> None:
        self._lasting = False
        self._made: set[object] = set()
        self._told: set[str] = set()

    def is_clean(self) -> bool:
        """Whether nothing outside is other than it was at the beginning."""
        return not self._lasting and not self._made and all(map(self._is_told, _core.changed_outside()))

    def watch(self, event: str, args: tuple[Any, ...]) -> None:
        """Take note of an audit event."""
        if event == "open":
            self._opened(*args)
        elif event == "os.remove" and args[0] in self._made:
            self._tell(args[0])
            self._made.discard(args[0])
        elif event == "ctypes.dlsym":
            self._lasting |= isinstance(args[1], str) and _UNTOLD.fullmatch(_VARIANTS.sub("", args[1])) is not None
        elif event.startswith(_TOUCHING) and not any(map(_is_cache, args[:2])) and not _is_search_for_library():
            self._lasting = True
        elif event == "socket.bind" and not isinstance(args[1], tuple):
            # An address in the file system. Others are given back with the socket, which counts as long as it is open.
            self._lasting = True

    def _opened(self, path: object, mode: str | None, flags: int) -> None:
        writes = bool(flags & _WRITING) or (mode is not None and any(letter in mode for letter in "wax+"))
        if not writes:
            return
        self._tell(path)
        # A directory that is opened for writing is where a file without a name is made.
        if path == os.devnull or _is_cache(path) or (isinstance(path, str) and os.path.isdir(path)):
            return
        if flags & os.O_EXCL and isinstance(path, str):
            self._made.add(path)
        else:
            self._lasting = True

    def _tell(self, path: object) -> None:
        """Note that an audit event has told of a change, so that it is accounted for."""
        if isinstance(path, (str, bytes)):
            self._told.add(os.path.abspath(os.fsdecode(path)))

    def _is_told(self, path: str | None) -> bool:
        return path is not None and (path in self._told or path == os.devnull or _is_cache(path))


def _is_search_for_library() -> bool:
    """Whether ctypes asks a compiler or a linker, in a process of its own, where a library is."""
    frame = sys._getframe()
    while frame is not None and frame.f_globals.get("__name__") != "ctypes.util":
        frame = frame.f_back  # type: ignore[assignment]
    return frame is not None


def _is_cache(path: object) -> bool:
    """Whether this is in the interpreter's own cache of compiled modules."""
    return isinstance(path, str) and "__pycache__" in path


def _open_files() -> set[str]:
    """The files and sockets that are open now, as far as forked processes would share their positions."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:
            continue
    own = f"/proc/{os.getpid()}/fd"
    return {path for path in found if path not in (os.devnull, own) and not path.endswith(" (deleted)")}
