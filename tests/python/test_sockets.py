"""Threads that talk over sockets of their own: nobody hangs, and every order of what is sent and taken runs once."""

from __future__ import annotations

import http.server
import select
import selectors
import socket
import socketserver
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from frontrun.dpor import InterleavingResult, explore_dpor

Thread = Callable[[Any], object]


def explore(
    setup: Callable[[], Any], threads: Sequence[Thread], holds: Thread = lambda _: True, **options: Any
) -> InterleavingResult:
    return explore_dpor(setup, threads, holds, stop_on_first=False, total_timeout=50, **options)


def listen() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def serve(server: socket.socket) -> None:
    connection = server.accept()[0]
    with connection:
        assert connection.recv(10) == b"question"
        connection.sendall(b"answer")


def ask(server: socket.socket) -> None:
    with socket.create_connection(server.getsockname()) as connection:
        connection.sendall(b"question")
        assert connection.recv(10) == b"answer"


def test_a_conversation_has_one_order() -> None:
    for threads in ([serve, ask], [ask, serve]):
        result = explore(listen, threads)
        assert (result.verdict, result.num_explored) == ("exhausted", 1), result.explanation


def test_a_conversation_over_a_local_socket_has_one_order(tmp_path: Path) -> None:
    def listen_there() -> socket.socket:
        path = tmp_path / "socket"
        path.unlink(missing_ok=True)
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(path))
        server.listen()
        return server

    def ask_there(server: socket.socket) -> None:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(server.getsockname())
            connection.sendall(b"question")
            assert connection.recv(10) == b"answer"

    for threads in ([serve, ask_there], [ask_there, serve]):
        result = explore(listen_there, threads)
        assert (result.verdict, result.num_explored) == ("exhausted", 1), result.explanation


def test_a_conversation_over_a_pair_has_one_order() -> None:
    def begin(pair: tuple[socket.socket, socket.socket]) -> None:
        pair[0].sendall(b"question")
        assert pair[0].recv(10) == b"answer"

    def reply(pair: tuple[socket.socket, socket.socket]) -> None:
        assert pair[1].recv(10) == b"question"
        pair[1].sendall(b"answer")

    for threads in ([begin, reply], [reply, begin]):
        result = explore(socket.socketpair, threads)
        assert (result.verdict, result.num_explored) == ("exhausted", 1), result.explanation


def test_what_was_sent_in_two_parts_is_received_in_one_or_two() -> None:
    # The second part is sent before the first receipt or after it.
    def send(pair: list[Any]) -> None:
        pair[0].send(b"a")
        pair[0].send(b"b")

    def receive(pair: list[Any]) -> None:
        first = pair[1].recv(10)
        pair.append([first, *([pair[1].recv(10)] if len(first) == 1 else [])])

    result = explore(lambda: list(socket.socketpair()), [send, receive], observe=lambda pair: pair[2])
    assert (result.verdict, result.num_explored) == ("exhausted", 2), result.explanation
    assert set(result.outcomes) == {"[b'ab']", "[b'a', b'b']"}


def test_connections_of_their_own_are_independent() -> None:
    # Two pairs, two conversations, no common state.
    def converse(number: int) -> list[Thread]:
        return [
            lambda pairs: (pairs[number][0].send(b"x"), pairs[number][0].recv(1)),
            lambda pairs: (pairs[number][1].recv(1), pairs[number][1].send(b"y")),
        ]

    result = explore(lambda: [socket.socketpair(), socket.socketpair()], [*converse(0), *converse(1)])
    assert (result.verdict, result.num_explored) == ("exhausted", 1), result.explanation


def test_who_writes_nothing_does_not_ask_a_server() -> None:
    # Two pairs: that nothing is written there is nobody's request to a server that both would ask.
    def write_nothing(number: int) -> Thread:
        return lambda pairs: (pairs[number][0].send(b""), pairs[number][0].shutdown(socket.SHUT_WR))

    result = explore(lambda: [socket.socketpair(), socket.socketpair()], [write_nothing(0), write_nothing(1)])
    assert (result.verdict, result.num_explored) == ("exhausted", 1), result.explanation


def test_two_clients_come_in_either_order() -> None:
    # Two orders of the connections, and the second comes before or after the first is accepted.
    def accept_two(server: socket.socket) -> None:
        for _ in range(2):
            server.accept()[0].close()

    def come(server: socket.socket) -> None:
        socket.create_connection(server.getsockname()).detach()

    result = explore(listen, [accept_two, come, come])
    assert (result.verdict, result.num_explored) == ("exhausted", 4), result.explanation


def test_who_both_wait_for_the_other_one_are_a_deadlock() -> None:
    pair = socket.socketpair
    result = explore(pair, [lambda ends: ends[0].recv(1), lambda ends: ends[1].recv(1)])
    assert (result.verdict, result.failure_kind) == ("failed", "deadlock"), result.explanation


def test_nobody_accepts() -> None:
    result = explore(listen, [ask, lambda _: None])
    assert (result.verdict, result.failure_kind) == ("failed", "deadlock"), result.explanation
    assert "waits for something to come from " in (result.explanation or "")


def test_nobody_comes() -> None:
    def wait(server: socket.socket) -> None:
        select.select([server], [], [])

    result = explore(listen, [wait])
    assert (result.verdict, result.failure_kind) == ("failed", "deadlock"), result.explanation
    assert "waits for something to come from " in (result.explanation or "")


