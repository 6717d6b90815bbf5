"""Which of the numbered random programs this interpreter runs.

Most of what they test is the same code on every CPython, so each of three minor versions in a row runs a third of them,
and together they run all. A variable of the environment names other numbers, all of which are run then:
``FRONTRUN_PROGRAMS=40000:60000``.
"""

from __future__ import annotations

import os
import sys


def share(count: int, variable: str = "FRONTRUN_PROGRAMS") -> list[int]:
    """Return this interpreter's share of the numbers below ``count``, or those that the variable names."""
    if variable in os.environ:
        first, last = map(int, os.environ[variable].split(":"))
        return list(range(first, last))
    return list(range(sys.version_info.minor % 3, count, 3))


def portions(numbers: list[int], size: int) -> list[list[int]]:
    """Divide the numbers among tests."""
    return [numbers[at : at + size] for at in range(0, len(numbers), size)]
