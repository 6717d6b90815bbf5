"""A fresh interpreter of the command line: ``python -m frontrun._child script.py ...`` with ``FRONTRUN_CONFIG`` set.

Modes: ``record`` and ``replay`` run the program once; ``serve`` forks a run for each request.
"""

from __future__ import annotations

import atexit
import builtins
import gc
import json
import os
import random
import runpy
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import _checkpoint, _core, _preload, _program, _pytest_cache, _spurious, _threads
from ._instrument import Scope, instrument_existing, instrument_later

_VARIABLE = "FRONTRUN_CONFIG"


def main() -> None:
    """Run the command that follows under the configuration of the environment; never returns."""
    config = json.loads(os.environ.pop(_VARIABLE))
    _program.start_from_command_line()
    _core.note_makers()
    words = sys.argv[1:]
    scope = Scope(tuple(config["include"]), tuple(config["exclude"]), trust=tuple(config["trust"]))
    instrument_existing(scope)
    instrument_later(scope)
    _preload.watch()
    _core.remember_output()
    _core.import_early()
    _pytest_cache.install()
    program = _load(words)
    _core.set_clock(config["clock"])
    flags = [*scope.flags(), ("clock", config["clock"])]
    if config["spurious_wakeups"]:
        _spurious.allow(True)
        flags.append(("spurious-wakeups", "yes"))
    _core.set_free_threaded(config["free_threaded"])
    if config["free_threaded"]:
        flags.append(("free-threaded", "true"))
    flags += _inputs(config)
    header = _program.facts(config["command"], None, os.getcwd(), flags)
    random.seed(0)

    request = _core.Request(config["trace"], config["schedule"], config.get("parent"))

    def begin_served() -> None:
        nonlocal request
        request = _checkpoint.serve(config["serve_fds"])
        _program.begin(request, header)

    def run_to_the_end() -> None:
        try:
            program()
        finally:
            _end(is_first=request.parent is None)

    gc.set_threshold(0)
    _core.number_objects()
    if config["mode"] != "serve":
        _program.begin(request, header)
    else:
        _threads.install()
        _program.watch_imports()
        _checkpoint.at(_checkpoint.latest_clean_point(program), begin_served)
    _program.leave(_program.run(run_to_the_end, lambda: _program.begin(request, header)))


def _inputs(config: dict[str, Any]) -> list[tuple[str, str]]:
    """Have recorded, or told again, what servers tell the program. Return flags for the header."""
    if config["hermetic"] is not None:
        _core.tell_inputs(config["hermetic"])
    if not config["record_io"]:
        return []
    _core.record_inputs(config["redact"])
    return [("record-io", "servers"), *(("redact", glob) for glob in config["redact"])]


def _leave_old_directories() -> None:
    """Have pytest not look through what earlier sessions left, which the first execution does for all."""
    paths = sys.modules.get("_pytest.pathlib")
    if paths is not None:
        atexit.unregister(paths.cleanup_numbered_dir)


def _end(*, is_first: bool) -> None:
    """Run what the interpreter runs when a program has ended."""
    _threads.end_pools()
    _threads.join_all()
    _core.leave_files()
    if not is_first:
        _leave_old_directories()
    atexit._run_exitfuncs()


def _load(words: list[str]) -> Callable[[], object]:
    """Return what runs the target, with ``sys.argv`` and ``sys.path`` as the target expects them."""
    if words[0] == "-m":
        sys.argv = [words[1], *words[2:]]
        sys.path[0] = os.getcwd()
        return lambda: _run_module(words[1])
    if words[0] == "-c":
        sys.argv = ["-c", *words[2:]]
        sys.path[0] = ""
        return lambda: _execute(words[1], "<string>", None)
    script = Path(words[0])
    sys.argv = list(words)
    sys.path[0] = str(script.parent.resolve())
    return lambda: _run_script(script)


def _run_module(name: str) -> None:
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def _run_script(script: Path) -> None:
    if script.is_dir() or script.suffix == ".zip":
        runpy.run_path(str(script), run_name="__main__")
        return
    _execute(script.read_bytes(), str(script.resolve()), str(script))


def _execute(source: str | bytes, filename: str, name: str | None) -> None:
    """Run source text as the module ``__main__``."""
    module: Any = types.ModuleType("__main__")
    module.__builtins__ = builtins
    if name is not None:
        module.__file__ = name
    sys.modules["__main__"] = module
    exec(compile(source, filename, "exec", dont_inherit=True), module.__dict__)  # noqa: S102


if __name__ == "__main__":
    main()
