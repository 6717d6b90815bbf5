//! Locks and semaphores of `multiprocessing`, which threads of one process may wait for, too.
//!
//! Model: each is a semaphore; a re-entrant lock that the thread has already is taken and given back without a step.
//! What other processes take meanwhile is not followed: where one has what the state says is there, the thread waits in real
//! time.
//!
//! Not here: the locks of `threading` (locks); child processes (processes).

use crate::clock::Wait;
use crate::replaced::{Object, Original, asked, await_turn, controlled, decide_wait, keep, replace};
use crate::{joining, names, run};
use frontrun_formats::{ObjectId, Operation, Part, ThreadId};
use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::c_void;
use std::ptr;

static ACQUIRE: Original = Original::new();
static ENTER: Original = Original::new();
static RELEASE: Original = Original::new();
static EXIT: Original = Original::new();
static VALUE: Original = Original::new();
static COUNT: Original = Original::new();
static IS_MINE: Original = Original::new();

/// `kind` of a lock that its owner may take again.
const REENTRANT: i64 = 0;

/// What a function without arguments returns, as a number.
unsafe fn number(original: &Original, object: Object) -> i64 {
    // SAFETY: the original takes nothing and returns a new int or bool, or null.
    unsafe {
        let found = original.call(object, ptr::null_mut(), ptr::null_mut());
        let value = if found.is_null() { -1 } else { ffi::PyLong_AsLongLong(found) };
        ffi::PyErr_Clear();
        ffi::Py_XDECREF(found);
        value
    }
}

/// Whether the calling thread has a lock that it may take again. `depth` is how often it has to have it.
unsafe fn is_within(object: Object, depth: i64) -> bool {
    // SAFETY: a live object of the type, whose member `kind` is an int.
    unsafe {
        let kind = ffi::PyObject_GetAttrString(object, c"kind".as_ptr());
        let is_reentrant = !kind.is_null() && ffi::PyLong_AsLongLong(kind) == REENTRANT;
        ffi::PyErr_Clear();
        ffi::Py_XDECREF(kind);
        is_reentrant && number(&IS_MINE, object) == 1 && number(&COUNT, object) >= depth
    }
}

/// The number of a semaphore, whose value the gate has been told.
unsafe fn semaphore(object: Object) -> ObjectId {
    // SAFETY: a live object of the type.
    unsafe {
        let id = names::number(object);
        run::initial_sync(id, Part::State, || number(&VALUE, object));
        id
    }
}

/// `acquire(block=True, timeout=None)`.
unsafe extern "C" fn acquire(
    object: Object,
    arguments: *mut c_void,
    count: *mut c_void,
    keywords: *mut c_void,
) -> Object {
    // SAFETY: called through the method's definition (vector call).
    unsafe {
        let original = || ACQUIRE.call_all(object, arguments, count, keywords, ptr::null_mut());
        let Some(me) = controlled(object).filter(|_| !is_within(object, 1)) else { return original() };
        let (block, timeout) = asked(arguments, count, keywords);
        match decide_wait(block, timeout) {
            Some(wait) => take(me, object, wait),
            None => original(),
        }
    }
}

unsafe extern "C" fn enter(object: Object, a: *mut c_void, b: *mut c_void) -> Object {
    // SAFETY: called through the method's definition, which takes nothing.
    unsafe {
        match controlled(object).filter(|_| !is_within(object, 1)) {
            Some(me) => take(me, object, Wait::Forever),
            None => ENTER.call(object, a, b),
        }
    }
}

/// Takes the semaphore; the real call waits only for other processes.
unsafe fn take(me: ThreadId, object: Object, wait: Wait) -> Object {
    // SAFETY: the caller holds the turn; the original without arguments waits for as long as it takes.
    unsafe {
        let semaphore = semaphore(object);
        let operations = (Operation::SemaphoreAcquire { semaphore }, Operation::SemaphoreTry { semaphore });
        let Some(operation) = await_turn(me, wait, operations) else {
            return ffi::Py_NewRef(ffi::Py_False());
        };
        let taken = if run::predict(me, &operation) {
            ENTER.call(object, ptr::null_mut(), ptr::null_mut())
        } else {
            ffi::Py_NewRef(ffi::Py_False())
        };
        joining::execute_awaited(me, operation, u8::from(taken == ffi::Py_True()));
        taken
    }
}

unsafe fn give_back(object: Object) {
    // SAFETY: the caller was called through a method's definition.
    unsafe {
        if let Some(me) = controlled(object).filter(|_| !is_within(object, 2)) {
            let semaphore = semaphore(object);
            joining::reach(me);
            joining::execute(me, Operation::SemaphoreRelease { semaphore, permits: 1, bound: 0 }, 1);
        }
    }
}

unsafe extern "C" fn release(object: Object, a: *mut c_void, b: *mut c_void) -> Object {
    // SAFETY: called through the method's definition.
    unsafe {
        give_back(object);
        RELEASE.call(object, a, b)
    }
}

unsafe extern "C" fn exit(object: Object, a: *mut c_void, b: *mut c_void) -> Object {
    // SAFETY: called through the method's definition.
    unsafe {
        give_back(object);
        EXIT.call(object, a, b)
    }
}

/// Replaces the C functions of this process for good; while nothing is recorded they pass everything on. An interpreter
/// that was built without `multiprocessing` has none.
///
/// # Errors
/// When a name that every supported interpreter has is missing.
pub fn install(py: Python<'_>) -> PyResult<()> {
    let Ok(module) = py.import("_multiprocessing") else { return Ok(()) };
    let semaphore = module.getattr("SemLock")?;
    replace(&semaphore, "acquire", &ACQUIRE, acquire as *const () as usize)?;
    replace(&semaphore, "__enter__", &ENTER, enter as *const () as usize)?;
    replace(&semaphore, "release", &RELEASE, release as *const () as usize)?;
    replace(&semaphore, "__exit__", &EXIT, exit as *const () as usize)?;
    keep(&semaphore, "_get_value", &VALUE)?;
    keep(&semaphore, "_count", &COUNT)?;
    keep(&semaphore, "_is_mine", &IS_MINE)
}
