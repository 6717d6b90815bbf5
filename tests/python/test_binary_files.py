"""Binary files that threads share: their lock in C decides the order, and what it does not cover is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
from frontrun.dpor import InterleavingResult, explore_dpor


class Shared:
    """One open file, and bytes that somebody may change."""

    def __init__(self, path: Path, mode: str) -> None:
        path.write_bytes(b"a\nb\nc\n")
        self.path = path
        self.file: BinaryIO = open(path, mode)  # type: ignore[assignment]  # noqa: SIM115
        self.bytes = bytearray(b"xx")
        self.seen: list[bytes] = []

    def content(self) -> bytes:
        self.file.close()
        return self.path.read_bytes()


Explore = Callable[..., InterleavingResult]


@pytest.fixture
def explore(tmp_path: Path) -> Iterator[Explore]:
    def run(
        mode: str, threads: list[Callable[[Shared], object]], holds: Callable[[Shared], object]
    ) -> InterleavingResult:
        return explore_dpor(lambda: Shared(tmp_path / "file", mode), threads, holds, stop_on_first=False)

    return run


def writer(content: bytes) -> Callable[[Shared], object]:
    return lambda shared: shared.file.write(content)


def test_two_writers_come_one_after_the_other(explore: Explore) -> None:
    result = explore("wb", [writer(b"1"), writer(b"2")], lambda shared: shared.content() in (b"12", b"21"))
    assert (result.verdict, result.num_explored) == ("exhausted", 2), result.explanation


def test_that_either_writer_is_first_is_found(explore: Explore) -> None:
    for outcome in (b"12", b"21"):
        result = explore("wb", [writer(b"1"), writer(b"2")], lambda shared, no=outcome: shared.content() != no)
        assert result.failure_kind == "invariant"


def test_bytes_that_change_while_they_are_written_are_a_race(explore: Explore) -> None:
    def change(shared: Shared) -> None:
        shared.bytes[0] = 65

    result = explore(
        "wb", [lambda shared: shared.file.write(shared.bytes), change], lambda shared: shared.content() == b"xx"
    )
    assert (result.failure_kind, result.num_explored) == ("invariant", 2), result.explanation


def test_a_file_that_is_closed_too_early_is_found(explore: Explore) -> None:
    result = explore("wb", [writer(b"1"), lambda shared: shared.file.close()], lambda _: True)
    assert (result.failure_kind, result.num_explored) == ("exception", 2), result.explanation
    assert "closed file" in str(result.explanation)


def test_lines_go_to_whoever_reads_first(explore: Explore) -> None:
    def read(shared: Shared) -> None:
        shared.seen.append(shared.file.readline())

    def iterate(shared: Shared) -> None:
        shared.seen.append(next(shared.file))

    result = explore("rb", [read, iterate], lambda shared: sorted(shared.seen) == [b"a\n", b"b\n"])
    assert result.verdict == "exhausted", result.explanation
    assert result.num_explored >= 2


def test_what_is_read_into_shared_bytes_is_a_write(explore: Explore) -> None:
    def read(shared: Shared) -> None:
        shared.file.readinto(shared.bytes)  # type: ignore[attr-defined]

    def look(shared: Shared) -> None:
        shared.seen.append(bytes(shared.bytes))

    result = explore("rb", [read, look], lambda shared: shared.seen == [b"a\n"])
    assert result.failure_kind == "invariant", result.explanation
