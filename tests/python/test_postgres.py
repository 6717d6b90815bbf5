"""PostgreSQL as shared state: rows by key, transactions, and waiting for them in the server, under both drivers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import psycopg2
import pytest
from frontrun.dpor import InterleavingResult, explore_dpor

Connect = Callable[[], Any]
Thread = Callable[[Any], object]
DRIVERS = {"psycopg": psycopg.connect, "psycopg2": psycopg2.connect}


@pytest.fixture(params=list(DRIVERS))
def connect(request: pytest.FixtureRequest, postgres: str) -> Connect:
    return lambda: DRIVERS[request.param](postgres)


TABLES = """
    CREATE TABLE IF NOT EXISTS account (id int PRIMARY KEY, balance int NOT NULL);
    CREATE TABLE IF NOT EXISTS person (id serial PRIMARY KEY, name text UNIQUE, visits int NOT NULL DEFAULT 0);
    CREATE TABLE IF NOT EXISTS owner (id int PRIMARY KEY);
    CREATE TABLE IF NOT EXISTS pet (id int PRIMARY KEY, owner int REFERENCES owner);
    DELETE FROM account;
    DELETE FROM pet;
    DELETE FROM owner;
    DELETE FROM person;
    INSERT INTO account VALUES (1, 0), (2, 0);
    INSERT INTO owner VALUES (1);
