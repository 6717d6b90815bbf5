//! The table of known C callables, by name: which callable does what.
//!
//! One row per type or module; a name that this interpreter does not have is passed over. To add a callable, add
//! its name to a row with its [`Action`].

use crate::actions::{self, Action, Library};
use pyo3::prelude::*;
use pyo3::types::PyType;
use rustc_hash::FxHashMap;

use Action as A;

type Row = (&'static str, &'static str, &'static [(Action, &'static str)]);

/// `(module, class or "" for the module's functions, [(action, names)])`.
const ROWS: &[Row] = &[
    (
        "builtins",
        "list",
        &[
            (A::Append, "append"),
            (A::Pop, "pop"),
            (A::Insert, "insert"),
            (A::WriteWhole, "remove extend __iadd__ __imul__ __init__"),
            (A::Permute, "sort reverse"),
            (A::Clear, "clear"),
            (A::ReadWhole, "index count __eq__ __ne__ __lt__ __le__ __gt__ __ge__ __repr__"),
            (A::ReadItems, "copy __add__ __mul__ __rmul__"),
            (A::ReadShape, "__len__ __reversed__"),
            (A::Nothing, "__iter__ __sizeof__ __class_getitem__"),
            (A::ReadKey, "__getitem__"),
            (A::StoreKey, "__setitem__"),
            (A::DeleteKey, "__delitem__"),
            (A::Contains, "__contains__"),
        ],
    ),
    (
        "builtins",
        "dict",
        &[
            (A::ReadKey, "__getitem__"),
            (A::LookUp, "get"),
            (A::StoreKey, "__setitem__"),
            (A::DeleteKey, "__delitem__"),
            (A::SetDefault, "setdefault"),
            (A::RemoveKey, "pop"),
            (A::WriteWhole, "popitem update __ior__ __init__"),
            (A::Clear, "clear"),
            (A::ReadWhole, "__eq__ __ne__ __repr__"),
            (A::ReadItems, "copy __or__ __ror__ fromkeys"),
            (A::ReadShape, "__len__ __iter__ __reversed__"),
            (A::Contains, "__contains__"),
            (A::Nothing, "keys values items __sizeof__ __class_getitem__"),
        ],
    ),
    (
        "builtins",
        "set",
        &[
            (A::AddElement, "add"),
            (A::RemoveKey, "discard remove"),
            (A::Clear, "clear"),
            (
                A::WriteWhole,
                "pop update difference_update intersection_update symmetric_difference_update __ior__ __iand__ \
                 __isub__ __ixor__ __init__",
            ),
            (
                A::ReadWhole,
                "copy difference intersection isdisjoint issubset issuperset symmetric_difference union __eq__ __ne__ \
                 __or__ __and__ __sub__ __xor__ __repr__",
            ),
            (A::ReadShape, "__len__ __iter__"),
            (A::Contains, "__contains__"),
        ],
    ),
    (
        "collections",
        "deque",
        &[
            (A::WriteWhole, "append appendleft pop popleft extend extendleft insert remove rotate reverse"),
            (A::Clear, "clear"),
            (A::ReadItems, "copy __copy__ __len__ __iter__ __reversed__ __add__ __mul__"),
            (A::ReadWhole, "count index __contains__ __getitem__ __eq__ __repr__"),
        ],
    ),
    (
        "collections",
        "OrderedDict",
        &[
            (A::SetDefault, "setdefault"),
            (A::RemoveKey, "pop"),
            (A::WriteWhole, "popitem update move_to_end"),
            (A::Clear, "clear"),
            (A::ReadWhole, "__eq__ __repr__"),
            (A::ReadItems, "copy __reversed__"),
            (A::Nothing, "keys values items"),
        ],
    ),
    ("collections", "defaultdict", &[(A::SetDefault, "__missing__"), (A::ReadItems, "copy __copy__")]),
    ("_io", "BufferedReader", &[(A::Nothing, BUFFERED), (A::WriteArgument, "readinto readinto1")]),
    ("_io", "BufferedWriter", &[(A::Nothing, BUFFERED), (A::ReadArguments, "write")]),
    (
        "_io",
        "BufferedRandom",
        &[(A::Nothing, BUFFERED), (A::ReadArguments, "write"), (A::WriteArgument, "readinto readinto1")],
    ),
    ("_collections_abc", "dict_keys", &[(A::ReadWhole, VIEW)]),
    ("_collections_abc", "dict_values", &[(A::ReadWhole, VIEW)]),
    ("_collections_abc", "dict_items", &[(A::ReadWhole, VIEW)]),
    (
        "builtins",
        "bytearray",
        &[
            (
                A::WriteWhole,
                "append extend insert pop remove reverse __setitem__ __delitem__ __iadd__ __imul__",
            ),
            (A::Clear, "clear"),
        ],
    ),
    (
        "array",
        "array",
        &[(
            A::WriteWhole,
            "append extend insert pop remove reverse byteswap frombytes fromfile fromlist fromunicode clear \
                 __setitem__ __delitem__ __iadd__ __imul__",
        )],
    ),
    ("builtins", "memoryview", &[(A::WriteWhole, "release __exit__ __setitem__ __delitem__")]),
    (
        "builtins",
        "object",
        &[
            (A::PlainSetAttr, "__setattr__ __delattr__"),
            (A::PlainGetAttr, "__getattribute__"),
            (A::ReadObject, "__reduce_ex__ __reduce__ __getstate__ __dir__"),
            (A::ReadItems, "__new__"),
            (
                A::Nothing,
                "__init__ __eq__ __ne__ __hash__ __repr__ __str__ __init_subclass__ __subclasshook__",
            ),
        ],
    ),
    ("builtins", "str", &[(A::ReadEverything, "format format_map")]),
    ("builtins", "BaseException", &[(A::Nothing, "__init__ __str__ __repr__ with_traceback add_note")]),
    ("types", "MemberDescriptorType", &[(A::Describe, "__get__"), (A::SetDescribed, "__set__ __delete__")]),
    ("types", "FunctionType", &[(A::Nothing, "__get__ __call__")]),
    ("types", "MethodType", &[(A::Nothing, "__get__ __call__")]),
    ("builtins", "property", &[(A::Nothing, "__get__ __set__ __delete__ getter setter deleter")]),
    ("builtins", "classmethod", &[(A::Nothing, "__get__")]),
    ("builtins", "staticmethod", &[(A::Nothing, "__get__ __call__")]),
    (
        "builtins",
        "",
        &[
            (A::ReadShape, "len iter reversed"),
            (A::ReadWhole, "sum min max any all sorted repr ascii format"),
            (A::ReadItems, "abs divmod round pow"),
            (A::Print, "print"),
            (A::Next, "next"),
            (A::GetAttr, "getattr hasattr"),
            (A::SetAttr, "setattr delattr"),
            (A::Vars, "vars"),
            (A::ReadClass, "isinstance"),
            (A::ReadObject, "dir"),
            (
                A::Nothing,
                "issubclass id callable hash chr ord hex oct bin globals locals __build_class__ exec eval compile open input",
            ),
        ],
    ),
    (
        "_operator",
        "",
        &[
            (A::GetItem, "getitem"),
            (A::SetItem, "setitem"),
            (A::DeleteItem, "delitem"),
            (A::Contains, "contains"),
            (A::ReadItems, "length_hint"),
            (A::Truth, "truth not_"),
            (A::WriteWhole, "iadd iconcat ior iand isub ixor imul"),
        ],
    ),
    (
        "_heapq",
        "",
        &[(
            A::WriteWhole,
            "heappush heappop heapify heapreplace heappushpop heappush_max heappop_max heapify_max heapreplace_max \
             heappushpop_max",
        )],
    ),
    (
        "_bisect",
        "",
        &[(A::ReadWhole, "bisect_left bisect_right"), (A::WriteWhole, "insort_left insort_right")],
    ),
    ("_functools", "", &[(A::ReadWhole, "reduce"), (A::Nothing, "cmp_to_key")]),
    ("_pickle", "", &[(A::ReadEverything, "dumps dump")]),
    ("itertools", "", &[(A::ReadShape, "tee")]),
    ("posix", "", &[(A::WriteModule, "chdir fchdir umask"), (A::ReadModule, "getcwd getcwdb")]),
    (
        "sys",
        "",
        &[
            (A::WriteModule, "setrecursionlimit setswitchinterval"),
            (A::ReadModule, "getrecursionlimit getswitchinterval"),
        ],
    ),
    ("_socket", "", &[(A::WriteModule, "setdefaulttimeout"), (A::ReadModule, "getdefaulttimeout")]),
    (
        "gc",
        "",
        &[(A::WriteModule, "enable disable set_threshold"), (A::ReadModule, "isenabled get_threshold")],
    ),
    ("_locale", "", &[(A::WriteModule, "setlocale"), (A::ReadModule, "localeconv")]),
    (
        "_csv",
        "",
        &[
            (A::WriteModule, "register_dialect unregister_dialect field_size_limit"),
            (A::ReadModule, "get_dialect list_dialects"),
        ],
    ),
    ("_weakref", "", &[(A::Nothing, "proxy getweakrefcount getweakrefs")]),
    // These are caught inside the call, where they can wait.
    ("_thread", "LockType", &[(A::Nothing, LOCK)]),
    ("_thread", "RLock", &[(A::Nothing, LOCK)]),
    ("_multiprocessing", "SemLock", &[(A::Nothing, "acquire release __enter__ __exit__ _count _is_mine")]),
    ("_queue", "SimpleQueue", &[(A::Nothing, "put put_nowait get get_nowait empty qsize")]),
    ("time", "", &[(A::Nothing, "sleep")]),
    // What is sent and received is recorded when the system is called.
    (
        "_socket",
        "socket",
        &[
            (A::WriteState, "__init__ close detach setblocking settimeout"),
            (
                A::ReadState,
                "_accept bind connect connect_ex fileno getblocking getpeername getsockname getsockopt gettimeout \
                 listen recv recvfrom recvmsg send sendall sendmsg sendto setsockopt shutdown",
            ),
        ],
    ),
    ("_socket", "", &[(A::Nothing, "socketpair getaddrinfo gethostbyname getnameinfo")]),
];

