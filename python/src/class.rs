//! Looking things up in classes and their dictionaries without running any Python code.

use crate::hash_table::{self, Found};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;
use std::sync::atomic::{AtomicUsize, Ordering};

#[allow(non_snake_case)]
unsafe extern "C" {
    fn _PyType_Lookup(class: *mut ffi::PyTypeObject, name: *mut ffi::PyObject) -> *mut ffi::PyObject;
}

/// What `name` is in the first class of the resolution order that has it; borrowed, null when none has, or when only
/// user code could tell.
///
/// # Safety
/// `class` is a live type, `name` a live `str`; the caller holds the lock.
pub unsafe fn lookup(class: *mut ffi::PyTypeObject, name: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: as the caller promises; the resolution order is a tuple of types, and those of the interpreter, which may
    // have no dictionary here, cannot change.
    unsafe {
        let order = (*class).tp_mro;
        if order.is_null() {
            return _PyType_Lookup(class, name);
        }
        let classes = || (0..ffi::PyTuple_Size(order)).map(|at| ffi::PyTuple_GetItem(order, at));
        let is_odd = |class: *mut ffi::PyObject| {
            let dict = (*class.cast::<ffi::PyTypeObject>()).tp_dict;
            !dict.is_null() && hash_table::may_run_code(dict)
        };
        if !classes().any(is_odd) {
            return _PyType_Lookup(class, name);
        }
        for class in classes() {
            let class = class.cast::<ffi::PyTypeObject>();
            let found = match (*class).tp_dict {
                dict if !dict.is_null() => hash_table::find(dict, name),
                _ => Found::Present(_PyType_Lookup(class, name)),
            };
            match found {
                Found::Present(value) if !value.is_null() => return value,
                Found::Present(_) | Found::Absent => {}
                Found::Unknown => return std::ptr::null_mut(),
            }
        }
        std::ptr::null_mut()
    }
}

/// Whether `class` finds `method` where `base` has it: nothing overrides it.
///
/// # Safety
/// Live types; the caller holds the lock.
pub unsafe fn inherits(
    class: *mut ffi::PyTypeObject,
    base: *mut ffi::PyTypeObject,
    method: &std::ffi::CStr,
) -> bool {
    // SAFETY: the name is interned for the look-up only.
    unsafe {
        if class == base {
            return true;
        }
        let name = ffi::PyUnicode_InternFromString(method.as_ptr());
        if name.is_null() {
            ffi::PyErr_Clear();
            return false;
        }
        let same = lookup(class, name) == lookup(base, name);
        ffi::Py_DECREF(name);
        same
    }
}

/// Whether a dictionary with string keys has `name`.
///
/// # Safety
/// Both are live; `dict` may be null or no dictionary, which has nothing.
pub unsafe fn dict_has(dict: *mut ffi::PyObject, name: *mut ffi::PyObject) -> bool {
    // SAFETY: as the caller promises.
    unsafe {
        let is_dict = !dict.is_null() && ffi::PyDict_Check(dict) != 0;
        is_dict && matches!(hash_table::find(dict, name), Found::Present(_))
    }
}

/// The address of a type's C function, which says whose function it is: CPython's own are unique.
pub fn slot<F>(function: Option<F>) -> usize {
    // An optional function pointer is a pointer that may be null.
    const { assert!(size_of::<Option<F>>() == size_of::<usize>()) };
    // SAFETY: of the same size, checked above; every bit pattern is an integer.
    unsafe { std::mem::transmute_copy(&function) }
}

/// Whether a dictionary has this text as a key.
///
/// # Safety
/// `dict` is a live dictionary; the caller holds the lock.
pub unsafe fn dict_has_text(dict: *mut ffi::PyObject, key: &std::ffi::CStr) -> bool {
    // SAFETY: as the caller promises; the reference is borrowed.
    unsafe { !ffi::PyDict_GetItemString(dict, key.as_ptr()).is_null() }
}

/// Whether a class was made at run time, so that it can change.
///
/// # Safety
/// A live type.
pub unsafe fn is_heap(class: *mut ffi::PyTypeObject) -> bool {
    // SAFETY: as the caller promises.
    unsafe { ffi::PyType_GetFlags(class) & ffi::Py_TPFLAGS_HEAPTYPE != 0 }
}

/// Whether a program can give the class other attributes than it has.
///
/// # Safety
/// A live type.
pub unsafe fn can_change(class: *mut ffi::PyTypeObject) -> bool {
    // SAFETY: as the caller promises.
    let flags = unsafe { ffi::PyType_GetFlags(class) };
    flags & ffi::Py_TPFLAGS_HEAPTYPE != 0 && flags & ffi::Py_TPFLAGS_IMMUTABLETYPE == 0
}

/// Whether a class statement made the class: one that C code makes is named with its module.
///
/// # Safety
/// A live type.
pub unsafe fn is_written_in_python(class: *mut ffi::PyTypeObject) -> bool {
    // SAFETY: as the caller promises; a type's name lives as long as the type.
    unsafe { is_heap(class) && !std::ffi::CStr::from_ptr((*class).tp_name).to_bytes().contains(&b'.') }
}

/// The class itself, or the nearest of its bases that C code defines: its instances have that one's layout.
///
/// # Safety
/// A live type.
pub unsafe fn native(class: *mut ffi::PyTypeObject) -> *mut ffi::PyTypeObject {
    // SAFETY: bases live as long as what is derived from them; `object` is at the end, and is C code.
    unsafe {
        let mut class = class;
        while is_written_in_python(class) && !(*class).tp_base.is_null() {
            class = (*class).tp_base;
        }
        class
    }
}

