"""Exceptions: nesting, finally, re-raising, context, groups, with."""

import contextlib
import traceback


def nested(n):
    try:
        try:
            if n == 0:
                return "early"
            if n == 1:
                raise KeyError("one")
            [][n]
        except KeyError as error:
            raise ValueError("from key") from error
        else:
            print("else")
        finally:
            print("inner finally", n)
    except (ValueError, TypeError):
        traceback.print_exc()
        return "handled"
    except IndexError:
        raise
    finally:
        print("outer finally", n)


print(nested(0), nested(1))
try:
    nested(2)
except IndexError:
    traceback.print_exc()


def loop():
    for i in range(5):
        try:
            if i == 1:
                continue
            if i == 3:
                break
            yield i
        finally:
            print("loop finally", i)
    else:
        print("not reached")


print(list(loop()))


def groups():
    try:
        raise ExceptionGroup("g", [ValueError(1), ExceptionGroup("h", [TypeError(2), KeyError(3)]), OSError(4)])
    except* ValueError as group:
        print("values", group.exceptions)
    except* (TypeError, OSError) as group:
        print("types", group)
        raise RuntimeError("in handler")


try:
    groups()
except BaseException:
    traceback.print_exc()


class Manager:
    def __init__(self, swallow):
        self.swallow = swallow

    def __enter__(self):
        return self.swallow

    def __exit__(self, *details):
        print("exit", details[0])
        return self.swallow


def manages(swallow):
    with Manager(swallow) as s, contextlib.suppress(ZeroDivisionError):
        print(s)
        1 / 0
        print("not reached")
    with Manager(swallow):
        raise OSError(
            "over",
            "lines",
        )
    return "swallowed"


print(manages(True))
try:
    manages(False)
except OSError:
    traceback.print_exc()
try:
    with 5:
        pass
except TypeError:
    traceback.print_exc()


def unbound():
    try:
        raise ValueError
    except ValueError as error:
        pass
    return error


try:
    unbound()
except UnboundLocalError:
    traceback.print_exc()


def recursive(n):
    return recursive(n + 1) + 1


try:
    recursive(0)
except RecursionError as error:
    print(type(error))
