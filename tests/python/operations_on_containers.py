"""Operations on containers, buffers and views of them, each of which two threads may run at the same time.

For each kind: an expression that makes the object ``o``, one that shows what has become of it, and the operations.
"""

from __future__ import annotations

CONTAINERS = {
    "deque": (
        "collections.deque([1,2,3],4)",
        "list(o)",
        """
        o.append(9) ;; o.appendleft(8) ;; o.pop() ;; o.popleft() ;; o.rotate(1) ;; o[0] ;; o.index(2) ;; len(o)
        list(o) ;; o.extend([5,6]) ;; o.insert(1,7) ;; o.remove(2) if 2 in o else 0 ;; o.maxlen ;; o.count(9)
        o.reverse() ;; copy.copy(o) ;; o==collections.deque([1,2,3]) ;; o.__setitem__(0,4) ;; bool(o) ;; o+o
        o.clear() ;; 9 in o ;; str(o) ;; iter(o).__next__()
        """,
    ),
    "OrderedDict": (
        "collections.OrderedDict(a=1,b=2)",
        "list(o.items())",
        """
        o.move_to_end('a') ;; list(o) ;; o.popitem() ;; o.setdefault('c',3) ;; next(reversed(o),None)
        o.update(a=5) ;; o==collections.OrderedDict(b=2,a=1) ;; list(o.items()) ;; o.pop('a',None) ;; o['b']
        o.__setitem__('d',4) ;; len(o) ;; repr(o) ;; next(iter(o),None) ;; o|{'q':1} ;; list(o.values()) ;; o.clear()
        copy.copy(o)
        """,
    ),
    "Counter": (
        "collections.Counter('aab')",
        "sorted(o.items())",
        """
        o.update('a') ;; o['a'] ;; o.most_common(1) ;; o.subtract('b') ;; o.total() ;; sorted(o.elements())
        o+collections.Counter('b') ;; o.__setitem__('z',3) ;; o['zz'] ;; o.pop('a',0) ;; len(o) ;; sorted(o) ;; -o
        o==collections.Counter('aab')
        """,
    ),
    "defaultdict": (
        "collections.defaultdict(list,a=[1])",
        "sorted(o.items())",
        """
        o['a'].append(2) ;; o['b'] ;; o['b'].append(1) ;; 'b' in o ;; len(o) ;; o.get('b') ;; sorted(o)
        o.default_factory ;; repr(o) ;; copy.copy(o) ;; dict(o)
        """,
    ),
    "ChainMap": (
        "collections.ChainMap({'a':1},{'b':2})",
        "[sorted(m.items()) for m in o.maps]",
        """
        o['a'] ;; o.__setitem__('b',5) ;; o['b'] ;; o.maps[1].update(b=7) ;; sorted(o) ;; o.pop('a',None) ;; len(o)
        o.new_child({'q':1})['q'] ;; o.maps.insert(0,{'a':9}) ;; 'b' in o ;; o.maps[0].get('b')
        """,
    ),
    "UserDict": (
        "collections.UserDict(a=1)",
        "sorted(o.data.items())",
        """
        o['a'] ;; o.__setitem__('b',2) ;; sorted(o) ;; o.data.clear() ;; len(o) ;; o.update(a=4) ;; 'b' in o
        repr(o)
        """,
    ),
    "UserList": (
        "collections.UserList([1])",
        "list(o.data)",
        """
        o.append(2) ;; len(o) ;; o[0] ;; o.data.clear() ;; o+[1] ;; o.pop() if o else 0 ;; 2 in o
        """,
    ),
    "list": (
        "[3,1,2]",
        "list(o)",
        """
        o.append(9) ;; o.sort() ;; o[0] ;; o[-1] ;; len(o) ;; o.index(2) if 2 in o else -1 ;; o.pop() ;; o.pop(0)
        o.insert(0,5) ;; o[1:] ;; o.reverse() ;; o.extend([7]) ;; sum(o) ;; min(o) ;; sorted(o) ;; tuple(o)
        o==[3,1,2] ;; o<[3,1,3] ;; o*2 ;; o.copy() ;; 2 in o ;; o.count(2) ;; o.__setitem__(0,8)
        o.__setitem__(slice(0,1),[]) ;; o.__delitem__(0) ;; o.clear() ;; str(o) ;; any(o) ;; [*o] ;; o.__iadd__([1])
        list(reversed(o)) ;; max(o,default=0) ;; ','.join(map(str,o)) ;; heapq.heappush(o,0) ;; bisect.bisect(o,2)
        bisect.insort(o,2) ;; json.dumps(o) ;; copy.deepcopy(o) ;; pickle.dumps(o)
        struct.pack('3i',*o[:3]) if len(o)>2 else 0 ;; o.__contains__(9) ;; operator.itemgetter(0)(o)
        random.Random(1).choice(o) ;; functools.reduce(operator.add,o,0) ;; statistics.mean(o) if o else 0 ;; '%s'%o
        f'{o}' ;; set(o) ;; dict.fromkeys(o) ;; zip(o,o).__next__() ;; all(x>0 for x in o) ;; array.array('i',o)
        bytes(o) ;; o.__len__() ;; not o ;; iter(o).__next__()
        """,
    ),
    "dict": (
        "{'a':1,'b':2}",
        "list(o.items())",
        """
        o['a'] ;; o.get('c') ;; o.__setitem__('c',3) ;; o.__setitem__('a',5) ;; o.pop('a',None) ;; len(o) ;; list(o)
        o.items()==dict(a=1,b=2).items() ;; o.setdefault('c',8) ;; o.update(b=9) ;; o.popitem() ;; 'c' in o
        o.clear() ;; o==dict(a=1,b=2) ;; o|dict(z=1) ;; list(o.values()) ;; dict(o) ;; o.copy() ;; sorted(o.items())
        max(o) ;; json.dumps(o) ;; copy.copy(o) ;; o.__delitem__('b') if 'b' in o else 0 ;; next(iter(o))
        o.keys()&{'a','c'} ;; str(o) ;; list(reversed(o)) ;; len(o.keys()) ;; o.keys()=={'a','b'} ;; 3 in o.values()
        ('c',3) in o.items() ;; o.__ior__({'a':7}) ;; '{a}'.format(**o) ;; '%(a)s'%o ;; '{a}'.format_map(o)
        dict(**o) ;; {**o} ;; operator.itemgetter('a')(o) ;; o.__contains__('c') ;; bool(o) ;; repr(o.keys())
        pickle.dumps(o) ;; string.Template('$a').safe_substitute(o) ;; collections.ChainMap(o).get('c')
        types.MappingProxyType(o).get('c') ;; list(filter(None,o)) ;; sum(o.values()) ;; isinstance(o.get('c'),int)
        o.keys().isdisjoint({'c'})
        """,
    ),
    "set": (
        "{1,2}",
        "sorted(o)",
        """
        o.add(3) ;; o.discard(1) ;; 3 in o ;; len(o) ;; sorted(o) ;; o.pop() ;; o|{9} ;; o&{1,3} ;; o-{1}
        o<={1,2,3} ;; o.update([7]) ;; o.clear() ;; o==frozenset([1,2]) ;; o.issubset({1,2}) ;; o.copy() ;; o^{1}
        o.isdisjoint({3}) ;; o.remove(2) if 2 in o else 0 ;; o.__ior__({4}) ;; o.difference_update({1})
        min(o,default=0) ;; frozenset(o) ;; list(o) ;; {3}<=o ;; o.union([5]) ;; o.intersection([3])
        o.symmetric_difference_update({3}) ;; bool(o) ;; any(x==3 for x in o) ;; sum(o) ;; hash(frozenset(o))
        """,
    ),
    "bytearray": (
        "bytearray(b'abc')",
        "bytes(o)",
        """
        o[0] ;; o.__setitem__(0,65) ;; o.append(66) ;; len(o) ;; bytes(o) ;; o.decode() ;; o.find(b'A') ;; o.upper()
        o.pop() ;; o+b'x' ;; b'A' in o ;; o==b'abc' ;; o.extend(b'zz') ;; o.__setitem__(slice(0,1),b'') ;; o.hex()
        o.startswith(b'A') ;; o.replace(b'a',b'Q') ;; int.from_bytes(o,'big') ;; o.clear() ;; o.translate(None,b'a')
        b'-'.join([o]) ;; o.split(b'b') ;; memoryview(o)[0] ;; struct.unpack_from('B',o) if o else 0
        struct.pack_into('B',o,0,7) if o else 0 ;; zlib.crc32(o) ;; hashlib.md5(o).hexdigest() ;; base64.b64encode(o)
        binascii.hexlify(o) ;; o.reverse() ;; o[0:1] ;; max(o,default=0) ;; o.insert(0,1) ;; 65 in o
        io.BytesIO(o).read() ;; o.__iadd__(b'x') ;; o*2 ;; str(o,'latin1') ;; bytearray(o) ;; array.array('B',o)
        o.isalpha() ;; o.removeprefix(b'a') ;; sorted(o) ;; hash(bytes(o))
        """,
    ),
    "array": (
        "array.array('i',[1,2,3])",
        "o.tolist()",
        """
        o[0] ;; o.__setitem__(0,9) ;; o.append(4) ;; len(o) ;; o.tobytes() ;; o.tolist() ;; sum(o) ;; o.pop()
        o.index(2) if 2 in o else 0 ;; o==array.array('i',[1,2,3]) ;; o.reverse() ;; o.byteswap() ;; o[1:]
        o.extend([5]) ;; o.insert(0,3) ;; 9 in o ;; o.count(9) ;; list(o) ;; bytes(o) ;; o.buffer_info()[1]
        memoryview(o)[0] ;; o+o ;; copy.copy(o) ;; max(o) ;; o.fromlist([6]) ;; o.remove(2) if 2 in o else 0
        struct.unpack_from('i',o) ;; hash(o.tobytes()) ;; o.__iadd__(array.array('i',[1])) ;; repr(o) ;; o*2
        """,
    ),
    "memoryview": (
        "memoryview(bytearray(b'abcd'))",
        "bytes(o)",
        """
        o[0] ;; o.__setitem__(0,65) ;; o.tobytes() ;; o.tolist() ;; o[1:3].tobytes() ;; o==b'abcd' ;; bytes(o)
        65 in o ;; o.hex() ;; o.__setitem__(slice(0,2),b'zz') ;; o[::-1][3] ;; o.cast('H')[0] ;; sum(o) ;; o.obj[0]
        o.obj.__setitem__(1,90) ;; int.from_bytes(o,'big') ;; list(o) ;; o.toreadonly()[0]
        hash(o.toreadonly().tobytes()) ;; struct.unpack_from('B',o) ;; struct.pack_into('B',o,1,3) ;; zlib.crc32(o)
        b''.join([o]) ;; max(o) ;; o[0:1]==b'A'
        """,
    ),
    "named tuple": (
        "named_tuple()",
        "repr(o)",
        """
        o.a ;; o._replace(a=2).a ;; o[1][0] ;; o[1].append(5) ;; o._asdict() ;; o==(1,[2]) ;; hash(o[0]) ;; repr(o)
        first(*o) ;; list(o)
        """,
    ),
    "MappingProxyType": (
        "proxy()",
        "o[1]",
        """
        o[0]['a'] ;; o[1].update(a=5) ;; len(o[0]) ;; o[1].update(z=1) ;; 'z' in o[0] ;; list(o[0]) ;; o[0].get('z')
        o[0]|{'q':1} ;; o[0].copy() ;; o[0]=={'a':1} ;; repr(o[0]) ;; dict(o[0]) ;; {**o[0]}
        """,
    ),
    "heap": (
        "[1,3,2]",
        "list(o)",
        """
        heapq.heappush(o,0) ;; heapq.heappop(o) ;; heapq.nsmallest(1,o) ;; heapq.heapify(o) ;; heapq.heappushpop(o,9)
        heapq.heapreplace(o,4) ;; list(heapq.merge(o,[2])) ;; heapq.nlargest(1,o)
        """,
    ),
}
