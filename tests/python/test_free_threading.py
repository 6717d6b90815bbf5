"""With ``free_threaded=True`` C code that iterates is what a Python loop is, unless it locks what it iterates over."""

from __future__ import annotations

import functools
import json
import operator
import subprocess
import sys
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from frontrun.common import InterleavingResult
from frontrun.dpor import explore_dpor


def ordered() -> Any:
    return OrderedDict(a=1, b=2, c=3)


def plain() -> Any:
    return {"a": 1, "b": 2, "c": 3}


def three() -> Any:
    return [1, 2, 3]


def move(c: Any) -> None:
    c.move_to_end("a")


def change_two(c: Any) -> None:
    c["a"] = 10
    c["c"] = 30


def add_one(c: Any) -> None:
    c["z"] = 40


def append(c: Any) -> None:
    c.append(4)


def store_two(c: Any) -> None:
    c[0] = 10
    c[2] = 30


def gather(iterable: Iterable[Any]) -> list[Any]:
    """`list(iterable)`, in Python."""
    gathered = []
    for element in iterable:
        gathered.append(element)
    return gathered


def gather_numbered(iterable: Iterable[Any]) -> list[Any]:
    gathered = []
    for _, element in enumerate(iterable):
        gathered.append(element)
    return gathered


def total(iterable: Iterable[Any]) -> Any:
    """`sum(iterable)`, in Python."""
    result = 0
    for element in iterable:
        result += element
    return result


def first_true(iterable: Iterable[Any]) -> bool:
    """`any(iterable)`, in Python."""
    for element in iterable:  # noqa: SIM110
        if element:
            return True
    return False


def ask_for_each(ordered: Any) -> dict[Any, Any]:
    """`dict(ordered)`, in Python: what is not exactly a dictionary is asked for its keys, then for each value."""
    made = {}
    for key in gather(ordered):
        made[key] = ordered[key]
    return made


def unpack(iterable: Iterable[Any]) -> tuple[Any, ...]:
    a, b, c = iterable
    return a, b, c


Program = tuple[Callable[[], Any], Callable[[Any], object], Callable[[Any], object], Callable[[Any], object]]

# What makes the container, what C code does with it, the same in Python, and what another thread does meanwhile.
LOOPS: dict[str, Program] = {
    "list of ordered keys": (ordered, lambda c: list(c.keys()), lambda c: gather(c.keys()), move),
    "list of ordered": (ordered, list, gather, move),
    "list of ordered values": (ordered, lambda c: list(c.values()), lambda c: gather(c.values()), change_two),
    "list of ordered, reversed": (ordered, lambda c: list(reversed(c)), lambda c: gather(reversed(c)), move),
    "list display": (ordered, lambda c: [*c.keys()], lambda c: gather(c.keys()), move),
    "set display": (plain, lambda c: sorted({*c.values()}), lambda c: sorted(gather(c.values())), change_two),
    "unpacking": (plain, lambda c: unpack(c.values()), lambda c: tuple(gather(c.values())), change_two),
    "sorted": (ordered, lambda c: sorted(c.keys()), lambda c: sorted(gather(c.keys())), move),
    "tuple": (plain, tuple, lambda c: tuple(gather(c)), add_one),
    "tuple of values": (plain, lambda c: tuple(c.values()), lambda c: tuple(gather(c.values())), change_two),
    "set": (plain, lambda c: sorted(set(c.values())), lambda c: sorted(gather(c.values())), change_two),
    "frozenset": (plain, lambda c: sorted(frozenset(c.items())), lambda c: sorted(gather(c.items())), change_two),
    "dict": (ordered, dict, ask_for_each, move),
    "dict of changing": (ordered, dict, ask_for_each, change_two),
    "dict of pairs": (ordered, lambda c: dict(c.items()), lambda c: dict(gather(c.items())), move),
    "fromkeys": (ordered, dict.fromkeys, lambda c: dict.fromkeys(gather(c)), move),
    "sum": (plain, lambda c: sum(c.values()), lambda c: total(c.values()), change_two),
    "sum while it grows": (plain, lambda c: sum(c.values()), lambda c: total(c.values()), add_one),
    "sum of a list": (three, sum, total, store_two),
    "sum of a list that grows": (three, sum, total, append),
    "sum of a set": (lambda: {1, 2}, sum, total, lambda c: c.add(3)),
    "sum of a deque": (lambda: deque([1, 2]), sum, total, append),
    "min": (plain, lambda c: min(c.values()), lambda c: min(gather(c.values())), change_two),
    "max": (plain, lambda c: max(c.values()), lambda c: max(gather(c.values())), change_two),
    "any": (lambda: [0, 0, 0], any, first_true, store_two),
    "all": (three, all, lambda c: all(gather(c)), store_two),
    "reduce": (three, lambda c: functools.reduce(operator.add, c), total, store_two),
    "join": (ordered, lambda c: ",".join(c.keys()), lambda c: ",".join(gather(c.keys())), move),
    "join of bytes": (
        lambda: OrderedDict({b"a": 1, b"b": 2}),
        b",".join,
        lambda c: b",".join(gather(c)),
        lambda c: c.move_to_end(b"a"),
    ),
    "deque": (three, deque, lambda c: deque(gather(c)), append),
    "Counter": (three, Counter, lambda c: Counter(gather(c)), append),
    "zip": (
        three,
        lambda c: list(zip(c, "abcd", strict=False)),
        lambda c: list(zip(gather(c), "abcd", strict=False)),
        store_two,
    ),
    "map": (three, lambda c: list(map(abs, c)), gather, store_two),
    "enumerate": (three, lambda c: list(enumerate(c)), lambda c: list(enumerate(gather(c))), store_two),
    "filter": (three, lambda c: list(filter(None, c)), gather, store_two),
    "islice": (three, lambda c: list(islice(c, 2)), lambda c: [c[0], c[1]], lambda c: c.__setitem__(0, 9)),
    "loop over enumerate": (three, gather_numbered, gather, store_two),
    "spread arguments": (ordered, lambda c: list(*(c.keys(),)), lambda c: gather(c.keys()), move),
}


