"""Workers that are processes of their own: forked from the run after setup, each with a thread that stands for it.

A process has its own copy of the state. What it does outside (files, databases of SQLite, sleeping) it asks its thread
for, which makes the step on its behalf and answers when it is the process's turn. Whatever else could let processes
meet (sockets, pipes, shared memory, signals, further processes and threads) ends the run: it cannot be followed.
"""

from __future__ import annotations

import marshal
import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from . import _core, _reporter, _sqlite_account, _threads

_EXPECTED = "worker processes to meet in files, databases and servers"
# Audit events of what a worker must not do, and what that is called.
_REFUSED = {
    "_thread.start_new_thread": "one starts a thread",
    "_thread.start_joinable_thread": "one starts a thread",
    "os.exec": "one executes another program",
    "os.fork": "one forks a process",
    "os.forkpty": "one forks a process",
    "os.kill": "one sends a signal",
    "os.killpg": "one sends a signal",
    "os.posix_spawn": "one starts a process",
    "os.spawn": "one starts a process",
    "os.system": "one starts a process",
    "signal.pthread_kill": "one sends a signal",
    "subprocess.Popen": "one starts a process",
}


def start(functions: Sequence[Callable[[Any], object]], state: Any) -> list[threading.Thread]:
    """Fork a process for each worker; return the threads that stand for them, which have not been started."""
    with _threads.quietly:
        shared = _shared_memory()
        if shared is not None:
            _core.end_unfollowed(_EXPECTED, f"setup has made shared memory ({shared})")
        _number_open_files()
        _reporter.flush_output()
        return [_fork(number, function, state) for number, function in enumerate(functions)]


def _number_open_files() -> None:
    """Have each file that is open now numbered here, and not in each process anew: all share its position."""
    for name in sorted(os.listdir("/proc/self/fd"), key=int):
        try:
            os.fstat(int(name))
        except OSError:
            continue


def _fork(number: int, function: Callable[[Any], object], state: Any) -> threading.Thread:
    process, socket = _core.fork_worker(number)
    if process == 0:
        _be_worker(function, state)
    name = f"process {number} ({getattr(function, '__name__', type(function).__name__)})"
    return threading.Thread(target=_Stand(number, process, socket).serve, name=name)


def _shared_memory() -> str | None:
    """What is mapped into this process so that others could see it: nobody sees how that is used.

    The files of the system, such as tables of character sets, do not change, and of its own SQLite takes care.
    """
    with open("/proc/self/maps") as maps:
        mapped = [line.split(maxsplit=5) for line in maps]
    for _, access, _, _, _, *rest in mapped:
        name = "".join(rest).strip()
        if access.endswith("s") and not name.startswith(("/usr/", "/lib")) and not name.endswith("-shm"):
            return name or "without a name"
    return None


# In the worker.


def ask(*question: Any) -> Any:
    """Ask the thread that stands for this process, and wait for its answer."""
    return marshal.loads(_core.ask_run(marshal.dumps(question)))


def _be_worker(function: Callable[[Any], object], state: Any) -> NoReturn:
    """Be the process: wait for the first turn, run the function, and end."""
    code = 1
    try:
        # Forking happened unseen; from here on the process is seen.
        _core.loud()
        _sqlite_account.ask = ask
        _threads.at_first_start(lambda: ask("refuse", "one starts a thread or a task"))
        sys.addaudithook(_watch)
        ask("begin")
        code = _run(function, state)
    finally:
        _core.quiet()
        _reporter.flush_output()
        os._exit(code & 0xFF)


def _run(function: Callable[[Any], object], state: Any) -> int:
    try:
        function(state)
        with _threads.quietly:
            shared = _shared_memory()
        if shared is not None:
            ask("refuse", f"one has made shared memory ({shared})")
    except SystemExit as exit_:
        return _code_of(exit_)
    except BaseException as error:
        with _threads.quietly:
            message, details = _reporter.describe_exception(error)
            print(details, end="", file=sys.stderr)
        ask("failed", message, details)
        return 1
    return 0


def _code_of(exit_: SystemExit) -> int:
    if exit_.code is None:
        return 0
    if isinstance(exit_.code, int):
        return exit_.code
    with _threads.quietly:
        print(exit_.code, file=sys.stderr)
    return 1


def _watch(event: str, args: tuple[Any, ...]) -> None:
    del args
    if event in _REFUSED:
        ask("refuse", _REFUSED[event])


# In the run.


class _Stand:
    """The thread that stands for a process."""

    def __init__(self, number: int, process: int, socket: int) -> None:
        self._number = number
        self._process = process
        self._socket = socket
        self._accounts: dict[int, _sqlite_account.Account] = {}
        self._has_failed = False

    def serve(self) -> None:
        """Make the steps that the process asks for, until it ends."""
        while (question := _core.next_question(self._number, self._socket)) is not None:
            name, *rest = marshal.loads(question)
            _core.answer_worker(self._socket, marshal.dumps(getattr(self, f"_{name}")(*rest)))
        status = _core.end_worker(self._number, self._process, self._socket)
        for key in sorted(self._accounts):
            self._accounts.pop(key).close()
        self._report(status)

    def _begin(self) -> None:
        """Answer that the process has its first turn."""

    def _failed(self, message: str, details: str) -> None:
        self._has_failed = True
        with _threads.quietly:
            _core.report_exception(message, details)

    def _refuse(self, what: str) -> None:
        _core.end_unfollowed(_EXPECTED, what)

    def _account(self, key: int, method: str, *args: Any) -> Any:
        """Do something to the account of a connection of the process."""
        if method == "open":
            self._accounts[key] = _sqlite_account.Account(*args)
            return None
        if method == "close":
            account = self._accounts.pop(key, None)
            return None if account is None else account.close()
        return getattr(self._accounts[key], method)(*args)

    def _report(self, status: int | None) -> None:
        """Note how the process has ended, if that is a failure that has not been noted."""
        if status is None or status == 0 or self._has_failed:
            return
        with _threads.quietly:
            if os.WIFSIGNALED(status):
                signal_name = _name_of(os.WTERMSIG(status))
                _core.report_failure("crash", f"worker {self._number} was killed by {signal_name}", "")
            else:
                code = os.waitstatus_to_exitcode(status)
                _core.report_failure("exit_code", f"worker {self._number} exited with code {code}", "")


def _name_of(number: int) -> str:
    import signal

    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
