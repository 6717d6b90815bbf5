"""What shows another object's memory is that object to whoever looks at it or changes it."""

from __future__ import annotations

import ctypes
import io
import struct
from array import array
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from frontrun.dpor import explore_dpor

np = pytest.importorskip("numpy")

FIELDS = [("x", "i4"), ("y", "i4")]

Pair = tuple[Callable[[], Any], Callable[[Any], object], Callable[[Any], object]]


class Point(ctypes.Structure):
    _fields_ = (("x", ctypes.c_int), ("y", ctypes.c_int))


def over(holder: Any, show: Callable[[Any], Any]) -> Any:
    return lambda: (made := holder(), SimpleNamespace(holder=made, view=show(made), found=[]))[1]


def eight() -> bytearray:
    return bytearray(8)


def released_or(s: Any) -> object:
    try:
        return s.view[0]
    except ValueError:
        return "released"


SHARED: dict[str, Pair] = {
    "a part of a view": (
        over(eight, lambda b: memoryview(b)[2:]),
        lambda s: s.holder[3],
        lambda s: assign(s.view, 1),
    ),
    "a view from its end": (
        over(eight, lambda b: memoryview(b)[::-1]),
        lambda s: s.holder[7],
        lambda s: assign(s.view, 0),
    ),
    "a view of larger elements": (
        over(eight, lambda b: memoryview(b).cast("I")),
        lambda s: s.holder[6],
        lambda s: assign(s.view, 1, 0x01010101),
    ),
    "a view of two dimensions": (
        over(eight, lambda b: memoryview(b).cast("B", [2, 4])),
        lambda s: s.holder[4],
        lambda s: assign(s.view, (1, 0)),
    ),
    "a view of an array": (
        over(lambda: array("i", [1, 2]), lambda a: memoryview(a)[1:]),
        lambda s: s.holder[1],
        lambda s: assign(s.view, 0),
    ),
    "a view that is released": (over(eight, memoryview), released_or, lambda s: s.view.release()),
    "a view that is packed into": (
        over(eight, lambda b: memoryview(b)[2:]),
        lambda s: s.holder[2],
        lambda s: struct.pack_into("B", s.view, 0, 9),
    ),
    "what a BytesIO keeps": (
        over(lambda: io.BytesIO(b"abc"), lambda b: b.getbuffer()),
        lambda s: s.holder.getvalue(),
        lambda s: assign(s.view, 0),
    ),
    "a number of ctypes in a bytearray": (
        over(eight, ctypes.c_int.from_buffer),
        lambda s: s.holder[0],
        lambda s: setattr(s.view, "value", 9),
    ),
    "an array of ctypes in a bytearray": (
        over(eight, (ctypes.c_ubyte * 8).from_buffer),
        lambda s: s.holder[1],
        lambda s: assign(s.view, 1),
    ),
    "a view of a part of a structure": (
        over(Point * 2, lambda points: memoryview(points[1]).cast("B")),
        lambda s: bytes(s.view),
        lambda s: setattr(s.holder[1], "y", 9),
    ),
    "a view of a part of an array of NumPy": (
        over(lambda: np.zeros(4, "u1"), lambda a: memoryview(a[1:])),
        lambda s: int(s.holder[1]),
        lambda s: assign(s.view, 0),
    ),
    "an array of NumPy over a view of ctypes": (
        over(Point * 2, lambda points: np.frombuffer(memoryview(points[1]).cast("B"), "u1")),
        lambda s: s.holder[1].x,
        lambda s: assign(s.view, 0),
    ),
    "all elements of an array of NumPy in one row": (
        over(lambda: np.zeros((2, 2)), lambda a: a.flat),
        lambda s: float(s.holder[0, 1]),
        lambda s: assign(s.view, 1),
    ),
    "an element of several fields": (
        over(lambda: np.zeros(2, FIELDS), lambda a: a[1]),
        lambda s: int(s.holder["y"][1]),
        lambda s: assign(s.view, "y"),
    ),
    "the length of an array of NumPy": (
        over(lambda: np.zeros(3), lambda a: a),
        lambda s: len(s.holder),
        lambda s: s.view.resize(5, refcheck=False),
    ),
}

# What takes a part out first has more executions than the two that the others have.
STEPS = {"a view of a part of a structure": 2, "an array of NumPy over a view of ctypes": 3}

APART: dict[str, Pair] = {
    "bytes of a view": (
        over(eight, lambda b: memoryview(b)[2:]),
        lambda s: s.holder[2],
        lambda s: assign(s.view, 1),
    ),
    "bytes of a view from its end": (
        over(eight, lambda b: memoryview(b)[::-2]),
        lambda s: s.holder[6],
        lambda s: assign(s.view, 1),
    ),
    "views of two objects": (
        over(eight, memoryview),
        lambda s: bytes(s.view),
        lambda s: assign(memoryview(bytearray(8)), 1),
    ),
}


def assign(view: Any, key: object, value: int = 9) -> None:
    view[key] = value


def explore(pair: Pair) -> Any:
    setup, look, change = pair
    threads = [lambda s: s.found.append(look(s)), change]
    return explore_dpor(setup, threads, lambda s: True, observe=lambda s: s.found, stop_on_first=False)


@pytest.mark.parametrize("name", SHARED)
def test_a_view_and_what_it_shows_conflict(name: str) -> None:
    result = explore(SHARED[name])
    assert (result.verdict, len(result.outcomes), result.num_explored) == ("exhausted", 2, STEPS.get(name, 2))


@pytest.mark.parametrize("name", APART)
def test_other_parts_commute(name: str) -> None:
    result = explore(APART[name])
    assert (result.verdict, result.num_explored) == ("exhausted", 1)
