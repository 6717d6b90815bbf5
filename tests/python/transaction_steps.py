"""What the statements of transactions of SQLite do to each other, one at a time, by the locks that SQLite documents.

Without a log: whoever reads in a transaction has a SHARED lock until its end, whoever changes something a RESERVED one,
and a commit needs an EXCLUSIVE one, for which all SHARED locks of others have to be gone. Who has a SHARED lock and is
refused the RESERVED one is told so at once. A connection without patience is told so always. A commit that was refused
keeps the PENDING lock, which lets nobody begin to read.

With a log, readers are in nobody's way, each reads what was committed when its transaction began to read, and may only
change something as long as that is the latest.

The statements are executed as well, by connections that never wait: what they do must be what is expected here.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from database_steps import DATABASE, LOCK
from every_order_of_io import Footprint, Location, Parts, Step

PENDING: Location = ("pending",)
# How long a connection waits that has patience: longer than anything takes.
PATIENCE = 1000.0


@dataclass
class Locks:
    """Who has which lock on the database of an execution."""

    reserved: Client | None = None
    pending: Client | None = None
    shared: list[Client] = field(default_factory=list)
    version: int = 0


@dataclass(eq=False)
class Client:
    """The connection of a thread."""

    number: int
    connection: sqlite3.Connection
    locks: Locks
    is_patient: bool
    is_logged: bool
    # Which version of the database its transaction reads.
    version: int = 0

    @property
    def place(self) -> Location:
        return ("shared", self.number)

    def has_shared(self) -> bool:
        return self in self.locks.shared

    def has_reserved(self) -> bool:
        return self.locks.reserved is self

    def others(self) -> list[Client]:
        return [other for other in self.locks.shared if other is not self]

    def execute(self, sql: str) -> object:
        try:
            return self.connection.execute(sql).fetchall()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            return "locked"


@dataclass(frozen=True)
class TransactionProgram:
    """Threads that execute statements, each on a connection of its own."""

    threads: list[list[Step]]
    patience: tuple[bool, ...] = (True, True)
    is_logged: bool = False

    def state(self, root: Path) -> TransactionState:
        """A new state, in which brute force begins; workers of an exploration make connections of their own."""
        return TransactionState(self, root)

    def text(self) -> str:
        mode = "with a log" if self.is_logged else "without a log"
        lines = [
            f"{'patiently' if patient else 'impatiently'}: {'; '.join(step.text for step in steps)}"
            for steps, patient in zip(self.threads, self.patience, strict=True)
        ]
        return "\n".join([mode, *lines])


class TransactionState:
    """The state of one execution: the connection of each thread, and what it got."""

    def __init__(self, program: TransactionProgram, root: Path) -> None:
        self.path = root / "bank.db"
        for path in root.glob("bank.db*"):
            path.unlink()
        self.connection = sqlite3.connect(self.path, isolation_level=None)
        # Whether anything reaches the disk is nobody's business here.
        self.connection.execute("PRAGMA synchronous = OFF")
        self.connection.execute(f"PRAGMA journal_mode = {'wal' if program.is_logged else 'delete'}")
        self.connection.execute("CREATE TABLE account (id INTEGER PRIMARY KEY, balance INTEGER)")
        self.connection.execute("INSERT INTO account VALUES (1, 0), (2, 0)")
        locks = Locks()
        self.desks = [
            Client(number, self.connect(0.0), locks, patient, program.is_logged)
            for number, patient in enumerate(program.patience)
        ]
        for desk in self.desks:
            desk.connection.execute("PRAGMA synchronous = OFF")
        self.results: list[list[object]] = [[] for _ in program.threads]

    def connect(self, timeout: float) -> sqlite3.Connection:
        return sqlite3.connect(self.path, isolation_level=None, timeout=timeout, check_same_thread=False)

    def observe(self) -> object:
        """What the threads got and what they left behind."""
        return self.results, self.connection.execute("SELECT id, balance FROM account ORDER BY id").fetchall()

    def close(self) -> None:
        for connection in [*(desk.connection for desk in self.desks), self.connection]:
            connection.close()


# What a statement does when it is its turn: returns what it touches, or nothing as long as it has to wait.


def _begin_reading(client: Client) -> tuple[Footprint, bool] | None:
    """Get a SHARED lock; whether there is one."""
    locks = client.locks
    if locks.pending is not None and locks.pending is not client:
        return None if client.is_patient else (({PENDING}, set()), False)
    return ({PENDING}, {client.place}), True


def _reserve(client: Client) -> tuple[Footprint, bool] | None:
    """Get a RESERVED lock; whether there is one."""
    if client.locks.reserved is None:
        return (set(), {LOCK}), True
    if client.is_patient and not client.has_shared():
        return None
    return ({LOCK}, set()), False


def _exclude(client: Client) -> tuple[Footprint, bool] | None:
    """Have no readers; whether there are none."""
    others = client.others()
    if others and client.is_patient:
        return None
    return ({other.place for other in _all_others(client)}, {PENDING}), not others


def _all_others(client: Client) -> list[Client]:
    """All who might read: there are two of them, whatever they do."""
    return [Client(1 - client.number, client.connection, client.locks, True, False)]


def _wait(touch: Any, client: Client) -> Any:
    """A part whose touch also tells whether the statement goes on."""
    found: list[bool] = []

    def part() -> Footprint | None:
        result = touch(client)
        if result is None:
            return None
        found[:] = [result[1]]
        return result[0]  # type: ignore[no-any-return]

    return part, found


def _release(client: Client, places: bool = True) -> Parts:
    """Give back all locks: the SHARED one, and then those that go with RESERVED."""
    locks = client.locks
    if places and client.has_shared():
        yield lambda: (set(), {client.place})
        locks.shared.remove(client)
    if client.has_reserved():
        yield lambda: (set(), {LOCK} | ({PENDING} if locks.pending is client else set()))
        locks.reserved = None
        if locks.pending is client:
            locks.pending = None
    return None


def _read_parts(client: Client, sql: str) -> Parts:
    is_free = client.has_reserved() or client.has_shared()
    if not is_free:
        part, goes = _wait(_begin_reading, client)
        yield part
        if not goes[0]:
            return "locked"
        client.locks.shared.append(client)
    yield lambda: ({DATABASE}, set())
    if not is_free:
        client.version = client.locks.version
    result = client.execute(sql)
    assert result != "locked"
    if not client.connection.in_transaction:
        yield from _release(client)
    return result


def _commit_parts(client: Client, sql: str) -> Parts:
    """Make what has been changed, or is changed by this statement, the latest version."""
    locks = client.locks
    if not client.is_logged:
        part, goes = _wait(_exclude, client)
        yield part
        locks.pending = client
        if not goes[0]:
            return "locked"
    yield lambda: (set(), {DATABASE})
    result = client.execute(sql)
    assert result != "locked"
    locks.version += 1
    return result


def _change_parts(client: Client, sql: str) -> Parts:
    is_new = not client.has_reserved()
    if is_new:
        part, goes = _wait(_reserve, client)
        yield part
        if not goes[0]:
            return "locked"
        client.locks.reserved = client
    if not client.connection.in_transaction:
        result = yield from _commit_parts(client, sql)
        yield from _release(client)
        return result
    yield lambda: ({DATABASE}, set())
    result = client.execute(sql)
    is_late = client.is_logged and client.has_shared() and client.version != client.locks.version
    assert (result == "locked") == is_late
    if is_late and is_new:
        yield from _release(client, places=False)
    return result


def _begin_parts(client: Client, sql: str) -> Parts:
    if client.connection.in_transaction:
        return "within"
    if sql != "BEGIN":
        part, goes = _wait(_reserve, client)
        yield part
        if not goes[0]:
            return "locked"
        client.locks.reserved = client
    if sql == "BEGIN EXCLUSIVE":
        if not client.is_logged:
            part, goes = _wait(_exclude, client)
            yield part
            client.locks.pending = client
            if not goes[0]:
                yield from _release(client)
                return "locked"
        yield lambda: ({DATABASE}, set())
    result = client.execute(sql)
    assert result != "locked"
    return result


def _end_parts(client: Client, sql: str) -> Parts:
    if not client.connection.in_transaction:
        return "without"
    if sql == "COMMIT" and client.has_reserved():
        result = yield from _commit_parts(client, sql)
        if result == "locked":
            return result
    else:
        result = client.execute(sql)
        assert result != "locked"
    yield from _release(client)
    return result


def _statement(sql: str, parts: Any, needs: bool | None = None) -> Step:
    """A statement; one that begins or ends transactions is left out where SQLite would say that it makes no sense."""

    def run(client: Client) -> object:
        if needs is not None and client.connection.in_transaction != needs:
            return "without" if needs else "within"
        return client.execute(sql)

    return Step(sql, run, lambda client: parts(client, sql))


def read(row: int) -> Step:
    return _statement(f"SELECT balance FROM account WHERE id = {row}", _read_parts)


def add(row: int) -> Step:
    return _statement(f"UPDATE account SET balance = balance + 1 WHERE id = {row}", _change_parts)


def double(row: int) -> Step:
    return _statement(f"UPDATE account SET balance = balance * 2 + 1 WHERE id = {row}", _change_parts)


def begin(how: str = "") -> Step:
    return _statement(f"BEGIN {how}".strip(), _begin_parts, needs=False)


def commit() -> Step:
    return _statement("COMMIT", _end_parts, needs=True)


def rollback() -> Step:
    return _statement("ROLLBACK", _end_parts, needs=True)
