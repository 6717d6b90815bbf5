"""Workers that are processes and meet in servers: what they wait for, how they end, and what is not followed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import frontrun
import psycopg
import psycopg2
import pytest
import redis
from frontrun.common import InterleavingResult
from test_servers import counter_port  # noqa: F401

Worker = Callable[[Any], object]
DRIVERS: dict[str, Callable[[str], Any]] = {"psycopg": psycopg.connect, "psycopg2": psycopg2.connect}


class Bank:
    """A table with two accounts, and how to come to it."""

    def __init__(self, address: str, driver: str = "psycopg") -> None:
        self.address, self.driver = address, driver
        self.do(
            "CREATE TABLE IF NOT EXISTS deposit (id int PRIMARY KEY, balance int NOT NULL)",
            "DELETE FROM deposit",
            "INSERT INTO deposit VALUES (1, 0), (2, 0)",
        )

    def do(self, *statements: str, end: str = "commit") -> list[Any]:
        """Execute statements in a transaction on a new connection; what the last one has found."""
        connection = DRIVERS[self.driver](self.address)
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        found = list(cursor.fetchall()) if cursor.description else []
        getattr(connection, end)()
        connection.close()
        return found

    def balances(self) -> list[int]:
        return [row[0] for row in self.do("SELECT balance FROM deposit ORDER BY id")]


def add(row: int) -> str:
    return f"UPDATE deposit SET balance = balance + 1 WHERE id = {row}"


def explore(
    setup: Callable[[], Any], workers: list[Worker], holds: Callable[[Any], bool] = lambda _: True, **options: Any
) -> InterleavingResult:
    return frontrun.explore(setup, workers, holds, execution="process", stop_on_first=False, **options)


@pytest.mark.parametrize("driver", DRIVERS)
def test_rows_that_are_locked_in_two_orders_are_a_deadlock(postgres: str, driver: str) -> None:
    workers: list[Worker] = [lambda bank: bank.do(add(1), add(2)), lambda bank: bank.do(add(2), add(1))]
    result = explore(lambda: Bank(postgres, driver), workers, observe=Bank.balances)
    assert (result.verdict, result.num_explored, result.outcomes) == ("failed", 3, {"[2, 2]": 2}), result.explanation
    assert {failure.kind for failure in result.failures} == {"deadlock"}
    assert "t0.0 waits for the lock of deposit[id=2], which t0.1 took at" in str(result.explanation)
    assert "process 0 (<lambda>)" in str(result.explanation)
    assert result.reproduced == (10, 10)


def test_a_statement_that_waits_in_the_server_goes_on_after_the_other_transaction(postgres: str) -> None:
    everywhere = "UPDATE deposit SET balance = balance + 1"
    workers: list[Worker] = [lambda bank: bank.do(everywhere)] * 2
    result = explore(lambda: Bank(postgres), workers, lambda bank: bank.balances() == [2, 2])
    # Each order, and for each whether the second statement came before the first commit.
    assert (result.verdict, result.num_explored) == ("exhausted", 4), result.explanation


@pytest.mark.parametrize("end", [lambda: os._exit(0), lambda: sys.exit(), lambda: None])
def test_the_end_of_a_process_rolls_its_transaction_back(postgres: str, end: Callable[[], object]) -> None:
    def leave(bank: Bank) -> None:
        bank.connection = psycopg.connect(bank.address)  # type: ignore[attr-defined]
        bank.connection.execute(add(1))  # type: ignore[attr-defined]
        end()

    workers: list[Worker] = [leave, lambda bank: bank.do(add(1))]
    result = explore(lambda: Bank(postgres), workers, lambda bank: bank.balances() == [1, 0])
    assert (result.verdict, result.num_explored) == ("exhausted", 2), result.explanation


def test_a_failing_execution_is_replayed_by_a_new_process(tmp_path: Path, postgres: str) -> None:
    script = tmp_path / "lost.py"
    script.write_text(
        "import frontrun, psycopg, sys\n"
        "def connect():\n"
        "    return psycopg.connect(sys.argv[1], autocommit=True)\n"
        "def setup():\n"
        "    connection = connect()\n"
        "    connection.execute('CREATE TABLE IF NOT EXISTS lost (id int PRIMARY KEY, balance int)')\n"
        "    connection.execute('DELETE FROM lost')\n"
        "    connection.execute('INSERT INTO lost VALUES (1, 0)')\n"
        "def balance():\n"
        "    return connect().execute('SELECT balance FROM lost WHERE id = 1').fetchone()[0]\n"
        "def add(_):\n"
        "    connection = connect()\n"
        "    (found,) = connection.execute('SELECT balance FROM lost WHERE id = 1').fetchone()\n"
        "    connection.execute('UPDATE lost SET balance = %s WHERE id = 1', (found + 1,))\n"
        "result = frontrun.explore(setup, add, lambda _: balance() == 2, count=2, execution='process',\n"
        "    trace_dir=sys.argv[2])\n"
        "print(result.failures[0].trace)\n"
    )
    command = [sys.executable, str(script), postgres, str(tmp_path / "traces")]
    trace = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path).stdout.strip()
    replay = [sys.executable, "-m", "frontrun", "replay", trace]
    again = subprocess.run(replay, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert again.returncode == 1, again.stdout + again.stderr
    assert "invariant" in again.stdout, again.stdout


@pytest.fixture
def shop(redis_server: str) -> Callable[[], str]:
    def setup() -> str:
        with redis.Redis.from_url(redis_server) as client:
            client.flushall()
        return redis_server

    return setup


def test_commands_that_are_sent_together_are_steps_of_their_own(shop: Callable[[], str]) -> None:
    def both(address: str) -> None:
        client = redis.Redis.from_url(address)
        assert client.pipeline(transaction=False).incr("a").incr("b").execute() == [1, 1]

    def look(address: str) -> None:
        a, b = redis.Redis.from_url(address).mget("a", "b")
        assert a == b

    # Before, between, and after.
    result = explore(shop, [both, look])
    assert (result.verdict, result.exhausted, result.num_explored) == ("failed", True, 3), result.explanation


@pytest.mark.parametrize(("key", "verdict", "n"), [("jobs", "exhausted", 2), ("other", "failed", 1)])
def test_a_process_waits_for_a_key(shop: Callable[[], str], key: str, verdict: str, n: int) -> None:
    def take(address: str) -> None:
        assert list(redis.Redis.from_url(address).blpop(["jobs"])) == [b"jobs", b"x"]

    result = explore(shop, [take, lambda address: redis.Redis.from_url(address).rpush(key, "x")])
    assert (result.verdict, result.num_explored) == (verdict, n), result.explanation
    assert [failure.kind for failure in result.failures] == ["deadlock"] * (verdict == "failed")


def test_a_wait_for_a_key_that_nobody_makes_is_given_up(shop: Callable[[], str]) -> None:
    def take(address: str) -> None:
        assert redis.Redis.from_url(address).blpop(["jobs"], timeout=0.05) is None

    result = explore(shop, [take, lambda address: redis.Redis.from_url(address).set("a", 1)])
    assert (result.verdict, result.num_explored) == ("exhausted", 1), result.explanation


def test_a_lost_update_at_an_unknown_server_is_found(counter_port: int) -> None:  # noqa: F811
    def ask(*requests: str) -> int:
        with socket.create_connection(("127.0.0.1", counter_port)) as connection, connection.makefile("rw") as file:
            for request in requests:
                file.write(f"{request}\n")
                file.flush()
                answer = int(file.readline())
        return answer

    def increment(_: object) -> None:
        ask(f"set {ask('get') + 1}")

    result = explore(lambda: ask("set 0"), [increment, increment], lambda _: ask("get") == 2)
    # All orders of two requests each: what they do is not known.
    assert (result.verdict, result.exhausted, result.num_explored) == ("failed", True, 6), result.explanation


def test_a_connection_of_setup_is_refused(shop: Callable[[], str]) -> None:
    def setup() -> socket.socket:
        host, port = shop().removeprefix("redis://").removesuffix("/0").split(":")
        return socket.create_connection((host, int(port)))

    result = explore(setup, [lambda connection: connection.send(b"PING\r\n")] * 2)
    assert result.verdict == "diverged", result.explanation
    assert "a socket that was made before it was forked" in str(result.explanation)


def test_a_socket_of_the_program_itself_is_refused() -> None:
    def setup() -> socket.socket:
        return socket.create_server(("127.0.0.1", 0))

    result = explore(setup, [lambda server: socket.create_connection(server.getsockname())] * 2)
    assert result.verdict == "diverged", result.explanation
    assert "a socket of its own program" in str(result.explanation)