/// The methods of buffered files that take the file's lock and are handed nothing that is shared.
const BUFFERED: &str = "read read1 readline peek flush seek tell truncate close";

/// The methods of locks.
const LOCK: &str = "acquire release locked acquire_lock release_lock locked_lock __enter__ __exit__";

/// The methods of a dictionary's views.
const VIEW: &str =
    "isdisjoint __contains__ __len__ __iter__ __reversed__ __eq__ __le__ __and__ __or__ __sub__ __xor__";

/// What constructors do with their arguments.
const CONSTRUCTORS: &[(&str, Action, &str)] = &[
    ("builtins", A::ReadItems, "list tuple set frozenset bytes bytearray int float complex memoryview"),
    ("builtins", A::ReadWhole, "dict str"),
    ("builtins", A::ReadShape, "enumerate zip map filter reversed"),
    ("builtins", A::Truth, "bool"),
    ("builtins", A::ReadClass, "type"),
    ("builtins", A::Nothing, "super object property classmethod staticmethod range slice"),
    ("collections", A::ReadItems, "deque"),
    ("collections", A::ReadWhole, "OrderedDict defaultdict"),
    ("array", A::ReadItems, "array"),
    ("functools", A::Nothing, "partial _lru_cache_wrapper"),
    ("operator", A::Nothing, "attrgetter itemgetter methodcaller"),
    ("weakref", A::Nothing, "ref ProxyType"),
    ("types", A::Nothing, "MethodType FunctionType MappingProxyType"),
];

