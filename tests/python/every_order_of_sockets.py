"""Brute force for tasks that talk through sockets: every order of what is ready, as the system says what is.

Independent of frontrun: the loop of ``every_order`` asks the system after each step which descriptors are ready; their
callbacks are then ready, too, behind what that step has scheduled. Sockets say what they read and write.
"""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Callable, Sequence
from typing import Any

import every_order
from every_order import ChoosingLoop, Log, Worker, class_of, log


class Direction:
    """What one end of a pair has sent and the other has not received; whether that is all; whether somebody waits."""


class LoggedSocket(socket.socket):
    """An end of a pair, which says what it reads and writes."""

    received: Direction
    sent: Direction

    def send(self, data: Any, flags: int = 0) -> int:
        log.note(self.sent, "bytes", write=True)
        return super().send(data, flags)

    def recv(self, size: int, flags: int = 0) -> bytes:
        try:
            data = super().recv(size, flags)
        except BlockingIOError:
            self._look()
            raise
        if data:
            log.note(self.received, "bytes", write=True)
        else:
            self._look()
        return data

    def _look(self) -> None:
        log.note(self.received, "bytes", write=False)
        log.note(self.received, "end", write=False)

    def shutdown(self, how: int) -> None:
        assert how == socket.SHUT_WR
        log.note(self.sent, "end", write=True)
        super().shutdown(how)

    def is_readable(self) -> bool:
        return bool(select.select([self], [], [], 0)[0])


def logged_pair() -> tuple[LoggedSocket, LoggedSocket]:
    """A pair of connected sockets that do not block."""
    directions = Direction(), Direction()
    made = []
    for at, end in enumerate(socket.socketpair()):
        mine = LoggedSocket(end.family, end.type, end.proto, end.detach())
        mine.setblocking(False)
        mine.received, mine.sent = directions[at], directions[1 - at]
        made.append(mine)
    return made[0], made[1]


class Waiting:
    """A callback that waits for a descriptor."""

    def __init__(self, name: str, handle: asyncio.Handle, sock: LoggedSocket) -> None:
        self.name = name
        self.handle = handle
        self.sock = sock
        self.is_ready = False
        self.is_stalled = False
        self.behind: list[asyncio.Handle] = []

    def is_behind(self, handle: asyncio.Handle) -> bool:
        return any(handle is before for before in self.behind)


class SocketLoop(ChoosingLoop):
    """Readers are ready as long as the system says so."""

    def __init__(self, choices: list[int]) -> None:
        self.waiting: dict[int, Waiting] = {}
        self.socks: dict[int, LoggedSocket] = {}
        super().__init__(choices)

    def _add_reader(self, of: Any, callback: Any, *args: Any) -> asyncio.Handle:
        fd = of if isinstance(of, int) else of.fileno()
        handle = asyncio.Handle(callback, args, self, None)
        if fd in self.socks:
            log.note(self, f"interest in {fd}", write=fd not in self.waiting)
            self._forget(fd)
            self.waiting[fd] = Waiting(self._child(), handle, self.socks[fd])
            # The loop may be left before it is called, as with the step of a task.
            self.scheduled.append((self.current, handle, True))
            log.note(self.socks[fd].received, "bytes", write=False)
            log.note(self.socks[fd].received, "end", write=False)
        return handle

    def _remove_reader(self, of: Any) -> bool:
        fd = of if isinstance(of, int) else of.fileno()
        if fd in self.waiting:
            log.note(self, f"interest in {fd}", write=True)
        return self._forget(fd)

    def _forget(self, fd: int) -> bool:
        waiting = self.waiting.pop(fd, None)
        if self.current and waiting is None and fd in self.socks:
            log.note(self, f"interest in {fd}", write=False)
        if waiting is None:
            return False
        # It matters whether that has been ready, and what would have made it so.
        log.note(waiting, "ready", write=waiting.is_ready)
        log.note(waiting.sock.received, "bytes", write=False)
        log.note(waiting.sock.received, "end", write=False)
        self.ready = [entry for entry in self.ready if entry[1] is not waiting.handle]
        waiting.handle.cancel()
        return True

    def _may_go(self, name: str, handle: asyncio.Handle) -> bool:
        for waiting in self.waiting.values():
            if waiting.handle is handle and any(waiting.is_behind(entry[1]) for entry in self.ready):
                return False
        return super()._may_go(name, handle)

    def _run_step(self, entry: tuple[str, asyncio.Handle]) -> None:
        is_waiting = {id(waiting.handle): waiting for waiting in self.waiting.values()}.get(id(entry[1]))
        super()._run_step(entry)
        step = self.steps[-1][1]
        if is_waiting is not None:
            step.note(is_waiting, "ready", write=False)
            # It is no callback that is called once.
            step.writes.discard((id(entry[1]), "called"))
        scheduled = [handle for who, handle, is_task in self.scheduled if who == entry[0] and not is_task]
        stalls = is_waiting is not None and (id(is_waiting.sock.received), "bytes") not in step.writes
        for waiting in self.waiting.values():
            # Who leaves what is there would be called for ever: it waits for a step of somebody else.
            waiting.is_stalled = (waiting.is_stalled and stalls) or (stalls and waiting is is_waiting)
            self._look(waiting, step, scheduled)

    def _look(self, waiting: Waiting, step: Log, scheduled: list[asyncio.Handle]) -> None:
        is_ready = waiting.sock.is_readable() and not waiting.is_stalled
        if is_ready != waiting.is_ready:
            step.note(waiting, "ready", write=True)
            waiting.behind = scheduled
        waiting.is_ready = is_ready
        self.ready = [entry for entry in self.ready if entry[1] is not waiting.handle]
        if is_ready:
            self.ready.append((waiting.name, waiting.handle))


def explore_every_order_of_sockets(
    setup: Callable[[], Any], workers: Sequence[Worker], observe: Callable[[Any], object]
) -> tuple[int, set[str], int]:
    """How many classes there are, the outcomes, and how many classes get stuck."""
    classes: dict[frozenset[Any], bool] = {}
    outcomes: set[str] = set()
    choices: list[int] | None = []
    with every_order._tracking():
        while choices is not None:
            loop = SocketLoop(choices)
            state = setup()
            state.__class__ = type(type(state).__name__, (every_order.Tracked, type(state)), {})
            loop.socks = {end.fileno(): end for end in state.ends}
            loop.set_exception_handler(lambda *_: None)
            stuck = not loop.run_chosen([every_order._call(worker, state) for worker in workers])
            classes[class_of(loop.steps)] = stuck
            if not stuck:
                outcomes.add(repr(observe(state)))
            choices = every_order._next(choices, loop.widths)
            every_order._discard(loop)
            for end in state.ends:
                end.close()
    return len(classes), outcomes, sum(classes.values())
