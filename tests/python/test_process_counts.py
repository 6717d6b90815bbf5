"""Workers that are processes have exactly as many executions as brute force finds classes, as threads have.

The programs are those of `test_io_counts.py`. What a worker got it leaves in a file of its own, since no other process
sees its memory.
"""

from __future__ import annotations

import ast
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import frontrun
import pytest
from database_steps import DatabaseProgram, Session, balances
from every_order_of_io import FileProgram, explore_every_order, tree
from random_file_programs import numbered
from shares import portions, share
from test_io_counts import DATABASES, FILES

NUMBERS = portions(share(24, "FRONTRUN_PROCESS_PROGRAMS"), 6)


def workers(program: Any, desk_of: Callable[[Any, int], Any], results: Path) -> list[Callable[[Any], None]]:
    """The workers as the program runs them; each leaves what it got."""

    def worker(number: int) -> Callable[[Any], None]:
        def work(state: Any) -> None:
            desk, got = desk_of(state, number), []
            for step in program.threads[number]:
                try:
                    got.append(step.run(desk))
                except OSError as error:
                    got.append(type(error).__name__)
            (results / str(number)).write_text(repr(got))

        return work

    return [worker(number) for number in range(len(program.threads))]


def compare(
    program: Any,
    setup: Callable[[], Any],
    desks: dict[str, Callable[[Any, int], Any]],
    left: Callable[[], object],
    results: Path,
) -> int:
    """Compare workers of each kind, by what they work at, with brute force; how many classes there are."""
    expected = explore_every_order(program)

    def observe(_: object) -> object:
        return [ast.literal_eval((results / str(n)).read_text()) for n in range(len(program.threads))], left()

    for execution, desk_of in desks.items():
        found = frontrun.explore(
            setup,
            workers(program, desk_of, results),
            lambda _: True,
            observe=observe,
            execution=execution,
        )
        assert found.verdict == "exhausted", f"{execution}\n{program.text()}\n{found.explanation}"
        assert found.outcomes == expected.outcomes, f"{execution}\n{program.text()}"
        assert found.num_explored == expected.n_classes, f"{execution}\n{program.text()}"
    return expected.n_classes


def check(program: Any, desk_of: Callable[[Any, int], Any], left: Callable[[], object], directory: Path) -> int:
    """Compare threads and processes that meet in a folder with brute force; how many classes there are."""
    results = directory.with_name(f"{directory.name}-results")
    results.mkdir()
    desks = dict.fromkeys(("thread", "process"), desk_of)
    return compare(program, lambda: program.state(directory), desks, left, results)


def check_files(program: FileProgram, directory: Path) -> int:
    directory.mkdir()
    return check(program, lambda state, number: state.desks[number], lambda: tree(directory), directory)


def check_database(program: DatabaseProgram, directory: Path) -> int:
    directory.mkdir()

    def connect(state: Any, _: int) -> Session:
        return Session(sqlite3.connect(state.path, isolation_level=None))

    return check(program, connect, lambda: balances(directory), directory)


@pytest.mark.parametrize("name", FILES)
def test_processes_that_meet_in_files_have_one_execution_a_class(tmp_path: Path, name: str) -> None:
    n_classes, program = FILES[name]
    assert check_files(program, tmp_path / "files") == n_classes


@pytest.mark.parametrize("name", DATABASES)
def test_processes_that_meet_in_a_database_have_one_execution_a_class(tmp_path: Path, name: str) -> None:
    n_classes, program = DATABASES[name]
    assert check_database(program, tmp_path / "bank") == n_classes


@pytest.mark.parametrize("numbers", NUMBERS, ids=str)
def test_random_programs_of_processes_have_one_execution_a_class(tmp_path: Path, numbers: list[int]) -> None:
    for number in numbers:
        check_files(numbered(number), tmp_path / str(number))
