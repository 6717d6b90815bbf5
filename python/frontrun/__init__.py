"""frontrun finds concurrency bugs in ordinary Python programs.

It records one execution, works out which other executions could have happened, and enforces each of them in a fresh
process, until a failure is found or the space is exhausted.
"""

from ._core import __version__

__all__ = ["__version__"]
