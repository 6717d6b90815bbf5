"""The opcode tables say what the interpreter they describe does."""

import dis
import opcode
import sys
import unittest

from rewriting import opcode_facts

# Never in the code that the compiler makes, or (EXTENDED_ARG) part of another instruction.
NOT_EMITTED = {"CACHE", "RESERVED", "INTERPRETER_EXIT", "EXIT_INIT_CHECK", "ENTER_EXECUTOR", "EXTENDED_ARG"}
ENDS = {
    "RETURN_VALUE",
    "RETURN_CONST",
    "RAISE_VARARGS",
    "RERAISE",
    "JUMP_FORWARD",
    "JUMP_BACKWARD",
    "JUMP_BACKWARD_NO_INTERRUPT",
}
ARGS = [*range(20), 255, 256, 257, 1000]


def emitted():
    """Number and name of the opcodes that the compiler emits."""
    for name, number in opcode.opmap.items():
        if number < 256 and name not in NOT_EMITTED and not name.startswith("INSTRUMENTED_"):
            yield number, name


def caches(name, number):
    entries = opcode._inline_cache_entries
    return entries.get(name, 0) if isinstance(entries, dict) else entries[number]


def stack_effect(name, number, arg, *, jump):
    """What `dis` says, except where the interpreter does something else."""
    if name == "RETURN_GENERATOR":
        return 1  # The value that is sent first.
    if sys.version_info[:2] == (3, 11) and name == "PRECALL":
        return 0  # All that happens to the stack happens in CALL.
    if sys.version_info[:2] == (3, 11) and name == "CALL":
        return -1 - arg
    if sys.version_info[:2] == (3, 11) and name == "MAKE_FUNCTION":
        arg &= 15
    return dis.stack_effect(number, arg if number >= dis.HAVE_ARGUMENT else None, jump=jump)


class OpcodeTables(unittest.TestCase):
    def test_every_emitted_opcode_is_described_and_no_other(self):
        described = {number for number in range(256) if opcode_facts(number, 0)}
        self.assertEqual(described, {number for number, _ in emitted()})

    def test_names_caches_and_successors_agree(self):
        for number, name in emitted():
            with self.subTest(name):
                n_caches, jumps, falls_through, *_, described_name = opcode_facts(number, 0)
                self.assertEqual(described_name, name)
                self.assertEqual(n_caches, caches(name, number))
                self.assertEqual(bool(jumps), number in dis.hasjrel)
                self.assertEqual(bool(falls_through), name not in ENDS)

    def test_stack_effects_agree(self):
        for number, name in emitted():
            for arg in ARGS:
                with self.subTest(name, arg=arg):
                    *_, effect_next, effect_target, _ = opcode_facts(number, arg)
                    if name not in ENDS:
                        self.assertEqual(effect_next, stack_effect(name, number, arg, jump=False))
                    if number in dis.hasjrel:
                        self.assertEqual(effect_target, stack_effect(name, number, arg, jump=True))


if __name__ == "__main__":
    unittest.main()
