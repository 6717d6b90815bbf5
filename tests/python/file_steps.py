"""What threads of small programs do to files, and what each of their system calls reads and writes by POSIX."""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from every_order_of_io import Desk, Footprint, Location, Parts, Step


@dataclass(frozen=True)
class Found:
    """What looking up a path has come upon."""

    # The entries on the way, as far as the way leads.
    way: set[Location]
    # The entry that is meant, if its directory is there.
    entry: Location | None
    # What it names.
    inode: int | None = None
    mode: int = 0
    length: int = 0

    @property
    def seen(self) -> set[Location]:
        return self.way | ({self.entry} if self.entry else set())

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.mode)


def look_up(desk: Desk, name: str) -> Found:
    """Look up a path below the directory, entry by entry."""
    *folders, last = name.split("/")
    way: set[Location] = set()
    here = desk.root
    for folder in folders:
        way.add(("names", here.stat().st_ino, folder))
        here = here / folder
        if not here.is_dir():
            return Found(way, None)
    entry = ("names", here.stat().st_ino, last)
    try:
        status = (here / last).lstat()
    except FileNotFoundError:
        return Found(way, entry)
    return Found(way, entry, status.st_ino, status.st_mode, status.st_size)


def _bytes(inode: int, start: int, end: int) -> set[Location]:
    return {("file", inode, "bytes", at) for at in range(start, end)}


def _end(inode: int | None) -> Location:
    return ("file", inode, "end")


_numbers = itertools.count()


def _status(inode: int | None) -> Location:
    """What ``stat`` tells of a file besides its length."""
    return ("file", inode, "status")


def _change(inode: int | None) -> Location:
    """A part of the status that nobody else changes: that times and numbers of links change is seen by who asks for
    them, but they are the same in the end whoever changes them first."""
    return (*_status(inode), next(_numbers))


def _open(desk: Desk, name: str, flags: int) -> Footprint:
    found = look_up(desk, name)
    if found.entry is None:
        return found.way, set()
    if found.inode is None:
        return found.seen, {found.entry} if flags & os.O_CREAT else set()
    truncates = flags & os.O_TRUNC and not flags & os.O_EXCL and not found.is_folder
    return found.seen, _truncate(found.inode, found.length, 0) if truncates else set()


def _read(fd: int, count: int, at: int) -> Footprint:
    status = os.fstat(fd)
    inode, length = status.st_ino, status.st_size
    beyond = {_end(inode)} if at + count > length else set()
    return _bytes(inode, at, min(at + count, length)) | beyond, set()


def _write(fd: int, count: int, at: int | None) -> Footprint:
    """A write at a place, or at the end."""
    status = os.fstat(fd)
    inode, length = status.st_ino, status.st_size
    start = length if at is None else at
    beyond = {_end(inode)} if at is None or start + count > length else set()
    return set(), _bytes(inode, min(start, length), start + count) | beyond | {_change(inode)}


def _truncate(inode: int, before: int, after: int) -> set[Location]:
    return _bytes(inode, min(before, after), max(before, after)) | {_end(inode), _change(inode)}


def _unlink(desk: Desk, name: str) -> Footprint:
    found = look_up(desk, name)
    if found.entry is None or found.inode is None or found.is_folder:
        return found.seen, set()
    return found.way, {found.entry, _change(found.inode)}


def _mkdir(desk: Desk, name: str) -> Footprint:
    found = look_up(desk, name)
    makes = found.entry is not None and found.inode is None
    return found.seen, {found.entry} if makes and found.entry else set()


def _rmdir(desk: Desk, name: str) -> Footprint:
    found = look_up(desk, name)
    if found.entry is None or not found.is_folder:
        return found.seen, set()
    names: Location = ("names", found.inode)
    return found.seen | {names}, set() if os.listdir(desk.path(name)) else {found.entry}


