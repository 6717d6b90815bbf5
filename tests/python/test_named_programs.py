"""Small programs by name: races that must be found, and programs without one that must be exhausted.

The races come with every outcome; that the set is complete says that each order was run, and that it holds nothing else
says that no order was made up. The safe programs come with their number of classes, where counting gives it.
"""

from __future__ import annotations

import copy
import operator
import sys
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable
from functools import cached_property, partial, reduce
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from frontrun.dpor import InterleavingResult, explore_dpor

State = Any
Thread = Callable[[State], object]


def explore(setup: Callable[[], State], threads: list[Thread], observe: Thread) -> InterleavingResult:
    return explore_dpor(
        setup, threads, lambda state: True, observe=observe, stop_on_first=False, reproduce_on_failure=0
    )


def having(**attributes: Any) -> Callable[[], State]:
    return lambda: SimpleNamespace(result=None, **copy.deepcopy(attributes))


def keeping(function: Thread) -> Thread:
    """Keep what a function returns, or the name of the exception that it raises."""

    def thread(state: State) -> None:
        try:
            state.result = function(state)
        except (IndexError, KeyError, RuntimeError, ValueError) as error:
            state.result = type(error).__name__

    return thread


def put(name: str, value: Any) -> Thread:
    return lambda state: setattr(state, name, value)


class Old:
    name = "old"


class New:
    name = "new"


class Cached:
    computed = 0
    result = None

    @cached_property
    def value(self) -> int:
        self.computed += 1
        return self.computed


class Sized:
    def __init__(self) -> None:
        self.items = [1]
        self.result: Any = None

    def __len__(self) -> int:
        return len(self.items)


def toggle(s: State) -> None:
    s.flag = False
    s.on = "switched off"


def two_phases(s: State) -> None:
    s.a += 1
    s.b = s.a


def move_correlated(s: State) -> None:
    s.d["a"] -= 1
    s.d["b"] += 1


def swap(s: State) -> None:
    s.a, s.b = s.b, s.a


def double_checked(s: State) -> None:
    if s.cache is None:
        s.made.append(1)
        s.cache = "cached"


def pop_if_any(s: State) -> None:
    try:
        if len(s.q) > 0:
            s.q.popleft()
    except IndexError:
        s.errors.append("empty")


# What one thread's result can be while the other thread runs.
READERS: dict[str, tuple[Callable[[], State], Thread, Thread, set[Any]]] = {
    "array of flags": (having(on=1, flag=True), lambda s: s.on if s.flag else 0, toggle, {1, 0, "switched off"}),
    "class assignment": (
        lambda: SimpleNamespace(object=Old(), result=None),
        lambda s: s.object.name,
        lambda s: setattr(s.object, "__class__", New),
        {"old", "new"},
    ),
    "type": (
        lambda: SimpleNamespace(object=Old(), result=None),
        lambda s: type(s.object).__name__,
        lambda s: setattr(s.object, "__class__", New),
        {"Old", "New"},
    ),
    "starred unpacking": (having(l=[1, 2]), lambda s: [*s.l], lambda s: s.l.append(3), {(1, 2), (1, 2, 3)}),
    "two loads": (having(x=1), lambda s: (s.x, s.x), put("x", 2), {(1, 1), (1, 2), (2, 2)}),
    "f-string": (having(x=1), lambda s: f"{s.x}{s.x}", put("x", 2), {"11", "12", "22"}),
    "walrus": (having(x=1), lambda s: (v := s.x) * 10 + s.x - v + v, put("x", 2), {11, 12, 22}),
    "comprehension": (having(x=1), lambda s: tuple(s.x for _ in range(2)), put("x", 2), {(1, 1), (1, 2), (2, 2)}),
    "chained comparison": (having(x=5), lambda s: 0 < s.x < 10 or s.x, put("x", 20), {True, 20}),
    "repr": (having(l=[[1]]), lambda s: repr(s.l), lambda s: s.l[0].append(2), {"[[1]]", "[[1, 2]]"}),
    "minimum": (having(l=[3, 2]), lambda s: (min(s.l), max(s.l)), lambda s: s.l.append(9), {(2, 3), (2, 9)}),
    "sum of values": (having(d={"a": 5, "b": 5}), lambda s: sum(s.d.values()), move_correlated, {9, 10}),
    "partial": (having(base=1), lambda s: partial(operator.add, s.base)(s.base), put("base", 2), {2, 3, 4}),
    "two phases": (having(a=0, b=0), lambda s: s.a - s.b, two_phases, {-1, 0, 1}),
    "swap": (having(a=1, b=2), lambda s: (s.a, s.b), swap, {(1, 2), (2, 1), (1, 1), (2, 2)}),
    "map": (having(l=[1, 2]), lambda s: tuple(map(operator.pos, s.l)), lambda s: s.l.append(3), {(1, 2), (1, 2, 3)}),
    "filter": (having(l=[1, 2]), lambda s: tuple(filter(None, s.l)), lambda s: s.l.append(3), {(1, 2), (1, 2, 3)}),
    "zip": (
        having(k=["a"], v=[1]),
        lambda s: tuple(zip(s.k, s.v, strict=False)),
        lambda s: s.v.__setitem__(0, 2),
        {(("a", 1),), (("a", 2),)},
    ),
    "enumerate": (
        having(l=[1, 2]),
        lambda s: tuple(v for _, v in enumerate(s.l)),
        lambda s: s.l.insert(0, 0),
        {(1, 2), (1, 1, 2), (1, 2, 2), (0, 1, 2)},
    ),
    "join": (having(l=["a"]), lambda s: "".join(s.l), lambda s: s.l.append("b"), {"a", "ab"}),
    "reduce": (having(l=[1, 2]), lambda s: reduce(lambda a, v: a + v, s.l), lambda s: s.l.append(4), {3, 7}),
    "bytearray slice": (having(b=bytearray(b"ab")), lambda s: bytes(s.b[:1]), lambda s: s.b.pop(0), {b"a", b"b"}),
    "shallow copy": (having(l=[[1]]), lambda s: len(copy.copy(s.l)[0]), lambda s: s.l[0].append(2), {1, 2}),
    "deep copy": (
        having(l=[[1]]),
        lambda s: str(copy.deepcopy(s.l)),
        lambda s: s.l[0].append(2),
        {"[[1]]", "[[1, 2]]"},
    ),
    "truth": (Sized, lambda s: s.items[0] if s else None, lambda s: s.items.clear(), {1, None, "IndexError"}),
    "membership": (
        having(d={"k": 1}),
        lambda s: s.d["k"] if "k" in s.d else 0,  # noqa: SIM401
        lambda s: s.d.clear(),
        {1, 0, "KeyError"},
    ),
    "get and setdefault": (
        having(d={}),
        lambda s: (s.d.get("k"), s.d.setdefault("k", 1)),
        lambda s: s.d.update(k=2),
        {(None, 1), (None, 2), (2, 2)},
    ),
    "set membership": (
        having(u={1}),
        lambda s: (1 in s.u, len(s.u)),
        lambda s: s.u.discard(1),
        {(True, 1), (True, 0), (False, 0)},
    ),
    "modules": (
        having(),
        lambda s: "made_up" in sys.modules,
        lambda s: sys.modules.update(made_up=ModuleType("made_up")),
        {True, False},
    ),
    "order of a dictionary": (
        lambda: SimpleNamespace(result=None, o=OrderedDict(a=1, b=2)),
        lambda s: tuple(s.o.keys()),
        lambda s: s.o.move_to_end("a"),
        {("a", "b"), ("b", "a")},
    ),
    "returned pair": (
        having(x=0, y=0),
        lambda s: (lambda: (s.y, s.x))(),
        lambda s: (put("x", 1)(s), put("y", 1)(s)),
        {(0, 0), (0, 1), (1, 1)},
    ),
}


