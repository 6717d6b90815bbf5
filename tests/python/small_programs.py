"""Random small programs: two threads that do a few things each to the same containers, attributes and variables.

Model: a program is the text of a module with `setup`, the thread functions `t0` and `t1`, and `peek`, which gives what
is shared besides the state. An area is something to share and the statements about it; a program takes one or two.
"""

from __future__ import annotations

import sys
from string import Template

import statements_on_containers
import statements_on_objects
from hypothesis import strategies as st

PRELUDE = """
import itertools, operator, functools, heapq, bisect, json
from array import array
from collections import Counter, OrderedDict, defaultdict, deque

class Box:
    pass

class Kind:
    total = 0

class Slots:
    __slots__ = ("x", "y")

class Parent:
    total = 5

class Child(Parent):
    pass

class Cautious(Box):
    def __getattr__(self, name):
        return -1

GLOBAL = 0
"""

# The last line of a thread, which an oracle may replace.
END = "        # end"

AREAS = {**statements_on_containers.AREAS, **statements_on_objects.AREAS}

# The interpreter runs the body of a comprehension as a function of its own.
HAS_FUNCTION_OF_ITS_OWN = sys.version_info < (3, 12)


def statements(area: str) -> st.SearchStrategy[str]:
    choices = [text for text in AREAS[area][1] if not (HAS_FUNCTION_OF_ITS_OWN and " for " in text)]
    values = st.fixed_dictionaries(
        {
            "t": st.sampled_from("ab"),
            "k": st.sampled_from("abz"),
            "i": st.sampled_from([0, 1, -1, 2, 3]),
            "v": st.sampled_from([1, 2, 0, 3]),
            "w": st.sampled_from([1, 4]),
        }
    )
    return st.builds(lambda text, chosen: Template(text).substitute(chosen), st.sampled_from(choices), values)


@st.composite
def programs(draw: st.DrawFn) -> str:
    areas = draw(st.lists(st.sampled_from(sorted(AREAS)), min_size=1, max_size=2, unique=True))
    bodies = [draw(st.lists(st.one_of(*map(statements, areas)), min_size=1, max_size=3)) for _ in range(2)]
    return program([AREAS[area][0] for area in areas], bodies)


def program(setups: list[str], bodies: list[list[str]]) -> str:
    """The text of the program whose threads have these statements."""
    text = "\n".join(bodies[0] + bodies[1])
    uses = {name: name in text for name in ("GLOBAL", "cell")}
    lines = [
        PRELUDE,
        "def setup():",
        "    s = Box()",
        *_indented("\n".join(setups), 4),
        "    return s",
        "",
        "def make():",
    ]
    lines += ["    cell = 0"]
    for number, body in enumerate(bodies):
        lines += [f"    def t{number}(s):"]
        lines += ["        global GLOBAL"] * uses["GLOBAL"] + ["        nonlocal cell"] * uses["cell"]
        lines += ["        a = b = c = k = v = None", "        try:", *_indented("\n".join(body), 12)]
        lines += ["        except Exception as error: a = type(error).__name__", f"        s.r{number} = a, b", END]
    lines += ["    def peek():", "        try: return cell, ", "        except NameError: return None,"]
    return "\n".join([*lines, "    return t0, t1, peek", "t0, t1, peek = make()", ""])


def _indented(text: str, depth: int) -> list[str]:
    return [" " * depth + line for line in text.splitlines()]