def _rename(desk: Desk, name: str, to: str) -> Footprint:
    found, other = look_up(desk, name), look_up(desk, to)
    if found.entry is None or other.entry is None:
        return found.way | other.way, set()
    if found.inode is None:
        return found.seen | other.way, set()
    if found.inode == other.inode or found.is_folder or other.is_folder:
        assert not (found.is_folder and other.inode is None), "folders are not moved here"
        return found.seen | other.seen, set()
    replaced = {_change(other.inode)} if other.inode else set()
    return found.way | other.way, {found.entry, other.entry} | replaced


def _link(desk: Desk, name: str, to: str) -> Footprint:
    found, other = look_up(desk, name), look_up(desk, to)
    if found.inode is None:
        return found.seen, set()
    if other.entry is None or other.inode is not None or found.is_folder:
        return found.seen | other.seen, set()
    return found.seen | other.way, {other.entry, _change(found.inode)}


def _stat(desk: Desk, name: str) -> Footprint:
    found = look_up(desk, name)
    status = {_end(found.inode), _status(found.inode)} if found.inode else set()
    return found.seen | status, set()


def _one(text: str, touch: Callable[[Desk], Footprint], run: Callable[[Desk], object]) -> Step:
    """A step that is one system call."""

    def parts(desk: Desk) -> Parts:
        yield lambda: touch(desk)
        return run(desk)

    return Step(text, run, parts)


# What is given a path.


def opened(name: str, flags: int = os.O_RDWR, key: str = "f") -> Step:
    """Open a file and keep it as ``key``."""

    def run(desk: Desk) -> None:
        desk.fds[key] = os.open(desk.path(name), flags)

    return _one(f"{key} = os.open({name!r}, {flags:#o})", lambda desk: _open(desk, name, flags), run)


def unlink(name: str) -> Step:
    return _one(f"os.unlink({name!r})", lambda desk: _unlink(desk, name), lambda desk: os.unlink(desk.path(name)))


def mkdir(name: str) -> Step:
    return _one(f"os.mkdir({name!r})", lambda desk: _mkdir(desk, name), lambda desk: os.mkdir(desk.path(name)))


def rmdir(name: str) -> Step:
    return _one(f"os.rmdir({name!r})", lambda desk: _rmdir(desk, name), lambda desk: os.rmdir(desk.path(name)))


def rename(name: str, to: str) -> Step:
    return _one(
        f"os.rename({name!r}, {to!r})",
        lambda desk: _rename(desk, name, to),
        lambda desk: os.rename(desk.path(name), desk.path(to)),
    )


def link(name: str, to: str) -> Step:
    return _one(
        f"os.link({name!r}, {to!r})",
        lambda desk: _link(desk, name, to),
        lambda desk: os.link(desk.path(name), desk.path(to)),
    )


def size(name: str) -> Step:
    return _one(
        f"os.stat({name!r}).st_size", lambda desk: _stat(desk, name), lambda desk: os.stat(desk.path(name)).st_size
    )


def links(name: str) -> Step:
    return _one(
        f"os.stat({name!r}).st_nlink", lambda desk: _stat(desk, name), lambda desk: os.stat(desk.path(name)).st_nlink
    )


def exists(name: str) -> Step:
    return _one(
        f"os.path.exists({name!r})", lambda desk: _stat(desk, name), lambda desk: os.path.exists(desk.path(name))
    )


def listdir(name: str) -> Step:
    """List a directory, which is opened and then read."""

    def parts(desk: Desk) -> Parts:
        yield lambda: _open(desk, name, 0)
        fd = os.open(desk.path(name), os.O_RDONLY | os.O_DIRECTORY)
        try:
            inode = os.fstat(fd).st_ino
            yield lambda: ({("names", inode)}, set())
            return sorted(os.listdir(fd))
        finally:
            os.close(fd)

    return Step(f"os.listdir({name!r})", lambda desk: sorted(os.listdir(desk.path(name))), parts)


# What is given an open file, and does nothing where opening it has failed.


def _on_file(text: str, key: str, touch: Callable[[int], Footprint], run: Callable[[int], object]) -> Step:
    return _one(
        text,
        lambda desk: touch(desk.fds[key]) if key in desk.fds else (set(), set()),
        lambda desk: run(desk.fds[key]) if key in desk.fds else "no file",
    )


