//! Attributes: which object really holds the value that `object.name` reads or writes, found without running
//! any Python code.
//!
//! Model: an instance's attribute is the entry `name` of the instance. It is read in the classes that are searched for it,
//! too, even where the instance has it or a slot for it, since each of them may come to have a property of that name; so
//! does a store read them. A module's attributes are the entries of its dictionary, the same that its functions use as
//! globals. A property, and a class with its own `__getattribute__` or `__setattr__`, run Python code that is recorded
//! itself.

use crate::names::{self, Name};
use crate::observed::{Observed, read, several, write};
use crate::{class, container};
use frontrun_formats::{Location, Operation, Part};
use pyo3::ffi;
use smallvec::SmallVec;

#[allow(non_snake_case)]
unsafe extern "C" {
    fn PyObject_GenericGetDict(
        object: *mut ffi::PyObject,
        context: *mut std::ffi::c_void,
    ) -> *mut ffi::PyObject;
}

/// What reading `object.name` touches.
///
/// # Safety
/// Both are live (`object` may be null); the caller holds the turn and the lock.
pub unsafe fn load(object: *mut ffi::PyObject, name: Name<'_>) -> Option<Observed> {
    // SAFETY: as the caller promises.
    several(unsafe { loaded(object, name) }, false)
}

/// The locations that reading `object.name` reads.
///
/// # Safety
/// As for [`load`].
pub unsafe fn loaded(object: *mut ffi::PyObject, name: Name<'_>) -> Vec<Location> {
    if object.is_null() {
        return Vec::new();
    }
    // SAFETY: live objects have live types; `class::lookup` returns a borrowed reference and runs no code.
    unsafe {
        let class = ffi::Py_TYPE(object);
        if ffi::PyModule_Check(object) != 0 {
            return vec![entry(ffi::PyModule_GetDict(object), name)];
        }
        if ffi::PyType_Check(object) != 0 {
            return loaded_from_class(object.cast(), name);
        }
        if class == &raw mut ffi::PySuper_Type {
            // Behind the header: the class to begin behind, the object, and its class.
            let part = |nth: usize| object.cast::<*mut ffi::PyObject>().add(2 + nth).read();
            return loaded_from_super(part(0), part(2).cast(), name);
        }
        let found = class::lookup(class, name.object);
        let is_data = !found.is_null() && is_data_descriptor(found);
        let native = class::native(class);
        let is_kept = || {
            !is_slot(found)
                || class::is_opaque(native)
                || class::tells_its_state(native)
                || class::is_namespace(native)
        };
        if is_data && !is_program_s(found) && is_kept() {
            return loaded_by_c_code(object, name, found).into_iter().collect();
        }
        if !is_generic_load(class) {
            return Vec::new();
        }
        let is_own = if is_data { is_slot(found) } else { has_dict(class) };
        let holders = is_own.then_some(object).into_iter().chain(searched(class, name.object));
        holders.map(|holder| entry(holder, name)).collect()
    }
}

/// The attributes that a class pattern reads in one instruction: the first `positional` names of the class's
/// `__match_args__`, then `names`.
///
/// # Safety
/// As for [`load`]; `names` is a tuple.
pub unsafe fn load_several(
    subject: *mut ffi::PyObject,
    class: *mut ffi::PyObject,
    names: *mut ffi::PyObject,
    positional: u32,
) -> Option<Observed> {
    // SAFETY: as the caller promises; `__match_args__` is read only where the class itself holds a tuple.
    unsafe {
        let mut reads = Vec::new();
        let mut add = |name| reads.extend(loaded(subject, Name::passed(name)));
        if positional > 0 && ffi::PyType_Check(class) != 0 {
            let name = ffi::PyUnicode_InternFromString(c"__match_args__".as_ptr());
            let order = class::lookup(class.cast(), name);
            ffi::Py_XDECREF(name);
            if !order.is_null() && ffi::PyTuple_Check(order) != 0 {
                for at in 0..ffi::PyTuple_Size(order).min(positional as isize) {
                    add(ffi::PyTuple_GetItem(order, at));
                }
            }
        }
        for at in 0..ffi::PyTuple_Size(names) {
            add(ffi::PyTuple_GetItem(names, at));
        }
        Operation::touching(reads, []).map(|operation| (operation, 1))
    }
}

