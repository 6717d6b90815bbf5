"""The event loops of asyncio under control.

A controlled loop has no queue of what is ready: who goes on is decided by the gate. A task goes on once the future that
it awaits is done. What one step schedules comes behind the callbacks that it has scheduled before; in every other
respect any order of what is ready can happen, as it can where input and output take their time. A timer of less than a
second may go off at any moment, a longer one only when nobody can go on; the loop's clock moves with the timers alone.

The methods of ``BaseEventLoop`` are replaced, so that every loop obeys that has them, whoever made it and when.

Not here: loops written in other languages; what a loop has to run (``_loop_model``); loops that are older than the run
(``_earlier_loops``); futures (native side).
"""

from __future__ import annotations

import _asyncio
import asyncio
import math
import socket
import sys
import threading
from asyncio import base_events, events, mixins, selector_events
from collections.abc import Callable, Sequence
from contextvars import Context
from typing import Any

from . import _core, _earlier_loops, _sleeping
from ._loop_model import EPOCH, LoopModel, number_of
from ._threads import pass_checkpoint, quietly

_MODEL = "_frontrun_model"

_Base: Any = base_events.BaseEventLoop
_Selector: Any = selector_events.BaseSelectorEventLoop
_SafeHandle: Any = getattr(events, "_ThreadSafeHandle", events.Handle)


def _model(loop: Any) -> LoopModel:
    model: LoopModel | None = loop.__dict__.get(_MODEL)
    if model is None:
        model = loop.__dict__[_MODEL] = LoopModel(loop)
        # One that runs does so in a thread that this process has not got, or in the caller of the exploration.
        if not loop.is_running():
            _earlier_loops.take_over(loop, model, time(loop))
    return model


def make_loop(self: Any) -> None:
    """Make a loop, which has a model from the beginning if it is made under control."""
    _originals[_Base, "__init__"](self)
    if _core.current() is not None:
        self.__dict__[_MODEL] = LoopModel(self)


def _is_controlled() -> bool:
    pass_checkpoint()
    return _core.current() is not None


def run_forever(self: Any) -> None:
    """Run the loop until ``stop`` is called."""
    if _is_controlled():
        run_loop(self, LoopModel.run_until_stopped)
    else:
        _originals[_Base, "run_forever"](self)


def run_until_ended(loop: Any, tasks: list[Any], cancelled: Sequence[Any] = ()) -> None:
    """Run the loop until these tasks of its own have ended; only under control.

    Each of those that are ``cancelled`` is so at some moment, be it when it has ended.
    """
    faults = [_model(loop).admit_fault(task.cancel, f"cancels {task.get_name()}") for task in cancelled]
    run_loop(loop, lambda model: model.run_until_ended(tasks, faults))


def run_in_step(loop: Any, make_tasks: Callable[[], list[Any]]) -> None:
    """Run tasks in the loop of an uncontrolled task that is in the middle of a step, which is controlled meanwhile.

    Time passes when none of them can go on. What they leave behind goes on in the loop as usual.
    """
    current: Any = asyncio.current_task(loop)
    lent = loop._thread_id, loop._stopping, loop._default_executor
    asyncio.tasks._leave_task(loop, current)
    events._set_running_loop(None)
    # Threads belong to the run that has started them.
    loop._thread_id = loop._default_executor = None
    model = loop.__dict__[_MODEL] = LoopModel(loop)
    model.short = -math.inf
    try:
        run_until_ended(loop, make_tasks())
        if loop._default_executor is not None:
            loop._default_executor.shutdown()
    finally:
        clock = EPOCH + _core.virtual_time()
        uninstall()
        del loop.__dict__[_MODEL]
        model.release(loop, clock)
        loop._thread_id, loop._stopping, loop._default_executor = lent
        events._set_running_loop(loop)
        asyncio.tasks._enter_task(loop, current)


