"""SQLite databases as shared state: each statement is a step, and nobody waits in vain."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from frontrun.dpor import InterleavingResult, explore_dpor


def explore(
    path: Path, threads: list[Callable[[Path], object]], holds: Callable[[Path], bool], **options: Any
) -> InterleavingResult:
    def setup() -> Path:
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS accounts (name TEXT PRIMARY KEY, balance INTEGER)")
            connection.execute("DELETE FROM accounts")
            connection.executemany("INSERT INTO accounts VALUES (?, ?)", [("a", 0), ("b", 0)])
        connection.close()
        return path

    return explore_dpor(setup, threads, holds, stop_on_first=False, observe=balances, **options)


def balances(path: Path) -> list[int]:
    connection = sqlite3.connect(path)
    rows = [row[0] for row in connection.execute("SELECT balance FROM accounts ORDER BY name")]
    connection.close()
    return rows


def read_then_write(path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    balance = connection.execute("SELECT balance FROM accounts WHERE name = 'a'").fetchone()[0]
    connection.execute("UPDATE accounts SET balance = ? WHERE name = 'a'", (balance + 1,))
    connection.close()


def add_in_place(path: Path) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE accounts SET balance = balance + 1 WHERE name = 'a'")
    connection.close()


def lock_then_write(path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    (balance,) = connection.execute("SELECT balance FROM accounts WHERE name = 'a'").fetchone()
    connection.execute("UPDATE accounts SET balance = ? WHERE name = 'a'", (balance + 1,))
    connection.execute("COMMIT")
    connection.close()


def test_a_lost_update_has_four_classes(tmp_path: Path) -> None:
    result = explore(tmp_path / "bank.db", [read_then_write] * 2, lambda path: balances(path)[0] == 2)
    assert (result.verdict, result.exhausted, result.num_explored) == ("failed", True, 4), result.explanation
    assert result.outcomes == {"[2, 0]": 2, "[1, 0]": 2}
    assert result.reproduced == (10, 10)


@pytest.mark.parametrize("add", [add_in_place, lock_then_write])
def test_one_statement_or_one_transaction_is_enough(tmp_path: Path, add: Callable[[Path], None]) -> None:
    result = explore(tmp_path / "bank.db", [add, add], lambda path: balances(path)[0] == 2)
    assert (result.verdict, set(result.outcomes)) == ("exhausted", {"[2, 0]"}), result.explanation


def test_transactions_that_have_read_and_want_to_write_lock_each_other_out(tmp_path: Path) -> None:
    def transfer(path: Path) -> None:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("BEGIN")
        (balance,) = connection.execute("SELECT balance FROM accounts WHERE name = 'a'").fetchone()
        connection.execute("UPDATE accounts SET balance = ? WHERE name = 'a'", (balance + 1,))
        connection.execute("COMMIT")
        connection.close()

    result = explore(tmp_path / "bank.db", [transfer, transfer], lambda path: balances(path)[0] == 2)
    assert result.verdict == "failed"
    assert "database is locked" in result.failures[0].message


def test_a_reader_sees_a_transaction_as_a_whole(tmp_path: Path) -> None:
    def move(path: Path) -> None:
        connection = sqlite3.connect(path)
        with connection:
            connection.execute("UPDATE accounts SET balance = -1 WHERE name = 'a'")
            connection.execute("UPDATE accounts SET balance = 1 WHERE name = 'b'")
        connection.close()

    def look(path: Path) -> None:
        assert sum(balances(path)) == 0

    result = explore(tmp_path / "bank.db", [move, look], lambda path: balances(path) == [-1, 1])
    assert result.verdict == "exhausted", result.explanation


def run(*statements: str) -> Callable[[Path], None]:
    """A thread that executes statements on a connection of its own."""

    def work(path: Path) -> None:
        connection = sqlite3.connect(path, isolation_level=None)
        for statement in statements:
            connection.execute(statement)
        connection.close()

    return work


READ = "SELECT balance FROM accounts"
ADD = "UPDATE accounts SET balance = balance + 1 WHERE name = 'a'"


@pytest.mark.parametrize(
    "writer",
    [
        ("SAVEPOINT s", ADD, "RELEASE s"),
        ("BEGIN", "SAVEPOINT s", ADD, "RELEASE s", "COMMIT"),
        ("SAVEPOINT s", ADD, "ROLLBACK TO s", ADD, "RELEASE SAVEPOINT s"),
        ("SAVEPOINT s", "SAVEPOINT s", ADD, "RELEASE s", ADD, "RELEASE s"),
        (ADD,),
    ],
)
def test_who_commits_waits_for_who_reads_however_it_is_said(tmp_path: Path, writer: tuple[str, ...]) -> None:
    result = explore(tmp_path / "bank.db", [run("BEGIN", READ, READ, "COMMIT"), run(*writer)], lambda _: True)
    assert (result.verdict, result.num_explored) == ("exhausted", 2), result.explanation


READER = run("BEGIN", READ, "COMMIT")
WRITER = run("BEGIN IMMEDIATE", ADD, "COMMIT")
ALONE = run("BEGIN EXCLUSIVE", ADD, "COMMIT")


@pytest.mark.parametrize(
    ("threads", "n"),
    [
        ([READER, READER, run(READ)], 1),
        # Each reader before or behind the commit.
        ([READER, READER, WRITER], 4),
        ([ALONE, READER, run(READ)], 4),
        # Orders of two commits, and three places for the reader.
        ([READER, run(ADD), WRITER], 6),
        ([ALONE, WRITER, run(ADD)], 6),
    ],
)
def test_of_three_connections_those_that_commit_are_in_the_way(
    tmp_path: Path, threads: list[Callable[[Path], None]], n: int
) -> None:
    result = explore(tmp_path / "bank.db", list(threads), lambda _: True)
    assert (result.verdict, result.num_explored) == ("exhausted", n), result.explanation


@pytest.mark.parametrize(("timeout", "n", "verdict"), [(5000, 2, "exhausted"), (0, 3, "failed")])
def test_a_pragma_says_how_long_a_connection_waits(tmp_path: Path, timeout: int, n: int, verdict: str) -> None:
    writer = run(f"PRAGMA busy_timeout = {timeout}", "BEGIN IMMEDIATE", ADD, "COMMIT")
    result = explore(tmp_path / "bank.db", [run("BEGIN", READ, "COMMIT"), writer], lambda _: True)
    assert (result.verdict, result.exhausted) == (verdict, True), result.explanation
    assert all("database is locked" in failure.message for failure in result.failures)
    # The pragma itself reads the database before that.
    assert result.num_explored >= n


def test_statements_of_one_connection_are_in_an_order(tmp_path: Path) -> None:
    path = tmp_path / "bank.db"

    def setup() -> sqlite3.Connection:
        path.unlink(missing_ok=True)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.execute("CREATE TABLE accounts (name TEXT PRIMARY KEY, balance INTEGER)")
        connection.execute("INSERT INTO accounts VALUES ('a', 0)")
        return connection

    def transact(connection: sqlite3.Connection) -> None:
        for statement in ("BEGIN", ADD, "ROLLBACK"):
            connection.execute(statement)

    result = explore_dpor(
        setup,
        [transact, lambda connection: connection.execute(ADD)],
        lambda _: True,
        stop_on_first=False,
        observe=lambda connection: connection.execute(READ).fetchall(),
    )
    # The one statement comes before, behind, or in one of two places of the transaction, which takes it back.
    assert (result.verdict, result.num_explored) == ("exhausted", 4), result.explanation
    assert result.outcomes == {"[(1,)]": 2, "[(0,)]": 2}


def test_databases_in_memory_are_each_its_own(tmp_path: Path) -> None:
    def use(_: Path) -> None:
        connection = sqlite3.connect(":memory:")
        connection.execute("CREATE TABLE t (v)")
        connection.execute("INSERT INTO t VALUES (1)")
        assert connection.execute("SELECT v FROM t").fetchall() == [(1,)]

    result = explore(tmp_path / "bank.db", [use, use], lambda _: True)
    assert (result.verdict, result.num_explored) == ("exhausted", 1)


def test_cursors_behave_as_ever(tmp_path: Path) -> None:
    def use(path: Path) -> None:
        connection = sqlite3.connect(path)
        connection.row_factory = sqlite3.Row
        cursor = connection.cursor()
        cursor.execute("SELECT name, balance FROM accounts ORDER BY name")
        assert [column[0] for column in cursor.description] == ["name", "balance"]
        assert cursor.fetchone()["name"] == "a"
        assert [row["name"] for row in cursor] == ["b"]
        assert cursor.fetchone() is None
        cursor.execute("SELECT name FROM accounts ORDER BY name")
        assert [row[0] for row in cursor.fetchmany()] == ["a"]
        assert [row[0] for row in cursor.fetchmany(5)] == ["b"]
        cursor.execute("UPDATE accounts SET balance = 7")
        assert cursor.rowcount == 2
        connection.rollback()
        assert balances(path) == [0, 0]
        cursor.close()
        with pytest.raises(sqlite3.ProgrammingError):
            cursor.fetchone()
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute("INSERT INTO accounts VALUES ('a', 1)")
        connection.close()
        with pytest.raises(sqlite3.ProgrammingError):
            connection.execute("SELECT 1")

    result = explore(tmp_path / "bank.db", [use], lambda _: True)
    assert result.verdict == "exhausted", result.explanation
