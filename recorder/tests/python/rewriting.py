"""The rewriter, called from Python: `rewrite(code)` returns a code object with hooks.

The library is the example `rewrite_cabi` of the recorder crate; its path is in FRONTRUN_REWRITER, or it is
looked for in the target directory of the workspace.
A site is any object on which `del site[site]` works; the stand-ins here call a builtin, so they add no frame.
"""

import ctypes
import os
import pathlib
import struct
import sys
import types
from dataclasses import dataclass

WORKSPACE = pathlib.Path(__file__).resolve().parents[3]


class _Bytes(ctypes.Structure):
    _fields_ = [("start", ctypes.c_char_p), ("length", ctypes.c_size_t)]


class _View(ctypes.Structure):
    _fields_ = [
        ("code", _Bytes),
        ("exception_table", _Bytes),
        ("line_table", _Bytes),
        ("first_line", ctypes.c_int32),
        ("n_consts", ctypes.c_uint32),
        ("stack_size", ctypes.c_uint32),
    ]


class _Buffer(ctypes.Structure):
    _fields_ = [("start", ctypes.POINTER(ctypes.c_char)), ("length", ctypes.c_size_t)]


def _load():
    path = os.environ.get("FRONTRUN_REWRITER")
    if path is None:
        found = [
            WORKSPACE / "target" / profile / "examples" / "librewrite_cabi.so" for profile in ("release", "debug")
        ]
        path = next((str(candidate) for candidate in found if candidate.exists()), None)
    if path is None:
        raise RuntimeError(
            "build the rewriter first: cargo build --release -p frontrun-recorder --example rewrite_cabi"
        )
    library = ctypes.CDLL(path)
    buffer = ctypes.POINTER(_Buffer)
    view = ctypes.POINTER(_View)
    library.frontrun_rewrite.argtypes = [ctypes.c_uint8, view, ctypes.c_uint64, buffer]
    library.frontrun_rewrite_repeatedly.argtypes = [ctypes.c_uint8, view, ctypes.c_uint64, ctypes.c_uint32]
    library.frontrun_rewrite_repeatedly.restype = None
    library.frontrun_opcode_facts.argtypes = [ctypes.c_uint8, ctypes.c_uint8, ctypes.c_uint32, buffer]
    library.frontrun_kind_names.argtypes = [buffer]
    library.frontrun_kind_names.restype = None
    library.frontrun_free.argtypes = [_Buffer]
    library.frontrun_free.restype = None
    return library


_LIBRARY = _load()
_MINOR = sys.version_info[1]


def _call(function, *args):
    """Status and contents of the buffer that a library function fills."""
    buffer = _Buffer()
    status = function(*args, ctypes.byref(buffer))
    contents = ctypes.string_at(buffer.start, buffer.length)
    _LIBRARY.frontrun_free(buffer)
    return status, contents


KINDS = _call(_LIBRARY.frontrun_kind_names)[1].decode().split()
# The beginning of a function is no instruction, and would take the place of one.
ALL_KINDS = (1 << KINDS.index("Enter")) - 1
NO_KEYWORD_NAMES = 0xFFFFFFFF


def kind_set(*names):
    """The bits of these kinds."""
    return sum(1 << KINDS.index(name) for name in names)


@dataclass(slots=True)
class SiteSpec:
    """`SiteSpec` of the Rust module, field by field."""

    kind: str
    arg: int
    method_form: bool
    keyword_names: int | None
    depth: int
    original_unit: int
    line: int
    end_line: int
    column: int
    end_column: int


@dataclass(slots=True)
class Rewritten:
    """`Rewritten` of the Rust module; the offset map is a list with one entry for each unit."""

    code: bytes
    exception_table: bytes
    line_table: bytes
    stack_size: int
    sites: list[SiteSpec]
    original_units: list[int]


class RewriteError(Exception):
    """The rewriter refused the code."""


class _Reader:
    def __init__(self, contents):
        self.contents, self.position = contents, 0

    def numbers(self, layout):
        values = struct.unpack_from(layout, self.contents, self.position)
        self.position += struct.calcsize(layout)
        return values

    def string(self):
        (length,) = self.numbers("<I")
        self.position += length
        return self.contents[self.position - length : self.position]

    def site(self):
        kind, arg, method_form, names, *rest = self.numbers("<8I2i")
        names = None if names == NO_KEYWORD_NAMES else names
        return SiteSpec(KINDS[kind], arg, bool(method_form), names, *rest)


def view_of(code):
    """The parts of a code object as the library wants them."""

    def part(contents):
        return _Bytes(contents, len(contents))

    return _View(
        part(code.co_code),
        part(code.co_exceptiontable),
        part(code.co_linetable),
        code.co_firstlineno,
        len(code.co_consts),
        code.co_stacksize,
    )


def rewrite_parts(code, kinds=ALL_KINDS):
    """The result of the Rust function for one code object, nested ones left alone."""
    status, contents = _call(_LIBRARY.frontrun_rewrite, _MINOR, view_of(code), kinds)
    if status == 2:
        raise RewriteError(contents.decode())
    if status == 0:
        return None
    reader = _Reader(contents)
    code, exception_table, line_table = reader.string(), reader.string(), reader.string()
    stack_size, n_sites = reader.numbers("<II")
    sites = [reader.site() for _ in range(n_sites)]
    (n_units,) = reader.numbers("<I")
    return Rewritten(
        code, exception_table, line_table, stack_size, sites, list(reader.numbers(f"<{n_units}I"))
    )


def rewrite_repeatedly(code, rounds, kinds=ALL_KINDS):
    """Rewrites one code object again and again, to measure the time."""
    _LIBRARY.frontrun_rewrite_repeatedly(_MINOR, view_of(code), kinds, rounds)


def opcode_facts(opcode, arg):
    """Name, caches, jumps, falls_through and the two stack effects, or None."""
    known, contents = _call(_LIBRARY.frontrun_opcode_facts, _MINOR, opcode, arg)
    if not known:
        return None
    reader = _Reader(contents)
    return (*reader.numbers("<IIIii"), reader.string().decode())


class SilentSite:
    """A site whose hook calls a builtin and has no effect."""

    __slots__ = ()
    # A builtin without an audit event: audit hooks of the program would add frames.
    __delitem__ = staticmethod(callable)


def silent(spec, code):
    """One silent site for all."""
    return _SILENT


_SILENT = SilentSite()


def rewrite(code, make_site=silent, kinds=ALL_KINDS):
    """The code object with hooks, nested ones included; `make_site(spec, code)` makes the constants."""
    consts = tuple(
        rewrite(const, make_site, kinds) if isinstance(const, types.CodeType) else const
        for const in code.co_consts
    )
    parts = rewrite_parts(code, kinds)
    if parts is None:
        return code.replace(co_consts=consts)
    return code.replace(
        co_code=parts.code,
        co_consts=consts + tuple(make_site(spec, code) for spec in parts.sites),
        co_exceptiontable=parts.exception_table,
        co_linetable=parts.line_table,
        co_stacksize=parts.stack_size,
    )


def code_objects(code):
    """A code object and all nested ones."""
    yield code
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            yield from code_objects(const)
