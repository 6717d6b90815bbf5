//! Views: objects that show what another one holds, which is then the object that an access touches.
//!
//! Model: a view has one object that it shows, which may be a view itself; at the end is the one that holds. Views are
//! those of dictionaries, memory views, NumPy's arrays without memory of their own, their elements of several fields and
//! their flat iterators, and objects of ctypes that are parts of others or lie in a buffer of Python.
//!
//! Invariant: no Python code runs; the exact types select the layouts.
//!
//! Not here: which part of the holder is touched (`container`, `ndarray`); memory that an address alone tells of.

use crate::{class, interpreter, ndarray};
use pyo3::ffi;
use std::ffi::CStr;

type Object = *mut ffi::PyObject;

/// The object that holds what this one shows; the object itself if it is no view, or null.
///
/// # Safety
/// `object` is live or null.
pub unsafe fn behind(object: Object) -> Object {
    // SAFETY: type checks of a live object.
    let holds = || unsafe { ffi::PyDict_CheckExact(object) != 0 || ffi::PyList_CheckExact(object) != 0 };
    if object.is_null() || holds() {
        return object;
    }
    let mut holder = object;
    // SAFETY: as the caller promises; a view keeps what it shows alive.
    while let Some(shown) = unsafe { shown(holder) } {
        holder = shown;
    }
    holder
}

/// Whether an object shows a dictionary, as `__dict__` of a class does.
///
/// # Safety
/// `object` is live.
pub unsafe fn shows_dict(object: Object) -> bool {
    // SAFETY: a live object; the exact type selects the layout.
    unsafe {
        ffi::Py_TYPE(object) == &raw mut ffi::PyDictProxy_Type
            && ffi::PyDict_Check(interpreter::view_dict(object)) != 0
    }
}

/// Whether an object is what an array gives out of itself other than arrays: an element of several fields, or a row of all
/// elements.
///
/// # Safety
/// `object` is live.
pub unsafe fn is_part_of_array(object: Object) -> bool {
    // SAFETY: as the caller promises.
    unsafe { matches!(native_name(object), b"numpy.void" | b"numpy.flatiter") }
}

/// Whether an object is a memory view of what can change.
///
/// # Safety
/// Both are live.
pub unsafe fn shows_memory(object: Object, holder: Object) -> bool {
    // SAFETY: type checks of live objects.
    unsafe { ffi::PyMemoryView_Check(object) != 0 && ffi::PyBytes_Check(holder) == 0 }
}

/// The address of an element of a memory view in which each element is one byte, in a single row.
///
/// # Safety
/// `view` is live.
pub unsafe fn address_of_byte(view: Object, index: isize) -> Option<isize> {
    // SAFETY: as the caller promises; a view of one dimension has one length and one stride.
    unsafe {
        let buffer =
            if ffi::PyMemoryView_Check(view) != 0 { interpreter::buffer(view)? } else { return None };
        let is_simple = buffer.ndim == 1 && buffer.itemsize == 1 && buffer.suboffsets.is_null();
        if !is_simple || buffer.shape.is_null() || buffer.strides.is_null() {
            return None;
        }
        let (length, stride) = (buffer.shape.read(), buffer.strides.read());
        let index = if index < 0 { index + length } else { index };
        (0..length).contains(&index).then(|| buffer.buf as isize + index * stride)
    }
}

/// The object that a view shows, which may be a view itself.
unsafe fn shown(object: Object) -> Option<Object> {
    // SAFETY: as the caller of `behind` promises; the type checks select the layout.
    unsafe {
        let is_view = ffi::PyDictKeys_Check(object) != 0
            || ffi::PyDictValues_Check(object) != 0
            || ffi::PyDictItems_Check(object) != 0
            || shows_dict(object);
        if is_view {
            return Some(interpreter::view_dict(object));
        }
        if ffi::PyMemoryView_Check(object) != 0 {
            return interpreter::buffer(object).map(|buffer| buffer.obj);
        }
        if ndarray::is_array(object) {
            let base = ndarray::base(object);
            return (base != object).then_some(base);
        }
        match native_name(object) {
            // Header of variable size, data, descriptor, flags, base.
            b"numpy.void" => field(object, 48),
            b"numpy.flatiter" => array_of_flat(object),
            // Header, source.
            b"_io._BytesIOBuffer" => field(object, 16),
            b"_ctypes.Structure"
            | b"_ctypes.Union"
            | b"_ctypes.Array"
            | b"_ctypes._SimpleCData"
            | b"_ctypes._Pointer" => memory_of_ctypes(object),
            _ => None,
        }
    }
}

unsafe fn native_name<'a>(object: Object) -> &'a [u8] {
    // SAFETY: a live object; the names of types of C code live as long as the process.
    unsafe { CStr::from_ptr((*class::native(ffi::Py_TYPE(object))).tp_name).to_bytes() }
}

unsafe fn field(object: Object, offset: usize) -> Option<Object> {
    // SAFETY: the caller knows the layout.
    let value = unsafe { object.cast::<u8>().add(offset).cast::<Object>().read() };
    (!value.is_null()).then_some(value)
}

/// The array behind its flat iterator, whose place among the fields the type tells.
unsafe fn array_of_flat(flat: Object) -> Option<Object> {
    // SAFETY: a live type; its members end with one that has no name.
    unsafe {
        let mut member = (*ffi::Py_TYPE(flat)).tp_members;
        while !member.is_null() && !(*member).name.is_null() {
            if CStr::from_ptr((*member).name) == c"base" {
                return field(flat, (*member).offset as usize);
            }
            member = member.add(1);
        }
        None
    }
}

/// What holds the memory of an object of ctypes: the object that it is a part of, or the buffer that it lies in.
unsafe fn memory_of_ctypes(object: Object) -> Option<Object> {
    // SAFETY: an object of ctypes; what it keeps alive is live.
    unsafe {
        let whole = interpreter::whole_of_ctypes(object);
        if !whole.is_null() {
            return Some(whole);
        }
        let kept = interpreter::kept_by_ctypes(object).filter(|kept| !kept.is_null())?;
        if ffi::PyMemoryView_Check(kept) != 0 {
            return Some(kept);
        }
        if ffi::PyDict_CheckExact(kept) == 0 {
            return None;
        }
        let (mut at, mut key, mut value) = (0, std::ptr::null_mut(), std::ptr::null_mut());
        while ffi::PyDict_Next(kept, &raw mut at, &raw mut key, &raw mut value) != 0 {
            if ffi::PyMemoryView_Check(value) != 0 {
                return Some(value);
            }
        }
        None
    }
}
