"""Workers that meet in servers have exactly as many executions as brute force finds classes, threads as processes.

The programs with PostgreSQL are those of `test_io_counts.py`. A process makes a connection of its own, and leaves what
it got in a file. Brute force knows nothing of frontrun: see `every_order_of_io.py`, `postgres_steps.py` and
`redis_steps.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import postgres_steps as pg
import psycopg
import psycopg2
import pytest
import redis_steps
from redis_steps import (
    RedisProgram,
    await_item,
    fields,
    get,
    increment,
    increment_all,
    pop,
    push,
    put,
    put_field,
)
from test_io_counts import ROWS
from test_process_counts import compare


def check(program: Any, connect: Callable[[Any], Any], left: Callable[[], object], results: Path) -> int:
    """Compare threads and processes that meet in a server with brute force; how many classes there are."""
    desks: dict[str, Callable[[Any, int], Any]] = {
        "thread": lambda state, number: state.desks[number],
        "process": lambda state, _: connect(state),
    }
    return compare(program, lambda: program.state(results), desks, left, results)


class Psycopg2:
    """A connection of the other driver, as far as programs use it."""

    def __init__(self, address: str) -> None:
        self._connection = psycopg2.connect(address)
        self._connection.autocommit = True

    def execute(self, sql: str) -> Any:
        cursor = self._connection.cursor()
        cursor.execute(sql)
        return cursor


DRIVERS: dict[str, Callable[[str], Any]] = {
    "psycopg": lambda address: psycopg.connect(address, autocommit=True),
    "psycopg2": Psycopg2,
}


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("name", ROWS)
def test_processes_that_meet_in_postgresql_have_one_execution_a_class(
    tmp_path: Path, postgres: str, name: str, driver: str
) -> None:
    n_classes, program = ROWS[name]

    def left() -> object:
        with psycopg.connect(postgres) as connection:
            return connection.execute("SELECT id, balance FROM counted ORDER BY id").fetchall()

    def connect(state: pg.PostgresState) -> pg.Session:
        return pg.Session(DRIVERS[driver](postgres), {})

    assert check(replace(program, address=postgres), connect, left, tmp_path) == n_classes


KEYS: dict[str, tuple[int, RedisProgram]] = {
    "changes of different keys": (1, RedisProgram([[increment("a")], [increment("b")]])),
    "changes of one key": (2, RedisProgram([[increment("a")], [put("a", 5)]])),
    "reading before changing": (4, RedisProgram([[get("a"), put("a", 1)], [get("a"), put("a", 2)]])),
    "reads": (1, RedisProgram([[get("a"), get("b")], [get("a")]])),
    "two changes and a read": (6, RedisProgram([[increment("a")], [put("a", 5)], [get("a")]])),
    "fields of one key": (1, RedisProgram([[put_field("h", "x", 1)], [put_field("h", "y", 2)]])),
    # Neither, one, the other, or both.
    "fields and all of them": (
        4,
        RedisProgram([[put_field("h", "x", 1)], [put_field("h", "y", 2)], [fields("h")]]),
    ),
    "a transaction and reads of its keys": (
        3,
        RedisProgram([[increment_all("a", "b")], [get("a"), get("b")]]),
    ),
    "two transactions": (2, RedisProgram([[increment_all("a", "b")], [increment_all("b", "c")]])),
    # Whether it has looked before there was something.
    "waiting for an item": (2, RedisProgram([[await_item("jobs")], [push("jobs", 1)]])),
    "waiting for an item, twice": (
        8,
        RedisProgram([[await_item("jobs"), await_item("jobs")], [push("jobs", 1), push("jobs", 2)]]),
    ),
    "two that wait for one item each": (
        16,
        RedisProgram([[await_item("jobs")], [await_item("jobs")], [push("jobs", 1, 2)]]),
    ),
    "an item that may be gone": (
        12,
        RedisProgram([[await_item("jobs")], [push("jobs", 1), pop("jobs"), push("jobs", 2)]]),
    ),
}


@pytest.mark.parametrize("name", KEYS)
def test_workers_that_meet_in_redis_have_one_execution_a_class(tmp_path: Path, redis_server: str, name: str) -> None:
    n_classes, program = KEYS[name]

    def left() -> object:
        client = redis_steps.client(redis_server)
        try:
            return redis_steps.kept(client)
        finally:
            client.close()

    def connect(_: object) -> redis_steps.Session:
        # What has been changed how often is brute force's alone to know.
        return redis_steps.Session(redis_steps.client(redis_server), redis_steps.Changes())

    assert check(replace(program, address=redis_server), connect, left, tmp_path) == n_classes
