"""Serves one way to find the outcomes of small programs: a JSON line for each program on standard input.

``outcome_server.py explore`` asks the package under test, ``enumerate`` runs every interleaving. Both are processes of
their own, so that no test framework has to be instrumented, and none dies with the interpreter.
"""

from __future__ import annotations

import functools
import gc
import json
import shutil
import sys
import tempfile
import types
from collections.abc import Callable, Sequence
from typing import Any

from observation import observed


def load(code: types.CodeType) -> dict[str, Any]:
    module = sys.modules["program"] = types.ModuleType("program")
    exec(code, module.__dict__)
    return module.__dict__


def enumerate_all(text: str, limit: int, gil: bool = False) -> dict[str, object]:
    """Return the outcomes of every interleaving of opcodes, or nothing if there are more than the limit."""
    # Watching opcodes is nothing that an exploration should have to do with.
    from every_interleaving import Switches, TooLargeError, interleavings
    from shared_opcodes import SharedOpcodes

    code = compile(text, "program.py", "exec")
    example = load(code)
    threads = [example["t0"].__code__, example["t1"].__code__]
    opcodes = SharedOpcodes(threads, code, "__del__" in text)

    def begin() -> tuple[Sequence[Callable[[], object]], Callable[[list[object]], str]]:
        module = load(code)
        state = module["setup"]()
        work = [functools.partial(module[name], state) for name in ("t0", "t1")]
        return work, lambda results: observed(module, state, results)

    try:
        found = list(interleavings(begin, opcodes.stops, limit))
    except TooLargeError:
        return {"outcomes": None}
    answer: dict[str, object] = {"outcomes": sorted(set(found)), "interleavings": len(found)}
    if gil:
        for name, most in (("least", False), ("most", True)):
            answer[name] = sorted(set(interleavings(begin, opcodes.stops, limit, Switches(most))))
    return answer


def explore(text: str, limit: int, gil: bool = False) -> dict[str, object]:
    """Return verdict, number of executions and outcomes of an exploration."""
    from frontrun.dpor import explore_dpor

    module = load(compile(text, "program.py", "exec"))
    results: list[object] = [None, None]

    def thread(name: int) -> Callable[[object], None]:
        def work(state: object) -> None:
            try:
                results[name] = module[f"t{name}"](state)
            except Exception as error:
                results[name] = type(error).__name__

        return work

    directory = tempfile.mkdtemp()
    try:
        result = explore_dpor(
            module["setup"],
            [thread(0), thread(1)],
            lambda state: True,
            observe=lambda state: observed(module, state, results),
            max_executions=limit,
            stop_on_first=False,
            reproduce_on_failure=0,
            trace_dir=directory,
            workers=1,
            gil=gil,
        )
    finally:
        shutil.rmtree(directory)
    return {
        "verdict": result.verdict,
        "executions": result.num_explored,
        "outcomes": sorted(map(eval, result.outcomes)),
        "failures": [f"{failure.kind}: {failure.message}" for failure in result.failures],
    }


def main() -> None:
    """Serve until standard input ends."""
    gc.disable()
    answer = {"explore": explore, "enumerate": enumerate_all}[sys.argv[1]]
    for line in sys.stdin:
        print(json.dumps(answer(**json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