@pytest.mark.parametrize("name", READERS)
def test_what_a_reader_sees(name: str) -> None:
    setup, reader, writer, expected = READERS[name]
    result = explore(setup, [keeping(reader), writer], lambda s: as_key(s.result))
    assert (result.verdict, set(result.outcomes)) == ("exhausted", {repr(as_key(value)) for value in expected})


def as_key(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


# Two threads that do the same, what is observed, and every outcome.
PAIRS: dict[str, tuple[Callable[[], State], Thread, Thread, set[Any]]] = {
    "double-checked": (having(cache=None, made=[]), double_checked, lambda s: len(s.made), {1, 2}),
    # Up to 3.11 the standard library computes it under a lock.
    "cached property": (
        Cached,
        lambda s: s.value,
        lambda s: s.computed,
        {1, 2} if sys.version_info >= (3, 12) else {1},
    ),
    "pop if any": (
        lambda: SimpleNamespace(q=deque([1]), errors=[]),
        pop_if_any,
        lambda s: len(s.errors),
        {0, 1},
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_two_that_do_the_same(name: str) -> None:
    setup, thread, observe, expected = PAIRS[name]
    result = explore(setup, [thread, thread], observe)
    assert (result.verdict, set(result.outcomes)) == ("exhausted", {repr(value) for value in expected})


def test_sort_and_reverse_commute_only_in_outcomes_that_both_orders_have() -> None:
    result = explore(having(l=[2, 3, 1]), [lambda s: s.l.sort(), lambda s: s.l.reverse()], lambda s: s.l)
    assert (result.num_explored, set(result.outcomes)) == (2, {"[1, 2, 3]", "[3, 2, 1]"})


def test_a_merged_dictionary_meets_a_stored_entry() -> None:
    def merge(s: State) -> None:
        s.d |= {"k": 1}

    result = explore(having(d={}), [merge, lambda s: s.d.__setitem__("k", 2)], lambda s: s.d)
    assert set(result.outcomes) == {"{'k': 1}", "{'k': 2}"}


def test_what_a_weak_reference_leads_to_is_shared() -> None:
    def setup() -> State:
        made = SimpleNamespace(object=Old())
        made.object.value = 0
        made.reference = weakref.ref(made.object)
        return made

    def through(s: State) -> None:
        s.reference().value += 1

    def directly(s: State) -> None:
        s.object.value += 1

    result = explore(setup, [through, directly], lambda s: s.object.value)
    assert (result.num_explored, result.outcomes) == (4, {"1": 2, "2": 2})


def test_sending_into_one_generator() -> None:
    def accumulate() -> Any:
        total = 0
        while True:
            total += yield total

    def setup() -> State:
        made = SimpleNamespace(generator=accumulate(), errors=0)
        next(made.generator)
        return made

    result = explore(
        setup, [lambda s: s.generator.send(1), lambda s: s.generator.send(2)], lambda s: s.generator.send(0)
    )
    # A thread that comes while the generator runs is refused, and adds nothing.
    assert set(result.outcomes) == {"1", "2", "3"}
