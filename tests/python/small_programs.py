"""Random small programs: two threads that do a few things each to the same containers, attributes and variables.

Model: a program is the text of a module with `setup`, the thread functions `t0` and `t1`, and `peek`, which gives what
is shared besides the state. An area is something to share and the statements about it; a program takes one or two.
Every number names one program.
"""

from __future__ import annotations

import random
import re
from string import Template

import statements_on_containers
import statements_on_objects
import statements_with_callbacks

PRELUDE = """
import itertools, operator, functools, heapq, bisect, copy
from array import array
from collections import Counter, OrderedDict, defaultdict, deque

class Box:
    pass
"""

Area = tuple[str, str, list[str]]

CONTAINERS = ("list", "dict", "set", "deque", "array", "bytearray", "OrderedDict", "defaultdict", "Counter")


def of_subclasses(area: Area) -> Area:
    """The area with containers whose classes inherit all that they do."""
    definitions, setup, statements = area
    setup = re.sub(r"= (\[[\d, ]+\])", r"= list(\1)", setup)
    setup = re.sub(r"= (\{[^:}]+\})", r"= set(\1)", setup)
    setup = re.sub(r"= (\{[^}]+:[^}]+\})", r"= dict(\1)", setup)
    made = [name for name in CONTAINERS if re.search(rf"\b{name}\(", setup)]
    return "\n".join([definitions, *(f"class {name}({name}): pass" for name in made)]), setup, statements


# What an area adds to the module, to `setup`, and its statements.
AREAS: dict[str, Area] = {
    **statements_on_containers.AREAS,
    **statements_on_objects.AREAS,
    **statements_with_callbacks.AREAS,
}
AREAS |= {
    f"{name} of subclasses": of_subclasses(AREAS[name])
    for name in ("list", "dict", "set", "deque", "buffers", "ordered", "counting")
}

VALUES: dict[str, list[object]] = {
    "t": ["a", "b"],
    "k": ["a", "b", "z"],
    "i": [0, 1, -1, 2, 3],
    "v": [1, 2, 0, 3],
    "w": [1, 4],
}
# How many statements the threads have, and how often.
SIZES = [(1, 1), (1, 1), (1, 2), (1, 2), (2, 1), (2, 1), (2, 2), (1, 3)]


def numbered(number: int) -> str:
    """The text of a program."""
    choose = random.Random(number)
    areas = choose.sample(sorted(AREAS), choose.choice([1, 1, 2]))
    if _names(areas[0]) & _names(areas[-1]):
        areas = areas[:1]
    bodies = [[_statement(choose, areas) for _ in range(size)] for size in choose.choice(SIZES)]
    return program([AREAS[area][0] for area in areas], [AREAS[area][1] for area in areas], bodies)


def _names(area: str) -> set[str]:
    """The attributes of the state that an area sets up."""
    return set(re.findall(r"\bs\.(\w)", AREAS[area][1]))


def _statement(choose: random.Random, areas: list[str]) -> str:
    text = choose.choice(AREAS[choose.choice(areas)][2])
    return Template(text).substitute({name: choose.choice(values) for name, values in VALUES.items()})


def program(definitions: list[str], setups: list[str], bodies: list[list[str]]) -> str:
    """The text of the program whose threads have these statements."""
    lines = [PRELUDE, *definitions, "def setup():", "    s = Box()", *_indented("\n".join(setups), 4), "    return s"]
    lines += ["", "def make():", "    cell = 0"]
    for number, body in enumerate(bodies):
        text = "\n".join(body)
        lines += [f"    def t{number}(s, a=None, b=None, c=None, k=None, v=None):"]
        lines += ["        global GLOBAL"] * ("GLOBAL" in text) + ["        nonlocal cell"] * ("cell" in text)
        lines += [*_indented(text, 8), "        return a, b"]
    lines += ["    def peek():", "        try: return cell, ", "        except NameError: return None,"]
    return "\n".join([*lines, "    return t0, t1, peek", "t0, t1, peek = make()", ""])


def _indented(text: str, depth: int) -> list[str]:
    return [" " * depth + line for line in text.splitlines()]
