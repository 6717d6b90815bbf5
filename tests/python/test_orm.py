"""The lost update of an ORM on PostgreSQL, from an ordinary program to its replays."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import Run


def test_a_lost_update_through_an_orm_is_found_explained_and_replayed(
    frontrun: Run, examples: Path, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres)
    done = frontrun("explore", "--trust", "sqlalchemy*", "python", examples / "orm_lost_update.py", timeout=500)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "AssertionError: a deposit was lost" in done.stdout
    assert "orm_account[id=1]" in done.stdout
    # Both sessions read the row before either commits.
    marks = re.findall(r"^ +\d+ +(\d+): .*\[([RW]+) a\]$", done.stdout, re.MULTILINE)
    first_write = next(n for n, (_, how) in enumerate(marks) if "W" in how)
    assert marks[:first_write].count(("29", "R")) == 2, done.stdout
    done = frontrun("replay", "--times", 20, ".frontrun/orm_lost_update/failure-1.frz", timeout=500)
    assert "reproduced 20/20" in done.stdout, done.stdout + done.stderr
