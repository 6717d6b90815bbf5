"""The examples of "How frontrun works", unchanged, and what it says that they and the calls in them do."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from frontrun.bytecode import explore_interleavings
from frontrun.dpor import InterleavingResult, explore_dpor

TEXT = Path(__file__).with_name("seed_document.md").read_text()
ROOT = Path(__file__).parents[2]


def block(title: str, nth: int = 0) -> str:
    """The ``nth`` block of code under a heading."""
    part = TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]
    return re.findall(r"^```\w+\n(.*?)^```$", part, re.MULTILINE | re.DOTALL)[nth]


def run(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=directory,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def commands(title: str, nth: int) -> list[list[str]]:
    """The words of each line of a block of shell commands, without comments."""
    return [line.split("#")[0].split() for line in block(title, nth).splitlines()]


@pytest.mark.parametrize("prefix", [(), ("-m", "frontrun", "python")])
def test_dpor(prefix: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "counter.py").write_text(block("DPOR"))
    ended = run(tmp_path, *prefix, "counter.py")
    assert ended.returncode == 1
    explanation = ended.stderr
    assert "AssertionError: invariant after" in explanation
    # Source lines, interleaved, with the accesses that conflict and the object that they share.
    reads = [match.start() for match in re.finditer(r"temp = self\.value \[R a\]", explanation)]
    writes = [match.start() for match in re.finditer(r"self\.value = \S.*\[W a\]", explanation)]
    assert len(reads) == len(writes) == 2
    assert max(reads) < max(writes)
    assert "a  Counter#1.value" in explanation
    assert "reproduced 10/10" in explanation


def test_dpor_is_complete_and_runs_nothing_twice() -> None:
    space: dict[str, Any] = {}
    exec(block("DPOR").split("result =")[0], space)
    result = explore_dpor(
        space["Counter"],
        [lambda c: c.increment(), lambda c: c.increment()],
        lambda c: True,
        stop_on_first=False,
        observe=lambda c: c.value,
    )
    assert (result.num_explored, result.unique_interleavings, result.outcomes) == (4, 4, {"1": 2, "2": 2})


def test_bytecode(tmp_path: Path) -> None:
    (tmp_path / "test_counter.py").write_text(block("Bytecode"))
    ended = run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_counter.py")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "1 failed" in ended.stdout
    assert re.search(r"AssertionError: invariant after \d+ executions", ended.stdout)
    assert "reproduced 10/10" in ended.stdout
    again = run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_counter.py")
    found = [re.search(r"invariant after (\d+) executions", output.stdout) for output in (ended, again)]
    assert found[0] is not None
    assert found[1] is not None
    assert found[0][1] == found[1][1], "equal seeds give equal executions"


@pytest.mark.parametrize("attempts", [0, 3])
def test_reproduce_on_failure_says_how_often_the_counterexample_is_replayed(attempts: int) -> None:
    space: dict[str, Any] = {}
    exec(block("Bytecode").split("def test_")[0], space)
    result = explore_interleavings(
        space["Counter"],
        [lambda c: c.increment()] * 2,
        lambda c: c.value == 2,
        seed=42,
        reproduce_on_failure=attempts,
    )
    assert (result.reproduction_attempts, result.reproduction_successes) == (attempts, attempts)
    assert result.counterexample is not None


def test_what_blocks_in_c_code_does_not_hang_since_it_is_controlled_before_setup() -> None:
    primitives = (threading.Lock, threading.RLock, threading.Condition, threading.Event, threading.Semaphore)
    made: list[Any] = [primitive() for primitive in primitives]

    def setup() -> list[Any]:
        return [primitive() for primitive in primitives]

    def use(new: list[Any]) -> None:
        for lock in [*new[:3], *made[:3]]:
            with lock:
                pass
        for event in (new[3], made[3]):
            event.set()
            event.wait()
        for semaphore in (new[4], made[4]):
            with semaphore:
                pass

    result = explore_dpor(setup, [use, use], lambda _: True, max_executions=20)
    assert result.failures == ()
    assert all(made[nth].acquire() for nth in (0, 1, 2))


@pytest.mark.parametrize(("first", "second", "executions"), [("a", "a", 2), ("a", "b", 1)])
def test_threads_that_open_the_same_file_conflict(first: str, second: str, executions: int, tmp_path: Path) -> None:
    def setup() -> None:
        for name in "ab":
            (tmp_path / name).write_text("")

    def overwrite(name: str) -> Any:
        def thread(_: None) -> None:
            with open(tmp_path / name, "r+b", buffering=0) as file:
                file.write(b"x")

        return thread

    result = explore_dpor(setup, [overwrite(first), overwrite(second)], lambda _: True, stop_on_first=False)
    assert (result.verdict, result.num_explored) == ("exhausted", executions)


def test_threads_that_use_the_same_socket_conflict() -> None:
    def setup() -> Any:
        return [socket.socketpair() for _ in range(2)]

    def explore(nth: int) -> InterleavingResult:
        return explore_dpor(
            setup,
            [lambda s: s[0][0].send(b"a"), lambda s: s[nth][0].send(b"b")],
            lambda s: True,
            observe=lambda s: [s[0][1].recv(2), s[nth][1].recv(2) if nth else b""],
        )

    same, apart = explore(0), explore(1)
    assert (same.verdict, apart.verdict, apart.num_explored) == ("exhausted", "exhausted", 1)
    assert set(same.outcomes) == {"[b'ab', b'']", "[b'ba', b'']"}


def test_there_is_a_target_that_builds_the_library() -> None:
    [[program, target]] = commands("I/O", 0)
    ended = subprocess.run(
        [program, "--dry-run", target], cwd=ROOT, capture_output=True, text=True, timeout=400, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert re.search(r"cp \S*libfrontrun_io.so python/frontrun", ended.stdout)


def test_programs_run_under_the_command(tmp_path: Path) -> None:
    pytest_line, python_line = commands("I/O", 1)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_io.py").write_text(
        "import os\n\ndef test_it_is_preloaded():\n    assert 'libfrontrun_io' in os.environ['LD_PRELOAD']\n"
    )
    passed = run(tmp_path, "-m", *pytest_line, "-p", "no:cacheprovider")
    assert (passed.returncode, "1 passed" in passed.stdout) == (0, True), passed.stdout + passed.stderr
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    raced = run(tmp_path, "-m", *python_line)
    assert raced.returncode == 1
    assert "SELECT id, balance" in raced.stderr or "bank.db" in raced.stderr, raced.stderr
    assert "reproduced 10/10" in raced.stderr
