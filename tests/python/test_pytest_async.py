"""Tests that are coroutine functions: run by pytest-asyncio or by anyio's plugin, explored like any others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import Run
from test_pytest_plugin import QUIET, replayed, run, section, suite

COMMON = """
import asyncio, socket
import pytest, pytest_asyncio
from concurrent.futures import ThreadPoolExecutor

class Counter:
    def __init__(self):
        self.value = 0
        self.lock = asyncio.Lock()
    async def increment(self):
        before = self.value
        await asyncio.sleep(0)
        self.value = before + 1
    async def increment_safely(self):
        async with self.lock:
            await self.increment()
"""

MARKED = (
    COMMON
    + """
pytestmark = [pytest.mark.frontrun, pytest.mark.asyncio]

@pytest_asyncio.fixture
async def counter():
    made = Counter()
    await asyncio.sleep(0.01)
    yield made
    await asyncio.sleep(0.01)
    assert made.value == 0, "the fixture's own process is not explored"

@pytest_asyncio.fixture
async def doubler():
    requests = asyncio.Queue()
    async def serve():
        while True:
            value, answer = await requests.get()
            answer.set_result(value * 2)
    task = asyncio.create_task(serve())
    await asyncio.to_thread(int)
    yield requests
    task.cancel()

@pytest_asyncio.fixture
async def alarm():
    rings = asyncio.Event()
    asyncio.get_running_loop().call_later(100, rings.set)
    yield rings

async def test_race(counter):
    print("printed by the test")
    await asyncio.gather(counter.increment(), counter.increment())
    assert counter.value == 2

async def test_lock(counter):
    await asyncio.gather(counter.increment_safely(), counter.increment_safely())
    assert counter.value == 2

async def test_task_of_a_fixture(doubler):
    async def ask(value):
        answer = asyncio.get_running_loop().create_future()
        await doubler.put((value, answer))
        return await answer
    assert await asyncio.gather(ask(1), ask(2)) == [2, 4]

async def test_timer_of_a_fixture(alarm):
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(alarm.wait(), 50)
    await alarm.wait()

async def test_thread(doubler):
    assert await asyncio.to_thread(int, "5") == 5

async def test_executor():
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(1))
    assert await loop.run_in_executor(None, int, "5") == 5

async def test_alone(counter):
    await counter.increment()

async def test_skips(counter):
    pytest.skip("not today")

@pytest.mark.asyncio(loop_scope="module")
class TestLoopOfTheModule:
    async def test_event(self):
        event = asyncio.Event()
        async with asyncio.timeout(10):
            waiting = asyncio.create_task(event.wait())
            event.set()
            await waiting
    async def test_deadlock(self):
        await asyncio.Event().wait()
"""
)


def test_marked_coroutine_functions_are_explored_without_their_fixtures(tmp_path: Path) -> None:
    suite(tmp_path, MARKED)
    ended = run(tmp_path, "-m", "pytest", *QUIET, "test_suite.py")
    output = ended.stdout
    assert "2 failed, 7 passed, 1 skipped" in output, output + ended.stderr
    assert len(re.findall(r"test_suite.py:\d+: .*\[R a\]", output)) == 3
    assert re.search("output of the failing execution.*\nprinted by the test", output)
    lines = section(output)
    assert "test_suite.py::TestLoopOfTheModule::test_deadlock: deadlock in execution 1; " in lines
    assert "test_suite.py::test_race: assertion in execution 2; " in lines
    assert re.search(r"exhausted, no execution fails: 8 tests with \d+ executions", lines), lines
    for name in ("test_race", "TestLoopOfTheModule.test_deadlock"):
        trace = f".frontrun/test_suite.{name}/failure-1.frz"
        assert f"replay it: frontrun replay {trace}" in output
        again = run(tmp_path, "-m", "frontrun", "replay", trace, "--times", "3")
        assert again.returncode == 1, again.stdout + again.stderr
        assert "reproduced 3/3" in again.stdout


UNMARKED = (
    COMMON
    + """
@pytest_asyncio.fixture
async def counter():
    return Counter()

@pytest_asyncio.fixture
async def connected():
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)
    yield reader, theirs
    writer.close()
    theirs.close()

async def test_race(counter):
    await asyncio.gather(counter.increment(), counter.increment())
    assert counter.value == 2

async def test_lock(counter):
    await asyncio.gather(counter.increment_safely(), counter.increment_safely())
    assert counter.value == 2

async def test_connection_of_a_fixture(connected):
    reader, peer = connected
    peer.send(b"hello\\n")
    assert await reader.readline() == b"hello\\n"

