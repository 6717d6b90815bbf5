"""One location, two threads that read it and then write one more: the same race in every spelling of the language.

Two reads and two writes of one location have four classes of executions: the writes in either order, and each read
before or after the other thread's write, where it comes first. Both threads end with 2 in two of them.
"""

from __future__ import annotations

import functools
import operator
from array import array
from collections import ChainMap, Counter, OrderedDict, UserDict, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from frontrun.dpor import explore_dpor

VALUE = 0


class Slots:
    __slots__ = ("value",)


class Shared:
    value = 0


class Managed:
    hidden = 0

    @property
    def value(self) -> int:
        return self.hidden

    @value.setter
    def value(self, value: int) -> None:
        self.hidden = value


class Descriptor:
    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return instance.hidden

    def __set__(self, instance: Any, value: int) -> None:
        instance.hidden = value


class Described:
    value = Descriptor()
    hidden = 0


class Fallback:
    def __getattr__(self, name: str) -> int:
        return self.__dict__["_" + name]

    def __setattr__(self, name: str, value: int) -> None:
        object.__setattr__(self, "_" + name, value)


class Base:
    value = 0

    def get(self) -> int:
        return self.value


class Derived(Base):
    def get(self) -> int:
        return super().get()

    def increment(self) -> None:
        value = super().get()
        super().__setattr__("value", value + 1)


@dataclass
class Data:
    value: int = 0


def with_slot(made: Any) -> Any:
    made.value = 0
    return made


def closure() -> Any:
    value = 0

    def increment() -> None:
        nonlocal value
        value += 1

    def nested() -> None:
        def inner() -> None:
            nonlocal value
            value = value + 1

        inner()

    return SimpleNamespace(increment=increment, nested=nested, get=lambda: value)


def global_statement(_: Any) -> None:
    global VALUE
    VALUE += 1


def module_subscript(_: Any) -> None:
    globals()["VALUE"] = globals()["VALUE"] + 1


def walrus(s: Any) -> None:
    if (value := s.value) is not None:
        s.value = value + 1


def matched(s: Any) -> None:
    match s:
        case Data(value=value):
            s.value = value + 1


def matched_key(s: Any) -> None:
    match s:
        case {"value": value}:
            s["value"] = value + 1


def chained(s: Any) -> None:
    s.value, _ = s.value + 1, 0


def attribute(s: Any) -> None:
    s.value += 1


def item(s: Any) -> None:
    s["value"] += 1


def first(s: Any) -> None:
    s[0] += 1


def by_class(s: Any) -> None:
    type(s).value += 1


compiled = compile("s.value = s.value + 1", "<made up>", "exec")

