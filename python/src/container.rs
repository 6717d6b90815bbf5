//! Built-in containers: which parts of which container an expression touches.
//!
//! Model: a container is recognised by the C function that its type uses, so a subclass that overrides nothing is
//! the container it inherits from, and one that overrides a method in Python runs code that is recorded itself.
//! Keys are named by value where that runs no user code; otherwise the whole container is touched.
//!
//! Not here: method calls (calls), iterators (iteration).

use crate::observed::{Observed, read, write};
use crate::{class, names};
use frontrun_formats::{Location, ObjectId, Operation, Part, Value};
use pyo3::ffi;

#[allow(non_upper_case_globals)]
unsafe extern "C" {
    static mut PyODict_Type: ffi::PyTypeObject;
}

/// What kind of container an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    List,
    Dict,
    Set,
    /// A mutable container or buffer that is touched as a whole: `deque`, `bytearray`, `array`, `memoryview`.
    Opaque,
    /// A view of a dictionary's keys.
    KeysView,
    /// A view of a dictionary's values or items.
    ItemsView,
    /// Anything else: immutable, or recorded elsewhere.
    Other,
}

/// The family of an object.
///
/// # Safety
/// `object` is live or null.
pub unsafe fn family(object: *mut ffi::PyObject) -> Family {
    if object.is_null() {
        return Family::Other;
    }
    // SAFETY: type checks of a live object.
    unsafe {
        if ffi::PyUnicode_Check(object) != 0
            || ffi::PyLong_Check(object) != 0
            || ffi::PyTuple_Check(object) != 0
        {
            Family::Other
        } else if ffi::PyList_Check(object) != 0 {
            Family::List
        } else if ffi::PyDict_Check(object) != 0 {
            Family::Dict
        } else if ffi::PyAnySet_Check(object) != 0 {
            if ffi::PyFrozenSet_Check(object) != 0 { Family::Other } else { Family::Set }
        } else if ffi::PyDictKeys_Check(object) != 0 {
            Family::KeysView
        } else if ffi::PyDictValues_Check(object) != 0 || ffi::PyDictItems_Check(object) != 0 {
            Family::ItemsView
        } else if ffi::PyByteArray_Check(object) != 0
            || ffi::PyMemoryView_Check(object) != 0
            || is_named_buffer(ffi::Py_TYPE(object))
        {
            Family::Opaque
        } else {
            Family::Other
        }
    }
}

unsafe fn is_named_buffer(class: *mut ffi::PyTypeObject) -> bool {
    // SAFETY: a type's name lives as long as the type.
    let name = unsafe { std::ffi::CStr::from_ptr((*class).tp_name) }.to_bytes();
    matches!(name, b"collections.deque" | b"array.array")
}

/// The whole of an object.
pub fn whole(id: ObjectId) -> Location {
    Location::new(id, Part::Whole)
}

/// Whether the type's method is the built-in one, so that no Python code runs instead.
unsafe fn is_plain(object: *mut ffi::PyObject, family: Family, method: &std::ffi::CStr) -> bool {
    // SAFETY: live types.
    unsafe {
        let class = ffi::Py_TYPE(object);
        match family {
            Family::List => class::inherits(class, &raw mut ffi::PyList_Type, method),
            Family::Dict => {
                class::inherits(class, &raw mut ffi::PyDict_Type, method)
                    || class::inherits(class, &raw mut PyODict_Type, method)
            }
            _ => true,
        }
    }
}

/// Whether `setdefault` and `pop` of this object go through methods that a subclass has overridden: those of
/// `OrderedDict` do, and are then no single operation.
///
/// # Safety
/// `object` is live.
pub unsafe fn calls_overrides(object: *mut ffi::PyObject) -> bool {
    // SAFETY: live types.
    unsafe {
        let (class, ordered) = (ffi::Py_TYPE(object), &raw mut PyODict_Type);
        class != ordered
            && ffi::PyType_IsSubtype(class, ordered) != 0
            && [c"__contains__", c"__getitem__", c"__setitem__", c"__delitem__"].iter().any(|method| {
                !class::inherits(class, ordered, method)
                    && !class::inherits(class, &raw mut ffi::PyDict_Type, method)
            })
    }
}

/// `container[key]`.
///
/// # Safety
/// Operands of the instruction about to execute; the caller holds the turn and the lock.
pub unsafe fn get(container: *mut ffi::PyObject, key: *mut ffi::PyObject) -> Option<Observed> {
    // SAFETY: as the caller promises.
    unsafe {
        let family = family(container);
        if !is_plain(container, family, c"__getitem__") {
            return None;
        }
        match family {
            Family::List => list_element(container, key, false),
            Family::Dict if makes_missing(container) => set_default(container, key),
            Family::Dict => Some(read(dict_entry(container, key))),
            Family::Opaque => Some(read(element(container, key))),
            _ => None,
        }
    }
}

