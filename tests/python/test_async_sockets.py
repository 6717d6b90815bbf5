"""Tasks that talk to each other through sockets: as many executions as brute force finds classes, the same outcomes."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from every_order_of_sockets import explore_every_order_of_sockets, logged_pair
from frontrun.async_dpor import explore_async_dpor


class State:
    """What the tasks share: the ends of two pairs, and attributes."""

    make_pair: Any = staticmethod(socket.socketpair)

    def __init__(self) -> None:
        self.x = 0
        self.log = ""
        self.ends: list[Any] = []
        for _ in range(2):
            self.ends += self.make_pair()
        for end in self.ends:
            end.setblocking(False)
        self.a, self.b, self.c, self.d = self.ends

    def note(self, text: str) -> None:
        self.log += text


class LoggedState(State):
    make_pair = staticmethod(logged_pair)


class Lines(asyncio.Protocol):
    """Notes what it is told."""

    def __init__(self, state: State) -> None:
        self.state = state

    def data_received(self, data: bytes) -> None:
        self.state.note(data.decode())


async def pause() -> None:
    await asyncio.sleep(0)


async def send_a(state: State) -> None:
    await asyncio.get_running_loop().sock_sendall(state.a, b"a")


async def send_a_late(state: State) -> None:
    await pause()
    state.a.send(b"a")


async def send_b(state: State) -> None:
    state.b.send(b"b")


async def send_c_late(state: State) -> None:
    await pause()
    state.c.send(b"c")


async def send_twice(state: State) -> None:
    state.a.send(b"1")
    await pause()
    state.a.send(b"2")


async def send_behind_a_callback(state: State) -> None:
    asyncio.get_running_loop().call_soon(state.note, "s")
    state.a.send(b"a")


async def shut_down(state: State) -> None:
    await pause()
    state.a.shutdown(socket.SHUT_WR)


async def send_and_shut_down(state: State) -> None:
    await pause()
    state.a.send(b"a")
    state.a.shutdown(socket.SHUT_WR)


async def receive(state: State) -> None:
    data = await asyncio.get_running_loop().sock_recv(state.b, 10)
    state.note(data.decode() or "-")


async def receive_one(state: State) -> None:
    data = await asyncio.get_running_loop().sock_recv(state.b, 1)
    state.note(data.decode() or "-")


async def receive_at_d(state: State) -> None:
    data = await asyncio.get_running_loop().sock_recv(state.d, 10)
    state.note(data.decode())


async def receive_at_a(state: State) -> None:
    data = await asyncio.get_running_loop().sock_recv(state.a, 10)
    state.note(data.decode())


async def receive_then_x(state: State) -> None:
    await asyncio.get_running_loop().sock_recv(state.b, 10)
    before = state.x
    await pause()
    state.x = before + 1


async def increment(state: State) -> None:
    before = state.x
    await pause()
    state.x = before + 1


async def add_reader(state: State) -> None:
    """A reader of the plain kind, which goes on as long as there is something."""
    loop = asyncio.get_running_loop()

    def read() -> None:
        state.note(state.b.recv(1).decode())
        if state.log.endswith("2"):
            loop.remove_reader(state.b)

    loop.add_reader(state.b, read)


async def remove_reader(state: State) -> None:
    await pause()
    state.note(str(asyncio.get_running_loop().remove_reader(state.b))[0])


async def cancel_receiver(state: State) -> None:
    receiver = asyncio.create_task(receive(state))
    await pause()
    receiver.cancel()
    await asyncio.wait([receiver])
    state.note("c" if receiver.cancelled() else "d")


SCENARIOS: dict[str, list[Any]] = {
    "message": [receive, send_a],
    "late_message": [receive, send_a_late],
    "both_ways": [receive, send_a_late, send_b],
    "two_pairs": [receive, receive_at_d, send_a, send_c_late],
    "pieces": [receive, send_twice],
    "piece": [receive_one, send_twice],
    "nobody_sends": [receive, increment],
    "the_end": [receive, shut_down],
    "the_end_behind": [receive_one, send_and_shut_down],
    "behind_a_callback": [receive, send_behind_a_callback],
    "lost_update": [receive_then_x, increment, send_a],
    "reader": [add_reader, send_twice],
    "reader_that_is_removed": [add_reader, remove_reader, send_a_late],
    "cancelled": [cancel_receiver, send_a],
    "cancelled_late": [cancel_receiver, send_a_late],
    "ping_pong": [receive, receive_at_a, send_a, send_b],
}


def observe(state: State) -> object:
    return (state.x, state.log)


@pytest.mark.parametrize("name", SCENARIOS)
def test_as_by_brute_force(name: str) -> None:
    classes, outcomes, stuck = explore_every_order_of_sockets(LoggedState, SCENARIOS[name], observe)
    result = asyncio.run(
        explore_async_dpor(
            State,
            SCENARIOS[name],
            lambda state: True,
            stop_on_first=False,
            reproduce_on_failure=0,
            observe=observe,
        )
    )
    deadlocks = sum(failure.kind == "deadlock" for failure in result.failures)
    assert result.exhausted, result.explanation
    assert set(result.outcomes) == outcomes
    assert (result.num_explored, deadlocks) == (classes, stuck)
