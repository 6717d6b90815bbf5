"""What instrumentation costs: plain and instrumented runs side by side, as ratios of CPU time.

``alone`` is a program with one thread, where hooks have nothing to write down; ``recorded`` is the same work in a
second thread, with every access written to a trace. Each ratio is the median over rounds that alternate between both.
"""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import types
from collections.abc import Callable
from pathlib import Path

from frontrun import _core, _program, _threads

sys.path.insert(0, str(Path(__file__).parent))

ROUNDS = 7


def load(rewritten: bool) -> dict[str, Callable[[], object]]:
    """Return the workloads, from a module that is compiled anew."""
    path = Path(__file__).with_name("workloads.py")
    code = compile(path.read_text(), str(path), "exec")
    module = types.ModuleType("workloads")
    exec(_core.rewrite(code, "in scope") if rewritten else code, module.__dict__)  # noqa: S102
    return module.WORKLOADS


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def alone(name: str) -> float:
    plain, instrumented = load(False)[name], load(True)[name]
    plain(), instrumented()
    return statistics.median(seconds(instrumented) / seconds(plain) for _ in range(ROUNDS))


def recorded(name: str) -> float:
    """Measure in this process, which must not have recorded before."""
    plain, instrumented = load(False)[name], load(True)[name]
    plain(), instrumented()
    ratios: list[float] = []

    def rounds() -> None:
        for _ in range(ROUNDS):
            ratios.append(seconds(instrumented) / seconds(plain))

    with tempfile.NamedTemporaryFile(suffix=".frz") as trace:
        _program.begin(_core.Request(trace.name), _program.facts(sys.argv, None, os.getcwd(), []))
        thread = threading.Thread(target=rounds)
        thread.start()
        thread.join()
        _core.finish_run()
    _threads.join_all()
    return statistics.median(ratios)


def main() -> None:
    print(f"CPython {sys.version.split()[0]}: instrumented / plain, CPU time, median of {ROUNDS} rounds")
    print(f"{'workload':14} {'alone':>6} {'recorded':>9}")
    columns: list[tuple[float, float]] = []
    for name in load(False):
        command = [sys.executable, __file__, name]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        columns.append((alone(name), float(done.stdout.split()[-1])))
        print(f"{name:14} {columns[-1][0]:6.2f} {columns[-1][1]:9.2f}", flush=True)
    means = [math.exp(statistics.fmean(map(math.log, column))) for column in zip(*columns, strict=True)]
    print(f"{'geometric mean':14} {means[0]:6.2f} {means[1]:9.2f}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(recorded(sys.argv[1]))
    else:
        main()
