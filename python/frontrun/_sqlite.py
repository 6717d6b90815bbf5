"""The model of SQLite: a statement is one step on its database, and waiting for a busy database is decided.

A connection that changes something holds its database's lock until its transaction ends, as SQLite has it. A thread
that needs the lock is not enabled while another connection holds it; its timeout runs out as that of any other wait
does. So SQLite itself never has to wait, and is told not to.

The rows of a query are fetched when it is executed: a query that is under way would make others wait for whoever has
not yet fetched its last row. A transaction that has read keeps others from committing: who commits waits for its end.
"""

from __future__ import annotations

import _sqlite3
import itertools
import os
import re
import sys
import urllib.parse
import zlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from . import _sqlite_account
from ._threads import quietly

Result = TypeVar("Result")

_connect: Any = _sqlite3.connect
_numbers = itertools.count(1)
_COMMENT = re.compile(r"\s+|--[^\n]*\n?|/\*.*?\*/", re.DOTALL)
_WORD = re.compile(r"[A-Za-z]+")
_READS = frozenset({"SELECT", "VALUES", "EXPLAIN", "PRAGMA", "ATTACH", "DETACH"})
_ENDS = frozenset({"COMMIT", "END", "ROLLBACK"})
_CHANGES_WITHIN = re.compile(r"\b(INSERT|UPDATE|DELETE|REPLACE)\b", re.IGNORECASE)
_CHANGING_PRAGMA = re.compile(
    r"\b(journal_mode|user_version|application_id|wal_checkpoint|auto_vacuum)\b", re.IGNORECASE
)


def _words(sql: str) -> tuple[str, str]:
    """The first word of a statement, in capitals, and what follows it."""
    at = 0
    while match := _COMMENT.match(sql, at):
        at = match.end()
    word = _WORD.match(sql, at)
    return (word.group().upper(), sql[word.end() :]) if word else ("", sql)


def _kind(sql: str) -> str:
    """What a statement does: ``read``, ``change``, ``begin``, ``lock`` or ``end``."""
    word, rest = _words(sql)
    if word == "BEGIN":
        return "lock" if _words(rest)[0] in {"IMMEDIATE", "EXCLUSIVE"} else "begin"
    if word in _ENDS and "SAVEPOINT" not in rest.upper() and _words(rest)[0] != "TO":
        return "end"
    if word == "PRAGMA":
        return "change" if _CHANGING_PRAGMA.search(rest) else "read"
    if word in _READS or (word == "WITH" and not _CHANGES_WITHIN.search(rest)):
        return "read"
    return "begin" if word in {"SAVEPOINT", ""} else "change"


class _Connection(_sqlite3.Connection):
    """A connection whose statements are steps."""

    def __init__(self, database: Any, timeout: float = 5.0, *args: Any, **kwargs: Any) -> None:
        path = _path(database, kwargs.get("uri", False))
        self._frontrun_account = _sqlite_account.account(path, timeout)
        with quietly:
            super().__init__(database, 0.0, *args, **kwargs)

    def _frontrun_step(self, kind: str, call: Callable[[], Result]) -> Result:
        """Make a statement a step."""
        account = _sqlite_account.here(self._frontrun_account)
        is_logged = kind == "end" and account.holds() and self._frontrun_is_logged()
        if not account.prepare(kind, is_logged):
            message = "database is locked"
            raise _sqlite3.OperationalError(message)
        try:
            with quietly:
                return call()
        finally:
            account.settle(kind, self.in_transaction)

    def _frontrun_is_logged(self) -> bool:
        """Whether who reads does so from a log, and is in nobody's way."""
        with quietly:
            return bool(super().execute("PRAGMA journal_mode").fetchone()[0] == "wal")

    def cursor(self, factory: Any = None) -> Any:
        return super().cursor(_Cursor if factory is None else factory)

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        return self.cursor().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Any, /) -> Any:
        return self.cursor().executemany(sql, parameters)

    def executescript(self, script: str, /) -> Any:
        return self.cursor().executescript(script)

    def commit(self) -> None:
        if self.in_transaction:
            self._frontrun_step("end", super().commit)
        else:
            super().commit()

    def rollback(self) -> None:
        if self.in_transaction:
            self._frontrun_step("end", super().rollback)
        else:
            super().rollback()

    def close(self) -> None:
        super().close()
        self._frontrun_release()

    def __del__(self) -> None:
        self._frontrun_release()

    def _frontrun_release(self) -> None:
        """Give back what a connection holds that is closed within a transaction."""
        account: _sqlite_account.Ledger | None = self.__dict__.get("_frontrun_account")
        if account is not None:
            _sqlite_account.here(account).release()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, kind: Any, value: Any, traceback: Any) -> Any:
        if kind is None:
            try:
                self.commit()
            except BaseException:
                self.rollback()
                raise
        else:
            self.rollback()
        return False


