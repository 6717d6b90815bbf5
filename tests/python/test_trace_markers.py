"""Threads ordered by markers: what the order does, and what is said of orders that cannot be."""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from frontrun.common import Schedule, ScheduleError, Step
from frontrun.trace_markers import MarkerRegistry, ThreadCoordinator, TraceExecutor, frontrun

# Far below the time limits that a wait would run into, and enough for a busy machine.
PROMPT = 4.0
"""Seconds within which an error counts as immediate; waiting for it would take five."""


def schedule(*steps: str) -> Schedule:
    """``schedule("t1 read")`` has a step of execution ``t1`` at marker ``read``."""
    return Schedule([Step(*step.split()) for step in steps])


class Counter:
    def __init__(self) -> None:
        self.value = 0

    def increment(self) -> None:
        temp = self.value  # frontrun: read_value
        temp += 1
        self.value = temp  # frontrun: write_value


LOST = schedule("t1 read_value", "t2 read_value", "t1 write_value", "t2 write_value")
SERIAL = schedule("t2 read_value", "t2 write_value", "t1 read_value", "t1 write_value")


@pytest.fixture
def promptly() -> Any:
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < PROMPT


@pytest.fixture(autouse=True)
def nothing_is_left() -> Any:
    yield
    for thread in [thread for thread in threading.enumerate() if type(thread).__name__ == "MarkedThread"]:
        thread.join(2)
        assert not thread.is_alive()
    if sys.version_info >= (3, 12):
        assert "frontrun markers" not in [sys.monitoring.get_tool(id_) for id_ in range(6)]


@pytest.mark.parametrize(("order", "value"), [(LOST, 1), (SERIAL, 2)])
@pytest.mark.parametrize("attempt", range(5))
def test_the_order_decides_whether_an_update_is_lost(order: Schedule, value: int, attempt: int) -> None:
    counter = Counter()
    executor = TraceExecutor(order)
    executor.run("t1", counter.increment)
    executor.run("t2", counter.increment)
    executor.wait(timeout=10)
    assert counter.value == value
    assert executor.coordinator.is_finished()
    assert executor.thread_errors == {}


def test_run_takes_all_at_once_and_reset_runs_again() -> None:
    executor = TraceExecutor(LOST)
    for _ in range(3):
        counter = Counter()
        executor.run({"t1": counter.increment, "t2": counter.increment}, timeout=10)
        assert counter.value == 1
        executor.reset()
        assert executor.threads == []


def test_the_function_passes_arguments() -> None:
    seen: list[Any] = []

    def work(name: str, times: int = 1) -> None:
        for _ in range(times):
            seen.append(name)  # frontrun: append

    executor = frontrun(
        schedule("a append", "b append", "a append"),
        {"a": work, "b": work},
        thread_args={"a": ("x",), "b": ("y",)},
        thread_kwargs={"a": {"times": 2}},
    )
    assert seen == ["x", "y", "x"]
    assert [thread.name for thread in executor.threads] == ["a", "b"]


def test_run_passes_arguments() -> None:
    seen: list[Any] = []

    def work(*args: object, **kwargs: object) -> None:
        seen.append((args, kwargs))  # frontrun: work

    executor = TraceExecutor(schedule("t work"))
    executor.run("t", work, args=(1, 2), kwargs={"three": 3})
    executor.wait()
    assert seen == [((1, 2), {"three": 3})]


def test_a_schedule_has_steps() -> None:
    with pytest.raises(ValueError, match="at least one step"):
        Schedule([])


def test_threads_begin_in_the_order_of_the_schedule_and_run_to_their_first_markers() -> None:
    log: list[str] = []

    def work(name: str) -> Callable[[], None]:
        def run() -> None:
            log.append(f"{name} begins")
            # frontrun: go
            log.append(f"{name} goes")
            log.append(f"{name} ends")

        return run

    TraceExecutor(schedule("b go", "a go")).run({"a": work("a"), "b": work("b")})
    assert log == ["b begins", "a begins", "b goes", "b ends", "a goes", "a ends"]


