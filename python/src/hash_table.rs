//! Looking a key up in a dictionary or set without running the `__eq__` of the keys that are there.
//!
//! Model: the table is probed as the interpreter probes it. A key there with the same hash is compared only if both are
//! of builtin types; whether one of another type equals the key is known to its `__eq__` alone.
//!
//! Not here: which keys have names (names).

use pyo3::ffi;

/// What a table says about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is not there.
    Absent,
    /// It is there. In a dictionary, with this value, borrowed.
    Present(*mut ffi::PyObject),
    /// There is a key with the same hash that only user code can compare.
    Unknown,
}

/// The part of a dictionary's table that comes before the indices, the same from 3.11 to 3.14.
#[repr(C)]
struct Keys {
    references: isize,
    log2_size: u8,
    log2_index_bytes: u8,
    kind: u8,
    version: u32,
    usable: isize,
    n_entries: isize,
}

/// The kind of a table whose keys need not all be `str`.
const GENERAL: u8 = 0;
const PERTURB_SHIFT: usize = 5;

#[repr(C)]
struct Entry {
    hash: isize,
    key: *mut ffi::PyObject,
    value: *mut ffi::PyObject,
}

#[repr(C)]
struct Set {
    header: ffi::PyObject,
    fill: isize,
    used: isize,
    mask: isize,
    table: *const SetEntry,
}

#[repr(C)]
struct SetEntry {
    key: *mut ffi::PyObject,
    hash: isize,
}

/// Looks up a key of a builtin type in a dictionary or set.
///
/// # Safety
/// Both are live; the caller holds the lock.
pub unsafe fn find(container: *mut ffi::PyObject, key: *mut ffi::PyObject) -> Found {
    // SAFETY: the key is of a builtin type, so hashing it and comparing it with others of builtin types runs no code.
    unsafe {
        if ffi::PyDict_Check(container) == 0 {
            return find_in_set(container.cast(), key);
        }
        if may_run_code(container) {
            return find_in_general(keys_of(container), key);
        }
        let value = ffi::PyDict_GetItemWithError(container, key);
        if value.is_null() {
            ffi::PyErr_Clear();
            return Found::Absent;
        }
        Found::Present(value)
    }
}

/// Whether a look-up in a dictionary could call an `__eq__`: not all of its keys have always been `str`.
///
/// # Safety
/// A live dictionary.
pub unsafe fn may_run_code(dict: *mut ffi::PyObject) -> bool {
    // SAFETY: a dictionary has a table.
    unsafe { (*keys_of(dict)).kind == GENERAL }
}

unsafe fn keys_of(dict: *mut ffi::PyObject) -> *const Keys {
    // SAFETY: as the callers promise.
    unsafe { (*dict.cast::<ffi::PyDictObject>()).ma_keys.cast() }
}

unsafe fn find_in_general(keys: *const Keys, key: *mut ffi::PyObject) -> Found {
    // SAFETY: the table is not changed meanwhile, and it always has an unused index, where probing ends.
    unsafe {
        let hash = ffi::PyObject_Hash(key);
        let indices = keys.add(1).cast::<u8>();
        let entries = indices.add(1 << (*keys).log2_index_bytes).cast::<Entry>();
        let mask = (1_usize << (*keys).log2_size) - 1;
        let mut perturb = hash as usize;
        let mut at = perturb & mask;
        loop {
            let index = match (*keys).log2_size {
                ..8 => isize::from(indices.cast::<i8>().add(at).read()),
                8..16 => isize::from(indices.cast::<i16>().add(at).read()),
                16..32 => indices.cast::<i32>().add(at).read() as isize,
                32.. => indices.cast::<isize>().add(at).read(),
            };
            if index == -1 {
                return Found::Absent;
            }
            if index >= 0 {
                let entry = &*entries.add(index as usize);
                if entry.hash == hash && !entry.key.is_null() {
                    match are_equal(entry.key, key) {
                        Some(false) => {}
                        Some(true) => return Found::Present(entry.value),
                        None => return Found::Unknown,
                    }
                }
            }
            perturb >>= PERTURB_SHIFT;
            at = at.wrapping_mul(5).wrapping_add(perturb).wrapping_add(1) & mask;
        }
    }
}

unsafe fn find_in_set(set: *const Set, key: *mut ffi::PyObject) -> Found {
    const LINEAR_PROBES: usize = 9;
    // SAFETY: as for `find_in_general`.
    unsafe {
        let hash = ffi::PyObject_Hash(key);
        let mask = (*set).mask as usize;
        let mut perturb = hash as usize;
        let mut at = perturb & mask;
        loop {
            let last = if at + LINEAR_PROBES <= mask { at + LINEAR_PROBES } else { at };
            for index in at..=last {
                let entry = &*(*set).table.add(index);
                if entry.hash == 0 && entry.key.is_null() {
                    return Found::Absent;
                }
                if entry.hash == hash {
                    match are_equal(entry.key, key) {
                        Some(false) => {}
                        Some(true) => return Found::Present(entry.key),
                        None => return Found::Unknown,
                    }
                }
            }
            perturb >>= PERTURB_SHIFT;
            at = at.wrapping_mul(5).wrapping_add(perturb).wrapping_add(1) & mask;
        }
    }
}

/// Whether two keys are equal, if that can be said without user code.
unsafe fn are_equal(there: *mut ffi::PyObject, key: *mut ffi::PyObject) -> Option<bool> {
    // SAFETY: both are live.
    unsafe {
        if there == key {
            return Some(true);
        }
        compares_without_code(there, 0).then(|| {
            let equal = ffi::PyObject_RichCompareBool(there, key, ffi::Py_EQ);
            if equal < 0 {
                ffi::PyErr_Clear();
            }
            equal == 1
        })
    }
}

/// Whether comparing an object with one of a builtin type runs no user code.
unsafe fn compares_without_code(object: *mut ffi::PyObject, depth: u32) -> bool {
    const DEEPEST: u32 = 8;
    // SAFETY: live objects have live types.
    unsafe {
        if ffi::PyTuple_CheckExact(object) != 0 {
            let mut parts = (0..ffi::PyTuple_Size(object)).map(|at| ffi::PyTuple_GetItem(object, at));
            return depth < DEEPEST && parts.all(|part| compares_without_code(part, depth + 1));
        }
        let class = ffi::Py_TYPE(object);
        let compares_contents = [
            &raw mut ffi::PyUnicode_Type,
            &raw mut ffi::PyLong_Type,
            &raw mut ffi::PyBool_Type,
            &raw mut ffi::PyFloat_Type,
            &raw mut ffi::PyBytes_Type,
        ];
        let by_identity = ffi::PyBaseObject_Type.tp_richcompare.map(|function| function as usize);
        compares_contents.contains(&class)
            || (*class).tp_richcompare.map(|function| function as usize) == by_identity
    }
}
