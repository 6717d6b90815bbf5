"""Random programs over all primitives: explored outcomes and deadlocks are those that brute force finds."""

from __future__ import annotations

import pytest
from primitive_programs import disagreement

PROGRAMS = 200
AT_A_TIME = 20


@pytest.mark.parametrize("first", range(0, PROGRAMS, AT_A_TIME))
def test_exploration_agrees_with_brute_force(first: int) -> None:
    wrong = [text for seed in range(first, first + AT_A_TIME) if (text := disagreement(seed))]
    assert not wrong, "\n".join(wrong)
