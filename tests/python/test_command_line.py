"""The product as a user meets it: the command line on ordinary programs."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Explore = Callable[..., tuple[int, dict[str, Any]]]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("lost_update", "assertion"), ("deadlock", "deadlock"), ("check_then_act", "assertion")],
)
def test_the_bug_of_an_example_is_found_and_replays(
    explore: Explore, frontrun: Run, examples: Path, name: str, kind: str
) -> None:
    code, answer = explore("python", examples / f"{name}.py")
    assert code == 1
    assert (answer["schema"], answer["verdict"]) == (1, "failed")
    assert [failure["kind"] for failure in answer["failures"]] == [kind]
    trace = answer["failures"][0]["trace"]
    replayed = frontrun("replay", trace, "--times", 20)
    assert replayed.returncode == 1, replayed.stderr
    assert "20/20" in replayed.stdout


def test_a_correct_program_is_exhausted_and_has_one_execution_for_each_class(explore: Explore, examples: Path) -> None:
    code, answer = explore("--keep-going", "python", examples / "lost_update_fixed.py")
    assert (code, answer["verdict"], answer["executions"], answer["failures"]) == (0, "exhausted", 2, [])


def test_every_class_of_the_lost_update_is_run_once(explore: Explore, examples: Path) -> None:
    _, answer = explore("--keep-going", "python", examples / "lost_update.py")
    assert answer["executions"] == 4
    assert len(answer["failures"]) == 2


def test_a_budget_ends_in_bounded_and_never_in_a_pass(explore: Explore, examples: Path) -> None:
    code, answer = explore("--max-executions", 1, "python", examples / "lost_update_fixed.py")
    assert (code, answer["verdict"]) == (124, "bounded")


def test_record_analyze_replay_by_hand_reaches_the_failure(frontrun: Run, examples: Path, tmp_path: Path) -> None:
    """Walk the alternatives from the first trace, each run in its own process and file."""
    done = frontrun("record", "-o", "first.frz", "python", examples / "lost_update.py")
    assert done.returncode == 0, done.stderr
    todo, seen = [tmp_path / "first.frz"], 0
    while todo:
        trace = todo.pop()
        analysis = frontrun("analyze", trace, "--json")
        assert analysis.returncode in (0, 1), analysis.stderr
        assert analysis.stdout == frontrun("analyze", trace, "--json").stdout
        for number, _ in enumerate(json.loads(analysis.stdout)["schedules"], start=1):
            seen += 1
            child = tmp_path / f"{trace.stem}-{number}.frz"
            replayed = frontrun("replay", trace, "--schedule", number, "-o", child)
            assert child.exists(), replayed.stderr
            if replayed.returncode == 1:
                assert "a deposit was lost" in replayed.stdout
                return
            todo.append(child)
    pytest.fail(f"none of {seen} alternatives failed")


def test_an_existing_file_is_not_overwritten(frontrun: Run, examples: Path, tmp_path: Path) -> None:
    (tmp_path / "kept.frz").write_text("mine")
    done = frontrun("record", "-o", "kept.frz", "python", examples / "lost_update.py")
    assert done.returncode == 2
    assert "--force" in done.stderr or "-f" in done.stderr
    assert (tmp_path / "kept.frz").read_text() == "mine"


@pytest.mark.parametrize("content", [b"", b"no trace at all", b"\x50\x2a\x4d\x18" + bytes(40)])
def test_what_is_no_trace_is_refused_by_name(frontrun: Run, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.frz").write_bytes(content)
    done = frontrun("analyze", "bad.frz")
    assert done.returncode == 3
    assert "bad.frz" in done.stderr
    assert "panicked" not in done.stderr


def test_a_missing_target_is_not_found(frontrun: Run) -> None:
    assert frontrun("explore", "python", "missing.py").returncode == 127


def test_a_program_without_threads_explores_nothing(frontrun: Run, tmp_path: Path) -> None:
    (tmp_path / "alone.py").write_text("print('hello')\n")
    assert frontrun("explore", "python", "alone.py").returncode == 5


BUSY = """
import threading
class Box:
    value = 0
def work(box):
    for _ in range(300_000):
        box.value += 1
box = Box()
threads = [threading.Thread(target=work, args=(box,)) for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def test_a_killed_recording_is_read_or_refused_by_name(frontrun: Run, tmp_path: Path) -> None:
    """Kill at random moments. FRONTRUN_KILLS sets how often."""
    (tmp_path / "busy.py").write_text(BUSY)
    chance = random.Random(7)
    for attempt in range(int(os.environ.get("FRONTRUN_KILLS", "8"))):
        trace = tmp_path / f"killed-{attempt}.frz"
        recorder = subprocess.Popen(
            [sys.executable, "-m", "frontrun", "record", "-o", str(trace), "python", "busy.py"],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(chance.uniform(0.0, 1.2))
        os.killpg(recorder.pid, signal.SIGKILL)
        recorder.wait()
        if not trace.exists():
            continue
        done = frontrun("analyze", trace)
        assert done.returncode in (0, 1, 3), (done.returncode, done.stderr)
        assert "panicked" not in done.stderr
