//! Built-in containers: which parts of which container an expression touches.
//!
//! Model: a container is recognised by the C function that its type uses, so a subclass that overrides nothing is
//! the container it inherits from, and one that overrides a method in Python runs code that is recorded itself.
//! Keys are named by value where that runs no user code; otherwise the whole container is touched.
//!
//! Not here: method calls (calls), iterators (iteration).

use crate::hash_table::{self, Found};
use crate::observed::{Observed, read, several, write};
use crate::views::{self, behind};
use crate::{class, names, ndarray};
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
    /// A mutable container or buffer without entries that have names: `deque`, `bytearray`, `array`, `memoryview`, arrays
    /// of NumPy, and other objects of C code that may change.
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
        } else if ffi::PyDict_Check(object) != 0 || views::shows_dict(object) {
            Family::Dict
        } else if ffi::PyAnySet_Check(object) != 0 {
            if ffi::PyFrozenSet_Check(object) != 0 { Family::Other } else { Family::Set }
        } else if ffi::PyDictKeys_Check(object) != 0 {
            Family::KeysView
        } else if ffi::PyDictValues_Check(object) != 0 || ffi::PyDictItems_Check(object) != 0 {
            Family::ItemsView
        } else if ffi::PyByteArray_Check(object) != 0
            || ffi::PyMemoryView_Check(object) != 0
            || class::is_mutable(class::native(ffi::Py_TYPE(object)))
            || ndarray::is_array(object)
            || views::is_part_of_array(object)
        {
            Family::Opaque
        } else {
            Family::Other
        }
    }
}

/// The whole of an object.
pub fn whole(id: ObjectId) -> Location {
    Location::new(id, Part::Whole)
}

/// What an object of C code keeps to itself.
unsafe fn state(object: *mut ffi::PyObject) -> Location {
    // SAFETY: as the caller of `get` promises.
    Location::new(unsafe { names::number(object) }, Part::State)
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
            Family::Opaque => {
                ndarray::is_array(object) || class::inherits(class, class::native(class), method)
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
        if is_plain(behind(container), family(container), c"__getitem__") {
            plain_get(container, key)
        } else {
            None
        }
    }
}

/// `container[key]` by the built-in method, whatever the class overrides.
///
/// # Safety
/// As for [`get`].
pub unsafe fn plain_get(container: *mut ffi::PyObject, key: *mut ffi::PyObject) -> Option<Observed> {
    // SAFETY: as the caller promises.
    unsafe {
        let (array, container) = (container, behind(container));
        match family(container) {
            Family::List => list_element(container, key, false),
            Family::Dict if makes_missing(container) => set_default(container, key),
            Family::Dict => Some(read(dict_entry(container, key))),
            Family::Opaque if ndarray::is_array(array) => {
                several(ndarray::read(array, container, key), false)
            }
            Family::Opaque => Some(read(element(array, container, key))),
            _ if views::shows_memory(array, container) => Some(read(state(container))),
            _ => None,
        }
    }
}

/// The entries of a dictionary that a mapping pattern looks up in one instruction.
///
/// # Safety
/// As for [`get`]; `keys` is a tuple.
pub unsafe fn get_several(dict: *mut ffi::PyObject, keys: *mut ffi::PyObject) -> Option<Observed> {
    // SAFETY: as the caller promises.
    unsafe {
        if !is_plain(behind(dict), family(dict), c"get") || family(dict) != Family::Dict {
            return None;
        }
        let keys = (0..ffi::PyTuple_Size(keys)).map(|at| ffi::PyTuple_GetItem(keys, at));
        let reads = keys.map(|key| dict_entry(behind(dict), key));
        Operation::touching(reads, []).map(|operation| (operation, 1))
    }
}

/// `container[key] = …`.
///
/// # Safety
/// As for [`get`].
pub unsafe fn set(container: *mut ffi::PyObject, key: *mut ffi::PyObject) -> Option<Observed> {
    // SAFETY: as the caller promises.
    unsafe {
        if is_plain(behind(container), family(container), c"__setitem__") {
            plain_set(container, key)
        } else {
            None
        }
    }
}

