"""What a connection to a database of SQLite holds, as far as others have to wait for it.

A database has a lock, which one connection holds that changes something, and a gate. Who begins to read goes in behind
the gate, to a place of its own, and leaves when its transaction ends. Who commits shuts the gate and waits until all
others have left; but not if they read from a log. Which places there are is known as soon as the gate is shut: who has
come to a place has gone through the gate, and what one does to a gate is in order with what others do.

A connection of a worker process has its account in the run, with that of all others: see ``_processes``.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from typing import Any, Protocol

from . import _core

_opened = itertools.count(1)

ask: Callable[..., Any] | None = None
"""In a worker process, what asks the run."""

# Kinds of statements that need the lock: see ``_sqlite``.
_LOCKING = frozenset({"change", "save", "lock", "exclude"})


class Ledger(Protocol):
    """An account, wherever it is kept."""

    def begin(self) -> None: ...
    def end(self) -> None: ...
    def prepare(self, kind: str) -> bool: ...
    def publish(self, kind: str, is_logged: bool) -> bool: ...
    def settle(self, in_transaction: bool, is_writing: bool) -> None: ...
    def holds(self) -> bool: ...
    def be_patient(self, timeout: float) -> None: ...
    def release(self) -> None: ...
    def close(self) -> None: ...


class _Database:
    """What the connections to one database have in common."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.gate = f"{path} (gate)"
        # Places by their names, which are the same in all executions; behind each the connection that is open there.
        self._places: dict[str, weakref.ref[Account]] = {}
        # Those that somebody has ever come to.
        self._visited: set[str] = set()

    def place_for(self, account: Account) -> str:
        """Give a place to a connection that the calling thread opens: one that nobody has."""
        thread = _core.thread_path()
        names = (f"{self.path} (connection {number} of {thread})" for number in itertools.count(1))
        name = next(name for name in names if self.owner(name) is None)
        self._places[name] = weakref.ref(account)
        return name

    def owner(self, place: str) -> Account | None:
        """The connection that has a place."""
        reference = self._places.get(place)
        return None if reference is None else reference()

    def vacate(self, place: str) -> None:
        """Take the place of a connection that is closed."""
        self._places.pop(place, None)

    def accounts(self) -> list[Account]:
        """The accounts of all connections that are open."""
        found = [self.owner(place) for place in list(self._places)]
        return [account for account in found if account is not None]

    def visit(self, place: str) -> None:
        """Note that somebody has come to a place."""
        self._visited.add(place)

    def visited(self) -> list[str]:
        """The places that somebody has come to."""
        return sorted(self._visited)


_databases: dict[str, _Database] = {}


class Account:
    """The account of one connection.

    :param is_shared: whether several threads may use the connection.
    :param is_open: whether others see what it has not committed: the connections have one cache.
    """

    def __init__(self, path: str, timeout: float, is_shared: bool, is_open: bool) -> None:
        self._timeout = timeout
        self._is_shared = is_shared
        self._is_open = is_open
        self._holds = False
        # Whether the statement under way has taken the lock.
        self._has_taken = False
        self._has_shut = False
        self._is_in = False
        _core.database_open(path)
        self._database = _databases.setdefault(path, _Database(path))
        self._place = self._database.place_for(self)
        self._mutex = f"{self._place} in use"

    def holds(self) -> bool:
        """Whether the connection has changed something, or is about to, in the transaction under way."""
        return self._holds

    def be_patient(self, timeout: float) -> None:
        """Wait for so many seconds from now on."""
        self._timeout = timeout

    def begin(self) -> None:
        """Begin a statement: those of one connection exclude each other."""
        if self._is_shared:
            _core.database_lock(self._mutex, None, False)

    def end(self) -> None:
        """End a statement."""
        if self._is_shared:
            _core.database_unlock(self._mutex)

    def prepare(self, kind: str) -> bool:
        """Return whether a statement is to be executed, and not refused because the database is busy."""
        self._has_taken = False
        if kind in _LOCKING:
            is_ready = self._take_lock()
        else:
            is_ready = kind != "read" or self._holds or self._is_in or self._enter()
        if is_ready and kind in {"read", "change"}:
            self._access(kind == "change" and self._is_open)
        return is_ready

    def publish(self, kind: str, is_logged: bool) -> bool:
        """Have nobody read, and change what they will read from now on; return whether that is to be done.

        :param is_logged: whether others read from a log meanwhile.
        """
        if not is_logged and not self._await_readers():
            return False
        self._access(kind != "exclude")
        return True

    def settle(self, in_transaction: bool, is_writing: bool) -> None:
        """Bring what is held in line with the transaction.

        :param is_writing: whether SQLite holds the lock, if the statement has taken it.
        """
        if not in_transaction:
            self.release()
        elif self._has_taken and not is_writing:
            self._give_back()

    def release(self) -> None:
        """Give back what is held."""
        if self._is_in:
            self._is_in = False
            _core.database_leave(self._place)
        if self._holds:
            self._give_back()

    def close(self) -> None:
        """Give back what is held, and the place."""
        self.release()
        self._database.vacate(self._place)

    def _access(self, changes: bool) -> None:
        path = self._database.path
        _core.database_access(path, changes, lambda: _digest(path))

    def _take_lock(self) -> bool:
        """Take the lock. Who has read does not wait for it: its holder may be waiting for the end of the reading."""
        if self._holds:
            return True
        _core.note_change()
        held = any(account._holds for account in self._database.accounts())
        timeout = 0.0 if self._is_in else self._timeout
        self._holds = self._has_taken = _core.database_lock(self._database.path, timeout, held)
        return self._holds

    def _give_back(self) -> None:
        """Give back the lock and, in the same moment, open the gate: nobody can tell one from the other."""
        self._holds = False
        if self._has_shut:
            self._has_shut = False
            _core.database_reopen(self._database.path, self._database.gate)
        else:
            _core.database_unlock(self._database.path)

    def _enter(self) -> bool:
        shut = any(account._has_shut for account in self._database.accounts())
        self._is_in = _core.database_enter(self._database.gate, self._place, self._timeout, shut)
        if self._is_in:
            self._database.visit(self._place)
        return self._is_in

    def _await_readers(self) -> bool:
        """Let nobody in any more, and wait until all others have left. If they do not, the gate stays shut."""
        if not self._has_shut:
            self._has_shut = True
            _core.database_shut(self._database.gate)
        others = (place for place in self._database.visited() if place != self._place)
        return all(_core.database_await(place, self._timeout, self._is_taken(place)) for place in others)

    def _is_taken(self, place: str) -> bool:
        owner = self._database.owner(place)
        return owner is not None and owner._is_in


