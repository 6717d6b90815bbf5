//! Python objects as the trace names them: object numbers and keys, found without running any Python code.

use crate::epoch::Numbered;
use crate::{class, interpreter, made, run};
use frontrun_formats::{KeyId, ObjectId, StringId};
use frontrun_recorder::key::Key;
use pyo3::ffi;
use std::ffi::CStr;

/// How deep a tuple key is followed.
const MAX_DEPTH: u32 = 8;

/// The last component of a type's name.
///
/// # Safety
/// `class` is a live type.
pub unsafe fn type_name(class: *mut ffi::PyTypeObject) -> String {
    // SAFETY: a type's name is a C string that lives as long as the type.
    let full = unsafe { CStr::from_ptr((*class).tp_name) }.to_string_lossy();
    full.rsplit('.').next().unwrap_or(&full).to_owned()
}

/// The number of an object in this execution.
///
/// # Safety
/// `object` is live; the caller holds the turn and the lock.
pub unsafe fn number(object: *mut ffi::PyObject) -> ObjectId {
    // SAFETY: as the caller promises; the borrows end before anything else is called.
    unsafe {
        let Some(identities) = run::identities() else { return ObjectId(0) };
        let (id, new) = identities.number(interpreter::block(object));
        if new {
            describe(object, id);
        }
        id
    }
}

/// Gives a new object its row in the trace. A class, a module and a module's globals are called by their names.
unsafe fn describe(object: *mut ffi::PyObject, id: ObjectId) {
    // SAFETY: as for `number`.
    unsafe {
        let made_at = made::place(object);
        let Some(run) = run::get() else { return };
        if ffi::PyType_Check(object) != 0 {
            alias_class_dict(object.cast(), id);
            run.recording.named_object(id, "type", &type_name(object.cast()));
        } else if let Some(module) = module_of_globals(object) {
            run.recording.named_object(id, "module", module);
        } else {
            run.recording.object(id, &type_name(ffi::Py_TYPE(object)), made_at.as_deref());
        }
    }
}

/// Lets the dictionary of a class's attributes stand for the class.
unsafe fn alias_class_dict(class: *mut ffi::PyTypeObject, id: ObjectId) {
    // SAFETY: as for `number`; only a class that can change is sure to have its dictionary there.
    unsafe {
        let dict = (*class).tp_dict;
        if class::is_heap(class)
            && !dict.is_null()
            && let Some(identities) = run::identities()
        {
            identities.alias(interpreter::block(dict), id);
        }
    }
}

/// Whether a dictionary holds the attributes of an object, or global variables.
///
/// # Safety
/// As for [`number`].
pub unsafe fn holds_attributes(object: *mut ffi::PyObject) -> bool {
    // SAFETY: as the caller promises.
    unsafe {
        ffi::PyDict_CheckExact(object) != 0
            && (run::identities().is_some_and(|known| known.is_alias(interpreter::block(object)))
                || module_of_globals(object).is_some())
    }
}

/// The name of the module whose globals a dictionary is, if it is one's.
unsafe fn module_of_globals(object: *mut ffi::PyObject) -> Option<&'static str> {
    // SAFETY: as for `number`; a globals dictionary has string keys, and references are borrowed.
    unsafe {
        if ffi::PyDict_CheckExact(object) == 0 {
            return None;
        }
        // The second is what the built-in names have.
        let is_globals = [c"__builtins__", c"__build_class__"].map(|key| class::dict_has_text(object, key));
        if is_globals == [false; 2] {
            return None;
        }
        let name = ffi::PyDict_GetItemString(object, c"__name__".as_ptr());
        (!name.is_null() && ffi::PyUnicode_Check(name) != 0).then(|| interpreter::text(name))
    }
}

/// The number of a key; `None` when user code defines what it equals.
///
/// # Safety
/// `object` is live; the caller holds the turn and the lock.
pub unsafe fn key(object: *mut ffi::PyObject) -> Option<KeyId> {
    // SAFETY: as the caller promises.
    unsafe {
        let key = key_value(object, 0)?;
        run::get().map(|run| run.recording.key(key))
    }
}

