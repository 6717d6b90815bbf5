"""Spurious wake-ups: outcomes, deadlocks and the number of classes are those that brute force finds."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import frontrun
import pytest
from condition_programs import Program, classes, outcomes, random_program, real, state
from frontrun.dpor import explore_dpor
from shares import share

PROGRAMS: dict[str, Program] = {
    "wait without a look": [[["wait", "look"]], [["set", "notify"]]],
    "if": [[["if", "look"]], [["set", "notify"]]],
    "while": [[["while", "look"]], [["set", "notify"]]],
    "wait_for": [[["wait_for", "look"]], [["set", "notify"]]],
    "nobody notifies": [[["while", "look"]], [["set"]]],
    "one waits for ever": [[["wait", "look"]]],
    "notified too early": [[["wait"]], [["notify"]]],
    "two of which one is notified": [[["wait", "look"]], [["wait", "look"]], [["set", "notify"]]],
    "two that look, one notified": [[["while", "look"]], [["while", "look"]], [["set", "notify"]]],
    "all are notified": [[["if", "look"]], [["wait_for"]], [["set", "notify all"]]],
    "waits twice": [[["wait", "look", "wait", "look"]], [["notify"], ["set", "notify"]]],
    "both wait and notify": [[["notify", "wait", "look"]], [["set", "notify", "wait"]]],
}


def disagreement(program: Program, *, spurious: bool) -> str | None:
    """What an exploration says otherwise than brute force; ``None`` if nothing."""
    result = explore_dpor(
        lambda: state(program),
        [real(number, sections) for number, sections in enumerate(program)],
        lambda _: True,
        observe=lambda p: p.results,
        stop_on_first=False,
        reproduce_on_failure=0,
        spurious_wakeups=spurious,
        workers=1,
    )
    expected, stuck = outcomes(program, spurious=spurious)
    kinds = {failure.kind for failure in result.failures}
    found: tuple[Any, ...] = (set(result.outcomes), kinds, result.verdict, result.num_explored)
    wanted: tuple[Any, ...] = (
        expected,
        {"deadlock"} if stuck else set(),
        "failed" if stuck else "exhausted",
        classes(program, spurious=spurious),
    )
    return None if found == wanted else f"{program}: {found}, not {wanted} {result.explanation}"


@pytest.mark.parametrize("spurious", [True, False])
@pytest.mark.parametrize("name", PROGRAMS)
def test_small_programs_agree_with_brute_force(name: str, spurious: bool) -> None:
    assert disagreement(PROGRAMS[name], spurious=spurious) is None


@pytest.mark.parametrize("seed", share(20))
def test_random_programs_agree_with_brute_force(seed: int) -> None:
    assert disagreement(random_program(seed), spurious=True) is None


@pytest.mark.parametrize("name", ["while", "wait_for", "nobody notifies", "two that look, one notified"])
def test_loops_come_to_the_same_with_and_without(name: str) -> None:
    program = PROGRAMS[name]
    assert outcomes(program, spurious=True) == outcomes(program, spurious=False)
    assert disagreement(program, spurious=True) is None


SCRIPT = """
import threading

condition = threading.Condition()
ready = False

def consume():
    with condition:
        {wait}
        assert ready, "woken up too early"

def produce():
    global ready
    with condition:
        ready = True
        condition.notify()

