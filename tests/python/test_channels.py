"""Threads that talk over pipes and socket pairs: who has nothing to read waits, and nobody hangs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from frontrun.dpor import InterleavingResult, explore_dpor


class Pipe:
    """The two ends of a pipe, and what was read from it."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        self.got: list[bytes] = []


def explore(
    setup: Callable[[], Any], threads: list[Callable[[Any], object]], holds: Callable[[Any], object], **options: Any
) -> InterleavingResult:
    return explore_dpor(setup, threads, holds, stop_on_first=False, **options)


def test_a_reader_waits_for_the_writer() -> None:
    def read(pipe: Pipe) -> None:
        pipe.got.append(os.read(pipe.reading, 10))

    def write(pipe: Pipe) -> None:
        os.write(pipe.writing, b"hello")

    for threads in ([read, write], [write, read]):
        result = explore(Pipe, threads, lambda pipe: pipe.got == [b"hello"])
        assert result.verdict == "exhausted", result.explanation


def test_two_readers_of_one_message_are_a_deadlock() -> None:
    def read(pipe: Pipe) -> None:
        os.read(pipe.reading, 10)

    def write(pipe: Pipe) -> None:
        os.write(pipe.writing, b"hello")

    result = explore(Pipe, [read, read, write], lambda _: True)
    assert (result.verdict, result.failure_kind) == ("failed", "deadlock"), result.explanation
    assert "waits for something to come from " in (result.explanation or "")


def test_the_order_of_two_writers_is_explored() -> None:
    def read(pipe: Pipe) -> None:
        pipe.got.append(os.read(pipe.reading, 1))
        pipe.got.append(os.read(pipe.reading, 1))

    def writer(text: bytes) -> Callable[[Pipe], object]:
        return lambda pipe: os.write(pipe.writing, text)

    result = explore(Pipe, [read, writer(b"a"), writer(b"b")], lambda _: True, observe=lambda pipe: pipe.got)
    assert result.exhausted, result.explanation
    assert set(result.outcomes) == {"[b'a', b'b']", "[b'b', b'a']"}


def test_the_end_of_a_pipe_wakes_its_reader() -> None:
    def read(pipe: Pipe) -> None:
        while part := os.read(pipe.reading, 10):
            pipe.got.append(part)

    def write(pipe: Pipe) -> None:
        os.write(pipe.writing, b"hello")
        os.close(pipe.writing)

    result = explore(Pipe, [read, write], lambda pipe: pipe.got == [b"hello"])
    assert result.verdict == "exhausted", result.explanation


def test_two_ends_of_a_socket_pair_converse() -> None:
    def ask(pair: tuple[socket.socket, socket.socket]) -> None:
        pair[0].sendall(b"question")
        assert pair[0].recv(10) == b"answer"

    def answer(pair: tuple[socket.socket, socket.socket]) -> None:
        assert pair[1].recv(10) == b"question"
        pair[1].sendall(b"answer")

    for threads in ([ask, answer], [answer, ask]):
        result = explore(socket.socketpair, threads, lambda _: True)
        assert result.verdict == "exhausted", result.explanation


def test_a_child_process_is_waited_for_in_real_time() -> None:
    def run(_: object) -> None:
        done = subprocess.run([sys.executable, "-c", "print('hello')"], capture_output=True, check=True)
        assert done.stdout == b"hello\n"

    result = explore(lambda: None, [run], lambda _: True)
    assert result.verdict == "exhausted", result.explanation


@pytest.mark.parametrize("blocking", [True, False])
def test_a_descriptor_that_does_not_block_reports_that(blocking: bool) -> None:
    def read(pipe: Pipe) -> None:
        os.set_blocking(pipe.reading, blocking)
        try:
            pipe.got.append(os.read(pipe.reading, 10))
        except BlockingIOError:
            pipe.got.append(b"nothing")

    def write(pipe: Pipe) -> None:
        os.write(pipe.writing, b"hello")

    result = explore(Pipe, [read, write], lambda _: True, observe=lambda pipe: pipe.got)
    assert result.exhausted, result.explanation
    assert set(result.outcomes) == {"[b'hello']"} | (set() if blocking else {"[b'nothing']"})


SERVER = """
import socket, time
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
while True:
    peer = server.accept()[0]
    time.sleep(0.1)
    peer.sendall(b"hello")
    peer.close()
"""


def test_a_server_in_another_process_is_waited_for() -> None:
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())

        def ask(_: object) -> None:
            with socket.create_connection(("127.0.0.1", port)) as connection:
                assert connection.recv(10) == b"hello"

        result = explore(lambda: None, [ask, ask], lambda _: True)
        server.kill()
    assert result.verdict == "exhausted", result.explanation
