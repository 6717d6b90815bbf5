"""The programs on trace markers of "How frontrun works", unchanged, with the orders that they are about."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from frontrun.trace_markers import explore_marker_interleavings

THREADS = """
from frontrun.common import Schedule, Step
from frontrun.trace_markers import TraceExecutor

class Counter:
    def __init__(self):
        self.value = 0

    def increment(self):
        temp = self.value # frontrun: read_value
        temp += 1
        self.value = temp # frontrun: write_value
"""

TASKS = """
from frontrun.async_trace_markers import AsyncTraceExecutor
from frontrun.common import Schedule, Step

class AsyncCounter:
    def __init__(self):
        self.value = 0

    async def get_count(self):
        return self.value

    async def set_count(self, value):
        self.value = value

    async def increment(self):
        # frontrun: read_counter
        current = await self.get_count()
        # frontrun: write_counter
        await self.set_count(current + 1)
"""

LOST = ["1 read", "2 read", "1 write", "2 write"]
SERIAL = ["1 read", "1 write", "2 read", "2 write"]


def module(source: str, directory: Path) -> ModuleType:
    file = directory / "program.py"
    file.write_text(source)
    spec = importlib.util.spec_from_file_location("program", file)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.mark.parametrize(("order", "value"), [(LOST, 1), (SERIAL, 2)])
def test_threads(order: list[str], value: int, tmp_path: Path) -> None:
    program = module(THREADS, tmp_path)
    counter = program.Counter()
    steps = [program.Step(f"thread{step[0]}", f"{step[2:]}_value") for step in order]
    executor = program.TraceExecutor(program.Schedule(steps))
    executor.run("thread1", counter.increment)
    executor.run("thread2", counter.increment)
    executor.wait(timeout=5.0)
    assert counter.value == value


@pytest.mark.parametrize(("order", "value"), [(LOST, 1), (SERIAL, 2)])
def test_tasks(order: list[str], value: int, tmp_path: Path) -> None:
    program = module(TASKS, tmp_path)
    counter = program.AsyncCounter()
    steps = [program.Step(f"task{step[0]}", f"{step[2:]}_counter") for step in order]
    executor = program.AsyncTraceExecutor(program.Schedule(steps))
    executor.run({"task1": counter.increment, "task2": counter.increment})
    assert counter.value == value


@pytest.mark.parametrize(
    ("source", "name", "suffix"), [(THREADS, "Counter", "value"), (TASKS, "AsyncCounter", "counter")]
)
def test_all_orders(source: str, name: str, suffix: str, tmp_path: Path) -> None:
    make = getattr(module(source, tmp_path), name)
    markers = [f"read_{suffix}", f"write_{suffix}"]
    result = explore_marker_interleavings(
        make,
        {thread: (lambda c: c.increment(), markers) for thread in ("first", "second")},
        lambda c: c.value == 2,
        stop_on_first=False,
        observe=lambda c: c.value,
    )
    assert result.outcomes == {"1": 4, "2": 2}
