"""Rewriting the whole standard library: without its hooks, new code is the old code.

FRONTRUN_CORPUS=quick takes the top-level modules only.
"""

import dis
import os
import pathlib
import sys
import sysconfig
import time
import unittest
import warnings

from rewriting import code_objects, opcode_facts, rewrite_parts, rewrite_repeatedly

SKIPPED_FOLDERS = {"test", "tests", "idlelib", "lib2to3", "site-packages", "turtledemo", "__pycache__"}
LOAD_CONST = dis.opmap["LOAD_CONST"]
DELETE_SUBSCR = dis.opmap["DELETE_SUBSCR"]
FACTS = {number: facts for number in range(256) if (facts := opcode_facts(number, 0))}
BACKWARD = {number for number, facts in FACTS.items() if "BACKWARD" in facts[-1] or facts[-1] == "END_ASYNC_FOR"}


def sources():
    root = pathlib.Path(sysconfig.get_paths()["stdlib"])
    pattern = "*.py" if os.environ.get("FRONTRUN_CORPUS") == "quick" else "**/*.py"
    for path in sorted(root.glob(pattern)):
        if not SKIPPED_FOLDERS & set(path.relative_to(root).parts):
            yield path


def corpus():
    """All code objects of the standard library."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in sources():
            yield from code_objects(compile(path.read_bytes(), str(path), "exec", dont_inherit=True))


class Listing:
    """The instructions of a code object, hooks taken out, jumps and ranges as instruction numbers."""

    def __init__(self, code, first_site):
        self.instructions = []  # opcode, argument
        self.opcode_units = []
        self.hook_units = {}  # number of an instruction -> units of the hook before it
        self.sites = []  # number of the instruction that each hook is placed before
        self.number_at = {}  # landing unit -> number of an instruction
        self.spans = []  # first unit and unit after the caches
        self._read(code, first_site)
        self.number_at[len(code) // 2] = len(self.instructions)
        self._resolve_jumps()

    def _read(self, code, first_site):
        hook_start, hook_loads = None, 0
        unit, arg, start = 0, 0, 0
        while 2 * unit < len(code):
            opcode, low = code[2 * unit], code[2 * unit + 1]
            arg = arg << 8 | low
            if opcode == dis.EXTENDED_ARG:
                unit += 1
                continue
            end = unit + 1 + FACTS[opcode][0]
            if opcode == LOAD_CONST and arg >= first_site:
                assert arg == first_site + len(self.sites), "sites are used in order"
                hook_start = start if hook_start is None else hook_start
                hook_loads += 1
            elif hook_loads == 2:
                assert opcode == DELETE_SUBSCR
                self.sites.append(len(self.instructions))
                self.hook_units[len(self.instructions)] = range(hook_start, end)
                hook_loads = 0
            else:
                assert hook_loads == 0
                self.number_at[start if hook_start is None else hook_start] = len(self.instructions)
                hook_start = None
                self.instructions.append((opcode, arg))
                self.opcode_units.append(unit)
                self.spans.append((start, end))
            unit = start = end
            arg = 0

    def _resolve_jumps(self):
        for number, (opcode, arg) in enumerate(self.instructions):
            if FACTS[opcode][1]:
                end = self.spans[number][1]
                target = end - arg if opcode in BACKWARD else end + arg
                self.instructions[number] = opcode, ("to", self.number_at[target])

    def ranges(self, code):
        """The exception table in instruction numbers."""
        return [
            (self.number_at[e.start // 2], self.number_at[e.end // 2], self.number_at[e.target // 2], e.depth, e.lasti)
            for e in dis._parse_exception_table(code)
        ]


class RewriteStdlib(unittest.TestCase):
    def test_code_without_hooks_is_the_original(self):
        n_codes = n_instructions = n_sites = 0
        started = time.perf_counter()
        for code in corpus():
            n_codes += 1
            n_instructions += len(code.co_code) // 2
            parts = rewrite_parts(code)
            if parts is None:
                continue
            n_sites += len(parts.sites)
            with self.subTest(f"{code.co_filename}:{code.co_qualname}"):
                self.check(code, parts)
        print(
            f"\n{sys.version.split()[0]}: {n_codes} code objects, {n_instructions} units, {n_sites} sites, "
            f"{time.perf_counter() - started:.1f} s",
            file=sys.stderr,
        )

    def check(self, code, parts):
        n_consts = len(code.co_consts)
        new_code = code.replace(
            co_code=parts.code,
            co_consts=code.co_consts + (None,) * len(parts.sites),
            co_exceptiontable=parts.exception_table,
            co_linetable=parts.line_table,
            co_stacksize=parts.stack_size,
        )
        old = Listing(code.co_code, n_consts)
        new = Listing(parts.code, n_consts)
        self.assertEqual(old.instructions, new.instructions)
        self.assertEqual(old.ranges(code), new.ranges(new_code))
        self.assertLessEqual(parts.stack_size, code.co_stacksize + 2)
        self.check_positions(code, new_code, old, new)
        self.check_sites(code, parts, old, new)

    def check_positions(self, code, new_code, old, new):
        old_positions = list(code.co_positions())
        new_positions = list(new_code.co_positions())
        for number, ((old_start, old_end), (new_start, new_end)) in enumerate(zip(old.spans, new.spans)):
            expected = {old_positions[old_start]}
            self.assertEqual(set(old_positions[old_start:old_end]), expected)
            self.assertEqual(set(new_positions[new_start:new_end]), expected)
            for unit in new.hook_units.get(number, ()):
                self.assertEqual({new_positions[unit]}, expected)

    def check_sites(self, code, parts, old, new):
        self.assertEqual(len(new.sites), len(parts.sites))
        number_of_opcode = {unit: number for number, unit in enumerate(old.opcode_units)}
        positions = list(code.co_positions())
        for before, site in zip(new.sites, parts.sites):
            self.assertLessEqual(site.depth + 2, parts.stack_size)
            guarded = number_of_opcode[site.original_unit]
            self.assertEqual(guarded, before + (site.keyword_names is not None))
            if site.keyword_names is not None:
                self.assertEqual(old.instructions[before], (dis.opmap["KW_NAMES"], site.keyword_names))
            line, end_line, column, end_column = positions[site.original_unit]
            self.assertEqual((site.line, site.end_line), (line or 0, end_line or 0))
            known = (-1 if column is None else column, -1 if end_column is None else end_column)
            self.assertEqual((site.column, site.end_column), known)
        for number, unit in enumerate(new.opcode_units):
            self.assertEqual(parts.original_units[unit], old.opcode_units[number])
            for hook_unit in new.hook_units.get(number, ()):
                self.assertEqual(parts.original_units[hook_unit], old.opcode_units[number])

    def test_rewriting_costs_little_for_each_instruction(self):
        compiled = [compile(path.read_bytes(), "x", "exec") for path in list(sources())[:40]]
        code = [nested for module in compiled for nested in code_objects(module)]
        n_instructions = sum(sum(1 for _ in dis._unpack_opargs(c.co_code)) for c in code)
        started = time.process_time()
        for c in code:
            rewrite_repeatedly(c, 10)
        cost_ns = (time.process_time() - started) / 10 / n_instructions * 1e9
        print(f"\n{cost_ns:.0f} ns/instruction", file=sys.stderr)
        # An optimised build takes 50 ns; the margin is for debug builds and busy machines.
        self.assertLess(cost_ns, 2000)


if __name__ == "__main__":
    unittest.main()