"""


class Bank:
    """Connections that were made before the threads are there, one for each thread and one for looking."""

    def __init__(self, connect: Connect, n: int) -> None:
        self.connections = [connect() for _ in range(n)]
        self.look = connect()
        self.look.autocommit = True
        self.ask(TABLES)

    def ask(self, sql: str, parameters: Any = None) -> list[Any]:
        cursor = self.look.cursor()
        cursor.execute(sql, parameters)
        return list(cursor.fetchall()) if cursor.description else []

    def balances(self) -> list[int]:
        return [row[0] for row in self.ask("SELECT balance FROM account ORDER BY id")]


def transaction(number: int, *statements: tuple[str, Any], end: str = "commit") -> Thread:
    """A thread that executes statements on its own connection and then ends the transaction."""

    def run(bank: Bank) -> None:
        connection = bank.connections[number]
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(*statement)
        getattr(connection, end)()

    return run


def explore(
    connect: Connect, threads: list[Thread], holds: Callable[[Bank], bool] = lambda _: True
) -> InterleavingResult:
    return explore_dpor(lambda: Bank(connect, len(threads)), threads, holds, stop_on_first=False, observe=Bank.balances)


def add(row: int) -> tuple[str, Any]:
    return "UPDATE account SET balance = balance + 1 WHERE id = %s", (row,)


def read(row: int) -> tuple[str, Any]:
    return "SELECT balance FROM account WHERE id = %s", (row,)


def read_then_write(number: int, row: int = 1, suffix: str = "") -> Thread:
    def run(bank: Bank) -> None:
        connection = bank.connections[number]
        cursor = connection.cursor()
        cursor.execute(f"SELECT balance FROM account WHERE id = %s{suffix}", (row,))
        (balance,) = cursor.fetchone()
        cursor.execute("UPDATE account SET balance = %s WHERE id = %s", (balance + 1, row))
        connection.commit()

    return run


class Shared:
    """A connection with rows to fetch, and one cursor, both for all threads."""

    def __init__(self, connect: Connect) -> None:
        self.connection = connect()
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()
        self.cursor.execute("SELECT generate_series(1, 2)")
        self.got: list[int] = []

    def fetch(self) -> None:
        self.got.append(self.cursor.fetchone()[0])

    def iterate(self) -> None:
        self.got.extend(row[0] for row in self.cursor)


def test_a_cursor_that_threads_share_is_state_although_it_asks_the_server_nothing(connect: Connect) -> None:
    result = explore_dpor(
        lambda: Shared(connect),
        [Shared.fetch, Shared.iterate],
        lambda shared: shared.got[:1] != [2],
        stop_on_first=False,
        observe=lambda shared: tuple(shared.got),
    )
    # Who iterates first has both rows, and the other one none, which it cannot take apart.
    assert result.verdict == "failed"
    assert {"(1, 2)", "(2, 1)"} <= set(result.outcomes), result.outcomes


def test_a_lost_update_is_found(connect: Connect) -> None:
    result = explore(connect, [read_then_write(0), read_then_write(1)], lambda bank: bank.balances()[0] == 2)
    # Who commits first, and whether the other one has read by then.
    assert (result.verdict, result.exhausted, result.num_explored) == ("failed", True, 4), result.explanation
    assert "account[id=1]" in result.explanation


def test_a_row_that_is_locked_for_the_update_loses_none(connect: Connect) -> None:
    threads = [read_then_write(number, suffix=" FOR UPDATE") for number in range(2)]
    result = explore(connect, threads, lambda bank: bank.balances()[0] == 2)
    assert (result.verdict, result.num_explored) == ("exhausted", 2), result.explanation


def test_transactions_on_different_rows_are_one_class(connect: Connect) -> None:
    result = explore(connect, [transaction(0, add(1)), transaction(1, add(2))])
    assert (result.verdict, result.num_explored) == ("exhausted", 1), result.explanation


def test_transactions_on_one_row_are_one_class_an_order(connect: Connect) -> None:
    result = explore(connect, [transaction(0, add(1)), transaction(1, add(1))])
    assert (result.verdict, result.num_explored) == ("exhausted", 2), result.explanation


def test_what_is_rolled_back_is_not_seen(connect: Connect) -> None:
    threads = [transaction(0, add(1), end="rollback"), transaction(1, read(1))]
    result = explore(connect, threads, lambda bank: bank.balances() == [0, 0])
    assert result.verdict == "exhausted", result.explanation


def test_a_statement_that_waits_in_the_server_goes_on_after_the_other_transaction(connect: Connect) -> None:
    everywhere = ("UPDATE account SET balance = balance + 1", None)
    result = explore(
        connect, [transaction(0, everywhere), transaction(1, everywhere)], lambda bank: bank.balances() == [2, 2]
    )
    # Each order, and for each whether the second statement came before the first commit.
    assert (result.verdict, result.num_explored) == ("exhausted", 4), result.explanation


def test_rows_that_are_locked_in_two_orders_are_a_deadlock(connect: Connect) -> None:
    result = explore(connect, [transaction(0, add(1), add(2)), transaction(1, add(2), add(1))])
    assert (result.verdict, result.failures[0].kind) == ("failed", "deadlock")
    assert "the lock of account[id=1]" in result.explanation


def test_two_insertions_of_one_key_fail(connect: Connect) -> None:
    insert = ("INSERT INTO account VALUES (3, 0)", None)
    result = explore(connect, [transaction(0, insert), transaction(1, insert)])
    assert result.verdict == "failed"
    assert "UniqueViolation" in result.explanation


def update_or_insert(number: int) -> Thread:
    def run(bank: Bank) -> None:
        connection = bank.connections[number]
        cursor = connection.cursor()
        cursor.execute("UPDATE account SET balance = balance + 1 WHERE id = 7")
        if cursor.rowcount == 0:
            cursor.execute("INSERT INTO account VALUES (7, 1)")
        connection.commit()

    return run


def test_a_row_that_is_not_there_is_not_locked(connect: Connect) -> None:
    result = explore(connect, [update_or_insert(0), update_or_insert(1)])
    assert result.verdict == "failed"
    assert "UniqueViolation" in result.explanation


def test_a_unique_column_makes_others_wait(connect: Connect) -> None:
    insert = ("INSERT INTO person (name) VALUES ('ann') ON CONFLICT DO NOTHING", None)
    result = explore(
        connect,
        [transaction(0, insert), transaction(1, insert)],
        lambda bank: bank.ask("SELECT count(*) FROM person") == [(1,)],
    )
    assert result.verdict == "exhausted", result.explanation


def test_what_is_not_understood_conflicts_with_everything(connect: Connect) -> None:
    lock = ("LOCK TABLE account IN EXCLUSIVE MODE", None)
    threads = [transaction(0, lock, add(1)), transaction(1, lock, add(1))]
    result = explore(connect, threads, lambda bank: bank.balances()[0] == 2)
    assert result.verdict == "exhausted", result.explanation


def test_a_reference_reaches_another_table(connect: Connect) -> None:
    threads = [
        transaction(0, ("INSERT INTO pet VALUES (1, 1)", None)),
        transaction(1, ("DELETE FROM owner WHERE id = 1", None)),
    ]
    result = explore(connect, threads)
    assert result.verdict == "failed"
    assert "ForeignKeyViolation" in result.explanation
