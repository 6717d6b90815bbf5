"""Programs for which the comparison with every interleaving has once found something wrong, and what is right."""

from __future__ import annotations

import builtins
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import chain
from types import SimpleNamespace
from typing import Any

import pytest
from frontrun.dpor import explore_dpor


def add_and_look(s: Any) -> None:
    s.counts["z"] += 1
    s.seen = s.counts.get("b")


def running(s: Any) -> Any:
    def body() -> Iterator[int]:
        s.ran = True
        yield 1

    s.generator = body()
    return s


def note(s: Any) -> None:
    s.notes.append(0)


def noting(s: Any) -> Callable[[int], int]:
    def function(value: int) -> int:
        s.notes.append(value)
        return value

    return function


def note_and_extend(s: Any) -> None:
    note(s)
    s.values.extend(map(noting(s), (4, 2)))


def assign_slice(s: Any) -> None:
    s.target[:] = s.source


def vary(made: Any, x: int) -> Any:
    made.x = x
    return made


def hidden(by: int, x: int) -> Any:
    """An object whose attribute `x` cannot be seen, since its class has a property of that name."""
    made = vary(type("Made", (), {})(), x)
    type(made).x = property(lambda self: by)
    return made


def lists(s: Any) -> Iterator[list[int]]:
    yield s.first
    yield s.second


class Bag:
    """Its iterator is one of C code, which C code goes through."""

    def __init__(self) -> None:
        self.items = [1, 2]

    def __iter__(self) -> Iterator[int]:
        return iter(self.items)


class Account:
    rate = 1

    def raised(self) -> int:
        return self.rate


class Saving(Account):
    pass


class Young(Saving):
    pass


def rate_of_class(s: Any) -> None:
    s.seen = Young.rate


def rate_of_instance(s: Any) -> None:
    s.seen = Young().rate


def change_rate(_: Any) -> None:
    Saving.rate = 0


def one_by_one(items: list[int]) -> Iterator[int]:
    yield from items


def together(*given: int) -> tuple[int, ...]:
    return given


def add_up(bag: Bag) -> int:
    total = 0
    for item in bag:
        total += item
    return total


def store_first(s: Any) -> None:
    s.bag.items[0] = 9


def of_bag(consume: Callable[[Bag], object]) -> Any:
    """A program whose threads take all of a bag, and change it."""
    return (
        lambda: SimpleNamespace(bag=Bag(), seen=None),
        [lambda s: setattr(s, "seen", consume(s.bag)), store_first],
        lambda s: s.seen,
    )


