"""pytest's cache in controlled runs: read as the user's sessions left it, written by none.

Model: what a run writes is known to that run alone, which reads it back. So each execution, and each replay, finds the
same cache, whatever others have seen fail; and the user's own ``pytest --lf`` is about the user's own sessions. How the
cache is read is not the program's doing, and happens quietly.

Not here: folders that plugins ask the cache for.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ._on_import import when_imported
from ._threads import quietly

_WRITTEN = "_frontrun_written"


def install() -> None:
    """Put the model in place as soon as the program has pytest, for the rest of this process."""
    when_imported("_pytest.cacheprovider", _replace)


def _replace() -> None:
    from _pytest.cacheprovider import Cache

    read: Callable[[Any, str, Any], Any] = Cache.get

    def get(self: Any, key: str, default: Any) -> Any:
        with quietly:
            written = self.__dict__.get(_WRITTEN, {})
            return json.loads(written[key]) if key in written else read(self, key, default)

    def write(self: Any, key: str, value: object) -> None:
        with quietly:
            self.__dict__.setdefault(_WRITTEN, {})[key] = json.dumps(value)

    Cache.get = get  # type: ignore[method-assign]
    Cache.set = write  # type: ignore[method-assign]
