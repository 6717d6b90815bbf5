"""The lost update of an ORM on PostgreSQL, from an ordinary program to its replays."""

from __future__ import annotations

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
    rows = [line for line in done.stdout.splitlines() if "orm_lost_update.py:" in line]
    marked = [(".py:29" in line, "[R" in line, "[W" in line) for line in rows if "[R" in line or "[W" in line]
    assert marked.index((False, False, True)) > [n for n, mark in enumerate(marked) if mark == (True, True, False)][1]
    done = frontrun("replay", "--times", 20, ".frontrun/orm_lost_update/failure-1.frz", timeout=500)
    assert "reproduced 20/20" in done.stdout, done.stdout + done.stderr
