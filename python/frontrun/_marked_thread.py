"""A thread that takes its turns: it is watched for markers and for waits for locks while it runs a function.

Not here: whose turn it is (``_turns``), how a marker is noticed (``_marker_events``).
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Collection
from types import FrameType
from typing import Any

from . import _core, _marker_events
from ._markers import MarkerRegistry
from ._turns import Abandoned, Turns, place_of


class MarkedThread(threading.Thread):
    """One execution: runs a function, or the coroutine that it returns, by turns.

    ``only`` names the markers that count; by default all do.
    """

    def __init__(
        self,
        turns: Turns,
        registry: MarkerRegistry,
        name: str,
        function: Callable[[], object],
        only: Collection[str] | None = None,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._turns = turns
        self._registry = registry
        self._function = function
        self._only = only
        self.error: BaseException | None = None
        self.locked_before_marker = False
        """Whether it took a lock before its first marker."""
        self._has_stopped = False
        self._locks_at_start = 0

    def run(self) -> None:
        """Run the function; keep an exception that it lets out."""
        try:
            _core.observe_lock_waits(self._await_lock)
            _marker_events.watch(self._registry, self._arrive)
            try:
                self._turns.begin(self.name)
                self._call()
            finally:
                _marker_events.unwatch()
                _core.observe_lock_waits(None)
        except (Abandoned, SystemExit):
            pass
        except BaseException as error:
            self.error = error
        finally:
            self._turns.end(self.name)

    def _call(self) -> None:
        result = self._function()
        if inspect.iscoroutine(result):
            with asyncio.Runner() as runner:
                runner.get_loop()
                # The locks that making a loop takes are nobody else's business.
                self._locks_at_start = _core.locks_taken()
                runner.run(result)
        self._note_stop()

    def _note_stop(self) -> None:
        """At the first stop, note whether a lock was taken before it."""
        if not self._has_stopped:
            self._has_stopped = True
            self.locked_before_marker = _core.locks_taken() > self._locks_at_start

    def _arrive(self, marker: str, frame: FrameType) -> None:
        if self._only is None or marker in self._only:
            self._note_stop()
            self._turns.stop_at_marker(self.name, marker, place_of(frame))

    def _await_lock(self, lock: Any, timeout: float | None) -> bool:
        self.locked_before_marker |= not self._has_stopped
        return self._turns.await_lock(self.name, lock, timeout)