def explored(
    make: Callable[[], Any], use: Callable[[Any], object], meddle: Callable[[Any], object], *, ft: bool
) -> Any:
    def setup() -> Any:
        return SimpleNamespace(container=make(), seen=None)

    def reader(state: Any) -> None:
        try:
            state.seen = use(state.container)
        except RuntimeError as error:
            state.seen = str(error)

    def writer(state: Any) -> None:
        meddle(state.container)

    threads = [reader, writer]
    return explore_dpor(setup, threads, lambda _: True, observe=lambda s: (s.seen, s.container), free_threaded=ft)


@pytest.mark.parametrize("name", LOOPS)
def test_c_code_that_iterates_has_the_executions_of_the_loop(name: str) -> None:
    make, in_c, in_python, meddle = LOOPS[name]
    split, looped = explored(make, in_c, meddle, ft=True), explored(make, in_python, meddle, ft=False)
    assert (split.verdict, looped.verdict) == ("exhausted", "exhausted"), split.explanation
    assert split.outcomes.keys() == looped.outcomes.keys()
    assert split.num_explored == looped.num_explored


# C code that locks what it iterates over, or of which it cannot be told apart what each step touches.
AT_ONCE: dict[str, tuple[Callable[[], Any], Callable[[Any], object], Callable[[Any], object]]] = {
    "list of a list": (three, list, store_two),
    "list of a dictionary": (plain, list, add_one),
    "list of keys": (plain, lambda c: list(c.keys()), add_one),
    "list of values": (plain, lambda c: list(c.values()), change_two),
    "list of items": (plain, lambda c: list(c.items()), change_two),
    "list of a set": (lambda: {1, 2}, list, lambda c: c.add(3)),
    "list display of values": (plain, lambda c: [*c.values()], change_two),
    "sorted values": (plain, lambda c: sorted(c.values()), change_two),
    "tuple of a list": (three, tuple, append),
    "set of a dictionary": (plain, lambda c: sorted(set(c)), add_one),
    "set of a set": (lambda: {1, 2}, lambda c: sorted(set(c)), lambda c: c.add(3)),
    "dictionary of a dictionary": (plain, dict, change_two),
    "dictionary of a counter": (lambda: Counter("ab"), dict, lambda c: c.update("c")),
    "keys of a dictionary": (plain, dict.fromkeys, add_one),
    "join of a list": (lambda: ["a", "b"], ",".join, lambda c: c.append("c")),
    "join of keys": (plain, lambda c: ",".join(c.keys()), add_one),
    "values added to a list": (plain, lambda c: [0].extend(c.values()), change_two),
    "a copy": (three, lambda c: c.copy(), append),
    "comparison of what can change": (lambda: [([1],), ([2],)], max, lambda c: c[0][0].append(4)),
    "what others cannot change": (three, lambda _: sum((1, 2)), append),
}


