"""The pytest plugin. Importing it costs next to nothing: pytest loads it in every project that has it installed."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

_running: _Test | None = None
_THREADS = pytest.StashKey[frozenset[threading.Thread]]()
"""The threads that there are before any fixture is set up: those of plugins."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, all of them in one group."""
    group = parser.getgroup("frontrun", "frontrun: concurrency bugs")
    group.addoption(
        "--frontrun",
        action="store_true",
        help="explore every test that starts threads, not only those marked frontrun",
    )
    group.addoption(
        "--frontrun-max-executions",
        type=int,
        metavar="N",
        help="end the exploration of a test after N executions, unless its marker says otherwise",
    )
    group.addoption(
        "--frontrun-max-time",
        type=float,
        metavar="SECONDS",
        help="end the exploration of a test after so many seconds, unless its marker says otherwise",
    )
    for name in ("--frontrun-patch-locks", "--no-frontrun-patch-locks"):
        group.addoption(name, action="store_true", help="accepted and ignored: locks need no patches to be controlled")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        "frontrun(allow_bounded=False, **options): explore the test function, its fixtures apart; it fails if an "
        "execution fails, or if not every class of executions could be run. Options are those of frontrun.explore.",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Note which threads are there without the tests."""
    session.config.stash[_THREADS] = frozenset(threading.enumerate())


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
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Count the explorations of a test anew, however often it is run."""
    calls = sys.modules.get("frontrun._calls")
    if calls is not None:
        calls.begin_test()
    if _is_wanted(item) and not _calls_a_function(item):
        _note(item, f"not explored: {type(item).__name__} is no plain test function")


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Explore a test instead of calling it, if it is marked or the option is given.

    As the innermost wrapper this comes after the plugins that change the function, and before those that call it.
    """
    function = pyfuncitem.obj
    if _explore(pyfuncitem):
        pyfuncitem.obj = _explored
    try:
        return (yield)
    finally:
        pyfuncitem.obj = function


def _explored(**_: object) -> None:
    """What is left to be called of a test that has been explored."""


def _explore(item: pytest.Function) -> bool:
    if _running is None or not _is_wanted(item) or _is_explored_as_a_whole():
        return False
    from ._pytest_exploration import explore_test

    marker = item.get_closest_marker("frontrun")
    if marker is not None and marker.args:
        message = f"the arguments of the marker frontrun have names: {marker.args}"
        raise TypeError(message)
    arguments = None if marker is None else marker.kwargs
    threads = item.config.stash.get(_THREADS, frozenset())
    return explore_test(item, _running, arguments, lambda text: _note(item, text), threads)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say in one line why a test has failed, where its report says it in many."""
    report = yield
    exploration = sys.modules.get("frontrun._pytest_exploration")
    if exploration is not None and call.excinfo is not None:
        exploration.shorten(call.excinfo, report)
    return report


def _is_wanted(item: pytest.Item) -> bool:
    return item.config.option.frontrun or item.get_closest_marker("frontrun") is not None


def _is_explored_as_a_whole() -> bool:
    """Whether this session of pytest is itself a program that frontrun explores."""
    program = sys.modules.get("frontrun._program")
    return program is not None and program.is_under_control()


def _calls_a_function(item: pytest.Item) -> bool:
    """Whether pytest calls a function for a test and does nothing else."""
    unittest = sys.modules.get("unittest")
    if not isinstance(item, pytest.Function):
        return False
    return unittest is None or item.cls is None or not issubclass(item.cls, unittest.TestCase)


def _note(item: pytest.Item, text: str) -> None:
    """Note what came of a test; it may be run again."""
    item.user_properties[:] = [entry for entry in item.user_properties if not entry[0].startswith("frontrun")]
    item.user_properties.append(("frontrun", text))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was explored, what was not, and why."""
    from . import _pytest_summary

    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    verbose = terminalreporter.config.get_verbosity() > 0
    lines = _pytest_summary.lines(reports, verbose)
    if lines:
        terminalreporter.section("frontrun")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of xdist how pytest was started."""
    node.workerinput["frontrun_args"] = [str(word) for word in node.config.invocation_params.args]


def pytest_runtest_logstart() -> None:
    """Under exploration, fork before a test rather than before pytest, if nothing outside was touched so far."""
    checkpoint = sys.modules.get("frontrun._checkpoint")
    if checkpoint is not None:
        checkpoint.offer()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish() -> None:
    """Under control, leave pytest's housekeeping out of account: it removes files that earlier executions have left."""
    core = sys.modules.get("frontrun._core")
    if core is not None and core.current() is not None:
        core.leave_files()


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
