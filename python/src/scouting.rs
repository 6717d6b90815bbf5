//! What a scout learns of the I/O library: what was changed outside the process, or connected to, whoever did it.
//!
//! Model: the interpreter's audit events tell of what Python code does. C code that a program loads connects to servers and
//! makes files without a word, other than to libc.
//!
//! Not here: what an execution does (io), where the program is forked (Python's `_checkpoint`).

use crate::shim::{self, DONE, IoEvent, kind};
use pyo3::prelude::*;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::sync::Mutex;

/// The absolute paths of what was made, renamed or removed; `None` for what is no file.
static CHANGED: Mutex<Vec<Option<OsString>>> = Mutex::new(Vec::new());

/// Takes note of what the calling thread changes outside from now on.
#[pyfunction]
pub fn scout_outside() {
    shim::register(note);
    shim::control(true);
}

/// The paths of what has been changed since [`scout_outside`]; `None` for a connection.
#[pyfunction]
pub fn changed_outside() -> Vec<Option<OsString>> {
    CHANGED.lock().map(|changed| changed.clone()).unwrap_or_default()
}

/// The library's callback.
unsafe extern "C" fn note(event: *const IoEvent) -> u32 {
    // SAFETY: the library passes a valid event.
    let event = unsafe { &*event };
    let is_change = match event.kind {
        kind::CONNECT => true,
        kind::WRITE => event.resource().starts_with(b"socket:"),
        kind::OPEN
        | kind::BIND
        | kind::RENAME
        | kind::UNLINK
        | kind::LINK
        | kind::MAKE_DIRECTORY
        | kind::REMOVE_DIRECTORY
        | kind::CHANGE => event.access & shim::WRITES != 0 && event.file().is_some(),
        _ => false,
    };
    if event.phase == shim::BEFORE
        && is_change
        && let Ok(mut changed) = CHANGED.lock()
    {
        changed.push(event.file().map(|_| OsStr::from_bytes(event.path()).to_owned()));
    }
    DONE
}
