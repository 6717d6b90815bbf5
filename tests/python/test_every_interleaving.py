"""Random small programs have exactly the outcomes that some interleaving of their opcodes has."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from shares import share
from small_programs import numbered

# Each way finds the outcomes of a program in a process of its own; both work at the same time.
WAYS = ("explore", "enumerate")
NUMBERS = share(720)
# The others have too many interleavings.
ENOUGH = len(NUMBERS) * 3 // 4
MAX_INTERLEAVINGS = 400


class Server:
    """A process that answers for one program after the other."""

    def __init__(self, way: str) -> None:
        here = Path(__file__).parent
        command = [sys.executable, here / "outcome_server.py", way]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=here)

    def ask(self, text: str, *, gil: bool = False) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"text": text, "limit": MAX_INTERLEAVINGS, "gil": gil}) + "\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, f"the process ended with {self.process.wait(30)}"
        answer: dict[str, Any] = json.loads(line)
        return answer


@pytest.fixture(scope="module")
def servers() -> Iterator[list[Server]]:
    servers = [Server(way) for way in WAYS]
    yield servers
    for server in servers:
        assert server.process.stdin
        server.process.stdin.close()
        server.process.wait(30)


def difference(explored: dict[str, Any], expected: list[str]) -> list[str]:
    """What an exploration that claims to be complete has wrong."""
    wrong = [f"failure: {failure}" for failure in explored["failures"]]
    wrong += [f"missing: {outcome}" for outcome in expected if outcome not in explored["outcomes"]]
    return wrong + [f"impossible: {outcome}" for outcome in explored["outcomes"] if outcome not in expected]


def test_outcomes_are_those_of_all_interleavings(servers: list[Server]) -> None:
    explore, enumerate_all = servers
    compared, wrong, unanswered = 0, [], []
    enumerate_all.ask(numbered(NUMBERS[0]))
    for number, following in zip(NUMBERS, [*NUMBERS[1:], None], strict=True):
        expected = enumerate_all.answer()["outcomes"]
        if expected is not None:
            explore.ask(numbered(number))
        if following is not None:
            enumerate_all.ask(numbered(following))
        if expected is not None:
            explored = explore.answer()
            if explored["verdict"] in ("bounded", "diverged", "error"):
                unanswered.append(number)
                continue
            compared += 1
            found = difference(explored, expected)
            if found:
                text = numbered(number)
                wrong.append("\n".join([f"program {number}", text[text.index("def setup") :], *found]))
    print(f"{compared} programs compared, no answer for {unanswered}")
    assert not wrong, "\n\n".join([f"{len(wrong)} of {compared} programs", *wrong[:10]])
    assert compared >= ENOUGH
    # To say that it could not explore a program is no wrong answer, but has to be rare.
    assert len(unanswered) <= compared // 50


def test_outcomes_with_a_gil_are_those_of_the_interleavings_that_it_allows(servers: list[Server]) -> None:
    explore, enumerate_all = servers
    compared, fewer, wrong = 0, 0, []
    for number in NUMBERS[: len(NUMBERS) // 8]:
        text = numbered(number)
        enumerate_all.ask(text, gil=True)
        expected = enumerate_all.answer()
        if expected["outcomes"] is None:
            continue
        explore.ask(text, gil=True)
        explored = explore.answer()
        if explored["verdict"] in ("bounded", "diverged", "error"):
            continue
        compared += 1
        fewer += expected["outcomes"] != expected["most"]
        found = [f"missing: {outcome}" for outcome in expected["least"] if outcome not in explored["outcomes"]]
        found += [f"impossible: {outcome}" for outcome in explored["outcomes"] if outcome not in expected["most"]]
        if found:
            wrong.append("\n".join([f"program {number}", text[text.index("def setup") :], *found]))
    print(f"{compared} programs compared, {fewer} of which a GIL protects")
    assert not wrong, "\n\n".join([f"{len(wrong)} of {compared} programs", *wrong[:10]])
    assert compared >= len(NUMBERS) // 16
    assert fewer > 0 or compared < 40
