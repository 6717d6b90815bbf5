//! Where locks were made, which is how reports tell one lock from another.
//!
//! Model: the functions that make locks note the place of their caller by the lock's address. Code of the standard
//! library that makes primitives for others (`threading`, `queue`) is passed over, so a `Condition`, `Event`, `Semaphore`
//! or `Queue` has the place where the program made it: that of its lock. A lock that is freed leaves its place behind, to
//! be overwritten by the next one at the address; nothing but locks is looked up.
//!
//! Not here: how an object is called otherwise (names).

use crate::interpreter;
use crate::replaced::{Object, Original, replace};
use pyo3::ffi;
use pyo3::prelude::*;
use std::collections::HashMap;
use std::ffi::{CStr, c_int, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

static ALLOCATE: Original = Original::new();
static ALLOCATE_OBSOLETE: Original = Original::new();
/// The types of locks, with what they made their instances with, if they did so themselves.
static NEW: [(AtomicUsize, AtomicUsize); 2] =
    [(AtomicUsize::new(0), AtomicUsize::new(0)), (AtomicUsize::new(0), AtomicUsize::new(0))];

/// The classes of `threading` whose instances have a lock of their own.
static PRIMITIVES: [AtomicUsize; 4] = [const { AtomicUsize::new(0) }; 4];

/// Base name of a file, and line.
type Place = (Box<str>, c_int);

/// By address of a lock.
static PLACES: Mutex<Option<HashMap<usize, Place>>> = Mutex::new(None);

/// What makes primitives on behalf of others.
const MAKERS: [&str; 2] = ["/threading.py", "/queue.py"];

/// How far up the stack the place is looked for.
const DEEPEST: usize = 8;

/// Begins to take note of places, if it has not begun already.
///
/// # Errors
/// When a name that every supported interpreter has is missing.
pub fn install(py: Python<'_>) -> PyResult<()> {
    let thread = py.import("_thread")?;
    replace(&thread, "allocate_lock", &ALLOCATE, allocate as *const () as usize)?;
    replace(&thread, "allocate", &ALLOCATE_OBSOLETE, allocate_obsolete as *const () as usize)?;
    for ((class, original), name) in NEW.iter().zip(["LockType", "RLock"]) {
        let found = thread.getattr(name)?;
        let found = found.as_ptr().cast::<ffi::PyTypeObject>();
        // SAFETY: both names are those of types that live as long as the interpreter, whose lock is held.
        unsafe {
            if class.swap(found as usize, Ordering::Relaxed) == 0
                && let Some(function) = (*found).tp_new
            {
                original.store(function as *const () as usize, Ordering::Relaxed);
                (*found).tp_new = Some(new);
            }
        }
    }
    let threading = py.import("threading")?;
    for (class, name) in PRIMITIVES.iter().zip(["Condition", "Event", "Semaphore", "BoundedSemaphore"]) {
        class.store(threading.getattr(name)?.as_ptr() as usize, Ordering::Relaxed);
    }
    Ok(())
}

unsafe extern "C" fn allocate(module: Object, a: *mut c_void, b: *mut c_void) -> Object {
    // SAFETY: called through the function's definition.
    unsafe { noted(ALLOCATE.call(module, a, b)) }
}

unsafe extern "C" fn allocate_obsolete(module: Object, a: *mut c_void, b: *mut c_void) -> Object {
    // SAFETY: called through the function's definition.
    unsafe { noted(ALLOCATE_OBSOLETE.call(module, a, b)) }
}

unsafe extern "C" fn new(class: *mut ffi::PyTypeObject, arguments: Object, keywords: Object) -> Object {
    // SAFETY: called as the `tp_new` of a type that `install` has changed, or of a subclass; the address was read from it.
    unsafe {
        let ours = |of: usize| of != 0 && ffi::PyType_IsSubtype(class, of as *mut ffi::PyTypeObject) != 0;
        let mut originals = NEW.iter().filter(|(of, _)| ours(of.load(Ordering::Relaxed)));
        let Some((_, original)) = originals.next() else { return std::ptr::null_mut() };
        let function = std::mem::transmute::<usize, ffi::newfunc>(original.load(Ordering::Relaxed));
        noted(function(class, arguments, keywords))
    }
}

/// Notes the place of the running code for a new lock, which is passed on.
unsafe fn noted(lock: Object) -> Object {
    if !lock.is_null() {
        // SAFETY: the caller holds the interpreter's lock and was called from bytecode.
        let place = unsafe { caller() };
        let mut places = PLACES.lock().unwrap_or_else(PoisonError::into_inner);
        let places = places.get_or_insert_default();
        match place {
            Some(place) => places.insert(lock as usize, place),
            None => places.remove(&(lock as usize)),
        };
    }
    lock
}

/// File and line of the innermost code that does not make primitives for others.
unsafe fn caller() -> Option<Place> {
    // SAFETY: the caller holds the lock; references that are owned are given back.
    unsafe {
        let mut frame = ffi::PyEval_GetFrame();
        ffi::Py_XINCREF(frame.cast());
        for _ in 0..DEEPEST {
            if frame.is_null() {
                return None;
            }
            let file = file_of(frame);
            let line = ffi::PyFrame_GetLineNumber(frame);
            let back = ffi::PyFrame_GetBack(frame);
            ffi::Py_DECREF(frame.cast());
            match file {
                Some(file) if !MAKERS.iter().any(|maker| file.ends_with(maker)) => {
                    ffi::Py_XDECREF(back.cast());
                    let base = file.rsplit('/').next().unwrap_or(&file);
                    return Some((base.into(), line));
                }
                _ => frame = back,
            }
        }
        ffi::Py_XDECREF(frame.cast());
        None
    }
}

unsafe fn file_of(frame: *mut ffi::PyFrameObject) -> Option<String> {
    // SAFETY: a live frame; its code's file name is a member, and reading it runs no Python code.
    unsafe {
        let code = ffi::PyFrame_GetCode(frame);
        let name = ffi::PyObject_GetAttrString(code.cast(), c"co_filename".as_ptr());
        ffi::Py_DECREF(code.cast());
        if name.is_null() {
            ffi::PyErr_Clear();
            return None;
        }
        let text = (ffi::PyUnicode_CheckExact(name) != 0).then(|| interpreter::text(name).to_owned());
        ffi::Py_DECREF(name);
        text
    }
}

/// Where a lock was made, or the lock of another primitive, as `file.py:12`; `None` for what is none, or is older than
/// control.
///
/// # Safety
/// `object` is live, and the interpreter's lock is held.
pub unsafe fn place(object: Object) -> Option<String> {
    // SAFETY: as the caller promises; references that are owned are given back after their use as an address.
    unsafe {
        if is_lock(object) {
            return place_of_lock(object as usize);
        }
        if !ffi::PyErr_Occurred().is_null() || !is_of_threading(object) {
            return None;
        }
        let condition = attribute(object, c"_cond");
        let holder = if condition.is_null() { object } else { condition };
        let lock = attribute(holder, c"_lock");
        let place = (!lock.is_null() && is_lock(lock)).then(|| place_of_lock(lock as usize)).flatten();
        ffi::Py_XDECREF(condition);
        ffi::Py_XDECREF(lock);
        place
    }
}

fn place_of_lock(address: usize) -> Option<String> {
    let places = PLACES.lock().unwrap_or_else(PoisonError::into_inner);
    places.as_ref()?.get(&address).map(|(file, line)| format!("{file}:{line}"))
}

unsafe fn is_lock(object: Object) -> bool {
    // SAFETY: a live object has a live type.
    unsafe { NEW.iter().any(|(class, _)| class.load(Ordering::Relaxed) == ffi::Py_TYPE(object) as usize) }
}

/// Whether a primitive of `threading` is at hand: no subclass of it, which could run code when it is looked at.
unsafe fn is_of_threading(object: Object) -> bool {
    // SAFETY: a live object has a live type.
    let class = unsafe { ffi::Py_TYPE(object) } as usize;
    PRIMITIVES.iter().any(|primitive| primitive.load(Ordering::Relaxed) == class)
}

/// A new reference to an attribute in the instance, or null.
unsafe fn attribute(object: Object, name: &CStr) -> Object {
    // SAFETY: a live object; the generic look-up runs no code of a class of `threading`.
    unsafe {
        let key = ffi::PyUnicode_InternFromString(name.as_ptr());
        let found = ffi::PyObject_GenericGetAttr(object, key);
        ffi::Py_DECREF(key);
        if found.is_null() {
            ffi::PyErr_Clear();
        }
        found
    }
}