def test_a_connection_is_refused_before_somebody_listens() -> None:
    class Late:
        def __init__(self) -> None:
            self.socket = socket.socket()
            self.socket.bind(("127.0.0.1", 0))
            self.outcome = ""

    def begin(late: Late) -> None:
        late.socket.listen()

    def come(late: Late) -> None:
        try:
            socket.create_connection(late.socket.getsockname()).close()
            late.outcome = "accepted"
        except ConnectionRefusedError:
            late.outcome = "refused"

    result = explore(Late, [begin, come], observe=lambda late: late.outcome)
    assert (result.verdict, result.num_explored) == ("exhausted", 2), result.explanation
    assert set(result.outcomes) == {"'accepted'", "'refused'"}


def test_an_address_belongs_to_who_claims_it_first() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]

    def claim(taken: list[str]) -> None:
        try:
            socket.socket().bind(("127.0.0.1", port))
            taken.append("taken")
        except OSError:
            taken.append("refused")

    result = explore(list, [claim, claim], observe=sorted)
    assert result.verdict == "exhausted", result.explanation
    assert result.num_explored >= 2


def by_poll(connection: socket.socket) -> None:
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    assert poll.poll() == [(connection.fileno(), select.POLLIN)]


def by_select(connection: socket.socket) -> None:
    assert select.select([connection], [], []) == ([connection], [], [])


def by_epoll(connection: socket.socket) -> None:
    with select.epoll() as epoll:
        epoll.register(connection, select.EPOLLIN)
        assert epoll.poll(60) == [(connection.fileno(), select.EPOLLIN)]


def by_selector(connection: socket.socket) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        assert len(selector.select(60)) == 1


def by_timeout(connection: socket.socket) -> None:
    connection.settimeout(60)


@pytest.mark.parametrize("wait", [by_poll, by_select, by_epoll, by_selector, by_timeout])
def test_who_polls_waits(wait: Callable[[socket.socket], None]) -> None:
    def receive(pair: tuple[socket.socket, socket.socket]) -> None:
        wait(pair[1])
        assert pair[1].recv(10) == b"x"

    began = time.monotonic()
    for threads in ([receive, lambda pair: pair[0].send(b"x")], [lambda pair: pair[0].send(b"x"), receive]):
        result = explore(socket.socketpair, threads)
        assert (result.verdict, result.num_explored) == ("exhausted", 1), result.explanation
    assert time.monotonic() - began < 50


def test_a_wait_with_a_limit_ends_when_nobody_can_go_on() -> None:
    def receive(pair: tuple[socket.socket, socket.socket]) -> None:
        pair[1].settimeout(1000)
        with pytest.raises(TimeoutError):
            pair[1].recv(10)
        assert select.select([pair[1]], [], [], 1000) == ([], [], [])

    began = time.monotonic()
    result = explore(socket.socketpair, [receive, lambda _: None])
    assert result.verdict == "exhausted", result.explanation
    assert time.monotonic() - began < 50


def test_a_poll_sees_what_is_there_and_does_not_wait() -> None:
    def look(pair: list[Any]) -> None:
        pair.append(bool(select.select([pair[1]], [], [], 0)[0]))

    result = explore(
        lambda: list(socket.socketpair()), [look, lambda pair: pair[0].send(b"x")], observe=lambda pair: pair[2]
    )
    assert (result.verdict, result.num_explored) == ("exhausted", 2), result.explanation
    assert set(result.outcomes) == {"True", "False"}


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.sendall(self.request.recv(10).upper())


def test_a_socket_server_answers() -> None:
    def run(server: socketserver.TCPServer) -> None:
        server.serve_forever()
        server.server_close()

    def come(server: socketserver.TCPServer) -> None:
        with socket.create_connection(("127.0.0.1", server.server_address[1])) as connection:
            connection.sendall(b"hello")
            assert connection.recv(10) == b"HELLO"
        server.shutdown()

    result = explore(lambda: socketserver.TCPServer(("127.0.0.1", 0), Echo), [run, come])
    assert result.verdict == "exhausted", result.explanation


class Counting(http.server.BaseHTTPRequestHandler):
    count = 0

    def do_GET(self) -> None:
        before = Counting.count
        Counting.count = before + 1
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        pass


def visit(server: http.server.HTTPServer) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/", timeout=60) as answer:
        assert answer.read() == b"ok"


def test_a_web_server_is_asked() -> None:
    def run(server: http.server.HTTPServer) -> None:
        server.handle_request()
        server.server_close()

    setup = lambda: http.server.HTTPServer(("127.0.0.1", 0), Counting)  # noqa: E731
    result = explore(setup, [run, visit], lambda _: Counting.count == 1)
    assert result.verdict == "exhausted", result.explanation


def test_a_web_server_with_threads_loses_an_update() -> None:
    def setup() -> http.server.ThreadingHTTPServer:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Counting)
        server.daemon_threads = False
        return server

    def run(server: http.server.HTTPServer) -> None:
        server.handle_request()
        server.handle_request()
        server.server_close()

    result = explore_dpor(setup, [run, visit, visit], lambda _: Counting.count == 2, total_timeout=50)
    assert (result.verdict, result.failure_kind) == ("failed", "invariant"), result.explanation


def test_a_channel_that_is_full_is_not_followed() -> None:
    result = explore(socket.socketpair, [lambda pair: pair[0].sendall(b"x" * 10_000_000), lambda pair: pair[1].recv(1)])
    assert result.verdict == "diverged"
    assert "bytes to be moved" in (result.explanation or "")


def test_a_file_that_the_system_sends_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")

    def send(pair: tuple[socket.socket, socket.socket]) -> None:
        with (tmp_path / "file").open("rb") as file:
            pair[0].sendfile(file)

    result = explore(socket.socketpair, [send, lambda pair: pair[1].recv(1)])
    assert result.verdict == "diverged"
    assert "sendfile" in (result.explanation or "")