@pytest.mark.parametrize("attempt", range(5))
def test_nobody_interrupts_between_two_markers(attempt: int) -> None:
    box = SimpleNamespace(owner=None, broken=False)

    def work(name: str) -> Callable[[], None]:
        def run() -> None:
            for _ in range(3):
                box.owner = name  # frontrun: own
                for _ in range(200):
                    time.sleep(0)
                    box.broken |= box.owner != name

        return run

    names = ["a", "b", "c"]
    frontrun(Schedule([Step(n, "own") for _ in range(3) for n in names]), {n: work(n) for n in names})
    assert not box.broken


def test_after_the_last_step_threads_end_one_after_the_other() -> None:
    log: list[str] = []

    def work(name: str) -> Callable[[], None]:
        def run() -> None:
            for _ in range(3):
                log.append(name)  # frontrun: turn

        return run

    frontrun(schedule("b turn", "a turn"), {"a": work("a"), "b": work("b")})
    assert log == ["b", "a", "b", "b", "a", "a"]


def test_two_markers_above_a_line_and_one_on_it_are_passed_in_order() -> None:
    log: list[str] = []

    def first() -> None:
        # frontrun: one
        # frontrun: two
        log.append("first")  # frontrun: three

    def second() -> None:
        log.append("second")  # frontrun: only

    frontrun(schedule("a one", "a two", "b only", "a three"), {"a": first, "b": second})
    assert log == ["second", "first"]


class TestWhatCannotHappen:
    """Each is said at once, and names the step."""

    @pytest.mark.usefixtures("promptly")
    def test_a_marker_that_is_never_reached(self) -> None:
        counter = Counter()
        order = schedule("t1 read_value", "t2 read_value", "t1 wirte_value", "t2 write_value")
        with pytest.raises(ScheduleError) as raised:
            frontrun(order, {"t1": counter.increment, "t2": counter.increment})
        assert "step 3 of 4, t1 at marker wirte_value, cannot happen" in str(raised.value)
        assert "t1 waits at marker write_value (test_trace_markers.py:" in str(raised.value)

    @pytest.mark.usefixtures("promptly")
    def test_a_thread_that_ends_early(self) -> None:
        counter = Counter()
        order = schedule("t1 read_value", "t1 write_value", "t2 read_value", "t1 read_value", "t2 write_value")
        with pytest.raises(ScheduleError, match=r"step 4 of 5, t1 at marker read_value.*t1 has ended after step 2"):
            frontrun(order, {"t1": counter.increment, "t2": counter.increment})

    @pytest.mark.usefixtures("promptly")
    def test_a_thread_without_markers(self) -> None:
        with pytest.raises(TimeoutError, match=r"step 1 of 1, t at marker m, cannot happen: t has ended$"):
            frontrun(schedule("t m"), {"t": lambda: None})

    @pytest.mark.usefixtures("promptly")
    def test_an_execution_that_is_never_started(self) -> None:
        executor = TraceExecutor(LOST)
        executor.run("t1", Counter().increment)
        with pytest.raises(ScheduleError, match=r"step 2 of 4, t2 at marker read_value.*no execution is called t2"):
            executor.wait()

    @pytest.mark.usefixtures("promptly")
    def test_an_exception_is_raised_with_the_step_that_it_prevents(self) -> None:
        def fail() -> None:
            x = 1  # frontrun: read_value
            raise KeyError(x)

        executor = TraceExecutor(LOST)
        with pytest.raises(KeyError) as raised:
            executor.run({"t1": fail, "t2": Counter().increment})
        assert "step 3 of 4, t1 at marker write_value, cannot happen" in raised.value.__notes__[0]
        assert list(executor.thread_errors) == ["t1"]

    @pytest.mark.usefixtures("promptly")
    def test_an_exception_after_the_last_step(self) -> None:
        def fail() -> None:
            raise KeyError(1)  # frontrun: fail

        counter = Counter()
        order = schedule("t1 fail", "t2 read_value", "t2 write_value")
        with pytest.raises(KeyError):
            frontrun(order, {"t1": fail, "t2": counter.increment})
        assert counter.value == 1

    @pytest.mark.usefixtures("promptly")
    @pytest.mark.parametrize("make", [threading.Lock, threading.RLock, threading.Condition, threading.Semaphore])
    def test_a_lock_that_a_waiting_thread_holds(self, make: Callable[[], Any]) -> None:
        lock, counter = make(), Counter()

        def increment() -> None:
            with lock:
                counter.increment()

        with pytest.raises(ScheduleError) as raised:
            # A semaphore may be released by any other thread, such as one of a plugin of pytest: then it takes so long.
            frontrun(LOST, {"t1": increment, "t2": increment}, deadlock_timeout=1.0)
        assert "step 2 of 4, t2 at marker read_value, cannot happen" in str(raised.value)
        assert "t2 waits for a lock at test_trace_markers.py:" in str(raised.value)
        if make is not threading.Semaphore:
            assert "that t1 holds" in str(raised.value)
        assert counter.value == 0
        assert lock.acquire(blocking=False)
        lock.release()

    def test_a_thread_that_runs_for_too_long(self) -> None:
        said = r"for 0.3 s nothing has moved: t runs and has not come to a marker: test_trace_markers.py:"
        with pytest.raises(ScheduleError, match=said):
            frontrun(schedule("t m"), {"t": lambda: time.sleep(0.6)}, deadlock_timeout=0.3)

    def test_wait_gives_up_in_time(self) -> None:
        executor = TraceExecutor(schedule("t m"))

        def work() -> None:
            time.sleep(0.6)  # frontrun: m

        executor.run("t", work)
        with pytest.raises(TimeoutError, match=r"not ended after 0.1 s: t runs"):
            executor.wait(timeout=0.1)

    def test_a_thread_that_cannot_be_unwound_is_left_to_itself(self) -> None:
        things: queue.SimpleQueue[int] = queue.SimpleQueue()
        executor = TraceExecutor(schedule("t m"), deadlock_timeout=0.2)
        with pytest.raises(ScheduleError, match="t runs and has not come to a marker"):
            executor.run({"t": things.get})
        if sys.version_info >= (3, 12):
            assert "frontrun markers" not in [sys.monitoring.get_tool(id_) for id_ in range(6)]
        things.put(1)
        executor.threads[0].join(2)
        assert not executor.threads[0].is_alive()

    @pytest.mark.usefixtures("promptly")
    def test_a_deadlock_after_the_last_step(self) -> None:
        locks = threading.Lock(), threading.Lock()

        def work(first: int) -> Callable[[], None]:
            def run() -> None:
                with locks[first]:  # frontrun: outer
                    second = locks[1 - first]  # frontrun: inner
                    with second:
                        pass

            return run

        order = schedule("a outer", "b outer", "a inner", "b inner")
        with pytest.raises(ScheduleError, match=r"the schedule is over, but a waits for a lock.*that b holds; b waits"):
            frontrun(order, {"a": work(0), "b": work(1)})
        assert not any(lock.locked() for lock in locks)


