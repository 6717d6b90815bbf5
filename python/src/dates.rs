//! `datetime.now` and `datetime.utcnow`, on the controlled program's clock.
//!
//! Not here: `date.today` and `datetime.today`, which ask `time.time` (time_calls).

use crate::replaced::{Object, Original, replace};
use crate::time_calls;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyDelta;
use std::ffi::c_void;
use std::ptr;

/// In microseconds.
const DAY: i64 = 86_400_000_000;

static NOW: Original = Original::new();
static UTCNOW: Original = Original::new();

/// `now(tz=None)` of a class, called with a vector of arguments.
unsafe extern "C" fn now(
    class: Object,
    arguments: *mut c_void,
    count: *mut c_void,
    names: *mut c_void,
) -> Object {
    // SAFETY: called through the method's definition.
    unsafe { moved(NOW.call_all(class, arguments, count, names, ptr::null_mut())) }
}

/// `utcnow()` of a class.
unsafe extern "C" fn utcnow(class: Object, a: *mut c_void, b: *mut c_void) -> Object {
    // SAFETY: called through the method's definition.
    unsafe { moved(UTCNOW.call(class, a, b)) }
}

/// The point in time later by what waits and sleeps would have taken. Takes the reference, and returns one. A time of a
/// subclass whose sums run Python code stays as it is.
unsafe fn moved(time: Object) -> Object {
    let ahead = time_calls::look();
    // SAFETY: the calling thread holds the interpreter's lock; `time` is a new reference or null.
    unsafe {
        if time.is_null() || ahead == 0 || ffi::PyDateTime_CheckExact(time) == 0 {
            return time;
        }
        let py = Python::assume_attached();
        let micros = ahead / 1000;
        let later = i32::try_from(micros.div_euclid(DAY)).ok().and_then(|days| {
            let (seconds, micros) = (micros.rem_euclid(DAY) / 1_000_000, micros.rem_euclid(1_000_000));
            PyDelta::new(py, days, seconds as i32, micros as i32, true).ok()
        });
        let Some(later) = later else { return time };
        let sum = ffi::PyNumber_Add(time, later.as_ptr());
        ffi::Py_DECREF(time);
        sum
    }
}

/// Replaces the C functions of this process for good; while nothing is recorded they pass everything on.
///
/// # Errors
/// When a name that every supported interpreter has is missing.
pub fn install(py: Python<'_>) -> PyResult<()> {
    let class = py.import("_datetime")?.getattr("datetime")?;
    // SAFETY: makes the type checks above possible; the interpreter's lock is held.
    unsafe { ffi::PyDateTime_IMPORT() };
    replace(&class, "now", &NOW, now as *const () as usize)?;
    replace(&class, "utcnow", &UTCNOW, utcnow as *const () as usize)
}
