"""Tasks that ask servers outside: the order of what they ask is explored, and of what they do with the answers."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable
from typing import Any

import pytest
import redis
import redis.asyncio
from frontrun.async_dpor import explore_async_dpor
from frontrun.common import InterleavingResult
from local_servers import served
from test_servers import COUNTER

# It greets its clients, at once or a little later, and says nothing else.
GREETER = """
import socket, sys, time
server, clients = socket.create_server(("127.0.0.1", int(sys.argv[1]))), []
while True:
    clients.append(server.accept()[0])
    time.sleep({delay})
    clients[-1].sendall(b"hello\\n")
"""
# It turns its clients away without a word.
DOORKEEPER = """
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    server.accept()[0].close()
"""
# It says more than it was asked for, but not at once.
GOSSIP = """
import socket, sys, time
server, clients = socket.create_server(("127.0.0.1", int(sys.argv[1]))), []
while True:
    clients.append(server.accept()[0])
    for answer in clients[-1].makefile("rb"):
        clients[-1].sendall(answer)
        time.sleep(0.1)
        clients[-1].sendall(answer)
"""
# It hears its clients, and says nothing.
LISTENER = """
import socket, sys
server, clients = socket.create_server(("127.0.0.1", int(sys.argv[1]))), []
while True:
    clients.append(server.accept()[0])
"""


class Counter:
    """A number at a server, and what the tasks share."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.lock = asyncio.Lock()
        self.log: list[str] = []
        self.look = socket.create_connection(("127.0.0.1", port)).makefile("rw")
        self.set(0)

    def set(self, number: int) -> None:
        self.look.write(f"set {number}\n")
        self.look.flush()
        self.look.readline()

    def number(self) -> int:
        self.look.write("get\n")
        self.look.flush()
        return int(self.look.readline())

    async def increment(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"get\n")
        number = int(await reader.readline())
        writer.write(b"set %d\n" % (number + 1))
        await reader.readline()
        writer.close()

    async def read_or_give_up(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"get\n")
        try:
            self.log.append((await asyncio.wait_for(reader.readline(), 0.5)).decode().strip())
        except TimeoutError:
            self.log.append("late")
        writer.close()

    async def increment_locked(self) -> None:
        async with self.lock:
            await self.increment()


def explore(setup: Callable[[], Any], workers: list[Any], observe: Any = repr, **how: Any) -> InterleavingResult:
    options = {"stop_on_first": False, "reproduce_on_failure": 0} | how
    return asyncio.run(explore_async_dpor(setup, workers, lambda state: True, observe=observe, **options))


def test_a_lost_update_at_an_unknown_server_is_found() -> None:
    with served(COUNTER) as port:
        result = explore(lambda: Counter(port), [Counter.increment] * 2, Counter.number)
        assert result.exhausted, result.explanation
        assert set(result.outcomes) == {"1", "2"}
        result = explore(lambda: Counter(port), [Counter.increment_locked] * 2, Counter.number)
        assert result.exhausted, result.explanation
        assert set(result.outcomes) == {"2"}


async def read_line(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await reader.readline()
    writer.close()


async def ask(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"hello\n")
    await reader.readline()
    writer.close()


async def ask_twice(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"hello\n")
    await reader.readline()
    await reader.readline()
    writer.close()


async def receive(port: int) -> None:
    loop = asyncio.get_running_loop()
    with socket.socket() as connection:
        connection.setblocking(False)
        await loop.sock_connect(connection, ("127.0.0.1", port))
        await loop.sock_recv(connection, 10)


UNASKED = "a task to wait for nothing but answers, but it waits for what a server says unasked, or in pieces"


@pytest.mark.parametrize(
    ("program", "worker", "reason"),
    [
        (GREETER.format(delay=0), read_line, UNASKED),
        (GREETER.format(delay=0.05), read_line, UNASKED),
        (GREETER.format(delay=0), receive, UNASKED),
        (GREETER.format(delay=0.05), receive, UNASKED),
        (DOORKEEPER, read_line, UNASKED),
        (GOSSIP, ask_twice, UNASKED),
        (LISTENER, ask, "a server to answer, but nothing has come in ten seconds"),
    ],
)
def test_a_server_that_speaks_unasked_or_not_at_all_cannot_be_followed(program: str, worker: Any, reason: str) -> None:
    with served(program) as port:
        result = explore(lambda: port, [worker])
        assert result.verdict == "diverged"
        assert reason in result.explanation, result.explanation


async def increment_by_hand(counter: Counter) -> None:
    loop = asyncio.get_running_loop()
    with socket.socket() as connection:
        connection.setblocking(False)
        await loop.sock_connect(connection, ("127.0.0.1", counter.port))
        await loop.sock_sendall(connection, b"get\n")
        number = await loop.sock_recv(connection, 1)
        number += await loop.sock_recv(connection, 10)
        await loop.sock_sendall(connection, b"set %d\n" % (int(number) + 1))
        await loop.sock_recv(connection, 10)


def test_an_answer_is_never_there_at_the_first_look() -> None:
    with served(COUNTER) as port:
        results = [explore(lambda: Counter(port), [increment_by_hand] * 2, Counter.number) for _ in range(5)]
    for result in results:
        assert result.exhausted, result.explanation
        assert set(result.outcomes) == {"1", "2"}
    assert len({result.num_explored for result in results}) == 1


class Shop:
    """Keys of Redis, each worker with a client of its own."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.look = redis.Redis.from_url(address)
        self.look.flushall()

    def number(self) -> int:
        return int(self.look.get("stock") or 0)  # type: ignore[arg-type]

    def client(self) -> Any:
        return redis.asyncio.Redis.from_url(self.address, decode_responses=True)

    async def get_then_set(self) -> None:
        async with self.client() as client:
            await client.set("stock", int(await client.get("stock") or 0) + 1)

    async def increment(self) -> None:
        async with self.client() as client:
            await client.incr("stock")

    async def pop(self) -> None:
        async with self.client() as client:
            await client.blpop("queue")


def test_commands_of_redis_are_ordered_in_every_way(redis_server: str) -> None:
    result = explore(lambda: Shop(redis_server), [Shop.get_then_set] * 2, Shop.number)
    assert result.exhausted, result.explanation
    assert set(result.outcomes) == {"1", "2"}
    result = explore(lambda: Shop(redis_server), [Shop.increment] * 2, Shop.number)
    assert result.exhausted, result.explanation
    assert set(result.outcomes) == {"2"}


def test_an_answer_may_come_too_late() -> None:
    with served(COUNTER) as port:
        result = explore(lambda: Counter(port), [Counter.read_or_give_up], lambda counter: counter.log)
    assert set(result.outcomes) == {"['0']", "['late']"}
    # There `wait_for` makes a task, and that data come to its stream before it has begun is not seen.
    assert result.verdict == ("exhausted" if sys.version_info >= (3, 12) else "diverged"), result.explanation


def test_a_command_that_waits_in_the_server_cannot_be_followed(redis_server: str) -> None:
    result = explore(lambda: Shop(redis_server), [Shop.pop])
    assert result.verdict == "diverged"
    assert "a command of a task not to wait, but it waits for a key" in result.explanation
