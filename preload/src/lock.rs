//! The one lock of the shim, for the descriptor table and the names.
//!
//! A spin lock, because the sections it guards are a few memory accesses and because a futex or pthread mutex
//! could not be given to a fork child. It cannot be met by its own holder: code that holds it has the thread's
//! guard set, and with the guard set a hook only forwards.

use crate::raw;
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, Ordering};

/// A value behind the lock.
pub struct Lock<T> {
    held: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached through `with` only, by one thread at a time; it moves between threads, which the
// types used here (plain data and raw pointers into mappings that are never unmapped) allow.
unsafe impl<T> Sync for Lock<T> {}

impl<T> Lock<T> {
    /// An open lock.
    pub const fn new(value: T) -> Self {
        Lock { held: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// Runs `body` with the value. `body` must not call anything that could be hooked or could block.
    pub fn with<R>(&self, body: impl FnOnce(&mut T) -> R) -> R {
        self.acquire();
        // SAFETY: the lock is held, so this is the only reference.
        let result = body(unsafe { &mut *self.value.get() });
        self.release();
        result
    }

    /// Takes the lock without a section, for `fork`.
    pub fn acquire(&self) {
        while self.held.swap(true, Ordering::Acquire) {
            raw::yield_now();
        }
    }

    /// Gives it back.
    pub fn release(&self) {
        self.held.store(false, Ordering::Release);
    }
}
