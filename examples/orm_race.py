"""Two requests that each load an account through an object mapper, change the object, and save it: a deposit is lost.

Run it with ``python`` or ``frontrun python``; no request is wrong by itself, so an ordinary run of both finds nothing.
"""

from __future__ import annotations

import sqlite3
import tempfile
from dataclasses import dataclass
from pathlib import Path

from frontrun.dpor import explore_dpor


@dataclass
class Account:
    """A row of the table ``account``."""

    id: int
    balance: int

    @classmethod
    def load(cls, database: Path, id: int) -> Account:
        with sqlite3.connect(database) as connection:
            return cls(*connection.execute("SELECT id, balance FROM account WHERE id = ?", (id,)).fetchone())

    def save(self, database: Path) -> None:
        with sqlite3.connect(database) as connection:
            connection.execute("UPDATE account SET balance = ? WHERE id = ?", (self.balance, self.id))


def deposit(database: Path) -> None:
    account = Account.load(database, 1)
    account.balance += 10
    account.save(database)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder, "bank.db")

        def setup() -> Path:
            database.unlink(missing_ok=True)
            with sqlite3.connect(database) as connection:
                connection.execute("CREATE TABLE account (id INTEGER PRIMARY KEY, balance INTEGER)")
                connection.execute("INSERT INTO account VALUES (1, 0)")
            return database

        result = explore_dpor(
            setup=setup,
            threads=[deposit, deposit],
            invariant=lambda database: Account.load(database, 1).balance == 20,
        )
    assert result.property_holds, result.explanation


if __name__ == "__main__":
    main()
