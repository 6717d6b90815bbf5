//! The gate at the end of the program, which does not wait for all threads.
//!
//! Model: a thread *leaves* when it would end the program: the main thread behind its last line, or whoever calls
//! `os._exit`. It does so only when no other thread is enabled, as if it had been late: so what the others, daemons
//! mostly, might have done before is done, and can conflict with what was done earlier. One that would go on for
//! ever is *left behind*: where it rests (sleeps, or gives up a wait) and has rested before, or after many steps.
//!
//! Invariant: a schedule's prefix is followed whether somebody is left behind or not.
//!
//! Not here: how the run ends then (the interpreter's side).

use super::Gate;
use frontrun_formats::ThreadId;
use rustc_hash::FxHashSet;

/// After so many steps behind the end of the program everybody is left behind.
const MOST_STEPS: u32 = 10_000;

/// Who has left, and who has rested where.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    left: Vec<ThreadId>,
    /// Steps that others have made since.
    steps: u32,
    rested: FxHashSet<(ThreadId, u32)>,
}

impl Leaving {
    /// The thread that ends the program.
    pub(super) fn first(&self) -> Option<ThreadId> {
        self.left.first().copied()
    }

    /// Counts a step.
    pub(super) fn count(&mut self) {
        self.steps += u32::from(!self.left.is_empty());
    }
}

impl Gate {
    /// Notes that `thread` has come to the end of the program. The next decision about it is [`Decision::Go`] when
    /// nobody else goes on.
    ///
    /// [`Decision::Go`]: super::Decision::Go
    pub fn leave(&mut self, thread: ThreadId) {
        self.threads[thread.index()].left = true;
        self.leaving.left.push(thread);
    }

    /// Notes that the next step of `thread`, at this place, takes time: it sleeps, or waits no longer than it can.
    pub fn rest(&mut self, thread: ThreadId, place: u32) {
        let is_new = self.leaving.rested.insert((thread, place));
        self.threads[thread.index()].rests_again = !is_new;
    }

    /// Whether the program ends without this thread, although it could go on.
    pub(super) fn is_left_behind(&self, thread: ThreadId) -> bool {
        !self.leaving.left.is_empty()
            && (self.threads[thread.index()].rests_again || self.leaving.steps > MOST_STEPS)
    }
}