/// What writing or deleting `object.name` touches.
///
/// # Safety
/// As for [`load`].
pub unsafe fn store(object: *mut ffi::PyObject, name: Name<'_>) -> Option<Observed> {
    if object.is_null() {
        return None;
    }
    // SAFETY: as for `load`.
    unsafe {
        let class = ffi::Py_TYPE(object);
        if ffi::PyModule_Check(object) != 0 {
            return Some(write(entry(ffi::PyModule_GetDict(object), name)));
        }
        if ffi::PyType_Check(object) != 0 {
            let same = class::slot((*class).tp_setattro) == class::slot(ffi::PyType_Type.tp_setattro);
            return same.then(|| write(entry(object, name)));
        }
        let is_generic = class::slot((*class).tp_setattro) == class::slot(ffi::PyBaseObject_Type.tp_setattro);
        if is_generic || class::is_opaque(class::native(class)) { plain_store(object, name) } else { None }
    }
}

/// What `object.__setattr__(object, name, …)` itself touches, whatever the class overrides.
///
/// # Safety
/// As for [`load`].
pub unsafe fn plain_store(object: *mut ffi::PyObject, name: Name<'_>) -> Option<Observed> {
    // SAFETY: as for `load`.
    unsafe {
        let class = ffi::Py_TYPE(object);
        let found = class::lookup(class, name.object);
        let reads = || searched(class, name.object).map(|holder| entry(holder, name));
        let is_kept = || !is_slot(found) || class::is_opaque(class::native(class));
        if found.is_null() || !is_data_descriptor(found) || !is_kept() {
            let (at, reads) = (entry(object, name), reads().collect::<Box<[_]>>());
            if reads.is_empty() {
                return Some(write(at));
            }
            return Some((Operation::Touch { reads, writes: Box::new([at]) }, 1));
        }
        if is_program_s(found) {
            return several(reads().collect(), false);
        }
        match crate::interpreter::text(name.object) {
            // Another class, or another dictionary, changes what every attribute is.
            "__class__" | "__dict__" => Some(write(Location::new(names::number(object), Part::Whole))),
            _ => kept(object, name, found).map(write),
        }
    }
}

/// The attribute `name` of `object`. It is the entry of a dictionary, the object's own or that of a module, except for
/// an object that is a dictionary itself, whose entries are other things.
unsafe fn entry(object: *mut ffi::PyObject, name: Name<'_>) -> Location {
    // SAFETY: as for `load`.
    unsafe {
        let is_mapping = ffi::PyDict_Check(object) != 0 && ffi::PyDict_CheckExact(object) == 0;
        let part = if is_mapping { Part::Name(name.string()) } else { Part::Key(name.key()) };
        Location::new(names::number(object), part)
    }
}

/// What a data descriptor of C code reads.
unsafe fn loaded_by_c_code(
    object: *mut ffi::PyObject,
    name: Name<'_>,
    descriptor: *mut ffi::PyObject,
) -> Option<Location> {
    // SAFETY: as for `load`.
    unsafe {
        if ffi::Py_TYPE(object) == &raw mut ffi::PyGen_Type {
            // Whether it runs, its frame, what it delegates to.
            return Some(Location::new(names::number(object), Part::State));
        }
        match crate::interpreter::text(name.object) {
            "__dict__" => {
                alias_dict(object);
                None
            }
            "__class__" => class::is_written_in_python(ffi::Py_TYPE(object)).then(|| entry(object, name)),
            _ => kept(object, name, descriptor),
        }
    }
}

