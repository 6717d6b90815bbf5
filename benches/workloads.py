"""CPU-bound programs of pure Python, each dominated by one kind of work. Each runs for some tenths of a second."""

from __future__ import annotations

from typing import Any


class Point:
    def __init__(self) -> None:
        self.x = 0
        self.y = 0


def attribute(rounds: int = 120_000) -> int:
    point = Point()
    for _ in range(rounds):
        point.x += 1
        point.y = point.x
    return point.y


def local(rounds: int = 400_000) -> int:
    total = 0
    for number in range(rounds):
        total = (total + number * 3) % 1_000_003
    return total


def call(n: int = 21) -> int:
    return n if n < 2 else call(n - 1) + call(n - 2)


def encode(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return '"' + value.replace('"', '\\"') + '"'
    if isinstance(value, list):
        return "[" + ",".join([encode(item) for item in value]) + "]"
    return "{" + ",".join([encode(key) + ":" + encode(item) for key, item in value.items()]) + "}"


def json_encoder(rounds: int = 250) -> int:
    document = {f"key{n}": [n, str(n), None, True, {"nested": [n, n + 1]}] for n in range(40)}
    return sum(len(encode(document)) for _ in range(rounds))


class Machine:
    """A stack machine that runs a small program many times."""

    def __init__(self, program: list[tuple[str, int]]) -> None:
        self.program = program
        self.stack: list[int] = []
        self.variables = {"i": 0, "sum": 0}

    def push(self, value: int) -> None:
        self.stack.append(value)

    def pop(self) -> int:
        return self.stack.pop()

    def run(self) -> int:
        at = 0
        while at < len(self.program):
            operation, argument = self.program[at]
            at += 1
            if operation == "push":
                self.push(argument)
            elif operation == "load":
                self.push(self.variables["i" if argument == 0 else "sum"])
            elif operation == "store":
                self.variables["i" if argument == 0 else "sum"] = self.pop()
            elif operation == "add":
                right = self.pop()
                self.push(self.pop() + right)
            elif operation == "less":
                right = self.pop()
                self.push(1 if self.pop() < right else 0)
            elif operation == "jump_if" and self.pop():
                at = argument
        return self.variables["sum"]


def interpreter(rounds: int = 12_000) -> int:
    loop = [
        ("load", 1), ("load", 0), ("add", 0), ("store", 1),
        ("load", 0), ("push", 1), ("add", 0), ("store", 0),
        ("load", 0), ("push", rounds), ("less", 0), ("jump_if", 0),
    ]  # fmt: skip
    return Machine(loop).run()


WORKLOADS = {
    "attribute": attribute,
    "local": local,
    "call": call,
    "json_encoder": json_encoder,
    "interpreter": interpreter,
}