def run_loop(loop: Any, run: Callable[[LoopModel], None]) -> None:
    """Run a loop on this thread, which is controlled."""
    loop._check_closed()
    loop._check_running()
    model = _model(loop)
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(firstiter=loop._asyncgen_firstiter_hook, finalizer=loop._asyncgen_finalizer_hook)
    loop._thread_id = threading.get_ident()
    events._set_running_loop(loop)
    try:
        run(model)
    finally:
        loop._stopping = False
        loop._thread_id = None
        events._set_running_loop(None)
        sys.set_asyncgen_hooks(*hooks)


def call_soon(
    self: Any, callback: Callable[..., object], *args: object, context: Context | None = None
) -> events.Handle:
    """Schedule a callback, or the step of a task."""
    if not _is_controlled():
        original: events.Handle = _originals[_Base, "call_soon"](self, callback, *args, context=context)
        return original
    self._check_closed()
    handle = events.Handle(callback, args, self, context)
    _model(self).admit(handle)
    return handle


def call_soon_threadsafe(
    self: Any, callback: Callable[..., object], *args: object, context: Context | None = None
) -> events.Handle:
    """Schedule a callback from any thread; from 3.14 on it cannot be cancelled by another one while it is called."""
    if not _is_controlled():
        original = _originals[_Base, "call_soon_threadsafe"]
        uncontrolled: events.Handle = original(self, callback, *args, context=context)
        return uncontrolled
    self._check_closed()
    handle: events.Handle = _SafeHandle(callback, args, self, context)
    _model(self).admit(handle)
    return handle


def call_at(
    self: Any, when: float, callback: Callable[..., object], *args: object, context: Context | None = None
) -> events.TimerHandle:
    """Schedule a callback at a time of the loop's clock."""
    if not _is_controlled():
        original: events.TimerHandle = _originals[_Base, "call_at"](self, when, callback, *args, context=context)
        return original
    self._check_closed()
    timer = events.TimerHandle(when, callback, args, self, context)
    _model(self).admit_timer(timer, when - time(self))
    timer._scheduled = True  # type: ignore[attr-defined]
    return timer


def stop(self: Any) -> None:
    """Stop the loop."""
    _originals[_Base, "stop"](self)
    if _core.current() is not None:
        _model(self).stop()


def time(self: Any) -> float:
    """Return the time of the loop's clock."""
    if _core.current() is None:
        return float(_originals[_Base, "time"](self))
    return EPOCH + _core.virtual_time()


async def getaddrinfo(
    self: Any, host: Any, port: Any, *, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
) -> Any:
    """Look a host up, without the thread that does so meanwhile: the answer comes at any moment."""
    asked = (host, port, family, type, proto, flags)
    if not _is_controlled():
        return await _originals[_Base, "getaddrinfo"](self, *asked[:2], **dict(zip(_HINTS, asked[2:], strict=True)))
    answer = self.create_future()
    _model(self).admit_news(events.Handle(_look_up, (answer, asked), self, None))
    return await answer


_HINTS = ("family", "type", "proto", "flags")


def _look_up(answer: asyncio.Future[Any], asked: tuple[Any, ...]) -> None:
    if answer.done():
        return
    try:
        answer.set_result(socket.getaddrinfo(*asked))
    except Exception as error:
        answer.set_exception(error)


def _find_sleeper() -> tuple[_sleeping.Sleepers, int, Any, float] | None:
    loop: Any = events._get_running_loop()
    model: LoopModel | None = None if loop is None else loop.__dict__.get(_MODEL)
    return None if model is None else model.find_sleeper()


def _asked_for_tasks(loop: object) -> None:
    asked = events.get_running_loop() if loop is None else loop
    model: LoopModel | None = getattr(asked, "__dict__", {}).get(_MODEL)
    if model is not None:
        model.ask_for_tasks()


