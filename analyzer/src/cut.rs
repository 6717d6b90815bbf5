//! Cuts: how many events of each thread are inside, as a vector by thread rank.
//!
//! A cut is down-closed under happens-before. A clock is the same kind of vector: the past of an event,
//! including the event itself.

use smallvec::SmallVec;

/// Events of each thread that are inside.
pub(crate) type Cut = SmallVec<[u32; 16]>;

/// Adds everything inside `other`.
pub(crate) fn join(cut: &mut [u32], other: &[u32]) {
    for (mine, theirs) in cut.iter_mut().zip(other) {
        *mine = (*mine).max(*theirs);
    }
}

/// Whether every event that is in `cut` but not in `without` is in `clock`.
pub(crate) fn covered(cut: &[u32], without: &[u32], clock: &[u32]) -> bool {
    cut.iter().zip(without).zip(clock).all(|((cut, without), clock)| cut <= without || clock >= cut)
}