/// `container[key] = …`.
///
/// # Safety
/// As for [`get`].
pub unsafe fn set(container: *mut ffi::PyObject, key: *mut ffi::PyObject) -> Option<Observed> {
    // SAFETY: as the caller promises.
    unsafe {
        let family = family(container);
        if !is_plain(container, family, c"__setitem__") {
            return None;
        }
        match family {
            Family::List => list_element(container, key, true),
            Family::Dict => keyed(container, key, |dict, key| Operation::DictStore { dict, key }),
            Family::Opaque => Some(write(element(container, key))),
            _ => None,
        }
    }
}

/// `del container[key]`.
///
/// # Safety
/// As for [`get`].
pub unsafe fn delete(container: *mut ffi::PyObject, key: *mut ffi::PyObject) -> Option<Observed> {
    // SAFETY: as the caller promises.
    unsafe {
        let family = family(container);
        if !is_plain(container, family, c"__delitem__") {
            return None;
        }
        match family {
            Family::List if ffi::PyLong_Check(key) != 0 => Some(list_change(container, -1)),
            Family::List | Family::Opaque => write_whole(container),
            Family::Dict => keyed(container, key, |dict, key| Operation::DictRemove { dict, key }),
            _ => None,
        }
    }
}

/// `element in container`.
///
/// # Safety
/// As for [`get`].
pub unsafe fn contains(container: *mut ffi::PyObject, element: *mut ffi::PyObject) -> Option<Observed> {
    // SAFETY: as the caller promises.
    unsafe {
        match family(container) {
            Family::Dict | Family::Set => Some(read(dict_entry(container, element))),
            Family::KeysView => Some(read(dict_entry(crate::interpreter::view_dict(container), element))),
            Family::List | Family::Opaque | Family::ItemsView => read_whole(container),
            Family::Other => None,
        }
    }
}

/// The truth of an object, or its length.
///
/// # Safety
/// As for [`get`].
pub unsafe fn truth(object: *mut ffi::PyObject) -> Option<Observed> {
    // SAFETY: as the caller promises.
    unsafe { read_shape(object) }
}

/// A read of which keys or how many elements there are.
///
/// # Safety
/// As for [`get`].
pub unsafe fn read_shape(object: *mut ffi::PyObject) -> Option<Observed> {
    // SAFETY: as the caller promises.
    unsafe {
        match family(object) {
            Family::Other => None,
            Family::Opaque => read_whole(object),
            Family::KeysView | Family::ItemsView => read_shape(crate::interpreter::view_dict(object)),
            Family::List | Family::Dict | Family::Set => {
                let id = names::number(object);
                note_length(object, id);
                Some(read(Location::new(id, Part::Shape)))
            }
        }
    }
}

/// A read of all of a container.
///
/// # Safety
/// As for [`get`].
pub unsafe fn read_whole(object: *mut ffi::PyObject) -> Option<Observed> {
    // SAFETY: as the caller promises.
    unsafe { whole_of(object).map(read) }
}

/// A write of all of a container.
///
/// # Safety
/// As for [`get`].
pub unsafe fn write_whole(object: *mut ffi::PyObject) -> Option<Observed> {
    // SAFETY: as the caller promises.
    unsafe { whole_of(object).map(write) }
}

/// All of a container, or of the dictionary behind a view; `None` for what is no container.
///
/// # Safety
/// As for [`get`].
pub unsafe fn whole_of(object: *mut ffi::PyObject) -> Option<Location> {
    // SAFETY: as the caller promises.
    unsafe {
        match family(object) {
            Family::Other => None,
            Family::KeysView | Family::ItemsView => {
                Some(whole(names::number(crate::interpreter::view_dict(object))))
            }
            _ => Some(whole(names::number(object))),
        }
    }
}

/// A comparison or an operator that reads both operands.
///
/// # Safety
/// As for [`get`].
pub unsafe fn read_both(left: *mut ffi::PyObject, right: *mut ffi::PyObject) -> Option<Observed> {
    // SAFETY: as the caller promises.
    unsafe {
        match (whole_of(left), whole_of(right)) {
            (None, None) => None,
            (Some(one), None) | (None, Some(one)) => Some(read(one)),
            (Some(left), Some(right)) => {
                Some((Operation::Touch { reads: Box::new([left, right]), writes: Box::new([]) }, 1))
            }
        }
    }
}

/// `target += source` and its like, where the target changes in place.
///
/// # Safety
/// As for [`get`].
pub unsafe fn extend(target: *mut ffi::PyObject, source: *mut ffi::PyObject) -> Option<Observed> {
    // SAFETY: as the caller promises.
    unsafe {
        let Some(target) = whole_of(target) else { return read_both(target, source) };
        let reads: Box<[Location]> = whole_of(source).into_iter().collect();
        Some((Operation::Touch { reads, writes: Box::new([target]) }, 1))
    }
}

/// Any change of a list that leaves it `delta` elements longer.
///
/// # Safety
/// `list` is a live list; as for [`get`].
pub unsafe fn list_change(list: *mut ffi::PyObject, delta: i32) -> Observed {
    // SAFETY: as the caller promises.
    unsafe {
        let id = names::number(list);
        note_length(list, id);
        (Operation::ListChange { list: id, delta }, 1)
    }
}