@pytest.mark.parametrize("name", AT_ONCE)
def test_c_code_that_locks_what_it_iterates_over_is_one_step(name: str) -> None:
    make, use, meddle = AT_ONCE[name]
    split, whole = explored(make, use, meddle, ft=True), explored(make, use, meddle, ft=False)
    assert (split.verdict, split.num_explored, split.outcomes) == ("exhausted", whole.num_explored, whole.outcomes)


def extend(s: Any) -> None:
    s.target.extend(s.source)


def extend_in_place(s: Any) -> None:
    s.target += s.source


def append_each(s: Any) -> None:
    target = s.target
    for element in s.source:
        target.append(element)


def look_at_both(s: Any) -> None:
    s.source[1] = 9
    s.seen = len(s.target)


@pytest.mark.parametrize("target", [list, deque])
@pytest.mark.parametrize("fill", [extend, extend_in_place])
def test_what_is_added_to_a_target_is_added_element_by_element(
    target: Callable[[], Any], fill: Callable[[Any], None]
) -> None:
    class Source(list):  # type: ignore[type-arg]
        """No exact list, which would be locked."""

    def setup() -> Any:
        return SimpleNamespace(target=target(), source=Source((1, 2)), seen=None)

    def explored(body: Callable[[Any], None], *, ft: bool) -> InterleavingResult:
        def observe(s: Any) -> object:
            return list(s.target), s.seen

        return explore_dpor(setup, [body, look_at_both], lambda _: True, observe=observe, free_threaded=ft)

    split, looped = explored(fill, ft=True), explored(append_each, ft=False)
    assert (split.verdict, looped.verdict) == ("exhausted", "exhausted")
    assert split.outcomes.keys() == looped.outcomes.keys()
    assert len(split.outcomes) > 3


def test_what_is_added_to_a_set_is_added_element_by_element() -> None:
    def setup() -> Any:
        return SimpleNamespace(target=set(), source=[1, 2, 3], seen=None)

    def update(s: Any) -> None:
        s.target.update(s.source)

    def add_each(s: Any) -> None:
        target = s.target
        for element in s.source:
            target.add(element)

    def look(s: Any) -> None:
        s.seen = (3 in s.target, 1 in s.target)

    def explored(body: Callable[[Any], None], *, ft: bool) -> InterleavingResult:
        return explore_dpor(setup, [body, look], lambda _: True, observe=lambda s: s.seen, free_threaded=ft)

    split, looped = explored(update, ft=True), explored(add_each, ft=False)
    assert split.outcomes.keys() == looped.outcomes.keys() == {"(False, False)", "(False, True)", "(True, True)"}
    assert split.num_explored == looped.num_explored


def test_two_lists_are_zipped_element_by_element() -> None:
    """There are four reads, in the order of one thread, and two writes, in that of the other."""

    def setup() -> Any:
        return SimpleNamespace(a=[1, 2], b=[1, 2], seen=None)

    def reader(s: Any) -> None:
        s.seen = list(zip(s.a, s.b, strict=True))

    def writer(s: Any) -> None:
        s.a[1] = 5
        s.b[0] = 5

    result = explore_dpor(setup, [reader, writer], lambda _: True, observe=lambda s: s.seen, free_threaded=True)
    # Read are a[0], b[0], a[1], b[1]. The write of a[1] comes before or behind the third of them, and then that of b[0]
    # before or behind the second, which is before it only if that of a[1] is before the third.
    assert result.outcomes.keys() == {"[(1, 1), (2, 2)]", "[(1, 1), (5, 2)]", "[(1, 5), (5, 2)]"}
    assert result.num_explored == 3


class Bag:
    def __init__(self) -> None:
        self.items = [1, 2, 3]

    def __iter__(self) -> Iterator[int]:
        return iter(self.items)


def test_an_iterator_that_python_code_gives_to_c_code_has_steps() -> None:
    split = explored(Bag, sum, lambda c: store_two(c.items), ft=True)
    assert {outcome.split(",")[0] for outcome in split.outcomes} == {"(6", "(15", "(42", "(33"}


