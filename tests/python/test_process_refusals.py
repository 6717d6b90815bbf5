"""Workers that are processes: what they must not do ends the run loudly, and what they print is nobody's business."""

from __future__ import annotations

import asyncio
import fcntl
import mmap
import multiprocessing
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import frontrun
import pytest


def use_socket() -> None:
    socket.create_server(("127.0.0.1", 0)).close()


def map_file() -> None:
    with open(__file__, "rb") as file:
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def start_loop() -> None:
    asyncio.run(asyncio.sleep(0))


def send_signal() -> None:
    os.kill(os.getpid(), signal.SIGUSR1)


def lock_a_part() -> None:
    with open("part", "w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX, 10)


def share_a_lock() -> None:
    with open("part", "w") as file:
        fcntl.flock(file, fcntl.LOCK_SH)


def read_an_event() -> None:
    os.eventfd_read(os.eventfd(1))


def connect_as_own_class() -> None:
    class Connection(sqlite3.Connection):
        pass

    sqlite3.connect("bank.db", factory=Connection)


def open_a_fifo() -> None:
    os.mkfifo("fifo")
    os.open("fifo", os.O_RDONLY | os.O_NONBLOCK)


REFUSED: dict[str, Callable[[], object]] = {
    "a socket or a pipe": use_socket,
    "uses a socket or a pipe": os.pipe,
    "a thread or a task": start_loop,
    "maps a file": map_file,
    "starts a thread or a task": lambda: threading.Thread(target=print).start(),
    "starts a process": lambda: subprocess.run(["true"], check=True),
    "forks a process": os.fork,
    "sends a signal": send_signal,
    "part of a file": lock_a_part,
    "shared one is taken": share_a_lock,
    "/dev/shm": lambda: open("/dev/shm/frontrun-test", "w").close(),
    "by its path": open_a_fifo,
    "no file": lambda: os.write(os.memfd_create("x"), b"1") and read_an_event(),
    "class of its own": connect_as_own_class,
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_not_followed_is_refused(tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = frontrun.explore(list, lambda _: REFUSED[what](), lambda _: True, count=2, execution="process")
    assert result.verdict == "diverged", result.explanation
    assert result.explanation is not None
    assert what in result.explanation


def test_a_pipe_of_setup_is_refused() -> None:
    def write(ends: tuple[int, int]) -> None:
        os.write(ends[1], b"x")

    result = frontrun.explore(os.pipe, write, lambda _: True, count=2, execution="process")
    assert result.verdict == "diverged", result.explanation
    assert "one uses a socket or a pipe" in str(result.explanation)


def test_printing_to_a_pipe_is_no_step(tmp_path: Path) -> None:
    script = tmp_path / "prints.py"
    script.write_text(
        "import frontrun, sys\n"
        "result = frontrun.explore(list, lambda _: print('hello', flush=True), lambda _: True, count=2,\n"
        "    execution='process')\n"
        "print(result.verdict, result.num_explored, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, str(script)], check=True, capture_output=True, text=True, cwd=tmp_path)
    assert done.stderr.strip() == "exhausted 1"


@pytest.mark.parametrize("make", [lambda: multiprocessing.get_context("fork").Value("i"), lambda: mmap.mmap(-1, 4096)])
def test_shared_memory_is_refused(make: Callable[[], object]) -> None:
    result = frontrun.explore(make, lambda _: None, lambda _: True, count=2, execution="process")
    assert result.verdict == "diverged", result.explanation
    assert "shared memory" in str(result.explanation)


def test_a_connection_of_setup_is_refused(tmp_path: Path) -> None:
    result = frontrun.explore(
        lambda: sqlite3.connect(tmp_path / "bank.db"),
        lambda connection: connection.execute("SELECT 1"),
        lambda _: True,
        count=2,
        execution="process",
    )
    assert result.verdict == "diverged", result.explanation
    assert "before it was forked" in str(result.explanation)


async def a_task(_: object) -> None:
    pass


def test_options_without_a_meaning_are_refused() -> None:
    def run(worker: Callable[[Any], object] = print, **options: Any) -> None:
        frontrun.explore(list, worker, lambda _: True, count=2, **{"execution": "process", **options})

    with pytest.raises(ValueError, match="no execution is called 'fork'"):
        run(execution="fork")
    with pytest.raises(TypeError, match="gil has no meaning"):
        run(gil=True)
    with pytest.raises(TypeError, match="error_on_any_race has no meaning"):
        run(error_on_any_race=True)
    with pytest.raises(TypeError, match="cannot be coroutine functions"):
        run(a_task)
