"""The pytest plugin: ordinary tests explored as they are, beside the plugins that people have."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

COMMON = """
import threading
import pytest

class Counter:
    def __init__(self):
        self.value = 0
        self.lock = threading.Lock()
    def increment(self):
        before = self.value
        self.value = before + 1
    def increment_safely(self):
        with self.lock:
            self.increment()

@pytest.fixture
def counter():
    made = Counter()
    yield made
    assert made.value == 0, "the fixture's own process is not explored"

def run(*functions):
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""

MARKED = (
    COMMON
    + """
@pytest.mark.frontrun
def test_race(counter):
    print("printed by the test")
    run(counter.increment, counter.increment)
    assert counter.value == 2

@pytest.mark.frontrun
@pytest.mark.parametrize("amount", [2, 3])
def test_lock(counter, amount):
    run(*[counter.increment_safely] * amount)
    assert counter.value == amount

@pytest.mark.frontrun(max_executions=3)
def test_too_large(counter):
    run(*[counter.increment_safely] * 4)

@pytest.mark.frontrun(strategy="random", max_attempts=3, seed=1, allow_bounded=True)
def test_sampled(counter):
    run(*[counter.increment_safely] * 4)

@pytest.mark.frontrun
def test_alone(counter):
    counter.increment()

@pytest.mark.frontrun
def test_skips(counter):
    pytest.skip("not today")

@pytest.mark.frontrun
@pytest.mark.xfail
def test_known_race(counter):
    run(counter.increment, counter.increment)
    assert counter.value == 2

@pytest.mark.frontrun
def test_gives_up(counter):
    pytest.xfail("not yet")

@pytest.mark.frontrun(max_execution=3)
def test_misspelt():
    pass

@pytest.mark.frontrun
class TestFiles:
    def test_count_in_a_file(self, tmp_path, capsys):
        path = tmp_path / "new" / "count"
        path.parent.mkdir()
        path.write_text("0")
        def increment():
            path.write_text(str(int(path.read_text()) + 1))
        increment()
        run(lambda: path.read_text())
        print("captured")
        assert capsys.readouterr().out == "captured\\n"
        assert path.read_text() == "1"
"""
)

UNMARKED = (
    COMMON
    + """
import unittest
from hypothesis import given, strategies

def test_race(counter):
    run(counter.increment, counter.increment)
    assert counter.value == 2

def test_lock(counter):
    run(counter.increment_safely, counter.increment_safely)
    assert counter.value == 2

def test_too_large(counter):
    run(*[counter.increment_safely] * 5)

def test_alone(counter):
    counter.increment()

@given(strategies.integers())
def test_numbers(number):
    assert number == number

@pytest.mark.asyncio
async def test_coroutine():
    pass

class TestCase(unittest.TestCase):
    def test_method(self):
        pass
"""
)

QUIET = ("-q", "-p", "no:cacheprovider", "-W", "ignore")


def run(directory: Path, *words: str, typed: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=directory,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "120", **variables},
        input=typed,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def suite(directory: Path, text: str) -> Path:
    path = directory / "test_suite.py"
    path.write_text(text)
    return path


def section(output: str) -> str:
    """The lines of the terminal's summary that are ours."""
    found = re.search(r"=+ frontrun =+\n(.*?)\n=+ ", output, re.DOTALL)
    assert found is not None, output
    return found[1]


def replayed(directory: Path, output: str) -> str:
    """What the command says that a failure names."""
    command = re.search(r"^replay it: frontrun (.*)$", output, re.MULTILINE)
    assert command is not None, output
    ended = run(directory, "-m", "frontrun", *command[1].split(), "--times", "2")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.parametrize("distribution", [(), ("-n2",)])
def test_marked_tests_are_explored_by_a_plain_run_in_any_process(distribution: tuple[str, ...], tmp_path: Path) -> None:
    suite(tmp_path, MARKED)
    ended = run(tmp_path, "-m", "pytest", *QUIET, *distribution, "test_suite.py")
    output = ended.stdout
    assert "3 failed, 5 passed, 1 skipped, 2 xfailed" in output, output + ended.stderr
    assert re.search(r"before = s\S+ \[R a\]", output)
    assert re.search("output of the failing execution.*\nprinted by the test", output)
    assert "not proved: bounded after 3 executions" in output
    assert "marker frontrun: got an unexpected keyword argument 'max_execution'" in output
    lines = section(output)
    replay = "frontrun replay .frontrun/test_suite.test_race/failure-1.frz"
    assert f"test_suite.py::test_race: assertion in execution 2; {replay}" in lines
    assert "bounded, nothing is proved:\n  test_suite.py::test_sampled: by attempts after 3 executions" in lines
    assert "  test_suite.py::test_too_large: by executions after 3 executions" in lines
    assert re.search(r"exhausted, no execution fails: 3 tests with \d+ executions", lines)
    assert "not explored, it starts no second thread: 3 tests" in lines
    assert "reproduced 2/2: assertion" in replayed(tmp_path, output)


def test_the_option_explores_what_was_not_written_for_it(tmp_path: Path) -> None:
    suite(tmp_path, UNMARKED)
    ended = run(tmp_path, "-m", "pytest", *QUIET, "--frontrun", "--frontrun-max-executions=20", "--junitxml=r.xml")
    output = ended.stdout
    assert "1 failed, 6 passed" in output, output + ended.stderr
    lines = section(output)
    assert "bounded, nothing is proved:\n  test_suite.py::test_too_large: by executions after 20 executions" in lines
    # The coroutine's task is a thread of its own, apart from the one that runs the loop.
    assert "exhausted, no execution fails: 2 tests with 3 executions" in lines
    for reason, name in (
        ("it starts no second thread", "test_alone"),
        ("Hypothesis calls the function many times, with inputs of its own", "test_numbers"),
        ("TestCaseFunction is no plain test function", "TestCase::test_method"),
    ):
        assert f"not explored, {reason}: 1 test\n  test_suite.py::{name}" in lines
    assert '<property name="frontrun" value="exhausted: 2 executions"' in (tmp_path / "r.xml").read_text()
    assert "reproduced 2/2: assertion" in replayed(tmp_path, output)


