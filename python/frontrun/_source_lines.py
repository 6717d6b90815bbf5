"""The lines of source files that tracebacks show: which files are read for them, and when, is not the program's doing.

Model: ``linecache`` fills its cache, and checks it, quietly. What it returns hangs on nothing but the files.

Not here: other caches of the standard library, whose code reads no files (``_instrument``).
"""

from __future__ import annotations

import linecache
from collections.abc import Callable
from typing import Any

from . import _replaced
from ._threads import quietly


def _check(filename: str | None = None) -> None:
    with quietly:
        _originals["checkcache"](filename)


def _update(filename: str, module_globals: dict[str, Any] | None = None) -> Any:
    with quietly:
        return _originals["updatecache"](filename, module_globals)


_MODELS: dict[str, Callable[..., Any]] = {"checkcache": _check, "updatecache": _update}
_originals = {name: _replaced.original_of(getattr(linecache, name)) for name in _MODELS}


def install() -> None:
    """Put the models in place, for the rest of this process."""
    for name, model in _MODELS.items():
        _replaced.replace(getattr(linecache, name), model)
