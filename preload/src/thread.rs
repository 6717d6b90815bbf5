//! What the shim knows of the calling thread, in two constant-initialised thread-local cells without destructor.
//!
//! For a preloaded library these live in the static TLS block, which exists as soon as the thread does: touching
//! them allocates nothing and registers nothing, at any moment of the thread's life.

use std::cell::Cell;

thread_local! {
    /// Whether shim code is running in this thread.
    static GUARD: Cell<bool> = const { Cell::new(false) };
    /// Whether the listener wants this thread's events.
    static CONTROLLED: Cell<bool> = const { Cell::new(false) };
}

/// Enters the shim: false when this thread is inside already, and the caller must only forward.
pub fn enter() -> bool {
    !GUARD.replace(true)
}

/// Leaves the shim.
pub fn leave() {
    GUARD.set(false);
}

/// Whether this thread is inside the shim.
pub fn inside() -> bool {
    GUARD.get()
}

/// Whether this thread's events go to the registered callback.
pub fn controlled() -> bool {
    CONTROLLED.get()
}

/// Sets whether they do; returns the previous value.
pub fn control(on: bool) -> bool {
    CONTROLLED.replace(on)
}