class _Cursor(_sqlite3.Cursor):
    """A cursor whose statements are steps."""

    _frontrun_rows: Iterator[Any] = iter(())

    def _frontrun_execute(self, name: str, kind: str, *arguments: Any) -> Any:
        """Execute something as a step, and fetch its rows."""

        def call() -> None:
            self._frontrun_rows = iter(())
            getattr(super(_Cursor, self), name)(*arguments)
            if self.description is not None:
                self._frontrun_rows = iter(super(_Cursor, self).fetchall())

        connection: Any = self.connection
        connection._frontrun_step(kind, call)
        return self

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        self._frontrun_execute("execute", _kind(sql), sql, parameters)
        if "busy_timeout" in sql.lower():
            super().execute("PRAGMA busy_timeout = 0")
        return self

    def executemany(self, sql: str, parameters: Any, /) -> Any:
        return self._frontrun_execute("executemany", _kind(sql), sql, parameters)

    def executescript(self, script: str, /) -> Any:
        return self._frontrun_execute("executescript", "change", script)

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        for row in self._frontrun_rows:
            return row
        # A cursor that has been closed says so.
        return super().__next__()

    def fetchone(self) -> Any:
        return next(self, None)

    def fetchmany(self, size: int | None = None) -> list[Any]:
        return list(itertools.islice(self, self.arraysize if size is None else size))

    def fetchall(self) -> list[Any]:
        return list(self)

    def close(self) -> None:
        self._frontrun_rows = iter(())
        super().close()


def _path(database: Any, uri: bool) -> str:
    """Name a database: by the path of its file, or by a number if nobody else can open it."""
    name = os.fsdecode(database)
    if uri and name.startswith("file:"):
        name = urllib.parse.unquote(name[5:].split("?", 1)[0].split("#", 1)[0])
        name = re.sub(r"^//[^/]*", "", name)
    if name in {"", ":memory:"}:
        return f"database in memory {next(_numbers)}"
    return os.path.realpath(name)


def digest(path: str) -> int:
    """A number that tells different contents of a database apart, as far as it is small and nobody is writing to it."""
    try:
        if os.path.getsize(path) > _LARGEST_COMPARED:
            return 0
        plain = _connect(path, timeout=0.0)
        try:
            return zlib.crc32("\n".join(plain.iterdump()).encode())
        finally:
            plain.close()
    except (OSError, _sqlite3.Error):
        return 0


# Larger databases are not compared.
_LARGEST_COMPARED = 1 << 20


def _connect_under_control(*args: Any, **kwargs: Any) -> Any:
    """Connect as ever, with the model's class if the program has none of its own."""
    if "factory" not in kwargs and len(args) <= _BEFORE_FACTORY:
        kwargs["factory"] = _Connection
    else:
        _sqlite_account.refuse_own_class()
    return _connect(*args, **kwargs)


# How many parameters of ``connect`` come before ``factory``.
_BEFORE_FACTORY = 5


def install() -> None:
    """Put the model in place for connections that are made from now on, for the rest of this process."""
    for name in ("_sqlite3", "sqlite3.dbapi2", "sqlite3"):
        if name in sys.modules:
            sys.modules[name].connect = _connect_under_control  # type: ignore[attr-defined]
