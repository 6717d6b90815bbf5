"""Random programs over all primitives: explored outcomes and deadlocks are those that brute force finds."""

from __future__ import annotations

import pytest
from primitive_programs import disagreement
from shares import portions, share


@pytest.mark.parametrize("seeds", portions(share(200, "FRONTRUN_PRIMITIVE_PROGRAMS"), 10), ids=str)
def test_exploration_agrees_with_brute_force(seeds: list[int]) -> None:
    wrong = [text for seed in seeds if (text := disagreement(seed))]
    assert not wrong, "\n".join(wrong)
