"""What a connection to a database of SQLite holds, as far as others have to wait for it.

A connection of a worker process has its account in the run, with that of all others: see ``_processes``.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from typing import Any, Protocol

from . import _core

_numbers = itertools.count(1)
_opened = itertools.count(1)
# Every connection that is open, by database: whose transactions others may have to wait for. No set of the library's:
# what that does when a connection goes would count as done by the program.
_open: dict[str, dict[int, weakref.ref[Account]]] = {}

ask: Callable[..., Any] | None = None
"""In a worker process, what asks the run."""


class Ledger(Protocol):
    """An account, wherever it is kept."""

    def prepare(self, kind: str, is_logged: bool) -> bool: ...
    def settle(self, kind: str, in_transaction: bool) -> None: ...
    def holds(self) -> bool: ...
    def release(self) -> None: ...


class Account:
    """The account of one connection."""

    def __init__(self, path: str, timeout: float) -> None:
        self._path = path
        self._timeout = timeout
        self._holds = False
        self._has_read = False
        self._number = 0
        _core.database_open(path)
        of_database = _open.setdefault(path, {})
        key = next(_opened)
        of_database[key] = weakref.ref(self, lambda _: of_database.pop(key, None))

    def holds(self) -> bool:
        """Whether the connection has changed something, or is about to, in the transaction under way."""
        return self._holds

    def prepare(self, kind: str, is_logged: bool) -> bool:
        """Make a statement a step; return whether it is to be executed, and not refused because the database is busy.

        :param is_logged: of the end of a transaction: whether others read from a log meanwhile.
        """
        if kind in {"change", "lock"} and not self._take_lock():
            return False
        if kind == "end" and self._holds and not is_logged:
            self._await_readers()
        if kind not in {"begin", "lock"}:
            changes = kind == "change" or (kind == "end" and self._holds)
            _core.database_access(self._path, changes, lambda: _digest(self._path))
        return True

    def _take_lock(self) -> bool:
        if self._holds:
            return True
        held = any(other._holds for other in self._all())
        self._holds = _core.database_lock(self._path, self._timeout, held)
        return self._holds

    def _all(self) -> list[Account]:
        found = [reference() for reference in list(_open.get(self._path, {}).values())]
        return [account for account in found if account is not None]

    def _await_readers(self) -> None:
        """Wait until nobody else has a transaction that has read."""
        for other in sorted(self._all(), key=lambda account: account._number):
            if other is not self and other._has_read:
                name = other._reading()
                if _core.database_lock(name, self._timeout, True):
                    _core.database_unlock(name)

    def _reading(self) -> str:
        """The lock that stands for this connection's transaction as far as it has only read."""
        if self._number == 0:
            self._number = next(_numbers)
        return f"{self._path} (reader {self._number})"

    def settle(self, kind: str, in_transaction: bool) -> None:
        """Bring what is held in line with the transaction."""
        if in_transaction and kind == "read" and not self._holds and not self._has_read:
            self._has_read = _core.database_lock(self._reading(), 0.0, False)
        if not in_transaction:
            self.release()

    def release(self) -> None:
        """Give back what is held."""
        if self._has_read:
            self._has_read = False
            _core.database_unlock(self._reading())
        if self._holds:
            self._holds = False
            _core.database_unlock(self._path)


class DistantAccount:
    """The account of a connection of this worker process, which the run keeps."""

    def __init__(self, asks: Callable[..., Any], path: str, timeout: float) -> None:
        self._ask = asks
        self._key = next(_opened)
        asks("account", self._key, "open", path, timeout)

    def prepare(self, kind: str, is_logged: bool) -> bool:
        return bool(self._ask("account", self._key, "prepare", kind, is_logged))

    def settle(self, kind: str, in_transaction: bool) -> None:
        self._ask("account", self._key, "settle", kind, in_transaction)

    def holds(self) -> bool:
        return bool(self._ask("account", self._key, "holds"))

    def release(self) -> None:
        self._ask("account", self._key, "release")


class InheritedAccount:
    """The account of a connection that the process has from its parent: SQLite does not allow its use."""

    def __init__(self, asks: Callable[..., Any]) -> None:
        self._ask = asks

    def prepare(self, kind: str, is_logged: bool) -> bool:
        del kind, is_logged
        return bool(self._refuse())

    def settle(self, kind: str, in_transaction: bool) -> None:
        del kind, in_transaction

    def holds(self) -> bool:
        return bool(self._refuse())

    def release(self) -> None:
        """Leave it to the parent."""

    def _refuse(self) -> Any:
        return self._ask("refuse", "one uses a connection to a database that was opened before it was forked")


def refuse_own_class() -> None:
    """End the run if a worker process makes a connection of a class of the program's: its statements are not seen."""
    if ask is not None:
        ask("refuse", "one connects to a database with a class of its own")


def account(path: str, timeout: float) -> Ledger:
    """Open an account for a connection of this process."""
    return Account(path, timeout) if ask is None else DistantAccount(ask, path, timeout)


def here(ledger: Ledger) -> Ledger:
    """The account as this process may use it."""
    if ask is not None and isinstance(ledger, Account):
        return InheritedAccount(ask)
    return ledger


def _digest(path: str) -> int:
    """A number that tells different contents of a database apart."""
    from . import _sqlite

    return _sqlite.digest(path)
