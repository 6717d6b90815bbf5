"""Whatever two operations on one object do one after the other, threads that run them are found to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import operations
import pytest
from shares import portions, share

# All were run before the release; every ninth is in the suite.
STEP = 1 if "FRONTRUN_OPERATIONS" in os.environ else 3
NUMBERS = share(len(operations.pairs()), "FRONTRUN_OPERATIONS")[::STEP]


@pytest.mark.parametrize("numbers", portions(NUMBERS, 120), ids=lambda numbers: str(numbers[0]))
def test_both_orders_are_found(numbers: list[int], tmp_path: Path) -> None:
    command = [sys.executable, str(Path(operations.__file__)), *map(str, numbers)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr[-2000:]
