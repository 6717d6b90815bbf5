"""A C callable that no table names is taken to write what it is given: it may."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from frontrun.dpor import explore_dpor

Thread = Callable[[Any], object]


def state() -> SimpleNamespace:
    return SimpleNamespace(buffer=bytearray(4), holder=[bytearray(4)], seen=None)


def see(read: Callable[[Any], object]) -> Thread:
    return lambda s: setattr(s, "seen", read(s))


# A thread that calls one, a thread that looks, and everything that it can see.
PROGRAMS: dict[str, tuple[Thread, Thread, set[str]]] = {
    "argument": (
        lambda s: struct.pack_into("i", s.buffer, 0, 1),
        see(lambda s: s.buffer[0]),
        {"0", "1"},
    ),
    "method": (
        lambda s: struct.Struct("i").pack_into(s.buffer, 0, 1),
        see(lambda s: bytes(s.buffer)[0]),
        {"0", "1"},
    ),
    "view": (
        lambda s: struct.pack_into("i", memoryview(s.buffer), 0, 1),
        see(lambda s: s.buffer[0]),
        {"0", "1"},
    ),
    "spread": (
        lambda s: struct.pack_into(*["i", s.buffer, 0, 1]),
        see(lambda s: s.buffer[0]),
        {"0", "1"},
    ),
    "it reads": (
        see(lambda s: zlib.crc32(s.buffer) == zlib.crc32(bytes(4))),
        lambda s: s.buffer.__setitem__(0, 1),
        {"False", "True"},
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_it_is_given_is_in_conflict(name: str) -> None:
    first, second, seen = PROGRAMS[name]
    result = explore_dpor(
        state, [first, second], lambda s: True, observe=lambda s: s.seen, stop_on_first=False, reproduce_on_failure=0
    )
    assert (result.verdict, set(result.outcomes)) == ("exhausted", seen)


def test_other_objects_are_not() -> None:
    threads: list[Thread] = [
        lambda s: struct.pack_into("i", s.buffer, 0, 1),
        lambda s: struct.pack_into("i", s.holder[0], 0, 1),
    ]
    result = explore_dpor(state, threads, lambda s: True, stop_on_first=False, reproduce_on_failure=0)
    assert (result.verdict, result.num_explored) == ("exhausted", 1)