/// `container[key] = …` by the built-in method, whatever the class overrides.
///
/// # Safety
/// As for [`get`].
pub unsafe fn plain_set(container: *mut ffi::PyObject, key: *mut ffi::PyObject) -> Option<Observed> {
    // SAFETY: as the caller promises.
    unsafe {
        let (array, container) = (container, behind(container));
        match family(container) {
            Family::List => list_element(container, key, true),
            Family::Dict => keyed(container, key, |dict, key| Operation::DictStore { dict, key }),
            Family::Opaque if ndarray::is_array(array) => {
                several(ndarray::write(array, container, key), true)
            }
            Family::Opaque => Some(write(element(array, container, key))),
            _ if views::shows_memory(array, container) => Some(write(state(container))),
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
        if is_plain(behind(container), family(container), c"__delitem__") {
            plain_delete(container, key)
        } else {
            None
        }
    }
}

/// `del container[key]` by the built-in method, whatever the class overrides.
///
/// # Safety
/// As for [`get`].
pub unsafe fn plain_delete(container: *mut ffi::PyObject, key: *mut ffi::PyObject) -> Option<Observed> {
    // SAFETY: as the caller promises.
    unsafe {
        let container = behind(container);
        match family(container) {
            Family::List if ffi::PyLong_Check(key) != 0 => Some(list_change(container, -1)),
            Family::List | Family::Opaque => write_whole(container),
            Family::Dict => keyed(container, key, |dict, key| Operation::DictRemove { dict, key }),
            _ => None,
        }
    }
}

/// `key in container`, of what finds its keys by their hashes.
///
/// # Safety
/// As for [`get`].
pub unsafe fn contains_key(container: *mut ffi::PyObject, key: *mut ffi::PyObject) -> Option<Observed> {
    // SAFETY: as the caller promises.
    unsafe { Some(read(dict_entry(behind(container), key))) }
}

/// The truth of an object, or its length.
///
/// # Safety
/// As for [`get`].
pub unsafe fn truth(object: *mut ffi::PyObject) -> Option<Observed> {
    // SAFETY: as the caller promises.
    unsafe {
        if !object.is_null() && ndarray::is_array(object) {
            return several(ndarray::all(object, behind(object)), false);
        }
        read_shape(object)
    }
}

/// A read of which keys or how many elements there are.
///
/// # Safety
/// As for [`get`].
pub unsafe fn read_shape(object: *mut ffi::PyObject) -> Option<Observed> {
    // SAFETY: as the caller promises.
    unsafe { shape_of(object).map(read) }
}

/// Which keys or how many elements a container has. Attributes and global variables come and go without a word about
/// the shape of the dictionary that they are in, so that is all of it.
///
/// # Safety
/// As for [`get`].
pub unsafe fn shape_of(object: *mut ffi::PyObject) -> Option<Location> {
    // SAFETY: as the caller promises.
    unsafe {
        let object = behind(object);
        match family(object) {
            Family::List | Family::Dict | Family::Set if !names::holds_attributes(object) => {
                let id = names::number(object);
                note_length(object, id);
                Some(Location::new(id, Part::Shape))
            }
            Family::Opaque if ndarray::is_array(object) => {
                Some(Location::new(names::number(object), Part::Shape))
            }
            _ => whole_of(object),
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
    unsafe { (family(object) != Family::Other).then(|| whole(names::number(behind(object)))) }
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

/// An element of the buffer of `owner`, which `shown` shows: the byte of a `bytearray` by its index, whatever part of
/// it a memory view begins with; all of it for anything else.
unsafe fn element(shown: *mut ffi::PyObject, owner: *mut ffi::PyObject, key: *mut ffi::PyObject) -> Location {
    // SAFETY: as the caller of `get` promises.
    unsafe {
        let id = names::number(owner);
        let all = whole(id);
        if ffi::PyByteArray_Check(owner) == 0 || ffi::PyLong_CheckExact(key) == 0 {
            return all;
        }
        let mut overflow = 0;
        let mut index = ffi::PyLong_AsLongLongAndOverflow(key, &raw mut overflow);
        if shown != owner {
            let Some(byte) = views::address_of_byte(shown, index as isize) else { return all };
            index = (byte - ffi::PyByteArray_AsString(owner) as isize) as i64;
        }
        match u32::try_from(index) {
            Ok(index) if overflow == 0 => Location::new(id, Part::Index(index)),
            _ => all,
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
        if names::holds_attributes(container) {
            // Whether an attribute is there is not followed, and readers of the shape read everything.
            return Some(write(Location::new(id, Part::Key(key_id))));
        }
        let present = match hash_table::find(container, key) {
            Found::Absent => false,
            Found::Present(_) => true,
            Found::Unknown => return Some(write(whole(id))),
        };
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

/// Whether looking up a missing key inserts it, as in `collections.defaultdict`.
unsafe fn makes_missing(dict: *mut ffi::PyObject) -> bool {
    // SAFETY: a live object has a live type.
    unsafe {
        let class = ffi::Py_TYPE(dict);
        if class == &raw mut ffi::PyDict_Type {
            return false;
        }
        let native = class::native(class);
        std::ffi::CStr::from_ptr((*native).tp_name).to_bytes() == b"collections.defaultdict"
            && class::inherits(class, native, c"__missing__")
    }
}
