//! Looking things up in classes and their dictionaries without running any Python code.

use pyo3::ffi;

#[allow(non_snake_case)]
unsafe extern "C" {
    fn _PyType_Lookup(class: *mut ffi::PyTypeObject, name: *mut ffi::PyObject) -> *mut ffi::PyObject;
}

/// What `name` is in the first class of the resolution order that has it; borrowed, null when none has.
///
/// # Safety
/// `class` is a live type, `name` a live `str`; the caller holds the lock.
pub unsafe fn lookup(class: *mut ffi::PyTypeObject, name: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: as the caller promises.
    unsafe { _PyType_Lookup(class, name) }
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
    // SAFETY: as the caller promises; an error is dropped.
    unsafe {
        if dict.is_null() || ffi::PyDict_Check(dict) == 0 {
            return false;
        }
        let has = ffi::PyDict_Contains(dict, name);
        if has < 0 {
            ffi::PyErr_Clear();
        }
        has == 1
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

/// Whether a class statement made the class: one that C code makes is named with its module.
///
/// # Safety
/// A live type.
pub unsafe fn is_written_in_python(class: *mut ffi::PyTypeObject) -> bool {
    // SAFETY: as the caller promises; a type's name lives as long as the type.
    unsafe { is_heap(class) && !std::ffi::CStr::from_ptr((*class).tp_name).to_bytes().contains(&b'.') }
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
