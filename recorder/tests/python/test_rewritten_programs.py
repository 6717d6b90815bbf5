"""Rewritten programs do what the originals do: output, tracebacks with carets, and line events."""

import contextlib
import io
import pathlib
import sys
import unittest

import rewriting

PROGRAMS = sorted((pathlib.Path(__file__).parent / "programs").glob("*.py"))
# A `yield from` or `await` repeats its SEND, and a hook before it is repeated as well. Line events are not
# reported for the jump back to a SEND, but they are for a jump back to anything else.
KINDS_WITHOUT_SEND = rewriting.ALL_KINDS & ~rewriting.kind_set("Send")


def runs_here(path):
    return "3_12" not in path.stem or sys.version_info >= (3, 12)


def compiled(path):
    return compile(path.read_bytes(), str(path), "exec", dont_inherit=True)


def output_of(code):
    """What the program writes, tracebacks included."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        exec(code, {"__name__": "program", "__file__": code.co_filename})
    return output.getvalue()


def line_events(code):
    """All trace events in the functions of the program."""
    events = []

    def trace(frame, event, argument):
        if frame.f_code.co_filename != code.co_filename:
            return None
        # Whether the end of a generator counts as an exception depends on the specialisation of FOR_ITER.
        stops = event == "exception" and argument[0] is StopIteration
        if "recursive" not in frame.f_code.co_name and not stops:
            events.append((event, frame.f_code.co_name, frame.f_lineno))
        return trace

    sys.settrace(trace)
    try:
        output_of(code)
    finally:
        sys.settrace(None)
    return events


class RecordingSite:
    """A site whose hook appends a name to a list."""

    def __init__(self, name, log):
        self.__dict__["append"] = log.append
        self.name = name

    def __delitem__(self, key):
        self.append(self.name)


def recording(log):
    """Makes sites that record kind, name and line."""

    def make_site(spec, code):
        named = spec.kind.endswith(("Attr", "Method", "Global", "Name"))
        return RecordingSite((spec.kind, code.co_names[spec.arg] if named else spec.arg), log)

    return make_site


def events_of(source, *kinds):
    """The events of a program, in order."""
    log = []
    code = compile(source, "events", "exec")
    exec(rewriting.rewrite(code, recording(log), rewriting.kind_set(*kinds)), {})
    return log


class RewrittenPrograms(unittest.TestCase):
    maxDiff = None

    def test_output_and_tracebacks_are_the_same(self):
        for path in filter(runs_here, PROGRAMS):
            with self.subTest(path.stem):
                plain = output_of(compiled(path))
                self.assertGreater(len(plain), 100)
                # Twice, so that specialised instructions run as well.
                code = rewriting.rewrite(compiled(path))
                self.assertEqual(output_of(code), plain)
                self.assertEqual(output_of(code), plain)

    def test_line_events_are_the_same(self):
        for path in filter(runs_here, PROGRAMS):
            with self.subTest(path.stem):
                plain = line_events(compiled(path))
                rewritten = line_events(rewriting.rewrite(compiled(path), kinds=KINDS_WITHOUT_SEND))
                self.assertEqual(rewritten, plain)

    def test_functions_with_many_sites_and_long_jumps_work(self):
        lines = ["def f(o, n):", "    total = 0", "    while n:", "        n -= 1"]
        for i in range(2000):
            lines += [f"        if o.flag and n % {i + 2} == 0:", f"            total += o.x + {i * 1000}"]
        lines += ["    return total", "class O: x, flag = 1, True", "print(f(O(), 30))"]
        code = compile("\n".join(lines), "long", "exec")
        rewritten = rewriting.rewrite(code)
        self.assertGreater(max(len(c.co_consts) for c in rewriting.code_objects(rewritten)), 5000)
        self.assertEqual(output_of(rewritten), output_of(code))

    def test_events_come_in_program_order(self):
        source = "class C: pass\nc = C()\nc.x = 1\nc.x += len([])\ndel c.x\n"
        found = events_of(source, "LoadAttr", "StoreAttr", "DeleteAttr", "Call")
        self.assertEqual(found[-6:][1:], [
            ("StoreAttr", "x"), ("LoadAttr", "x"), ("Call", 0 + 1), ("StoreAttr", "x"), ("DeleteAttr", "x"),
        ])

    def test_truth_of_a_bool_is_no_event(self):
        self.assertEqual(events_of("a = 1\nif a < 2: b = a in [1]\nif a is b: pass\nnot (a == 1)", "IsTrue"), [])
        found = events_of("a = []\nif a: pass\nwhile not a: a = [1]\na and a\n", "IsTrue")
        self.assertEqual(len(found), 4)


if __name__ == "__main__":
    unittest.main()
