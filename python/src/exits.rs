//! `os._exit`, which ends the program from any thread, without a word to the others.
//!
//! Not here: who still runs before (the gate), the end of the main thread (serving).

use crate::replaced::{Object, Original, replace};
use crate::{controlled, run};
use frontrun_formats::{Failure, FailureKind, Outcome, ThreadId};
use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::{c_int, c_void};

static EXIT: Original = Original::new();

/// `_exit(status)`, called with a vector of arguments.
unsafe extern "C" fn exit(
    module: Object,
    arguments: *mut c_void,
    count: *mut c_void,
    keywords: *mut c_void,
) -> Object {
    // SAFETY: called through the function's definition; `arguments` holds `count` borrowed objects.
    unsafe {
        if let Some(me) = controlled::visible_thread()
            && count as usize == 1
            && ffi::PyLong_CheckExact(*arguments.cast::<Object>()) != 0
        {
            let status = ffi::PyLong_AsLong(*arguments.cast::<Object>());
            if let Ok(status) = c_int::try_from(status)
                && ffi::PyErr_Occurred().is_null()
            {
                end(me, status);
            }
            ffi::PyErr_Clear();
        }
        EXIT.call_all(module, arguments, count, keywords, std::ptr::null_mut())
    }
}

/// Ends the run with what the status means, and then the process, of which nothing is flushed.
fn end(me: ThreadId, status: c_int) -> ! {
    run::leave_program(me);
    // SAFETY: the calling thread holds the turn and the lock; the path is cloned out.
    let thread = unsafe { run::get() }.map(|run| run.gate.path(me).clone());
    let message = format!("the program exited with code {} (os._exit)", status & 0xff);
    run::finish(match status & 0xff {
        0 => Outcome::Passed,
        _ => {
            let kind = FailureKind::ExitCode;
            Outcome::Failed(Failure { kind, message, thread, details: String::new() })
        }
    });
    // SAFETY: ends the process.
    unsafe { libc::_exit(status) }
}

/// Replaces the C function of this process for good; while nothing is recorded it passes everything on.
///
/// # Errors
/// When a name that every supported interpreter has is missing.
pub fn install(py: Python<'_>) -> PyResult<()> {
    replace(&py.import("posix")?.into_any(), "_exit", &EXIT, exit as *const () as usize)
}
