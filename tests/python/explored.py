"""Explores small programs, one a line of JSON on standard input, and answers with the outcomes, a line each.

A process of its own, so that no test framework has to be instrumented for each exploration.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile

from frontrun.dpor import explore_dpor
from observation import observed


def explored(text: str, max_executions: int) -> dict[str, object]:
    """Return verdict, number of executions and outcomes of a program."""
    module = {"__name__": "program"}
    exec(compile(text, "program.py", "exec"), module)
    directory = tempfile.mkdtemp()
    try:
        result = explore_dpor(
            module["setup"],
            [module["t0"], module["t1"]],
            lambda state: True,
            observe=lambda state: observed(module, state),
            max_executions=max_executions,
            stop_on_first=False,
            reproduce_on_failure=0,
            trace_dir=directory,
        )
    finally:
        shutil.rmtree(directory)
    return {
        "verdict": result.verdict,
        "executions": result.num_explored,
        "outcomes": result.outcomes,
        "failures": [f"{failure.kind}: {failure.message}" for failure in result.failures],
    }


def main() -> None:
    """Serve until standard input ends."""
    for line in sys.stdin:
        print(json.dumps(explored(**json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
