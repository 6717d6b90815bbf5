//! Replacing the C function behind a method, and what the replacements have in common.
//!
//! Model: the C function behind a method (its `PyMethodDef`) is replaced, so every object obeys, whoever made it, under
//! whatever name its method is called, and whenever it was created. The replacement asks the gate for the turn, and then
//! performs the real operation, which cannot block: the abstract state says that it is enabled.
//!
//! Invariant: a thread that is not controlled, and code that must stay invisible, get the original function.

use crate::clock::{self, Wait};
use crate::{controlled, interpreter, joining, run};
use frontrun_formats::{Operation, ThreadId};
use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::c_void;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A Python object.
pub type Object = *mut ffi::PyObject;

/// A C function with as many arguments as any calling convention has; the surplus is ignored.
type Function = unsafe extern "C" fn(Object, *mut c_void, *mut c_void, *mut c_void, *mut c_void) -> Object;

/// The original of one replaced function.
pub struct Original(AtomicUsize);

impl Original {
    /// Nothing replaced yet.
    pub const fn new() -> Self {
        Original(AtomicUsize::new(0))
    }

    /// Calls the original with up to two arguments after `self`.
    ///
    /// # Safety
    /// The arguments are those of the original's calling convention.
    pub unsafe fn call(&self, object: Object, a: *mut c_void, b: *mut c_void) -> Object {
        // SAFETY: as for `call_all`.
        unsafe { self.call_all(object, a, b, ptr::null_mut(), ptr::null_mut()) }
    }

    /// Calls the original with up to four arguments after `self`.
    ///
    /// # Safety
    /// As for [`Original::call`].
    pub unsafe fn call_all(
        &self,
        object: Object,
        a: *mut c_void,
        b: *mut c_void,
        c: *mut c_void,
        d: *mut c_void,
    ) -> Object {
        // SAFETY: the address was read from the method's definition; the arguments are those of its convention.
        unsafe {
            let function: Function = std::mem::transmute::<usize, Function>(self.0.load(Ordering::Relaxed));
            function(object, a, b, c, d)
        }
    }
}

/// Locks of the interpreter's own bookkeeping, which are no part of the program.
static IGNORED: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// The calling thread, if this operation on `object` is one to control.
///
/// # Safety
/// Called through a replaced function.
pub unsafe fn controlled(object: Object) -> Option<ThreadId> {
    if !run::is_recording() {
        return None;
    }
    let me = controlled::visible_thread()?;
    let ignored = IGNORED.lock().is_ok_and(|ignored| ignored.contains(&(object as usize)));
    (!ignored).then_some(me)
}

/// Leaves a lock out of control.
pub fn ignore(object: Object) {
    if let Ok(mut ignored) = IGNORED.lock()
        && !ignored.contains(&(object as usize))
    {
        ignored.push(object as usize);
    }
}

/// Waits for the turn and records a step at the site that the thread reached last.
pub fn step(me: ThreadId, operation: Operation, may_block: bool, result: u8) {
    let site = controlled::last_site();
    run::reach(me, site, may_block.then(|| operation.clone()));
    run::execute(me, site, operation, result);
}

/// The arguments that say whether and how long to wait, `block` and `timeout`, of a function that is called with a vector of
/// arguments: the positional ones, and then those that `keywords` names. Borrowed; null for one that is not given.
///
/// # Safety
/// The arguments of such a call.
pub unsafe fn asked(
    arguments: *mut c_void,
    positional: *mut c_void,
    keywords: *mut c_void,
) -> (Object, Object) {
    // SAFETY: as the caller promises; names of keywords are a tuple of texts.
    unsafe {
        let (vector, positional, keywords) =
            (arguments.cast::<Object>(), positional as usize, keywords.cast::<ffi::PyObject>());
        let mut values = [ptr::null_mut(); 2];
        for (at, value) in values.iter_mut().enumerate().take(positional) {
            *value = *vector.add(at);
        }
        if !keywords.is_null() {
            for nth in 0..ffi::PyTuple_Size(keywords) {
                let slot = usize::from(interpreter::text(ffi::PyTuple_GetItem(keywords, nth)) == "timeout");
                values[slot] = *vector.add(positional + nth as usize);
            }
        }
        (values[0], values[1])
    }
}

