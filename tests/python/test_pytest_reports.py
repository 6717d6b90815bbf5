"""Failures of pytest tests: what pytest reads, writes and prints after them is the same elsewhere."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Explore = Callable[..., tuple[int, dict[str, Any]]]
Run = Callable[..., "subprocess.CompletedProcess[str]"]

LOST = """
import threading, uuid

def test_counts(request):
    counts = {{"made": 0}}
    def work():
        before = counts["made"]
        counts["made"] = before + 1
    threads = [threading.Thread(target=work) for _ in range(2)]
    {more}
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert counts == {{"made": 2}}, {said}
"""

SAID = {
    "identifiers": ("pass", "uuid.uuid4().hex"),
    "a_thread_that_ends_later": (
        "late = threading.Timer(1, print); late.start(); request.addfinalizer(late.join)",
        "counts",
    ),
}


def plain_session(folder: Path) -> int:
    """A session of the user's own, which writes pytest's cache."""
    words = [sys.executable, "-m", "pytest", "-q"]
    return subprocess.run(words, cwd=folder, capture_output=True, check=False).returncode


def confirmed(answer: dict[str, Any], folder: Path) -> dict[str, int]:
    """How often the failure happened again when the exploration made sure of it."""
    verdict = (folder / answer["failures"][0]["trace"]).with_name("verdict.json")
    reproduced: dict[str, int] = json.loads(verdict.read_text())["reproduced"]
    return reproduced


# With pytest-rerunfailures a thread waits from the beginning on, so that pytest's search for tests is a part of the
# executions, too, and whoever adds a file to the folder changes it.
LATE = ("pytest", "-q", "-p", "no:rerunfailures")


def test_a_failure_is_confirmed_with_all_plugins(explore: Explore, tmp_path: Path) -> None:
    more, text = SAID["a_thread_that_ends_later"]
    (tmp_path / "test_lost.py").write_text(LOST.format(more=more, said=text))
    code, answer = explore("pytest", "-q")
    assert (code, answer["verdict"]) == (1, "failed"), answer
    assert confirmed(answer, tmp_path) == {"runs": 3, "reproduced": 3}


@pytest.mark.parametrize("said", SAID)
def test_a_failure_replays_whatever_the_cache_holds(said: str, explore: Explore, frontrun: Run, tmp_path: Path) -> None:
    more, text = SAID[said]
    (tmp_path / "test_lost.py").write_text(LOST.format(more=more, said=text))
    code, answer = explore(*LATE)
    assert (code, answer["verdict"]) == (1, "failed"), answer
    assert confirmed(answer, tmp_path) == {"runs": 3, "reproduced": 3}
    assert not (tmp_path / ".pytest_cache").exists()
    assert plain_session(tmp_path) == 0
    assert (tmp_path / ".pytest_cache").exists()
    replayed = frontrun("replay", answer["failures"][0]["trace"], "--times", 1)
    assert "1/1" in replayed.stdout, replayed.stdout


CACHED = """
import threading

def test_finds_what_the_user_left(request):
    cache = request.config.cache
    assert cache.get("mine/number", None) == 7
    seen = []
    def work():
        cache.set("mine/number", {"list": [8]})
        seen.append(cache.get("mine/number", None))
    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert seen == [{"list": [8]}] * 2
    assert seen[0] is not seen[1]
"""


def test_every_execution_finds_the_cache_as_the_user_left_it(explore: Explore, tmp_path: Path) -> None:
    (tmp_path / "test_cached.py").write_text(CACHED)
    value = tmp_path / ".pytest_cache/v/mine/number"
    value.parent.mkdir(parents=True)
    value.write_text("7")
    code, answer = explore("pytest", "-q")
    assert (code, answer["verdict"]) == (0, "exhausted"), answer
    assert answer["executions"] == 2
    assert value.read_text() == "7"


def test_the_last_failed_are_those_of_the_user(explore: Explore, tmp_path: Path) -> None:
    """Executions that fail do not change which tests ``--lf`` selects."""
    (tmp_path / "test_lost.py").write_text(LOST.format(more="pass", said="counts"))
    (tmp_path / "test_other.py").write_text("def test_other():\n    assert False\n")
    assert plain_session(tmp_path) == 1
    last = tmp_path / ".pytest_cache/v/cache/lastfailed"
    before = last.read_text()
    code, answer = explore("pytest", "-q", "test_lost.py")
    assert (code, answer["verdict"]) == (1, "failed"), answer
    assert last.read_text() == before
