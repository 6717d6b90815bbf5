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
        elif module.__name__ == "_ctypes":
            _watch_ctypes(module, library)

    loader.exec_module = exec_and_watch
    if "_sqlite3" in sys.modules:
        _model_sqlite()
    if "ctypes" in sys.modules:
        _watch_ctypes(sys.modules["_ctypes"], library)
        sys.modules["ctypes"].__dict__["_dlopen"] = sys.modules["_ctypes"].__dict__["dlopen"]
    _children.install()


def _watch_ctypes(module: Any, library: str) -> None:
    """Have libraries that a program loads by ctypes watched, too."""
    dlopen = module.dlopen

    def dlopen_and_watch(*args: Any) -> Any:
        handle = dlopen(*args)
        _core.watch_io(library, [])
        return handle

    module.dlopen = dlopen_and_watch


def _model_sqlite() -> None:
    from . import _sqlite

    _sqlite.install()
