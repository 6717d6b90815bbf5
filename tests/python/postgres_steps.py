"""What threads of small programs do to two rows of PostgreSQL, and what each of their statements reads and writes.

At `READ COMMITTED` a statement sees what has been committed, and what its own transaction has changed. Whoever changes
a row holds its lock to the end of the transaction, and others who want to change it wait for that. Rows have nothing to
do with each other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from every_order_of_io import Footprint, Location, Parts, Step


def row(number: int) -> Location:
    return ("row", number)


def lock(number: int) -> Location:
    return ("lock", number)


@dataclass
class Session:
    """The connection of a thread. All sessions of an execution share who holds which lock."""

    connection: psycopg.Connection[Any]
    holders: dict[int, Session]
    changed: set[int] = field(default_factory=set)

    def execute(self, sql: str) -> list[Any]:
        cursor = self.connection.execute(sql)
        return cursor.fetchall() if cursor.description else []

    def may_lock(self, number: int) -> bool:
        return self.holders.get(number, self) is self


@dataclass(frozen=True)
class PostgresProgram:
    """Threads that meet in two accounts."""

    threads: list[list[Step]]
    address: str = ""

    def state(self, _root: Path) -> PostgresState:
        return PostgresState(self)

    def text(self) -> str:
        return "\n".join("; ".join(step.text for step in steps) for steps in self.threads)


class PostgresState:
    """The state of one execution: what each thread has at hand, and what it got."""

    def __init__(self, program: PostgresProgram) -> None:
        self.connection = psycopg.connect(program.address, autocommit=True)
        self.connection.execute("CREATE TABLE IF NOT EXISTS counted (id int PRIMARY KEY, balance int NOT NULL)")
        self.connection.execute("DELETE FROM counted")
        self.connection.execute("INSERT INTO counted VALUES (1, 0), (2, 0)")
        holders: dict[int, Session] = {}
        self.desks = [Session(psycopg.connect(program.address, autocommit=True), holders) for _ in program.threads]
        self.results: list[list[object]] = [[] for _ in program.threads]

    def observe(self) -> object:
        """What the threads got and what they left behind."""
        return self.results, self.connection.execute("SELECT id, balance FROM counted ORDER BY id").fetchall()

    def close(self) -> None:
        for connection in [self.connection, *(desk.connection for desk in self.desks)]:
            connection.close()


def _step(sql: str, touch: Any) -> Step:
    def parts(session: Session) -> Parts:
        yield lambda: touch(session)
        return session.execute(sql)

    return Step(sql, lambda session: session.execute(sql), parts)


def read(number: int) -> Step:
    """What the own transaction has changed is read from there; it holds the lock, so nobody else can commit it."""
    return _step(f"SELECT balance FROM counted WHERE id = {number}", lambda _: ({row(number)}, set()))


def _change(number: int, new: str) -> Step:
    def touch(session: Session) -> Footprint | None:
        return ({row(number)}, {row(number), lock(number)}) if session.may_lock(number) else None

    return _step(f"UPDATE counted SET balance = {new} WHERE id = {number}", touch)


def add(number: int, amount: int = 1) -> Step:
    return _change(number, f"balance + {amount}")


def double(number: int) -> Step:
    return _change(number, "balance * 2 + 1")


def in_transaction(step: Step, number: int, *, changes: bool = True) -> Step:
    """The step of a transaction that takes the lock of the row, and changes it for itself alone until it commits."""

    def touch(session: Session) -> Footprint | None:
        if not session.may_lock(number):
            return None
        return {row(number)}, set() if number in session.holders else {lock(number)}

    def parts(session: Session) -> Parts:
        yield lambda: touch(session)
        session.holders[number] = session
        if changes:
            session.changed.add(number)
        return session.execute(step.text)

    return Step(step.text, step.run, parts)


def tx_add(number: int, amount: int = 1) -> Step:
    return in_transaction(add(number, amount), number)


def tx_double(number: int) -> Step:
    return in_transaction(double(number), number)


def tx_lock(number: int) -> Step:
    return in_transaction(_step(read(number).text + " FOR UPDATE", None), number, changes=False)


def transaction(*steps: Step, end: str = "COMMIT") -> Step:
    """Statements in a transaction. At its end it publishes all rows at once, and then gives back their locks."""

    def run(session: Session) -> object:
        session.execute("BEGIN")
        results = [step.run(session) for step in steps]
        session.execute(end)
        return results

    def parts(session: Session) -> Parts:
        session.execute("BEGIN")
        results = []
        for step in steps:
            results.append((yield from step.parts(session)))
        held = {number for number, holder in session.holders.items() if holder is session}
        published = {row(number) for number in session.changed} if end == "COMMIT" else set()
        if held or published:
            yield lambda: (set(), published | {lock(number) for number in held})
        session.execute(end)
        session.changed.clear()
        for number in held:
            del session.holders[number]
        return results

    return Step(f"BEGIN; {'; '.join(step.text for step in steps)}; {end}", run, parts)
