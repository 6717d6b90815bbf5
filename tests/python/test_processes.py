"""Workers that are processes: what they share, and how they end."""

from __future__ import annotations

import fcntl
import functools
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import frontrun
import pytest
from frontrun.common import InterleavingResult
from frontrun.dpor import explore_dpor

Worker = Callable[[Any], object]


def explore(
    path: Path, workers: list[Worker], holds: Callable[[Path], bool] = lambda _: True, **options: Any
) -> InterleavingResult:
    """Explore workers on a file with a zero, until all executions have been run."""

    def setup() -> Path:
        path.write_text("0")
        return path

    options = {"stop_on_first": False, "observe": Path.read_text, "execution": "process", **options}
    return explore_dpor(setup, workers, holds, **options)


def add(path: Path) -> None:
    value = int(path.read_text())
    path.write_text(str(value + 1))


def by_flock(path: Path) -> None:
    with open(path.with_suffix(".lock"), "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        add(path)
        fcntl.flock(file, fcntl.LOCK_UN)


def by_lockf(path: Path) -> None:
    with open(path.with_suffix(".lock"), "w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        add(path)
        fcntl.lockf(file, fcntl.LOCK_UN)


def test_a_lost_update_is_found_replayed_and_has_a_column_for_each_worker(tmp_path: Path) -> None:
    path = tmp_path / "counter"
    result = explore(path, [add, add], lambda path: path.read_text() == "2", trace_dir=tmp_path / "traces")
    assert result.verdict == "failed"
    assert result.exhausted
    # An empty file is no number.
    assert set(result.outcomes) == {"'1'", "'2'"}
    assert {failure.kind for failure in result.failures} == {"exception", "invariant"}
    assert result.reproduced == (10, 10)
    assert result.explanation is not None
    assert "process 0 (add)" in result.explanation
    assert "process 1 (add)" in result.explanation
    assert "int(path.read_text())" in result.explanation


def test_the_failing_execution_is_a_trace_that_a_new_process_replays(tmp_path: Path) -> None:
    script = tmp_path / "lost.py"
    script.write_text(
        "import frontrun, pathlib, sys\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "def add(_):\n"
        "    value = int(path.read_text() or 0)\n"
        "    path.write_text(str(value + 1))\n"
        "result = frontrun.explore(lambda: path.write_text('0'), add, lambda _: path.read_text() == '2', count=2,\n"
        "    execution='process', trace_dir=sys.argv[2])\n"
        "print(result.failures[0].trace)\n"
    )
    command = [sys.executable, str(script), str(tmp_path / "counter"), str(tmp_path / "traces")]
    trace = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path).stdout.strip()
    replay = [sys.executable, "-m", "frontrun", "replay", trace]
    again = subprocess.run(replay, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert again.returncode == 1, again.stdout + again.stderr
    assert "invariant" in again.stdout, again.stdout


@pytest.mark.parametrize("work", [by_flock, by_lockf])
def test_locks_on_files_exclude_processes(tmp_path: Path, work: Worker) -> None:
    holds = lambda path: path.read_text() == "2"  # noqa: E731
    result = explore(tmp_path / "counter", [work, work], holds)
    # Opening the file empties it, which each worker does before it locks.
    threads = explore(tmp_path / "counter", [by_flock, by_flock], holds, execution="thread")
    assert threads.verdict == "exhausted"
    assert (result.verdict, result.num_explored) == (threads.verdict, threads.num_explored), result.explanation


def test_flock_and_lockf_do_not_exclude_each_other(tmp_path: Path) -> None:
    result = explore(tmp_path / "counter", [by_flock, by_lockf], lambda path: path.read_text() == "2")
    assert result.verdict == "failed"


@pytest.mark.parametrize("lock", [fcntl.flock, fcntl.lockf])
def test_a_lock_that_is_only_tried_is_refused_to_one_of_two(tmp_path: Path, lock: Callable[[int, int], None]) -> None:
    def attempt(path: Path) -> None:
        with open(path.with_suffix(".lock"), "w") as file:
            try:
                lock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            add(path)

    result = explore(tmp_path / "counter", [attempt, attempt])
    assert result.verdict == "exhausted", result.explanation
    assert set(result.outcomes) == {"'1'", "'2'"}


def test_closing_any_descriptor_of_the_file_gives_a_lock_of_the_process_back(tmp_path: Path) -> None:
    def work(path: Path) -> None:
        with open(path.with_suffix(".lock"), "w") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            open(path.with_suffix(".lock")).close()
            add(path)

    assert explore(tmp_path / "counter", [work, work], lambda path: path.read_text() == "2").verdict == "failed"


def test_the_end_of_a_process_gives_its_locks_back(tmp_path: Path) -> None:
    def work(path: Path) -> None:
        path.kept = open(path.with_suffix(".lock"), "w")  # type: ignore[attr-defined]  # noqa: SIM115
        fcntl.flock(path.kept, fcntl.LOCK_EX)  # type: ignore[attr-defined]
        add(path)

    class Kept(type(Path())):  # type: ignore[misc]
        pass

    result = explore(Kept(tmp_path / "counter"), [work, work], lambda path: path.read_text() == "2")
    assert (result.verdict, set(result.outcomes)) == ("exhausted", {"'2'"}), result.explanation


def test_two_locks_in_two_orders_are_a_deadlock(tmp_path: Path) -> None:
    def work(first: str, second: str, path: Path) -> None:
        with open(path.with_suffix(first), "w") as one, open(path.with_suffix(second), "w") as other:
            fcntl.flock(one, fcntl.LOCK_EX)
            fcntl.flock(other, fcntl.LOCK_EX)

    workers = [functools.partial(work, ".a", ".b"), functools.partial(work, ".b", ".a")]
    for execution in ("thread", "process"):
        result = explore(tmp_path / "counter", workers, execution=execution)
        assert {failure.kind for failure in result.failures} == {"deadlock"}
        assert result.exhausted


def test_memory_is_not_shared(tmp_path: Path) -> None:
    def work(state: list[int]) -> None:
        state.append(1)
        assert len(state) == 1

    result = frontrun.explore(list, work, lambda state: state == [], count=3, execution="process")
    assert (result.verdict, result.num_explored) == ("exhausted", 1), result.explanation


def test_a_file_that_was_open_before_has_one_position_for_all(tmp_path: Path) -> None:
    path = tmp_path / "log"

    def write(name: bytes, fd: int) -> None:
        os.write(fd, name)

    def setup() -> int:
        return os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)

    workers = [functools.partial(write, name) for name in (b"one", b"two")]
    for execution in ("thread", "process"):
        result = frontrun.explore(
            setup, workers, lambda _: True, observe=lambda _: path.read_text(), execution=execution
        )
        assert (result.num_explored, set(result.outcomes)) == (2, {"'onetwo'", "'twoone'"}), execution


def test_an_exception_is_a_failure_with_its_traceback(tmp_path: Path) -> None:
    def work(path: Path) -> None:
        raise ValueError(path.name)

    result = explore(tmp_path / "counter", [work, add], stop_on_first=True)
    failure = result.failures[0]
    assert (failure.kind, failure.message) == ("exception", "ValueError: counter")
    assert "raise ValueError(path.name)" in failure.details
    assert "/_processes.py" not in failure.details


@pytest.mark.parametrize(
    ("end", "kind", "message"),
    [
        (lambda: sys.exit(3), "exit_code", "worker 0 exited with code 3"),
        (lambda: os._exit(4), "exit_code", "worker 0 exited with code 4"),
        (lambda: signal.raise_signal(signal.SIGKILL), "crash", "worker 0 was killed by SIGKILL"),
    ],
)
def test_how_a_process_ends_is_a_failure(tmp_path: Path, end: Callable[[], object], kind: str, message: str) -> None:
    def work(path: Path) -> None:
        path.write_text("1")
        end()

    result = explore(tmp_path / "counter", [work, add], stop_on_first=True)
    assert result.failures, result
    assert (result.failures[0].kind, result.failures[0].message) == (kind, message)
    assert result.reproduced == (10, 10)


@pytest.mark.parametrize("end", [lambda: sys.exit(), lambda: os._exit(0), lambda: sys.exit(0)])
def test_a_process_may_end_itself(tmp_path: Path, end: Callable[[], object]) -> None:
    def work(path: Path) -> None:
        path.write_text("1")
        end()

    assert explore(tmp_path / "counter", [work]).verdict == "exhausted"


def test_sleeping_takes_no_time_and_all_processes_have_one_clock(tmp_path: Path) -> None:
    def work(path: Path) -> None:
        before = time.monotonic()
        time.sleep(100)
        assert time.monotonic() - before >= 100
        add(path)

    began = time.monotonic()
    result = explore(tmp_path / "counter", [work, work], timeout_per_run=20.0, stop_on_first=False)
    assert {failure.kind for failure in result.failures} <= {"exception"}
    assert "AssertionError" not in str(result.failures)
    assert time.monotonic() - began < 60


def test_a_process_that_hangs_is_cut(tmp_path: Path) -> None:
    def work(_: Path) -> None:
        while True:
            pass

    result = explore(tmp_path / "counter", [work], timeout_per_run=0.5, stop_on_first=True)
    assert [failure.kind for failure in result.failures] == ["hang"]


def children_of_all() -> set[str]:
    found = subprocess.run(["ps", "-eo", "pid,args"], check=True, capture_output=True, text=True).stdout
    return {line.split()[0] for line in found.splitlines() if "left_behind_marker" in line and "ps -eo" not in line}


@pytest.mark.parametrize("what", ["deadlock", "hang", "killed"])
def test_no_process_is_left_behind(tmp_path: Path, what: str) -> None:
    script = tmp_path / "left_behind_marker.py"
    script.write_text(
        "import frontrun, fcntl, os, signal, sys\n"
        "def deadlock(_):\n"
        "    one = open('lock', 'w'); other = open('lock', 'w')\n"
        "    fcntl.flock(one, fcntl.LOCK_EX); fcntl.flock(other, fcntl.LOCK_EX)\n"
        "def hang(_):\n"
        "    while True: pass\n"
        "def killed(_):\n"
        "    signal.raise_signal(signal.SIGKILL)\n"
        "worker = globals()[sys.argv[1]]\n"
        "result = frontrun.explore(lambda: None, worker, lambda _: True, count=2, execution='process',\n"
        "    timeout_per_run=1.0, reproduce_on_failure=0)\n"
        "print(result.failures[0].kind)\n"
    )
    command = [sys.executable, str(script), what]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.stdout.strip() == {"killed": "crash"}.get(what, what), done.stdout + done.stderr
    assert children_of_all() == set()


def make_bank(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.executescript("DROP TABLE IF EXISTS account; CREATE TABLE account (balance)")
    connection.execute("INSERT INTO account VALUES (0)")
    connection.commit()
    connection.close()


def balance(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("SELECT balance FROM account").fetchone()[0])
    finally:
        connection.close()


def deposit(begin: str, path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(begin)
    try:
        (found,) = connection.execute("SELECT balance FROM account").fetchone()
        connection.execute("UPDATE account SET balance = ?", (found + 1,))
        connection.execute("COMMIT")
    except sqlite3.OperationalError:
        connection.execute("ROLLBACK")
    connection.close()


@pytest.mark.parametrize("begins", [("BEGIN IMMEDIATE", "BEGIN IMMEDIATE"), ("BEGIN IMMEDIATE", "BEGIN")])
def test_a_busy_database_is_waited_for_and_given_up_as_by_threads(tmp_path: Path, begins: tuple[str, str]) -> None:
    def worker(begin: str) -> Worker:
        return lambda path: deposit(begin, path)

    def setup() -> Path:
        make_bank(tmp_path / "bank.db")
        return tmp_path / "bank.db"

    thread, process = (
        frontrun.explore(
            setup, list(map(worker, begins)), lambda _: True, observe=balance, execution=execution, stop_on_first=False
        )
        for execution in ("thread", "process")
    )
    assert process.verdict == thread.verdict == "exhausted", process.explanation
    assert process.outcomes == thread.outcomes
    assert process.num_explored == thread.num_explored


def test_the_end_of_a_process_rolls_its_transaction_back(tmp_path: Path) -> None:
    path = tmp_path / "bank.db"

    def change(ends: bool, _: object) -> None:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE account SET balance = balance + 1")
        if ends:
            os._exit(0)
        connection.execute("COMMIT")

    workers = [functools.partial(change, True), functools.partial(change, False)]
    result = frontrun.explore(
        lambda: make_bank(path), workers, lambda _: True, observe=lambda _: balance(path), execution="process"
    )
    assert (result.verdict, result.outcomes) == ("exhausted", {"1": 2}), result.explanation


def test_serial_orders_are_compared_by_what_is_observed(tmp_path: Path) -> None:
    path = tmp_path / "counter"

    def add_or_begin(_: object) -> None:
        value = int(path.read_text() or 0)
        path.write_text(str(value + 1))

    def run(**options: Any) -> InterleavingResult:
        return frontrun.explore(
            lambda: path.write_text("0"),
            add_or_begin,
            count=2,
            serializable_invariant=True,
            execution="process",
            **options,
        )

    with pytest.raises(TypeError, match="needs observe"):
        run()
    assert run(observe=lambda _: path.read_text()).verdict == "failed"


def test_random_executions_find_the_lost_update(tmp_path: Path) -> None:
    path = tmp_path / "counter"
    result = frontrun.explore(
        lambda: path.write_text("0"),
        lambda _: add(path),
        lambda _: path.read_text() == "2",
        count=2,
        execution="process",
        strategy="random",
        seed=1,
    )
    assert result.verdict == "failed"