/// The longest wait that the interpreter accepts, in seconds.
const LONGEST_WAIT: f64 = 9_223_372_036.0;

/// How a wait was asked for by `blocking` and `timeout`, of which -1 or none is no limit; `None` for arguments that the
/// original function has to refuse.
///
/// # Safety
/// Borrowed arguments of the call, or null.
pub unsafe fn decide_wait(blocking: Object, timeout: Object) -> Option<Wait> {
    // SAFETY: borrowed live objects or null; numbers of exact types run no user code.
    unsafe {
        let blocks = blocking.is_null() || ffi::PyObject_IsTrue(blocking) == 1;
        let unlimited = timeout.is_null() || timeout == ffi::Py_None();
        let seconds = if unlimited { -1.0 } else { ffi::PyFloat_AsDouble(timeout) };
        if !ffi::PyErr_Occurred().is_null() {
            ffi::PyErr_Clear();
            return None;
        }
        match (blocks, seconds) {
            (true, -1.0) => Some(clock::wait(None)),
            (false, -1.0) => Some(clock::wait(Some(0.0))),
            (true, seconds) if (0.0..=LONGEST_WAIT).contains(&seconds) => Some(clock::wait(Some(seconds))),
            _ => None,
        }
    }
}

/// Waits for the turn to take something: with the first operation, which can block, or with the second, an attempt.
/// Returns the one to execute; `None` when the time ran out, which has been recorded.
pub fn await_turn(
    me: ThreadId,
    wait: Wait,
    (blocking, attempt): (Operation, Operation),
) -> Option<Operation> {
    match wait {
        Wait::Impatient(time) => {
            if time.is_zero() {
                joining::reach(me);
            } else {
                run::rest(me, controlled::last_site());
                run::reach(me, controlled::last_site(), None);
            }
            if !run::predict(me, &attempt) {
                clock::advance(time);
            }
            Some(attempt)
        }
        Wait::Patient(time) => {
            let gave_up = run::reach_patiently(me, controlled::last_site(), blocking.clone(), Some(time));
            (!gave_up).then_some(blocking)
        }
        Wait::Forever => Some(joining::await_turn(me, blocking, Some(attempt))),
    }
}

/// Replaces the C function behind the method or function `name` of `holder`.
pub fn replace(holder: &Bound<'_, PyAny>, name: &str, original: &Original, with: usize) -> PyResult<()> {
    let found = holder.getattr(name)?;
    // SAFETY: a live callable; method definitions of the interpreter are static and writable.
    unsafe {
        let definition = interpreter::method_def(found.as_ptr());
        if definition.is_null() {
            return Ok(());
        }
        let slot = (&raw mut (*definition).ml_meth).cast::<usize>();
        if *slot != with {
            original.0.store(*slot, Ordering::Relaxed);
            *slot = with;
        }
    }
    Ok(())
}

/// Puts the original C function back behind the method `name` of `holder`, if it was ever replaced.
pub fn restore(holder: &Bound<'_, PyAny>, name: &str, original: &Original) -> PyResult<()> {
    let found = holder.getattr(name)?;
    let function = original.0.load(Ordering::Relaxed);
    // SAFETY: a live callable, whose definition is static and writable; the original was read from it.
    unsafe {
        let definition = interpreter::method_def(found.as_ptr());
        if !definition.is_null() && function != 0 {
            (&raw mut (*definition).ml_meth).cast::<usize>().write(function);
        }
    }
    Ok(())
}

/// Notes a function without replacing it.
pub fn keep(holder: &Bound<'_, PyAny>, name: &str, original: &Original) -> PyResult<()> {
    let found = holder.getattr(name)?;
    // SAFETY: a live callable of the interpreter.
    let function = unsafe {
        let definition = interpreter::method_def(found.as_ptr());
        (&raw const (*definition).ml_meth).cast::<usize>().read()
    };
    original.0.store(function, Ordering::Relaxed);
    Ok(())
}
