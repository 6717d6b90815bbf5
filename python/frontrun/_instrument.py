"""Which code gets hooks: the scope, code that exists already, and code that is loaded later."""

from __future__ import annotations

import fnmatch
import gc
import sys
import sysconfig
import types
from pathlib import Path

from . import _core

_PACKAGE = str(Path(__file__).parent)

# Modules of the standard library whose code works on the caller's own objects: a race there is the caller's.
_TRANSPARENT = (
    "bisect",
    "collections",
    "contextlib",
    "copy",
    "dataclasses",
    "enum",
    "functools",
    "heapq",
    "operator",
    "types",
    "weakref",
)


def _outside() -> tuple[str, ...]:
    """Directories whose code is not in scope by default: standard library, installed packages, frontrun."""
    paths = sysconfig.get_paths()
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    roots = {str(Path(paths[name])) for name in names if paths.get(name)}
    roots |= {str(Path(root).resolve()) for root in roots}
    # A virtual environment's interpreter has its standard library elsewhere.
    roots.add(str(Path(sys.base_prefix) / "lib"))
    roots.add(_PACKAGE)
    return tuple(f"{root}/" for root in roots)


class Scope:
    """Decides whether threads may switch in the code of a file.

    ``include`` and ``exclude`` are globs on dotted module names; ``exclude`` wins. Everything outside the standard
    library and the installed packages is in scope, and the few modules of the standard library that handle objects
    of their callers.
    """

    def __init__(self, include: tuple[str, ...] = (), exclude: tuple[str, ...] = ()) -> None:
        self.include = include
        self.exclude = exclude
        self._outside = _outside()
        self._known: dict[str, bool] = {}

    def __contains__(self, filename: str) -> bool:
        known = self._known.get(filename)
        if known is None:
            known = self._known[filename] = self._decide(filename)
        return known

    def _decide(self, filename: str) -> bool:
        if filename.startswith(("<frozen", f"{_PACKAGE}/")):
            return False
        module = self._module(filename)
        if any(fnmatch.fnmatchcase(module, glob) for glob in self.exclude):
            return False
        if any(fnmatch.fnmatchcase(module, glob) for glob in self.include):
            return True
        return module.split(".")[0] in _TRANSPARENT or not filename.startswith(self._outside)

    @staticmethod
    def _module(filename: str) -> str:
        """The dotted name under which a file would be imported, as far as ``sys.path`` tells."""
        path = filename.removesuffix(".py").removesuffix("/__init__")
        roots = sorted((root for root in sys.path if root), key=len, reverse=True)
        for root in roots:
            if path.startswith(f"{root}/"):
                return path[len(root) + 1 :].replace("/", ".")
        return Path(path).name


def instrument_existing(scope: Scope) -> None:
    """Give every function in scope that exists now code with hooks."""
    done: dict[types.CodeType, types.CodeType] = {}
    files: set[str] = set()
    for function in [found for found in gc.get_objects() if type(found) is types.FunctionType]:
        code = function.__code__
        if code.co_filename not in scope:
            continue
        if code not in done:
            done[code] = _core.rewrite(code, True)
            files.add(code.co_filename)
        function.__code__ = done[code]
    _core.remember_sources(sorted(files))


def instrument_later(scope: Scope) -> None:
    """Give every code object in scope that is executed from now on (imports, ``exec``) hooks."""
    _core.instrument_exec(scope.__contains__)
