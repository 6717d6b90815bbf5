"""Where the traces of an exploration go.

It works in a temporary folder, of which nothing stays unless an execution has failed. Then the failing traces are moved
to ``.frontrun/NAME/`` beside the program, as those of the command line are, where the next exploration by the same call
replaces or removes them. With ``trace_dir`` everything is written there and stays.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

from ._calls import Call

_ATTEMPTS = 10
"""How often the folder may be removed by another process while files are moved there: each does so once."""
_RESULT = re.compile(r"(first|failure-\d+)\.(frz|out)")


class Traces:
    """The folder of one exploration, as a context; when it is left, what is not kept is removed."""

    def __init__(self, call: Call, chosen: str | os.PathLike[str] | None) -> None:
        self._home = Path(call.directory, ".frontrun", call.slug)
        self._temporary = None
        if chosen is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="frontrun-")
            self.directory = self._temporary.name
        else:
            self.directory = os.fspath(chosen)

    def __enter__(self) -> Traces:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._temporary is not None:
            self._temporary.cleanup()

    def keep(self, report: dict[str, Any]) -> None:
        """Move the traces of a failed exploration to where they are found, and let its report say so."""
        if self._temporary is None:
            return
        self._remove_earlier()
        if not report["failures"]:
            report["first_trace"] = None
            return
        home = self._make_home()
        for file in Path(self.directory).iterdir():
            if _RESULT.fullmatch(file.name):
                self._move(file, home)
        for failure in report["failures"]:
            failure["trace"] = str(home / Path(failure["trace"]).name)
        if report["first_trace"] is not None:
            report["first_trace"] = str(home / Path(report["first_trace"]).name)

    def _move(self, file: Path, home: Path) -> None:
        """Move a file to its home, which another process that explores by the same call may remove meanwhile."""
        for _ in range(_ATTEMPTS):
            try:
                shutil.move(file, home / file.name)
                return
            except FileNotFoundError:
                home.mkdir(parents=True, exist_ok=True)
        message = f"{home} is removed again and again: give explorations that run at the same time a trace_dir each"
        raise FileNotFoundError(message)

    def _make_home(self) -> Path:
        try:
            self._home.mkdir(parents=True, exist_ok=True)
        except OSError:
            # The program's folder cannot be written to.
            return Path(tempfile.mkdtemp(prefix="frontrun-"))
        return self._home

    def _remove_earlier(self) -> None:
        """Remove what the last exploration by this call has left, and folders that are empty then."""
        try:
            for file in self._home.iterdir():
                if _RESULT.fullmatch(file.name):
                    file.unlink(missing_ok=True)
            self._home.rmdir()
            self._home.parent.rmdir()
        except OSError:
            # Nothing was left, or something that is not ours.
            return