/// What an object of C code keeps under a name, if that can change: all of an object whose methods use it.
unsafe fn kept(
    object: *mut ffi::PyObject,
    name: Name<'_>,
    descriptor: *mut ffi::PyObject,
) -> Option<Location> {
    // SAFETY: as for `load`.
    unsafe {
        let native = class::native(ffi::Py_TYPE(object));
        if class::is_opaque(native) {
            return container::whole_of(object);
        }
        if class::tells_its_state(native) {
            return Some(Location::new(names::number(object), Part::State));
        }
        has_setter(descriptor).then(|| entry(object, name))
    }
}

/// Whether a descriptor of C code can be assigned to.
unsafe fn has_setter(descriptor: *mut ffi::PyObject) -> bool {
    // SAFETY: behind the header such a descriptor has its class, two names and its definition.
    unsafe {
        if ffi::Py_TYPE(descriptor) != &raw mut ffi::PyGetSetDescr_Type {
            return true;
        }
        let definition = descriptor.cast::<u8>().add(40).cast::<*const ffi::PyGetSetDef>().read();
        !definition.is_null() && (*definition).set.is_some()
    }
}

/// The class of an instance, as far as it can be another one later.
///
/// # Safety
/// As for [`load`].
pub unsafe fn load_class(object: *mut ffi::PyObject) -> Option<Observed> {
    // SAFETY: as for `load`; the name is interned for the look-up only.
    unsafe {
        if object.is_null() || !class::is_written_in_python(ffi::Py_TYPE(object)) {
            return None;
        }
        let name = ffi::PyUnicode_InternFromString(c"__class__".as_ptr());
        let at = entry(object, Name::passed(name));
        ffi::Py_XDECREF(name);
        Some(read(at))
    }
}

/// Reads or writes what a slot's descriptor stands for in `object`.
///
/// # Safety
/// As for [`load`]; `descriptor` is live.
pub unsafe fn described(
    descriptor: *mut ffi::PyObject,
    object: *mut ffi::PyObject,
    is_write: bool,
) -> Option<Observed> {
    // SAFETY: as the caller promises; a descriptor's name follows its header and its type.
    unsafe {
        if object.is_null() || !is_slot(descriptor) {
            return None;
        }
        let name = Name::passed(descriptor.cast::<u8>().add(24).cast::<*mut ffi::PyObject>().read());
        let at = entry(object, name);
        Some(if is_write { write(at) } else { read(at) })
    }
}

/// Lets the dictionary of an object's attributes stand for the object, so that `object.__dict__["x"]` and
/// `object.x` are one location.
///
/// # Safety
/// As for [`load`]. The instruction that follows asks for the dictionary too, so making it changes nothing.
pub unsafe fn alias_dict(object: *mut ffi::PyObject) {
    // SAFETY: the dictionary is made as the attribute access itself would make it.
    unsafe {
        // That of a module has a number of its own.
        if !has_dict(ffi::Py_TYPE(object)) || ffi::PyModule_Check(object) != 0 {
            return;
        }
        let id = names::number(object);
        let dict = PyObject_GenericGetDict(object, std::ptr::null_mut());
        if dict.is_null() {
            ffi::PyErr_Clear();
            return;
        }
        if let Some(identities) = crate::run::identities() {
            identities.alias(crate::interpreter::block(dict), id);
        }
        ffi::Py_DECREF(dict);
    }
}

/// An attribute of a class: an entry of it or of one that it inherits from, unless its metaclass has a descriptor of that
/// name, or it has none and the metaclass has.
unsafe fn loaded_from_class(class: *mut ffi::PyTypeObject, name: Name<'_>) -> Vec<Location> {
    // SAFETY: as for `load`.
    unsafe {
        let of_metaclass = searched(ffi::Py_TYPE(class.cast()), name.object);
        let holders = searched(class, name.object).chain(of_metaclass);
        holders.map(|holder| entry(holder, name)).collect()
    }
}

