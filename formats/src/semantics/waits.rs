//! Who could end a wait, and what kind of standstill it is when nobody can go on.
//!
//! Model: a thread that waits for a lock waits for its owner, and one that joins for the end of the other. All else that
//! is waited for (a notification, a flag, an item, a permit) nobody in particular is going to give. A loop that waits by
//! reading is a thread that runs, in reality: where one is among those that cannot go on and nobody waits in a circle or
//! for a lock whose owner has ended, the program does not stand still, it gets nowhere.
//!
//! Not here: where locks were taken, what came too early (the analyzer).

use super::{State, state_of};
use crate::id::{ObjectId, ThreadId};
use crate::location::{Location, Part};
use crate::operation::Operation;

/// What a wait hangs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A lock, and the number that its owner has.
    Lock(ObjectId, Option<ThreadId>),
    /// The end of a thread.
    End(ThreadId),
    /// What nobody holds.
    Gift,
}

impl Wanted {
    /// The one thread that could end the wait.
    pub fn holder(self) -> Option<ThreadId> {
        match self {
            Wanted::Lock(_, owner) => owner,
            Wanted::End(thread) => Some(thread),
            Wanted::Gift => None,
        }
    }
}

/// What `operation` of `thread`, which is not enabled in this state, waits for.
pub fn wanted(operation: &Operation, thread: ThreadId, state: &impl State) -> Wanted {
    // An owner is kept as its number plus 1; a lock that was taken before the first event has another value.
    let lock = |id| {
        let owner = state.value(state_of(id)).int() - 1;
        Wanted::Lock(id, u32::try_from(owner).ok().map(ThreadId))
    };
    match *operation {
        Operation::Acquire { lock: id } | Operation::ConditionWakeTimed { lock: id, .. } => lock(id),
        Operation::ConditionWake { condition, lock: id }
            if state.value(Location::new(condition, Part::Notified(thread))).int() != 0 =>
        {
            lock(id)
        }
        Operation::Join { thread } => Wanted::End(thread),
        _ => Wanted::Gift,
    }
}

/// Whether an operation waits by reading, in a loop of the program. One that waits for nothing but keys of servers
/// (`is_served`) has asked the server to wait.
pub fn loops(operation: &Operation, is_served: impl Fn(ObjectId) -> bool) -> bool {
    match operation {
        Operation::AwaitChange { of } => !of.iter().all(|at| is_served(at.object)),
        Operation::ResumeOnChange { .. } => true,
        _ => false,
    }
}

/// Whether threads of which none is enabled are a livelock: one of them loops, and what keeps the others is neither a
/// circle of waits nor a lock whose owner has ended. `exists` says whether there ever was such a thread.
pub fn is_livelock(
    waiting: &[(ThreadId, &Operation)],
    exists: impl Fn(ThreadId) -> bool,
    is_served: impl Fn(ObjectId) -> bool,
    state: &impl State,
) -> bool {
    let of = |thread: ThreadId| waiting.iter().find(|(waits, _)| *waits == thread);
    let keeps = |&(thread, operation): &(ThreadId, &Operation)| wanted(operation, thread, state);
    // Each thread waits for one other at most, so a walk that is longer than there are threads goes round.
    let is_jammed = |from: &(ThreadId, &Operation)| {
        let mut at = *from;
        for _ in 0..=waiting.len() {
            let wanted = keeps(&at);
            let Some(holder) = wanted.holder().filter(|holder| exists(*holder)) else { return false };
            match of(holder) {
                Some(next) => at = *next,
                None => return matches!(wanted, Wanted::Lock(..)),
            }
        }
        true
    };
    waiting.iter().any(|(_, operation)| loops(operation, &is_served)) && !waiting.iter().any(is_jammed)
}
