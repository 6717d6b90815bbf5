"""Markers: ``# frontrun: name`` comments, and the instructions that they gate.

Comments are found by tokenising, so a string that looks like one does not count. A marker gates the line that it is on,
or, on a line of its own, the next line with code. To gate a line is to stop before the first instruction of the
statement there, each time the statement is executed; within a statement of several lines, before the first instruction
of the gated line, if it has code of its own. The exit of a ``with`` block, which has the line of its head, is not
gated. A loop whose body is on its own line is one statement, gated once.

Not here: noticing that a thread is there (``_marker_events``), and what happens then (``_turns``).
"""

from __future__ import annotations

import ast
import contextlib
import dis
import gc
import io
import linecache
import os
import re
import tokenize
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from types import CodeType, FrameType, FunctionType

Gates = Mapping[int, tuple[str, ...]]
"""Offsets of instructions, and the markers that gate them, in order."""

_MARKER = re.compile(r"#\s*frontrun:\s*([^\s\[\]]+)(?!\S)")
_LAYOUT = {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
_JUMPS = {*dis.hasjrel, *dis.hasjabs}
_NO_FALL_THROUGH = {
    "JUMP_BACKWARD",
    "JUMP_BACKWARD_NO_INTERRUPT",
    "JUMP_FORWARD",
    "RAISE_VARARGS",
    "RERAISE",
    "RETURN_CONST",
    "RETURN_VALUE",
}
# Instructions before those of the first statement, or of a handler.
_PREAMBLE = {"COPY_FREE_VARS", "MAKE_CELL", "PUSH_EXC_INFO", "RETURN_GENERATOR"}
# What a statement can begin with, besides loads: instructions that take nothing from the stack that is their own.
_BEGINNINGS = {
    "COPY",
    "DELETE_DEREF",
    "DELETE_FAST",
    "DELETE_GLOBAL",
    "DELETE_NAME",
    "EXTENDED_ARG",
    "FOR_ITER",
    "GET_ANEXT",
    "JUMP_BACKWARD",
    "JUMP_FORWARD",
    "NOP",
    "PUSH_NULL",
    "RAISE_VARARGS",
    "RETURN_CONST",
    "SETUP_ANNOTATIONS",
}
_LOADS_FROM_STACK = ("LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR", "LOAD_FROM_DICT")
_COMPREHENSIONS = {"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"}
_NONE: Gates = {}
_PACKAGE = os.path.dirname(__file__) + os.sep
_LIBRARY = os.path.dirname(os.__file__) + os.sep


@dataclass(frozen=True)
class _Head:
    """The lines of a statement before its body, and what it is."""

    first: int
    last: int
    kind: type[ast.AST]


@dataclass
class _Marked:
    """The markers of one file."""

    names: dict[int, tuple[str, ...]] = field(default_factory=dict)
    """By gated line."""
    heads: list[_Head] = field(default_factory=list)


class MarkerRegistry:
    """The markers of the files that it has been shown."""

    def __init__(self) -> None:
        self._files: dict[str, _Marked] = {}
        # Code objects are kept, so that none is mistaken for a later one at its address.
        self._gates: dict[int, tuple[CodeType, Gates]] = {}

    def scan_frame(self, frame: FrameType) -> None:
        """Find the markers in the file whose code a frame runs."""
        self._scan(frame.f_code.co_filename, frame)

    def get_marker(self, filename: str, line: int) -> str | None:
        """Return the name of the first marker that gates a line of a file, if there is one."""
        names = self._scan(filename, None).names.get(line)
        return names[0] if names else None

    def gates(self, code: CodeType, frame: FrameType | None = None) -> Gates:
        """Return where in a code object markers gate. ``frame`` helps to find the source."""
        known = self._gates.get(id(code))
        if known is None:
            marked = self._scan(code.co_filename, frame)
            known = self._gates[id(code)] = code, _gates(code, marked) if marked.names else _NONE
        return known[1]

    def files(self) -> list[str]:
        """Return the files in which markers have been found."""
        return [filename for filename, marked in self._files.items() if marked.names]

    def learn(self, files: Collection[str]) -> None:
        """Find the markers in files, and the gates of the functions there are."""
        for function in [found for found in gc.get_objects() if type(found) is FunctionType]:
            if function.__code__.co_filename in files:
                self._learn_code(function.__code__)

    def _learn_code(self, code: CodeType) -> None:
        self.gates(code)
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                self._learn_code(constant)

    def _scan(self, filename: str, frame: FrameType | None) -> _Marked:
        marked = self._files.get(filename)
        if marked is None:
            marked = self._files[filename] = _Marked() if _is_foreign(filename) else _read(filename, frame)
        return marked


def _is_foreign(filename: str) -> bool:
    """Whether a file is the standard library's or frontrun's, and not worth a look."""
    if filename.startswith(("<frozen", _PACKAGE)):
        return True
    return filename.startswith(_LIBRARY) and "-packages" not in filename


def _read(filename: str, frame: FrameType | None) -> _Marked:
    lines = linecache.getlines(filename, frame.f_globals if frame is not None else None)
    return _find("".join(lines)) if any("frontrun:" in line for line in lines) else _Marked()


def _find(source: str) -> _Marked:
    """Find the markers in a source text."""
    marked = _Marked()
    for line, names in _gated_lines(source):
        marked.names[line] = (*marked.names.get(line, ()), *names)
    if marked.names:
        with contextlib.suppress(SyntaxError):
            marked.heads = sorted(_heads(ast.parse(source)), key=lambda head: head.first)
    return marked


def _gated_lines(source: str) -> Iterator[tuple[int, list[str]]]:
    """Yield gated lines and names: markers above a line before those on it."""
    waiting: list[str] = []
    line_of_code = 0
    with contextlib.suppress(tokenize.TokenError, SyntaxError):
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT:
                names = _MARKER.findall(token.string)
                if names and token.start[0] == line_of_code:
                    yield line_of_code, names
                else:
                    waiting += names
            elif token.type not in _LAYOUT:
                if waiting:
                    yield token.start[0], waiting
                    waiting = []
                line_of_code = token.end[0]


def _heads(tree: ast.AST) -> Iterator[_Head]:
    """Yield the heads of all statements, handlers and cases that have code of their own."""
    for node in ast.walk(tree):
        if isinstance(node, ast.match_case):
            yield _Head(node.pattern.lineno, _last(node.pattern.lineno, node.body), ast.match_case)
        elif isinstance(node, ast.ExceptHandler):
            if node.type is not None:
                yield _Head(node.lineno, _last(node.lineno, node.body), ast.ExceptHandler)
        elif isinstance(node, ast.Match):
            yield _Head(node.lineno, max(node.lineno, node.cases[0].pattern.lineno - 1), ast.Match)
        elif isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            last = _last(node.lineno, body) if body else node.end_lineno or node.lineno
            yield _Head(_first(node), last, type(node))


def _first(statement: ast.stmt) -> int:
    """The first line of a statement, decorators included."""
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(decorator.lineno for decorator in decorators)])


