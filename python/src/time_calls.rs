//! `time.sleep` and what else the module `time` says of now, on the controlled program's clock.

use crate::clock;
use crate::replaced::{Object, Original, controlled, replace, step};
use crate::site::Site;
use crate::{controlled as thread, run, worker};
use frontrun_formats::{Operation, ThreadId};
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
        let me = controlled(module);
        if me.is_none() && !worker::is_visible() {
            return SLEEP.call(module, seconds, b);
        }
        let duration = ffi::PyFloat_AsDouble(seconds.cast());
        if duration < 0.0 || !ffi::PyErr_Occurred().is_null() {
            ffi::PyErr_Clear();
            return SLEEP.call(module, seconds, b);
        }
        let duration = Duration::try_from_secs_f64(duration).unwrap_or(Duration::MAX);
        match me {
            Some(me) => rest(me, duration),
            None => worker::sleep(duration),
        }
        ffi::Py_NewRef(ffi::Py_None())
    }
}

/// The step that a sleep of the calling thread is.
pub fn rest(me: ThreadId, duration: Duration) {
    if clock::has_rested_enough() && !duration.is_zero() {
        // Nothing ends it but its time.
        let of = Box::new([]);
        run::reach_patiently(me, thread::last_site(), Operation::AwaitChange { of }, Some(duration));
    } else {
        clock::advance(duration);
        run::rest(me, thread::last_site());
        step(me, Operation::Pause, false, 1);
    }
}

/// A clock that returns seconds as a float, with what waits and sleeps would have taken.
unsafe fn seconds(original: &Original, module: Object, clock: libc::clockid_t) -> Object {
    // SAFETY: the original takes nothing; the interpreter's lock is held.
    unsafe {
        match now(clock) {
            Some(now) => ffi::PyFloat_FromDouble(now as f64 / 1e9),
            None => original.call(module, ptr::null_mut(), ptr::null_mut()),
        }
    }
}

/// A loop that looks at a clock gets on. What a wait of the standard library computes from one stays within the wait.
fn note_progress() {
    if !thread::last_site().is_some_and(Site::is_of_waits) {
        crate::spinning::progress();
    }
}

/// The calling thread looks at a clock; `None` if that shows the real time.
fn now(clock: libc::clockid_t) -> Option<i64> {
    note_progress();
    thread::controlled_thread().and_then(|_| clock::now(clock))
}

/// The calling thread looks at the clock: by how many nanoseconds what it sees is ahead of the real one.
pub fn look() -> i64 {
    note_progress();
    thread::controlled_thread().map_or(0, |_| clock::ahead())
}

/// A clock that returns nanoseconds as an int.
unsafe fn nanoseconds(original: &Original, module: Object, clock: libc::clockid_t) -> Object {
    // SAFETY: as for `seconds`.
    unsafe {
        match now(clock) {
            Some(now) => ffi::PyLong_FromLongLong(now),
            None => original.call(module, ptr::null_mut(), ptr::null_mut()),
        }
    }
}

macro_rules! clocks {
    ($($function:ident, $original:ident, $read:ident, $clock:expr;)*) => {
        $(
            static $original: Original = Original::new();

            unsafe extern "C" fn $function(module: Object, _: *mut c_void, _: *mut c_void) -> Object {
                // SAFETY: called through the function's definition.
                unsafe { $read(&$original, module, $clock) }
            }
        )*
    };
}

clocks! {
    time, TIME, seconds, libc::CLOCK_REALTIME;
    monotonic, MONOTONIC, seconds, clock::UPTIME;
    perf_counter, PERF_COUNTER, seconds, clock::UPTIME;
    time_ns, TIME_NS, nanoseconds, libc::CLOCK_REALTIME;
    monotonic_ns, MONOTONIC_NS, nanoseconds, clock::UPTIME;
    perf_counter_ns, PERF_COUNTER_NS, nanoseconds, clock::UPTIME;
}

static LOCALTIME: Original = Original::new();
static GMTIME: Original = Original::new();
static CTIME: Original = Original::new();
static STRFTIME: Original = Original::new();
static ASCTIME: Original = Original::new();
static CLOCK_GETTIME: Original = Original::new();
static CLOCK_GETTIME_NS: Original = Original::new();

/// A function of one optional argument, the seconds, which is now if it is left out or none.
unsafe fn of_seconds(original: &Original, module: Object, arguments: Object) -> Object {
    // SAFETY: `arguments` is a tuple; references are borrowed until they are given back here.
    unsafe {
        let given = ffi::PyTuple_Size(arguments);
        let is_now = given == 0 || (given == 1 && ffi::PyTuple_GetItem(arguments, 0) == ffi::Py_None());
        if !is_now || thread::controlled_thread().is_none() {
            return original.call(module, arguments.cast(), ptr::null_mut());
        }
        let now = seconds(&TIME, module, libc::CLOCK_REALTIME);
        if now.is_null() {
            return now;
        }
        let with_now = ffi::PyTuple_Pack(1, now);
        let result = original.call(module, with_now.cast(), ptr::null_mut());
        ffi::Py_XDECREF(with_now);
        ffi::Py_DECREF(now);
        result
    }
}

/// A function whose last argument, at `nth`, is a local time, which is now if it is left out.
unsafe fn of_local_time(original: &Original, nth: isize, module: Object, arguments: Object) -> Object {
    // SAFETY: as for `of_seconds`.
    unsafe {
        if ffi::PyTuple_Size(arguments) != nth || thread::controlled_thread().is_none() {
            return original.call(module, arguments.cast(), ptr::null_mut());
        }
        let none = ffi::PyTuple_New(0);
        let now = of_seconds(&LOCALTIME, module, none);
        ffi::Py_XDECREF(none);
        if now.is_null() {
            return now;
        }
        let with_now = match nth {
            0 => ffi::PyTuple_Pack(1, now),
            _ => ffi::PyTuple_Pack(2, ffi::PyTuple_GetItem(arguments, 0), now),
        };
        let result = original.call(module, with_now.cast(), ptr::null_mut());
        ffi::Py_XDECREF(with_now);
        ffi::Py_DECREF(now);
        result
    }
}

