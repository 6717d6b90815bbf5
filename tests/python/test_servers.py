"""Servers that frontrun knows nothing of: their requests conflict, their answers are waited for."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from frontrun.dpor import explore_dpor
from local_servers import served

# A server with one number, which requests of one line read and set.
COUNTER = """
import socketserver, sys

class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            word, _, number = line.decode().strip().partition(" ")
            if word == "set":
                self.server.number = int(number)
            if word != "silence":
                self.wfile.write(b"%d\\n" % self.server.number)

server = socketserver.ThreadingTCPServer(("127.0.0.1", int(sys.argv[1])), Handler)
server.daemon_threads = True
server.number = 0
server.serve_forever()
"""


@pytest.fixture(scope="module")
def counter_port() -> Iterator[int]:
    with served(COUNTER) as port:
        yield port


class Client:
    def __init__(self, port: int) -> None:
        self.files = [socket.create_connection(("127.0.0.1", port)).makefile("rw") for _ in range(2)]
        self.ask(0, "set 0")

    def ask(self, number: int, request: str) -> int:
        self.files[number].write(f"{request}\n")
        self.files[number].flush()
        return int(self.files[number].readline())


def increment(number: int) -> Any:
    def run(client: Client) -> None:
        value = client.ask(number, "get")
        client.ask(number, f"set {value + 1}")

    return run


def test_a_lost_update_at_an_unknown_server_is_found(counter_port: int) -> None:
    result = explore_dpor(
        lambda: Client(counter_port),
        [increment(0), increment(1)],
        lambda client: client.ask(0, "get") == 2,
        stop_on_first=False,
    )
    # All orders of two requests each: what they do is not known.
    assert (result.verdict, result.exhausted, result.num_explored) == ("failed", True, 6), result.explanation


def test_an_answer_that_does_not_come_ends_the_run_as_diverged(counter_port: int) -> None:
    result = explore_dpor(
        lambda: Client(counter_port), [lambda client: client.ask(0, "silence"), increment(1)], lambda _: True
    )
    assert result.verdict == "diverged", result.explanation
    assert "it may be a thread that makes it so" in result.explanation


def test_a_connection_that_was_made_before_is_one_to_an_unknown_server(counter_port: int) -> None:
    client = Client(counter_port)

    def setup() -> Client:
        client.ask(0, "set 0")
        return client

    result = explore_dpor(setup, [increment(0), increment(1)], lambda _: client.ask(0, "get") == 2)
    assert result.verdict == "failed", result.explanation