async def test_own_connection():
    async def answer(reader, writer):
        writer.write(await reader.readline())
        writer.close()
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"hello\\n")
    assert await reader.readline() == b"another"
"""
)


def test_those_that_wait_for_connections_of_fixtures_are_not_explored_but_run(tmp_path: Path) -> None:
    suite(tmp_path, UNMARKED)
    ended = run(tmp_path, "-m", "pytest", *QUIET, "--frontrun", "--asyncio-mode=auto")
    output = ended.stdout
    assert "2 failed, 2 passed" in output, output + ended.stderr
    assert r"""AssertionError: assert b'hello\n' == b'another'""" in output
    lines = section(output)
    assert "exhausted, no execution fails: 1 test with" in lines
    reason = "what this run has connected, but it waits for another descriptor, too"
    _, _, diverged = lines.partition("diverged, nothing is proved:\n")
    assert re.search(rf"test_connection_of_a_fixture: after 1 execution: .*{reason}", diverged)
    assert "test_own_connection" not in diverged
    assert "test_own_connection: assertion in execution 1" in lines
    assert "reproduced 2/2: assertion" in replayed(tmp_path, output)


ANYIO = """
import anyio, anyio.to_thread, pytest

@pytest.fixture
def anyio_backend():
    return "asyncio"

class Counter:
    value = 0
    async def increment(self):
        before = self.value
        await anyio.sleep(0)
        self.value = before + 1

@pytest.fixture
async def counter(anyio_backend):
    made = Counter()
    yield made
    assert made.value == 0, "the fixture's own process is not explored"

@pytest.mark.frontrun
@pytest.mark.anyio
async def test_race(counter):
    async with anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(counter.increment)
    assert counter.value == 2

@pytest.mark.frontrun
@pytest.mark.anyio
async def test_lock(counter):
    lock = anyio.Lock()
    async def increment():
        async with lock:
            await counter.increment()
    async with anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(increment)
    assert counter.value == 2

@pytest.mark.frontrun
@pytest.mark.anyio
async def test_thread(counter):
    assert await anyio.to_thread.run_sync(int) == 0
"""


def test_those_of_anyio_are_explored(tmp_path: Path) -> None:
    suite(tmp_path, ANYIO)
    ended = run(tmp_path, "-m", "pytest", *QUIET)
    assert "1 failed, 2 passed" in ended.stdout, ended.stdout + ended.stderr
    assert re.search(r"test_suite.py::test_race: assertion in execution \d; ", section(ended.stdout))
    assert re.search(r"exhausted, no execution fails: 2 tests with \d+ executions", section(ended.stdout))
    assert "reproduced 2/2: assertion" in replayed(tmp_path, ended.stdout)


def test_those_that_somebody_else_runs_are_run_as_usual(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("""
import inspect, pytest

@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if inspect.iscoroutinefunction(pyfuncitem.obj):
        with pytest.raises(StopIteration):
            pyfuncitem.obj().send(None)
        return True
""")
    suite(tmp_path, "async def test_it():\n    print('has run')\n")
    ended = run(tmp_path, "-m", "pytest", *QUIET, "--frontrun", "-s")
    assert "has run" in ended.stdout
    reason = "neither pytest-asyncio nor anyio runs the coroutine function by asyncio"
    assert f"not explored, {reason}: 1 test\n  test_suite.py::test_it" in ended.stdout


@pytest.mark.parametrize(("test", "code", "verdict"), [("race", 1, "failed: 1 failure"), ("lock", 0, "exhausted: ")])
def test_the_command_line_explores_them(test: str, code: int, verdict: str, frontrun: Run, tmp_path: Path) -> None:
    suite(tmp_path, UNMARKED)
    # Plugins that start threads of their own would be explored, too.
    alone = ("-p", "no:rerunfailures", "-p", "no:xdist", "-p", "no:hypothesispytest")
    done = frontrun("explore", "pytest", *QUIET, *alone, "--asyncio-mode=auto", "-k", f"test_{test}", "test_suite.py")
    assert done.returncode == code, done.stdout + done.stderr
    assert done.stdout.startswith(verdict)
    assert test != "race" or "reproduced 3/3 in fresh interpreters" in done.stdout


def test_a_loop_that_unknown_code_is_handed_is_waited_for_as_before(frontrun: Run, tmp_path: Path) -> None:
    suite(tmp_path, ANYIO.replace("test_thread(counter)", "test_in_thread()"))
    alone = ("-p", "no:rerunfailures", "-p", "no:xdist", "-p", "no:hypothesispytest")
    done = frontrun("explore", "pytest", *QUIET, *alone, "-k", "test_in_thread", "test_suite.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("exhausted: ")
