"""Random small programs have exactly the outcomes that some interleaving of their opcodes has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from every_interleaving import TooLargeError, outcomes, stepwise
from hypothesis import HealthCheck, assume, given, note, settings
from observation import observed
from small_programs import END, programs

# `FRONTRUN_PROGRAMS=20000` compares that many, other ones each time.
ASKED = os.environ.get("FRONTRUN_PROGRAMS")
MAX_STEPS, MAX_CONFIGURATIONS, MAX_EXECUTIONS = 40, 1500, 1500


class Explorer:
    """The process that explores programs."""

    def __init__(self) -> None:
        here = Path(__file__).parent
        self.process = subprocess.Popen(
            [sys.executable, here / "explored.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=here
        )

    def __call__(self, text: str) -> dict[str, Any]:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps({"text": text, "max_executions": MAX_EXECUTIONS}) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer


@pytest.fixture(scope="module")
def explore() -> Iterator[Explorer]:
    explorer = Explorer()
    yield explorer
    assert explorer.process.stdin
    explorer.process.stdin.close()
    explorer.process.wait(30)


def brute_force(text: str) -> set[str]:
    code = compile(text.replace(END, END.replace("# end", "if 0: yield")), "program.py", "exec")
    stepped: dict[types.CodeType, types.CodeType] = {}

    def begin() -> tuple[Any, list[types.GeneratorType], Any]:
        module: dict[str, Any] = {"__name__": "program"}
        exec(code, module)
        state = module["setup"]()
        threads = []
        for function in (module["t0"], module["t1"]):
            if function.__code__ not in stepped:
                stepped[function.__code__] = stepwise(function.__code__)
            body = types.FunctionType(stepped[function.__code__], module, closure=function.__closure__)
            threads.append(body(state))
        names = ("peek", "GLOBAL", "Kind", "Parent", "Child")

        def shared() -> object:
            return [state, [module.get(name, name) for name in names]]

        return shared, threads, lambda: observed(module, state)

    return outcomes(begin, MAX_STEPS, MAX_CONFIGURATIONS)


def check(text: str, explore: Explorer) -> None:
    try:
        expected = brute_force(text)
    except TooLargeError:
        assume(False)
    answer = explore(text)
    assume(answer["verdict"] != "bounded")
    note(text[text.index("def setup") :])
    found = {eval(outcome) for outcome in answer["outcomes"]}
    assert not answer["failures"]
    assert not expected - found, "missing"
    assert not found - expected, "impossible"
    assert answer["verdict"] == "exhausted"


@settings(
    max_examples=int(ASKED or 500),
    derandomize=ASKED is None,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(text=programs())
def test_outcomes_are_those_of_all_interleavings(explore: Explorer, text: str) -> None:
    check(text, explore)