def test_a_shared_iterator_gives_each_element_once() -> None:
    def setup() -> Any:
        return SimpleNamespace(shared=iter([1, 2]), seen={})

    def take(nth: int) -> Callable[[Any], None]:
        def body(s: Any) -> None:
            s.seen[nth] = tuple(s.shared)

        return body

    def observe(s: Any) -> object:
        return sorted(s.seen.items())

    result = explore_dpor(setup, [take(0), take(1)], lambda _: True, observe=observe, free_threaded=True)
    expected = [((1, 2), ()), ((1,), (2,)), ((2,), (1,)), ((), (1, 2))]
    assert result.outcomes.keys() == {str([(0, first), (1, second)]) for first, second in expected}


def test_a_loop_that_waits_for_what_c_code_sees_is_a_wait() -> None:
    def setup() -> Any:
        return SimpleNamespace(flags={"a": 0, "b": 0}, seen=0)

    def wait(s: Any) -> None:
        while not all(s.flags.values()):
            pass
        s.seen = sum(s.flags.values())

    def raise_flags(s: Any) -> None:
        s.flags["a"] = 1
        s.flags["b"] = 2

    result = explore_dpor(
        setup, [wait, raise_flags], lambda s: s.seen == 3, observe=lambda s: s.seen, free_threaded=True
    )
    assert (result.verdict, set(result.outcomes)) == ("exhausted", {"3"})


def test_a_failure_inside_c_code_needs_a_build_without_the_gil() -> None:
    def setup() -> Any:
        return SimpleNamespace(od=ordered(), keys=None)

    def reader(s: Any) -> None:
        s.keys = list(s.od.keys())

    def mover(s: Any) -> None:
        s.od.move_to_end("a")

    def explored(*, ft: bool) -> InterleavingResult:
        return explore_dpor(setup, [reader, mover], lambda s: len(s.keys) == 3, free_threaded=ft)

    assert explored(ft=False).verdict == "exhausted"
    result = explored(ft=True)
    assert "OrderedDict mutated during iteration" in result.failures[0].message
    assert result.gil_reachable is False
    assert result.reproduced == (10, 10)


def test_gil_and_free_threaded_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="exclude"):
        explore_dpor(dict, [len], lambda _: True, gil=True, free_threaded=True)


SCRIPT = """
import threading
from collections import OrderedDict

od = OrderedDict(a=1, b=2, c=3)
keys = []
targets = [lambda: keys.extend(od.keys()), lambda: od.move_to_end("a")]
threads = [threading.Thread(target=target) for target in targets]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert len(keys) == 3, keys
"""


def frontrun(*words: str, directory: Path) -> subprocess.CompletedProcess[str]:
    command = str(Path(sys.executable).with_name("frontrun"))
    return subprocess.run([command, *words], cwd=directory, capture_output=True, text=True, timeout=120)


def test_the_command_line_finds_and_replays_what_only_a_build_without_the_gil_has(tmp_path: Path) -> None:
    (tmp_path / "keys.py").write_text(SCRIPT)
    assert frontrun("explore", "-q", "-o", "off", "python", "keys.py", directory=tmp_path).returncode == 0
    explored = frontrun("explore", "--json", "--free-threaded", "-o", "on", "python", "keys.py", directory=tmp_path)
    assert explored.returncode == 1, explored
    failure = json.loads(explored.stdout)["failures"][0]
    assert failure["gil_reachable"] is False
    replayed = frontrun("replay", "--times", "3", "on/failure-1.frz", directory=tmp_path)
    assert "reproduced 3/3" in replayed.stdout, replayed
    recorded = frontrun("record", "--free-threaded", "-o", "one.frz", "python", "keys.py", directory=tmp_path)
    assert recorded.returncode == 0, recorded
    analyzed = json.loads(frontrun("analyze", "--json", "one.frz", directory=tmp_path).stdout)
    assert analyzed["schedules"], analyzed
    usage = frontrun("explore", "--gil", "--free-threaded", "python", "keys.py", directory=tmp_path)
    assert usage.returncode == 2
    assert "cannot be used with" in usage.stderr


TEST = """
import threading
from collections import OrderedDict
import pytest

@pytest.mark.frontrun(free_threaded=True)
def test_keys():
    od = OrderedDict(a=1, b=2)
    thread = threading.Thread(target=od.move_to_end, args=("a",))
    thread.start()
    assert len(list(od.keys())) == 2
    thread.join()
"""


def test_the_marker_takes_the_option(tmp_path: Path) -> None:
    (tmp_path / "test_keys.py").write_text(TEST)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "test_keys.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stdout
    assert "OrderedDict mutated during iteration" in done.stdout
    assert "builds: free-threaded only" in done.stdout