def test_consumer():
    threads = [threading.Thread(target=each) for each in (consume, produce)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
"""
WITHOUT_LOOP = "if not ready: condition.wait()"
WITH_LOOP = "while not ready: condition.wait()"


def script(directory: Path, wait: str) -> Path:
    path = directory / "program.py"
    path.write_text(SCRIPT.format(wait=wait) + "\nif __name__ == '__main__':\n    test_consumer()\n")
    return path


def test_the_command_line_asks_for_them(tmp_path: Path, explore: Any, frontrun: Any) -> None:
    assert explore(script(tmp_path, WITHOUT_LOOP))[0] == 0
    code, answer = explore("--spurious-wakeups", tmp_path / "program.py")
    assert code == 1
    assert "woken up too early" in answer["failures"][0]["message"]
    replayed = frontrun("replay", answer["failures"][0]["trace"])
    assert replayed.returncode == 1, replayed.stdout + replayed.stderr
    assert explore("--spurious-wakeups", script(tmp_path, WITH_LOOP))[0] == 0


def test_a_recording_has_none_and_names_them_as_alternatives(tmp_path: Path, frontrun: Any) -> None:
    path = script(tmp_path, WITHOUT_LOOP)
    for words, code in (((), 0), (("--spurious-wakeups",), 1)):
        recorded = frontrun("record", "--force", "-o", "t.frz", *words, path)
        assert recorded.returncode == 0, recorded.stderr
        assert ("SpuriousWakeUp" in frontrun("analyze", "t.frz").stdout) == bool(code)
        assert frontrun("replay", "t.frz").returncode == 0
        assert not code or frontrun("replay", "t.frz", "--schedule", "1").returncode == 1


def test_the_marker_of_the_pytest_plugin_asks_for_them(tmp_path: Path) -> None:
    marked = "import pytest\n" + SCRIPT.format(wait=WITHOUT_LOOP).replace(
        "def test_", "@pytest.mark.frontrun(spurious_wakeups=True)\ndef test_"
    )
    (tmp_path / "test_marked.py").write_text(marked)
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore", "test_marked.py"]
    ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 1
    assert "woken up too early" in ended.stdout


def held(setup: Callable[[], Any], threads: list[Callable[[Any], None]], **words: Any) -> Any:
    return explore_dpor(setup, threads, lambda _: True, stop_on_first=False, reproduce_on_failure=0, workers=1, **words)


def test_the_standard_library_is_taken_to_be_right_about_its_waits() -> None:
    def count(spurious: bool) -> int:
        result = held(lambda: queue.Queue(1), [lambda q: q.get(), lambda q: q.put(1)], spurious_wakeups=spurious)
        assert result.verdict == "exhausted", result.explanation
        return int(result.num_explored)

    assert count(True) == count(False)


class OwnLock:
    """A lock that the interpreter knows nothing of."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def acquire(self, blocking: bool = True) -> bool:
        return self._lock.acquire(blocking)

    def release(self) -> None:
        self._lock.release()

    def locked(self) -> bool:
        return self._lock.locked()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


@pytest.mark.parametrize("lock", [threading.Lock, threading.RLock, OwnLock])
@pytest.mark.parametrize("timeout", [None, 3600, 0.01])
def test_waits_with_any_lock_and_timeout_may_end_by_themselves(lock: Any, timeout: float | None) -> None:
    def wait(p: Any) -> None:
        with p.condition:
            p.seen = (p.condition.wait(timeout), p.flag)

    def notify(p: Any) -> None:
        with p.condition:
            p.flag = True
            p.condition.notify()

    def seen(spurious: bool) -> set[str]:
        result = explore_dpor(
            lambda: SimpleNamespace(condition=threading.Condition(lock()), flag=False, seen=None),
            [wait, notify],
            lambda _: True,
            observe=lambda p: p.seen,
            stop_on_first=False,
            reproduce_on_failure=0,
            workers=1,
            spurious_wakeups=spurious,
        )
        return set(result.outcomes)

    assert seen(True) == seen(False) | {"(True, False)", "(True, True)"}
    assert "(True, False)" not in seen(False)


def test_random_exploration_draws_them_too() -> None:
    program = PROGRAMS["if"]
    result = frontrun.explore(
        lambda: state(program),
        [real(number, sections) for number, sections in enumerate(program)],
        lambda p: p.results[0] == [True],
        strategy="random",
        seed=1,
        spurious_wakeups=True,
        reproduce_on_failure=1,
    )
    assert result.failures, result.explanation
