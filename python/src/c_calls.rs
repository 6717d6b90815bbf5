//! The table of known C callables, by name: which callable does what.
//!
//! One row per type or module; a name that this interpreter does not have is passed over. To add a callable, add
//! its name to a row with its [`Action`].

use crate::calls::{self, Action};
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
            (
                A::ReadWhole,
                "index count copy __eq__ __ne__ __lt__ __le__ __gt__ __ge__ __add__ __mul__ __repr__",
            ),
            (A::ReadShape, "__len__"),
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
            (A::ReadKey, "get __getitem__"),
            (A::StoreKey, "__setitem__"),
            (A::DeleteKey, "__delitem__"),
            (A::SetDefault, "setdefault"),
            (A::RemoveKey, "pop"),
            (A::WriteWhole, "popitem update __ior__ __init__"),
            (A::Clear, "clear"),
            (A::ReadWhole, "copy __eq__ __ne__ __or__ __ror__ __repr__"),
            (A::ReadShape, "__len__ __iter__ __reversed__"),
            (A::Contains, "__contains__"),
            (A::Nothing, "keys values items fromkeys __sizeof__ __class_getitem__"),
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
            (A::ReadWhole, "copy count index __len__ __iter__ __contains__ __getitem__"),
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
            (A::ReadWhole, "copy"),
            (A::Nothing, "keys values items"),
        ],
    ),
    ("collections", "defaultdict", &[(A::SetDefault, "__missing__"), (A::ReadWhole, "copy __copy__")]),
    (
        "builtins",
        "bytearray",
        &[
            (A::WriteWhole, "append extend insert pop remove reverse __setitem__ __delitem__ __iadd__"),
            (A::Clear, "clear"),
            (
                A::ReadWhole,
                "copy count decode find index hex join split startswith endswith rfind strip __len__ __getitem__",
            ),
        ],
    ),
    (
        "builtins",
        "object",
        &[
            (A::PlainSetAttr, "__setattr__ __delattr__"),
            (A::PlainGetAttr, "__getattribute__"),
            (A::Nothing, "__init__ __new__ __eq__ __hash__ __repr__ __str__ __reduce_ex__"),
        ],
    ),
    ("builtins", "str", &[(A::ReadWhole, "join format"), (A::Nothing, "split strip lower upper replace")]),
    ("builtins", "bytes", &[(A::ReadWhole, "join")]),
    (
        "builtins",
        "",
        &[
            (A::ReadShape, "len iter reversed"),
            (A::ReadWhole, "sum min max any all sorted repr ascii print format"),
            (A::Next, "next"),
            (A::GetAttr, "getattr hasattr"),
            (A::SetAttr, "setattr delattr"),
            (A::Vars, "vars"),
            (
                A::Nothing,
                "isinstance issubclass id callable hash abs divmod round pow chr ord hex oct bin globals locals",
            ),
            (A::Nothing, "__build_class__ exec eval compile open input dir"),
        ],
    ),
    (
        "_operator",
        "",
        &[
            (A::ReadKey, "getitem"),
            (A::StoreKey, "setitem"),
            (A::DeleteKey, "delitem"),
            (A::ReadShape, "length_hint truth not_"),
            (A::ReadWhole, "eq ne lt le gt ge add concat contains countOf indexOf"),
            (A::WriteWhole, "iadd iconcat ior iand isub ixor imul"),
        ],
    ),
    ("_heapq", "", &[(A::WriteWhole, "heappush heappop heapify heapreplace heappushpop")]),
    (
        "_bisect",
        "",
        &[(A::ReadWhole, "bisect_left bisect_right"), (A::WriteWhole, "insort_left insort_right")],
    ),
    ("_functools", "", &[(A::ReadWhole, "reduce")]),
    // These are caught inside the call, where they can wait.
    ("_thread", "LockType", &[(A::Nothing, LOCK)]),
    ("_thread", "RLock", &[(A::Nothing, LOCK)]),
    ("_queue", "SimpleQueue", &[(A::Nothing, "put put_nowait get get_nowait empty qsize")]),
    ("time", "", &[(A::Nothing, "sleep")]),
];

/// The methods of locks.
const LOCK: &str = "acquire release locked acquire_lock release_lock locked_lock __enter__ __exit__";

/// Builtin types whose constructor consumes its arguments.
const CONSUMERS: &[&str] = &["list", "tuple", "set", "frozenset", "dict", "bytes", "bytearray", "str"];

/// Constructors that only ask for an iterator or a truth value.
const PEEKERS: &[&str] = &["enumerate", "zip", "map", "filter", "reversed", "bool"];

/// Resolves the names and installs the table.
///
/// # Errors
/// When a module cannot be imported.
pub fn install(py: Python<'_>) -> PyResult<()> {
    let mut table = FxHashMap::default();
    for (module, class, actions) in ROWS {
        let module = py.import(*module)?;
        let holder = if class.is_empty() { module.into_any() } else { module.getattr(*class)? };
        for (action, names) in *actions {
            for name in names.split_whitespace() {
                add(&mut table, &holder, name, *action)?;
            }
        }
    }
    let builtins = py.import("builtins")?;
    for name in CONSUMERS {
        table.insert(builtins.getattr(*name)?.as_ptr() as usize, A::ReadWhole);
    }
    for name in PEEKERS {
        table.insert(builtins.getattr(*name)?.as_ptr() as usize, A::ReadShape);
    }
    calls::install(table);
    Ok(())
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
        let address = unsafe { calls::address(found.as_ptr()) };
        if address != 0 {
            table.insert(address, action);
        }
    }
    Ok(())
}
