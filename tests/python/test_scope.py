"""Scope decides where threads may switch, not what is seen."""

from __future__ import annotations

import json
import logging
import pprint
import queue
import re
import statistics
import string
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import frontrun
import pytest
from frontrun.dpor import explore_dpor

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Explore


def outcomes(setup: Callable[[], Any], *threads: Callable[[Any], object], **options: Any) -> tuple[int, set[str]]:
    """How many executions there are, and what is left in ``out`` after them."""
    result = explore_dpor(
        setup=lambda: (setup(), []),
        threads=[lambda state, function=function: function(*state) for function in threads],
        invariant=lambda state: True,
        observe=lambda state: state[1],
        stop_on_first=False,
        **options,
    )
    assert result.verdict == "exhausted", result.explanation
    return result.num_explored, set(result.outcomes)


READERS: dict[str, tuple[Any, Callable[[Any], object], Callable[[Any], object]]] = {
    "json": ([1, 2], json.dumps, lambda shared: shared.append(3)),
    "json, nested": ({"a": {"b": {"c": [1]}}}, json.dumps, lambda shared: shared["a"]["b"]["c"].append(2)),
    "json in Python": ({"a": 1}, lambda shared: json.dumps(shared, indent=1), lambda shared: shared.update(b=2)),
    "pprint": ({"a": [1]}, pprint.pformat, lambda shared: shared["a"].append(2)),
    "statistics": ([1, 2], statistics.mean, lambda shared: shared.append(6)),
    "string": ({"a": 1}, lambda shared: string.Template("$a").substitute(shared), lambda shared: shared.update(a=2)),
}


@pytest.mark.parametrize("name", READERS)
def test_what_a_library_reads_is_seen(name: str) -> None:
    start, read, change = READERS[name]
    text = json.dumps(start)
    executions, seen = outcomes(
        lambda: json.loads(text), lambda shared, out: out.append(read(shared)), lambda shared, _: change(shared)
    )
    assert executions == 2
    assert len(seen) == 2


def test_a_library_is_one_step_where_it_does_not_wait() -> None:
    def dump(shared: list[int], out: list[str]) -> None:
        out.append(json.dumps({"all": shared}, indent=1))

    def change(shared: list[int], _: list[str]) -> None:
        shared[0] += 1

    assert outcomes(lambda: [1, 2, 3], dump, dump, change)[0] == 8


def test_code_in_scope_that_a_library_calls_can_be_interrupted() -> None:
    class Account:
        def __init__(self) -> None:
            self.balance = 0

        def deposit(self, _: re.Match[str]) -> str:
            before = self.balance
            self.balance = before + 1
            return ""

    def replace(account: Account, _: list[object]) -> None:
        re.sub("x", account.deposit, "x")

    result = explore_dpor(
        setup=Account,
        threads=[lambda account: replace(account, [])] * 2,
        invariant=lambda account: account.balance == 2,
        stop_on_first=False,
        reproduce_on_failure=1,
    )
    assert (result.failure_kind, result.num_explored) == ("invariant", 4)


def test_what_a_queue_hands_over_is_no_race() -> None:
    def produce(shared: queue.Queue[list[int]]) -> None:
        item = [1]
        item.append(2)
        shared.put(item)

    result = frontrun.explore(
        queue.Queue, [produce, lambda shared: shared.get().append(3)], error_on_any_race=True, stop_on_first=False
    )
    result.assert_holds()
    assert result.num_explored == 2


def test_a_lock_of_a_library_is_waited_for_where_it_is_held() -> None:
    def hold(shared: queue.Queue[int], out: list[str]) -> None:
        with shared.mutex:
            out.append("in")
            out.append("out")

    def put(shared: queue.Queue[int], out: list[str]) -> None:
        shared.put(1)
        out.append("put")

    assert outcomes(queue.Queue, hold, put)[1] == {
        "['in', 'out', 'put']",
        "['in', 'put', 'out']",
        "['put', 'in', 'out']",
    }


def test_a_queue_that_nobody_fills_is_a_deadlock() -> None:
    result = explore_dpor(
        setup=queue.Queue,
        threads=[lambda shared: shared.get(), lambda shared: shared.get(), lambda shared: shared.put(1)],
        invariant=lambda shared: True,
        reproduce_on_failure=1,
    )
    assert result.failure_kind == "deadlock"


class Counter:
    def __init__(self) -> None:
        self.value = 0

    def increment(self) -> int:
        before = self.value
        self.value = before + 1
        return before


def run_in_pool(counter: Counter, threads: int) -> list[int]:
    with ThreadPoolExecutor(threads) as pool:
        jobs = [pool.submit(counter.increment) for _ in range(2)]
        return [job.result() for job in jobs]


def test_a_pool_is_exhausted_and_its_own_locks_multiply_nothing() -> None:
    result = explore_dpor(
        setup=Counter,
        threads=[lambda counter: run_in_pool(counter, 1) == [0, 1] or counter.increment()],
        invariant=lambda counter: counter.value == 2,
        stop_on_first=False,
    )
    assert result.verdict == "exhausted", result.explanation
    assert result.num_explored < 200


def test_jobs_of_a_pool_race() -> None:
    result = explore_dpor(
        setup=Counter,
        threads=[lambda counter: run_in_pool(counter, 2)],
        invariant=lambda counter: counter.value == 2,
        reproduce_on_failure=1,
    )
    assert (result.verdict, result.failure_kind) == ("failed", "invariant")


