"""Operations on objects of all kinds, each of which two threads may run at the same time.

For each kind: an expression that makes the object ``o``, one that shows what has become of it, and the operations.
"""

from __future__ import annotations

OBJECTS = {
    "cached function": (
        "cached_function()",
        "o.cache_info()",
        """
        o(1) ;; o(2) ;; o.cache_info() ;; o.cache_clear() ;; tuple(o.cache_parameters().items())
        """,
    ),
    "cached property": (
        "cached_property()",
        "sorted(o.__dict__.items())",
        """
        o.v ;; o.__dict__.pop('v',None) ;; 'v' in o.__dict__ ;; setattr(o,'v',9) ;; setattr(o,'base',5)
        """,
    ),
    "partial": (
        "functools.partial(dict,a=1)",
        "repr(o)",
        """
        o() ;; o.keywords.update(b=2) ;; dict(o.keywords) ;; o.func.__name__ ;; repr(o)
        """,
    ),
    "count": (
        "itertools.count(5)",
        "repr(o)",
        """
        next(o) ;; repr(o) ;; next(o)
        """,
    ),
    "cycle": (
        "itertools.cycle([1,2,3])",
        "next(o)",
        """
        next(o) ;; next(o)
        """,
    ),
    "islice": (
        "itertools.islice(iter([1,2,3]),2)",
        "list(o)",
        """
        next(o,None) ;; list(o)
        """,
    ),
    "chain": (
        "itertools.chain([1],[2,3])",
        "list(o)",
        """
        next(o,None) ;; list(o)
        """,
    ),
    "list iterator": (
        "iter([1,2,3])",
        "o.__length_hint__()",
        """
        next(o,None) ;; list(o) ;; o.__length_hint__() ;; o.__setstate__(1) ;; operator.length_hint(o)
        """,
    ),
    "enumerate": (
        "enumerate(['a','b'])",
        "list(o)",
        """
        next(o,None) ;; list(o)
        """,
    ),
    "zip": (
        "zip([1,2],[3,4])",
        "list(o)",
        """
        next(o,None) ;; list(o)
        """,
    ),
    "reversed list": (
        "reversed([1,2,3])",
        "list(o)",
        """
        next(o,None) ;; list(o) ;; o.__length_hint__()
        """,
    ),
    "dict iterator": (
        "iter({1:1,2:2})",
        "list(o)",
        """
        next(o,None) ;; list(o) ;; o.__length_hint__()
        """,
    ),
    "set iterator": (
        "iter({1,2})",
        "list(o)",
        """
        next(o,None) ;; list(o)
        """,
    ),
    "generator": (
        "generator()",
        "inspect.getgeneratorstate(o)",
        """
        attempt(lambda: next(o)) ;; attempt(lambda: o.send(3)) ;; o.close() ;; o.gi_frame is None ;; o.gi_running
        """,
    ),
    "iterator until a value": (
        "iter(iter([1,2,3]).__next__,3)",
        "list(o)",
        """
        next(o,None) ;; list(o)
        """,
    ),
    "map": (
        "map(str,[1,2])",
        "list(o)",
        """
        next(o,None) ;; list(o)
        """,
    ),
    "Random": (
        "random.Random(3)",
        "o.getstate()",
        """
        o.random() ;; o.randint(1,100) ;; o.seed(3) ;; o.getstate()[1][:3] ;; o.shuffle([1,2,3])
        o.choice([1,2,3,4]) ;; o.gauss(0,1)
        """,
    ),
    "StringIO": (
        "io.StringIO('abcdef')",
        "None if o.closed else (o.getvalue(),o.tell())",
        """
        o.read(1) ;; o.write('X') ;; o.getvalue() ;; o.seek(0) ;; o.tell() ;; o.truncate(2) ;; o.readline()
        list(o) ;; o.close()
        """,
    ),
    "BytesIO": (
        "io.BytesIO(b'abcdef')",
        "None if o.closed else (o.getvalue(),o.tell())",
        """
        o.read(1) ;; o.write(b'X') ;; o.getvalue() ;; o.seek(0) ;; o.tell() ;; o.truncate(2) ;; bytes(o.getbuffer())
        o.readinto(bytearray(2))
        """,
    ),
    "TextIOWrapper": (
        "io.TextIOWrapper(io.BytesIO(b'abc\\ndef\\n'))",
        "o.buffer.getvalue()",
        """
        o.readline() ;; o.read(1) ;; o.tell() ;; o.seek(0) ;; o.write('q') ;; o.flush() ;; o.buffer.getvalue()
        """,
    ),
    "BufferedReader": (
        "io.BufferedReader(io.BytesIO(b'abcdef'))",
        "o.tell()",
        """
        o.read(1) ;; o.peek(1)[:1] ;; o.tell() ;; o.seek(0)
        """,
    ),
    "BufferedWriter": (
        "io.BufferedWriter(io.BytesIO())",
        "o.raw.getvalue()",
        """
        o.write(b'a') ;; o.flush() ;; o.raw.getvalue() ;; o.tell()
        """,
    ),
    "csv writer": (
        "csv_writer()",
        "o[1].getvalue()",
        """
        o[0].writerow([1,2]) ;; o[1].getvalue() ;; o[0].writerow(['x'])
        """,
    ),
    "csv reader": (
        "csv.reader(['a,b','c,d'])",
        "o.line_num",
        """
        next(o,None) ;; o.line_num ;; list(o)
        """,
    ),
    "slots": (
        "with_slots()",
        "getattr(o,'x','-')",
        """
        o.x ;; setattr(o,'x',5) ;; delattr(o,'x') ;; hasattr(o,'x') ;; getattr(o,'x',0)
        """,
    ),
    "instance": (
        "instance()",
        "(sorted(o.__dict__.items(),key=str).__len__(),sorted(k for k in vars(type(o))))",
        """
        o.x ;; setattr(o,'x',5) ;; delattr(o,'x') ;; hasattr(o,'y') ;; vars(o).get('x') ;; o.__dict__.update(y=1)
        sorted(vars(o)) ;; setattr(type(o),'y',9) ;; getattr(o,'y',0) ;; o.meth() ;; copy.copy(o).x ;; o.prop
        setattr(o,'prop',6) ;; attempt(lambda:len(o)) ;; bool(o) ;; attempt(lambda:o==3) ;; o.__class__.__name__
        sorted(k for k in vars(type(o)) if k[0]!='_') ;; type(o).x if hasattr(type(o),'x') else None
        attempt(lambda:o.zz) ;; str(o)[:3] ;; f'{o}'[:3] ;; attempt(lambda:o+1) ;; not o
        attempt(lambda:o[0]) ;; attempt(lambda:3 in o) ;; matched(o)
        """,
    ),
    "closure": (
        "closure()",
        "o[0].__closure__[0].cell_contents",
        """
        o[0]() ;; o[1](5) ;; o[2]()
        """,
    ),
    "global variable": (
        "reset()",
        "globals().get('GLOB')",
        """
        get_global() ;; set_global(5) ;; globals()['GLOB'] ;; globals().update(GLOB=7) ;; delete_global()
        'GLOB' in globals() ;; increment_global()
        """,
    ),
    "module": (
        "module()",
        "sorted(k for k in vars(o) if k[0]!='_')",
        """
        o.x ;; setattr(o,'x',3) ;; getattr(o,'y',0) ;; vars(o).update(y=2) ;; sys.modules['example'].x
        sys.modules.pop('example',None) and 0 ;; o.__dict__.get('x') ;; hasattr(o,'y')
        delattr(o,'x') if hasattr(o,'x') else 0
        """,
    ),
    "exception": (
        "ValueError('a')",
        "(o.args,getattr(o,'__notes__',None))",
        """
        o.args ;; setattr(o,'args',('b',)) ;; str(o) ;; setattr(o,'__cause__',KeyError()) ;; o.__cause__ is None
        repr(o) ;; setattr(o,'__context__',KeyError()) ;; o.__context__ is None ;; setattr(o,'x',1)
        getattr(o,'x',0) ;; o.with_traceback(None) and 0 ;; o.__traceback__ is None
        """,
    ),
    "OSError": (
        "OSError(2,'x','f')",
        "str(o)",
        """
        o.errno ;; setattr(o,'errno',5) ;; o.filename ;; setattr(o,'filename','g') ;; str(o) ;; o.strerror
        """,
    ),
    "WeakValueDictionary": (
        "weak_values()",
        "sorted(o[0])",
        """
        o[0].get('a') is None ;; o[0].__setitem__('b',o[1]) ;; len(o[0]) ;; sorted(o[0]) ;; o[0].pop('a',None) and 0
        'b' in o[0] ;; o[0].setdefault('c',o[1]) and 0 ;; o[0].clear() ;; [k for k,v in sorted(o[0].items())]
        """,
    ),
    "WeakKeyDictionary": (
        "weak_keys()",
        "list(o[0].values())",
        """
        o[0].get(o[1]) ;; o[0].__setitem__(o[1],5) ;; len(o[0]) ;; o[1] in o[0] ;; o[0].pop(o[1],None)
        o[0].setdefault(o[1],6) ;; list(o[0].values())
        """,
    ),
    "WeakSet": (
        "weak_set()",
        "len(o[0])",
        """
        o[1] in o[0] ;; o[0].add(o[1]) ;; len(o[0]) ;; o[0].discard(o[1]) ;; len(list(o[0])) ;; o[0].clear()
        o[0].update([o[1]])
        """,
    ),
    "environ": (
        "os.environ.pop('ZZ',None)",
        "os.environ.get('ZZ')",
        """
        os.environ.get('ZZ') ;; os.environ.__setitem__('ZZ','1') ;; os.getenv('ZZ') ;; os.putenv('ZZ','2')
        os.environ.pop('ZZ',None) ;; 'ZZ' in os.environ ;; os.environ.setdefault('ZZ','3') ;; os.unsetenv('ZZ')
        os.path.expandvars('$ZZ') ;; len([k for k in os.environ if k=='ZZ']) ;; os.environ.update(ZZ='7')
        dict(os.environ).get('ZZ')
        """,
    ),
    "logger": (
        "logger()",
        "(o.level,len(o.handlers))",
        """
        o.setLevel(10) ;; o.isEnabledFor(15) ;; o.level ;; o.addHandler(logging.NullHandler()) ;; len(o.handlers)
        o.getEffectiveLevel() ;; setattr(o,'propagate',False) ;; o.propagate ;; o.disabled
        setattr(o,'disabled',True) ;; o.hasHandlers() ;; len(o.filters) ;; logging.getLogger('zz').level
        o.removeHandler(o.handlers[0]) if o.handlers else 0 ;; logging.getLevelName(10)
        o.callHandlers(logging.makeLogRecord({})) ;; logging.root.level
        """,
    ),
    "Template": (
        "string.Template('$a')",
        "o.template",
        """
        o.substitute(a=1) ;; setattr(o,'template','$b x') ;; o.template ;; o.safe_substitute(b=2)
        """,
    ),
    "SimpleNamespace": (
        "types.SimpleNamespace(a=1)",
        "repr(o)",
        """
        o.a ;; setattr(o,'a',2) ;; o.__dict__.update(b=2) ;; repr(o) ;; o==types.SimpleNamespace(a=1) ;; vars(o)
        hasattr(o,'b') ;; delattr(o,'a') if hasattr(o,'a') else 0 ;; copy.copy(o)
        """,
    ),
    "element of a tree": (
        "ElementTree.fromstring('<a x=\"1\"><b/>t</a>')",
        "ElementTree.tostring(o)",
        """
        len(o) ;; o.append(ElementTree.Element('c')) ;; o.find('b') is None
        o.get('x') ;; o.set('x','2') ;; o.attrib['x']
        o.attrib.update(y='3') ;; ElementTree.tostring(o) ;; o.remove(o[0]) if len(o) else 0 ;; o.text
        setattr(o,'text','q') ;; o.tag ;; setattr(o,'tag','z') ;; list(o.iter())[-1].tag ;; o.findall('c').__len__()
        o.clear() ;; sorted(o.keys()) ;; o.items() ;; copy.deepcopy(o).tag ;; ''.join(o.itertext())
        o[0].tag if len(o) else 0 ;; o.__setitem__(0,ElementTree.Element('k')) if len(o) else 0
        o.insert(0,ElementTree.Element('i'))
        o.extend([ElementTree.Element('e')]) ;; o.makeelement('m',{}).tag
        """,
    ),
    "ConfigParser": (
        "config()",
        "o.sections()",
        r"""
        o['s']['k'] ;; o.set('s','k','2') ;; o.sections() ;; o.add_section('t') if not o.has_section('t') else 0
        o.has_option('s','z') ;; o['s'].__setitem__('z','9') ;; o.remove_section('s')
        dict(o['s']) if o.has_section('s') else 0 ;; o.get('s','k',fallback='-') ;; o.read_string('[u]\na=1')
        """,
    ),
    "hash": (
        "hashlib.sha1()",
        "o.hexdigest()",
        """
        o.update(b'a') ;; o.hexdigest() ;; o.copy().hexdigest() ;; o.name
        """,
    ),
    "Queue": (
        "queue.Queue(3)",
        "list(o.queue)",
        """
        o.put_nowait(1) ;; attempt(o.get_nowait) ;; o.qsize() ;; o.empty() ;; o.full() ;; list(o.queue)
        o.unfinished_tasks ;; attempt(o.task_done)
        """,
    ),
    "SimpleQueue": (
        "queue.SimpleQueue()",
        "o.qsize()",
        """
        o.put(1) ;; attempt(o.get_nowait) ;; o.qsize() ;; o.empty()
        """,
    ),
    "PriorityQueue": (
        "queue.PriorityQueue()",
        "list(o.queue)",
        """
        o.put(2) ;; o.put(1) ;; attempt(o.get_nowait) ;; o.qsize()
        """,
    ),
    "Lock": (
        "threading.Lock()",
        "o.locked()",
        """
        o.acquire(False) ;; o.locked() ;; attempt(o.release)
        """,
    ),
    "Semaphore": (
        "threading.Semaphore(1)",
        "o._value",
        """
        o.acquire(False) ;; o.release()
        """,
    ),
    "Event": (
        "threading.Event()",
        "o.is_set()",
        """
        o.set() ;; o.is_set() ;; o.clear() ;; o.wait(0)
        """,
    ),
    "Future": (
        "concurrent.futures.Future()",
        "(o.done(),o.cancelled())",
        """
        attempt(lambda:o.set_result(1)) ;; o.done() ;; o.cancel() ;; o.cancelled() ;; o.running()
        attempt(lambda:o.result(0)) ;; o.add_done_callback(lambda f:None)
        o.set_running_or_notify_cancel() if not o.done() else 0 ;; attempt(lambda:o.exception(0))
        attempt(lambda:o.set_exception(KeyError())) ;; repr(o)[-10:]
        """,
    ),
    "enumeration": (
        "enumeration()",
        "0",
        """
        o.A.value ;; o['A'].name ;; setattr(o.A,'extra',1) ;; getattr(o.A,'extra',0) ;; len(o) ;; o(1).name
        list(o)[0].name
        """,
    ),
    "dataclass": (
        "dataclass()",
        "repr(o)",
        """
        o.x ;; setattr(o,'x',5) ;; dataclasses.asdict(o) ;; dataclasses.replace(o,y=9).x ;; o==type(o)(1,[2])
        repr(o) ;; o.y.append(3) ;; dataclasses.astuple(o) ;; hash(str(o)) ;; dataclasses.fields(o)[0].name
        copy.deepcopy(o)==type(o)(1,[2]) ;; o<type(o)(2,[])
        """,
    ),
    "singledispatch": (
        "functools.singledispatch(lambda x:0)",
        "len(o.registry)",
        """
        o(3) ;; o.register(int,lambda x:1) and 0 ;; o.dispatch(int)(3) ;; len(o.registry)
        """,
    ),
    "class": (
        "derived()",
        "(o.__name__,o.__bases__[0].__name__)",
        """
        o.__name__ ;; setattr(o,'__name__','Z') ;; o.a ;; setattr(o,'a',2) ;; o.__mro__.__len__() ;; o.b ;; o().b
        setattr(Base1,'b',11) ;; o.__doc__ ;; setattr(o,'__doc__','D') ;; o.__dict__.get('a') ;; getattr(o,'c',0)
        setattr(Base1,'c',1) ;; issubclass(o,Base2) ;; o.__base__.__name__ ;; isinstance(o(),Base2)
        delattr(o,'a') if 'a' in vars(o) else 0 ;; o.__qualname__ ;; o.meth(o) ;; super(o,o()).meth()
        """,
    ),
    "file": (
        "open('data.txt','w+')",
        "(o.flush(),os.path.getsize('data.txt'))",
        """
        o.write('a') ;; o.flush() ;; o.seek(0) ;; o.tell() ;; o.read() ;; os.path.getsize('data.txt')
        o.truncate(0) ;; o.readline() ;; o.fileno()>0 ;; o.name[-3:] ;; o.buffer.tell()
        """,
    ),
    "shared value of ctypes": (
        "multiprocessing.sharedctypes.RawValue('i',0)",
        "o.value",
        """
        o.value ;; setattr(o,'value',3)
        """,
    ),
    "shared memory": (
        "shared_memory()",
        "o.buf[0]",
        """
        o.buf[0] ;; o.buf.__setitem__(0,3) ;; bytes(o.buf[:2]) ;; o.size>0
        """,
    ),
    "SQLite connection": (
        "connection()",
        "o.execute('select * from t').fetchall().__len__()",
        """
        o.execute('select count(*) from t').fetchone() ;; o.execute('insert into t values(1)') and 0 ;; o.commit()
        o.rollback() ;; o.execute('select * from t').fetchall()
        """,
    ),
}
