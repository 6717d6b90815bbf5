"""What threads of small programs do to keys of Redis, and what each of their commands reads and writes.

A command is one step on its keys, and so is a transaction. Fields of a hash are parts of their key, and their order
means nothing. Who waits for a list has a look first; if it is empty, the next look is when somebody has changed it, and
then it takes something, if that is still there.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
from every_order_of_io import Footprint, Location, Parts, Step

# How often each key has been changed.
Changes = collections.Counter[str]


def at(*path: str) -> Location:
    return ("key", *path)


@dataclass
class Session:
    """The connection of a thread. All sessions of an execution share what has been changed how often."""

    client: Any
    changes: Changes
    # What the thread knows of that.
    known: dict[str, int] = field(default_factory=dict)

    def touch(self, key: str, changes: bool) -> None:
        self.changes[key] += changes
        self.known[key] = self.changes[key]


def client(address: str) -> Any:
    """A connection that has been made."""
    made = redis.Redis.from_url(address, single_connection_client=True)
    made.ping()
    return made


@dataclass(frozen=True)
class RedisProgram:
    """Threads that meet in a server that has nothing at first."""

    threads: list[list[Step]]
    address: str = ""

    def state(self, _root: Path) -> RedisState:
        return RedisState(self)

    def text(self) -> str:
        return "\n".join("; ".join(step.text for step in steps) for steps in self.threads)


class RedisState:
    """The state of one execution: what each thread has at hand, and what it got."""

    def __init__(self, program: RedisProgram) -> None:
        self.look = client(program.address)
        self.look.flushall()
        changes: Changes = collections.Counter()
        self.desks = [Session(client(program.address), changes) for _ in program.threads]
        self.results: list[list[object]] = [[] for _ in program.threads]

    def observe(self) -> object:
        """What the threads got and what they left behind."""
        return self.results, kept(self.look)

    def close(self) -> None:
        for connection in [self.look, *(desk.client for desk in self.desks)]:
            connection.close()


def kept(client: Any) -> list[tuple[bytes, object]]:
    """All keys and what they hold."""
    read: dict[bytes, Callable[[bytes], object]] = {
        b"string": client.get,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"hash": lambda key: sorted(client.hgetall(key).items()),
    }
    return [(key, read[client.type(key)](key)) for key in sorted(client.keys())]


def _command(*words: object, reads: set[Location] | None = None, writes: set[Location] | None = None) -> Step:
    footprint: Footprint = reads or set(), writes or set()

    def run(session: Session) -> object:
        return session.client.execute_command(*words)

    def parts(session: Session) -> Parts:
        yield lambda: footprint
        for location in footprint[0] | footprint[1]:
            session.touch(location[1], location in footprint[1])
        return run(session)

    return Step(" ".join(map(str, words)), run, parts)


def get(key: str) -> Step:
    return _command("GET", key, reads={at(key)})


def put(key: str, value: int) -> Step:
    return _command("SET", key, value, writes={at(key)})


def increment(key: str) -> Step:
    return _command("INCR", key, writes={at(key)})


def put_field(key: str, name: str, value: int) -> Step:
    return _command("HSET", key, name, value, writes={at(key, name)})


def fields(key: str) -> Step:
    step = _command("HGETALL", key, reads={at(key)})

    def parts(session: Session) -> Parts:
        return sorted((yield from step.parts(session)).items())  # type: ignore[attr-defined]

    return Step(step.text, lambda session: sorted(step.run(session).items()), parts)  # type: ignore[attr-defined]


def push(key: str, *values: int) -> Step:
    return _command("RPUSH", key, *values, writes={at(key)})


def pop(key: str) -> Step:
    return _command("LPOP", key, writes={at(key)})


def increment_all(*keys: str) -> Step:
    """A transaction."""

    def run(session: Session) -> object:
        pipeline = session.client.pipeline()
        for key in keys:
            pipeline.incr(key)
        return pipeline.execute()

    def parts(session: Session) -> Parts:
        yield lambda: (set(), {at(key) for key in keys})
        for key in keys:
            session.touch(key, True)
        return run(session)

    return Step(f"MULTI; INCR {', '.join(keys)}; EXEC", run, parts)


def await_item(key: str) -> Step:
    def run(session: Session) -> object:
        return list(session.client.blpop([key]))

    def parts(session: Session) -> Parts:
        reads: Footprint = {at(key)}, set()
        while True:
            yield lambda: reads
            session.touch(key, False)
            while not session.client.exists(key):
                yield lambda: reads if session.known[key] != session.changes[key] else None
                session.touch(key, False)
            yield lambda: (set(), {at(key)})
            session.touch(key, True)
            if session.client.exists(key):
                return run(session)

    return Step(f"BLPOP {key} 0", run, parts)