/// Types and modules ("" for the class) that change nothing: what no row names reads what it is given.
const READERS: &[(&str, &str)] = &[
    ("builtins", "str"),
    ("builtins", "bytes"),
    ("builtins", "bytearray"),
    ("builtins", "memoryview"),
    ("builtins", "int"),
    ("builtins", "float"),
    ("builtins", "complex"),
    ("builtins", "tuple"),
    ("builtins", "frozenset"),
    ("builtins", "range"),
    ("array", "array"),
    ("re", "Match"),
    ("re", "Pattern"),
    ("_json", ""),
    ("_operator", ""),
    ("math", ""),
    ("sys", ""),
    ("time", ""),
    ("binascii", ""),
    ("zlib", ""),
];

/// Modules whose functions ask the system, which is recorded there, and read what they are given; those named change it.
/// A path's own conversion to text is Python code.
const SYSTEM: &[(&str, &str)] = &[("posix", "readv preadv"), ("fcntl", "ioctl"), ("select", "")];

/// Modules whose functions, and types ("" for none) whose methods, keep what they are given for others, if anything; a
/// context belongs to one thread or task. So do those of asyncio: what futures and tasks do is caught inside the call.
const KEEPERS: &[(&str, &str)] =
    &[("_thread", ""), ("_contextvars", ""), ("_contextvars", "Context"), ("_contextvars", "ContextVar")];