class DistantAccount:
    """The account of a connection of this worker process, which the run keeps."""

    def __init__(self, asks: Callable[..., Any], *terms: Any) -> None:
        self._ask = asks
        self._key = next(_opened)
        asks("account", self._key, "open", *terms)

    def begin(self) -> None:
        """Do nothing: the process has one thread."""

    def end(self) -> None:
        """Do nothing, as well."""

    def prepare(self, kind: str) -> bool:
        return bool(self._ask("account", self._key, "prepare", kind))

    def publish(self, kind: str, is_logged: bool) -> bool:
        return bool(self._ask("account", self._key, "publish", kind, is_logged))

    def settle(self, in_transaction: bool, is_writing: bool) -> None:
        self._ask("account", self._key, "settle", in_transaction, is_writing)

    def holds(self) -> bool:
        return bool(self._ask("account", self._key, "holds"))

    def be_patient(self, timeout: float) -> None:
        self._ask("account", self._key, "be_patient", timeout)

    def release(self) -> None:
        self._ask("account", self._key, "release")

    def close(self) -> None:
        self._ask("account", self._key, "close")


class InheritedAccount:
    """The account of a connection that the process has from its parent: SQLite does not allow its use."""

    def __init__(self, asks: Callable[..., Any]) -> None:
        self._ask = asks

    def begin(self) -> None:
        """Do nothing: it may be closed."""

    def end(self) -> None:
        """Do nothing, as well."""

    def prepare(self, kind: str) -> bool:
        del kind
        return bool(self._refuse())

    def publish(self, kind: str, is_logged: bool) -> bool:
        del kind, is_logged
        return bool(self._refuse())

    def settle(self, in_transaction: bool, is_writing: bool) -> None:
        del in_transaction, is_writing

    def holds(self) -> bool:
        return bool(self._refuse())

    def be_patient(self, timeout: float) -> None:
        del timeout
        self._refuse()

    def release(self) -> None:
        """Leave it to the parent."""

    def close(self) -> None:
        """Leave it to the parent."""

    def _refuse(self) -> Any:
        return self._ask("refuse", "one uses a connection to a database that was opened before it was forked")


def refuse_own_class() -> None:
    """End the run if a worker process makes a connection of a class of the program's: its statements are not seen."""
    if ask is not None:
        ask("refuse", "one connects to a database with a class of its own")


def account(path: str, timeout: float, is_shared: bool, is_open: bool) -> Ledger:
    """Open an account for a connection of this process."""
    terms = (path, timeout, is_shared, is_open)
    return Account(*terms) if ask is None else DistantAccount(ask, *terms)


def here(ledger: Ledger) -> Ledger:
    """The account as this process may use it."""
    if ask is not None and isinstance(ledger, Account):
        return InheritedAccount(ask)
    return ledger


def _digest(path: str) -> int:
    """A number that tells different contents of a database apart."""
    from . import _sqlite

    return _sqlite.digest(path)
