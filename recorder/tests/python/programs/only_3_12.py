"""Syntax of 3.12: type parameters, type aliases, nested f-strings; comprehensions that are inlined."""

type Pair[T] = tuple[T, T]


def first[T: (int, str), *Ts, **P](pair: Pair[T]) -> T:
    return pair[0]


class Box[T]:
    kind = "box"
    names = [T.__name__ for _ in range(2)]

    def get[S](self, other: S) -> T | S:
        return [(T, S, kind, other) for kind in self.names]

    def bounded[S: (Pair, kind, len)](self, other: S):
        return other

    def nested(self):
        return [[lambda: (x, y, __class__) for x in range(2)] for y in range(2)]


print(Pair.__value__, first((1, 2)), first.__type_params__, Box.__parameters__, Box[int], Box.kind)
print(Box.bounded.__type_params__[0].__constraints__)
print(Box().get(3), [f() for row in Box().nested() for f in row])
print(f"{'a' + f'{1 + 1:{'>' + str(4)}}'}")


def inlined(values):
    x = "kept"
    squares = [x * x for x in values]
    try:
        [1 // x for x in values]
    except ZeroDivisionError as error:
        failed = repr(error), x
    cells = [lambda: x for x in values]
    return squares, failed, x, [cell() for cell in cells], [y := v for v in values], y


print(inlined([1, 2, 0]))
