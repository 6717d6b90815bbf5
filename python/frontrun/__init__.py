"""frontrun finds concurrency bugs in ordinary Python programs.

It records one execution, works out which other executions could have happened, and enforces each of them in a fresh
process, until a failure is found or the space is exhausted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._core import __version__
    from ._explore import explore
    from .common import InterleavingResult

__all__ = ["InterleavingResult", "__version__", "explore"]


def __getattr__(name: str) -> Any:
    """Import what the package offers when it is first asked for: pytest loads the package wherever it is installed."""
    if name == "__version__":
        from ._core import __version__

        return __version__
    if name == "explore":
        from ._explore import explore

        return explore
    if name == "InterleavingResult":
        from .common import InterleavingResult

        return InterleavingResult
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