/// Whether a class of C code has instances that keep attributes of any name, of which its own code makes use.
///
/// # Safety
/// A live type.
pub unsafe fn is_namespace(class: *mut ffi::PyTypeObject) -> bool {
    // SAFETY: as the caller promises; a type's name lives as long as the type.
    unsafe { std::ffi::CStr::from_ptr((*class).tp_name).to_bytes() == b"types.SimpleNamespace" }
}

/// Modules whose objects are modelled, cannot change, or are known for what they do with what they are given.
const MODELLED: [&[u8]; 27] = [
    b"_asyncio.",
    b"_contextvars.",
    b"_io.",
    b"_json.",
    b"_multiprocessing.",
    b"_queue.",
    b"_socket.",
    b"_sre.",
    b"_struct.",
    b"_thread.",
    b"array.",
    b"asyncio.",
    b"builtins.",
    b"collections.",
    b"functools.",
    b"itertools.",
    b"numpy.",
    b"operator.",
    // What a driver keeps for itself goes to its server and comes from there, in steps of their own.
    b"psycopg2.",
    b"psycopg_binary.",
    b"psycopg_c.",
    b"re.",
    b"select.",
    b"sqlite3.",
    b"types.",
    b"typing.",
    b"weakref.",
];

/// Whether objects of a class of C code may keep something to themselves that their methods change. One that is equal to
/// others by its value cannot change, and what an iterator keeps is its position.
///
/// # Safety
/// A live type.
pub unsafe fn is_opaque(class: *mut ffi::PyTypeObject) -> bool {
    // SAFETY: as the caller promises; a type's name lives as long as the type.
    unsafe {
        let name = std::ffi::CStr::from_ptr((*class).tp_name).to_bytes();
        if !name.contains(&b'.') || (*class).tp_iternext.is_some() {
            return false;
        }
        let by_identity = slot((*class).tp_hash) == slot(ffi::PyBaseObject_Type.tp_hash);
        let has_no_hash = slot((*class).tp_hash) == ffi::PyObject_HashNotImplemented as *const () as usize;
        let can_change = by_identity || has_no_hash || is_ctypes(class);
        can_change && !MODELLED.iter().any(|module| name.starts_with(module))
    }
}

/// Whether attributes of a class of C code show what its methods change: where an iterator is, whether a file in memory is
/// closed.
///
/// # Safety
/// A live type.
pub unsafe fn tells_its_state(class: *mut ffi::PyTypeObject) -> bool {
    // SAFETY: as the caller promises; a type's name lives as long as the type.
    unsafe {
        let name = std::ffi::CStr::from_ptr((*class).tp_name).to_bytes();
        matches!(name, b"_csv.reader" | b"_io.StringIO" | b"_io.BytesIO" | b"numpy.flatiter")
    }
}

/// Whether objects of a class of C code are opaque, or containers whose entries have no names.
///
/// # Safety
/// A live type.
pub unsafe fn is_mutable(class: *mut ffi::PyTypeObject) -> bool {
    // SAFETY: as the caller promises; a type's name lives as long as the type.
    unsafe {
        let name = std::ffi::CStr::from_ptr((*class).tp_name).to_bytes();
        matches!(name, b"collections.deque" | b"array.array") || is_opaque(class)
    }
}

/// Whether a class of C code is one of ctypes, whose objects stand for memory.
///
/// # Safety
/// A live type.
pub unsafe fn is_ctypes(class: *mut ffi::PyTypeObject) -> bool {
    // SAFETY: as the caller promises; a type's name lives as long as the type.
    unsafe { std::ffi::CStr::from_ptr((*class).tp_name).to_bytes().starts_with(b"_ctypes.") }
}

/// The classes of primitives whose waits are modelled.
static PRIMITIVES: [AtomicUsize; 3] = [const { AtomicUsize::new(0) }; 3];

/// Gets to know the primitives that the standard library writes in Python.
///
/// # Errors
/// When a name that every supported interpreter has is missing.
pub fn know_primitives(py: Python<'_>) -> PyResult<()> {
    let threading = py.import("threading")?;
    for (name, class) in ["Event", "Condition", "Semaphore"].into_iter().zip(&PRIMITIVES) {
        let found = threading.getattr(name)?.cast_into::<PyType>()?;
        class.store(found.as_ptr() as usize, Ordering::Relaxed);
    }
    Ok(())
}

/// Whether the class is one of those, or a subclass.
///
/// # Safety
/// A live type.
pub unsafe fn is_primitive(class: *mut ffi::PyTypeObject) -> bool {
    // SAFETY: the classes of `threading` live as long as the interpreter.
    let inherits = |base: usize| unsafe { base != 0 && ffi::PyType_IsSubtype(class, base as *mut _) != 0 };
    PRIMITIVES.iter().any(|base| inherits(base.load(Ordering::Relaxed)))
}

/// What a name is in the first class of the resolution order that has it; borrowed, null when none has.
///
/// # Safety
/// As for [`lookup`].
pub unsafe fn lookup_text(class: *mut ffi::PyTypeObject, name: &std::ffi::CStr) -> *mut ffi::PyObject {
    // SAFETY: as the caller promises; the name is interned for the look-up only.
    unsafe {
        let name = ffi::PyUnicode_InternFromString(name.as_ptr());
        if name.is_null() {
            ffi::PyErr_Clear();
            return name;
        }
        let found = lookup(class, name);
        ffi::Py_DECREF(name);
        found
    }
}
