"""What nobody controls is kept away from executions where that can be done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Explore = Callable[..., tuple[int, dict[str, Any]]]

# The interpreter collects cycles after so many allocations, of whomever.
CYCLES = """
import threading

lock, ended = threading.Lock(), []

class Node:
    def __init__(self):
        self.me = self

    def __del__(self):
        with lock:
            ended.append(1)

def work():
    for _ in range(400):
        Node()
    with lock:
        ended.append(2)

threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def test_no_execution_hangs_on_how_much_was_allocated(explore: Explore, tmp_path: Path) -> None:
    (tmp_path / "cycles.py").write_text(CYCLES)
    code, answer = explore("cycles.py")
    assert (code, answer["verdict"], answer["executions"]) == (0, "exhausted", 2), answer
