"""The first programs that a reader of the documentation types in: each shows the race that it is about."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SYSTEMATIC = """\
from frontrun.dpor import explore_dpor

class Counter:
    def __init__(self):
        self.value = 0

    def increment(self):
        temp = self.value
        self.value = temp + 1

result = explore_dpor(
    setup=Counter,
    threads=[lambda c: c.increment(), lambda c: c.increment()],
    invariant=lambda c: c.value == 2,
)

assert result.property_holds, result.explanation
"""

RANDOM = """\
from frontrun.bytecode import explore_interleavings

class Counter:
    def __init__(self, value=0):
        self.value = value

    def increment(self):
        temp = self.value
        self.value = temp + 1

def test_counter_is_atomic():
    result = explore_interleavings(
        setup=lambda: Counter(value=0),
        threads=[
            lambda c: c.increment(),
            lambda c: c.increment(),
        ],
        invariant=lambda c: c.value == 2,
        max_attempts=200,
        max_ops=200,
        seed=42,
    )
    assert result.property_holds, result.explanation
"""


def run(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, *words],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_systematic_exploration_of_a_script(tmp_path: Path) -> None:
    (tmp_path / "counter.py").write_text(SYSTEMATIC)
    ended = run(tmp_path, "counter.py")
    assert ended.returncode == 1
    error = ended.stderr
    assert "AssertionError: invariant after" in error
    assert "temp = self.value [R a]" in error
    assert "self.value = temp + 1 [W a]" in error
    assert "reproduced 10/10" in error


def test_random_exploration_in_a_test(tmp_path: Path) -> None:
    (tmp_path / "test_counter.py").write_text(RANDOM)
    ended = run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_counter.py")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "1 failed" in ended.stdout
    assert "AssertionError: invariant after" in ended.stdout
    assert "reproduced 10/10" in ended.stdout


def test_a_sampled_failure_is_replayed_by_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "counter.py").write_text(
        RANDOM.replace("seed=42,", "seed=42, trace_dir='traces',").replace("def test_counter_is_atomic", "def main")
        + "main()\n"
    )
    assert run(tmp_path, "counter.py").returncode == 1
    replayed = run(tmp_path, "-m", "frontrun", "replay", "traces/failure-1.frz", "--times", "3")
    assert replayed.returncode == 1, replayed.stdout + replayed.stderr
    assert "3/3" in replayed.stdout
    shown = run(tmp_path, "-m", "frontrun", "info", "traces/failure-1.frz")
    assert "drawn at random" in shown.stdout


def test_the_command_line_samples_a_program(tmp_path: Path) -> None:
    example = Path(__file__).parents[2] / "examples" / "lost_update.py"
    found = run(tmp_path, "-m", "frontrun", "explore", "--sample", "100", "--seed", "1", "--confirm", "1", str(example))
    assert found.returncode == 1
    assert "reproduced 1/1" in found.stdout
    raced = run(tmp_path, "-m", "frontrun", "explore", "--fail-on-race", "--confirm", "1", str(example))
    assert (raced.returncode, "race: Account#1.balance" in raced.stdout) == (1, True)
