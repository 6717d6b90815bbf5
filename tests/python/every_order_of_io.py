"""Brute force for files: every order of the system calls of some threads, and what each of them ends with.

Independent of frontrun. A program is made of steps, and a step of *parts*, each of which is one system call on shared
state. Right before a part is executed it says what POSIX has it read and write in the state that is then. From that
follows the Mazurkiewicz class of an order: for each part, which parts of whom are in its past.

Locations are tuples; one that is the beginning of another one contains it:

* ``("names", directory)`` the entries of a directory, ``("names", directory, name)`` one of them;
* ``("file", inode, "bytes", n)`` a byte of a file, ``("file", inode, "end")`` its length, ``("file", inode, "status")``
  what nobody but ``stat`` sees.

A file keeps its inode as long as an order is executed: a descriptor holds it.
"""

from __future__ import annotations

import collections
import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Location = tuple[Any, ...]
# What is read and what is written.
Footprint = tuple[set[Location], set[Location]]
# What a part touches in the present state; `None` while it has to wait.
Touch = Callable[[], Footprint | None]
Parts = Generator[Touch, None, object]


@dataclass
class Desk:
    """What a thread has: the directory, and the files that it has opened."""

    root: Path
    fds: dict[str, int] = field(default_factory=dict)

    def path(self, name: str) -> str:
        return str(self.root / name)


@dataclass(frozen=True)
class Step:
    """Something that a thread does: as the program does it, and as system calls with their footprints."""

    text: str
    run: Callable[[Any], object]
    parts: Callable[[Any], Parts]


@dataclass(frozen=True)
class FileProgram:
    """Threads that meet in a directory, which has these files at first."""

    threads: Sequence[Sequence[Step]]
    files: dict[str, str] = field(default_factory=dict)
    folders: Sequence[str] = ()

    def prepare(self, root: Path) -> None:
        """Put the directory into the state in which the threads begin."""
        for path in root.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        for name in self.folders:
            (root / name).mkdir()
        for name, text in self.files.items():
            (root / name).write_text(text)

    def state(self, root: Path) -> State:
        """A new state in the directory, which is prepared for it."""
        self.prepare(root)
        return State(self, root)

    def text(self) -> str:
        threads = ["; ".join(step.text for step in steps) for steps in self.threads]
        return "\n".join([f"files {self.files}, folders {list(self.folders)}", *threads])


class State:
    """The state of one execution: what each thread has at hand, and what it got."""

    def __init__(self, program: FileProgram, root: Path) -> None:
        self.root = root
        self.desks = [Desk(root) for _ in program.threads]
        self.results: list[list[object]] = [[] for _ in program.threads]

    def observe(self) -> object:
        """What the threads got and what they left behind."""
        return self.results, tree(self.root)

    def close(self) -> None:
        """Close what the threads have opened."""
        for desk in self.desks:
            for fd in desk.fds.values():
                os.close(fd)


def tree(root: Path) -> list[tuple[str, str]]:
    """All files and directories below a directory."""
    found = []
    for path in sorted(root.rglob("*")):
        found.append((str(path.relative_to(root)), "folder" if path.is_dir() else path.read_text()))
    return found


def workers_of(program: Any) -> list[Callable[[Any], None]]:
    """The threads as the program runs them."""
    return [_worker(number, steps) for number, steps in enumerate(program.threads)]


def _worker(number: int, steps: Sequence[Step]) -> Callable[[Any], None]:
    def work(state: Any) -> None:
        desk, results = state.desks[number], state.results[number]
        for step in steps:
            try:
                results.append(step.run(desk))
            except OSError as error:
                results.append(type(error).__name__)

    return work


def _all_parts(desk: Any, steps: Sequence[Step], results: list[object]) -> Parts:
    for step in steps:
        try:
            result = yield from step.parts(desk)
        except OSError as error:
            result = type(error).__name__
        results.append(result)
    return None


