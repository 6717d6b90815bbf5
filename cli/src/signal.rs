//! Signals: undoing what CPython did to them, and Ctrl-C as a request.
//!
//! CPython ignores SIGPIPE and turns SIGINT into a flag that only its interpreter loop looks at. Neither suits a
//! native command: output into a closed pipe should end it, and so should Ctrl-C.

use std::sync::atomic::{AtomicBool, Ordering};

/// Set by the first Ctrl-C after [`catch_interrupts`].
pub static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Restores the default actions of SIGPIPE and SIGINT.
pub fn restore_defaults() {
    set(libc::SIGPIPE, libc::SIG_DFL);
    set(libc::SIGINT, libc::SIG_DFL);
}

/// From now on the first Ctrl-C sets [`INTERRUPTED`], and the second one ends the process.
pub fn catch_interrupts() {
    INTERRUPTED.store(false, Ordering::Relaxed);
    set(libc::SIGINT, on_interrupt as *const () as libc::sighandler_t);
}

/// Leaves Ctrl-C to the program that was started in the foreground, as a shell does.
pub fn ignore_interrupts() {
    set(libc::SIGINT, libc::SIG_IGN);
    set(libc::SIGQUIT, libc::SIG_IGN);
}

extern "C" fn on_interrupt(_: libc::c_int) {
    INTERRUPTED.store(true, Ordering::Relaxed);
    set(libc::SIGINT, libc::SIG_DFL);
}

fn set(signal: libc::c_int, action: libc::sighandler_t) {
    // SAFETY: the action is a default constant or `on_interrupt`, which does nothing that is not allowed in a
    // signal handler: an atomic store and signal(2).
    unsafe { libc::signal(signal, action) };
}