@pytest.mark.parametrize("make", [threading.Lock, threading.RLock, threading.Condition, threading.Semaphore])
@pytest.mark.parametrize("first", ["t1", "t2"])
def test_a_thread_that_waits_for_a_lock_goes_on_when_it_is_free(make: Callable[[], Any], first: str) -> None:
    lock, counter = make(), Counter()
    second = "t2" if first == "t1" else "t1"

    def increment() -> None:
        with lock:
            counter.increment()

    order = schedule(*(f"{name} {m}" for name in (first, second) for m in ("read_value", "write_value")))
    begun = time.monotonic()
    frontrun(order, {"t1": increment, "t2": increment})
    assert counter.value == 2
    assert time.monotonic() - begun < PROMPT


@pytest.mark.parametrize("attempt", range(5))
def test_waiting_for_another_thread_of_the_schedule(attempt: int) -> None:
    things: queue.Queue[int] = queue.Queue()
    log: list[str] = []

    def consume() -> None:
        log.append(f"got {things.get()}")
        log.append("consumed")  # frontrun: consumed

    def produce() -> None:
        things.put(1)  # frontrun: put
        log.append("put")
        log.append("produced")  # frontrun: produced

    frontrun(schedule("p put", "c consumed", "p produced"), {"c": consume, "p": produce}, timeout=10)
    assert log == ["put", "got 1", "consumed", "produced"]


