"""Code that is gone before the thread that ran it does what comes next, such as the body of a module."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import threading

waiting = threading.Event()
thread = threading.Thread(target=waiting.wait)
thread.start()
import shutil, tempfile
from collections import namedtuple
from dataclasses import make_dataclass
lock = threading.Lock()
for round in range(20):
    namedtuple(f"Pair{round}", "a b")(1, 2)
    make_dataclass(f"Triple{round}", "abc")(1, 2, 3)
    with lock:
        import fractions, decimal, statistics
waiting.set()
thread.join()
"""


def test_the_place_of_a_step_is_known_although_its_code_is_gone(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    ended = subprocess.run(
        [sys.executable, "-m", "frontrun", "explore", "program.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert (ended.returncode, ended.stdout.startswith("exhausted")) == (0, True), ended.stdout + ended.stderr
