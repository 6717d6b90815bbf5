"""The model of SQLite: a statement is a step on its database, and waiting for a busy database is decided.

A connection that changes something holds its database's lock until its transaction ends, as SQLite has it, and what it
changes is seen by others when it commits. A thread that needs the lock is not enabled while another connection holds
it; its timeout runs out as that of any other wait does. A transaction that has read keeps others from committing,
unless there is a log: who commits waits for its end, and lets nobody begin to read meanwhile. So SQLite itself never
has to wait, and is told not to.

The rows of a query are fetched when it is executed: a query that is under way would make others wait for whoever has
not yet fetched its last row.
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
# How databases are called that nobody else can open.
_MEMORY = "database in memory"
_COMMENT = re.compile(r"\s+|--[^\n]*\n?|/\*.*?\*/", re.DOTALL)
_WORD = re.compile(r"[A-Za-z]+")
_READS = frozenset({"SELECT", "VALUES", "EXPLAIN", "PRAGMA", "ATTACH", "DETACH"})
_CHANGES = frozenset({"INSERT", "UPDATE", "DELETE", "REPLACE"})
_CHANGES_WITHIN = re.compile(r"\b(INSERT|UPDATE|DELETE|REPLACE)\b", re.IGNORECASE)
_CHANGING_PRAGMA = re.compile(
    r"\b(journal_mode|user_version|application_id|wal_checkpoint|auto_vacuum)\b", re.IGNORECASE
)
_PATIENCE = re.compile(r"\bbusy_timeout\s*[=(]\s*(\d+)", re.IGNORECASE)
# What others see as soon as it is done, or what keeps them from seeing anything.
_PUBLISHING = frozenset({"save", "commit", "exclude"})
# How `autocommit` says that transactions begin by themselves. Since 3.12.
_LEGACY = -1


def _words(sql: str) -> tuple[str, str]:
    """The first word of a statement, in capitals, and what follows it."""
    at = 0
    while match := _COMMENT.match(sql, at):
        at = match.end()
    word = _WORD.match(sql, at)
    return (word.group().upper(), sql[word.end() :]) if word else ("", sql)


def _kind(sql: str) -> str:
    """What a statement does.

    One of ``read``, ``change``, ``begin``, ``lock``, ``exclude``, ``commit``, ``undo``, ``savepoint``, ``release``,
    ``nothing`` that concerns others.
    """
    word, rest = _words(sql)
    if word == "BEGIN":
        return {"IMMEDIATE": "lock", "EXCLUSIVE": "exclude"}.get(_words(rest)[0], "begin")
    if word == "ROLLBACK":
        return "nothing" if re.search(r"\bTO\b", rest, re.IGNORECASE) else "undo"
    if word == "PRAGMA":
        return "change" if _CHANGING_PRAGMA.search(rest) else "read"
    if word in _READS or (word == "WITH" and not _CHANGES_WITHIN.search(rest)):
        return "read"
    others = {"COMMIT": "commit", "END": "commit", "SAVEPOINT": "savepoint", "RELEASE": "release", "": "nothing"}
    return others.get(word, "change")


def _savepoint(sql: str) -> str:
    """The name in a statement about a savepoint."""
    return sql.rstrip("; \t\n").split()[-1].strip("\"'`[]").lower()


def _locked() -> _sqlite3.OperationalError:
    """What SQLite says when a database is busy."""
    error: Any = _sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode, error.sqlite_errorname = _sqlite3.SQLITE_BUSY, "SQLITE_BUSY"
    return error  # type: ignore[no-any-return]


class _Connection(_sqlite3.Connection):
    """A connection whose statements are steps."""

    # The savepoint that has begun the transaction under way.
    _frontrun_savepoint = ""

    def __init__(self, database: Any, timeout: float = 5.0, *args: Any, **kwargs: Any) -> None:
        path, is_shared_cache = _path(database, kwargs.get("uri", False))
        self._frontrun_path = path
        of_many = not (args[2] if len(args) > _BEFORE_THREAD else kwargs.get("check_same_thread", True))
        self._frontrun_account = _sqlite_account.account(path, timeout, of_many, is_shared_cache)
        with quietly:
            super().__init__(database, 0.0, *args, **kwargs)

    def _frontrun_step(self, find: Callable[[], str], call: Callable[[], Result]) -> Result:
        """Make a statement a step. ``find`` says of what kind it is: that hangs on what was done before it."""
        account = _sqlite_account.here(self._frontrun_account)
        account.begin()
        try:
            return self._frontrun_execute(account, find(), call)
        finally:
            account.end()

    def _frontrun_execute(self, account: _sqlite_account.Ledger, kind: str, call: Callable[[], Result]) -> Result:
        if not account.prepare(kind):
            raise _locked()
        is_over, is_writing = False, True
        try:
            publishes = kind in _PUBLISHING and account.holds()
            if publishes and not account.publish(kind, self._frontrun_is_logged()):
                raise _locked()
            with quietly:
                result = call()
            # Another transaction has begun by itself, and holds nothing yet.
            is_over = kind in {"commit", "undo"} and getattr(self, "autocommit", _LEGACY) is False
            return result
        except _sqlite3.Error:
            is_writing = kind != "change" or _is_being_written(self._frontrun_path)
            raise
        finally:
            if not self.in_transaction:
                self._frontrun_savepoint = ""
            account.settle(self.in_transaction and not is_over, is_writing)

    def _frontrun_kind(self, sql: str) -> str:
        """What a statement does here and now: also ``save``, a change that is committed at once."""
        kind = _kind(sql)
        if kind == "savepoint":
            if not self.in_transaction:
                self._frontrun_savepoint = _savepoint(sql)
            return "nothing"
        if kind == "release":
            return "commit" if self._frontrun_savepoint == _savepoint(sql) else "nothing"
        if kind != "change" or self.in_transaction:
            return kind
        begins = self.isolation_level is not None and getattr(self, "autocommit", _LEGACY) == _LEGACY
        if not begins or _words(sql)[0] not in _CHANGES:
            return "save"
        return "exclude" if str(self.isolation_level).upper() == "EXCLUSIVE" else "change"

    def _frontrun_ask(self, sql: str) -> Any:
        """Ask SQLite something that is no step."""
        with quietly:
            cursor = _sqlite3.Cursor(self)
            cursor.row_factory = None
            return cursor.execute(sql).fetchone()[0]

    def _frontrun_is_logged(self) -> bool:
        """Whether who reads does so from a log, and is in nobody's way."""
        return self._frontrun_ask("PRAGMA journal_mode") in {"wal", b"wal"}

    def _frontrun_note(self, sql: str) -> None:
        """Take note of how long a statement has the connection wait from now on. SQLite itself does not wait."""
        if patience := _PATIENCE.search(sql):
            self._frontrun_ask("PRAGMA busy_timeout = 0")
            _sqlite_account.here(self._frontrun_account).be_patient(int(patience.group(1)) / 1000)

    def cursor(self, factory: Any = None) -> Any:
        return super().cursor(_Cursor if factory is None else factory)

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        return self.cursor().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Any, /) -> Any:
        return self.cursor().executemany(sql, parameters)

    def executescript(self, script: str, /) -> Any:
        return self.cursor().executescript(script)

    def commit(self) -> None:
        self._frontrun_step(lambda: "commit" if self.in_transaction else "nothing", super().commit)

    def rollback(self) -> None:
        self._frontrun_step(lambda: "undo" if self.in_transaction else "nothing", super().rollback)

    def close(self) -> None:
        account = _sqlite_account.here(self._frontrun_account)
        account.begin()
        try:
            super().close()
            # What a transaction holds that is under way.
            account.close()
        finally:
            account.end()

    def __del__(self) -> None:
        account: _sqlite_account.Ledger | None = self.__dict__.get("_frontrun_account")
        if account is not None:
            _sqlite_account.here(account).close()

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

    def _frontrun_execute(self, name: str, find: Callable[[Any], str], *arguments: Any) -> Any:
        """Execute something as a step, and fetch its rows."""

        def call() -> None:
            self._frontrun_rows = iter(())
            getattr(super(_Cursor, self), name)(*arguments)
            if self.description is not None:
                self._frontrun_rows = iter(super(_Cursor, self).fetchall())

        connection: Any = self.connection
        connection._frontrun_step(lambda: find(connection), call)
        return self

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        self._frontrun_execute("execute", lambda connection: connection._frontrun_kind(sql), sql, parameters)
        connection: Any = self.connection
        connection._frontrun_note(sql)
        return self

    def executemany(self, sql: str, parameters: Any, /) -> Any:
        return self._frontrun_execute("executemany", lambda connection: connection._frontrun_kind(sql), sql, parameters)

    def executescript(self, script: str, /) -> Any:
        return self._frontrun_execute("executescript", lambda _: "save", script)

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