@dataclass(frozen=True)
class Expected:
    """What brute force has found."""

    n_classes: int
    # How many classes end with each outcome.
    outcomes: dict[str, int]


def explore_every_order(program: Any) -> Expected:
    """Run all orders of the parts. The orders of one class must have one outcome: otherwise a footprint is wrong."""
    classes: dict[frozenset[Any], str] = {}
    choices: list[int] | None = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(os.path.realpath(folder))
        while choices is not None:
            state = program.state(root)
            order, widths = _run(program, state, root, choices)
            outcome = repr(state.observe())
            state.close()
            known = classes.setdefault(class_of(order), outcome)
            assert known == outcome, f"one class, two outcomes:\n{program.text()}\n{known}\n{outcome}"
            choices = _next(choices, widths)
    return Expected(len(classes), dict(collections.Counter(classes.values())))


def _run(program: Any, state: Any, root: Path, choices: Sequence[int]) -> tuple[list[tuple[int, Footprint]], list[int]]:
    """Run one order; who takes which part, and how many threads there were to choose from each time."""
    order: list[tuple[int, Footprint]] = []
    widths: list[int] = []
    threads = {
        number: _all_parts(state.desks[number], steps, state.results[number])
        for number, steps in enumerate(program.threads)
    }
    pending: dict[int, Touch] = {}
    with _kept_inodes(root) as keep:
        for number in threads:
            _advance(threads[number], number, pending)
        while pending:
            ready = [(number, found) for number in sorted(pending) if (found := pending[number]()) is not None]
            number, footprint = ready[choices[len(widths)] if len(widths) < len(choices) else 0]
            widths.append(len(ready))
            order.append((number, footprint))
            _advance(threads[number], number, pending)
            keep()
    return order, widths


def _advance(parts: Parts, number: int, pending: dict[int, Touch]) -> None:
    try:
        pending[number] = next(parts)
    except StopIteration:
        pending.pop(number, None)


@contextmanager
def _kept_inodes(root: Path) -> Iterator[Callable[[], None]]:
    """A function that holds all files that are there, so that no other file gets the number of one that is gone."""
    held: dict[int, int] = {}

    def keep() -> None:
        for path in [root, *root.rglob("*")]:
            inode = path.lstat().st_ino
            if inode not in held:
                held[inode] = os.open(path, os.O_PATH | os.O_NOFOLLOW)

    keep()
    try:
        yield keep
    finally:
        for fd in held.values():
            os.close(fd)


def _next(choices: Sequence[int], widths: Sequence[int]) -> list[int] | None:
    """The choices that come after these, in which there were so many."""
    made = [*choices, *[0] * len(widths)][: len(widths)]
    while made:
        if made[-1] + 1 < widths[len(made) - 1]:
            return [*made[:-1], made[-1] + 1]
        made.pop()
    return None


def class_of(order: Sequence[tuple[int, Footprint]]) -> frozenset[Any]:
    """The class of an order: for each part its past, as how many parts of whom."""
    pasts: list[dict[int, int]] = []
    counts: collections.Counter[int] = collections.Counter()
    for number, footprint in order:
        past: dict[int, int] = {}
        for (other, earlier), clock in zip(order, pasts, strict=False):
            if other == number or are_dependent(footprint, earlier):
                past = {who: max(past.get(who, 0), clock.get(who, 0)) for who in past | clock}
        counts[number] += 1
        pasts.append(past | {number: counts[number]})
    return frozenset((number, frozenset(past.items())) for (number, _), past in zip(order, pasts, strict=True))


def are_dependent(one: Footprint, other: Footprint) -> bool:
    """Whether one of them writes what the other one touches."""
    (reads, writes), (other_reads, other_writes) = one, other
    return _overlap(writes, other_reads | other_writes) or _overlap(other_writes, reads)


def _overlap(some: set[Location], others: set[Location]) -> bool:
    return any(a[: len(b)] == b[: len(a)] for a in some for b in others)
