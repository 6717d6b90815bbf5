"""Objects that CPython hashes by their address: sets list them in one order, wherever and however often they run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from frontrun.bytecode import run_with_schedule
from frontrun.dpor import explore_dpor

# The first line takes memory, so that what follows lies elsewhere.
KINDS = """
import asyncio, os, threading
waste = [bytearray(64) for _ in range(int(os.environ["WASTE"]))]
class Node:
    def __init__(self, name): self.name = name
    def call(self): pass
class Like(Node):
    def __eq__(self, other): raise AssertionError("compared although nothing has the same hash")
    __hash__ = object.__hash__
def function(name):
    def one(): pass
    one.name = name
    return one
MAKERS = {
    "objects": Node, "objects with equality": Like, "functions": function,
    "classes": lambda name: type(f"K{name}", (), {"name": name}),
    "bound methods": lambda name: Node(name).call,
    "threads": lambda name: threading.Thread(name=str(name)),
}
def orders(key):
    found = {}
    for kind, make in MAKERS.items():
        made = {make(f"{key}{n}") for n in range(6)}
        found[kind] = [getattr(getattr(one, "__self__", one), "name") for one in made]
    return found
def in_thread(at):
    results[at] = orders(at)
async def tasks():
    made = {asyncio.create_task(asyncio.sleep(0), name=f"task{n}") for n in range(6)}
    await asyncio.wait(made)
    return [task.get_name() for task in made]
results = {"main": orders("m"), "tasks": asyncio.run(tasks())}
threads = [threading.Thread(target=in_thread, args=(n,)) for n in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
import json
print(json.dumps(results))
"""


def test_sets_have_one_order_in_all_processes(tmp_path: Path) -> None:
    found = []
    for waste in (0, 1000, 12345, 50001):
        command = [sys.executable, "-m", "frontrun", "record", "-o", f"{waste}.frz", "-c", KINDS]
        environment = {**os.environ, "WASTE": str(waste)}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout.splitlines()[0]))
    assert len(found[0]["main"]) == 6
    assert all(one == found[0] for one in found)


class Listener:
    def __init__(self, name: str) -> None:
        self.name = name


class Broadcast:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.listeners: set[Listener] = set()
        self.kept: list[object] = []

    def subscribe(self, name: str) -> None:
        with self.lock:
            # Where the listener lies hangs on how many there are.
            self.kept += [Listener("") for _ in range(len(self.listeners) * 10)]
            self.listeners.add(Listener(name))


def test_the_order_in_a_set_does_not_hang_on_what_other_threads_took_memory_for() -> None:
    result = explore_dpor(
        Broadcast,
        [lambda s, name=name: s.subscribe(name) for name in "abc"],  # type: ignore[misc]
        lambda s: True,
        observe=lambda s: "".join(listener.name for listener in s.listeners),
        stop_on_first=False,
    )
    assert (result.verdict, result.num_explored, len(result.outcomes)) == ("exhausted", 6, 1)


KEPT = {Listener(str(n)): n for n in range(100)}


def test_an_object_keeps_the_hash_that_it_had_before_and_has_after() -> None:
    seen: dict[Listener, int] = {}

    def look(s: Any) -> None:
        assert [KEPT[listener] for listener in list(KEPT)] == list(range(100))
        mine = Listener("new")
        seen[mine] = hash(mine)

    hashes = list(map(hash, KEPT))
    for schedule in ([0, 1, 0, 1], [1, 0, 1, 0]):
        run_with_schedule(schedule, SimpleNamespace, [look, look])
    assert list(map(hash, KEPT)) == hashes
    assert len(set(seen.values())) == 4
    assert all(hash(one) == kept == object.__hash__(one) for one, kept in seen.items())


def test_nothing_is_compared_that_would_not_be() -> None:
    class Like:
        def __eq__(self, other: object) -> bool:
            raise AssertionError("compared, although nothing else has the same hash")

        __hash__ = object.__hash__

    kept = {Like() for _ in range(50)}

    def add(s: Any) -> None:
        kept.update([Like() for _ in range(50)])

    for runs in range(1, 4):
        run_with_schedule([0, 1], SimpleNamespace, [add, add])
        assert len(kept) == 50 + runs * 100
