//! `time.sleep` and the clocks of the module `time`, on the controlled program's clock.

use crate::clock;
use crate::replaced::{Object, Original, controlled, replace, step};
use frontrun_formats::Operation;
use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::c_void;
use std::ptr;
use std::time::Duration;

static SLEEP: Original = Original::new();

/// Sleeping is a switch point that takes no time; a negative duration is refused as ever.
unsafe extern "C" fn sleep(module: Object, seconds: *mut c_void, b: *mut c_void) -> Object {
    // SAFETY: called through the function's definition with one argument.
    unsafe {
        let Some(me) = controlled(module) else { return SLEEP.call(module, seconds, b) };
        let duration = ffi::PyFloat_AsDouble(seconds.cast());
        if duration < 0.0 || !ffi::PyErr_Occurred().is_null() {
            ffi::PyErr_Clear();
            return SLEEP.call(module, seconds, b);
        }
        clock::advance(Duration::try_from_secs_f64(duration).unwrap_or(Duration::MAX));
        step(me, Operation::Pause, false, 1);
        ffi::Py_NewRef(ffi::Py_None())
    }
}

/// A clock that returns seconds as a float, with what waits and sleeps would have taken.
unsafe fn seconds(original: &Original, module: Object) -> Object {
    // SAFETY: the original takes nothing and returns a new float.
    unsafe {
        crate::spinning::progress();
        let now = original.call(module, ptr::null_mut(), ptr::null_mut());
        let ahead = clock::ahead();
        if now.is_null() || ahead.is_zero() {
            return now;
        }
        let moved = ffi::PyFloat_FromDouble(ffi::PyFloat_AsDouble(now) + ahead.as_secs_f64());
        ffi::Py_DECREF(now);
        moved
    }
}

/// A clock that returns nanoseconds as an int.
unsafe fn nanoseconds(original: &Original, module: Object) -> Object {
    // SAFETY: the original takes nothing and returns a new int.
    unsafe {
        crate::spinning::progress();
        let now = original.call(module, ptr::null_mut(), ptr::null_mut());
        let ahead = i64::try_from(clock::ahead().as_nanos()).unwrap_or(i64::MAX);
        if now.is_null() || ahead == 0 {
            return now;
        }
        let moved = ffi::PyLong_FromLongLong(ffi::PyLong_AsLongLong(now).saturating_add(ahead));
        ffi::Py_DECREF(now);
        moved
    }
}

macro_rules! clocks {
    ($($function:ident, $original:ident, $read:ident;)*) => {
        $(
            static $original: Original = Original::new();

            unsafe extern "C" fn $function(module: Object, _: *mut c_void, _: *mut c_void) -> Object {
                // SAFETY: called through the function's definition.
                unsafe { $read(&$original, module) }
            }
        )*
    };
}

clocks! {
    time, TIME, seconds;
    monotonic, MONOTONIC, seconds;
    perf_counter, PERF_COUNTER, seconds;
    time_ns, TIME_NS, nanoseconds;
    monotonic_ns, MONOTONIC_NS, nanoseconds;
    perf_counter_ns, PERF_COUNTER_NS, nanoseconds;
}

/// Replaces the C functions of this process for good; while nothing is recorded they pass everything on.
///
/// # Errors
/// When a name that every supported interpreter has is missing.
pub fn install(py: Python<'_>) -> PyResult<()> {
    let module = py.import("time")?.into_any();
    replace(&module, "sleep", &SLEEP, sleep as *const () as usize)?;
    replace(&module, "time", &TIME, time as *const () as usize)?;
    replace(&module, "monotonic", &MONOTONIC, monotonic as *const () as usize)?;
    replace(&module, "perf_counter", &PERF_COUNTER, perf_counter as *const () as usize)?;
    replace(&module, "time_ns", &TIME_NS, time_ns as *const () as usize)?;
    replace(&module, "monotonic_ns", &MONOTONIC_NS, monotonic_ns as *const () as usize)?;
    replace(&module, "perf_counter_ns", &PERF_COUNTER_NS, perf_counter_ns as *const () as usize)
}
