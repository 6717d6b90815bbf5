"""What threads of small programs do to a database of SQLite, and what each of their statements reads and writes.

A statement touches its database as a whole: more is not told apart. Whoever changes something holds the lock of the
database to the end of the transaction, which others who want to change something wait for. What a transaction has
changed nobody else sees before it is committed.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from every_order_of_io import Footprint, Location, Parts, Step

DATABASE: Location = ("database",)
LOCK: Location = ("lock",)


@dataclass
class Session:
    """The connection of a thread. All sessions of an execution share who holds the lock."""

    connection: sqlite3.Connection
    holders: list[Any] = field(default_factory=list)

    def execute(self, sql: str) -> list[Any]:
        return self.connection.execute(sql).fetchall()


@dataclass(frozen=True)
class DatabaseProgram:
    """Threads that meet in a database with two accounts."""

    threads: list[list[Step]]

    def state(self, root: Path) -> DatabaseState:
        return DatabaseState(self, root)

    def text(self) -> str:
        return "\n".join("; ".join(step.text for step in steps) for steps in self.threads)


class DatabaseState:
    """The state of one execution: what each thread has at hand, and what it got."""

    def __init__(self, program: DatabaseProgram, root: Path) -> None:
        self.path = root / "bank.db"
        self.connection = sqlite3.connect(self.path, isolation_level=None)
        self.connection.execute("CREATE TABLE IF NOT EXISTS account (id INTEGER PRIMARY KEY, balance INTEGER)")
        self.connection.execute("DELETE FROM account")
        self.connection.execute("INSERT INTO account VALUES (1, 0), (2, 0)")
        holders: list[Any] = []
        self.desks = [
            Session(sqlite3.connect(self.path, isolation_level=None, check_same_thread=False), holders)
            for _ in program.threads
        ]
        self.results: list[list[object]] = [[] for _ in program.threads]

    def observe(self) -> object:
        """What the threads got and what they left behind."""
        return self.results, self.connection.execute("SELECT id, balance FROM account ORDER BY id").fetchall()

    def close(self) -> None:
        for connection in [self.connection, *(desk.connection for desk in self.desks)]:
            connection.close()


def balances(root: Path) -> object:
    """What is in the database of a folder."""
    connection = sqlite3.connect(root / "bank.db")
    try:
        return connection.execute("SELECT id, balance FROM account ORDER BY id").fetchall()
    finally:
        connection.close()


def _touch(session: Session, writes: bool) -> Footprint | None:
    """A change takes the lock, unless its transaction has it. Outside a transaction it gives it back at once."""
    if not writes:
        return {DATABASE}, set()
    if session.holders and session.holders[0] is not session:
        return None
    return (set(), {DATABASE, LOCK}) if not session.holders else ({DATABASE}, set())


def _statement(sql: str, writes: bool) -> Step:
    def parts(session: Session) -> Parts:
        yield lambda: _touch(session, writes)
        return session.execute(sql)

    def run(session: Session) -> object:
        try:
            return session.execute(sql)
        except sqlite3.IntegrityError:
            return "IntegrityError"

    def checked(session: Session) -> Parts:
        try:
            return (yield from parts(session))
        except sqlite3.IntegrityError:
            return "IntegrityError"

    return Step(sql, run, checked)


def read(row: int) -> Step:
    return _statement(f"SELECT balance FROM account WHERE id = {row}", writes=False)


def add(row: int, amount: int = 1) -> Step:
    return _statement(f"UPDATE account SET balance = balance + {amount} WHERE id = {row}", writes=True)


def double(row: int) -> Step:
    return _statement(f"UPDATE account SET balance = balance * 2 + 1 WHERE id = {row}", writes=True)


def insert(row: int, balance: int) -> Step:
    return _statement(f"INSERT INTO account VALUES ({row}, {balance})", writes=True)


def delete(row: int) -> Step:
    return _statement(f"DELETE FROM account WHERE id = {row}", writes=True)


def transaction(*steps: Step) -> Step:
    """Statements between ``BEGIN IMMEDIATE``, which takes the lock, and ``COMMIT``, which gives it back."""

    def run(session: Session) -> object:
        session.execute("BEGIN IMMEDIATE")
        results = [step.run(session) for step in steps]
        session.execute("COMMIT")
        return results

    def parts(session: Session) -> Parts:
        yield lambda: None if session.holders else (set(), {LOCK})
        session.execute("BEGIN IMMEDIATE")
        session.holders.append(session)
        results = []
        for step in steps:
            results.append((yield from step.parts(session)))
        yield lambda: (set(), {DATABASE})
        session.execute("COMMIT")
        # Given back by a step of its own, which nobody but who waits for the lock can tell from the last one.
        yield lambda: (set(), {LOCK})
        session.holders.clear()
        return results

    return Step(f"BEGIN IMMEDIATE; {'; '.join(step.text for step in steps)}; COMMIT", run, parts)
