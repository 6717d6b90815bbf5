"""What newer versions of CPython have that older ones lack, or do in C code: it is seen all the same."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import Run
from frontrun.dpor import explore_dpor

# From 3.14 on the others can be asked, too.
ASKED = [make for make in (threading.Lock, threading.RLock, threading.Condition) if hasattr(make(), "locked")]


@pytest.mark.parametrize("make", ASKED)
def test_locks_of_all_kinds_tell_others_that_they_are_held(make: Callable[[], Any]) -> None:
    def hold(s: Any) -> None:
        with s.lock:
            pass

    def look(s: Any) -> None:
        s.seen = s.lock.locked()

    def setup() -> Any:
        return SimpleNamespace(lock=make(), seen=None)

    found = explore_dpor(setup, [hold, look], lambda s: True, observe=lambda s: s.seen)
    # It is asked before, between and after.
    assert (found.verdict, dict(found.outcomes)) == ("exhausted", {"False": 2, "True": 1})


@pytest.mark.parametrize("made", [[1, 2], (1, 2), range(5)], ids=["list", "tuple", "range"])
def test_iterators_that_the_interpreter_makes_of_the_memory_of_others_are_others(made: Iterable[int]) -> None:
    def take(s: Any) -> None:
        iterator = iter(made)
        another = iterator
        next(another)

    found = explore_dpor(SimpleNamespace, [take, take], lambda s: True)
    assert (found.verdict, found.num_explored) == ("exhausted", 1)


ALL_TASKS = """\
import asyncio
import sys


async def end():
    pass


async def count():
    return len(asyncio.all_tasks())


async def main():
    tasks = [asyncio.create_task(end()), asyncio.create_task(count())]
    await tasks[0]
    assert await tasks[1] != int(sys.argv[1])


asyncio.run(main())
"""


@pytest.mark.parametrize(("impossible", "is_right"), [(2, False), (3, False), (4, True)])
def test_whoever_asks_for_all_tasks_reads_which_have_ended(
    frontrun: Run, tmp_path: Path, impossible: int, is_right: bool
) -> None:
    (tmp_path / "tasks.py").write_text(ALL_TASKS)
    done = frontrun("explore", "python", "tasks.py", str(impossible))
    assert done.stdout.startswith("exhausted: " if is_right else "failed: 1 failure"), done.stdout + done.stderr


CANCELLED = """\
import asyncio
import threading

lock = threading.Lock()


def callback():
    with lock:
        pass


def schedule(loop, done):
    handle = loop.call_soon_threadsafe(callback)
    with lock:
        handle.cancel()
    loop.call_soon_threadsafe(done.set_result, None)


async def main():
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    threading.Thread(target=schedule, args=(loop, done)).start()
    await done


asyncio.run(main())
"""


def test_a_callback_from_another_thread_can_be_cancelled_only_while_it_is_not_called(
    frontrun: Run, tmp_path: Path
) -> None:
    """From 3.14 on: there is a lock for that, and with another one it makes a circle."""
    (tmp_path / "cancelled.py").write_text(CANCELLED)
    done = frontrun("explore", "python", "cancelled.py")
    if sys.version_info >= (3, 14):
        assert "failure 1: deadlock: circular wait" in done.stdout, done.stdout + done.stderr
    else:
        assert done.stdout.startswith("exhausted: "), done.stdout + done.stderr


# By what it is about, and in how many classes of executions it can go.
SYNTAX: dict[str, tuple[str, int]] = {
    "annotations that are evaluated when they are asked for": (
        """\
import threading


class Shared:
    x: int = 0


def look():
    seen.append(Shared.__annotations__["x"] is int)
    Shared.x += 1


seen = []
""",
        # Four for what they add, twice as many for who appends first.
        8,
    ),
}
if sys.version_info >= (3, 14):
    SYNTAX |= {
        "templates": (
            """\
import threading


class Shared:
    x = 0


def look():
    template = t"{Shared.x!r:>{2}} and {Shared}"
    assert template.interpolations[0].format_spec == ">2", template
""",
            1,
        ),
        "exceptions without brackets": (
            """\
import threading


class Shared:
    x = 0


def look():
    try:
        Shared.x += 1
        raise KeyError
    except KeyError, ValueError:
        pass
""",
            4,
        ),
    }
THREADS = """
threads = [threading.Thread(target=look) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


@pytest.mark.parametrize("what", SYNTAX)
def test_programs_of_this_version_run_in_every_order(frontrun: Run, tmp_path: Path, what: str) -> None:
    program, count = SYNTAX[what]
    (tmp_path / "program.py").write_text(program + THREADS)
    subprocess.run([sys.executable, tmp_path / "program.py"], timeout=60, check=True)
    done = frontrun("explore", "python", "program.py")
    expected = f"none failed: {count} execution"
    assert expected in done.stdout, done.stdout + done.stderr
