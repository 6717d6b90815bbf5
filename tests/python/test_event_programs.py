"""Programs that set, clear and wait for an event: what they come to is what CPython's own code of ``Event`` allows.

The brute force follows that code step by step: a wait looks at the flag and joins the waiters, and returns when it has
been notified, whether or not the flag has been cleared since. In frontrun a wait is one step.
"""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from frontrun.dpor import explore_dpor
from shares import portions, share

Program = list[list[str]]
KINDS = ["set", "clear", "pulse", "wait", "is set", "mark"]
RANDOM = share(60)

# The flag, who waits for it, who has been notified, the marks; for each thread, how far it is, and what it has seen.
State = tuple[bool, frozenset[int], frozenset[int], tuple[int, ...], tuple[int, ...], tuple[tuple[bool, ...], ...]]


def random_program(seed: int) -> Program:
    draw = random.Random(seed)
    count = draw.choice((2, 2, 3))
    return [[draw.choice(KINDS) for _ in range(draw.randint(1, 5 - count))] for _ in range(count)]


def steps_of(thread: list[str]) -> list[str]:
    """A pulse is two steps."""
    return list(itertools.chain.from_iterable(["set", "clear"] if what == "pulse" else [what] for what in thread))


def step(state: State, me: int, what: str) -> State | None:
    """One step of a thread by the code of CPython; ``None`` if it has to wait."""
    flag, waiting, notified, marks, places, seen = state
    result: tuple[bool, ...] = ()
    done = True
    if what == "set":
        flag, notified, waiting = True, notified | waiting, frozenset()
    elif what == "clear":
        flag = False
    elif what == "mark":
        marks = (*marks, me)
    elif what == "is set":
        result = (flag,)
    elif me in notified:
        notified, result = notified - {me}, (True,)
    elif me in waiting:
        return None
    elif flag:
        result = (True,)
    else:
        waiting, done = waiting | {me}, False
    places = (*places[:me], places[me] + done, *places[me + 1 :])
    return flag, waiting, notified, marks, places, (*seen[:me], seen[me] + result, *seen[me + 1 :])


def brute_force(program: Program) -> tuple[set[str], bool]:
    """All outcomes, and whether the threads can get stuck."""
    threads = list(map(steps_of, program))
    first: State = (False, frozenset(), frozenset(), (), (0,) * len(threads), ((),) * len(threads))
    known, frontier = {first}, [first]
    outcomes, stuck = set(), False
    while frontier:
        state = frontier.pop()
        places = state[4]
        running = [me for me, thread in enumerate(threads) if places[me] < len(thread)]
        after = [new for me in running if (new := step(state, me, threads[me][places[me]])) is not None]
        if not running:
            outcomes.add(repr((list(state[3]), list(map(list, state[5])))))
        stuck |= bool(running) and not after
        frontier += [new for new in after if new not in known]
        known.update(after)
    return outcomes, stuck


def thread(number: int, steps: list[str]) -> Callable[[Any], None]:
    def run(p: Any) -> None:
        for what in steps:
            if what == "set":
                p.event.set()
            elif what == "clear":
                p.event.clear()
            elif what == "mark":
                p.marks.append(number)
            else:
                p.seen[number].append(p.event.wait() if what == "wait" else p.event.is_set())

    return run


def disagreement(program: Program) -> str | None:
    result = explore_dpor(
        lambda: SimpleNamespace(event=threading.Event(), marks=[], seen=[[] for _ in program]),
        [thread(number, steps_of(each)) for number, each in enumerate(program)],
        lambda _: True,
        observe=lambda p: (p.marks, p.seen),
        stop_on_first=False,
        reproduce_on_failure=0,
        workers=1,
    )
    outcomes, stuck = brute_force(program)
    found = (set(result.outcomes), {failure.kind for failure in result.failures}, result.verdict)
    wanted = (outcomes, {"deadlock"} if stuck else set(), "failed" if stuck else "exhausted")
    return None if found == wanted else f"{program}: {found}, not {wanted} {result.explanation}"


@pytest.mark.parametrize("seeds", portions(RANDOM, 10), ids=str)
def test_random_programs_agree_with_the_code_of_cpython(seeds: list[int]) -> None:
    programs = map(random_program, seeds)
    wrong = [text for program in programs if (text := disagreement(program))]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "program",
    [
        [["wait", "mark"], ["pulse", "mark"]],
        [["pulse", "is set"], ["wait", "is set"]],
        [["wait", "is set"], ["wait", "is set"], ["pulse"]],
        [["wait", "wait"], ["pulse", "pulse"]],
    ],
    ids=str,
)
def test_who_was_waiting_returns_though_the_flag_is_cleared(program: Program) -> None:
    assert disagreement(program) is None


PULSES = """
import threading
import time

event, woken = threading.Event(), []

def wait():
    for _ in range(2):
        event.wait()
        woken.append(event.is_set())
        time.sleep(0.001)

waiter = threading.Thread(target=wait)
waiter.start()
while len(woken) < 2:
    time.sleep(0.01)
    event.set()
    event.clear()
waiter.join()
"""


def test_a_recording_wakes_up_who_waits_for_a_pulse(tmp_path: Path, frontrun: Any) -> None:
    (tmp_path / "pulses.py").write_text(PULSES)
    recorded = frontrun("record", "-o", "t.frz", "pulses.py")
    assert recorded.returncode == 0, recorded.stderr
    assert "went first" not in frontrun("analyze", "t.frz").stderr
