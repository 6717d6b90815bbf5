"""Modules that a thread imports while the others run: every execution finds the folders as the first one did."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Explore, Run

PROGRAM = """\
import threading

seen = []


def late():
    {change}
    import late_module
    seen.append(late_module.VALUE)


def early():
    seen.append(1)


threads = [threading.Thread(target=target) for target in (late, early)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert sorted(seen) == [1, 2]
"""


@pytest.mark.parametrize("change", ["pass", "open('changed', 'w').close()"])
@pytest.mark.parametrize("package", [False, True])
def test_a_module_is_imported_alike_in_every_execution(
    package: bool, change: str, explore: Explore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    (tmp_path / "main.py").write_text(PROGRAM.format(change=change))
    if package:
        (tmp_path / "late_module").mkdir()
        (tmp_path / "late_module/__init__.py").write_text("from .value import VALUE\n")
        (tmp_path / "late_module/value.py").write_text("VALUE = 2\n")
    else:
        (tmp_path / "late_module.py").write_text("VALUE = 2\n")
    code, answer = explore("main.py")
    assert (code, answer["verdict"], answer["executions"]) == (0, "exhausted", 2), answer
    assert not list(tmp_path.rglob(f"*.{sys.implementation.cache_tag}.pyc")), "an execution leaves nothing behind"


@pytest.mark.parametrize("change", ["pass", "open('changed', 'w').close()"])
def test_what_was_explored_or_recorded_is_imported_alike_in_a_fresh_interpreter(
    change: str, explore: Explore, frontrun: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    (tmp_path / "main.py").write_text(PROGRAM.format(change=change) + "assert seen != [1, 2]\n")
    (tmp_path / "late_module.py").write_text("VALUE = 2\n")
    code, answer = explore("main.py")
    assert (code, answer["verdict"], answer["executions"]) == (1, "failed", 2), answer
    again = frontrun("replay", answer["failures"][0]["trace"], "--times", 3)
    assert "reproduced 3/3: assertion" in again.stdout, again.stdout + again.stderr
    frontrun("record", "-o", "recorded.frz", "main.py")
    again = frontrun("replay", "recorded.frz", "--times", 3)
    assert "reproduced 3/3: passed" in again.stdout, again.stdout + again.stderr


TASKS = """\
import asyncio

seen = []


async def late():
    import late_module
    seen.append(late_module.VALUE)


async def early():
    seen.append(1)


async def main():
    await asyncio.gather(late(), early(), early())


asyncio.run(main())
open("changed", "w").close()
assert sorted(seen) == [1, 1, 2]
"""

EXECUTOR = """\
import asyncio

seen = []


async def main():
    await asyncio.to_thread(seen.append, 1)


asyncio.run(main())
open("changed", "w").close()
assert seen == [1]
"""


def test_tasks_that_import_have_every_order(explore: Explore, tmp_path: Path) -> None:
    # The three tasks touch the list in any order, and the callbacks of their ends, too, touch the number of tasks that
    # are left: 3! times 3!. It was 30 where the first execution made an entry of the folder.
    (tmp_path / "main.py").write_text(TASKS)
    (tmp_path / "late_module.py").write_text("VALUE = 2\n")
    for _ in range(2):
        code, answer = explore("main.py")
        assert (code, answer["verdict"], answer["executions"]) == (0, "exhausted", 36), answer


def test_the_first_executor_of_a_loop_is_imported_alike_in_every_execution(explore: Explore, tmp_path: Path) -> None:
    # Its module is imported when it is first asked for, which is after the first thread of the loop has begun.
    (tmp_path / "main.py").write_text(EXECUTOR)
    answers = [explore("main.py") for _ in range(2)]
    assert [(code, answer["verdict"]) for code, answer in answers] == [(0, "exhausted")] * 2, answers
    assert answers[0][1]["executions"] == answers[1][1]["executions"], answers
