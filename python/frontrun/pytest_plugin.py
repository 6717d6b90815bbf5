"""The pytest plugin. Importing it costs next to nothing: pytest loads it in every project that has it installed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest


def pytest_runtest_logstart() -> None:
    """Under exploration, fork before a test rather than before pytest, if nothing outside was touched so far."""
    checkpoint = sys.modules.get("frontrun._checkpoint")
    if checkpoint is not None:
        checkpoint.offer()


def pytest_exception_interact(call: pytest.CallInfo[Any], report: pytest.TestReport | pytest.CollectReport) -> None:
    """Under control, note a failing test as what failed; the exit code alone would say little."""
    core = sys.modules.get("frontrun._core")
    if core is None or core.current() is None or call.excinfo is None:
        return
    core.quiet()
    try:
        kind = "assertion" if call.excinfo.errisinstance(AssertionError) else "exception"
        core.report_failure(kind, f"{report.nodeid}: {call.excinfo.exconly()}", report.longreprtext)
    finally:
        core.loud()
