//! Locks and re-entrant locks of the interpreter.
//!
//! Not here: primitives that the standard library writes in Python (package `frontrun._primitives`).

use crate::clock::Wait;
use crate::observed::read;
use crate::replaced::{Object, Original, await_turn, controlled, decide_wait, keep, replace, restore, step};
use crate::{interpreter, joining, lock_waits, made, names, run, spinning};
use frontrun_formats::{Location, Operation, Part, ThreadId};
use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::c_void;
use std::ptr;
use std::time::Duration;

static LOCK_ACQUIRE: Original = Original::new();
static LOCK_RELEASE: Original = Original::new();
static LOCK_LOCKED: Original = Original::new();
static RLOCK_ACQUIRE: Original = Original::new();
static RLOCK_RELEASE: Original = Original::new();
static RLOCK_IS_OWNED: Original = Original::new();
static LOCK_REINIT: Original = Original::new();
static RLOCK_REINIT: Original = Original::new();
static RLOCK_SAVE: Original = Original::new();
static RLOCK_RESTORE: Original = Original::new();
static RLOCK_LOCKED: Original = Original::new();

/// The arguments `blocking` and `timeout` of an acquisition, borrowed; null for one that is not given.
unsafe fn asked(arguments: Object, keywords: Object) -> (Object, Object) {
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
        (argument(0, c"blocking"), argument(1, c"timeout"))
    }
}

/// An acquisition by a thread that is not controlled: the original, or attempts when the thread is observed.
unsafe fn acquire_uncontrolled(
    original: &Original,
    object: Object,
    arguments: *mut c_void,
    keywords: *mut c_void,
) -> Object {
    // SAFETY: called through the method's definition.
    unsafe {
        if !lock_waits::is_observed() {
            let taken = original.call(object, arguments, keywords);
            if taken == ffi::Py_True() {
                lock_waits::forget_holder(object);
            }
            return taken;
        }
        let (blocking, timeout) = asked(arguments.cast(), keywords.cast());
        let taken = match decide_wait(blocking, timeout) {
            // An attempt, or arguments that the original has to refuse.
            None | Some(Wait::Impatient(Duration::ZERO)) => original.call(object, arguments, keywords),
            _ => lock_waits::acquire(object, timeout, || lock_waits::attempt(original, object)),
        };
        if taken == ffi::Py_True() {
            lock_waits::note_taken(object, ptr::eq(original, &raw const LOCK_ACQUIRE));
        }
        taken
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
        let (blocking, timeout) = asked(arguments.cast(), keywords.cast());
        let Some(wait) = decide_wait(blocking, timeout) else {
            return original.call(object, arguments, keywords);
        };
        let lock = names::number(object);
        run::initial_lock(lock, is_held);
        if let Wait::Forever = wait {
            spinning::await_change_before_lock(me);
        }
        let operations = (Operation::Acquire { lock }, Operation::TryAcquire { lock });
        let Some(operation) = await_turn(me, wait, operations) else {
            return ffi::Py_NewRef(ffi::Py_False());
        };
        let taken = lock_waits::attempt(original, object);
        joining::execute_awaited(me, operation, u8::from(taken == ffi::Py_True()));
        taken
    }
}