def cancel_handle(self: Any) -> None:
    """Cancel a callback that has not been called."""
    if _core.is_concurrent():
        _core.set_flag(self)
    model = self._loop.__dict__.get(_MODEL) if _core.current() is not None else None
    if model is not None:
        model.forget_watch(self)
    _originals[events.Handle, "cancel"](self)


def cancel_timer(self: Any) -> None:
    """Cancel a timer that has not gone off."""
    if not self._cancelled:
        self._loop._timer_handle_cancelled(self)
    cancel_handle(self)


def write_to_self(self: Any) -> None:
    """Wake the thread that runs the loop, unless the gate does."""
    if _core.current() is None:
        _originals[_Selector, "_write_to_self"](self)


def _watching(name: str, *, writes: bool) -> Callable[..., Any]:
    def call(self: Any, fd: Any, callback: Callable[..., object], *args: Any) -> Any:
        if not _is_controlled() or fd == self._ssock.fileno():
            return _originals[_Selector, name](self, fd, callback, *args)
        _model(self).note_interest(fd, writes=writes, begins=True)
        with quietly:
            handle = _originals[_Selector, name](self, fd, callback, *args)
        if not _model(self).admit_watch(handle, number_of(fd), writes=writes):
            _earlier_loops.end_unfollowed()
        return handle

    return call


def _forgetting(name: str, *, writes: bool) -> Callable[..., Any]:
    def call(self: Any, fd: Any) -> Any:
        own = self._ssock
        if _is_controlled() and (own is None or fd != own.fileno()):
            _model(self).note_interest(fd, writes=writes, begins=False)
        return _originals[_Selector, name](self, fd)

    return call


def _quiet(name: str) -> Callable[..., Any]:
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        pass_checkpoint()
        with quietly:
            return _originals[_Selector, name](self, *args, **kwargs)

    return call


_MODELS: dict[Any, dict[str, Callable[..., Any]]] = {
    _Base: {
        "__init__": make_loop,
        "run_forever": run_forever,
        "call_soon": call_soon,
        "call_soon_threadsafe": call_soon_threadsafe,
        "call_at": call_at,
        "stop": stop,
        "time": time,
        "getaddrinfo": getaddrinfo,
    },
    _Selector: {
        "__init__": _quiet("__init__"),
        "_add_reader": _watching("_add_reader", writes=False),
        "_add_writer": _watching("_add_writer", writes=True),
        "_remove_reader": _forgetting("_remove_reader", writes=False),
        "_remove_writer": _forgetting("_remove_writer", writes=True),
        "_close_self_pipe": _quiet("_close_self_pipe"),
        "_write_to_self": write_to_self,
    },
    events.Handle: {"cancel": cancel_handle},
    events.TimerHandle: {"cancel": cancel_timer},
}
_originals: dict[tuple[Any, str], Callable[..., Any]] = {
    (cls, name): getattr(cls, name) for cls, methods in _MODELS.items() for name in methods
}


def install() -> None:
    """Put the model in place, for the rest of this process."""
    for cls, methods in _MODELS.items():
        for name, model in methods.items():
            # To set an attribute of a class again takes a forked run some time.
            if cls.__dict__[name] is not model:
                setattr(cls, name, model)
    _sleeping.install(_find_sleeper)
    # It guards which loop a primitive belongs to, which is the same in any order.
    _core.ignore_lock(mixins._global_lock)
    _core.watch_futures(_subclasses(_asyncio.Future), _asyncio)
    if hasattr(_asyncio, "all_tasks"):
        _core.watch_all_tasks(_asyncio, _asked_for_tasks)


def uninstall() -> None:
    """Take the model out again, for a process that goes on after its run."""
    for (cls, name), original in _originals.items():
        setattr(cls, name, original)
    _sleeping.uninstall()


def _subclasses(cls: type[Any]) -> list[type[Any]]:
    found: list[type[Any]] = []
    for subclass in cls.__subclasses__():
        found += [subclass, *_subclasses(subclass)]
    return found
