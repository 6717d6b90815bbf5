"""Random threads that spin have exactly the outcomes that brute force over a model finds, and no other livelocks."""

from __future__ import annotations

import pytest
import spinning_programs
from frontrun.dpor import explore_dpor
from shares import portions, share


@pytest.mark.parametrize(
    "seeds", portions(share(150, "FRONTRUN_SPINNING_PROGRAMS"), 10), ids=lambda seeds: str(seeds[0])
)
def test_random_threads_have_the_outcomes_of_brute_force(seeds: list[int]) -> None:
    for seed in seeds:
        threads = spinning_programs.program(seed)
        outcomes, stuck = spinning_programs.all_outcomes(threads)
        result = explore_dpor(
            lambda threads=threads: spinning_programs.real_state(threads),  # type: ignore[misc]
            spinning_programs.workers(threads),
            lambda s: True,
            stop_on_first=False,
            reproduce_on_failure=0,
            observe=spinning_programs.observe,
            max_executions=150,
            workers=1,
        )
        kinds = {failure.kind for failure in result.failures}
        if result.bounded_by == "executions":
            assert set(result.outcomes) <= outcomes, (seed, threads)
            continue
        assert set(result.outcomes) == outcomes, (seed, threads)
        assert kinds <= {"livelock", "deadlock"}, (seed, threads, result.explanation)
        assert bool(kinds) == stuck, (seed, threads, result.explanation)
        assert result.verdict == ("failed" if stuck else "exhausted"), (seed, threads, result.explanation)