/// A name in the program, with the place where its number is kept once it is known.
#[derive(Clone, Copy)]
pub struct Name<'a> {
    /// The `str` object.
    pub object: *mut ffi::PyObject,
    known: Option<&'a Numbered>,
}

impl<'a> Name<'a> {
    /// A name whose number is kept in `known`.
    pub fn kept(object: *mut ffi::PyObject, known: &'a Numbered) -> Self {
        Name { object, known: Some(known) }
    }

    /// A name that was passed as an argument.
    pub fn passed(object: *mut ffi::PyObject) -> Self {
        Name { object, known: None }
    }

    /// The number of the name as a text. The caller holds the turn and the lock.
    pub fn string(self) -> StringId {
        // SAFETY: as the caller promises.
        let run = unsafe { run::get() };
        run.map_or(StringId(0), |run| run.recording.string(interpreter::text(self.object)))
    }

    /// The number of the name as a key. The caller holds the turn and the lock.
    pub fn key(self) -> KeyId {
        if let Some(known) = self.known.and_then(Numbered::get) {
            return KeyId(known);
        }
        // SAFETY: as the caller promises.
        let run = unsafe { run::get() };
        let key =
            run.map_or(KeyId(0), |run| run.recording.key(Key::Str(interpreter::text(self.object).into())));
        if let Some(known) = self.known {
            known.set(key.0);
        }
        key
    }
}

unsafe fn key_value(object: *mut ffi::PyObject, depth: u32) -> Option<Key> {
    // SAFETY: the exact type checks select accessors that run no Python code.
    unsafe {
        if ffi::PyUnicode_CheckExact(object) != 0 {
            return Some(Key::Str(interpreter::text(object).into()));
        }
        if ffi::PyLong_CheckExact(object) != 0 || ffi::PyBool_Check(object) != 0 {
            return Some(integer(object));
        }
        if ffi::PyFloat_CheckExact(object) != 0 {
            return Some(Key::float(ffi::PyFloat_AsDouble(object)));
        }
        if ffi::PyBytes_CheckExact(object) != 0 {
            let data = ffi::PyBytes_AsString(object).cast::<u8>();
            let bytes = std::slice::from_raw_parts(data, ffi::PyBytes_Size(object) as usize);
            return Some(Key::Bytes(bytes.into()));
        }
        if object == ffi::Py_None() {
            return Some(Key::Singleton("None"));
        }
        if ffi::PyTuple_CheckExact(object) != 0 && depth < MAX_DEPTH {
            let parts = 0..ffi::PyTuple_Size(object);
            let keys: Option<Box<[Key]>> =
                parts.map(|at| key_value(ffi::PyTuple_GetItem(object, at), depth + 1)).collect();
            return keys.map(Key::Tuple);
        }
        is_identity_hashed(object).then(|| Key::Identity(number(object)))
    }
}

unsafe fn integer(object: *mut ffi::PyObject) -> Key {
    let mut overflow = 0;
    // SAFETY: an exact int; the decimal text is made and dropped here.
    unsafe {
        let value = ffi::PyLong_AsLongLongAndOverflow(object, &raw mut overflow);
        if overflow == 0 {
            return Key::Int(value);
        }
        let digits = ffi::PyObject_Repr(object);
        if digits.is_null() {
            ffi::PyErr_Clear();
            return Key::BigInt("?".into());
        }
        let key = Key::BigInt(interpreter::text(digits).into());
        ffi::Py_DECREF(digits);
        key
    }
}

/// Whether an object is equal to itself alone: its type has the hash and the comparison of `object`.
unsafe fn is_identity_hashed(object: *mut ffi::PyObject) -> bool {
    // SAFETY: a live object has a live type.
    unsafe {
        let class = &*ffi::Py_TYPE(object);
        let base = &raw const ffi::PyBaseObject_Type;
        class::slot(class.tp_hash) == class::slot((*base).tp_hash)
            && class::slot(class.tp_richcompare) == class::slot((*base).tp_richcompare)
    }
}
