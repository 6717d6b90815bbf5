"""Which code gets hooks: the scope, code that exists already, and code that is loaded later."""

from __future__ import annotations

import fnmatch
import gc
import sys
import sysconfig
import types
from pathlib import Path
from typing import Any, Literal

from . import _core

_PACKAGE = str(Path(__file__).parent)

# What code that was text calls its file.
_TEXT = "<string>"

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


def outside() -> tuple[str, ...]:
    """Directories whose code is not in scope by default: standard library, installed packages, frontrun."""
    paths = sysconfig.get_paths()
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    roots = {str(Path(paths[name])) for name in names if paths.get(name)}
    roots |= {str(Path(root).resolve()) for root in roots}
    # A virtual environment's interpreter has its standard library elsewhere.
    roots.add(str(Path(sys.base_prefix) / "lib"))
    roots.add(_PACKAGE)
    return tuple(f"{root}/" for root in roots)


# How code is seen: threads switch at every access; it counts as done by its caller; a call is one step.
Seen = Literal["in scope", "on behalf", "atomic"]


class Scope:
    """Decides how the code of a file is seen.

    ``include``, ``exclude`` and ``atomic`` are globs on dotted module names; ``exclude`` wins, then ``include``.
    Everything outside the standard library and the installed packages is in scope: threads may switch at each of its
    accesses. Of ``atomic`` modules the accesses are seen, but threads switch only where the code waits. The few modules
    of the standard library that handle objects of their callers count when such code has called them.
    """

    def __init__(
        self, include: tuple[str, ...] = (), exclude: tuple[str, ...] = (), atomic: tuple[str, ...] = ()
    ) -> None:
        self.include = include
        self.exclude = exclude
        self.atomic = atomic
        self._outside = outside()
        self._known: dict[str, Seen | None] = {}

    def flags(self) -> list[tuple[str, str]]:
        """What the header of a recording says about the scope."""
        named = (("include", self.include), ("exclude", self.exclude), ("atomic", self.atomic))
        return [(name, glob) for name, globs in named for glob in globs]

    def hooks(self, filename: str) -> Seen | None:
        """How the code of a file is seen; ``None`` when it is not."""
        if filename == _TEXT:
            return self.hooks_text(sys._getframe(1).f_globals)
        if filename not in self._known:
            self._known[filename] = self._decide(filename)
        return self._known[filename]

    def hooks_text(self, module: dict[str, Any]) -> Seen | None:
        """How code is seen that was text: as the code of the module with these globals, which has executed it.

        The constructor of a named tuple reads nothing but what it is given.
        """
        name = str(module.get("__name__"))
        if name == "collections" or name.startswith("namedtuple_"):
            return None
        file = module.get("__file__") or getattr(sys.modules.get(name), "__file__", None)
        if file is None or file.startswith(f"{_PACKAGE}/"):
            return "in scope"  # The program itself is text.
        return self.hooks(file)

    def _decide(self, filename: str) -> Seen | None:
        if filename.startswith(("<frozen", f"{_PACKAGE}/")):
            return None
        module = self._module(filename)
        if any(fnmatch.fnmatchcase(module, glob) for glob in self.exclude):
            return None
        if any(fnmatch.fnmatchcase(module, glob) for glob in self.include):
            return "in scope"
        if any(fnmatch.fnmatchcase(module, glob) for glob in self.atomic):
            return "atomic"
        if module.split(".")[0] in _TRANSPARENT:
            return "on behalf"
        return None if filename.startswith(self._outside) else "in scope"

    @staticmethod
    def _module(filename: str) -> str:
        """The dotted name under which a file would be imported, as far as ``sys.path`` tells."""
        path = filename.removesuffix(".py").removesuffix("/__init__")
        roots = sorted((root for root in sys.path if root), key=len, reverse=True)
        for root in roots:
            if path.startswith(f"{root}/"):
                return path[len(root) + 1 :].replace("/", ".")
        return Path(path).name


def instrument_existing(scope: Scope) -> list[tuple[types.FunctionType, types.CodeType]]:
    """Give every function that exists now and whose code gets hooks such code; return them with the code they had."""
    replaced = []
    done: dict[types.CodeType, types.CodeType] = {}
    files: set[str] = set()
    for function in [found for found in gc.get_objects() if type(found) is types.FunctionType]:
        code = function.__code__
        is_text = code.co_filename == _TEXT
        seen = scope.hooks_text(function.__globals__) if is_text else scope.hooks(code.co_filename)
        if seen is None:
            continue
        if code not in done:
            done[code] = _core.rewrite(code, seen)
            files.add(code.co_filename)
        function.__code__ = done[code]
        replaced.append((function, code))
    _core.remember_sources(sorted(files))
    return replaced


def instrument_later(scope: Scope) -> None:
    """Give code objects that are executed from now on (imports, ``exec``) hooks where the scope says so."""
    _core.instrument_exec(scope.hooks)
