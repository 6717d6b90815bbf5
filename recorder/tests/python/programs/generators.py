"""Generators: send, throw, close, delegation, return values, exhaustion."""

import traceback


def inner(log):
    try:
        while True:
            received = yield len(log)
            log.append(received)
            if received == "stop":
                return "returned"
    except ValueError as error:
        log.append(repr(error))
        yield "caught"
    finally:
        log.append("inner finally")


def outer(log):
    result = yield from inner(log)
    log.append(("result", result))
    yield from (x * x for x in range(3))
    yield from [10, 20]


log = []
generator = outer(log)
print(next(generator), generator.send("a"), generator.send("b"), generator.gi_yieldfrom is not None)
print(generator.send("stop"), list(generator), log)

log = []
generator = outer(log)
next(generator)
print(generator.throw(ValueError("thrown")), log)
generator.close()
print(log)


def returns_from_throw():
    try:
        yield 1
    except KeyError:
        return "value of the subgenerator"


def delegates():
    value = yield from returns_from_throw()
    yield value


generator = delegates()
next(generator)
print(generator.throw(KeyError))


class Iterator:
    def __init__(self):
        self.left = 3

    def __iter__(self):
        return self

    def __next__(self):
        self.left -= 1
        if self.left < 0:
            raise StopIteration("done")
        return self.left

    def throw(self, kind, *rest):
        print("throw", kind)
        raise StopIteration("from throw")


def delegates_to_object():
    print("value", (yield from Iterator()))


generator = delegates_to_object()
print(next(generator), next(generator))
try:
    generator.throw(RuntimeError)
except StopIteration:
    print("stopped")


def stops():
    yield 1
    raise StopIteration("inside")


try:
    list(stops())
except RuntimeError:
    traceback.print_exc()


def bad_delegate():
    yield from 5


try:
    next(bad_delegate())
except TypeError:
    traceback.print_exc()

for n in (i for i in range(4) if i % 2 if i > 0):
    print(n)
else:
    print("exhausted")


def endless():
    n = 0
    while True:
        n += 1
        if (yield n):
            break


generator = endless()
print([next(generator) for _ in range(5)])
try:
    generator.send(True)
except StopIteration as stop:
    print(stop.value)
