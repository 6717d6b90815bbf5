"""What the serial orders of some threads end with: each thread runs to its end before the next one starts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations

from ._calls import Call
from ._exploration import Options, Program, explore
from .common import InterleavingResult

MOST_ORDERS = 720
"""How many serial orders are run at most."""


def serial_outcomes(program: Program, options: Options, call: Call) -> tuple[frozenset[str], InterleavingResult | None]:
    """Run every serial order of the program's threads; return what they end with.

    The second value is the result of a serial order that fails by itself, or could not be run in full, if there is one.
    """
    outcomes: set[str] = set()
    for order in _orders(program):
        threads = [program.threads[nth] for nth in order]
        serial = replace(program, threads=threads, serial=True)
        result = explore(serial, replace(options, sampling=None, fail_on_race=False), call.part(f"serial{list(order)}"))
        if result.verdict != "exhausted":
            return frozenset(outcomes), result
        outcomes |= result.outcomes.keys()
    return frozenset(outcomes), None


def _orders(program: Program) -> Iterator[tuple[int, ...]]:
    """Orders that differ: threads with the same function are interchangeable."""
    functions = list(program.threads)
    kinds = [functions.index(function) for function in functions]
    count = math.factorial(len(kinds))
    for kind in set(kinds):
        count //= math.factorial(kinds.count(kind))
    if count > MOST_ORDERS:
        message = f"{len(functions)} threads have {count} serial orders; at most {MOST_ORDERS} are run"
        raise ValueError(message)
    seen = set()
    for order in permutations(range(len(kinds))):
        kind_order = tuple(kinds[nth] for nth in order)
        if kind_order not in seen:
            seen.add(kind_order)
            yield order
