"""Programs that meet in files have exactly as many executions as brute force finds classes, with the same outcomes."""

from __future__ import annotations

import os
from pathlib import Path

import frontrun
import pytest
from every_order_of_io import FileProgram, State, explore_every_order, workers_of
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

APPENDS = os.O_WRONLY | os.O_APPEND
MAKES = os.O_RDWR | os.O_CREAT | os.O_EXCL
TEN = {"a": "0123456789"}
AB = {"a": "one", "b": "two"}


def program(*threads: list, files: dict[str, str] | None = None, folders: tuple[str, ...] = ()) -> FileProgram:
    return FileProgram(threads, files or {}, folders)


# What happens, and how many classes it is by hand.
PROGRAMS: dict[str, tuple[FileProgram, int]] = {
    "disjoint byte ranges of one file": (
        program([opened("a"), pwrite(b"xx", 0), pread(2, 2)], [opened("a"), pwrite(b"yy", 4), pread(2, 6)], files=TEN),
        1,
    ),
    "overlapping byte ranges": (program([opened("a"), pwrite(b"xx", 0)], [opened("a"), pwrite(b"yy", 1)], files=TEN), 2),
    "two appends": (
        program([opened("a", APPENDS), append(b"x")], [opened("a", APPENDS), append(b"y")], files=TEN),
        2,
    ),
    "three appends": (program(*([opened("a", APPENDS), append(x)] for x in (b"x", b"y", b"z")), files=TEN), 6),
    "renaming over a file that is read": (program([rename("b", "a")], [read_text("a")], files=AB), 2),
    "opening after a look at what is unlinked": (program([exists("a"), read_text("a")], [unlink("a")], files=TEN), 3),
    "making one directory twice": (program([mkdir("d")], [mkdir("d")]), 2),
    "listing a directory in which a file is made": (
        program([listdir("d")], [opened("d/a", MAKES)], folders=("d",)),
        2,
    ),
    "the size of a file that grows": (program([size("a")], [opened("a", APPENDS), append(b"x")], files=TEN), 2),
    # The time of the change is a part of the status.
    "the status of a file that does not grow": (program([size("a")], [opened("a"), pwrite(b"x", 0)], files=TEN), 2),
    "two directories": (
        program(
            [mkdir("d/x"), write_text("d/a", "1"), listdir("d")],
            [mkdir("e/x"), write_text("e/a", "2"), listdir("e")],
            folders=("d", "e"),
        ),
        1,
    ),
    "a reader of two files against a writer of both": (
        program([read_text("a"), read_text("b")], [write_text("a", "1"), write_text("b", "2")], files=AB),
        0,
    ),
    "exclusive creation twice": (program([opened("a", MAKES)], [opened("a", MAKES)]), 2),
    "a link to a file that is unlinked": (program([link("a", "b")], [unlink("a")], files=TEN), 2),
    "the number of links of a file that gets one": (program([links("a")], [link("a", "b")], files=TEN), 2),
    "the number of links of a file that loses one": (
        program([link("a", "b"), links("a")], [unlink("b")], files=TEN), 0),
    "the number of links of an open file that is unlinked": (program([opened("a"), fstat_links()], [size("a"), unlink("a")], files=TEN), 3),
    "the end of a file that is written": (program([opened("a"), end_of()], [opened("a"), pwrite(b"x", 0)], files=TEN), 1),
    "the end of a file that grows": (program([opened("a"), end_of()], [opened("a", APPENDS), append(b"x")], files=TEN), 2),
    "a file that is cut behind what is read": (program([opened("a"), pread(2, 0)], [opened("a"), ftruncate(4)], files=TEN), 1),
    "a file that is cut where it is read": (program([opened("a"), pread(2, 3)], [opened("a"), ftruncate(4)], files=TEN), 2),
    "three directories of one name": (program(*[[mkdir("d")]]*3), 3),
    "two unlinks of what is not there": (program(*[[unlink("d")]]*2), 1),
    "three unlinks of one": (program(*[[unlink("a")]]*3, files=TEN), 3),
    "opening for appending twice": (program(*[[append_text("a", x)] for x in "xy"], files=TEN), 2),
    "tell": (program(*[[append_at("a", x)] for x in "xy"]), 2),
    "creation of what is there": (program(*[[opened("a", os.O_CREAT)]]*2, files=TEN), 1),
    "rename open": (program([rename("a", "b")], [opened("b"), pwrite(b"x", 0)], files=TEN), 2),
    "two renames": (program([rename("a", "c")], [rename("b", "c")], files=AB), 2),
    "rename chain": (program([rename("a", "b")], [rename("b", "c")], files=AB), 2),
    "rmdir": (program([rmdir("d")], [opened("d/a", MAKES)], folders=("d",)), 2),
    "append, append, read": (program([opened("a", APPENDS), append(b"x")],[opened("a", APPENDS), append(b"y")],[opened("a"), pread(1, 10)], files=TEN), 0),
    "append, append, read2": (program([opened("a", APPENDS), append(b"x"), append(b"z")],[opened("a", APPENDS), append(b"y")],[opened("a"), pread(1, 11)], files=TEN), 0),
    "trunc, read": (program([opened("a"), ftruncate(4), pwrite(b"q", 6)],[opened("a"), pread(2, 5), pread(2,7)], files=TEN), 0),
}


def check(each: FileProgram, directory: Path) -> int:
    """Compare an exploration with brute force; how many classes both have found."""
    expected = explore_every_order(each)

    def setup() -> State:
        each.prepare(directory)
        return State(each, directory)

    result = frontrun.explore(setup, workers_of(each), lambda _: True, observe=State.observe)
    assert result.verdict == "exhausted", f"{each.text()}\n{result.explanation}"
    assert result.outcomes == expected.outcomes, each.text()
    assert result.num_explored == expected.n_classes, each.text()
    return expected.n_classes


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_exploration_runs_each_class_of_a_program_with_files_once(tmp_path: Path, name: str) -> None:
    each, by_hand = PROGRAMS[name]
    assert check(each, tmp_path) == by_hand
