"""Traces of explorations that a program calls: nothing stays of what passed; what failed is found, and replayed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys, threading
from frontrun.dpor import explore_dpor

class Counter:
    def __init__(self):
        self.value = 0
        self.lock = threading.Lock()
    def increment(self):
        with self.lock:
            before = self.value
        if "broken" not in sys.argv:
            self.lock.acquire()
            before = self.value
        self.value = before + 1
        if "broken" not in sys.argv:
            self.lock.release()

def explore():
    return explore_dpor(Counter, [Counter.increment] * 2, lambda c: c.value == 2, workers=1)

result = explore()
print(result.trace, result.first_trace)
"""

SUITE = """
import pytest
from frontrun.dpor import explore_dpor

class Box:
    value = 0

@pytest.mark.parametrize("amount", [1, 2, 3])
def test_deposits_are_kept(amount):
    def deposit(box):
        before = box.value
        box.value = before + amount
    explore_dpor(Box, [lambda box: None], lambda box: True).assert_holds()
    explore_dpor(Box, [deposit] * 2, lambda box: box.value == 2 * amount).assert_holds()
"""


def run(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    temporary = directory / "tmp"
    temporary.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, *words],
        cwd=directory,
        env={**os.environ, "TMPDIR": str(temporary), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def test_only_a_failure_leaves_something_and_only_until_the_next_exploration(tmp_path: Path) -> None:
    (tmp_path / "counter.py").write_text(PROGRAM)
    assert run(tmp_path, "counter.py").stdout == "None None\n"
    assert sorted(os.listdir(tmp_path)) == ["counter.py", "tmp"]
    failed = run(tmp_path, "counter.py", "broken")
    home = tmp_path / ".frontrun" / "counter.explore"
    assert failed.stdout == f"{home}/failure-1.frz {home}/first.frz\n"
    assert sorted(os.listdir(home)) == ["failure-1.frz", "first.frz"]
    replayed = run(tmp_path, "-m", "frontrun", "replay", ".frontrun/counter.explore/failure-1.frz")
    assert (replayed.returncode, "reproduced 1/1" in replayed.stdout) == (1, True), replayed.stderr
    run(tmp_path, "counter.py")
    assert sorted(os.listdir(tmp_path)) == ["counter.py", "tmp"]
    assert os.listdir(tmp_path / "tmp") == []


def test_each_test_of_a_suite_has_a_folder_and_a_command_whatever_process_runs_it(tmp_path: Path) -> None:
    """The processes of xdist are started by a command that nobody could run again."""
    (tmp_path / "test_box.py").write_text(SUITE)
    ended = run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n2", "test_box.py")
    assert "3 failed" in ended.stdout, ended.stdout + ended.stderr
    commands = re.findall(r"replay it: frontrun (replay \.frontrun/\S+)", ended.stdout)
    assert len(set(commands)) == 3
    assert list((tmp_path / "tmp").glob("frontrun-*")) == []
    for command in commands[:2]:
        replayed = run(tmp_path, "-m", "frontrun", *command.split())
        assert (replayed.returncode, "reproduced 1/1" in replayed.stdout) == (1, True), replayed.stderr
    told = run(tmp_path, "-m", "frontrun", "info", commands[0].split()[1]).stdout
    assert re.search(r"-m pytest -q .* -n0 '?test_box.py::test_deposits_are_kept\[\d\]", told), told


def test_what_a_failing_execution_has_printed_lies_beside_its_trace(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "from frontrun.dpor import explore_dpor\n"
        "result = explore_dpor(list, [lambda s: print('printed by a thread')], lambda s: False)\n"
        "print(result.explanation)\n"
    )
    told = run(tmp_path, "program.py").stdout
    assert "\noutput: .frontrun/program/failure-1.out\n" in told, told
    assert (tmp_path / ".frontrun" / "program" / "failure-1.out").read_text() == "printed by a thread\n"


DISTURBED = """
import shutil
from frontrun import _traces
from frontrun.dpor import explore_dpor

class Box:
    value = 0

def deposit(box):
    before = box.value
    box.value = before + 1

class Disturbed(_traces.Traces):
    def _move(self, file, home):
        # What another process does that explores by the same call.
        shutil.rmtree(home, ignore_errors=True)
        super()._move(file, home)

    def keep(self, report):
        super().keep(report)
        shutil.rmtree(self._home)

import frontrun._exploration
frontrun._exploration.Traces = Disturbed
result = explore_dpor(Box, [deposit] * 2, lambda box: box.value == 2)
print(result.verdict, "box.value = before + 1" in result.explanation)
"""


def test_a_process_that_explores_by_the_same_call_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "counter.py").write_text(DISTURBED)
    ended = run(tmp_path, "counter.py")
    assert ended.stdout == "failed True\n", ended.stderr
