"""Classes: super, properties, descriptors, metaclasses, class scopes, slots, dataclasses."""

import dataclasses
import enum
import traceback


class Base:
    def __init__(self, x, *, y=2):
        self.x, self.y = x, y

    def describe(self):
        return f"{type(self).__name__}({self.x!r}, {self.y=})"

    @property
    def total(self):
        return self.x + self.y

    @total.setter
    def total(self, value):
        self.x = value - self.y

    @total.deleter
    def total(self):
        del self.x


class Derived(Base):
    kind = "derived"
    kinds = [kind for _ in range(2)] if False else [kind]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.items = {}

    def describe(self):
        return "<" + super().describe() + "|" + super(Derived, self).describe() + ">"

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return "dynamic " + name

    def __setitem__(self, key, value):
        self.items[key] = value

    def __getitem__(self, key):
        return self.items[key]

    def __delitem__(self, key):
        del self.items[key]

    def __class_getitem__(cls, key):
        return cls, key

    class Inner:
        outer = __qualname__

        def me(self):
            return __class__


d = Derived(1, y=5)
d.total = 10
d["a"] = d["b"] = 3
del d["b"]
d["a"] += 4
d.y -= 1
print(d.describe(), d.total, d.unknown, d["a"], Derived[int][1], Derived.Inner().me(), Derived.kinds)
del d.total
print(d.x)


class Meta(type):
    def __new__(mcls, name, bases, namespace, **options):
        namespace["options"] = options
        return super().__new__(mcls, name, bases, dict(namespace))

    @classmethod
    def __prepare__(mcls, name, bases, **options):
        class Namespace(dict):
            def __missing__(self, key):
                if key.startswith("auto_"):
                    return key
                raise KeyError(key)

        return Namespace()


class WithMeta(metaclass=Meta, option=1):
    a = auto_b
    try:
        c = undefined_name
    except NameError as error:
        c = str(error)


print(WithMeta.a, WithMeta.c, WithMeta.options)


def closure(value):
    class Local:
        stored = value

        def get(self):
            nonlocal value
            value += 1
            return value

    return Local


print(closure(5).stored, closure(5)().get())


@dataclasses.dataclass(order=True, slots=True)
class Point:
    x: int = 0
    y: list = dataclasses.field(default_factory=list)


class Colour(enum.Enum):
    RED = enum.auto()
    GREEN = enum.auto()

    def __invert__(self):
        return Colour.RED if self is Colour.GREEN else Colour.GREEN


print(Point(1), Point(1, [2]) < Point(1, [3]), ~Colour.RED, [*Colour])
try:
    d._hidden
except AttributeError:
    traceback.print_exc()
