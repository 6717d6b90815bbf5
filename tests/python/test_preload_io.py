"""The dispatcher of I/O events, in processes with the library preloaded and without."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from frontrun._preload_io import IOEventDispatcher, PreloadIOEvent

SCRIPT = """
import os, socket, subprocess, sys, threading
from frontrun._preload_io import IOEventDispatcher
path, preloaded = sys.argv[1], "libfrontrun_io" in os.environ.get("LD_PRELOAD", "")
assert preloaded == (sys.argv[2] == "preloaded")
heard = []
with IOEventDispatcher() as dispatcher:
    dispatcher.add_listener(heard.append)
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    os.write(fd, b"x")
    os.pread(fd, 1, 0)
    os.close(fd)
    events = [event for event in dispatcher.poll() if event.resource_id == f"file:{path}"]
    assert [event.kind for event in events] == ["write", "write", "read", "close"], events
    assert {event.pid for event in events} == {os.getpid()}
    assert {event.tid for event in events} == {threading.get_native_id()}
    assert all(event.fd == fd for event in events), events
    assert dispatcher.poll() == []
    child = "import os; os.close(os.open(os.sys.argv[1], os.O_RDONLY))"
    done = subprocess.Popen([sys.executable, "-c", child, path], pass_fds=[dispatcher.fd])
    done.wait()
    theirs = [event for event in dispatcher.poll() if event.pid == done.pid and event.resource_id == f"file:{path}"]
    assert [event.kind for event in theirs] == (["read", "close"] if preloaded else []), theirs
    left, right = socket.socketpair()
    left.send(b"x"); right.recv(1)
    kinds = [event.kind for event in dispatcher.poll() if event.resource_id == "socketpair"]
    assert kinds[-2:] == ["write", "read"], kinds
    dispatcher.remove_listener(heard.append)
before = len(dispatcher.events)
os.close(os.open(path, os.O_RDONLY))
assert len(dispatcher.events) == before == len(heard)
assert dispatcher.lost == 0
"""


@pytest.mark.parametrize("how", ["preloaded", "attached"])
def test_calls_become_events(tmp_path: Path, how: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    command = [sys.executable, script, tmp_path / "file", how]
    if how == "preloaded":
        command = [sys.executable, "-m", "frontrun", "python", *command[1:]]
    done = subprocess.run(
        [*map(str, command)], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


def test_many_threads_and_a_slow_listener_lose_nothing_that_fits(tmp_path: Path) -> None:
    def work(number: int) -> None:
        for _ in range(20):
            (tmp_path / str(number)).write_text("x")

    with IOEventDispatcher() as dispatcher:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        events = dispatcher.poll()
    for number in range(4):
        writes = [event for event in events if event.resource_id == f"file:{tmp_path}/{number}"]
        assert len([event for event in writes if event.kind == "close"]) + dispatcher.lost >= 20


def test_a_listener_that_fails_does_not_end_the_reading(capfd: pytest.CaptureFixture[str]) -> None:
    def fail(_: PreloadIOEvent) -> None:
        raise LookupError("no such listener")

    with IOEventDispatcher() as dispatcher:
        dispatcher.add_listener(fail)
        left, right = socket.socketpair()
        left.close()
        right.close()
        assert [event.kind for event in dispatcher.poll()] == ["socketpair", "close", "close"]
    assert "LookupError: no such listener" in capfd.readouterr().err


def test_a_dispatcher_is_started_once() -> None:
    with IOEventDispatcher() as dispatcher, pytest.raises(RuntimeError):
        dispatcher.start()