def _path(database: Any, uri: bool) -> tuple[str, bool]:
    """Name a database: by the path of its file, or by a number if nobody else can open it. Whether its connections have
    one cache."""
    name, is_shared_cache = os.fsdecode(database), False
    if uri and name.startswith("file:"):
        name, _, terms = name[5:].split("#", 1)[0].partition("?")
        name = re.sub(r"^//[^/]*", "", urllib.parse.unquote(name))
        is_shared_cache = "cache=shared" in terms
    if name in {"", ":memory:"} and not is_shared_cache:
        return f"{_MEMORY} {next(_numbers)}", False
    return os.path.realpath(name), is_shared_cache


def _is_being_written(path: str) -> bool:
    """Whether somebody holds the lock of a database."""
    if path.startswith(_MEMORY):
        return True
    with quietly:
        plain = _connect(path, timeout=0.0, isolation_level=None)
        try:
            plain.execute("BEGIN IMMEDIATE")
            plain.execute("ROLLBACK")
        except _sqlite3.OperationalError:
            return True
        finally:
            plain.close()
    return False


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


# How many parameters of ``connect`` come before ``factory``, and how many of those behind the second before
# ``check_same_thread``.
_BEFORE_FACTORY = 5
_BEFORE_THREAD = 2


def install() -> None:
    """Put the model in place for connections that are made from now on, for the rest of this process."""
    for name in ("_sqlite3", "sqlite3.dbapi2", "sqlite3"):
        if name in sys.modules:
            sys.modules[name].connect = _connect_under_control  # type: ignore[attr-defined]
