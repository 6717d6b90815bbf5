"""Pairs of a reader and a writer that a list of what Python offers has once found unseen, and what is right."""

from __future__ import annotations

import copy
import ctypes
import decimal
import hashlib
import io
import mmap
import operator
import os
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as Tree

import pytest
from frontrun.dpor import explore_dpor


class Item:
    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.other = 0

    def __repr__(self) -> str:
        return f"Item({self.rank})"


class Renamed(Item):
    pass


def items() -> Any:
    item = Item(1)
    return SimpleNamespace(items=[item, Item(2)], item=item, found=[])


def value() -> Any:
    return SimpleNamespace(value=SimpleNamespace(x=1), found=[])


def function() -> Any:
    return SimpleNamespace(function=lambda: None, error=ValueError("x"), found=[])


def context() -> Any:
    return SimpleNamespace(context=decimal.Context(prec=5), found=[])


def third(s: Any) -> str:
    return str(s.context.divide(decimal.Decimal(1), decimal.Decimal(3)))


class Point(ctypes.Structure):
    _fields_ = (("x", ctypes.c_int), ("ends", ctypes.c_int * 2))


def memory() -> Any:
    numbers = (ctypes.c_int * 2)()
    return SimpleNamespace(value=ctypes.c_int(), numbers=numbers, point=Point(), map=mmap.mmap(-1, 4096), found=[])


def tree() -> Any:
    return SimpleNamespace(tree=Tree.Element("a"), found=[])


def output() -> Any:
    sys.stdout = sys.__stdout__
    return SimpleNamespace(output=io.StringIO(), found=[])


def printed(s: Any) -> str:
    print("x", end="")
    return str(s.output.getvalue())


class Base:
    rank = 1


def inherited() -> Any:
    base = type("Ranked", (Base,), {"rank": 2})
    return SimpleNamespace(base=base, derived=type("Derived", (base,), {"rank": 3}), found=[])


def digest() -> Any:
    return SimpleNamespace(digest=hashlib.sha256(), found=[])


def directory() -> Any:
    os.chdir("/")
    return SimpleNamespace(found=[])


def limit() -> Any:
    sys.setrecursionlimit(1000)
    return SimpleNamespace(found=[])


def variables() -> Any:
    return SimpleNamespace(variables={"x": 1}, found=[])


def sort(s: Any) -> bool:
    first = s.items[0]
    s.items.sort(key=operator.attrgetter("rank"))
    return s.items[0] is first