# What makes the state, the threads, what is observed, every outcome, and the number of executions.
PROGRAMS: dict[str, tuple[Callable[[], Any], list[Callable[[Any], object]], Callable[[Any], object], set[str], int]] = {
    "an attribute that a class between comes to have": (
        SimpleNamespace,
        [rate_of_class, change_rate],
        lambda s: s.seen,
        {"0", "1"},
        2,
    ),
    "an attribute that a class comes to have before that of its base": (
        SimpleNamespace,
        [rate_of_instance, change_rate],
        lambda s: s.seen,
        {"0", "1"},
        2,
    ),
    "list of what __iter__ returns": (*of_bag(list), {"[1, 2]", "[9, 2]"}, 2),
    "sum of what __iter__ returns": (*of_bag(sum), {"3", "11"}, 2),
    "display of what __iter__ returns": (*of_bag(lambda bag: [*bag]), {"[1, 2]", "[9, 2]"}, 2),
    "membership in what __iter__ returns": (*of_bag(lambda bag: 9 in bag), {"False", "True"}, 2),
    "union with what __iter__ returns": (*of_bag(lambda bag: set().union(bag)), {"{1, 2}", "{9, 2}"}, 2),
    "arguments that __iter__ returns": (*of_bag(lambda bag: together(*bag)), {"(1, 2)", "(9, 2)"}, 2),
    "iter of what __iter__ returns": (*of_bag(lambda bag: list(iter(bag))), {"[1, 2]", "[9, 2]"}, 2),
    "zip of what __iter__ returns": (*of_bag(lambda bag: list(zip(bag))), {"[(1,), (2,)]", "[(9,), (2,)]"}, 2),
    "loop over what __iter__ returns": (*of_bag(add_up), {"3", "11"}, 2),
    "yield from a list": (*of_bag(lambda bag: list(one_by_one(bag.items))), {"[1, 2]", "[9, 2]"}, 2),
    "get of a defaultdict makes no entry": (
        lambda: SimpleNamespace(counts=defaultdict(int, a=1)),
        [lambda s: s.counts.get("b"), add_and_look],
        lambda s: (dict(s.counts), s.seen),
        {"({'a': 1, 'z': 1}, None)"},
        1,
    ),
    "get of a defaultdict reads the entry": (
        lambda: SimpleNamespace(counts=defaultdict(int), seen=None),
        [lambda s: setattr(s, "seen", s.counts.get("b")), lambda s: s.counts["b"]],
        lambda s: (dict(s.counts), s.seen),
        {"({'b': 0}, None)", "({'b': 0}, 0)"},
        2,
    ),
    "whether a generator runs": (
        lambda: running(SimpleNamespace(seen=None)),
        [lambda s: setattr(s, "seen", s.generator.gi_running), lambda s: next(s.generator)],
        lambda s: s.seen,
        {"False", "True"},
        3,
    ),
    "a callback has its frame where a finished call had one": (
        lambda: SimpleNamespace(values=[], notes=[]),
        [note_and_extend, lambda s: s.values.append(9)],
        lambda s: s.values,
        {"[9, 4, 2]", "[4, 9, 2]", "[4, 2, 9]"},
        4,
    ),
    "what is assigned to a slice is read": (
        lambda: SimpleNamespace(source=[1], target=[0]),
        [lambda s: s.target.__setitem__(slice(None), s.source), lambda s: s.source.append(2)],
        lambda s: s.target,
        {"[1]", "[1, 2]"},
        2,
    ),
    "what is assigned to a slice by a statement is read": (
        lambda: SimpleNamespace(source=[1], target=[0]),
        [assign_slice, lambda s: s.source.append(2)],
        lambda s: s.target,
        {"[1]", "[1, 2]"},
        2,
    ),
    "a look for what no class has yet": (
        lambda: SimpleNamespace(made=type("Made", (), {})(), found=[]),
        [lambda s: s.found.append(hasattr(s.made, "x")), lambda s: setattr(type(s.made), "x", 1)],
        lambda s: s.found,
        {"[False]", "[True]"},
        2,
    ),
    "an attribute that a property hides later": (
        lambda: SimpleNamespace(made=vary(type("Made", (), {})(), x=1), found=[]),
        [lambda s: s.found.append(s.made.x), lambda s: setattr(type(s.made), "x", property(lambda self: 9))],
        lambda s: s.found,
        {"[1]", "[9]"},
        2,
    ),
    "an attribute that a property hid": (
        lambda: SimpleNamespace(made=hidden(9, x=1), found=[]),
        [lambda s: s.found.append(s.made.x), lambda s: delattr(type(s.made), "x")],
        lambda s: s.found,
        {"[1]", "[9]"},
        2,
    ),
    "a slot that its class overwrites": (
        lambda: SimpleNamespace(made=vary(type("Made", (), {"__slots__": ("x",)})(), x=1), found=[]),
        [lambda s: s.found.append(s.made.x), lambda s: setattr(type(s.made), "x", property(lambda self: 9))],
        lambda s: s.found,
        {"[1]", "[9]"},
        2,
    ),
    "a store that a property takes later": (
        lambda: SimpleNamespace(made=type("Made", (), {})()),
        [
            lambda s: setattr(s.made, "x", 3),
            lambda s: setattr(type(s.made), "x", property(lambda self: 9, lambda self, value: None)),
        ],
        lambda s: vars(s.made),
        {"{'x': 3}", "{}"},
        2,
    ),
    "an attribute that a class gets from its metaclass": (
        lambda: SimpleNamespace(made=type("Meta", (type,), {})("Made", (), {}), found=[]),
        [lambda s: s.found.append(getattr(s.made, "x", 0)), lambda s: setattr(type(s.made), "x", 5)],
        lambda s: s.found,
        {"[0]", "[5]"},
        2,
    ),
    "the name of a class": (
        lambda: SimpleNamespace(made=type("Made", (), {}), found=[]),
        [lambda s: s.found.append(s.made.__name__), lambda s: setattr(s.made, "__name__", "Renamed")],
        lambda s: s.found,
        {"['Made']", "['Renamed']"},
        2,
    ),
    "a built-in name": (
        lambda: (setattr(builtins, "of_all_modules", 1), SimpleNamespace(found=[]))[1],
        [lambda s: s.found.append(of_all_modules), lambda s: setattr(builtins, "of_all_modules", 5)],  # noqa: F821
        lambda s: s.found,
        {"[1]", "[5]"},
        2,
    ),
    # Where it is in the way between the two keys, `max` still compares it as it is in the end.
    "a list that a key is": (
        lambda: SimpleNamespace(lists=([1], [2]), found=[]),
        [
            lambda s: s.found.append(max(0, 1, key=lambda nth: s.lists[nth])),
            lambda s: s.lists[0].__setitem__(0, 9),
        ],
        lambda s: s.found,
        {"[0]", "[1]"},
        3,
    ),
    "lists that a generator gives to be added": (
        lambda: SimpleNamespace(first=[1], second=[2], found=[]),
        [lambda s: s.found.append(sum(lists(s), [])), lambda s: s.second.append(3)],  # noqa: RUF017
        lambda s: s.found,
        {"[[1, 2]]", "[[1, 2, 3]]"},
        3,
    ),
    "a list that a generator gives to be taken apart": (
        lambda: SimpleNamespace(first=[1], second=[2], found=[]),
        [lambda s: s.found.append(list(chain.from_iterable(lists(s)))), lambda s: s.second.append(3)],
        lambda s: s.found,
        {"[[1, 2]]", "[[1, 2, 3]]"},
        2,
    ),
    "a list that stands for an object in a text": (
        lambda: SimpleNamespace(first=[1], found=[]),
        [
            lambda s: s.found.append(json.dumps(object(), default=lambda _: s.first)),
            lambda s: s.first.append(2),
        ],
        lambda s: s.found,
        {"['[1]']", "['[1, 2]']"},
        2,
    ),
    "an attribute that its class gets later": (
        lambda: SimpleNamespace(made=type("Made", (), {"__getattr__": lambda self, name: "made up"})(), found=[]),
        [lambda s: s.found.append(s.made.x), lambda s: setattr(type(s.made), "x", 1)],
        lambda s: s.found,
        {"['made up']", "[1]"},
        2,
    ),
    "an attribute that a class inherits later": (
        lambda: SimpleNamespace(base=(base := type("Base", (), {})), made=type("Made", (base,), {}), found=[]),
        [lambda s: s.found.append(getattr(s.made, "x", 0)), lambda s: setattr(s.base, "x", 1)],
        lambda s: s.found,
        {"[0]", "[1]"},
        2,
    ),
    "a property that a class comes to override": (
        lambda: SimpleNamespace(made=type("Made", (Priced,), {})(), found=[]),
        [lambda s: s.found.append(s.made.price), lambda s: setattr(type(s.made), "price", 2)],
        lambda s: s.found,
        {"[1]", "[2]"},
        2,
    ),
}


class Priced:
    @property
    def price(self) -> int:
        return 1


@pytest.mark.parametrize("name", PROGRAMS)
def test_has_every_outcome(name: str) -> None:
    setup, threads, observe, outcomes, executions = PROGRAMS[name]
    result = explore_dpor(setup, threads, lambda s: True, observe=observe, stop_on_first=False, reproduce_on_failure=0)
    assert (result.verdict, set(result.outcomes), result.num_explored) == ("exhausted", outcomes, executions)
