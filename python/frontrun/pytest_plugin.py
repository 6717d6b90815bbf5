"""The pytest plugin. Importing it costs next to nothing: pytest loads it in every project that has it installed."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

_running: _Test | None = None


class _Test:
    """The test that is being run, and how to come to it again."""

    def __init__(self, item: pytest.Item) -> None:
        self.nodeid = item.nodeid
        self._config = item.config

    @property
    def directory(self) -> str:
        """Where pytest was started."""
        return str(self._config.invocation_params.dir)

    @property
    def command(self) -> list[str]:
        """The command that was given, with this test in place of what it selects."""
        config: Any = self._config
        words = list(getattr(config, "workerinput", {}).get("frontrun_args", config.invocation_params.args))
        words = [str(word) for word in words]
        for chosen in config.option.file_or_dir:
            if chosen in words:
                del words[len(words) - 1 - words[::-1].index(chosen)]
        if config.getoption("numprocesses", None) or hasattr(config, "workerinput"):
            words.append("-n0")
        optimize = ["-" + "O" * sys.flags.optimize] if sys.flags.optimize else []
        return ["python", *optimize, "-m", "pytest", *words, self._argument()]

    def _argument(self) -> str:
        """The name of the test as seen from where pytest was started."""
        path, *names = self.nodeid.split("::", 1)
        return "::".join([os.path.relpath(Path(self._config.rootpath, path), self.directory), *names])


def running_test() -> _Test | None:
    """Return the test that is being run in this process, if there is one."""
    return _running


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Note which test is running; another session may run within it."""
    global _running
    outer, _running = _running, _Test(item)
    try:
        return (yield)
    finally:
        _running = outer


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Count the explorations of a test anew, however often it is run."""
    calls = sys.modules.get("frontrun._calls")
    if calls is not None:
        calls.begin_test()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of xdist how pytest was started."""
    node.workerinput["frontrun_args"] = [str(word) for word in node.config.invocation_params.args]


def pytest_runtest_logstart() -> None:
    """Under exploration, fork before a test rather than before pytest, if nothing outside was touched so far."""
    checkpoint = sys.modules.get("frontrun._checkpoint")
    if checkpoint is not None:
        checkpoint.offer()


def pytest_exception_interact(call: pytest.CallInfo[Any], report: pytest.CollectReport | pytest.TestReport) -> None:
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