unsafe extern "C" fn localtime(module: Object, a: *mut c_void, _: *mut c_void) -> Object {
    // SAFETY: called through the function's definition with a tuple.
    unsafe { of_seconds(&LOCALTIME, module, a.cast()) }
}

unsafe extern "C" fn gmtime(module: Object, a: *mut c_void, _: *mut c_void) -> Object {
    // SAFETY: as for `localtime`.
    unsafe { of_seconds(&GMTIME, module, a.cast()) }
}

unsafe extern "C" fn ctime(module: Object, a: *mut c_void, _: *mut c_void) -> Object {
    // SAFETY: as for `localtime`.
    unsafe { of_seconds(&CTIME, module, a.cast()) }
}

unsafe extern "C" fn strftime(module: Object, a: *mut c_void, _: *mut c_void) -> Object {
    // SAFETY: as for `localtime`.
    unsafe { of_local_time(&STRFTIME, 1, module, a.cast()) }
}

unsafe extern "C" fn asctime(module: Object, a: *mut c_void, _: *mut c_void) -> Object {
    // SAFETY: as for `localtime`.
    unsafe { of_local_time(&ASCTIME, 0, module, a.cast()) }
}

/// Which clock `clock_gettime` was asked for. Some versions get a tuple.
unsafe fn clock_of(argument: Object) -> Option<libc::clockid_t> {
    // SAFETY: a live object.
    unsafe {
        let is_tuple = ffi::PyTuple_CheckExact(argument) != 0 && ffi::PyTuple_Size(argument) == 1;
        let id = if is_tuple { ffi::PyTuple_GetItem(argument, 0) } else { argument };
        if ffi::PyLong_CheckExact(id) == 0 {
            return None;
        }
        let clock = ffi::PyLong_AsLong(id);
        ffi::PyErr_Clear();
        libc::clockid_t::try_from(clock).ok()
    }
}

/// What the clock shows that the program has asked for: exactly, or the real time and how much is to be added to it. The
/// clocks of the processor do not go on while threads wait.
unsafe fn asked_for(argument: Object) -> (Option<i64>, i64) {
    // SAFETY: a live object.
    match unsafe { clock_of(argument) } {
        None | Some(libc::CLOCK_PROCESS_CPUTIME_ID | libc::CLOCK_THREAD_CPUTIME_ID) => (None, 0),
        Some(clock) => match now(clock) {
            None => (None, look()),
            exact => (exact, 0),
        },
    }
}

unsafe extern "C" fn clock_gettime(module: Object, a: *mut c_void, b: *mut c_void) -> Object {
    // SAFETY: called through the function's definition; the original returns a new float, or null.
    unsafe {
        let (exact, ahead) = asked_for(a.cast());
        if let Some(exact) = exact {
            return ffi::PyFloat_FromDouble(exact as f64 / 1e9);
        }
        let real = CLOCK_GETTIME.call(module, a, b);
        if real.is_null() || ahead == 0 {
            return real;
        }
        let moved = ffi::PyFloat_FromDouble(ffi::PyFloat_AsDouble(real) + ahead as f64 / 1e9);
        ffi::Py_DECREF(real);
        moved
    }
}

unsafe extern "C" fn clock_gettime_ns(module: Object, a: *mut c_void, b: *mut c_void) -> Object {
    // SAFETY: as for `clock_gettime`, with an int.
    unsafe {
        let (exact, ahead) = asked_for(a.cast());
        if let Some(exact) = exact {
            return ffi::PyLong_FromLongLong(exact);
        }
        let real = CLOCK_GETTIME_NS.call(module, a, b);
        if real.is_null() || ahead == 0 {
            return real;
        }
        let moved = ffi::PyLong_FromLongLong(ffi::PyLong_AsLongLong(real).saturating_add(ahead));
        ffi::Py_DECREF(real);
        moved
    }
}

/// Replaces the C functions of this process for good; while nothing is recorded they pass everything on.
///
/// # Errors
/// When a name that every supported interpreter has is missing.
pub fn install(py: Python<'_>) -> PyResult<()> {
    let module = py.import("time")?.into_any();
    replace(&module, "sleep", &SLEEP, sleep as *const () as usize)?;
    let others: [(&str, &Original, usize); 13] = [
        ("time", &TIME, time as *const () as usize),
        ("monotonic", &MONOTONIC, monotonic as *const () as usize),
        ("perf_counter", &PERF_COUNTER, perf_counter as *const () as usize),
        ("time_ns", &TIME_NS, time_ns as *const () as usize),
        ("monotonic_ns", &MONOTONIC_NS, monotonic_ns as *const () as usize),
        ("perf_counter_ns", &PERF_COUNTER_NS, perf_counter_ns as *const () as usize),
        ("localtime", &LOCALTIME, localtime as *const () as usize),
        ("gmtime", &GMTIME, gmtime as *const () as usize),
        ("ctime", &CTIME, ctime as *const () as usize),
        ("strftime", &STRFTIME, strftime as *const () as usize),
        ("asctime", &ASCTIME, asctime as *const () as usize),
        ("clock_gettime", &CLOCK_GETTIME, clock_gettime as *const () as usize),
        ("clock_gettime_ns", &CLOCK_GETTIME_NS, clock_gettime_ns as *const () as usize),
    ];
    others.into_iter().try_for_each(|(name, original, with)| replace(&module, name, original, with))
}
