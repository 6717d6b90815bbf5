"""Runs files of CPython's own test suite with every module that gets imported rewritten.

    python run_cpython_tests.py [-v] [--plain] [--kinds=Name,Name] [--without=Name,Name] [test_name ...]

`--kinds` and `--without` choose the kinds of sites; `--plain` runs the same files without rewriting, for comparison.
Modules imported before this file takes over, frozen modules and subprocesses are not rewritten.
It takes minutes, so it is not part of the test suite.

Failures to expect because of what rewriting is:
- `test_sys` `test_objecttypes` compares the size of a frame;
- `test_monitoring` compares instruction offsets in five tests;
- `test_bdb` `test_next_command_in_generator_with_subiterator`, on 3.11 only and only with `Send`, sees a line
  event for each resumption.
Because of this file: `test_bdb` `test_skip` sees its frames during an import.
`test_dis` is left out, since it compares listings of bytecode.
"""

import importlib.machinery
import importlib.util
import sys
import time

import rewriting

DEFAULT = """
test_generators test_generator_stop test_genexps test_coroutines test_asyncgen test_contextlib
test_contextlib_async test_dataclasses test_enum test_patma test_with test_exceptions test_except_star
test_exception_group test_exception_variations test_descr test_descrtut test_functools test_collections
test_super test_traceback test_scope test_listcomps test_setcomps test_dictcomps test_yield_from test_unpack
test_unpack_ex test_extcall test_typing test_class test_decorators test_named_expressions test_fstring
test_format test_string test_augassign test_binop test_compare test_contains test_iter test_itertools
test_list test_dict test_set test_tuple test_slice test_userdict test_userlist test_opcodes test_closures
test_funcattrs test_keywordonlyarg test_positional_only_arg test_grammar test_global test_metaclass
test_property test_abc test_abstract_numbers test_weakref test_gc test_copy test_json test_inspect test_pprint
test_threading test_raise test_richcmp test_bool test_index test_lambda test_import test_dynamic
test_heapq test_bisect test_operator test_statistics test_fractions test_decimal test_datetime test_types
test_type_params test_type_aliases test_call test_peepholer test_code
test_frame test_sys_settrace test_sys_setprofile test_monitoring test_bdb test_pdb test_doctest test_unittest
test_warnings test_queue test_sys test_builtin
test_asyncio.test_tasks test_asyncio.test_locks test_asyncio.test_queues test_asyncio.test_taskgroups
test_asyncio.test_timeouts test_asyncio.test_runners test_asyncio.test_pep492 test_asyncio.test_futures
""".split()


def install(kinds):
    """Rewrites what every source file loader returns from now on."""
    loader = importlib.machinery.SourceFileLoader
    get_code = loader.get_code
    counts = {"modules": 0, "codes": 0}

    def get_rewritten_code(self, fullname):
        code = get_code(self, fullname)
        counts["modules"] += 1
        counts["codes"] += sum(1 for _ in rewriting.code_objects(code))
        return rewriting.rewrite(code, kinds=kinds)

    # Frames of the import system are left out of tracebacks and skipped by debuggers; so must be this one.
    hidden = get_code.__code__.co_filename
    get_rewritten_code.__code__ = get_rewritten_code.__code__.replace(co_filename=hidden)
    loader.get_code = get_rewritten_code
    return counts


def available(names):
    """The tests that this version has, each once."""
    return [name for name in dict.fromkeys(names) if importlib.util.find_spec(f"test.{name}")]


def main(arguments):
    options = [argument for argument in arguments if argument.startswith("-")]
    names = [argument for argument in arguments if not argument.startswith("-")]
    kinds = rewriting.ALL_KINDS
    for option in options:
        if option.startswith("--kinds="):
            kinds = rewriting.kind_set(*option.removeprefix("--kinds=").split(","))
        elif option.startswith("--without="):
            kinds &= ~rewriting.kind_set(*option.removeprefix("--without=").split(","))
    counts = {} if "--plain" in options else install(kinds)
    # The test runner reads the command line itself, also where it is given a list of tests.
    del sys.argv[1:]
    started = time.process_time()
    from test.libregrtest import main as regrtest

    try:
        regrtest.main(verbose=int("-v" in options), tests=available(names or DEFAULT))
    finally:
        print(f"rewritten: {counts}, CPU {time.process_time() - started:.1f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
