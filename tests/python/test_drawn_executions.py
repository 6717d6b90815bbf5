"""A long search draws executions at random in between, which fail sooner and change no number of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Explore, Run

PROGRAM = """\
import threading

lock = threading.Lock()
log = []


def write(letter, times):
    for _ in range(times):
        with lock:
            log.append(letter)


threads = [threading.Thread(target=write, args=(letter, {times})) for letter in "ab"]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not "".join(log).startswith({never!r})
"""


def test_a_failure_far_from_the_first_executions_is_found_sooner(
    explore: Explore, frontrun: Run, tmp_path: Path
) -> None:
    (tmp_path / "far.py").write_text(PROGRAM.format(times=6, never="ababb"))
    # A bound that no execution has, with which nothing is drawn.
    _, alone = explore("-j", 1, "--preemption-bound", 50, "far.py")
    assert alone["verdict"] == "failed", alone
    code, answer = explore("-j", 1, "-o", "drawing", "far.py")
    assert (code, answer["verdict"]) == (1, "failed"), answer
    known = json.loads((tmp_path / "drawing/verdict.json").read_text())
    assert known["drawn"] > 0
    assert answer["executions"] + known["drawn"] < alone["executions"]
    replayed = frontrun("replay", answer["failures"][0]["trace"], "--times", 5)
    assert "5/5" in replayed.stdout, replayed.stdout + replayed.stderr


def test_a_long_search_has_each_class_once(explore: Explore, tmp_path: Path) -> None:
    (tmp_path / "long.py").write_text(PROGRAM.format(times=4, never="c"))
    code, answer = explore("-o", "drawing", "long.py")
    # The orders of two threads of four steps each: 8! / (4! 4!).
    assert (code, answer["verdict"], answer["executions"]) == (0, "exhausted", 70), answer
    known = json.loads((tmp_path / "drawing/verdict.json").read_text())
    assert known["classes"] == 70
    assert known["drawn"] > 0
