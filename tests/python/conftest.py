"""Where the whole-system tests find the examples and run the installed command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import local_servers
import pytest

# libgssapi, which libpq asks first, looks at its configuration again once a second: files that one execution of a
# program reads and another does not, by the system's clock.
os.environ["PGGSSENCMODE"] = "disable"

EXAMPLES = Path(__file__).parents[2] / "examples"

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def examples() -> Path:
    return EXAMPLES


@pytest.fixture
def frontrun(tmp_path: Path) -> Run:
    """Run the command line in a directory of its own."""

    def run(*words: object, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "frontrun", *map(str, words)],
            cwd=tmp_path,
            env={**os.environ, "NO_COLOR": "1", "COLUMNS": "120"},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run


@pytest.fixture
def explore(frontrun: Run) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Explore a target; return the exit code and the JSON answer."""

    def run(*words: object) -> tuple[int, dict[str, Any]]:
        done = frontrun("explore", "--json", *words)
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    return run


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL that is there for the tests alone."""
    with local_servers.postgres() as address:
        yield address


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """The address of a Redis that is there for the tests alone."""
    with local_servers.redis() as address:
        yield address