/// What `super(class, object).name` reads in one instruction.
///
/// # Safety
/// As for [`load`].
pub unsafe fn load_super(
    class: *mut ffi::PyObject,
    object: *mut ffi::PyObject,
    name: Name<'_>,
) -> Option<Observed> {
    // SAFETY: as the caller promises.
    unsafe {
        if class.is_null() || object.is_null() || ffi::PyType_Check(class) == 0 {
            return None;
        }
        let of_class =
            ffi::PyType_Check(object) != 0 && ffi::PyType_IsSubtype(object.cast(), class.cast()) != 0;
        let start = if of_class { object.cast() } else { ffi::Py_TYPE(object) };
        several(loaded_from_super(class, start, name), false)
    }
}

/// An attribute of the classes that come behind `class` in the resolution order of `start`.
unsafe fn loaded_from_super(
    class: *mut ffi::PyObject,
    start: *mut ffi::PyTypeObject,
    name: Name<'_>,
) -> Vec<Location> {
    if start.is_null() {
        return Vec::new();
    }
    // SAFETY: as for `load`.
    unsafe { searched_behind(class, start, name.object).map(|holder| entry(holder, name)).collect() }
}

/// The classes in the resolution order that can change, up to the first one that has `name` in its own dictionary, or
/// all: one in front of that may come to have it, too.
unsafe fn searched(
    class: *mut ffi::PyTypeObject,
    name: *mut ffi::PyObject,
) -> impl Iterator<Item = *mut ffi::PyObject> {
    // SAFETY: as for `load`.
    unsafe { searched_behind(std::ptr::null_mut(), class, name) }
}

/// The same, without the classes up to `before`, unless that is null.
unsafe fn searched_behind(
    before: *mut ffi::PyObject,
    class: *mut ffi::PyTypeObject,
    name: *mut ffi::PyObject,
) -> impl Iterator<Item = *mut ffi::PyObject> {
    let mut searched = SmallVec::<[*mut ffi::PyObject; 8]>::new();
    // SAFETY: `tp_mro` is a tuple of types; a type that can change has a dictionary with string keys.
    unsafe {
        let order = (*class).tp_mro;
        let length = if order.is_null() { 0 } else { ffi::PyTuple_Size(order) };
        let mut is_behind = before.is_null();
        for at in 0..length {
            let candidate = ffi::PyTuple_GetItem(order, at);
            if is_behind && class::can_change(candidate.cast()) {
                searched.push(candidate);
                if class::dict_has((*candidate.cast::<ffi::PyTypeObject>()).tp_dict, name) {
                    break;
                }
            }
            is_behind |= candidate == before;
        }
    }
    searched.into_iter()
}

unsafe fn has_dict(class: *mut ffi::PyTypeObject) -> bool {
    const MANAGED_DICT: std::ffi::c_ulong = 1 << 4;
    // SAFETY: a live type.
    unsafe { (*class).tp_dictoffset != 0 || ffi::PyType_GetFlags(class) & MANAGED_DICT != 0 }
}

/// Whether attribute access of the class begins with `object.__getattribute__`.
unsafe fn is_generic_load(class: *mut ffi::PyTypeObject) -> bool {
    // SAFETY: live types; the name is interned once and kept.
    unsafe {
        if class::slot((*class).tp_getattro) == class::slot(ffi::PyBaseObject_Type.tp_getattro) {
            return true;
        }
        class::is_heap(class) && class::inherits(class, &raw mut ffi::PyBaseObject_Type, c"__getattribute__")
    }
}

unsafe fn is_data_descriptor(object: *mut ffi::PyObject) -> bool {
    // SAFETY: a live object has a live type.
    unsafe { (*ffi::Py_TYPE(object)).tp_descr_set.is_some() }
}

/// Whether a data descriptor is a property or of a class of the program: what it does is code of its own, and so is
/// where it is found.
unsafe fn is_program_s(descriptor: *mut ffi::PyObject) -> bool {
    // SAFETY: a live object.
    unsafe {
        let class = ffi::Py_TYPE(descriptor);
        class == &raw mut ffi::PyProperty_Type || class::is_written_in_python(class)
    }
}

unsafe fn is_slot(object: *mut ffi::PyObject) -> bool {
    // SAFETY: a live object.
    unsafe { ffi::Py_TYPE(object) == &raw mut ffi::PyMemberDescr_Type }
}
