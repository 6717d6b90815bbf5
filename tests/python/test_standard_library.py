"""CPython's own tests pass when everything is rewritten and recorded, the tests and what they test alike.

Not here: the whole list, which takes minutes (``recorder/tests/python/run_cpython_tests.py``).
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
from conftest import Run

# Runs a file of tests in a second thread, since recording begins with that.
IN_A_THREAD = """
import sys, threading, unittest
def run():
    global result
    suite = unittest.defaultTestLoader.loadTestsFromName(sys.argv[1])
    result = unittest.TextTestRunner().run(suite)
thread = threading.Thread(target=run)
thread.start()
thread.join()
sys.exit(not result.wasSuccessful())
"""
RECORDED = ["contextlib", "functools", "generator_stop", "patma", "property", "super"]
# Some of these need the main thread.
REWRITTEN = ["dataclasses", "generators", "listcomps"]


def has_passed(output: str) -> bool:
    found = re.search(r"Ran (\d+) tests? in .*\n\nOK", output)
    return found is not None and int(found[1]) > 0


@pytest.fixture(autouse=True)
def _interpreter_has_its_tests() -> None:
    if importlib.util.find_spec("test.support") is None:
        pytest.skip("this interpreter comes without its own tests")


@pytest.mark.parametrize("name", RECORDED)
def test_passes_recorded(frontrun: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / "run.py").write_text(IN_A_THREAD)
    done = frontrun("record", "--include", "*", "run.py", f"test.test_{name}")
    assert has_passed(done.stderr), done.stderr[-3000:]
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("name", REWRITTEN)
def test_passes_rewritten(frontrun: Run, name: str) -> None:
    done = frontrun("record", "--include", "*", "-m", "unittest", f"test.test_{name}")
    assert has_passed(done.stderr), done.stderr[-3000:]
    assert done.returncode == 0, done.stderr[-3000:]