def pread(count: int, at: int, key: str = "f") -> Step:
    text = f"os.pread({key}, {count}, {at})"
    return _on_file(text, key, lambda fd: _read(fd, count, at), lambda fd: os.pread(fd, count, at))


def pwrite(data: bytes, at: int, key: str = "f") -> Step:
    text = f"os.pwrite({key}, {data!r}, {at})"
    return _on_file(text, key, lambda fd: _write(fd, len(data), at), lambda fd: os.pwrite(fd, data, at))


def append(data: bytes, key: str = "f") -> Step:
    """Write to a file that is open for appending."""
    text = f"os.write({key}, {data!r})"
    return _on_file(text, key, lambda fd: _write(fd, len(data), None), lambda fd: os.write(fd, data))


def ftruncate(length: int, key: str = "f") -> Step:
    def touch(fd: int) -> Footprint:
        status = os.fstat(fd)
        return set(), _truncate(status.st_ino, status.st_size, length)

    return _on_file(f"os.ftruncate({key}, {length})", key, touch, lambda fd: os.ftruncate(fd, length))


def fstat_links(key: str = "f") -> Step:
    def touch(fd: int) -> Footprint:
        inode = os.fstat(fd).st_ino
        return {_end(inode), _status(inode)}, set()

    return _on_file(f"os.fstat({key}).st_nlink", key, touch, lambda fd: os.fstat(fd).st_nlink)


def end_of(key: str = "f") -> Step:
    text = f"os.lseek({key}, 0, SEEK_END)"
    touch = lambda fd: ({_end(os.fstat(fd).st_ino)}, set())  # noqa: E731
    return _on_file(text, key, touch, lambda fd: os.lseek(fd, 0, os.SEEK_END))


# What Python makes several system calls of.


def read_text(name: str) -> Step:
    """Open a file and read it to its end."""

    def parts(desk: Desk) -> Parts:
        yield lambda: _open(desk, name, 0)
        fd = os.open(desk.path(name), os.O_RDONLY)
        try:
            yield lambda: _read(fd, 1 << 16, 0)
            return os.read(fd, 1 << 16).decode()
        finally:
            os.close(fd)

    return Step(f"Path({name!r}).read_text()", lambda desk: Path(desk.path(name)).read_text(), parts)


def write_text(name: str, text: str) -> Step:
    """Make a file or empty it, and write."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC

    def parts(desk: Desk) -> Parts:
        yield lambda: _open(desk, name, flags)
        fd = os.open(desk.path(name), flags)
        try:
            yield lambda: _write(fd, len(text), 0)
            return os.write(fd, text.encode())
        finally:
            os.close(fd)

    return Step(f"Path({name!r}).write_text({text!r})", lambda desk: Path(desk.path(name)).write_text(text), parts)


def append_at(name: str, text: str) -> Step:
    """Open a file for appending, and write where its end was then."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND

    def run(desk: Desk) -> int:
        with open(desk.path(name), "a") as file:
            at = file.tell()
            file.write(text)
        return at

    def parts(desk: Desk) -> Parts:
        yield lambda: _open(desk, name, flags)
        fd = os.open(desk.path(name), flags)
        try:
            yield lambda: ({_end(os.fstat(fd).st_ino)}, set())
            at = os.lseek(fd, 0, os.SEEK_END)
            yield lambda: _write(fd, len(text), None)
            os.write(fd, text.encode())
            return at
        finally:
            os.close(fd)

    return Step(f"open({name!r}, 'a'), tell, write({text!r})", run, parts)


def append_text(name: str, text: str) -> Step:
    """Open a file for appending, which asks for its end, and write."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND

    def run(desk: Desk) -> int:
        with open(desk.path(name), "a") as file:
            return file.write(text)

    def parts(desk: Desk) -> Parts:
        yield lambda: _open(desk, name, flags)
        fd = os.open(desk.path(name), flags)
        try:
            yield lambda: ({_end(os.fstat(fd).st_ino)}, set())
            yield lambda: _write(fd, len(text), None)
            return os.write(fd, text.encode())
        finally:
            os.close(fd)

    return Step(f"open({name!r}, 'a').write({text!r})", run, parts)
