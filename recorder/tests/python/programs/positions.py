"""One failing expression for each visible operation, to compare the carets of the tracebacks."""

import traceback


class Thing:
    x = 1
    __slots__ = ("y",)

    def method(self, *args, **kwargs):
        raise RuntimeError(args, kwargs)

    def __bool__(self):
        raise RuntimeError("no truth")

    def __contains__(self, element):
        raise RuntimeError("no membership")

    def __lt__(self, other):
        raise RuntimeError("no order")

    def __format__(self, spec):
        raise RuntimeError("no format")

    def __iter__(self):
        raise RuntimeError("no iteration")


thing = Thing()
text = "ü"  # Columns count bytes.
cases = {
    name: value
    for name, value in {
        "load attribute": lambda: (text, thing.y.z)[0],
        "load method": lambda: thing.missing(1, 2),
        "call": lambda: thing.method(1, *(), k=2),
        "call over lines": lambda: thing.method(
            1,
            key=[
                text,
            ],
        ),
        "chain": lambda: (
            thing
            .method(a=1)
            .method(b=2)
        ),
        "call star": lambda: thing.method(*[1, 2], **{"a": 1}),
        "global": lambda: text + missing_global,
        "subscript": lambda: {"a": {}}["a"]["b"],
        "slice": lambda: thing[1:2],
        "contains": lambda: 1 not in thing,
        "compare": lambda: 1 < thing < 3,
        "and": lambda: thing and 1,
        "not": lambda: not thing,
        "if": lambda: 1 if thing else 2,
        "binary": lambda: text + 1,
        "unary": lambda: -text,
        "format": lambda: f"{text} {thing:>10}",
        "unpack": lambda: [*thing],
        "dict unpack": lambda: {**thing},
        "list": lambda: [a for a in thing],
        "super": lambda: super(Thing, thing).missing,
    }.items()
}


def store_attribute():
    thing.y.z = 1


def store_item():
    thing["a"] = text


def store_slice():
    thing[1:2] = text


def delete_item():
    del thing[0]


def delete_attribute():
    del thing.y


def unpack():
    a, b = (1,)


def unpack_star():
    a, *b, c = (1,)


def inplace():
    global thing
    thing += 1


def iterate():
    for a in thing:
        pass


def import_name():
    import frontrun_does_not_exist.at_all


def import_from():
    from os import does_not_exist


def free_variable():
    def inner():
        return text, variable

    inner()
    variable = 1


def truth():
    while thing:
        pass


def match_class():
    match thing:
        case Thing(1, 2):
            pass


functions = [f for f in list(globals().values()) if callable(f) and getattr(f, "__name__", "") not in ("Thing",)]
for function in [*cases.values(), *functions]:
    try:
        function()
    except Exception:
        traceback.print_exc()
