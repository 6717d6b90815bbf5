"""Statements about objects whose operations are Python code: special methods, properties, keys, generators.

Each area is what it adds to the module and to `setup`, and its statements. In these `$t` is a local to assign, `$k` a
key, `$i` an index, `$v` and `$w` are values.
"""

AREAS: dict[str, tuple[str, str, list[str]]] = {
    "equality": (
        "class Same:\n"
        "    def __init__(self, v): self.v = v\n"
        "    def __eq__(self, other): return isinstance(other, Same) and self.v == other.v\n"
        "    def __hash__(self): return 7\n"
        "    def __lt__(self, other): return self.v < other.v\n"
        "    def __repr__(self): return f'Same({self.v})'",
        "s.p = Same(1); s.q = Same(2); s.l = [s.p, s.q]; s.d = {s.p: 1, s.q: 2}; s.u = {s.p}; s.e = deque(s.l)",
        [
            "s.p.v = $v",
            "s.q.v = $v",
            "$t = s.l.index(Same($v))",
            "$t = Same($v) in s.l",
            "$t = s.l.count(Same($v))",
            "s.l.remove(Same($v))",
            "s.l.clear()",
            "s.l.pop()",
            "s.l[$i] = Same($v)",
            "$t = s.l == [Same(1), Same($v)]",
            "s.l.sort()",
            "$t = [each.v for each in sorted(s.l)]",
            "$t = min(s.l).v",
            "bisect.insort(s.l, Same($v))",
            "heapq.heappush(s.l, Same($v))",
            "$t = s.d[Same($v)]",
            "s.d[Same($v)] = $w",
            "del s.d[Same($v)]",
            "$t = Same($v) in s.d",
            "$t = s.d.get(Same($v))",
            "$t = s.d.pop(Same($v), None)",
            "$t = s.d.setdefault(Same($v), $w)",
            "$t = s.d == {Same(1): 1, Same(2): 2}",
            "s.d.clear()",
            "$t = len(s.d)",
            "s.d[7] = $v",
            "$t = 7 in s.d",
            "$t = s.d.pop(7, None)",
            "$t = 7 in s.u",
            "s.u.add(7)",
            "s.u.add(Same($v))",
            "$t = Same($v) in s.u",
            "s.u.discard(Same($v))",
            "$t = len(s.u | {Same($v)})",
            "s.u.clear()",
            "$t = Same($v) in s.e",
            "s.e.remove(Same($v))",
            "s.e.clear()",
            "s.e.append(Same($v))",
            "$t = s.p == s.q",
            "$t = s.p in (s.q, s.p)",
            "match s.p:\n    case Same(v=1): $t = 'one'\n    case Same(v=c): $t = c",
        ],
    ),
    "keys": (
        "def double(v): return v * 2\ndef refer(s): return lambda v: v + s.n",
        "s.l = [2, 1, 3]; s.n = 1; s.d = {'a': 1, 'b': 2}",
        [
            "s.n = $v",
            "s.l.append($v)",
            "s.l[$i] = $v",
            "s.l.pop()",
            "s.l.clear()",
            "s.d['$k'] = $v",
            "s.d.clear()",
            "s.l.sort(key=double)",
            "s.l.sort(key=refer(s))",
            "$t = sorted(s.l, key=double)",
            "$t = max(s.l, key=refer(s))",
            "$t = list(map(double, s.l))",
            "$t = list(map(refer(s), s.l))",
            "$t = list(filter(double, s.l))",
            "$t = functools.reduce(lambda v, w: v + w + s.n, s.l)",
            "$t = list(itertools.accumulate(s.l, lambda v, w: v - w))",
            "$t = list(itertools.takewhile(double, s.l))",
            "$t = [k for k, g in itertools.groupby(s.l, double)]",
            "$t = sum(v * s.n for v in s.l)",
            "$t = any(v > 2 for v in s.l)",
            "$t = {v: s.n for v in s.l}",
            "$t = sorted({double(v) for v in s.l})",
            "$t = tuple(double(v) for v in s.l)",
            "$t = ''.join(str(v) for v in s.l)",
            "s.l[:] = [double(v) for v in s.l]",
            "s.l.extend(double(v) for v in s.l[:2])",
            "s.l += map(double, s.l[:1])",
            "$t = max(s.d, key=lambda k: s.d[k])",
            "$t = functools.partial(double, s.n)()",
            "$t = bisect.bisect(s.l, $v, key=double)",
            "$t = heapq.nsmallest(1, s.l)",
            "$t = sorted(s.d.items(), key=operator.itemgetter(1))",
            "$t = {**{k: double(v) for k, v in s.d.items()}}",
            "s.d.update((k, double(v)) for k, v in [('a', s.n)])",
        ],
    ),
    "properties": (
        "class Account:\n"
        "    rate = 1\n"
        "    def __init__(self): self._x = 0; self.log = []\n"
        "    @property\n"
        "    def x(self): return self._x\n"
        "    @x.setter\n"
        "    def x(self, v): self._x = v\n"
        "    @x.deleter\n"
        "    def x(self): self._x = None\n"
        "    @classmethod\n"
        "    def raised(cls, v): cls.rate = v\n"
        "    @staticmethod\n"
        "    def shown(other): return other._x\n"
        "    def add(self, v): self._x += v\n"
        "    def __call__(self, v): self._x = v\n"
        "class Saving(Account):\n"
        "    @property\n"
        "    def x(self): return super().x + 1\n"
        "    def add(self, v): super().add(v + self.rate)",
        "s.a = Account(); s.b = Saving()",
        [
            "s.a.x = $v",
            "$t = s.a.x",
            "s.a.x += 1",
            "del s.a.x",
            "s.a._x = $v",
            "$t = s.a._x",
            "$t = getattr(s.a, 'x')",
            "setattr(s.a, 'x', $v)",
            "Account.raised($v)",
            "Saving.rate = $v",
            "$t = s.a.rate",
            "$t = Account.shown(s.a)",
            "s.a.add($v)",
            "s.a($v)",
            "s.b.add($v)",
            "s.b._x = $v",
            "$t = s.b.x",
            "$t = super(Saving, s.b).x",
            "Account.add(s.b, $v)",
            "$t = Account.x.fget(s.a)",
            "$t = operator.attrgetter('x')(s.a)",
            "c = s.a.add; c($v)",
            "operator.methodcaller('add', $v)(s.a)",
        ],
    ),
    "hooks": (
        "class Loud:\n"
        "    def __init__(self): object.__setattr__(self, 'seen', 0); self.v = 1\n"
        "    def __setattr__(self, name, v):\n"
        "        object.__setattr__(self, 'seen', self.seen + 1)\n"
        "        object.__setattr__(self, name, v)\n"
        "class Any:\n"
        "    def __init__(self): self.v = 1\n"
        "    def __getattr__(self, name): return self.v\n"
        "    def __len__(self): return self.v\n"
        "    def __bool__(self): return self.v > 1\n"
        "    def __getitem__(self, i):\n"
        "        if i > self.v: raise IndexError\n"
        "        return i\n"
        "    def __setitem__(self, i, v): self.v = v\n"
        "    def __contains__(self, v): return v == self.v\n"
        "    def __iadd__(self, v):\n"
        "        self.v += v\n"
        "        return self\n"
        "    def __add__(self, v): return self.v + v\n"
        "    def __index__(self): return self.v\n"
        "    def __format__(self, spec): return str(self.v)\n"
        "    def __enter__(self): self.v = 2\n"
        "    def __exit__(self, *error): self.v = 3",
        "s.o = Loud(); s.y = Any(); s.l = [1, 2, 3]",
        [
            "s.o.v = $v",
            "$t = s.o.v",
            "$t = s.o.seen",
            "s.y.v = $v",
            "s.y += $v",
            "s.y[0] = $v",
            "$t = s.y[0]",
            "$t = list(s.y)",
            "$t = s.y.z",
            "s.y.z = $v",
            "$t = hasattr(s.y, 'z')",
            "$t = len(s.y)",
            "$t = bool(s.y)",
            "$t = 1 if s.y else 2",
            "$t = s.y and 1",
            "$t = not s.y",
            "$t = $v in s.y",
            "$t = s.y + 1",
            "$t = s.l[s.y]",
            "s.l.insert(s.y, 9)",
            "s.l.pop()",
            "$t = f'{s.y}'",
            "$t = range(s.y)[0]",
            "with s.y: $t = s.y.v",
            "$t = s.y.__dict__.get('v')",
            "$t = vars(s.o)['seen']",
        ],
    ),
    "generators": (
        "def counting(s):\n"
        "    for v in s.l:\n"
        "        s.n += v\n"
        "        yield s.n\n"
        "def delegating(s):\n"
        "    s.r = yield from counting(s)\n"
        "def receiving(s):\n"
        "    while True: s.n = yield s.n\n"
        "class Pages:\n"
        "    def __init__(self): self.at = 0\n"
        "    def __iter__(self): return self\n"
        "    def __next__(self):\n"
        "        if self.at >= 2: raise StopIteration\n"
        "        self.at += 1\n"
        "        return self.at",
        "s.l = [1, 2]; s.n = 0; s.g = counting(s); s.e = delegating(s); s.c = receiving(s); next(s.c); s.p = Pages()",
        [
            "$t = next(s.g, None)",
            "$t = next(s.g)",
            "$t = list(s.g)",
            "for v in s.g: $t = v",
            "$t = next(s.e, None)",
            "$t = s.c.send($v)",
            "s.c.close()",
            "s.g.close()",
            "s.n = $v",
            "$t = s.n",
            "s.l.append($v)",
            "s.l.pop()",
            "$t = next(s.p, None)",
            "for v in s.p: $t = v",
            "$t = list(s.p)",
            "s.p.at = $v",
            "$t = list(zip(s.g, s.l))",
            "$t = list(counting(s))",
            "a, b = s.g",
            "$t = 1 in s.p",
            "$t = sum(s.p)",
            "$t = max(s.p, default=0)",
            "$t = [*s.p]",
            "s.l.extend(s.p)",
            "$t = s.g.gi_running",
        ],
    ),
    "subclasses": (
        "class Table(dict):\n"
        "    def __missing__(self, key): return len(self)\n"
        "class Row(list):\n"
        "    def append(self, v): super().append(v); self.n = len(self)\n"
        "class Pair:\n"
        "    def __init__(self, x, y): self.x = x; self.y = y\n"
        "    def __copy__(self): return Pair(self.x, self.y)",
        "s.t = Table(a=1); s.w = Row([1]); s.p = Pair(1, [2])",
        [
            "$t = s.t['$k']",
            "s.t['$k'] = $v",
            "del s.t['$k']",
            "$t = s.t.get('$k')",
            "$t = '$k' in s.t",
            "$t = len(s.t)",
            "s.t.x = $v",
            "$t = s.t.x",
            "$t = {**s.t}",
            "s.w.append($v)",
            "$t = s.w.n",
            "$t = s.w[0]",
            "s.w[$i] = $v",
            "$t = s.w == [1, $v]",
            "$t = s.w.pop()",
            "$t = sum(s.w)",
            "for v in s.w: $t = v",
            "s.p.x = $v",
            "s.p.y.append($v)",
            "s.p.y = [$v]",
            "$t = copy.copy(s.p).x",
            "$t = copy.copy(s.p.y)",
            "$t = copy.copy(s.t)",
        ],
    ),
    "dataclasses": (
        "from dataclasses import dataclass, field\n"
        "@dataclass(order=True)\n"
        "class Point:\n"
        "    x: int\n"
        "    y: int = 0\n"
        "    z: list = field(default_factory=list)",
        "s.p = Point(1); s.q = Point(1, 2)",
        [
            "s.p.x = $v",
            "s.p.y += 1",
            "s.q.y = $v",
            "$t = s.p == s.q",
            "$t = s.p < s.q",
            "$t = s.p.x + s.p.y",
            "s.p.z.append($v)",
            "$t = s.p.z[0]",
            "$t = Point(s.p.x).x",
            "Point.y = $v",
            "$t = Point(1).y",
            "match s.p:\n    case Point(x=1, y=c): $t = c",
            "match s.p:\n    case Point(1, c): $t = c",
            "s.p = s.q",
        ],
    ),
    "finalizers": (
        "class Mortal:\n"
        "    def __init__(self, c, v): self.c = c; self.v = v\n"
        "    def __del__(self): self.c.n += self.v",
        "s.c = Box(); s.c.n = 0; s.m = Mortal(s.c, 1); s.l = [Mortal(s.c, 2)]; s.d = {'a': Mortal(s.c, 4)}",
        [
            "s.m = None",
            "del s.m",
            "s.l.clear()",
            "s.l.pop()",
            "s.l[0] = None",
            "del s.l[0]",
            "s.d['a'] = None",
            "del s.d['a']",
            "s.d.pop('a', None)",
            "s.c.n = $v",
            "$t = s.c.n",
            "$t = len(s.l)",
            "Mortal(s.c, $v)",
        ],
    ),
}
