"""Programs that meet in files and databases have exactly as many executions as brute force finds classes.

The outcomes are the same, too, and as many classes end with each. Brute force knows nothing of frontrun: see
`every_order_of_io.py`, and for what system calls and statements touch `file_steps.py`, `database_steps.py` and
`postgres_steps.py`.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import frontrun
import postgres_steps as pg
import pytest
from database_steps import DatabaseProgram, add, delete, double, insert, read, transaction
from every_order_of_io import FileProgram, Step, explore_every_order, workers_of
from file_steps import (
    append,
    append_at,
    append_text,
    end_of,
    exists,
    fstat_links,
    ftruncate,
    link,
    links,
    listdir,
    mkdir,
    opened,
    pread,
    pwrite,
    read_text,
    rename,
    rmdir,
    size,
    unlink,
    write_text,
)
from postgres_steps import PostgresProgram, tx_add, tx_double, tx_lock
from random_file_programs import numbered
from shares import portions, share

NUMBERS = portions(share(48, "FRONTRUN_IO_PROGRAMS"), 12)

APPENDS = os.O_WRONLY | os.O_APPEND
MAKES = os.O_RDWR | os.O_CREAT | os.O_EXCL
TEN = {"a": "0123456789"}
AB = {"a": "one", "b": "two"}


def program(*threads: list[Step], files: dict[str, str] | None = None, folders: tuple[str, ...] = ()) -> FileProgram:
    return FileProgram(threads, files or {}, folders)


def appending(*texts: bytes) -> list[Step]:
    return [opened("a", APPENDS), *map(append, texts)]


# How many classes there are, and what happens.
PLACES: dict[str, tuple[int, FileProgram]] = {
    "disjoint byte ranges of one file": (
        1,
        program([opened("a"), pwrite(b"xx", 0), pread(2, 2)], [opened("a"), pwrite(b"yy", 4), pread(2, 6)], files=TEN),
    ),
    "overlapping byte ranges": (
        2,
        program([opened("a"), pwrite(b"xx", 0)], [opened("a"), pwrite(b"yy", 1)], files=TEN),
    ),
    "two appends": (2, program(appending(b"x"), appending(b"y"), files=TEN)),
    "three appends": (6, program(appending(b"x"), appending(b"y"), appending(b"z"), files=TEN)),
    # Before both, between them, or behind the second: then the first of them has written what is read.
    "two appends and a read where the first one writes": (
        4,
        program(appending(b"x"), appending(b"y"), [opened("a"), pread(1, 10)], files=TEN),
    ),
    # What is read hangs on the length, and is at some lengths behind the end, at others not.
    "three appends and a read where the second one writes": (
        9,
        program(appending(b"x", b"z"), appending(b"y"), [opened("a"), pread(1, 11)], files=TEN),
    ),
    "reading where a file is cut and written behind its end": (
        6,
        program([opened("a"), ftruncate(4), pwrite(b"q", 6)], [opened("a"), pread(2, 5), pread(2, 7)], files=TEN),
    ),
    "a file that is cut behind what is read": (
        1,
        program([opened("a"), pread(2, 0)], [opened("a"), ftruncate(4)], files=TEN),
    ),
    "a file that is cut where it is read": (
        2,
        program([opened("a"), pread(2, 3)], [opened("a"), ftruncate(4)], files=TEN),
    ),
    "the end of a file that does not grow": (
        1,
        program([opened("a"), end_of()], [opened("a"), pwrite(b"x", 0)], files=TEN),
    ),
    "the end of a file that grows": (2, program([opened("a"), end_of()], appending(b"x"), files=TEN)),
    # Whoever opens for appending asks for the end, before or after the other one has written.
    "opening for appending twice": (4, program([append_text("a", "x")], [append_text("a", "y")], files=TEN)),
    # The same, and each of them may make the file.
    "a header for a file that is empty": (8, program([append_at("a", "x")], [append_at("a", "y")])),
}
STATUS: dict[str, tuple[int, FileProgram]] = {
    "the size of a file that grows": (2, program([size("a")], appending(b"x"), files=TEN)),
    # The time of the change is a part of the status.
    "the status of a file that does not grow": (2, program([size("a")], [opened("a"), pwrite(b"x", 0)], files=TEN)),
    "the number of links of a file that gets one": (2, program([links("a")], [link("a", "b")], files=TEN)),
    "the number of links of a file that loses one": (
        3,
        program([link("a", "b"), links("a")], [unlink("b")], files=TEN),
    ),
    "the number of links of an open file that is unlinked": (
        3,
        program([opened("a"), fstat_links()], [unlink("a")], files=TEN),
    ),
    # Reading asks for the status, too, but not for the number of links.
    "reading a file that gets a link": (1, program([read_text("a")], [link("a", "b")], files=TEN)),
}
NAMES: dict[str, tuple[int, FileProgram]] = {
    "renaming over a file that is read": (2, program([rename("b", "a")], [read_text("a")], files=AB)),
    "writing to a file that is renamed": (2, program([opened("a"), pwrite(b"x", 0)], [rename("a", "b")], files=TEN)),
    "renaming two files to one name": (2, program([rename("a", "c")], [rename("b", "c")], files=AB)),
    "renaming in a row": (2, program([rename("a", "b")], [rename("b", "c")], files=AB)),
    "opening after a look at what is unlinked": (3, program([exists("a"), read_text("a")], [unlink("a")], files=TEN)),
    # Who comes first, and nothing of those that come too late.
    "making one directory twice": (2, program([mkdir("d")], [mkdir("d")])),
    "making one directory thrice": (3, program([mkdir("d")], [mkdir("d")], [mkdir("d")])),
    "removing one file thrice": (3, program([unlink("a")], [unlink("a")], [unlink("a")], files=TEN)),
    "removing what is not there": (1, program([unlink("a")], [unlink("a")])),
    "exclusive creation twice": (2, program([opened("a", MAKES)], [opened("a", MAKES)])),
    "creation of what is there": (1, program([opened("a", os.O_CREAT)], [opened("a", os.O_CREAT)], files=TEN)),
    "a link to a file that is unlinked": (2, program([link("a", "b")], [unlink("a")], files=TEN)),
    "listing a directory in which a file is made": (
        2,
        program([listdir("d")], [opened("d/a", MAKES)], folders=("d",)),
    ),
    "removing a directory in which a file is made": (2, program([rmdir("d")], [opened("d/a", MAKES)], folders=("d",))),
    # Which directory is not empty is known from the directory, not from the removal.
    "removing a directory that is emptied": (
        2,
        program([unlink("d/a")], [rmdir("d")], files={"d/a": ""}, folders=("d",)),
    ),
    "two directories": (
        1,
        program(
            [mkdir("d/x"), write_text("d/a", "1"), listdir("d")],
            [mkdir("e/x"), write_text("e/a", "2"), listdir("e")],
            folders=("d", "e"),
        ),
    ),
    # Three places for each read: before the file is emptied, before it is written, and after; none hangs on another.
    "a reader of two files against a writer of both": (
        9,
        program([read_text("a"), read_text("b")], [write_text("a", "1"), write_text("b", "2")], files=AB),
    ),
}
FILES = PLACES | STATUS | NAMES

# The database is one location, so more is in conflict than by rows.
DATABASES: dict[str, tuple[int, DatabaseProgram]] = {
    # By rows it would be one.
    "changes of different rows": (2, DatabaseProgram([[add(1)], [add(2)]])),
    "changes of one row": (2, DatabaseProgram([[add(1)], [double(1)]])),
    "two changes of one row each": (6, DatabaseProgram([[add(1), double(1)], [double(1), add(1)]])),
    "reading before changing": (4, DatabaseProgram([[read(1), add(1)], [read(1), add(1)]])),
    "reads": (1, DatabaseProgram([[read(1), read(2)], [read(1)]])),
    "two rows with one key": (2, DatabaseProgram([[insert(3, 1)], [insert(3, 2)]])),
    "a row that goes and comes again": (3, DatabaseProgram([[delete(1)], [read(1), insert(1, 5)]])),
    "two changes and a read": (6, DatabaseProgram([[add(1)], [double(1)], [read(1)]])),
    # Transactions exclude each other: in which order they are, four among which two are of each thread. By rows it
    # would be one.
    "two transactions each on different rows": (
        6,
        DatabaseProgram([[transaction(add(1)), transaction(add(1))], [transaction(add(2)), transaction(add(2))]]),
    ),
    "two transactions each on one row": (
        6,
        DatabaseProgram([[transaction(add(1)), transaction(add(1))], [transaction(double(1)), transaction(double(1))]]),
    ),
    # What is not committed nobody sees: only the order of the reads and the commit counts.
    "a transaction and two reads": (3, DatabaseProgram([[transaction(add(1), add(2))], [read(1), read(2)]])),
}

# Rows of PostgreSQL are told apart.
ROWS: dict[str, tuple[int, PostgresProgram]] = {
    "changes of different rows": (1, PostgresProgram([[pg.add(1)], [pg.add(2)]])),
    "changes of one row": (2, PostgresProgram([[pg.add(1)], [pg.double(1)]])),
    "two changes of one row each": (6, PostgresProgram([[pg.add(1), pg.double(1)], [pg.double(1), pg.add(1)]])),
    "reading before changing": (4, PostgresProgram([[pg.read(1), pg.add(1)], [pg.read(1), pg.add(1)]])),
    "reads": (1, PostgresProgram([[pg.read(1), pg.read(2)], [pg.read(1)]])),
    "two changes and a read": (6, PostgresProgram([[pg.add(1)], [pg.double(1)], [pg.read(1)]])),
    "two transactions each on different rows": (
        1,
        PostgresProgram(
            [
                [pg.transaction(tx_add(1)), pg.transaction(tx_add(1))],
                [pg.transaction(tx_add(2)), pg.transaction(tx_add(2))],
            ]
        ),
    ),
    "two transactions each on one row": (
        6,
        PostgresProgram(
            [
                [pg.transaction(tx_add(1)), pg.transaction(tx_add(1))],
                [pg.transaction(tx_double(1)), pg.transaction(tx_double(1))],
            ]
        ),
    ),
    # What is not committed nobody sees: only the order of the reads and the commit counts.
    "a transaction and two reads": (
        3,
        PostgresProgram([[pg.transaction(tx_add(1), tx_add(2))], [pg.read(1), pg.read(2)]]),
    ),
    # Who commits first, and whether the other one has read by then.
    "transactions that read and then change one row": (
        4,
        PostgresProgram([[pg.transaction(pg.read(1), tx_add(1))], [pg.transaction(pg.read(1), tx_add(1))]]),
    ),
    "transactions that lock what they read": (
        2,
        PostgresProgram([[pg.transaction(tx_lock(1), tx_add(1))], [pg.transaction(tx_lock(1), tx_double(1))]]),
    ),
    "a lock and a read": (1, PostgresProgram([[pg.transaction(tx_lock(1))], [pg.read(1)]])),
    "a read of what is rolled back": (
        1,
        PostgresProgram([[pg.transaction(tx_add(1), end="ROLLBACK")], [pg.read(1)]]),
    ),
    "a change of what is rolled back": (
        2,
        PostgresProgram([[pg.transaction(tx_add(1), end="ROLLBACK")], [pg.double(1)]]),
    ),
    # Both changes before the transaction, both behind it, or the first before and the second behind.
    "a transaction on two rows and a change of each": (
        3,
        PostgresProgram([[pg.transaction(tx_add(1), tx_add(2))], [pg.double(1), pg.double(2)]]),
    ),
    # Who reads the other's row before it is committed: both, or one of them.
    "transactions that read the row of the other one": (
        3,
        PostgresProgram([[pg.transaction(tx_add(1), pg.read(2))], [pg.transaction(tx_add(2), pg.read(1))]]),
    ),
    "transactions on two rows in the same order": (
        2,
        PostgresProgram([[pg.transaction(tx_add(1), tx_add(2))], [pg.transaction(tx_double(1), tx_double(2))]]),
    ),
}


def check(each: Any, directory: Path) -> int:
    """Compare an exploration with brute force; how many classes both have found."""
    expected = explore_every_order(each)
    result = frontrun.explore(
        lambda: each.state(directory), workers_of(each), lambda _: True, observe=lambda state: state.observe()
    )
    assert result.verdict == "exhausted", f"{each.text()}\n{result.explanation}"
    assert result.outcomes == expected.outcomes, each.text()
    assert result.num_explored == expected.n_classes, each.text()
    return expected.n_classes


@pytest.mark.parametrize("name", FILES)
def test_a_program_with_files_has_one_execution_a_class(tmp_path: Path, name: str) -> None:
    n_classes, each = FILES[name]
    assert check(each, tmp_path) == n_classes


@pytest.mark.parametrize("name", DATABASES)
def test_a_program_with_a_database_has_one_execution_a_class(tmp_path: Path, name: str) -> None:
    n_classes, each = DATABASES[name]
    assert check(each, tmp_path) == n_classes


@pytest.mark.parametrize("name", ROWS)
def test_a_program_with_postgresql_has_one_execution_a_class(tmp_path: Path, postgres: str, name: str) -> None:
    n_classes, each = ROWS[name]
    assert check(replace(each, address=postgres), tmp_path) == n_classes


@pytest.mark.parametrize("numbers", NUMBERS, ids=str)
def test_random_programs_with_files_have_one_execution_a_class(tmp_path: Path, numbers: list[int]) -> None:
    for number in numbers:
        directory = tmp_path / str(number)
        directory.mkdir()
        check(numbered(number), directory)
