//! What the native side asks of Python when a run ends; hooks are silent meanwhile.

use crate::controlled;
use pyo3::prelude::*;

/// The stacks of all threads, as the Python side formats them; empty when it cannot.
pub fn describe_waiting() -> String {
    call_reporter("describe_waiting").unwrap_or_default()
}

/// Flushes the program's standard streams.
pub fn flush_output() {
    let _ = call_reporter("flush_output");
}

/// Calls a function of `frontrun._reporter` with hooks silent; the lock is held by the caller.
fn call_reporter(name: &str) -> Option<String> {
    // SAFETY: the calling thread holds the interpreter's lock.
    let py = unsafe { Python::assume_attached() };
    controlled::quiet();
    let result = py
        .import("frontrun._reporter")
        .and_then(|module| module.call_method0(name))
        .and_then(|text| text.extract::<Option<String>>());
    controlled::loud();
    match result {
        Ok(text) => text,
        Err(error) => {
            error.print(py);
            None
        }
    }
}