def test_a_thread_outside_may_release_the_lock() -> None:
    lock, counter = threading.Lock(), Counter()
    lock.acquire()
    timer = threading.Timer(0.2, lock.release)
    timer.start()

    def increment() -> None:
        with lock:
            counter.increment()

    frontrun(schedule("t read_value", "t write_value"), {"t": increment})
    assert counter.value == 1


def test_a_wait_with_a_timeout_gives_up() -> None:
    lock = threading.Lock()
    taken: list[bool] = []

    def hold() -> None:
        with lock:
            x = 1  # frontrun: held
            assert x

    def attempt() -> None:
        x = 1  # frontrun: attempt
        assert x
        taken.append(lock.acquire(timeout=0.05))
        taken.append(threading.Event().wait(0.05))
        x = 2  # frontrun: given_up

    frontrun(schedule("b attempt", "b given_up", "a held"), {"a": hold, "b": attempt})
    assert taken == [False, False]


def test_locks_are_ordinary_again_afterwards() -> None:
    before = threading.Lock.__doc__, type(threading.Lock()).acquire
    frontrun(LOST, {"t1": Counter().increment, "t2": Counter().increment})
    assert before == (threading.Lock.__doc__, type(threading.Lock()).acquire)
    lock = threading.Lock()
    with lock:
        assert not lock.acquire(timeout=0.01)


def test_markers_of_unscheduled_threads_are_only_comments() -> None:
    counter = Counter()
    counter.increment()
    box: list[int] = []

    def work() -> None:
        helper = threading.Thread(target=counter.increment)
        helper.start()
        helper.join()
        box.append(counter.value)  # frontrun: look

    frontrun(schedule("t look"), {"t": work})
    assert (counter.value, box) == (2, [2])


def test_an_execution_runs_once_at_a_time() -> None:
    executor = TraceExecutor(LOST)
    executor.run("t1", Counter().increment)
    with pytest.raises(ValueError, match="an execution called t1 is under way"):
        executor.run("t1", Counter().increment)
    with pytest.raises(ScheduleError):
        executor.wait()


