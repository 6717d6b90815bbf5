"""Where the LD_PRELOAD library is, and how it gets to see the I/O of this process."""

from __future__ import annotations

import importlib.machinery
import sys
from pathlib import Path
from typing import Any

from . import _children, _core
from ._instrument import outside


def library_path() -> Path:
    """Return the path of the library, which is always installed beside this file."""
    suffix = "dylib" if sys.platform == "darwin" else "so"
    path = Path(__file__).with_name(f"libfrontrun_io.{suffix}")
    if not path.exists():
        message = f"{path} is missing: reinstall frontrun (`pip install .` builds it)"
        raise FileNotFoundError(message)
    return path


def watch() -> None:
    """Make the I/O of controlled threads visible, also that of libraries that are loaded later.

    Files of the standard library and of installed packages belong to the interpreter and not to the program.
    """
    library = str(library_path())
    _core.watch_io(library, [folder.rstrip("/") for folder in outside()])
    loader: Any = importlib.machinery.ExtensionFileLoader
    exec_module = loader.exec_module

    def exec_and_watch(self: Any, module: Any) -> None:
        exec_module(self, module)
        _core.watch_io(library, [])
        if module.__name__ == "_sqlite3":
            _model_sqlite()

    loader.exec_module = exec_and_watch
    if "_sqlite3" in sys.modules:
        _model_sqlite()
    _children.install()


def _model_sqlite() -> None:
    from . import _sqlite

    _sqlite.install()
