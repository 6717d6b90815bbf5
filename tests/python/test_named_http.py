"""A web server of the program's own by name: what two of its clients lose without a lock, and do not with one."""

from __future__ import annotations

import http.client
import http.server
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from frontrun.dpor import explore_dpor

Server = http.server.HTTPServer
Client = Callable[[Server], object]

LOCK = threading.Lock()


class Shop(http.server.BaseHTTPRequestHandler):
    """Keeps JSON values by path."""

    kept: dict[str, Any]

    def do_GET(self) -> None:
        self.reply(json.dumps(self.kept[self.path]))

    def do_PUT(self) -> None:
        self.kept[self.path] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.reply("")

    def reply(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


def ask(server: Server, method: str, path: str, value: Any = None) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    connection.request(method, path, None if value is None else json.dumps(value))
    answer = connection.getresponse().read().decode()
    connection.close()
    return answer


def get(server: Server, path: str) -> Any:
    return json.loads(ask(server, "GET", path))


def count(server: Server) -> None:
    ask(server, "PUT", "/count", get(server, "/count") + 1)


def configure(key: str) -> Client:
    def client(server: Server) -> None:
        ask(server, "PUT", "/settings", {**get(server, "/settings"), key: True})

    return client


def transfer(server: Server) -> None:
    ask(server, "PUT", "/from", get(server, "/from") - 10)
    ask(server, "PUT", "/to", get(server, "/to") + 10)


def buy(server: Server) -> None:
    """Buy the last one if there is one. The server awaits two requests of each client."""
    stock = get(server, "/stock")
    ask(server, "PUT", "/stock", max(stock - 1, 0))
    Shop.kept["sold"] += stock


def locked(client: Client) -> Client:
    def alone(server: Server) -> None:
        with LOCK:
            client(server)

    return alone


# The clients, how many requests they make together, and what holds.
PROGRAMS: dict[str, tuple[list[Client], int, Callable[[dict[str, Any]], bool]]] = {
    "count": ([count] * 2, 4, lambda kept: kept["/count"] == 2),
    "settings": ([configure("a"), configure("b")], 4, lambda kept: len(kept["/settings"]) == 2),
    "transfer": ([transfer] * 2, 8, lambda kept: (kept["/from"], kept["/to"]) == (0, 40)),
    "stock": ([buy] * 2, 4, lambda kept: kept["sold"] == 1),
}


def explore(name: str, clients: list[Client], requests: int) -> Any:
    def setup() -> Server:
        Shop.kept = {"/count": 0, "/settings": {}, "/from": 20, "/to": 20, "/stock": 1, "sold": 0}
        return Server(("127.0.0.1", 0), Shop)

    def serve(server: Server) -> None:
        for _ in range(requests):
            server.handle_request()
        server.server_close()

    holds = PROGRAMS[name][2]
    return explore_dpor(setup, [serve, *clients], lambda _: holds(Shop.kept))


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_lost_update_is_found(name: str) -> None:
    clients, requests, _ = PROGRAMS[name]
    result = explore(name, clients, requests)
    assert (result.verdict, result.failure_kind) == ("failed", "invariant"), result.explanation
    assert result.reproduction_successes == result.reproduction_attempts > 0


@pytest.mark.parametrize("name", ["count"])
def test_none_is_lost_under_a_lock(name: str) -> None:
    clients, requests, _ = PROGRAMS[name]
    result = explore(name, [locked(client) for client in clients], requests)
    assert result.verdict == "exhausted", result.explanation