def _last(line: int, body: list[ast.stmt]) -> int:
    """The last line of a head that begins at ``line`` and is followed by ``body``."""
    return max(line, _first(body[0]) - 1)


def _gates(code: CodeType, marked: _Marked) -> Gates:
    """Find the instructions of one code object that markers gate."""
    if code.co_name in _COMPREHENSIONS:
        return _NONE
    flow = _Flow(code)
    gates: dict[int, tuple[str, ...]] = {}
    for line, names in sorted(marked.names.items()):
        for offset in _gated_offsets(flow, line, marked.heads):
            gates[offset] = (*gates.get(offset, ()), *names)
    return gates


def _gated_offsets(flow: _Flow, line: int, heads: list[_Head]) -> list[int]:
    """The instructions before which a thread that executes ``line`` has to stop."""
    around = [head for head in heads if head.first <= line <= head.last]
    if not around:
        # A line without code of its own, such as ``else:``: what follows it is gated.
        around = [head for head in heads if head.first > line][:1]
        if not around:
            return flow.entries(_Head(line, line, ast.stmt))
        line = around[0].first
    head = min((head for head in around if head.first == around[-1].first), key=lambda head: -head.last)
    if head.first < line:
        own = flow.entries(_Head(line, line, ast.expr))
        if own or flow.is_lambda:
            return own
    return [] if flow.is_lambda else flow.entries(head)


class _Flow:
    """The instructions of a code object, and which of them can follow which."""

    def __init__(self, code: CodeType) -> None:
        self.is_lambda = code.co_name == "<lambda>"
        self._instructions = list(dis.get_instructions(code))
        self._lines = self._effective_lines()
        self._previous = self._predecessors()

    def entries(self, head: _Head) -> list[int]:
        """Offsets of the instructions through which the flow comes into the lines of a statement's head."""
        inside = [line is not None and head.first <= line <= head.last for line in self._lines]
        found = [
            instruction.offset
            for at, instruction in enumerate(self._instructions)
            if inside[at]
            and self._can_begin(instruction, head.kind)
            and any(not inside[before] or self._is_preamble(before) for before in self._previous[at])
        ]
        # What ends a jump out of a ``with`` or ``try`` block has the line of the jump again.
        return found[:1] if head.kind in (ast.Return, ast.Break, ast.Continue) else found

    @staticmethod
    def _can_begin(instruction: dis.Instruction, kind: type[ast.AST]) -> bool:
        name = instruction.opname
        if kind is ast.match_case:
            # A case begins with the subject on the stack.
            return True
        if kind in (ast.With, ast.AsyncWith) and name == "LOAD_CONST" and instruction.argval is None:
            return False
        if name.startswith("LOAD_"):
            return not name.startswith(_LOADS_FROM_STACK)
        return name in _BEGINNINGS or (name.startswith("BUILD_") and instruction.arg == 0)

    def _is_preamble(self, at: int) -> bool:
        instruction = self._instructions[at]
        return instruction.opname in _PREAMBLE or (instruction.opname == "RESUME" and instruction.arg == 0)

    def _effective_lines(self) -> list[int | None]:
        """The line of each instruction; one without a line has that of the one before it."""
        lines: list[int | None] = []
        for instruction in self._instructions:
            line = instruction.positions.lineno if instruction.positions else None
            lines.append(line if line is not None else lines[-1] if lines else None)
        return lines

    def _predecessors(self) -> list[list[int]]:
        index = {instruction.offset: at for at, instruction in enumerate(self._instructions)}
        previous: list[list[int]] = [[] for _ in self._instructions]
        for at, instruction in enumerate(self._instructions):
            if at + 1 < len(previous) and instruction.opname not in _NO_FALL_THROUGH:
                previous[at + 1].append(at)
            if instruction.opcode in _JUMPS and instruction.argval in index:
                previous[index[instruction.argval]].append(at)
        return previous
