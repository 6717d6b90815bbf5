"""Coroutines: await, async for, async with, async comprehensions, cancellation."""

import asyncio
import traceback


class Manager:
    def __init__(self, name, swallow=False):
        self.name, self.swallow = name, swallow

    async def __aenter__(self):
        await asyncio.sleep(0)
        print("enter", self.name)
        return self

    async def __aexit__(self, kind, error, trace):
        await asyncio.sleep(0)
        print("exit", self.name, kind)
        return self.swallow


async def numbers(n):
    try:
        for i in range(n):
            await asyncio.sleep(0)
            yield i
    finally:
        print("numbers closed")


class Countdown:
    def __init__(self, n):
        self.n = n

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.n:
            raise StopAsyncIteration
        self.n -= 1
        return self.n


async def comprehensions():
    print([i async for i in numbers(4) if i], {i: i async for i in Countdown(2)})
    print([await asyncio.sleep(0, result=i) for i in range(3)])
    print(sum([i async for i in (x * 2 async for x in numbers(3))]))
    async for i in numbers(2):
        print(i)
    else:
        print("else")


async def managers():
    async with Manager("a") as a, Manager("b", swallow=True) as b:
        print(a.name, b.name)
        raise ValueError("inside")
    async with Manager("returns"):
        return "value"


async def cancelled():
    try:
        await asyncio.sleep(10)
    except asyncio.CancelledError:
        print("cancelled")
        raise
    finally:
        await asyncio.sleep(0)
        print("cleaned up")


async def fails(depth):
    if depth:
        await fails(depth - 1)
    raise LookupError("deep")


async def main():
    await comprehensions()
    print(await managers())
    task = asyncio.ensure_future(cancelled())
    await asyncio.sleep(0)
    task.cancel()
    print(await asyncio.gather(task, return_exceptions=True))
    try:
        await fails(2)
    except LookupError:
        traceback.print_exc()
    try:
        async with object():
            pass
    except TypeError:
        traceback.print_exc()
    try:
        await 5
    except TypeError:
        traceback.print_exc()
    try:
        async for _ in []:
            pass
    except TypeError:
        traceback.print_exc()


asyncio.run(main())