# By name: setup, what is found, what is done meanwhile. Each has two outcomes.
PAIRS: dict[str, tuple[Callable[[], Any], Callable[[Any], object], Callable[[Any], object]]] = {
    "sorted by an attribute": (
        items,
        lambda s: sorted(s.items, key=operator.attrgetter("rank")) == s.items,
        lambda s: setattr(s.items[0], "rank", 5),
    ),
    "the largest by an attribute": (
        items,
        lambda s: max(s.items, key=operator.attrgetter("rank")) is s.items[0],
        lambda s: setattr(s.items[0], "rank", 5),
    ),
    "a list that is sorted by an attribute": (items, sort, lambda s: setattr(s.item, "rank", 5)),
    "attributes by map": (
        items,
        lambda s: list(map(operator.attrgetter("rank"), s.items)),
        lambda s: setattr(s.items[0], "rank", 5),
    ),
    "the sum of attributes": (
        items,
        lambda s: sum(map(operator.attrgetter("rank"), s.items)),
        lambda s: setattr(s.items[0], "rank", 5),
    ),
    "an attribute of an attribute": (
        items,
        lambda s: operator.attrgetter("item.rank")(s),
        lambda s: setattr(s.item, "rank", 5),
    ),
    "a namespace as text": (value, lambda s: repr(s.value), lambda s: setattr(s.value, "x", 2)),
    "a namespace that is compared": (
        value,
        lambda s: s.value == SimpleNamespace(x=1),
        lambda s: setattr(s.value, "x", 2),
    ),
    "a namespace that is copied": (value, lambda s: copy.copy(s.value).x, lambda s: setattr(s.value, "x", 2)),
    "a namespace in a text": (value, lambda s: "{0.x}".format(s.value), lambda s: setattr(s.value, "x", 2)),  # noqa: UP030, UP032
    "the names in a namespace": (value, lambda s: "y" in dir(s.value), lambda s: setattr(s.value, "y", 2)),
    "the arguments of an exception": (
        function,
        lambda s: s.error.args,
        lambda s: setattr(s.error, "args", ("y",)),
    ),
    "the name of a function": (
        function,
        lambda s: s.function.__name__,
        lambda s: setattr(s.function, "__name__", "other"),
    ),
    "what an object of C code keeps": (
        context,
        lambda s: s.context.prec,
        lambda s: setattr(s.context, "prec", 7),
    ),
    "what a method of C code uses": (context, third, lambda s: setattr(s.context, "prec", 7)),
    "what methods of C code change": (
        digest,
        lambda s: s.digest.hexdigest()[:4],
        lambda s: s.digest.update(b"x"),
    ),
    "a value of ctypes": (memory, lambda s: s.value.value, lambda s: setattr(s.value, "value", 5)),
    "an element of an array of ctypes": (memory, lambda s: s.numbers[0], lambda s: s.numbers.__setitem__(0, 5)),
    "a field of a structure": (memory, lambda s: s.point.x, lambda s: setattr(s.point, "x", 5)),
    "a part of a structure": (memory, lambda s: s.point.ends[1], lambda s: s.point.ends.__setitem__(1, 5)),
    "a byte of mapped memory": (memory, lambda s: s.map[0], lambda s: s.map.__setitem__(0, 5)),
    "the text of an element": (tree, lambda s: s.tree.text, lambda s: setattr(s.tree, "text", "x")),
    "the children of an element": (
        tree,
        lambda s: [child.tag for child in s.tree],
        lambda s: s.tree.append(Tree.Element("b")),
    ),
    "the number of children of an element": (
        tree,
        lambda s: len(s.tree),
        lambda s: s.tree.append(Tree.Element("b")),
    ),
    "where print writes": (output, printed, lambda s: setattr(sys, "stdout", s.output)),
    "what a base has": (
        inherited,
        lambda s: super(s.derived, s.derived()).rank,
        lambda s: setattr(s.base, "rank", 9),
    ),
    "the current directory": (directory, lambda s: os.getcwd(), lambda s: os.chdir("/usr")),
    "a limit of the process": (
        limit,
        lambda s: sys.getrecursionlimit(),
        lambda s: sys.setrecursionlimit(2000),
    ),
    "a text with variables of its own": (
        variables,
        lambda s: eval("x", {}, s.variables),
        lambda s: s.variables.update(x=2),
    ),
    "the class of an object": (
        items,
        lambda s: s.item.__class__.__name__,
        lambda s: setattr(s.item, "__class__", Renamed),
    ),
    "the dictionary of an object": (
        items,
        lambda s: s.item.rank,
        lambda s: setattr(s.item, "__dict__", {"rank": 9}),
    ),
}

# What is looked at in several steps has more executions than the two that the others have.
STEPS = {"a part of a structure": 3, "the children of an element": 3, "a namespace that is copied": 3}

SAFE: dict[str, tuple[Callable[[], Any], Callable[[Any], object], Callable[[Any], object]]] = {
    "sorted by another attribute": (
        items,
        lambda s: sorted(s.items, key=operator.attrgetter("rank")) == s.items,
        lambda s: setattr(s.items[0], "other", 5),
    ),
    "another object of C code": (digest, lambda s: s.digest.hexdigest()[:4], lambda s: hashlib.sha256().update(b"x")),
    "values of C code": (
        context,
        lambda s: decimal.Decimal("1.5").quantize(decimal.Decimal(1)),
        lambda s: decimal.Decimal("1.5").copy_abs(),
    ),
}


def explore(pair: tuple[Callable[[], Any], Callable[[Any], object], Callable[[Any], object]]) -> Any:
    setup, look, change = pair
    threads = [lambda s: s.found.append(look(s)), change]
    return explore_dpor(setup, threads, lambda s: True, observe=lambda s: s.found, stop_on_first=False)


@pytest.mark.parametrize("name", PAIRS)
def test_is_seen(name: str) -> None:
    result = explore(PAIRS[name])
    assert (result.verdict, len(result.outcomes), result.num_explored) == ("exhausted", 2, STEPS.get(name, 2))


@pytest.mark.parametrize("name", SAFE)
def test_is_independent(name: str) -> None:
    result = explore(SAFE[name])
    assert (result.verdict, result.num_explored) == ("exhausted", 1)
