"""Ordinary asyncio programs through the command line: they are what they are without it, and failures replay."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from conftest import Run

ACCOUNT = """\
import asyncio


class Account:
    balance = 0

    async def deposit(self, amount):
        before = self.balance
        await asyncio.sleep(0)
        self.balance = before + amount


async def main():
    account = Account()
    await asyncio.gather(account.deposit(10), account.deposit(20))
    assert account.balance == 30, account.balance


asyncio.run(main())
"""

FACTS = """\
import asyncio, asyncio.tasks, _asyncio


async def main():
    print(asyncio.current_task().get_name(), len(asyncio.all_tasks()))
    names = ("_enter_task", "_leave_task", "_register_task", "_unregister_task")
    print([getattr(asyncio.tasks, name) is getattr(_asyncio, name) for name in names])
    try:
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()
    except TimeoutError:
        print("timed out")


asyncio.run(main())
"""


def test_asyncio_is_what_it_is_without_us(frontrun: Run, tmp_path: Path) -> None:
    program = tmp_path / "facts.py"
    program.write_text(FACTS)
    plain = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=60, check=True)
    done = frontrun("record", "python", program)
    assert (done.returncode, done.stdout) == (0, plain.stdout), done.stderr
    # The import of asyncio is the program's own; others do not pay for it.
    program.write_text("import sys\nprint(sorted(name for name in sys.modules if 'asyncio' in name))\n")
    assert frontrun("record", "-f", "python", program).stdout == "[]\n"


def test_a_failure_replays_in_fresh_interpreters_and_is_told_by_the_programs_own_lines(
    frontrun: Run, tmp_path: Path
) -> None:
    (tmp_path / "bank.py").write_text(ACCOUNT)
    done = frontrun("explore", "python", "bank.py")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "reproduced 3/3 in fresh interpreters" in done.stdout
    lanes, _, rest = done.stdout.partition("\n    a  Account#1.balance\n")
    assert " steps of the standard library left out: frontrun show --events has them\n" in rest
    assert "tasks.py" not in lanes
    assert "Task-3" in lanes
    assert "gather" not in lanes.splitlines()[3]
    assert lanes.count("[R a]") == 3
    assert lanes.count("[W a]") == 2
    events = frontrun("show", "--events", ".frontrun/bank/failure-1.frz")
    assert "(tasks.py:" in events.stdout


CONNECTION = """\
import asyncio


async def answer(reader, writer):
    writer.write(await reader.readline())
    writer.close()


async def ask(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"hello\\n")
    assert await reader.readline() == b"hello\\n"
    writer.close()


async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    await asyncio.gather(*[asyncio.wait_for(ask(server.sockets[0].getsockname()[1]), 5) for _ in range(1)])
    server.close()


asyncio.run(main())
"""


def test_a_client_and_a_server_in_one_loop_are_explored(frontrun: Run, tmp_path: Path) -> None:
    (tmp_path / "connection.py").write_text(CONNECTION)
    subprocess.run([sys.executable, tmp_path / "connection.py"], timeout=60, check=True)
    done = frontrun("explore", "python", "connection.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "exhausted: every class of executions ran and none failed" in done.stdout


CHILD = """\
import asyncio


async def main():
    child = await asyncio.create_subprocess_exec("true")
    await child.wait()


asyncio.run(main())
"""


def test_a_loop_that_waits_for_a_child_process_is_no_deadlock_and_no_time_out(frontrun: Run, tmp_path: Path) -> None:
    (tmp_path / "child.py").write_text(CHILD)
    done = frontrun("explore", "python", "child.py", timeout=300)
    # Before 3.12 a thread waits for the process, and from then on the loop does, by a descriptor.
    waits = (4, "what this run has connected, but it waits for another descriptor, too")
    expected = waits if sys.version_info >= (3, 12) else (0, "exhausted: every class of executions ran and none failed")
    assert done.returncode == expected[0], done.stdout + done.stderr
    assert expected[1] in done.stdout


STOPPED = """\
import asyncio

log = []


async def main():
    asyncio.create_task(asyncio.sleep(0)).add_done_callback(lambda _: log.append("other"))
    asyncio.current_task().add_done_callback(lambda _: log.append("main"))


loop = asyncio.new_event_loop()
loop.run_until_complete(main())
assert "main" in log
print("other" in log)
"""


def test_what_is_scheduled_together_with_the_end_of_a_loop_comes_before_it(frontrun: Run, tmp_path: Path) -> None:
    (tmp_path / "stopped.py").write_text(STOPPED)
    subprocess.run([sys.executable, tmp_path / "stopped.py"], timeout=60, check=True)
    done = frontrun("explore", "python", "stopped.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("exhausted: ")
