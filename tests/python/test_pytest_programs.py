"""Tests of ordinary pytest suites: where their runs fork, and what a replay in another process has to find alike."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Explore = Callable[..., tuple[int, dict[str, Any]]]
Run = Callable[..., "subprocess.CompletedProcess[str]"]

POOL = """
from concurrent.futures import ThreadPoolExecutor

class Counter:
    def __init__(self):
        self.calls = 0
    def __call__(self, _):
        before = self.calls
        self.calls = before + 1
        return self

def test_every_call_is_counted():
    print("printed before")
    counter = Counter()
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(counter, range(2)))
    assert counter.calls == 2, counter
"""

TWO_TESTS = """
import threading

def test_writes_a_file(tmp_path):
    (tmp_path / "note").write_text("x")

def test_counts(tmp_path):
    path = tmp_path / "started"
    assert not path.exists()
    path.write_text("x")
    count = [0]
    def increment():
        before = count[0]
        count[0] = before + 1
    threads = [threading.Thread(target=increment) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count[0] == 2
"""


# Plugins that happen to be installed would be imported and recorded in every run.
PYTEST = ("pytest", "-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-p", "no:asyncio", "-p", "no:xdist")


def suite(tmp_path: Path, text: str) -> str:
    path = tmp_path / "test_suite.py"
    path.write_text(text)
    return path.name


def test_a_pool_started_under_a_lock_is_explored_and_its_failure_replays_elsewhere(
    explore: Explore, frontrun: Run, tmp_path: Path
) -> None:
    """The thread starts while a lock is held that is taken around every fork; threads are kept in a set."""
    code, answer = explore(*PYTEST, suite(tmp_path, POOL))
    assert (code, answer["verdict"]) == (1, "failed")
    failure = answer["failures"][0]
    assert failure["kind"] == "assertion"
    assert "test_every_call_is_counted" in failure["message"]
    replayed = frontrun("replay", failure["trace"], "--times", 10)
    assert "10/10" in replayed.stdout, replayed.stdout


def test_each_run_has_the_captured_output_to_itself(explore: Explore, tmp_path: Path) -> None:
    """All runs fork inside a test whose output is captured in a file that they would otherwise share."""
    code, answer = explore("--keep-going", "--max-executions", 60, *PYTEST, suite(tmp_path, POOL))
    assert code == 1
    for failure in answer["failures"]:
        output = (tmp_path / failure["trace"]).with_suffix(".out").read_text()
        assert output.count("\nprinted before\n") == 1
        assert "1 failed" in output


def test_runs_fork_before_the_test_that_touches_files(explore: Explore, tmp_path: Path) -> None:
    code, answer = explore("--keep-going", *PYTEST, suite(tmp_path, TWO_TESTS))
    assert (code, answer["executions"], len(answer["failures"])) == (1, 4, 2)
    assert all("test_counts" in failure["message"] for failure in answer["failures"])


SERVED = """
import socket, threading

# Some libraries ask at their import whether there is an address to be had.
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))

def test_counts_what_was_asked_for(tmp_path):
    server = socket.create_server(("127.0.0.1", 0))
    asked = []
    def serve():
        for _ in range(2):
            with server.accept()[0] as peer:
                asked.append(peer.recv(10))
    threading.Thread(target=lambda: (serve(), server.accept()), daemon=True).start()
    def ask(text):
        with socket.create_connection(server.getsockname()) as connection:
            connection.sendall(text)
            connection.recv(1)
        (tmp_path / text.decode()).write_text("x")
    threads = [threading.Thread(target=ask, args=(text,)) for text in (b"one", b"two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(asked) == [b"one", b"two"]
"""


def test_a_test_with_a_server_is_exhausted_although_pytest_tidies_up(explore: Explore, tmp_path: Path) -> None:
    """The folders of earlier executions are removed by later ones, while the server's daemon thread still waits."""
    code, answer = explore(*PYTEST, suite(tmp_path, SERVED))
    assert (code, answer["verdict"]) == (0, "exhausted"), answer
    assert answer["executions"] >= 4


WITH_C_CODE = """
import ctypes, ctypes.util, os, socket, threading

began = os.getpid()
server = socket.create_server(("127.0.0.1", 0))
address = (ctypes.c_uint8 * 16)(2, 0, *server.getsockname()[1].to_bytes(2, "big"), 127, 0, 0, 1)
client = socket.socket()
{call}
client.close()
server.close()

def test_starts_a_thread_in_the_process_that_began():
    thread = threading.Thread(target=print)
    thread.start()
    thread.join()
    assert os.getpid() == began
"""


@pytest.mark.parametrize(
    ("call", "is_late"),
    [
        ("ctypes.pythonapi.PyGILState_Check()", True),
        ("ctypes.CDLL(None).getpid()", True),
        ('ctypes.util.find_library("m")', True),
        ('ctypes.CDLL(None).mkdir(b"made", 0o700)', False),
        ('ctypes.CDLL("libc.so.6").mkdir(b"made", 0o700)', False),
        ('ctypes.CDLL("libc.so.6").connect(client.fileno(), address, 16)', False),
        ('ctypes.CDLL(None).system(b"true")', False),
    ],
)
def test_runs_fork_behind_c_code_unless_it_touches_what_is_outside(
    explore: Explore, tmp_path: Path, call: str, is_late: bool
) -> None:
    code, _ = explore(*PYTEST, suite(tmp_path, WITH_C_CODE.format(call=call)))
    assert code == (1 if is_late else 0)
