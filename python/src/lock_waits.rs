//! Waits for locks that a thread hands to an observer, instead of blocking in them.
//!
//! Model: a thread may have an observer, a Python callable. Where a lock is taken, and the thread would block, it asks
//! `observer(lock, timeout)` instead, again and again until the lock could be taken. The observer returns true when it
//! is worth another try and false when the time is over; an exception from it leaves the acquisition.
//!
//! Invariant: the replaced functions are in place only while some thread has an observer; what happens quietly is not
//! observed, nor is what the observer does.
//!
//! Not here: which functions are replaced (locks), who goes on when (package `frontrun._turns`).

use crate::replaced::{Object, Original};
use crate::{controlled, interpreter, locks, run};
use pyo3::ffi;
use pyo3::prelude::*;
use std::cell::Cell;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

thread_local! {
    /// The calling thread's observer; an owned reference, or null.
    static OBSERVER: Cell<Object> = const { Cell::new(ptr::null_mut()) };
    /// How many locks this thread has taken since it has had an observer.
    static TAKEN: Cell<u64> = const { Cell::new(0) };
}

/// How many threads have an observer.
static OBSERVED: AtomicUsize = AtomicUsize::new(0);

/// Locks that are not re-entrant and that observed threads hold: address, and who took it.
static HOLDERS: Mutex<Vec<(usize, u64)>> = Mutex::new(Vec::new());

/// Gives the calling thread an observer of its waits for locks, or takes it away.
#[pyfunction]
pub fn observe_lock_waits(py: Python<'_>, observer: Option<Py<PyAny>>) -> PyResult<()> {
    let new = observer.map_or(ptr::null_mut(), Py::into_ptr);
    if !new.is_null() {
        locks::install(py)?;
        TAKEN.set(0);
    }
    let old = OBSERVER.replace(new);
    match (old.is_null(), new.is_null()) {
        (true, false) => _ = OBSERVED.fetch_add(1, Ordering::Relaxed),
        (false, true) if OBSERVED.fetch_sub(1, Ordering::Relaxed) == 1 && !run::is_recording() => {
            locks::uninstall(py)?;
            if let Ok(mut holders) = HOLDERS.lock() {
                holders.clear();
            }
        }
        _ => {}
    }
    // SAFETY: the reference was owned by this thread's cell; the interpreter's lock is held.
    unsafe { ffi::Py_XDECREF(old) };
    Ok(())
}

/// How many locks the calling thread has taken since it has had its observer.
#[pyfunction]
pub fn locks_taken() -> u64 {
    TAKEN.get()
}

/// The identifier of the thread that holds a lock, as far as it is known: of an observed thread, or of a re-entrant lock.
#[pyfunction]
pub fn lock_holder(lock: &Bound<'_, PyAny>) -> PyResult<Option<u64>> {
    if lock.is_instance(&lock.py().import("_thread")?.getattr("RLock")?)? {
        // SAFETY: an instance of the class.
        return Ok(unsafe { interpreter::rlock_owner(lock.as_ptr()) });
    }
    let address = lock.as_ptr() as usize;
    let holder =
        |holders: &Vec<(usize, u64)>| holders.iter().find(|held| held.0 == address).map(|held| held.1);
    Ok(HOLDERS.lock().ok().and_then(|holders| holder(&holders)))
}

/// Whether waits of the calling thread are observed.
pub fn is_observed() -> bool {
    !OBSERVER.get().is_null() && !controlled::is_quiet()
}

/// Notes that the calling thread, which is observed, has taken a lock; a re-entrant one knows its holder itself.
pub fn note_taken(object: Object, is_plain: bool) {
    TAKEN.set(TAKEN.get() + 1);
    // SAFETY: always succeeds.
    let me = unsafe { libc::pthread_self() };
    if is_plain && let Ok(mut holders) = HOLDERS.lock() {
        holders.retain(|held| held.0 != object as usize);
        holders.push((object as usize, me));
    }
}

/// Notes that a lock is not, or soon no longer, held by an observed thread.
pub fn forget_holder(object: Object) {
    if OBSERVED.load(Ordering::Relaxed) > 0
        && let Ok(mut holders) = HOLDERS.lock()
    {
        holders.retain(|held| held.0 != object as usize);
    }
}

/// Takes a lock by attempts, with the observer asked after each that fails. `timeout` is a borrowed argument or null.
///
/// # Safety
/// Called through a replaced function, with the interpreter's lock held.
pub unsafe fn acquire(object: Object, timeout: Object, attempt: impl Fn() -> Object) -> Object {
    loop {
        let taken = attempt();
        // SAFETY: `True` lives for ever.
        if taken.is_null() || taken == unsafe { ffi::Py_True() } {
            return taken;
        }
        // SAFETY: a new reference from the attempt; live arguments.
        let again = unsafe {
            ffi::Py_DECREF(taken);
            ask(object, timeout)
        };
        match again {
            1 => {}
            // SAFETY: makes a new reference.
            0 => return unsafe { ffi::Py_NewRef(ffi::Py_False()) },
            _ => return ptr::null_mut(),
        }
    }
}

/// Waits until a lock that has to be taken back is free. Returns false with an exception set when the observer raised.
///
/// # Safety
/// As for [`acquire`].
pub unsafe fn await_free(object: Object, is_free: impl Fn() -> bool) -> bool {
    while !is_free() {
        // SAFETY: a live lock.
        if unsafe { ask(object, ptr::null_mut()) } < 0 {
            return false;
        }
    }
    true
}

/// Asks the observer, quietly: 1 to try again, 0 when the time is over, -1 with an exception set.
unsafe fn ask(object: Object, timeout: Object) -> i32 {
    // SAFETY: the observer is owned by this thread's cell and called by this thread alone; the references are borrowed.
    unsafe {
        let observer = OBSERVER.get();
        let timeout = if timeout.is_null() { ffi::Py_None() } else { timeout };
        controlled::quiet();
        let answer =
            ffi::PyObject_CallFunctionObjArgs(observer, object, timeout, ptr::null_mut::<ffi::PyObject>());
        controlled::loud();
        if answer.is_null() {
            return -1;
        }
        let again = ffi::PyObject_IsTrue(answer);
        ffi::Py_DECREF(answer);
        again
    }
}

/// An attempt by the original function, which does not wait.
///
/// # Safety
/// As for [`acquire`].
pub unsafe fn attempt(original: &Original, object: Object) -> Object {
    // SAFETY: the arguments live across the call.
    unsafe {
        let arguments = ffi::PyTuple_Pack(1, ffi::Py_False());
        let taken = original.call(object, arguments.cast(), ptr::null_mut());
        ffi::Py_XDECREF(arguments);
        taken
    }
}
