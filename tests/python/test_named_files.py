"""Counts, balances and entries in files by name, with and without a lock: each with its outcomes and number of classes.

The threads share the names of files as text: a `Path` keeps parts of its name when it is first asked for them, which is
shared state of its own.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from frontrun.dpor import explore_dpor

Thread = Callable[[str], object]


def read(path: str) -> str:
    with open(path) as file:
        return file.read()


def read_bytes(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY)
    try:
        return os.read(fd, 100)
    finally:
        os.close(fd)


def replace(path: str, text: str) -> None:
    """Write a file beside, and give it the name."""
    beside = f"{path}.{threading.get_ident()}"
    with open(beside, "w") as file:
        file.write(text)
    os.replace(beside, path)


def add_to_count(path: str) -> None:
    replace(path, str(int(read(path)) + 1))


def add_with_descriptors(path: str) -> None:
    count = int(read_bytes(path))
    fd = os.open(path, os.O_WRONLY)
    os.write(fd, b"%d" % (count + 1))
    os.close(fd)


def add_at_an_offset(path: str) -> None:
    fd = os.open(path, os.O_RDWR)
    os.pwrite(fd, b"%d" % (int(os.pread(fd, 10, 0)) + 1), 0)
    os.close(fd)


def set_key(key: str) -> Thread:
    def thread(path: str) -> None:
        entries = json.loads(read(path)) or {}
        replace(path, json.dumps({**entries, key: 1}, sort_keys=True))

    return thread


def create_if_missing(path: str) -> None:
    if not os.path.exists(path + ".made"):
        os.close(os.open(path + ".made", os.O_CREAT))
        add_to_count(path)


def locked(body: Thread) -> Thread:
    def thread(path: str) -> None:
        with LOCK:
            body(path)

    return thread


def transfer(path: str) -> None:
    """Take from one balance and give to the other, each in a file of its own."""
    replace(path, str(int(read(path)) - 10))
    replace(path + ".other", str(int(read(path + ".other")) + 10))


def write_number(number: int) -> Thread:
    return lambda path: replace(path, str(number))


LOCK = threading.Lock()

# The threads, what is in the two files in the end, and the number of classes: threads that hold a lock all the time
# have one for each order; two that read once and write once have four, as everywhere.
FILES: dict[str, tuple[list[Thread], set[tuple[str, str]], int]] = {
    "count": ([add_to_count] * 2, {("1", "0"), ("2", "0")}, 4),
    "count, locked": ([locked(add_to_count)] * 2, {("2", "0")}, 2),
    "count by descriptors": ([add_with_descriptors] * 2, {("1", "0"), ("2", "0")}, 4),
    "count by descriptors, locked": ([locked(add_with_descriptors)] * 2, {("2", "0")}, 2),
    "count at an offset": ([add_at_an_offset] * 2, {("1", "0"), ("2", "0")}, 4),
    "two balances": (
        [transfer] * 2,
        {("-20", "20"), ("-10", "20"), ("-20", "10"), ("-10", "10")},
        16,
    ),
    "two balances, locked": ([locked(transfer)] * 2, {("-20", "20")}, 2),
    "two keys": (
        [set_key("a"), set_key("b")],
        {('{"a": 1, "b": 1}', "0"), ('{"a": 1}', "0"), ('{"b": 1}', "0")},
        4,
    ),
    "two keys, locked": ([locked(set_key("a")), locked(set_key("b"))], {('{"a": 1, "b": 1}', "0")}, 2),
    # The look of the later one comes before the file is made, or after.
    "create if missing": ([create_if_missing] * 2, {("1", "0"), ("2", "0")}, 10),
    "two writers": ([write_number(1), write_number(2)], {("1", "0"), ("2", "0")}, 2),
    "a file for each": (
        [add_to_count, lambda path: add_to_count(path + ".other")],
        {("1", "1")},
        1,
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_files_have_these_outcomes(name: str, tmp_path: Path) -> None:
    threads, expected, classes = FILES[name]
    path = str(tmp_path / "count")

    def setup() -> str:
        for file in tmp_path.iterdir():
            file.unlink()
        for made in (path, path + ".other"):
            Path(made).write_text("0")
        return path

    def observe(path: str) -> tuple[str, str]:
        return read(path), read(path + ".other")

    result = explore_dpor(setup, threads, lambda _: True, observe=observe, stop_on_first=False)
    assert result.verdict == "exhausted", result.explanation
    assert set(result.outcomes) == {repr(texts) for texts in expected}
    assert result.num_explored == classes
