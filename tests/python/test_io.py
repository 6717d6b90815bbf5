"""Files as shared state: races in them are found, programs without one are exhausted, prints are nobody's."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from frontrun.dpor import InterleavingResult, explore_dpor

Explore = Callable[..., tuple[int, dict[str, Any]]]
Thread = Callable[[Path], object]


def explore(
    prepare: Thread, threads: list[Thread], holds: Thread, directory: Path, **options: Any
) -> InterleavingResult:
    """Explore threads that meet in the files of a directory, which each execution empties first."""

    def setup() -> Path:
        for name in os.listdir(directory):
            path = directory / name
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink()
        prepare(directory)
        return directory

    return explore_dpor(setup, threads, holds, stop_on_first=False, **options)


def nothing(_: Path) -> None:
    """Prepare nothing."""


def zero(directory: Path) -> None:
    (directory / "counter").write_text("0")


def count_with_open(directory: Path) -> None:
    with open(directory / "counter") as file:
        value = int(file.read() or "0")
    with open(directory / "counter", "w") as file:
        file.write(str(value + 1))


def count_with_pathlib(directory: Path) -> None:
    path = directory / "counter"
    value = int(path.read_text() or "0")
    path.write_text(str(value + 1))


def count_with_descriptors(directory: Path) -> None:
    fd = os.open(directory / "counter", os.O_RDWR)
    value = int(os.pread(fd, 20, 0))
    os.pwrite(fd, str(value + 1).encode(), 0)
    os.close(fd)


def count_by_rename(directory: Path) -> None:
    value = int((directory / "counter").read_text())
    new = directory / f"new-{os.getpid()}-{id(value)}"
    new.write_text(str(value + 1))
    os.rename(new, directory / "counter")


def is_two(directory: Path) -> bool:
    return (directory / "counter").read_text() == "2"


@pytest.mark.parametrize("count", [count_with_open, count_with_pathlib, count_with_descriptors])
def test_a_counter_in_a_file_loses_an_update(tmp_path: Path, count: Thread) -> None:
    result = explore(zero, [count, count], is_two, tmp_path)
    assert result.verdict == "failed"
    assert result.exhausted
    assert result.reproduced == (10, 10)


def test_the_classes_of_two_threads_with_two_accesses_each_are_four(tmp_path: Path) -> None:
    """Reads and writes at given places are what two reads and two writes of a variable are."""

    def content(directory: Path) -> str:
        return (directory / "counter").read_text()

    result = explore(zero, [count_with_descriptors] * 2, is_two, tmp_path, observe=content)
    assert (result.num_explored, result.outcomes) == (4, {"'2'": 2, "'1'": 2})


def opened(*steps: Callable[[int], object], flags: int = os.O_RDWR) -> Thread:
    """A thread that opens the file, takes the steps with its descriptor, and leaves it open."""

    def run(directory: Path) -> None:
        fd = os.open(directory / "counter", flags)
        for step in steps:
            step(fd)

    return run


def ten(directory: Path) -> None:
    (directory / "counter").write_text("0123456789")


def at(place: int, text: bytes = b"xx") -> Callable[[int], object]:
    return lambda fd: os.pwrite(fd, text, place)


def look_at(place: int) -> Callable[[int], object]:
    return lambda fd: os.pread(fd, 2, place)


@pytest.mark.parametrize(
    ("one", "other", "classes"),
    [
        # Bytes of their own: nothing is in conflict.
        (opened(at(0), at(2)), opened(at(4), at(6)), 1),
        (opened(at(0), look_at(0)), opened(at(2), look_at(2)), 1),
        # One byte in common.
        (opened(at(0)), opened(at(1)), 2),
        (opened(look_at(0)), opened(at(1)), 2),
        # Two orders of the writes, and one read may come before or after one of them.
        (opened(look_at(0), at(0)), opened(look_at(0), at(0)), 4),
        # Both at the end; what is read was there before.
        (opened(lambda fd: os.write(fd, b"a"), flags=os.O_RDWR | os.O_APPEND), opened(look_at(0)), 1),
        (
            opened(lambda fd: os.write(fd, b"a"), flags=os.O_RDWR | os.O_APPEND),
            opened(lambda fd: os.write(fd, b"b"), flags=os.O_RDWR | os.O_APPEND),
            2,
        ),
        # Whoever reads beyond the end sees whether there is more.
        (opened(lambda fd: os.write(fd, b"a"), flags=os.O_RDWR | os.O_APPEND), opened(look_at(9)), 2),
        # A gap is filled with zeros.
        (opened(at(14)), opened(look_at(11)), 2),
        # The length and the time of a change are seen by who asks for the status.
        (opened(at(0)), opened(os.fstat), 2),
        # Whatever is cut off, is gone for all.
        (opened(lambda fd: os.ftruncate(fd, 4)), opened(look_at(3)), 2),
        # What is in front of that stays as it is.
        (opened(lambda fd: os.ftruncate(fd, 4)), opened(look_at(2)), 1),
        # A position is seeked to without a look at the file.
        (
            opened(lambda fd: os.lseek(fd, 4, os.SEEK_SET), lambda fd: os.write(fd, b"x")),
            opened(at(0)),
            1,
        ),
        # What the system copies is written.
        (
            opened(lambda fd: os.copy_file_range(fd, os.open(f"/proc/self/fd/{fd}", os.O_RDWR), 2, 0, 6)),
            opened(look_at(6)),
            2,
        ),
    ],
)
def test_classes_of_accesses_at_places(tmp_path: Path, one: Thread, other: Thread, classes: int) -> None:
    result = explore(ten, [one, other], lambda _: True, tmp_path)
    assert (result.verdict, result.num_explored) == ("exhausted", classes), result.explanation


def test_files_of_their_own_are_no_shared_state(tmp_path: Path) -> None:
    def writer(name: str) -> Thread:
        def write(directory: Path) -> None:
            (directory / name).write_text("0")
            assert (directory / name).read_text() == "0"

        return write

    result = explore(nothing, [writer("a"), writer("b")], lambda d: len(os.listdir(d)) == 2, tmp_path)
    assert (result.verdict, result.num_explored) == ("exhausted", 1)


def test_a_path_that_threads_share_is_not_changed_by_its_use(tmp_path: Path) -> None:
    def look(path: Path) -> None:
        assert os.path.isdir(path)
        assert os.listdir(path) == []
        assert os.fspath(path) == str(path)

    def setup() -> Path:
        assert str(tmp_path)
        return tmp_path

    result = explore_dpor(setup, [look, look], lambda _: True)
    assert (result.verdict, result.num_explored) == ("exhausted", 1)


def test_what_is_printed_is_no_shared_state(tmp_path: Path) -> None:
    def shout(_: Path) -> None:
        print("hello", flush=True)
        os.write(2, b"there\n")

    result = explore(nothing, [shout, shout], lambda _: True, tmp_path)
    assert (result.verdict, result.num_explored) == ("exhausted", 1)


def create_if_absent(directory: Path) -> None:
    if not os.path.exists(directory / "lock"):
        fd = os.open(directory / "lock", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        os.close(fd)


def create_or_leave(directory: Path) -> None:
    try:
        fd = os.open(directory / "lock", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return
    os.close(fd)


def make_folder_if_absent(directory: Path) -> None:
    if not os.path.isdir(directory / "folder"):
        os.mkdir(directory / "folder")


def make_folder(directory: Path) -> None:
    os.makedirs(directory / "folder", exist_ok=True)


def touch(directory: Path) -> None:
    (directory / "file").touch()


def read_if_there(directory: Path) -> None:
    path = directory / "file"
    if path.exists():
        path.read_text()


def read_or_leave(directory: Path) -> None:
    try:
        (directory / "file").read_text()
    except FileNotFoundError:
        return


def remove(directory: Path) -> None:
    (directory / "file").unlink()


def remove_if_there(directory: Path) -> None:
    if os.path.exists(directory / "file"):
        os.remove(directory / "file")


def remove_or_leave(directory: Path) -> None:
    (directory / "file").unlink(missing_ok=True)


def size_of_all(directory: Path) -> None:
    for name in os.listdir(directory):
        os.stat(directory / name)


def move_away(directory: Path) -> None:
    os.rename(directory / "file", directory / "moved")


def link_elsewhere(directory: Path) -> None:
    os.symlink(directory / "file", directory / "lock")


def truncate_unless_link(directory: Path) -> None:
    if not os.path.islink(directory / "lock"):
        open(directory / "lock", "w").close()


RACES: list[tuple[str, Thread, Thread, Thread]] = [
    ("exclusive creation after a look", nothing, create_if_absent, create_if_absent),
    ("mkdir after a look", nothing, make_folder_if_absent, make_folder_if_absent),
    ("reading after a look", touch, read_if_there, remove),
    ("reading what is moved", touch, read_if_there, move_away),
    ("removal after a look", touch, remove_if_there, remove_if_there),
    ("listing and looking", touch, size_of_all, remove),
]
NO_RACES: list[tuple[str, Thread, Thread, Thread]] = [
    ("exclusive creation alone", nothing, create_or_leave, create_or_leave),
    ("makedirs", nothing, make_folder, make_folder),
    ("reading alone", touch, read_or_leave, remove),
    ("removal alone", touch, remove_or_leave, remove_or_leave),
    ("two removals of which one asks", touch, remove_or_leave, remove_or_leave),
    ("looking at the same", touch, read_if_there, read_if_there),
]


@pytest.mark.parametrize(("prepare", "one", "other"), [row[1:] for row in RACES], ids=[row[0] for row in RACES])
def test_what_was_looked_at_has_changed_when_it_is_used(
    tmp_path: Path, prepare: Thread, one: Thread, other: Thread
) -> None:
    result = explore(prepare, [one, other], lambda _: True, tmp_path)
    assert result.verdict == "failed", result.explanation
    assert result.failure_kind == "exception"
    assert result.exhausted
    assert result.reproduced == (10, 10)


@pytest.mark.parametrize(("prepare", "one", "other"), [row[1:] for row in NO_RACES], ids=[row[0] for row in NO_RACES])
def test_no_alarm_where_the_system_call_decides(tmp_path: Path, prepare: Thread, one: Thread, other: Thread) -> None:
    result = explore(prepare, [one, other], lambda _: True, tmp_path)
    assert result.verdict == "exhausted", result.explanation


def test_a_link_that_appears_after_the_look_is_followed(tmp_path: Path) -> None:
    def prepare(directory: Path) -> None:
        (directory / "file").write_text("precious")

    def is_kept(directory: Path) -> bool:
        return (directory / "file").read_text() == "precious"

    def link(directory: Path) -> None:
        try:
            link_elsewhere(directory)
        except FileExistsError:
            return

    result = explore(prepare, [truncate_unless_link, link], is_kept, tmp_path)
    assert (result.verdict, result.failure_kind) == ("failed", "invariant")


def test_a_file_that_is_written_under_its_old_name_is_read_under_its_new_one(tmp_path: Path) -> None:
    def prepare(directory: Path) -> None:
        (directory / "log").touch()
        directory_fd[0] = os.open(directory / "log", os.O_WRONLY | os.O_APPEND)

    directory_fd = [-1]

    def write(_: Path) -> None:
        os.write(directory_fd[0], b"x")

    def rotate(directory: Path) -> None:
        os.rename(directory / "log", directory / "log.1")
        seen.append((directory / "log.1").read_bytes())

    seen: list[bytes] = []
    result = explore(prepare, [write, rotate], lambda _: True, tmp_path, observe=lambda _: seen)
    assert set(result.outcomes) == {"[b'']", "[b'x']"}
    assert result.exhausted


COUNTER = """
import pathlib, threading
path = pathlib.Path("counter")
{prepare}
def count():
    value = int(path.read_text() or "0")
    path.write_text(str(value + 1))
