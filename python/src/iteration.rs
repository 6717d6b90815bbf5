//! One step of a `for` loop: what the iterator that is about to advance looks at.
//!
//! Model: an iterator's position is state, but an iterator that only the loop's own stack holds is not shared.

use crate::container::{self, whole};
use crate::handed::{self, Handed, Look};
use crate::observed::{Observed, read, write};
use crate::{interpreter, names};
use frontrun_formats::{Location, Operation, Part};
use pyo3::ffi;

/// What advancing `iterator` touches.
///
/// # Safety
/// Operand of the instruction about to execute; the caller holds the turn and the lock.
pub unsafe fn next(iterator: *mut ffi::PyObject) -> Option<Observed> {
    if iterator.is_null() {
        return None;
    }
    // SAFETY: as the caller promises; the exact type selects the layout.
    unsafe {
        let class = ffi::Py_TYPE(iterator);
        if class == &raw mut ffi::PyListIter_Type {
            let (list, index) = interpreter::list_iterator(iterator);
            return advance(iterator, list, |list| container::list_access(list, index as i64, false));
        }
        let is_keys = class == &raw mut ffi::PyDictIterKey_Type;
        if is_keys
            || class == &raw mut ffi::PyDictIterItem_Type
            || class == &raw mut ffi::PyDictIterValue_Type
        {
            let dict = interpreter::hash_iterator(iterator);
            return advance(iterator, dict, |dict| dict_step(dict, is_keys));
        }
        if class == &raw mut ffi::PySetIter_Type {
            let set = interpreter::hash_iterator(iterator);
            return advance(iterator, set, |set| read(whole(names::number(set))));
        }
        if !handed::is_native_iterator(class) {
            return None;
        }
        let mut handed = Handed::default();
        handed.read(iterator, Look::Items);
        handed.observed()
    }
}

/// A generator that others may hold gives control back: until then, resuming it is an error.
///
/// # Safety
/// `generator` is the running generator, or null; the caller holds the turn and the lock.
pub unsafe fn pause(generator: *mut ffi::PyObject) -> Option<Observed> {
    // SAFETY: as the caller promises.
    unsafe {
        if generator.is_null() || ffi::Py_TYPE(generator) != &raw mut ffi::PyGen_Type {
            return None;
        }
        resume(generator)
    }
}

/// A generator that others may hold is resumed.
///
/// # Safety
/// `receiver` is live or null; the caller holds the turn and the lock.
pub unsafe fn resume(receiver: *mut ffi::PyObject) -> Option<Observed> {
    // SAFETY: as the caller promises.
    unsafe {
        if receiver.is_null() || ffi::Py_TYPE(receiver) != &raw mut ffi::PyGen_Type {
            return None;
        }
        let shared = ffi::Py_REFCNT(receiver) > 1;
        shared.then(|| write(Location::new(names::number(receiver), Part::State)))
    }
}

/// Whatever is behind `yield from` or `await` goes on: a generator, or an iterator over something built-in.
///
/// # Safety
/// As for [`resume`].
pub unsafe fn send(receiver: *mut ffi::PyObject) -> Option<Observed> {
    // SAFETY: as the caller promises.
    unsafe { if is_of_container(receiver) { next(receiver) } else { resume(receiver) } }
}

/// Whether an object is an iterator of C code that takes its elements from a container, or from other iterators: neither
/// a generator nor what a coroutine waits for.
///
/// # Safety
/// `object` is live or null.
pub unsafe fn is_of_container(object: *mut ffi::PyObject) -> bool {
    if object.is_null() {
        return false;
    }
    // SAFETY: a live object has a live type, whose name lives as long.
    unsafe {
        let class = ffi::Py_TYPE(object);
        if class == &raw mut ffi::PyGen_Type || !handed::is_native_iterator(class) {
            return false;
        }
        let name = std::ffi::CStr::from_ptr((*class).tp_name).to_bytes();
        let of = |module: &[u8]| name.starts_with(module);
        let is_core = !name.contains(&b'.') && !of(b"async_generator") && !of(b"coroutine");
        is_core || of(b"collections.") || of(b"_collections.") || of(b"itertools.") || of(b"array.")
    }
}

/// The step over `container`, and the position where others may hold the iterator too. An exhausted iterator
/// looks at nothing.
unsafe fn advance(
    iterator: *mut ffi::PyObject,
    container: *mut ffi::PyObject,
    step: impl FnOnce(*mut ffi::PyObject) -> Observed,
) -> Option<Observed> {
    // SAFETY: as for `next`.
    unsafe {
        let shared = ffi::Py_REFCNT(iterator) > 1;
        if container.is_null() {
            return shared.then(|| read(Location::new(names::number(iterator), Part::State)));
        }
        if !shared {
            return Some(step(container));
        }
        let position = Location::new(names::number(iterator), Part::State);
        let reads = Box::new([whole(names::number(container))]);
        Some((Operation::Touch { reads, writes: Box::new([position]) }, 1))
    }
}

/// Keys look at the shape; values and items at everything. The entry that comes next hangs on the state, so naming it
/// would make a footprint that another order can change.
unsafe fn dict_step(dict: *mut ffi::PyObject, is_keys: bool) -> Observed {
    // SAFETY: as for `next`.
    unsafe {
        let keys = if is_keys { container::shape_of(dict) } else { None };
        read(keys.unwrap_or_else(|| whole(names::number(dict))))
    }
}
