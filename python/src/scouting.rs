//! What a program changes outside before it is forked, where audit events do not tell: in C code that ctypes has loaded.
//!
//! Not here: the scout, and its audit events (package `frontrun`, `_checkpoint`).

use crate::io;
use crate::shim::{self, BEFORE, DONE, IoEvent};
use pyo3::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};

static HAS_TOUCHED: AtomicBool = AtomicBool::new(false);

/// Has what the calling thread changes outside noted, in a process that will not begin a run.
#[pyfunction]
pub fn note_touches() {
    shim::register(told);
    shim::control(true);
}

/// Whether anything outside has been changed since then.
#[pyfunction]
pub fn has_touched() -> bool {
    HAS_TOUCHED.load(Ordering::Relaxed)
}

/// The library's callback.
unsafe extern "C" fn told(event: *const IoEvent) -> u32 {
    // SAFETY: the library passes a valid event.
    let event = unsafe { &*event };
    if event.phase == BEFORE && io::changes(event) {
        HAS_TOUCHED.store(true, Ordering::Relaxed);
    }
    DONE
}
