"""Objects of many kinds, with pairs of operations on each, as programs of two threads.

The operations are lines of text, so that each is code of a program of its own, and threads may switch within it.
``operations.py NUMBER…`` explores the pairs with these numbers, in a process that has not imported more than they need.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any, NamedTuple

from frontrun.dpor import explore_dpor
from operations_on_containers import CONTAINERS
from operations_on_objects import OBJECTS

KINDS = {**CONTAINERS, **OBJECTS}
# Of executions; what is found within them has to be right.
LIMIT = 60


class Pair(NamedTuple):
    """Two operations on one object of a kind."""

    kind: str
    first: int
    second: int


def _operations(kind: str) -> list[str]:
    return [one.strip() for line in KINDS[kind][2].strip().splitlines() for one in line.split(";;")]


def pairs() -> list[Pair]:
    """Every pair of operations, also of each with itself."""
    counts = {kind: len(_operations(kind)) for kind in KINDS}
    return [Pair(kind, i, j) for kind, count in counts.items() for i in range(count) for j in range(i, count)]


def described(pair: Pair) -> str:
    texts = _operations(pair.kind)
    return f"{pair.kind}: {texts[pair.first]} and {texts[pair.second]}"


def shown(value: Any) -> str:
    """Show a value, but do not use it up."""
    try:
        return "an iterator" if hasattr(value, "__next__") else repr(value)
    except Exception as error:
        return type(error).__name__


class Program:
    """A kind of object with all its operations, as the functions of a module."""

    def __init__(self, kind: str) -> None:
        make, show, _ = KINDS[kind]
        lines = [PRELUDE, f"def make(): return {make}", f"def show(o): return {show}"]
        lines += [f"def operation_{n}(o): return {text}" for n, text in enumerate(_operations(kind))]
        module = sys.modules["program"] = types.ModuleType("program")
        exec(compile("\n".join(lines), "program.py", "exec"), module.__dict__)
        self.functions: dict[str, Any] = module.__dict__

    def make(self) -> Any:
        return self.functions["make"]()

    def run(self, number: int, o: Any) -> str:
        """Return what an operation returns, or the type of what it raises."""
        return self._result(self.functions[f"operation_{number}"], o)

    def left(self, o: Any) -> str:
        """Return what has become of the object."""
        return self._result(self.functions["show"], o)

    def one_after_the_other(self, pair: Pair) -> set[str]:
        """Return the outcomes of both orders."""
        outcomes = set()
        for turn in (1, -1):
            o = self.make()
            results = [self.run(number, o) for number in (pair.first, pair.second)[::turn]]
            outcomes.add(repr((results[::turn], self.left(o))))
        return outcomes

    def explored(self, pair: Pair) -> Any:
        """Return the result of an exploration in which a thread runs each operation."""

        def first(s: Any) -> None:
            s.results[0] = self.run(pair.first, s.o)

        def second(s: Any) -> None:
            s.results[1] = self.run(pair.second, s.o)

        return explore_dpor(
            lambda: types.SimpleNamespace(o=self.make(), results=["", ""]),
            [first, second],
            lambda s: True,
            observe=lambda s: (s.results, self.left(s.o)),
            stop_on_first=False,
            max_executions=LIMIT,
        )

    def missed(self, pair: Pair) -> str:
        """Say what the exploration has wrong, if it has."""
        expected, result = self.one_after_the_other(pair), self.explored(pair)
        missing = expected - set(result.outcomes)
        if not missing and result.verdict in ("exhausted", "bounded"):
            return ""
        return f"{described(pair)}: {result.verdict}, missing {sorted(missing)}"

    @staticmethod
    def _result(function: Callable[[Any], Any], o: Any) -> str:
        try:
            return shown(function(o))
        except Exception as error:
            return type(error).__name__


PRELUDE = """
import array, base64, binascii, bisect, collections, concurrent.futures, configparser, copy, csv, dataclasses
import enum, functools, hashlib, heapq, io, itertools, json, logging, multiprocessing.shared_memory
import multiprocessing.sharedctypes, operator, os, pickle, queue, random, sqlite3, statistics, string, struct, sys
import threading, types, weakref, zlib
from xml.etree import ElementTree

def attempt(function):
    try: return function()
    except Exception as error: return type(error).__name__
def cached_function():
    return functools.lru_cache(maxsize=2)(lambda x: x * 2)
class Cached:
    base = 1
    @functools.cached_property
    def v(self): return self.base + 1
def cached_property(): return Cached()
def generator():
    def values():
        x = yield 1
        yield x
    return values()
def csv_writer():
    file = io.StringIO(newline='')
    return csv.writer(file), file
def with_slots():
    class Slots: __slots__ = ('x',)
    made = Slots()
    made.x = 1
    return made
def instance():
    class Instance:
        x0, _p = 3, 0
        def meth(self): return 1
        @property
        def prop(self): return self._p
        @prop.setter
        def prop(self, value): self._p = value
    made = Instance()
    made.x = 1
    return made
def matched(o):
    match o:
        case object(x=5): return 'five'
        case object(x=value): return value
        case _: return None
def closure():
    n = 1
    def get(): return n
    def put(value):
        nonlocal n
        n = value
    def increment():
        nonlocal n
        n += 1
        return n
    return get, put, increment
GLOB = 1
def reset():
    globals()['GLOB'] = 1
    return 0
def get_global():
    try: return GLOB
    except NameError: return None
def set_global(value):
    global GLOB
    GLOB = value
def delete_global():
    global GLOB
    try: del GLOB
    except NameError: return 'none'
def increment_global():
    global GLOB
    try: GLOB += 1
    except NameError: return 'none'
def module():
    made = sys.modules['example'] = types.ModuleType('example')
    made.x = 1
    return made
class Kept: pass
KEPT = Kept()
def weak_values():
    values = weakref.WeakValueDictionary()
    values['a'] = KEPT
    return values, KEPT
def weak_keys():
    values = weakref.WeakKeyDictionary()
    values[KEPT] = 1
    return values, KEPT
def weak_set(): return weakref.WeakSet(), KEPT
def logger():
    made = logging.Logger('example', 20)
    made.manager = logging.root.manager
    return made
def proxy():
    values = {'a': 1}
    return types.MappingProxyType(values), values
def config():
    made = configparser.ConfigParser()
    made.read_string('[s]\\nk=1')
    return made
def enumeration():
    class Colour(enum.Enum): A = 1
    return Colour
def dataclass():
    @dataclasses.dataclass(order=True)
    class Made:
        x: int
        y: list
    return Made(1, [2])
Pair = collections.namedtuple('Pair', 'a b')
def named_tuple(): return Pair(1, [2])
def first(a, b): return a
class Base1:
    def meth(self): return 'b1'
class Base2: pass
def derived():
    Base1.b = 1
    if 'c' in vars(Base1): del Base1.c
    class Derived(Base1): a = 1
    return Derived
def shared_memory():
    made = multiprocessing.shared_memory.SharedMemory(create=True, size=16)
    made.unlink()
    return made
def connection():
    made = sqlite3.connect(':memory:', check_same_thread=False)
    made.execute('create table t(a)')
    return made
"""


def main() -> None:
    """Print what is wrong, a line for each pair."""
    every = pairs()
    chosen = [every[int(number)] for number in sys.argv[1:]]
    for kind in dict.fromkeys(pair.kind for pair in chosen):
        program = Program(kind)
        for pair in chosen:
            if pair.kind == kind and (wrong := program.missed(pair)):
                print(wrong, flush=True)


if __name__ == "__main__":
    main()
