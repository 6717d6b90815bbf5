"""What every exploring call may ask for, besides its program: strategy, budgets, scope, traces."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Literal

from ._exploration import Clock, Execution, Options
from ._instrument import Scope
from .bytecode import SAMPLERS, sampling

Strategy = Literal["dpor", "random"]


def check_execution(execution: Execution, **senseless: bool) -> None:
    """Refuse what makes no sense for workers that are processes: these options."""
    if execution not in ("thread", "process"):
        message = f"no execution is called {execution!r}; there are 'thread' and 'process'"
        raise ValueError(message)
    if execution == "process":
        if not sys.platform.startswith("linux"):
            message = "workers can be processes on Linux only"
            raise ValueError(message)
        for name, is_given in senseless.items():
            if is_given:
                message = f"{name} has no meaning for execution='process': processes share no memory and no GIL"
                raise TypeError(message)


def options(
    *,
    strategy: Strategy = "dpor",
    max_executions: int | None = None,
    preemption_bound: int | None = None,
    max_attempts: int | None = None,
    max_ops: int | None = None,
    seed: int | None = None,
    samplers: Sequence[str] | None = None,
    stop_on_first: bool = True,
    reproduce_on_failure: int = 10,
    total_timeout: float | None = None,
    timeout_per_run: float = 5.0,
    error_on_any_race: bool = False,
    trace_dir: str | os.PathLike[str] | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    trace_packages: Sequence[str] = (),
    trust: Sequence[str] = (),
    clock: Clock = "virtual",
    gil: bool = False,
    spurious_wakeups: bool = False,
    free_threaded: bool = False,
    jobs: int | None = None,
) -> Options:
    """Bring together what was asked for; refuse options that the chosen strategy would ignore."""
    systematic = {"max_executions": max_executions, "preemption_bound": preemption_bound}
    drawn = {"max_attempts": max_attempts, "max_ops": max_ops, "seed": seed, "samplers": samplers}
    if strategy not in ("dpor", "random"):
        message = f"no strategy is called {strategy!r}; there are 'dpor' and 'random'"
        raise ValueError(message)
    for name, value in (drawn if strategy == "dpor" else systematic).items():
        if value is not None:
            message = f"{name} has no meaning for strategy={strategy!r}"
            raise TypeError(message)
    plan = None
    if strategy == "random":
        plan = sampling(max_attempts or 200, seed, samplers or SAMPLERS, max_ops or 300)
    return Options(
        scope=Scope(tuple(include), tuple(exclude), tuple(trace_packages), trust=tuple(trust)),
        max_executions=max_executions,
        preemption_bound=preemption_bound,
        stop_on_first=stop_on_first,
        reproduce_on_failure=reproduce_on_failure,
        total_timeout=total_timeout,
        timeout_per_run=timeout_per_run,
        trace_dir=trace_dir,
        workers=jobs,
        clock=clock,
        gil=gil,
        spurious_wakeups=spurious_wakeups,
        free_threaded=free_threaded,
        fail_on_race=error_on_any_race,
        sampling=plan,
    )
