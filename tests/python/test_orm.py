"""The lost update of an ORM on PostgreSQL, from an ordinary program to its replays."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import local_servers
import pytest
from conftest import Run


def test_a_lost_update_through_an_orm_is_found_explained_and_replayed(
    frontrun: Run, examples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, failure = examples / "orm_lost_update.py", ".frontrun/orm_lost_update/failure-1.frz"
    with local_servers.postgres() as address:
        monkeypatch.setenv("DATABASE_URL", address)
        done = frontrun("explore", "--record-io", "--trust", "sqlalchemy*", "python", program, timeout=500)
        _check_explained(done)
        done = frontrun("replay", "--times", 20, failure, timeout=500)
        assert "reproduced 20/20" in done.stdout, done.stdout + done.stderr
    # The server has been stopped.
    assert "reproduced 0/1" in frontrun("replay", failure).stdout
    done = frontrun("replay", "--hermetic", "--times", 5, failure, timeout=500)
    assert "reproduced 5/5" in done.stdout, done.stdout + done.stderr


def _check_explained(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 1, done.stdout + done.stderr
    assert "AssertionError: a deposit was lost" in done.stdout
    assert "orm_account[id=1]" in done.stdout
    # Both sessions read the row before either commits.
    marks = re.findall(r"^ +\d+ +(\d+): .*\[([RW]+) a\]$", done.stdout, re.MULTILINE)
    first_write = next(n for n, (_, how) in enumerate(marks) if "W" in how)
    assert marks[:first_write].count(("29", "R")) == 2, done.stdout