# How to make what is shared, how one thread increments, how to read it in the end; the other thread does the same.
SPELLINGS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any], Callable[[Any], Any]]] = {
    "attribute": (Data, attribute, lambda s: s.value),
    "slot": (lambda: with_slot(Slots()), attribute, lambda s: s.value),
    "class attribute": (Shared, by_class, lambda s: s.value),
    "class attribute by setattr": (
        Shared,
        lambda s: setattr(type(s), "value", getattr(type(s), "value") + 1),  # noqa: B009
        lambda s: s.value,
    ),
    "property": (Managed, attribute, lambda s: s.value),
    "descriptor": (Described, attribute, lambda s: s.value),
    "__getattr__": (lambda: with_slot(Fallback()), attribute, lambda s: s.value),
    "super": (Derived, lambda s: s.increment(), lambda s: s.value),
    "setattr": (Data, lambda s: setattr(s, "value", getattr(s, "value") + 1), lambda s: s.value),  # noqa: B009
    "object.__setattr__": (
        Data,
        lambda s: object.__setattr__(s, "value", object.__getattribute__(s, "value") + 1),
        lambda s: s.value,
    ),
    "__dict__": (Data, lambda s: item(s.__dict__), lambda s: s.value),
    "vars": (Data, lambda s: item(vars(s)), lambda s: s.value),
    "__dict__.update": (Data, lambda s: vars(s).__setitem__("value", vars(s).get("value", 9) + 1), lambda s: s.value),
    "attrgetter": (Data, lambda s: setattr(s, "value", operator.attrgetter("value")(s) + 1), lambda s: s.value),
    "walrus": (Data, walrus, lambda s: s.value),
    "match": (Data, matched, lambda s: s.value),
    "match of a key": (lambda: {"value": 0}, matched_key, lambda s: s["value"]),
    "tuple assignment": (Data, chained, lambda s: s.value),
    "f-string": (Data, lambda s: setattr(s, "value", int(f"{s.value}") + 1), lambda s: s.value),
    "comprehension": (Data, lambda s: setattr(s, "value", sum([s.value for _ in range(1)]) + 1), lambda s: s.value),
    "exec": (Data, lambda s: exec("s.value = s.value + 1", {"s": s}), lambda s: s.value),
    "eval, then exec": (
        Data,
        lambda s: exec("s.value = v + 1", {"s": s, "v": eval("s.value", {"s": s})}),
        lambda s: s.value,
    ),
    "compiled": (Data, lambda s: exec(compiled, {"s": s}), lambda s: s.value),
    "global": (Data, global_statement, lambda s: VALUE),
    "globals()": (Data, module_subscript, lambda s: VALUE),
    "exec of a global": (Data, lambda s: exec("VALUE = VALUE + 1", globals()), lambda s: VALUE),
    "cell": (closure, lambda s: s.increment(), lambda s: s.get()),
    "nested cell": (closure, lambda s: s.nested(), lambda s: s.get()),
    "item": (lambda: {"value": 0}, item, lambda s: s["value"]),
    "operator.setitem": (
        lambda: {"value": 0},
        lambda s: operator.setitem(s, "value", operator.getitem(s, "value") + 1),
        lambda s: s["value"],
    ),
    "dict.__setitem__": (
        lambda: {"value": 0},
        lambda s: dict.__setitem__(s, "value", dict.__getitem__(s, "value") + 1),
        lambda s: s["value"],
    ),
    "dict.get and update": (
        lambda: {"value": 0},
        lambda s: s.update({"value": s.get("value", 9) + 1}),
        lambda s: s["value"],
    ),
    "partial": (
        lambda: {"value": 0},
        lambda s: s.__setitem__("value", functools.partial(s.get, "value")() + 1),
        lambda s: s["value"],
    ),
    "OrderedDict": (lambda: OrderedDict(value=0), item, lambda s: s["value"]),
    "Counter": (lambda: Counter(value=0), item, lambda s: s["value"]),
    "defaultdict": (lambda: defaultdict(int, value=0), item, lambda s: s["value"]),
    "list element": (lambda: [0], first, lambda s: s[0]),
    "deque element": (lambda: deque([0]), first, lambda s: s[0]),
    "array element": (lambda: array("i", [0]), first, lambda s: s[0]),
    "bytearray element": (lambda: bytearray(1), first, lambda s: s[0]),
    "memoryview element": (lambda: memoryview(bytearray(1)), first, lambda s: s[0]),
    "nested containers": (
        lambda: SimpleNamespace(accounts={"a": [Data()]}),
        lambda s: attribute(s.accounts["a"][0]),
        lambda s: s.accounts["a"][0].value,
    ),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_an_increment_is_lost_in_two_classes_of_four(spelling: str) -> None:
    setup, increment, value = SPELLINGS[spelling]
    result = explore_dpor(
        setup,
        [increment, increment],
        lambda s: value(s) == 2,
        observe=value,
        stop_on_first=False,
        reproduce_on_failure=0,
    )
    assert (result.verdict, result.num_explored, result.outcomes) == ("failed", 4, {"1": 2, "2": 2})


# Two ways to the same location must meet.
MIXED = [
    ("attribute", "__dict__"),
    ("attribute", "vars"),
    ("attribute", "object.__setattr__"),
    ("global", "globals()"),
    ("global", "exec of a global"),
    ("cell", "nested cell"),
    ("item", "operator.setitem"),
    ("item", "dict.__setitem__"),
    ("class attribute", "class attribute by setattr"),
]


@pytest.mark.parametrize(("one", "other"), MIXED)
def test_two_spellings_of_a_location_are_one_location(one: str, other: str) -> None:
    setup, increment, value = SPELLINGS[one]
    result = explore_dpor(
        setup,
        [increment, SPELLINGS[other][1]],
        lambda s: True,
        observe=value,
        stop_on_first=False,
        reproduce_on_failure=0,
    )
    assert (result.verdict, result.num_explored, result.outcomes) == ("exhausted", 4, {"1": 2, "2": 2})


def increment_layer(shared: Any) -> None:
    chain = ChainMap(shared, {"value": 0})
    chain["value"] = chain["value"] + 1


@pytest.mark.parametrize(
    ("setup", "increment"),
    [(dict, increment_layer), (lambda: UserDict(value=0), item), (lambda: defaultdict(int), item)],
)
def test_containers_that_look_several_times_lose_increments_too(setup: Any, increment: Any) -> None:
    result = explore_dpor(
        setup, [increment, increment], lambda s: True, observe=lambda s: s["value"], stop_on_first=False
    )
    assert (result.verdict, set(result.outcomes)) == ("exhausted", {"1", "2"})
