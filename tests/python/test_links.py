"""Symbolic links are what they lead to, and not what that contains; one that was made begins with nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from frontrun.dpor import InterleavingResult, explore_dpor


@pytest.fixture
def explore(tmp_path: Path) -> Callable[..., InterleavingResult]:
    folder = tmp_path / "folder"

    def state() -> Any:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "file").write_text("before")
        (folder / "link").symlink_to("file")
        return SimpleNamespace(folder=folder, found=[])

    def run(*threads: Callable[[Any], object]) -> InterleavingResult:
        return explore_dpor(
            state, list(threads), lambda s: True, observe=lambda s: sorted(s.found), stop_on_first=False
        )

    return run


def make(s: Any) -> None:
    try:
        (s.folder / "new").symlink_to("file")
        s.found.append("made")
    except FileExistsError:
        s.found.append("there")


def write(s: Any) -> None:
    (s.folder / "file").write_text("after")


def where_it_leads(s: Any) -> None:
    s.found.append(os.path.realpath(s.folder / "link")[-4:])


def read_through_it(s: Any) -> None:
    s.found.append((s.folder / "link").read_text())


def test_one_of_two_makes_it(explore: Callable[..., InterleavingResult]) -> None:
    result = explore(make, make)
    assert (result.verdict, set(result.outcomes)) == ("exhausted", {"['made', 'there']"}), result.explanation


def test_where_it_leads_is_not_what_is_there(explore: Callable[..., InterleavingResult]) -> None:
    result = explore(write, where_it_leads)
    assert (result.verdict, set(result.outcomes)) == ("exhausted", {"['file']"}), result.explanation


def test_what_is_read_through_it(explore: Callable[..., InterleavingResult]) -> None:
    result = explore(write, read_through_it)
    assert (result.verdict, set(result.outcomes)) == ("exhausted", {"['']", "['after']", "['before']"})
