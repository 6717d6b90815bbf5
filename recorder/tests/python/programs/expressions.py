"""Expressions and statements: calls, unpacking, comprehensions, matching, formatting, scopes."""

import functools
from os.path import *
from os import path as imported_path, sep

print(basename("a/b"), imported_path.join("a", "b") == "a" + sep + "b")


def decorated(*outer_args, **outer_kwargs):
    def decorate(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            return function(*outer_args, *args, **{**outer_kwargs, **kwargs})

        return wrapper

    return decorate


@decorated(1, z=3)
@decorated(k=4)
def collects(a, b=2, /, *rest, z, **others):
    return a, b, rest, z, others


print(collects(), collects(5, 6, z=7), collects(*[1, 2], *range(2), **{"z": 0}, q=1))


def scopes():
    counter = 0

    def count():
        nonlocal counter
        counter += 1
        return counter

    [count() for _ in range(3)]
    matrix = [[(i, j, counter) for i in range(j)] for j in range(3)]
    adders = [lambda x, n=n: x + n + counter for n in range(2)]
    del_me = 1
    del del_me
    return count(), matrix, [adder(1) for adder in adders], {k: v for k, v in zip("ab", range(2))}


print(scopes())


def matches(subject):
    match subject:
        case 0 | 1:
            return "small"
        case int(n) if (m := n * 2) > 10:
            return f"big {m}"
        case [first, *middle, last]:
            return first, middle, last
        case {"type": "point", "at": (x, y), **rest}:
            return x, y, rest
        case str() as text:
            return text.upper()
        case complex(real=r, imag=i):
            return r, i
        case None | True:
            return "singleton"
        case _:
            return "other"


for subject in (1, 9, [1, 2, 3, 4], (1, 2), {"type": "point", "at": [1, 2], "z": 3}, "s", 1j, None, 3.5, 2, {}):
    print(matches(subject))


def operators(values):
    a, *b, (c, d) = values
    values[1:3] = [a] * 3
    del values[0]
    x = values[-1:][0][0]
    x += c
    x **= 2
    x //= 3
    x @= Matrix()
    low = 1 < a <= 5 != c or not b
    return a, b, c, d, values, x, low, -a, ~a, +a, a if b else c, (a and b) or d, a is not c, a not in b


class Matrix:
    def __rmatmul__(self, other):
        return other, "matrix"


print(operators([1, 2, 3, 4, (5, 6)]))
print(f"{1!r:>4}{'x':{5}}{3.14159:.2f}{'ü'!a}{{}}{sep=}", "%s-%d" % ("a", 1))
print([*range(3), *"ab"], {*range(3), 5}, {**{"a": 1}, "b": 2}, (*(), 1), *["starred"], sep="|")

total = 0
while (total := total + 1) < 20:
    if total % 3 == 0:
        continue
    if total == 11:
        break
else:
    print("no break")
print(total)

global_name = 1


def globals_too():
    global global_name, made_global
    global_name += 1
    made_global = global_name
    del global_name
    try:
        return global_name
    except NameError as error:
        return str(error), made_global


print(globals_too())
namespace = {}
exec("a = 1\nfor i in range(3):\n    a += i\ndel i", namespace)
print(namespace["a"], eval("[x for x in (1, 2)]"), sorted(k for k in namespace if k != "__builtins__"))
print(sorted([3, 1, 2], key=lambda v: -v), max((1, 5), default=0), dict(a=1, **{"b": 2}), list(map(str, range(3))))
assert total == 11, "not raised"
try:
    assert total != 11, f"total is {total}"
except AssertionError as error:
    print(repr(error))
