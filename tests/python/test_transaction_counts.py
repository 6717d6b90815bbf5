"""Transactions of SQLite have exactly as many executions as brute force finds classes, with the same outcomes.

Two connections, one of each thread or process. Brute force knows nothing of frontrun: see `transaction_steps.py`.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from database_steps import balances
from every_order_of_io import Step
from shares import portions, share
from test_process_counts import check
from transaction_steps import (
    PATIENCE,
    Client,
    TransactionProgram,
    TransactionState,
    add,
    begin,
    commit,
    double,
    read,
    rollback,
)

NUMBERS = portions(share(20, "FRONTRUN_TRANSACTION_PROGRAMS"), 5)


def check_transactions(program: TransactionProgram, directory: Path) -> int:
    directory.mkdir()

    def connect(state: TransactionState, number: int) -> Client:
        timeout = PATIENCE if program.patience[number] else 0.0
        return Client(number, state.connect(timeout), state.desks[number].locks, True, program.is_logged)

    return check(program, connect, lambda: balances(directory), directory)


def both(*steps: Step, **options: Any) -> TransactionProgram:
    return TransactionProgram([list(steps), list(steps)], **options)


IMPATIENT = (False, False)
PROGRAMS: dict[str, tuple[int, TransactionProgram]] = {
    # One after the other, in two orders; or both have read: then who comes too late for the lock is refused.
    "reading and then changing": (4, both(begin(), read(1), add(1), commit(), rollback())),
    "reading twice and then changing": (4, both(begin(), read(1), read(1), add(1), commit(), rollback())),
    # Who has read before the other one commits is refused the lock, or is told that what it has read is old; who has
    # read after that may still be refused it, since the lock is given back a moment later.
    "reading and then changing, with a log": (
        8,
        both(begin(), read(1), add(1), commit(), rollback(), is_logged=True),
    ),
    "reading and then changing under the lock": (2, both(begin("IMMEDIATE"), read(1), add(1), commit())),
    "reading and then changing alone": (2, both(begin("EXCLUSIVE"), read(1), add(1), commit())),
    "a reader and who changes something": (
        2,
        TransactionProgram([[begin(), read(1), read(1), commit()], [begin(), add(1), commit()]]),
    ),
    # Once it has read, the reader keeps the other one from committing, which then gives up.
    "a reader and who does not wait": (
        3,
        TransactionProgram([[begin(), read(1), commit()], [begin(), add(1), commit(), rollback()]], (True, False)),
    ),
    "what is taken back nobody sees": (
        1,
        TransactionProgram([[begin(), read(1), commit()], [begin("IMMEDIATE"), add(1), rollback()]]),
    ),
    "readers are in nobody's way": (1, both(begin(), read(1), read(2), commit())),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_transactions_have_one_execution_a_class(tmp_path: Path, name: str) -> None:
    n_classes, program = PROGRAMS[name]
    assert check_transactions(program, tmp_path / "bank") == n_classes


def numbered(number: int) -> TransactionProgram:
    """A random program with this number."""
    dice = random.Random(number)
    patience = (dice.random() < 0.7, dice.random() < 0.7)
    # Who fails to get all locks at once, and does not wait, holds some of them for a moment.
    begins = ["", "", "IMMEDIATE"] + ["EXCLUSIVE"] * all(patience)

    def statement() -> Step:
        return dice.choice([read, read, add, double])(dice.choice([1, 2]))

    def transaction() -> list[Step]:
        body = [statement() for _ in range(dice.choice([1, 1, 2]))]
        return [begin(dice.choice(begins)), *body, dice.choice([commit, commit, rollback])()]

    # Brute force runs all orders: a transaction of two statements and another statement are enough for it.
    one = transaction()
    other = [statement(), statement()] if dice.random() < 0.3 else transaction()
    longer = dice.choice([one, other])
    if len(longer) < 4 and dice.random() < 0.5:
        longer.insert(dice.choice([0, len(longer)]), statement())
    return TransactionProgram([[*one, rollback()], [*other, rollback()]], patience, is_logged=dice.random() < 0.3)


@pytest.mark.parametrize("numbers", NUMBERS, ids=str)
def test_random_transactions_have_one_execution_a_class(tmp_path: Path, numbers: list[int]) -> None:
    for number in numbers:
        check_transactions(numbered(number), tmp_path / str(number))
