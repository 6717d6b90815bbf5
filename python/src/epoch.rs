//! Which run of this process is under way. What belongs to an earlier one is thereby known to be stale.
//!
//! A forked execution is the only run of its process. A program that is run in the caller's own process may be followed
//! by another one, may leave threads behind that could not be ended, and may leave functions behind that have hooks.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

const FIRST: u32 = 1;
static EPOCH: AtomicU32 = AtomicU32::new(FIRST);

/// The number of the run.
#[inline]
pub fn current() -> u32 {
    EPOCH.load(Ordering::Relaxed)
}

/// Whether a run of this process is over and others may follow, so that a thread can belong to one that is.
#[inline]
pub fn has_advanced() -> bool {
    EPOCH.load(Ordering::Relaxed) != FIRST
}

/// Makes everything stale that belongs to the run so far.
pub fn advance() {
    EPOCH.fetch_add(1, Ordering::Relaxed);
}

/// A number that is good for one run.
pub struct Numbered(AtomicU64);

impl Numbered {
    /// No number yet.
    pub const fn new() -> Self {
        Numbered(AtomicU64::new(0))
    }

    /// The number, if it was set in this run.
    #[inline]
    pub fn get(&self) -> Option<u32> {
        let both = self.0.load(Ordering::Relaxed);
        ((both >> 32) as u32 == current()).then_some(both as u32)
    }

    /// Sets the number for this run.
    pub fn set(&self, number: u32) {
        self.0.store(u64::from(current()) << 32 | u64::from(number), Ordering::Relaxed);
    }
}