/// `list[index]`, read or written; a slice touches the whole list.
unsafe fn list_element(
    list: *mut ffi::PyObject,
    key: *mut ffi::PyObject,
    is_write: bool,
) -> Option<Observed> {
    // SAFETY: as the caller of `get` promises.
    unsafe {
        if ffi::PyLong_Check(key) == 0 {
            return if is_write { write_whole(list) } else { read_whole(list) };
        }
        let mut overflow = 0;
        let index = ffi::PyLong_AsLongLongAndOverflow(key, &raw mut overflow);
        Some(list_access(list, if overflow == 0 { index } else { i64::from(u32::MAX) }, is_write))
    }
}

/// One element of a list.
///
/// # Safety
/// `list` is a live list; as for [`get`].
pub unsafe fn list_access(list: *mut ffi::PyObject, index: i64, is_write: bool) -> Observed {
    // SAFETY: as the caller promises.
    unsafe {
        let id = names::number(list);
        let length = note_length(list, id);
        let at = if index < 0 { index + length } else { index };
        let result = u8::from((0..length).contains(&at));
        let operation = if is_write {
            Operation::ListSet { list: id, index }
        } else {
            Operation::ListGet { list: id, index }
        };
        (operation, result)
    }
}

/// Tells the trace how long a list was before its first event. Returns its length now.
///
/// # Safety
/// `object` is a live container; as for [`get`].
pub unsafe fn note_length(object: *mut ffi::PyObject, id: ObjectId) -> i64 {
    // SAFETY: as the caller promises.
    unsafe {
        if ffi::PyList_Check(object) == 0 {
            return 0;
        }
        let length = ffi::PyList_Size(object) as i64;
        if let Some(run) = crate::run::get() {
            run.recording.initial(Location::new(id, Part::Shape), || Value::Int(length));
            run.gate.tell_length(id, length);
        }
        length
    }
}

/// The entry `key` of a dictionary or set; all of it when the key cannot be named.
unsafe fn dict_entry(container: *mut ffi::PyObject, key: *mut ffi::PyObject) -> Location {
    // SAFETY: as the caller of `get` promises.
    unsafe {
        let id = names::number(container);
        names::key(key).map_or(whole(id), |key| Location::new(id, Part::Key(key)))
    }
}

/// An element of a buffer by its index; all of it for anything else.
unsafe fn element(container: *mut ffi::PyObject, key: *mut ffi::PyObject) -> Location {
    // SAFETY: as the caller of `get` promises.
    unsafe {
        let id = names::number(container);
        if ffi::PyByteArray_Check(container) == 0 || ffi::PyLong_CheckExact(key) == 0 {
            return whole(id);
        }
        let mut overflow = 0;
        let index = ffi::PyLong_AsLongLongAndOverflow(key, &raw mut overflow);
        match u32::try_from(index) {
            Ok(index) if overflow == 0 => Location::new(id, Part::Index(index)),
            _ => whole(id),
        }
    }
}

/// An operation on one key of a dictionary or set whose footprint hangs on whether the key is there.
///
/// # Safety
/// As for [`get`].
pub unsafe fn keyed(
    container: *mut ffi::PyObject,
    key: *mut ffi::PyObject,
    operation: impl FnOnce(ObjectId, frontrun_formats::KeyId) -> Operation,
) -> Option<Observed> {
    // SAFETY: as the caller promises.
    unsafe {
        let id = names::number(container);
        let Some(key_id) = names::key(key) else { return Some(write(whole(id))) };
        let present = has(container, key);
        if let Some(run) = crate::run::get() {
            let at = Location::new(id, Part::Key(key_id));
            run.recording.initial(at, || Value::Int(i64::from(present)));
        }
        Some((operation(id, key_id), u8::from(present)))
    }
}

/// `d.setdefault(key)`, or a lookup in a dictionary that makes missing entries.
///
/// # Safety
/// As for [`get`].
pub unsafe fn set_default(dict: *mut ffi::PyObject, key: *mut ffi::PyObject) -> Option<Observed> {
    // SAFETY: as the caller promises.
    unsafe { keyed(dict, key, |dict, key| Operation::DictSetDefault { dict, key }) }
}

/// Whether a dictionary or set has a key that [`names::key`] can name.
unsafe fn has(container: *mut ffi::PyObject, key: *mut ffi::PyObject) -> bool {
    // SAFETY: a nameable key hashes and compares without user code; an error is dropped.
    unsafe {
        let found = if ffi::PyDict_Check(container) != 0 {
            ffi::PyDict_Contains(container, key)
        } else {
            ffi::PySet_Contains(container, key)
        };
        if found < 0 {
            ffi::PyErr_Clear();
        }
        found == 1
    }
}

/// Whether looking up a missing key inserts it: `collections.defaultdict`.
unsafe fn makes_missing(dict: *mut ffi::PyObject) -> bool {
    // SAFETY: a live object has a live type.
    unsafe {
        let class = ffi::Py_TYPE(dict);
        if class == &raw mut ffi::PyDict_Type {
            return false;
        }
        std::ffi::CStr::from_ptr((*class).tp_name).to_bytes() == b"collections.defaultdict"
    }
}