def test_caches_of_the_interpreter_are_no_shared_state() -> None:
    def match(_: None, out: list[bool]) -> None:
        del out
        re.match("never (compiled|before)", "never before")

    assert outcomes(lambda: None, match, match)[0] == 1


def test_two_threads_that_log_have_an_order() -> None:
    class Handler(logging.Handler):
        def __init__(self, out: list[str]) -> None:
            super().__init__()
            self.out = out

        def emit(self, record: logging.LogRecord) -> None:
            self.out.append(record.getMessage())

    def log(name: str) -> Callable[[logging.Logger, list[str]], None]:
        def run(logger: logging.Logger, out: list[str]) -> None:
            logger.handle(logger.makeRecord("x", logging.INFO, "x.py", 1, name, (), None))
            del out

        return run

    state: list[str] = []

    def setup() -> tuple[logging.Logger, list[str]]:
        logger = logging.Logger("x")
        logger.addHandler(Handler(state))
        return logger, state

    result = explore_dpor(
        setup=setup,
        threads=[lambda both: log("one")(*both), lambda both: log("two")(*both)],
        invariant=lambda both: True,
        observe=lambda both: both[1],
        stop_on_first=False,
    )
    assert set(result.outcomes) == {"['one', 'two']", "['two', 'one']"}
    assert result.verdict == "exhausted"


def test_a_pool_of_threads_that_lock_each_other_out_is_a_deadlock() -> None:
    """A job that waits for another one that has no thread to run in."""

    def run(_: None) -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: pool.submit(int).result()).result()

    result = explore_dpor(
        setup=lambda: None, threads=[run], invariant=lambda _: True, reproduce_on_failure=1, max_executions=50
    )
    assert result.failure_kind == "deadlock"


PROGRAM = """
import threading
from shelf import Shelf

shelf = Shelf()
threads = [threading.Thread(target=shelf.add) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""
SHELF = """
class Shelf:
    def __init__(self):
        self.count = 0

    def add(self):
        before = self.count
        self.count = before + 1
"""


@pytest.fixture
def program(tmp_path: Path) -> str:
    (tmp_path / "shelf.py").write_text(SHELF)
    (tmp_path / "main.py").write_text(PROGRAM)
    return "main.py"


def test_scope_of_a_command(explore: Explore, program: str) -> None:
    assert [explore(*options, program)[1]["executions"] for options in ((), ("--exclude", "shelf"))] == [4, 2]


def test_where_nothing_is_in_scope_nothing_is_proved(explore: Explore, program: str) -> None:
    code, answer = explore("--exclude", "*", program)
    assert (code, answer["verdict"], answer["bounded_by"], answer["executions"]) == (124, "bounded", "scope", 2)


def test_what_is_trusted_is_not_seen_and_nothing_is_proved_of_it(explore: Explore, program: str) -> None:
    code, answer = explore("--trust", "shelf", program)
    assert (code, answer["verdict"], answer["bounded_by"], answer["executions"]) == (124, "bounded", "trust", 1)


def test_everything_can_be_in_scope(explore: Explore, tmp_path: Path) -> None:
    (tmp_path / "dump.py").write_text(
        "import json, threading\n"
        "shared = {'a': 1, 'b': 2}\n"
        "def change():\n"
        "    shared['a'] = 3\n"
        "    shared['b'] = 4\n"
        "thread = threading.Thread(target=change)\n"
        "thread.start()\n"
        "''.join(json.JSONEncoder(indent=1).iterencode(shared))\n"
        "thread.join()\n"
    )
    counts = [
        explore(*scope, "dump.py")[1]["executions"] for scope in ((), ("--scope", "all"), ("--include", "json.*"))
    ]
    assert counts[0] < counts[1] == counts[2]


def test_packages_can_be_named() -> None:
    def dump(shared: dict[str, int]) -> None:
        "".join(json.JSONEncoder(indent=1).iterencode(shared))

    def change(shared: dict[str, int]) -> None:
        shared["a"] = 3
        shared["b"] = 4

    def explored(**options: Any) -> int:
        result = explore_dpor(
            setup=lambda: {"a": 1, "b": 2}, threads=[dump, change], invariant=lambda shared: True, **options
        )
        assert result.property_holds, result.explanation
        return result.num_explored

    assert explored() < explored(trace_packages=["json"])


def test_source_lines_for_tracebacks_are_nobodys_reading(frontrun: Callable[..., Any], tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import threading, traceback\n"
        "def work():\n"
        "    traceback.extract_stack()\n"
        "threads = [threading.Thread(target=work) for _ in range(2)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
    )
    frontrun("record", "-o", "t.frz", str(program))
    shown = frontrun("show", "--events", "t.frz").stdout
    assert "start t0.1" in shown
    assert "BufferedReader" not in shown


TOKENS = """\
class Token:
    pass


tokens = set()


def add():
    tokens.add(Token())
"""

ADDERS = """\
import sys, threading
from tokens import add, tokens

threads = [threading.Thread(target=add) for _ in range(int(sys.argv[1]))]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert len(tokens) == len(threads)
"""


@pytest.mark.parametrize(("threads", "orders"), [(2, 2), (3, 6)])
def test_keys_that_exist_in_no_other_execution(threads: int, orders: int, explore: Explore, tmp_path: Path) -> None:
    (tmp_path / "tokens.py").write_text(TOKENS)
    (tmp_path / "adders.py").write_text(ADDERS)
    code, answer = explore("--exclude", "tokens", "python", "adders.py", threads)
    assert (code, answer["verdict"], answer["executions"]) == (0, "exhausted", orders), answer
