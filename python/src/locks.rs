//! Locks and re-entrant locks of the interpreter.
//!
//! Not here: primitives that the standard library writes in Python (package `frontrun._primitives`).

use crate::clock::Wait;
use crate::observed::read;
use crate::replaced::{Object, Original, await_turn, controlled, decide_wait, keep, replace, step};
use crate::{controlled as thread, interpreter, names, run};
use frontrun_formats::{Location, Operation, Part, ThreadId};
use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::c_void;
use std::ptr;

static LOCK_ACQUIRE: Original = Original::new();
static LOCK_RELEASE: Original = Original::new();
static LOCK_LOCKED: Original = Original::new();
static RLOCK_ACQUIRE: Original = Original::new();
static RLOCK_RELEASE: Original = Original::new();
static RLOCK_IS_OWNED: Original = Original::new();
static RLOCK_SAVE: Original = Original::new();
static RLOCK_RESTORE: Original = Original::new();

/// How an acquisition was asked to wait; `None` for arguments that the original function has to refuse.
unsafe fn wait_asked(arguments: Object, keywords: Object) -> Option<Wait> {
    // SAFETY: a tuple and a dictionary or null, as the calling convention has it; references are borrowed.
    unsafe {
        let argument = |at: isize, name: &std::ffi::CStr| {
            if !arguments.is_null() && ffi::PyTuple_Size(arguments) > at {
                ffi::PyTuple_GetItem(arguments, at)
            } else if keywords.is_null() {
                ptr::null_mut()
            } else {
                ffi::PyDict_GetItemString(keywords, name.as_ptr())
            }
        };
        decide_wait(argument(0, c"blocking"), argument(1, c"timeout"))
    }
}

/// `(False,)`: the arguments of an acquisition that must not wait.
unsafe fn no_wait() -> Object {
    // SAFETY: makes a new tuple with a new reference to `False`.
    unsafe { ffi::PyTuple_Pack(1, ffi::Py_False()) }
}

unsafe fn try_original(original: &Original, object: Object) -> Object {
    // SAFETY: the tuple lives across the call.
    unsafe {
        let arguments = no_wait();
        let result = original.call(object, arguments.cast(), ptr::null_mut());
        ffi::Py_XDECREF(arguments);
        result
    }
}

unsafe fn acquire(
    me: ThreadId,
    original: &Original,
    object: Object,
    arguments: *mut c_void,
    keywords: *mut c_void,
    is_held: impl FnOnce() -> bool,
) -> Object {
    // SAFETY: the caller holds the lock of the interpreter and the turn.
    unsafe {
        let Some(wait) = wait_asked(arguments.cast(), keywords.cast()) else {
            return original.call(object, arguments, keywords);
        };
        let lock = names::number(object);
        run::initial_sync(lock, Part::State, || if is_held() { i64::from(u32::MAX) } else { 0 });
        let operations = (Operation::Acquire { lock }, Operation::TryAcquire { lock });
        let Some(operation) = await_turn(me, wait, operations) else {
            return ffi::Py_NewRef(ffi::Py_False());
        };
        let taken = try_original(original, object);
        run::execute(me, thread::last_site(), operation, u8::from(taken == ffi::Py_True()));
        taken
    }
}

unsafe extern "C" fn lock_acquire(object: Object, a: *mut c_void, b: *mut c_void) -> Object {
    // SAFETY: called through the method's definition.
    unsafe {
        match controlled(object) {
            Some(me) => acquire(me, &LOCK_ACQUIRE, object, a, b, || is_locked(object)),
            None => LOCK_ACQUIRE.call(object, a, b),
        }
    }
}

unsafe fn is_locked(object: Object) -> bool {
    // SAFETY: the original `locked` takes nothing and returns a new reference to a bool.
    unsafe {
        let held = LOCK_LOCKED.call(object, ptr::null_mut(), ptr::null_mut());
        ffi::Py_XDECREF(held);
        held == ffi::Py_True()
    }
}

unsafe fn release(me: ThreadId, object: Object, is_held: bool) {
    // SAFETY: the caller holds the turn and the lock of the interpreter.
    let lock = unsafe { names::number(object) };
    run::initial_sync(lock, Part::State, || if is_held { i64::from(u32::MAX) } else { 0 });
    step(me, Operation::Release { lock }, false, u8::from(is_held));
}

