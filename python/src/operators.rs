//! Operators, comparisons, membership, formatting and unpacking: what they look at in their operands.
//!
//! Not here: subscripts (container), calls (calls). What an operator of a Python class does is recorded in its body.

use crate::container::{self, Family};
use crate::handed::{Handed, Look};
use crate::observed::Observed;
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
