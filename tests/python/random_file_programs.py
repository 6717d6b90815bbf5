"""Random small programs with files: threads that do a few things each to two files and a directory.

Every number names one program.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable

from every_order_of_io import FileProgram, Step
from file_steps import (
    append,
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

NAMES = ["a", "b", "d/a"]
FLAGS = [os.O_RDWR, os.O_RDWR | os.O_APPEND, os.O_RDWR | os.O_CREAT, os.O_RDWR | os.O_CREAT | os.O_EXCL]
FLAGS += [os.O_RDWR | os.O_CREAT | os.O_TRUNC, os.O_RDWR | os.O_TRUNC]

# On paths: what is done to one of them.
ON_PATHS: list[Callable[[random.Random], Step]] = [
    lambda choose: unlink(choose.choice(NAMES)),
    lambda choose: rename(*choose.sample(NAMES, 2)),
    lambda choose: link(*choose.sample(NAMES, 2)),
    lambda choose: size(choose.choice(NAMES)),
    lambda choose: links(choose.choice(NAMES)),
    lambda choose: exists(choose.choice([*NAMES, "d"])),
    lambda choose: read_text(choose.choice(NAMES)),
    lambda choose: write_text(choose.choice(NAMES), choose.choice(["x", "yy"])),
    lambda choose: append_text(choose.choice(NAMES), "z"),
    lambda choose: listdir(choose.choice(["", "d"])),
    lambda choose: mkdir("d"),
    lambda choose: rmdir("d"),
]
# On the file that was opened last.
ON_FILE: list[Callable[[random.Random], Step]] = [
    lambda choose: pread(choose.choice([1, 3]), choose.choice([0, 1, 2, 3, 4])),
    lambda choose: pwrite(choose.choice([b"P", b"QQ"]), choose.choice([0, 1, 2, 3, 4])),
    lambda choose: append(b"R"),
    lambda choose: ftruncate(choose.choice([0, 1, 3, 4])),
    lambda choose: fstat_links(),
    lambda choose: end_of(),
]


def numbered(number: int) -> FileProgram:
    """A program."""
    choose = random.Random(number)
    files = {name: choose.choice(["", "1", "123"]) for name in NAMES if choose.random() < 0.6}
    folders = ["d"] if "d/a" in files or choose.random() < 0.7 else []
    return FileProgram([_thread(choose) for _ in range(2)], files, folders)


def _thread(choose: random.Random) -> list[Step]:
    size = choose.choice([2, 2, 3])
    if choose.random() < 0.5:
        return [choose.choice(ON_PATHS)(choose) for _ in range(size)]
    flags = choose.choice(FLAGS)
    on_file = [step for step in ON_FILE if flags & os.O_APPEND or step is not ON_FILE[2]]
    if flags & os.O_APPEND:
        # Where `pwrite` writes then is a peculiarity of Linux.
        on_file.remove(ON_FILE[1])
    steps = [opened(choose.choice(NAMES), flags)]
    return steps + [choose.choice(choose.choice([on_file, on_file, ON_PATHS]))(choose) for _ in range(size - 1)]