WITH_THREADS = """
import queue, threading
from concurrent.futures import ThreadPoolExecutor
import pytest

@pytest.fixture
def pool():
    with ThreadPoolExecutor(1) as made:
        yield made

@pytest.fixture
def used(pool):
    assert pool.submit(int).result() == 0
    return pool

@pytest.fixture
def doubler():
    requests = queue.SimpleQueue()
    def work():
        while (request := requests.get()) is not None:
            request[0].put(2 * request[1])
    thread = threading.Thread(target=work, name="doubler")
    thread.start()
    yield requests
    requests.put(None)
    thread.join()

def test_pool(pool):
    assert pool.submit(int, "3").result() == 3

def test_used_pool(used):
    assert used.submit(int, "3").result() == 3

def test_doubler(doubler):
    answers = queue.SimpleQueue()
    doubler.put((answers, 3))
    assert answers.get() == 6
"""


def test_threads_of_fixtures_are_not_waited_for_in_vain(tmp_path: Path) -> None:
    suite(tmp_path, WITH_THREADS)
    ended = run(tmp_path, "-m", "pytest", *QUIET, "--frontrun")
    assert "3 passed" in ended.stdout, ended.stdout + ended.stderr
    assert re.search(r"exhausted, no execution fails: 2 tests with \d+ executions", ended.stdout)
    reason = "its fixtures have started threads, which executions lack (doubler)"
    assert f"not explored, {reason}: 1 test\n  test_suite.py::test_doubler" in ended.stdout


def test_a_test_that_is_run_again_is_explored_again_and_replayed(tmp_path: Path) -> None:
    suite(tmp_path, MARKED)
    ended = run(tmp_path, "-m", "pytest", *QUIET, "--reruns", "1", "-k", "test_race", "test_suite.py")
    assert "1 failed, 10 deselected, 1 rerun" in ended.stdout, ended.stdout + ended.stderr
    assert section(ended.stdout).count("::test_race") == 1
    assert os.listdir(tmp_path / ".frontrun") == ["test_suite.test_race"]
    assert "reproduced 2/2" in replayed(tmp_path, ended.stdout)


def test_a_failure_is_told_once_where_pytest_cuts_no_line(tmp_path: Path) -> None:
    suite(tmp_path, MARKED)
    ended = run(tmp_path, "-m", "pytest", *QUIET, "-k", "test_race", "--junitxml=r.xml", "test_suite.py", CI="true")
    assert ended.stdout.count("reproduced 10/10") == 1, ended.stdout + ended.stderr
    line = "Failed: assertion after 2 executions: AssertionError: assert 1 == 2"
    assert f"FAILED test_suite.py::test_race - {line}\n1 failed" in ended.stdout
    assert f'message="{line}"' in (tmp_path / "r.xml").read_text()


def test_a_time_limit_ends_an_exploration(tmp_path: Path) -> None:
    suite(
        tmp_path,
        COMMON
        + """
@pytest.mark.frontrun
@pytest.mark.timeout(2)
def test_endless(counter):
    run(*[counter.increment] * 6)

@pytest.mark.frontrun
@pytest.mark.timeout(300, method="thread")
def test_lock(counter):
    run(counter.increment_safely, counter.increment_safely)
""",
    )
    ended = run(tmp_path, "-m", "pytest", *QUIET, "test_suite.py")
    assert "1 failed, 1 passed" in ended.stdout, ended.stdout + ended.stderr
    assert "Timeout (>2.0s) from pytest-timeout" in ended.stdout


def test_a_debugger_gets_the_failure(tmp_path: Path) -> None:
    suite(tmp_path, MARKED)
    ended = run(tmp_path, "-m", "pytest", *QUIET, "--pdb", "-k", "test_race", "test_suite.py", typed="where\nquit\n")
    assert "entering PDB" in ended.stdout, ended.stdout + ended.stderr
    assert "reproduced 10/10" in ended.stdout


@pytest.mark.parametrize("capture", ["no", "sys"])
def test_output_of_the_failing_execution_is_shown_however_it_is_captured(capture: str, tmp_path: Path) -> None:
    suite(tmp_path, MARKED)
    ended = run(tmp_path, "-m", "pytest", *QUIET, f"--capture={capture}", "-k", "test_race", "test_suite.py")
    assert re.search("output of the failing execution.*\nprinted by the test", ended.stdout), ended.stdout


def test_the_command_line_explores_marked_tests_as_any_others(tmp_path: Path) -> None:
    suite(tmp_path, MARKED)
    # Plugins that start threads of their own would be explored, too.
    alone = ("-p", "no:rerunfailures", "-p", "no:xdist", "-p", "no:hypothesispytest", "-p", "no:asyncio")
    ended = run(tmp_path, "-m", "frontrun", "explore", "pytest", *QUIET, *alone, "-k", "test_race", "test_suite.py")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "test_suite.py::test_race" in ended.stdout


def test_nothing_is_loaded_until_it_is_asked_for(tmp_path: Path) -> None:
    suite(tmp_path, "import sys\n\ndef test_it():\n    print([name for name in sys.modules if 'frontrun' in name])\n")
    ended = run(tmp_path, "-m", "pytest", *QUIET, "-s", "--frontrun-patch-locks", "test_suite.py")
    assert "['frontrun', 'frontrun.pytest_plugin']" in ended.stdout
    assert "= frontrun =" not in ended.stdout
