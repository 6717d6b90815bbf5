"""Modules whose code is seen, but in which threads switch only where it waits."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

import pytest
from frontrun.dpor import explore_dpor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

LIBRARY = """
class Box:
    def __init__(self):
        self.value = 0
        self.other = 0
        self.seen = []


def add(box):
    before = box.value
    box.value = before + 1


def peek(box):
    return None if box.value else box.other


def move(first, second):
    with first:
        with second:
            pass
"""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    (tmp_path / "atomic_library.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(str(tmp_path))
    import atomic_library

    yield atomic_library
    del sys.modules["atomic_library"]


def test_a_call_is_one_step(library: ModuleType) -> None:
    def explore(*exclude: str) -> tuple[int, bool]:
        result = explore_dpor(
            setup=library.Box,
            threads=[library.add, library.add],
            invariant=lambda box: box.value == 2,
            stop_on_first=False,
            reproduce_on_failure=0,
            exclude=exclude,
        )
        return result.num_explored, result.property_holds

    assert explore() == (4, False)
    assert explore("atomic_*") == (2, True)


def test_what_a_call_does_in_another_order_is_found_out(library: ModuleType) -> None:
    result = explore_dpor(
        setup=library.Box,
        threads=[
            lambda box: setattr(box, "other", 1),
            lambda box: setattr(box, "value", 1),
            lambda box: box.seen.append(library.peek(box)),
        ],
        invariant=lambda box: True,
        observe=lambda box: box.seen,
        stop_on_first=False,
        exclude=("atomic_library",),
    )
    assert result.property_holds
    assert result.num_explored == 3
    assert set(result.outcomes) == {"[None]", "[0]", "[1]"}


def test_locks_in_a_call_are_places_to_switch(library: ModuleType) -> None:
    result = explore_dpor(
        setup=lambda: (threading.Lock(), threading.Lock()),
        threads=[lambda locks: library.move(*locks), lambda locks: library.move(*reversed(locks))],
        invariant=lambda locks: True,
        stop_on_first=False,
        reproduce_on_failure=1,
        exclude=("atomic_library",),
    )
    assert not result.property_holds
    assert result.failures[0].kind == "deadlock"