unsafe extern "C" fn lock_acquire(object: Object, a: *mut c_void, b: *mut c_void) -> Object {
    // SAFETY: called through the method's definition.
    unsafe {
        match controlled(object) {
            Some(me) => acquire(me, &LOCK_ACQUIRE, object, a, b, || is_locked(object)),
            None => acquire_uncontrolled(&LOCK_ACQUIRE, object, a, b),
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
    run::initial_lock(lock, || is_held);
    joining::reach(me);
    joining::execute(me, Operation::Release { lock }, u8::from(is_held));
}

unsafe extern "C" fn lock_release(object: Object, a: *mut c_void, b: *mut c_void) -> Object {
    // SAFETY: called through the method's definition. Whether the lock is held is asked again after the turn
    // came, since another thread may release it first.
    unsafe {
        if let Some(me) = controlled(object) {
            let lock = names::number(object);
            run::initial_lock(lock, || is_locked(object));
            joining::reach(me);
            joining::execute(me, Operation::Release { lock }, u8::from(is_locked(object)));
        } else {
            lock_waits::forget_holder(object);
        }
        LOCK_RELEASE.call(object, a, b)
    }
}

unsafe extern "C" fn lock_locked(object: Object, a: *mut c_void, b: *mut c_void) -> Object {
    // SAFETY: called through the method's definition.
    unsafe {
        if let Some(me) = controlled(object) {
            let lock = names::number(object);
            run::initial_lock(lock, || is_locked(object));
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
            Some(_) => RLOCK_ACQUIRE.call(object, a, b),
            None => acquire_uncontrolled(&RLOCK_ACQUIRE, object, a, b),
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

/// From 3.14 on.
unsafe extern "C" fn rlock_locked(object: Object, a: *mut c_void, b: *mut c_void) -> Object {
    // SAFETY: called through the method's definition.
    unsafe {
        if let Some(me) = controlled(object) {
            let lock = names::number(object);
            run::initial_lock(lock, || interpreter::rlock_count(object) > 0);
            step(me, read(Location::new(lock, Part::State)).0, false, 1);
        }
        RLOCK_LOCKED.call(object, a, b)
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
            run::initial_lock(lock, || interpreter::rlock_count(object) > 0);
            step(me, Operation::Acquire { lock }, true, 1);
        } else if lock_waits::is_observed()
            && !lock_waits::await_free(object, || interpreter::rlock_count(object) == 0)
        {
            return ptr::null_mut();
        }
        RLOCK_RESTORE.call(object, a, b)
    }
}

/// What a forked process does with a lock that another thread may hold: it is free afterwards.
unsafe extern "C" fn lock_reinit(object: Object, a: *mut c_void, b: *mut c_void) -> Object {
    // SAFETY: called through the method's definition.
    unsafe {
        if let Some(me) = controlled(object)
            && is_locked(object)
        {
            release(me, object, true);
        }
        LOCK_REINIT.call(object, a, b)
    }
}

unsafe extern "C" fn rlock_reinit(object: Object, a: *mut c_void, b: *mut c_void) -> Object {
    // SAFETY: called through the method's definition.
    unsafe {
        if let Some(me) = controlled(object)
            && interpreter::rlock_count(object) > 0
        {
            release(me, object, true);
        }
        RLOCK_REINIT.call(object, a, b)
    }
}

/// The methods that are replaced: class, name, original, replacement.
fn methods() -> impl Iterator<Item = (&'static str, &'static str, &'static Original, usize)> {
    let (acquire, release) = (lock_acquire as *const () as usize, lock_release as *const () as usize);
    let locked = lock_locked as *const () as usize;
    let (racquire, rrelease) = (rlock_acquire as *const () as usize, rlock_release as *const () as usize);
    let of_all = [
        ("LockType", "acquire", &LOCK_ACQUIRE, acquire),
        ("LockType", "acquire_lock", &LOCK_ACQUIRE, acquire),
        ("LockType", "__enter__", &LOCK_ACQUIRE, acquire),
        ("LockType", "release", &LOCK_RELEASE, release),
        ("LockType", "release_lock", &LOCK_RELEASE, release),
        ("LockType", "__exit__", &LOCK_RELEASE, release),
        ("LockType", "locked", &LOCK_LOCKED, locked),
        ("LockType", "locked_lock", &LOCK_LOCKED, locked),
        ("RLock", "acquire", &RLOCK_ACQUIRE, racquire),
        ("RLock", "__enter__", &RLOCK_ACQUIRE, racquire),
        ("RLock", "release", &RLOCK_RELEASE, rrelease),
        ("RLock", "__exit__", &RLOCK_RELEASE, rrelease),
        ("LockType", "_at_fork_reinit", &LOCK_REINIT, lock_reinit as *const () as usize),
        ("RLock", "_at_fork_reinit", &RLOCK_REINIT, rlock_reinit as *const () as usize),
        ("RLock", "_release_save", &RLOCK_SAVE, rlock_save as *const () as usize),
        ("RLock", "_acquire_restore", &RLOCK_RESTORE, rlock_restore as *const () as usize),
    ];
    let of_some =
        cfg!(Py_3_14).then_some(("RLock", "locked", &RLOCK_LOCKED, rlock_locked as *const () as usize));
    of_all.into_iter().chain(of_some)
}

/// Gives the calling thread an observer of its waits for locks, or takes it away.
#[pyfunction]
pub fn observe_lock_waits(py: Python<'_>, observer: Option<Py<PyAny>>) -> PyResult<()> {
    if observer.is_some() {
        install(py)?;
    }
    if lock_waits::set_observer(observer) && !run::is_recording() {
        uninstall(py)?;
    }
    Ok(())
}

/// Replaces the C functions of this process; while nothing is recorded or observed they pass everything on.
///
/// # Errors
/// When a name that every supported interpreter has is missing.
pub fn install(py: Python<'_>) -> PyResult<()> {
    crate::class::know_primitives(py)?;
    made::install(py)?;
    let thread = py.import("_thread")?;
    for (class, name, original, with) in methods() {
        replace(&thread.getattr(class)?, name, original, with)?;
    }
    keep(&thread.getattr("RLock")?, "_is_owned", &RLOCK_IS_OWNED)
}

/// Puts the original C functions back.
///
/// # Errors
/// As for [`install`].
pub fn uninstall(py: Python<'_>) -> PyResult<()> {
    let thread = py.import("_thread")?;
    methods().try_for_each(|(class, name, original, _)| restore(&thread.getattr(class)?, name, original))
}

/// Whether a lock of the interpreter, re-entrant or not, is free now.
#[pyfunction]
pub fn is_lock_free(lock: &Bound<'_, PyAny>) -> PyResult<bool> {
    let thread = lock.py().import("_thread")?;
    if lock.is_instance(&thread.getattr("RLock")?)? {
        // SAFETY: an instance of the class.
        return Ok(unsafe { interpreter::rlock_count(lock.as_ptr()) } == 0);
    }
    Ok(!lock.call_method0("locked")?.is_truthy()?)
}
