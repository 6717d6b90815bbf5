"""Being recorded changes nothing about a program: no code of it runs that would not, and objects die when they do."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from frontrun.dpor import explore_dpor


class Like:
    """Has the hash of an int or of a name, and counts how often it is compared."""

    def __init__(self, other: object) -> None:
        self.hash = hash(other)
        self.compared = 0

    def __eq__(self, other: object) -> bool:
        self.compared += 1
        return False

    def __hash__(self) -> int:
        return self.hash


def outcomes(
    setup: Callable[[], Any], thread: Callable[[Any], object], observe: Callable[[Any], object]
) -> dict[str, int]:
    """Explore a thread next to one that writes down nothing that it touches."""
    result = explore_dpor(
        setup, [thread, lambda s: None], lambda s: True, observe=observe, stop_on_first=False, reproduce_on_failure=0
    )
    assert result.verdict == "exhausted"
    return result.outcomes


def state_with_a_key_like_seven() -> SimpleNamespace:
    key = Like(7)
    return SimpleNamespace(key=key, d={key: 1}, u={key}, got=None)


# What meets the key with the hash of 7, and how often the interpreter compares it with 7.
LOOK_UPS: dict[str, Callable[[Any], object]] = {
    "item": lambda s: s.d.get(7),
    "store": lambda s: s.d.__setitem__(7, 2),
    "subscript store": lambda s: exec("s.d[7] = 2", {"s": s}),
    "default": lambda s: s.d.setdefault(7, 3),
    "pop": lambda s: s.d.pop(7, None),
    "in dict": lambda s: 7 in s.d,
    "in set": lambda s: 7 in s.u,
    "add": lambda s: s.u.add(7),
    "discard": lambda s: s.u.discard(7),
}


@pytest.mark.parametrize("name", LOOK_UPS)
def test_keys_of_the_program_are_compared_by_the_program_alone(name: str) -> None:
    alone = state_with_a_key_like_seven()
    LOOK_UPS[name](alone)
    found = outcomes(state_with_a_key_like_seven, LOOK_UPS[name], lambda s: s.key.compared)
    assert found == {str(alone.key.compared): 1}


def class_with_a_key_like_a_name() -> SimpleNamespace:
    key = Like("total")
    return SimpleNamespace(key=key, kind=type("Kind", (), {key: 1}))


def test_keys_of_classes_are_compared_by_the_program_alone() -> None:
    def read(s: Any) -> None:
        getattr(s.kind, "total", None)
        s.kind().total = 1

    alone = class_with_a_key_like_a_name()
    read(alone)
    found = outcomes(class_with_a_key_like_a_name, read, lambda s: s.key.compared)
    assert found == {str(alone.key.compared): 1}


class Mortal:
    """Writes down that it dies."""

    def __init__(self, deaths: list[str]) -> None:
        self.deaths = deaths
        self.value = 0

    def __del__(self) -> None:
        self.deaths.append("died")


def test_objects_die_when_they_do() -> None:
    def use(s: Any) -> None:
        mortal = Mortal(s.log)
        mortal.value += 1
        reference = weakref.ref(mortal)
        counts = sys.getrefcount(mortal)
        s.log.append(f"alive {reference() is mortal} {counts}")
        del mortal
        s.log.append(f"gone {reference() is None}")

    alone = SimpleNamespace(log=[])
    use(alone)
    assert alone.log[1:] == ["died", "gone True"]
    assert outcomes(lambda: SimpleNamespace(log=[]), use, lambda s: s.log) == {repr(alone.log): 1}


def test_cycles_are_collected_when_they_are() -> None:
    def use(s: Any) -> None:
        mortal = Mortal(s.log)
        mortal.__dict__["self"] = mortal
        del mortal
        s.log.append("dropped")
        gc.collect()
        s.log.append("collected")

    expected = ["dropped", "died", "collected"]
    assert outcomes(lambda: SimpleNamespace(log=[]), use, lambda s: s.log) == {repr(expected): 1}


def test_an_address_that_is_used_again_is_another_object() -> None:
    """Each thread makes lists of its own that die; the other's next one may have their address."""

    def fill(s: Any) -> None:
        for size in range(3):
            own = [size]
            own.append(size)
            own[0] = size + 1
            s.__dict__  # noqa: B018
            del own

    result = explore_dpor(SimpleNamespace, [fill, fill], lambda s: True, stop_on_first=False, reproduce_on_failure=0)
    assert (result.verdict, result.num_explored) == ("exhausted", 1)


def test_an_object_at_the_address_of_a_shared_one_is_not_shared() -> None:
    """The first shared list dies midway; a private one of the same size takes its place."""

    def setup() -> SimpleNamespace:
        return SimpleNamespace(values=[1], seen=None)

    def replace(s: Any) -> None:
        s.values = None
        private = [2]
        private[0] += 1

    def read(s: Any) -> None:
        values = s.values
        s.seen = values and values[0]

    result = explore_dpor(
        setup, [replace, read], lambda s: True, observe=lambda s: s.seen, stop_on_first=False, reproduce_on_failure=0
    )
    assert (result.verdict, result.num_explored, result.outcomes) == ("exhausted", 2, {"1": 1, "None": 1})