def test_a_coordinator_alone_orders_calls() -> None:
    coordinator = ThreadCoordinator(schedule("a m", "b m", "a n"), deadlock_timeout=0.2)
    log: list[str] = []

    def call(name: str, *markers: str) -> None:
        for marker in markers:
            coordinator.wait_for_turn(name, marker)
            log.append(f"{name} {marker}")

    threads = [threading.Thread(target=call, args=("b", "m")), threading.Thread(target=call, args=("a", "m"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log == ["a m", "b m"]
    assert not coordinator.is_finished()
    with pytest.raises(ScheduleError, match="step 3 of 3, a at marker n, cannot happen"):
        coordinator.wait_for_turn("a", "other")
    coordinator = ThreadCoordinator(schedule("a m", "b m"))
    coordinator.report_error(KeyError("b"))
    with pytest.raises(KeyError):
        coordinator.wait_for_turn("b", "m")


def test_a_registry_finds_comments_and_nothing_else() -> None:
    registry = MarkerRegistry()
    frame = sys._getframe()
    registry.scan_frame(frame)
    line = frame.f_lineno
    text = "# frontrun: not_a_marker"
    assert registry.get_marker(__file__, line + 1) is None
    # frontrun: above
    assert registry.get_marker(__file__, line + 4) == "above"
    assert registry.get_marker(__file__, line + 5) == "inline"  # frontrun: inline and a remark
    assert text
    assert registry.get_marker("no such file", 1) is None


def test_another_tracer_goes_on() -> None:
    lines: list[int] = []

    def tracer(frame: Any, event: str, arg: Any) -> Any:
        if frame.f_code is Counter.increment.__code__ and event == "line":
            lines.append(frame.f_lineno)
        return tracer

    counter = Counter()
    threading.settrace(tracer)
    try:
        frontrun(LOST, {"t1": counter.increment, "t2": counter.increment})
    finally:
        threading.settrace(None)  # type: ignore[arg-type]
    first = Counter.increment.__code__.co_firstlineno
    assert counter.value == 1
    assert sorted(lines) == sorted([first + 1, first + 2, first + 3] * 2)


# Where a marker gates, shape by shape: the source of ``f``, and the markers that a call comes to.
SHAPES = {
    "a line, above a line, and not in a string": (
        """
def f():
    x = 1  # frontrun: a
    # frontrun: b

    y = "# frontrun: no"
    return x, y  # frontrun: c
""",
        "abc",
    ),
    "statements of several lines": (
        """
def g(*a): return 1
def f():
    x = g(  # frontrun: a
        1,
        2,
    )
    y = g(
        x,  # frontrun: b
        g(3),
    )
    z = g(
        1,
    )  # frontrun: c
    w = (  # frontrun: d
        x + 1
    )
    v = (
        x
        + y  # frontrun: e
    )
""",
        "abcde",
    ),
    "with, but not its exit": (
        """
import contextlib
@contextlib.contextmanager
def cm(): yield
def f():
    with cm():  # frontrun: a
        x = 1
    with cm() as x, cm() as y:  # frontrun: b
        pass
    for i in range(2):
        with cm():  # frontrun: c
            continue  # frontrun: d
    try:
        with cm():  # frontrun: e
            raise ValueError  # frontrun: f
    except ValueError:  # frontrun: g
        pass
    with cm():  # frontrun: h
        return 5  # frontrun: i
""",
        "abcdcdefghi",
    ),
    "loops": (
        """
def f():
    for i in range(2):  # frontrun: a
        x = i  # frontrun: b
    n = 0
    while n < 2:  # frontrun: c
        n += 1  # frontrun: d
    for i in range(2):
        # frontrun: e
        n += 1
    for i in range(2): n += 1  # frontrun: f
    for i in [j for j in range(2)]:  # frontrun: g
        n += 1
""",
        "ababacdcdceefggg",
    ),
    "try, else and match": (
        """
def f():
    try:  # frontrun: a
        x = 1
    finally:  # frontrun: b
        y = 2
    try:
        raise KeyError
    except:  # frontrun: c
        x = 0
    if x:
        x = 2
    # frontrun: d
    else:  # frontrun: e
        x = 3
    match [0, x]:  # frontrun: f
        case [1]:  # frontrun: g
            pass
        case [0, *_]:  # frontrun: h
            x = None
    try:
        return x  # frontrun: i
    finally:
        y = 4  # frontrun: j
""",
        "abcdefghij",
    ),
    "expressions with code of their own": (
        """
def f():
    x = [i for i in range(3)]  # frontrun: a
    y = sum(i for i in x)  # frontrun: b
    z = (lambda: 1)()  # frontrun: c
    def h():  # frontrun: d
        return 1
    h()
    assert x  # frontrun: e
    del x  # frontrun: f
    pass  # frontrun: g
""",
        "abcdefg",
    ),
    "generators": (
        """
def gen():
    # frontrun: a
    yield 1
    x = yield 2  # frontrun: b
    return 3  # frontrun: c
def f():
    list(gen())
""",
        "abc",
    ),
    "coroutines": (
        """
import asyncio
class Lock:
    async def __aenter__(self): await asyncio.sleep(0)
    async def __aexit__(self, *a): await asyncio.sleep(0)
async def get():
    await asyncio.sleep(0)
async def two():
    yield 1
    yield 2
async def f():
    # frontrun: a
    x = await get()
    async with Lock():  # frontrun: b
        z = await get()  # frontrun: c
    async for q in two():  # frontrun: d
        pass
    r = await asyncio.gather(  # frontrun: e
        get(),
        get(),
    )
    return await get()  # frontrun: f
""",
        "abcdddef",
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_what_a_marker_gates(shape: str, tmp_path: Path) -> None:
    source, expected = SHAPES[shape]
    file = tmp_path / "shape.py"
    file.write_text(source)
    scope: dict[str, Any] = {}
    exec(compile(source, str(file), "exec"), scope)
    come_to: list[str] = []

    class Noting(ThreadCoordinator):
        def stop_at_marker(self, name: str, marker: str, place: str) -> None:
            come_to.append(marker)

    executor = TraceExecutor(schedule("t none"))
    executor.coordinator = Noting(executor.schedule)
    with pytest.raises(ScheduleError, match="t has ended"):
        executor.run({"t": scope["f"]}, timeout=10)
    assert "".join(come_to) == expected
