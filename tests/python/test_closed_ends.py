"""Ends of pipes and connections that one thread closes while another uses them: each order is explored.

The expected outcomes are those that POSIX allows; the numbers of classes are counted by hand. Who uses a socket reads
its descriptor, then calls the system; who closes it takes the descriptor away, then has the system close it. So there
are three orders of a call and a `close`: the descriptor is gone, or it is closed meanwhile, or in use before.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

import pytest
from frontrun.common import InterleavingResult
from frontrun.dpor import explore_dpor


class Ends:
    """The two ends of a connection or a pipe, and what one thread has found."""

    def __init__(self, kind: str) -> None:
        self.found: Any = None
        if kind == "pipe":
            self.reading, self.writing = os.pipe()
        elif kind == "pair":
            self.one, self.other = socket.socketpair()
        else:
            with socket.create_server(("127.0.0.1", 0)) as server:
                self.one = socket.create_connection(server.getsockname())
                self.other = server.accept()[0]


def found(use: Callable[[Ends], object]) -> Callable[[Ends], object]:
    def thread(ends: Ends) -> None:
        try:
            ends.found = use(ends)
        except OSError as error:
            ends.found = type(error).__name__

    return thread


def explore(setup: Callable[[], Ends], threads: list[Any]) -> InterleavingResult:
    return explore_dpor(
        setup,
        threads,
        lambda _: True,
        observe=lambda ends: ends.found,
        stop_on_first=False,
        reproduce_on_failure=0,
    )


def send(ends: Ends) -> int:
    return ends.one.send(b"x")


def send_nothing(ends: Ends) -> int:
    return ends.one.send(b"")


def write(ends: Ends) -> int:
    return os.write(ends.writing, b"x")


def shut(ends: Ends) -> None:
    ends.one.shutdown(socket.SHUT_WR)


def close(ends: Ends) -> None:
    ends.one.close()


def close_other(ends: Ends) -> None:
    ends.other.close()


def close_writing(ends: Ends) -> None:
    os.close(ends.writing)


@pytest.mark.parametrize("comes_first", [True, False])
@pytest.mark.parametrize(
    ("kind", "use", "other", "outcomes", "classes"),
    [
        ("pair", send, shut, {"1", "'BrokenPipeError'"}, 2),
        ("pair", send_nothing, shut, {"0", "'BrokenPipeError'"}, 2),
        ("pair", send, close, {"1", "'OSError'"}, 3),
        ("pair", send_nothing, close, {"0", "'OSError'"}, 3),
        ("pair", send, close_other, {"1", "'BrokenPipeError'"}, 2),
        ("pair", send_nothing, close_other, {"0", "'BrokenPipeError'"}, 2),
        ("connection", send, shut, {"1", "'BrokenPipeError'"}, 2),
        ("connection", send_nothing, shut, {"0", "'BrokenPipeError'"}, 2),
        ("connection", send, close, {"1", "'OSError'"}, 3),
        ("connection", send_nothing, close, {"0", "'OSError'"}, 3),
        # Where a connection of TCP ends, nobody is told before it has sent something.
        ("connection", send_nothing, close_other, {"0"}, 1),
        ("pipe", write, close_writing, {"1", "'OSError'"}, 2),
    ],
)
def test_who_writes_finds_the_end_open_or_closed(
    kind: str, use: Any, other: Any, outcomes: set[str], classes: int, comes_first: bool
) -> None:
    threads = [found(use), other] if comes_first else [other, found(use)]
    result = explore(lambda: Ends(kind), threads)
    assert result.exhausted, result.explanation
    assert (set(result.outcomes), result.num_explored) == (outcomes, classes)


@pytest.mark.parametrize("comes_first", [True, False])
@pytest.mark.parametrize("kind", ["pair", "connection"])
def test_who_reads_finds_what_is_there_or_the_end_closed(kind: str, comes_first: bool) -> None:
    def setup() -> Ends:
        ends = Ends(kind)
        ends.other.send(b"abc")
        return ends

    read = found(lambda ends: ends.one.recv(5))
    result = explore(setup, [read, close] if comes_first else [close, read])
    assert result.exhausted, result.explanation
    assert (set(result.outcomes), result.num_explored) == ({"b'abc'", "'OSError'"}, 3)


class Listener(Ends):
    """A socket that listens, and a client that waits there."""

    def __init__(self) -> None:
        self.found = None
        self.one = socket.create_server(("127.0.0.1", 0))
        self.other = socket.create_connection(self.one.getsockname())


@pytest.mark.parametrize("comes_first", [True, False])
def test_who_accepts_finds_who_is_there_or_the_socket_closed(comes_first: bool) -> None:
    # Who has accepted a connection looks at the socket once more, so that there are four orders.
    accept = found(lambda ends: bool(ends.one.accept()))
    result = explore(Listener, [accept, close] if comes_first else [close, accept])
    assert result.exhausted, result.explanation
    assert (set(result.outcomes), result.num_explored) == ({"True", "'OSError'"}, 4)


@pytest.mark.parametrize("comes_first", [True, False])
@pytest.mark.parametrize("kind", ["pair", "connection"])
def test_who_waits_at_an_end_that_is_closed_waits_for_ever(kind: str, comes_first: bool) -> None:
    read = found(lambda ends: ends.one.recv(5))
    result = explore(lambda: Ends(kind), [read, close] if comes_first else [close, read])
    assert (result.verdict, result.failure_kind) == ("failed", "deadlock"), result.explanation
    assert set(result.outcomes) == {"'OSError'"}
