//! Operators, comparisons, membership, formatting and unpacking: what they look at in their operands.
//!
//! Not here: subscripts (container), calls (calls). What an operator of a Python class does is recorded in its body.

use crate::container::{self, Family};
use crate::handed::{Handed, Look};
use crate::ndarray;
use crate::observed::Observed;
use frontrun_formats::Operation;
use pyo3::ffi;

/// `BINARY_OP` arguments: the remainder, and how far in-place operators are from the others.
const REMAINDER: u32 = 6;
const IN_PLACE: u32 = 13;

/// Everything that can be reached from the operands is compared.
///
/// # Safety
/// Operands of the instruction about to execute; the caller holds the turn and the lock.
pub unsafe fn compare(left: *mut ffi::PyObject, right: *mut ffi::PyObject) -> Option<Observed> {
    // SAFETY: as the caller promises.
    unsafe { read(&[left, right], Look::Deep) }
}

/// `left + right` and its like. The remainder of a string is formatting.
///
/// # Safety
/// As for [`compare`].
pub unsafe fn binary(operator: u32, left: *mut ffi::PyObject, right: *mut ffi::PyObject) -> Option<Observed> {
    // SAFETY: as the caller promises.
    unsafe { read(&[left, right], if operator == REMAINDER { Look::Deep } else { Look::Items }) }
}

/// `-operand` and its like: an array has elements.
///
/// # Safety
/// As for [`compare`].
pub unsafe fn unary(operand: *mut ffi::PyObject) -> Option<Observed> {
    // SAFETY: as the caller promises.
    unsafe { read(&[operand], Look::Items) }
}

/// `target += source` and its like, where a container changes in place.
///
/// # Safety
/// As for [`compare`].
pub unsafe fn in_place(
    operator: u32,
    target: *mut ffi::PyObject,
    source: *mut ffi::PyObject,
) -> Option<Observed> {
    // SAFETY: as the caller promises.
    unsafe {
        if container::whole_of(target).is_none() {
            return binary(operator - IN_PLACE, target, source);
        }
        let mut handed = Handed::default();
        handed.write(target, Look::Items);
        handed.read(source, Look::Deep);
        handed.observed()
    }
}

/// `container[key] = value`. What several elements are taken from is read, too.
///
/// # Safety
/// As for [`compare`].
pub unsafe fn assign(
    container: *mut ffi::PyObject,
    key: *mut ffi::PyObject,
    value: *mut ffi::PyObject,
) -> Option<Observed> {
    // SAFETY: as the caller promises.
    unsafe { assigned(container::set(container, key)?, container, key, value) }
}

/// A store of `container[key]` that takes the value apart if it stores several elements.
///
/// # Safety
/// As for [`compare`].
pub unsafe fn assigned(
    stored: Observed,
    container: *mut ffi::PyObject,
    key: *mut ffi::PyObject,
    value: *mut ffi::PyObject,
) -> Option<Observed> {
    // SAFETY: as the caller promises.
    unsafe {
        let takes_apart = ffi::PySlice_Check(key) != 0 || ndarray::is_array(container);
        if takes_apart { with_read(stored, value) } else { Some(stored) }
    }
}

/// `container[start:stop]`. That of an array is a view.
///
/// # Safety
/// As for [`compare`].
pub unsafe fn slice(container: *mut ffi::PyObject) -> Option<Observed> {
    // SAFETY: as the caller promises.
    unsafe { if ndarray::is_array(container) { None } else { container::read_whole(container) } }
}

/// `container[start:stop] = value`.
///
/// # Safety
/// As for [`compare`].
pub unsafe fn assign_slice(
    container: *mut ffi::PyObject,
    (start, stop): (*mut ffi::PyObject, *mut ffi::PyObject),
    value: *mut ffi::PyObject,
) -> Option<Observed> {
    // SAFETY: as the caller promises; making a slice runs no code.
    unsafe {
        if ndarray::is_array(container) {
            let key = ffi::PySlice_New(start, stop, std::ptr::null_mut());
            if key.is_null() {
                ffi::PyErr_Clear();
                return with_read(container::write_whole(container)?, value);
            }
            let observed = assign(container, key, value);
            ffi::Py_DECREF(key);
            return observed;
        }
        with_read(container::write_whole(container)?, value)
    }
}

/// An operation that also reads what an object consists of.
unsafe fn with_read(operation: Observed, object: *mut ffi::PyObject) -> Option<Observed> {
    let mut handed = Handed::default();
    match operation.0 {
        Operation::Write { at } => handed.add(at, true),
        Operation::Touch { writes, .. } => writes.iter().for_each(|at| handed.add(*at, true)),
        _ => return Some(operation),
    }
    // SAFETY: as the callers promise.
    unsafe { handed.read(object, Look::Items) };
    handed.observed()
}

/// `element in container`: an entry of what is hashed, else a comparison with every element.
///
/// # Safety
/// As for [`compare`].
pub unsafe fn contains(container: *mut ffi::PyObject, element: *mut ffi::PyObject) -> Option<Observed> {
    // SAFETY: as the caller promises.
    unsafe {
        match container::family(container) {
            Family::Dict | Family::Set | Family::KeysView => container::contains_key(container, element),
            _ => read(&[container, element], Look::Deep),
        }
    }
}

/// A read of what a sequence, or whatever else is iterated over at once, consists of.
///
/// # Safety
/// As for [`compare`].
pub unsafe fn items(object: *mut ffi::PyObject) -> Option<Observed> {
    // SAFETY: as the caller promises.
    unsafe { read(&[object], Look::Items) }
}

/// A value becomes text.
///
/// # Safety
/// As for [`compare`].
pub unsafe fn format(value: *mut ffi::PyObject) -> Option<Observed> {
    // SAFETY: as the caller promises.
    unsafe { read(&[value], Look::Deep) }
}

unsafe fn read(objects: &[*mut ffi::PyObject], look: Look) -> Option<Observed> {
    let mut handed = Handed::default();
    for object in objects {
        // SAFETY: as the callers promise.
        unsafe { handed.read(*object, look) };
    }
    handed.observed()
}
