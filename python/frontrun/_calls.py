"""The call of this package that an exploration is made for: its name, the command that comes to it again, its folder.

A replay runs the command, and re-enacts the execution at the call of that name, so names have to be the same in every
process that runs the program alike. In a test run that is the test, wherever and after whatever else it runs, as far as
the pytest plugin is there to tell; else it is the place in the program, and the how manieth call from there it is.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import sysconfig
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

_PACKAGE = str(Path(__file__).parent)
_ASYNCIO = f"{sysconfig.get_path('stdlib')}/asyncio/"
_LONGEST_SLUG = 100

_counts: dict[str, int] = {}


@dataclass(frozen=True)
class Call:
    """One call of an exploring function."""

    name: str
    command: list[str]
    """What runs the program up to this call."""
    directory: str
    """Where the command is run."""
    slug: str
    """The name of the folder of its traces."""

    def part(self, name: str) -> Call:
        """An exploration that is a part of this call."""
        return replace(self, name=f"{self.name}@{name}", slug=f"{self.slug}.{_clean(name)}")


class RunningTest(Protocol):
    """The test that runs now, as the pytest plugin knows it."""

    nodeid: str

    @property
    def command(self) -> list[str]: ...
    @property
    def directory(self) -> str: ...


def this_call() -> Call:
    """The call from outside of this package; of one that an event loop makes, where the loop is run."""
    frame = sys._getframe(1)
    while frame.f_code.co_filename.startswith((_PACKAGE, _ASYNCIO)) and frame.f_back is not None:
        frame = frame.f_back
    code = frame.f_code
    place = f"{code.co_filename}:{frame.f_lineno}:{code.co_qualname}"
    test = _running_test()
    if test is not None:
        return _numbered(f"{test.nodeid} {place}", _slug_of_test(test.nodeid), test.command, test.directory)
    names = [Path(code.co_filename).stem, *code.co_qualname.split(".")]
    slug = _clean(".".join(name for name in names if name not in ("<locals>", "<module>")))
    return _numbered(place, slug, sys.orig_argv, os.getcwd())


def call_of_test(test: RunningTest) -> Call:
    """The exploration of a whole test."""
    return _numbered(test.nodeid, _slug_of_test(test.nodeid), test.command, test.directory)


def begin_test() -> None:
    """Count anew: a test that is run again makes the same calls."""
    _counts.clear()


def _numbered(name: str, slug: str, command: list[str], directory: str) -> Call:
    for key in (name, f"/{slug}"):
        _counts[key] = _counts.get(key, 0) + 1
    nth = _counts[f"/{slug}"]
    return Call(f"{name}#{_counts[name]}", list(command), directory, slug if nth == 1 else f"{slug}-{nth}")


def _running_test() -> RunningTest | None:
    """The test that runs now, unless the plugin is switched off."""
    plugin = sys.modules.get("frontrun.pytest_plugin")
    return None if plugin is None else plugin.running_test()


def _slug_of_test(nodeid: str) -> str:
    path, *names = nodeid.split("::")
    return _clean(".".join([Path(path).stem, *names]))


def _clean(name: str) -> str:
    """A name for a folder; different ones stay different."""
    clean = re.sub(r"[^\w.=-]+", "-", name).strip(".-")[:_LONGEST_SLUG]
    if clean == name:
        return clean
    return f"{clean}-{hashlib.blake2b(name.encode(), digest_size=3).hexdigest()}".lstrip("-")
