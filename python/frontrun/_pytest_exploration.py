"""The exploration of a pytest test as it is, for the marker ``frontrun`` and the option ``--frontrun``.

The explored region is the test function. Its fixtures are set up once, outside of it; each execution is forked from
there and begins with them as they were, what lies in ``tmp_path`` included. The test passes or fails by the verdict, so
the function is not run in this process too.

A marked test is held to what an assertion of the result would be: what is not exhausted fails, unless that is allowed.
A test that the option alone explores fails if an execution fails; what else came of it is said in the summary.

Not here: when pytest calls this (``pytest_plugin``), the summary (``_pytest_summary``).
"""

from __future__ import annotations

import inspect
import os
import unittest
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from . import _core, _earlier_loops, _earlier_threads, _threads
from ._calls import RunningTest, call_of_test
from ._exploration import Options, as_typed, explore
from ._folder import Folder
from ._options import options
from .common import InterleavingResult

_DEFAULT_TIMEOUT = 30.0
"""How many seconds an execution of a test that says nothing about it may take: it was not written to be explored."""

_SKIPPED = "skipped: "
_XFAILED = "xfailed: "

Note = Callable[[str], None]


class ExplorationFailed(pytest.fail.Exception):  # type: ignore[misc, name-defined]  # pytest names no type for it.
    """Fails a test with the account of its exploration; a traceback would show nothing but frontrun."""

    def __init__(self, account: str) -> None:
        super().__init__(account, pytrace=False)


def shorten(excinfo: pytest.ExceptionInfo[BaseException], report: pytest.TestReport) -> None:
    """Leave the first line of the account where pytest asks for one line, which it does not cut on CI."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None and isinstance(excinfo.value, ExplorationFailed):
        crash.message = f"Failed: {excinfo.value}".splitlines()[0]


def _reason_against(item: pytest.Function, before: Set[Thread]) -> str | None:
    """Why a test cannot be explored, if it cannot; ``before`` are the threads that no fixture has started."""
    if getattr(item.function, "is_hypothesis_test", False):
        return "Hypothesis calls the function many times, with inputs of its own"
    # Those that pytest-asyncio runs it has replaced.
    if inspect.iscoroutinefunction(item.obj) and _anyio_backend(item) != "asyncio":
        return "neither pytest-asyncio nor anyio runs the coroutine function by asyncio"
    if item.config.getoption("trace", False):
        return "--trace stops in it"
    threads = _earlier_threads.started_since(before)
    if threads:
        return f"its fixtures have started threads, which executions lack ({', '.join(threads)})"
    return None


def _anyio_backend(item: pytest.Function) -> object:
    """By what the plugin of anyio runs a test, if it does."""
    backend = item.funcargs.get("anyio_backend")
    return backend[0] if isinstance(backend, tuple) else backend


def explore_test(
    item: pytest.Function, test: RunningTest, arguments: Mapping[str, Any] | None, note: Note, before: Set[Thread]
) -> bool:
    """Explore a test; ``arguments`` are those of its marker, if it has one; ``before``, see :func:`_reason_against`.

    :returns: whether it was explored, or is to be run as usual.
    """
    reason = _reason_against(item, before)
    if reason is not None:
        note(f"not explored: {reason}")
        return False
    given = dict(arguments or {})
    allow_bounded = given.pop("allow_bounded", arguments is None)
    try:
        chosen = _options(item, given)
    except (TypeError, ValueError) as error:
        raise ExplorationFailed(f"marker frontrun: {str(error).removeprefix('options() ')}") from None
    result = explore(_TestFunction(item), chosen, call_of_test(test))
    note(_summary(result))
    if result.failures:
        _fail(item, result)
    if arguments is not None and result.verdict != "exhausted" and not (allow_bounded and result.verdict == "bounded"):
        raise ExplorationFailed(
            f"not proved: {result.verdict} after {result.num_explored} executions\n{result.explanation}"
        )
    if result.num_explored == 0 or result.verdict in ("diverged", "error"):
        # Maybe no execution has come to the end of the test.
        return False
    _end_as_the_executions(result)
    return True


def _options(item: pytest.Function, given: dict[str, Any]) -> Options:
    config = item.config.option
    if config.frontrun_max_executions is not None and given.get("strategy", "dpor") == "dpor":
        given.setdefault("max_executions", config.frontrun_max_executions)
    if config.frontrun_max_time is not None:
        given.setdefault("total_timeout", config.frontrun_max_time)
    given.setdefault("timeout_per_run", _DEFAULT_TIMEOUT)
    folder = item.funcargs.get("tmp_path")
    before = Folder(folder).restore if isinstance(folder, Path) else None
    return replace(options(**given), before=before)


def _summary(result: InterleavingResult) -> str:
    executions = f"{result.num_explored} execution{'s' if result.num_explored != 1 else ''}"
    if result.failures:
        first = result.failures[0]
        return f"failed: {first.kind} in execution {first.attempt}; frontrun replay {as_typed(first.trace)}"
    if result.verdict == "exhausted" and result.most_threads < 2:
        return "not explored: it starts no second thread"
    if result.verdict == "bounded":
        return f"bounded: by {result.bounded_by} after {executions}"
    if result.verdict == "exhausted":
        return f"exhausted: {executions}"
    return f"{result.verdict}: after {executions}: {(result.explanation or '').splitlines()[0]}"


def _fail(item: pytest.Function, result: InterleavingResult) -> None:
    first = result.failures[0]
    output = Path(first.trace).with_suffix(".out")
    if output.is_file():
        item.add_report_section("call", "output of the failing execution", output.read_text(errors="replace"))
    item.user_properties.append(("frontrun_trace", first.trace))
    raise ExplorationFailed(result.explanation or first.message)


def _end_as_the_executions(result: InterleavingResult) -> None:
    """Skip the test if every execution has skipped it."""
    if sum(result.outcomes.values()) < result.num_explored:
        return
    for outcome in result.outcomes:
        if outcome.startswith(_XFAILED):
            pytest.xfail(outcome.removeprefix(_XFAILED))
        pytest.skip(outcome.removeprefix(_SKIPPED))


class _TestFunction:
    """A test function with its fixtures, as the program that is explored."""

    def __init__(self, item: pytest.Function) -> None:
        self._function: Callable[..., object] = item.obj
        self._arguments: dict[str, Any] = {name: item.funcargs[name] for name in item._fixtureinfo.argnames}
        if inspect.iscoroutinefunction(item.obj):
            anyio: Any = item.config.pluginmanager.getplugin("anyio")
            self._function, self._arguments = anyio.pytest_pyfunc_call, {"pyfuncitem": item}
        self._captured: Any = item.config.pluginmanager.getplugin("capturemanager")

    def __call__(self) -> None:
        with self._output_shown():
            try:
                self._function(**self._arguments)
            except pytest.xfail.Exception as xfail:
                _core.observe(f"{_XFAILED}{xfail.msg}")
            except (pytest.skip.Exception, unittest.SkipTest) as skip:
                _core.observe(f"{_SKIPPED}{skip}")
            # The fixtures would do so, which are not a part of this.
            _earlier_loops.end_threads()
            _threads.end_pools()

    @contextmanager
    def _output_shown(self) -> Iterator[None]:
        """Print what pytest has captured, so that it is found with the trace."""
        try:
            yield
        finally:
            if self._captured is not None and self._captured.is_globally_capturing():
                with _threads.quietly:
                    for fd, text in zip((1, 2), self._captured.read_global_capture(), strict=True):
                        os.write(fd, text.encode(errors="replace"))