unsafe extern "C" fn lock_release(object: Object, a: *mut c_void, b: *mut c_void) -> Object {
    // SAFETY: called through the method's definition. Whether the lock is held is asked again after the turn
    // came, since another thread may release it first.
    unsafe {
        if let Some(me) = controlled(object) {
            let site = thread::last_site();
            let lock = names::number(object);
            run::initial_sync(lock, Part::State, || if is_locked(object) { i64::from(u32::MAX) } else { 0 });
            run::reach(me, site, None);
            run::execute(me, site, Operation::Release { lock }, u8::from(is_locked(object)));
        }
        LOCK_RELEASE.call(object, a, b)
    }
}

unsafe extern "C" fn lock_locked(object: Object, a: *mut c_void, b: *mut c_void) -> Object {
    // SAFETY: called through the method's definition.
    unsafe {
        if let Some(me) = controlled(object) {
            let lock = names::number(object);
            run::initial_sync(lock, Part::State, || if is_locked(object) { i64::from(u32::MAX) } else { 0 });
            step(me, read(Location::new(lock, Part::State)).0, false, 1);
        }
        LOCK_LOCKED.call(object, a, b)
    }
}

unsafe fn is_owned(object: Object) -> bool {
    // SAFETY: as for `is_locked`.
    unsafe {
        let owned = RLOCK_IS_OWNED.call(object, ptr::null_mut(), ptr::null_mut());
        ffi::Py_XDECREF(owned);
        owned == ffi::Py_True()
    }
}

unsafe extern "C" fn rlock_acquire(object: Object, a: *mut c_void, b: *mut c_void) -> Object {
    // SAFETY: called through the method's definition. Only the outermost acquisition is a step.
    unsafe {
        match controlled(object) {
            Some(me) if !is_owned(object) => {
                acquire(me, &RLOCK_ACQUIRE, object, a, b, || interpreter::rlock_count(object) > 0)
            }
            _ => RLOCK_ACQUIRE.call(object, a, b),
        }
    }
}

unsafe extern "C" fn rlock_release(object: Object, a: *mut c_void, b: *mut c_void) -> Object {
    // SAFETY: called through the method's definition.
    unsafe {
        if let Some(me) = controlled(object)
            && is_owned(object)
            && interpreter::rlock_count(object) == 1
        {
            release(me, object, true);
        }
        RLOCK_RELEASE.call(object, a, b)
    }
}

unsafe extern "C" fn rlock_save(object: Object, a: *mut c_void, b: *mut c_void) -> Object {
    // SAFETY: called through the method's definition.
    unsafe {
        if let Some(me) = controlled(object)
            && is_owned(object)
        {
            release(me, object, true);
        }
        RLOCK_SAVE.call(object, a, b)
    }
}

unsafe extern "C" fn rlock_restore(object: Object, a: *mut c_void, b: *mut c_void) -> Object {
    // SAFETY: called through the method's definition; after the step the lock is free.
    unsafe {
        if let Some(me) = controlled(object) {
            let lock = names::number(object);
            let held = || if interpreter::rlock_count(object) > 0 { i64::from(u32::MAX) } else { 0 };
            run::initial_sync(lock, Part::State, held);
            step(me, Operation::Acquire { lock }, true, 1);
        }
        RLOCK_RESTORE.call(object, a, b)
    }
}

/// Replaces the C functions of this process for good; while nothing is recorded they pass everything on.
///
/// # Errors
/// When a name that every supported interpreter has is missing.
pub fn install(py: Python<'_>) -> PyResult<()> {
    let thread = py.import("_thread")?;
    let lock = thread.getattr("LockType")?;
    for name in ["acquire", "acquire_lock", "__enter__"] {
        replace(&lock, name, &LOCK_ACQUIRE, lock_acquire as *const () as usize)?;
    }
    for name in ["release", "release_lock", "__exit__"] {
        replace(&lock, name, &LOCK_RELEASE, lock_release as *const () as usize)?;
    }
    for name in ["locked", "locked_lock"] {
        replace(&lock, name, &LOCK_LOCKED, lock_locked as *const () as usize)?;
    }
    let rlock = thread.getattr("RLock")?;
    for name in ["acquire", "__enter__"] {
        replace(&rlock, name, &RLOCK_ACQUIRE, rlock_acquire as *const () as usize)?;
    }
    for name in ["release", "__exit__"] {
        replace(&rlock, name, &RLOCK_RELEASE, rlock_release as *const () as usize)?;
    }
    keep(&rlock, "_is_owned", &RLOCK_IS_OWNED)?;
    replace(&rlock, "_release_save", &RLOCK_SAVE, rlock_save as *const () as usize)?;
    replace(&rlock, "_acquire_restore", &RLOCK_RESTORE, rlock_restore as *const () as usize)
}