/// The methods of NumPy's arrays that leave the array as it is.
const READ_ARRAYS: &str = "all any argmax argmin argpartition argsort astype clip compress copy cumprod cumsum diagonal
    dot dump dumps flatten item max mean min nonzero prod ravel repeat round searchsorted std sum take tobytes tofile
    tolist trace var __array__ __bool__ __contains__ __copy__ __deepcopy__ __float__ __int__ __reduce__ __repr__ __str__";

/// Resolves the names of what the program has, once for this process and those that are forked from it: it takes longer
/// than most executions. Imports nothing that matters to the program: asyncio is another one if its C part comes first.
///
/// # Errors
/// When a module cannot be imported.
#[pyfunction]
#[pyo3(name = "know_calls")]
pub fn install(py: Python<'_>) -> PyResult<()> {
    if !actions::is_installed(Library::Standard) {
        actions::install(Library::Standard, standard(py)?);
    }
    let modules = py.import("sys")?.getattr("modules")?;
    let loaded = |name: &str| modules.call_method1("get", (name,));
    let loops = loaded("_asyncio")?;
    if !loops.is_none() && !actions::is_installed(Library::Asyncio) {
        let mut table = FxHashMap::default();
        for holder in [loops.clone(), loops.getattr("Future")?, loops.getattr("Task")?] {
            add_others(&mut table, &holder, A::Nothing)?;
        }
        actions::install(Library::Asyncio, table);
    }
    if let Some(arrays) = loaded("numpy")?.getattr_opt("ndarray")?
        && !actions::is_installed(Library::Numpy)
    {
        let mut table = FxHashMap::default();
        for name in READ_ARRAYS.split_whitespace() {
            add(&mut table, &arrays, name, A::ReadArray)?;
        }
        actions::install(Library::Numpy, table);
    }
    Ok(())
}

fn standard(py: Python<'_>) -> PyResult<FxHashMap<usize, Action>> {
    let mut table = FxHashMap::default();
    for (module, class, actions) in ROWS {
        let holder = holder(py, module, class)?;
        for (action, names) in *actions {
            for name in names.split_whitespace() {
                add(&mut table, &holder, name, *action)?;
            }
        }
    }
    for (module, action, names) in CONSTRUCTORS {
        for name in names.split_whitespace() {
            table.insert(py.import(*module)?.getattr(name)?.as_ptr() as usize, *action);
        }
    }
    for (rows, action) in [(READERS, A::ReadWhole), (KEEPERS, A::Nothing)] {
        for (module, class) in rows {
            add_others(&mut table, &holder(py, module, class)?, action)?;
        }
    }
    for (module, changers) in SYSTEM {
        let module = py.import(*module)?;
        add_others(&mut table, &module, A::ReadItems)?;
        for name in changers.split_whitespace() {
            // SAFETY: a live object, with the interpreter's lock held.
            table.remove(&unsafe { actions::address(module.getattr(name)?.as_ptr()) });
        }
    }
    Ok(table)
}

/// A class, or the module if `class` is empty.
fn holder<'py>(py: Python<'py>, module: &str, class: &str) -> PyResult<Bound<'py, PyAny>> {
    let module = py.import(module)?;
    if class.is_empty() { Ok(module.into_any()) } else { module.getattr(class) }
}

/// Adds a class's own method or a module's function; one that is inherited or missing is passed over.
fn add(
    table: &mut FxHashMap<usize, Action>,
    holder: &Bound<'_, PyAny>,
    name: &str,
    action: Action,
) -> PyResult<()> {
    let found = if holder.is_instance_of::<PyType>() {
        holder.getattr("__dict__")?.call_method1("get", (name,))?
    } else {
        holder.getattr_opt(name)?.unwrap_or_else(|| holder.py().None().into_bound(holder.py()))
    };
    if !found.is_none() {
        // SAFETY: a live object, with the interpreter's lock held.
        let address = unsafe { actions::address(found.as_ptr()) };
        if address != 0 {
            table.insert(address, action);
        }
    }
    Ok(())
}

/// Adds everything that a class or module has itself and no row names.
fn add_others(
    table: &mut FxHashMap<usize, Action>,
    holder: &Bound<'_, PyAny>,
    action: Action,
) -> PyResult<()> {
    for found in holder.getattr("__dict__")?.call_method0("values")?.try_iter()? {
        // SAFETY: a live object, with the interpreter's lock held.
        let address = unsafe { actions::address(found?.as_ptr()) };
        if address != 0 {
            table.entry(address).or_insert(action);
        }
    }
    Ok(())
}
