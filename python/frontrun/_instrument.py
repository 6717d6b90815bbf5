"""Which code gets hooks: the scope, code that exists already, and code that is loaded later."""

from __future__ import annotations

import fnmatch
import gc
import sys
import sysconfig
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

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

# What runs the program under test, what the interpreter does on its behalf, and modules whose only shared state is
# caches that change no result. Threads, their primitives and event loops have models.
_HIDDEN = (
    "_pytest",
    "_threading_local",
    "abc",
    "ast",
    "asyncio",
    "bdb",
    "codecs",
    "copyreg",
    "coverage",
    "debugpy",
    "dis",
    "doctest",
    "encodings",
    "execnet",
    "fnmatch",
    "hypothesis",
    "importlib",
    "inspect",
    "linecache",
    "locale",
    "opcode",
    "pdb",
    "pkgutil",
    "pluggy",
    "py",
    "pytest",
    "pytest_asyncio",
    "re",
    "runpy",
    "selectors",
    "site",
    "sre_compile",
    "sre_constants",
    "sre_parse",
    "threading",
    "tokenize",
    "traceback",
    "typing",
    "unittest",
    "warnings",
    "xdist",
    "zipimport",
)
_NOT_HIDDEN = ("unittest.mock",)
# Drivers of databases, which count as C code, as some of them are: what threads share through them are connections,
# whose requests are steps, and the objects that a program calls.
_NATIVE = ("psycopg",)
# Modules of asyncio that keep what tasks share; threads switch where a task suspends.
_OF_TASKS = ("futures", "locks", "queues", "staggered", "taskgroups", "tasks", "threads", "timeouts")


def _is_text(filename: str) -> bool:
    """Whether code was made from a text, and not read from a file of that name."""
    return filename.startswith("<") and not filename.startswith("<frozen ")


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


# How code is seen: threads switch at every access; it counts as done by its caller; what it does from one wait to the
# next is one step, also its locks are its own; it was made from a text; each call may change what it is handed; it is
# not seen, nor is what it calls.
Seen = Literal["in scope", "on behalf", "atomic", "closed", "made", "native", "hidden", "driving"]


class Scope:
    """Decides how the code of a file is seen.

    ``include`` and ``exclude`` are globs on dotted module names; ``exclude`` wins. Everything outside the standard
    library and the installed packages is in scope, too: threads may switch at each of its accesses. All other code is
    atomic: its accesses are seen, but threads switch only where it waits. The few modules of the standard library that
    handle objects of their callers count as done by these. ``packages`` are names of packages to include, ``trust`` has
    globs on modules that are not looked into.
    """

    def __init__(
        self,
        include: tuple[str, ...] = (),
        exclude: tuple[str, ...] = (),
        packages: tuple[str, ...] = (),
        *,
        libraries: bool = True,
        trust: tuple[str, ...] = (),
    ) -> None:
        self.include = (*include, *packages, *(f"{package}.*" for package in packages))
        self.exclude = exclude
        self.trust = trust
        self._libraries = libraries
        self._outside = outside()
        self._known: dict[str, Seen | None] = {}

    def flags(self) -> list[tuple[str, str]]:
        """What the header of a recording says about the scope."""
        named = (("include", self.include), ("exclude", self.exclude), ("trust", self.trust))
        return [(name, glob) for name, globs in named for glob in globs]

    def hooks(self, filename: str) -> Seen | None:
        """How the code of a file is seen; ``None`` when it is not."""
        if _is_text(filename):
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
        if file is None and name != "__main__":
            return "made"
        if file is None or file.startswith(f"{_PACKAGE}/"):
            return "in scope"  # The program itself is text.
        return self.hooks(file)

    def _decide(self, filename: str) -> Seen | None:
        if filename.startswith(f"{_PACKAGE}/"):
            if filename == f"{_PACKAGE}/_loop_model.py":
                return "driving"
            # What these modules call is the program.
            program = (f"{_PACKAGE}/_exploration.py", f"{_PACKAGE}/_async_program.py")
            return None if filename in program else "hidden"
        module = self._module(filename)
        package, _, rest = module.partition(".")
        is_outside = filename.startswith(("<frozen", *self._outside))
        if any(fnmatch.fnmatchcase(module, glob) for glob in self.trust):
            return "hidden"
        globs = [glob for glob in self.include if fnmatch.fnmatchcase(module, glob)]
        if package == "asyncio" and is_outside:
            return self._of_asyncio(rest, globs)
        if is_outside and package in _HIDDEN and module not in _NOT_HIDDEN and globs in ([], ["*"]):
            return "hidden"
        if any(fnmatch.fnmatchcase(module, glob) for glob in self.exclude):
            return "atomic"
        if globs or not is_outside:
            return "in scope"
        if package in _TRANSPARENT:
            return "on behalf"
        if package in _NATIVE:
            return "native"
        if not self._libraries:
            return None
        return "atomic" if "-packages/" in filename else "closed"

    @staticmethod
    def _of_asyncio(module: str, globs: list[str]) -> Seen | None:
        """What runs the loops is replaced by a model; the rest is what tasks share."""
        if module == "events":
            return None
        if module not in _OF_TASKS:
            return "hidden"
        return "in scope" if globs not in ([], ["*"]) else "atomic"

    @staticmethod
    def _module(filename: str) -> str:
        """The dotted name under which a file would be imported, as far as ``sys.path`` tells."""
        if filename.startswith("<frozen "):
            return filename.removeprefix("<frozen ").removesuffix(">")
        path = filename.removesuffix(".py").removesuffix("/__init__")
        roots = sorted((root for root in sys.path if root), key=len, reverse=True)
        for root in roots:
            if path.startswith(f"{root}/"):
                return path[len(root) + 1 :].replace("/", ".")
        return Path(path).name


_rewritten: dict[tuple[int, Seen], tuple[types.CodeType, types.CodeType]] = {}


def _with_hooks(scope: Scope) -> Iterator[tuple[types.FunctionType, types.CodeType]]:
    """Each function that exists now and whose code gets hooks or a mark, with such code."""
    for function in [found for found in gc.get_objects() if type(found) is types.FunctionType]:
        code = function.__code__
        is_text = _is_text(code.co_filename)
        seen = scope.hooks_text(function.__globals__) if is_text else scope.hooks(code.co_filename)
        if seen is None:
            continue
        known = _rewritten.get((id(code), seen))
        if known is None:
            known = _rewritten[id(code), seen] = (code, _core.rewrite(code, seen))
        yield function, known[1]


def rewrite_ahead(scope: Scope) -> None:
    """Rewrite, once for all processes that will be forked, what :func:`instrument_existing` will ask for there."""
    for _ in _with_hooks(scope):
        pass


def instrument_existing(scope: Scope) -> list[tuple[types.FunctionType, types.CodeType]]:
    """Give every function that exists now and whose code gets hooks such code; return them with the code they had."""
    replaced = []
    files: set[str] = set()
    for function, code in list(_with_hooks(scope)):
        replaced.append((function, function.__code__))
        function.__code__ = code
        if scope.hooks(code.co_filename) in ("in scope", "on behalf"):
            files.add(code.co_filename)
    _core.remember_sources(sorted(files))
    return replaced


def instrument_later(scope: Scope) -> None:
    """Give code objects that are executed from now on (imports, ``exec``) hooks where the scope says so."""
    _core.instrument_exec(scope.hooks)