threads = [threading.Thread(target=count) for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert path.read_text() == "{end}", path.read_text()
"""


def test_a_program_is_explored_and_its_failure_replays(
    explore: Explore, frontrun: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "program.py").write_text(COUNTER.format(prepare="path.write_text('0')", end="2"))
    code, answer = explore("--keep-going", "program.py")
    assert (code, answer["verdict"], answer["bounded_by"]) == (1, "failed", None)
    assert {failure["kind"] for failure in answer["failures"]} == {"assertion"}
    replayed = frontrun("replay", answer["failures"][0]["trace"], "--times", 5)
    assert "5/5" in replayed.stdout, replayed.stdout + replayed.stderr


def test_a_program_that_does_not_put_back_what_it_changed_has_diverged(explore: Explore, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(COUNTER.format(prepare="", end="2").replace("assert", "assert True or"))
    (tmp_path / "counter").write_text("0")
    code, answer = explore("--keep-going", "program.py")
    assert (code, answer["verdict"]) == (4, "diverged"), answer
    assert answer["reason"].startswith("step "), answer


def with_flock(count: Thread) -> Thread:
    def locked(directory: Path) -> None:
        with open(directory / "lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            count(directory)

    return locked


def test_a_file_lock_protects_a_counter(tmp_path: Path) -> None:
    result = explore(zero, [with_flock(count_with_open)] * 2, is_two, tmp_path)
    assert (result.verdict, set(result.outcomes)) == ("exhausted", set()), result.explanation


def test_two_file_locks_in_opposite_order_are_a_deadlock(tmp_path: Path) -> None:
    def take(*names: str) -> Thread:
        def body(directory: Path) -> None:
            files = [os.open(directory / name, os.O_RDWR | os.O_CREAT) for name in names]
            for file in files:
                fcntl.flock(file, fcntl.LOCK_EX)
            for file in files:
                os.close(file)

        return body

    result = explore(nothing, [take("a", "b"), take("b", "a")], lambda _: True, tmp_path)
    assert (result.verdict, result.failure_kind) == ("failed", "deadlock"), result.explanation


def test_the_lock_of_a_file_that_was_removed_keeps_nobody_out(tmp_path: Path) -> None:
    """Who waits with an open file for a lock, and gets it, may hold that of a file that is no longer there."""
    inside: list[str] = []
    overlaps: list[list[str]] = []

    def job(name: str) -> Thread:
        def body(directory: Path) -> None:
            with open(directory / "lock", "a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                inside.append(name)
                if len(inside) > 1:
                    overlaps.append(list(inside))
                inside.remove(name)
                (directory / "lock").unlink(missing_ok=True)

        return body

    result = explore_dpor(
        lambda: tmp_path,
        [job("a"), job("b"), job("c")],
        lambda _: not overlaps,
        max_executions=3000,
    )
    assert (result.verdict, result.failure_kind) == ("failed", "invariant"), result.explanation


def test_an_attempt_on_a_file_lock_fails_while_it_is_held(tmp_path: Path) -> None:
    def attempt(directory: Path) -> None:
        with open(directory / "lock", "a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                seen.append("busy")
            else:
                seen.append("taken")

    seen: list[str] = []
    result = explore(nothing, [attempt, attempt], lambda _: True, tmp_path, observe=lambda _: sorted(seen))
    assert result.exhausted
    assert set(result.outcomes) == {"['taken', 'taken']", "['busy', 'taken']"}


def test_a_shared_file_lock_is_not_followed(tmp_path: Path) -> None:
    def look(directory: Path) -> None:
        with open(directory / "lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)

    result = explore(nothing, [look, look], lambda _: True, tmp_path)
    assert result.verdict == "diverged"


def test_threads_that_flush_one_file_object_wait_for_each_other(tmp_path: Path) -> None:
    def write(file: Any) -> None:
        file.write("x")
        file.flush()

    def setup() -> Any:
        return (tmp_path / "log").open("w")

    result = explore_dpor(
        setup,
        [write, write],
        lambda _: (tmp_path / "log").read_text() == "xx",
        stop_on_first=False,
    )
    assert result.verdict == "exhausted", result.explanation


def test_a_line_that_was_not_flushed_is_seen_after_the_close(tmp_path: Path) -> None:
    def write(directory: Path) -> None:
        with open(directory / "log", "w") as file:
            file.write("line")

    def read(directory: Path) -> None:
        if os.path.exists(directory / "log"):
            seen.append((directory / "log").read_text())

    seen: list[str] = []
    result = explore(nothing, [write, read], lambda _: True, tmp_path, observe=lambda _: seen)
    assert set(result.outcomes) == {"[]", "['']", "['line']"}


REMOVING = """
import os
def remove(folder):
    for name in os.listdir(folder):
        os.unlink(folder / name)
    os.rmdir(folder)
"""

REMOVAL = """
import os, pathlib, removing, tempfile, threading
root = pathlib.Path(tempfile.mkdtemp(dir=".")) / "session"
root.mkdir()
(root / "upload.tmp").write_text("x")
errors = []
def remove():
    try:
        removing.remove(root)
    except OSError as error:
        errors.append(error)
def clean():
    try:
        os.unlink(root / "upload.tmp")
    except FileNotFoundError:
        pass
threads = [threading.Thread(target=remove), threading.Thread(target=clean)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert not errors, errors
"""


def test_a_folder_that_is_called_otherwise_in_each_execution_is_one_folder(explore: Explore, tmp_path: Path) -> None:
    """Who clears up is out of scope, so what it does at another moment is seen in an execution of its own."""
    (tmp_path / "removing.py").write_text(REMOVING)
    (tmp_path / "program.py").write_text(REMOVAL)
    code, answer = explore("--keep-going", "--include", "removing", "program.py")
    assert (code, answer["verdict"], answer["executions"]) == (1, "failed", 4), answer
