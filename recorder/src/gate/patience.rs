//! Who gives up waiting, and when: only when no thread is enabled.
//!
//! Model: time passes when somebody gives up, and for all who wait: a thread gives up when it has waited for as long as it
//! is willing to, the first one first. So one that waits for a short time again and again does not keep another from
//! ever giving up.
//!
//! Not here: what time the program sees (the interpreter's side).

use super::{Decision, Gate, turn_of};
use frontrun_formats::ThreadId;
use std::time::Duration;

impl Gate {
    /// Nobody is enabled: time passes until the first thread gives up waiting. Which one that is must not hang on where
    /// each began to wait since somebody gave up last: executions of one class differ in that.
    pub(super) fn elapse(&mut self, me: ThreadId) -> Decision {
        let deadline = |thread: &ThreadId| self.threads[thread.index()].deadline;
        let waiting = self.order.iter().copied().filter(|thread| deadline(thread).is_some());
        let Some(next) = waiting.min_by_key(|thread| deadline(thread)) else { return Decision::Stuck };
        self.threads[next.index()].elapsed = true;
        turn_of(next, me)
    }

    /// Whether the thread's time has run out, so that it gives up its operation.
    pub fn has_elapsed(&self, thread: ThreadId) -> bool {
        self.threads[thread.index()].elapsed
    }

    /// How much time passes when the thread gives up: none if somebody else has waited as long already.
    pub fn time_until(&self, thread: ThreadId) -> Duration {
        let deadline = self.threads[thread.index()].deadline.filter(|deadline| *deadline < Duration::MAX);
        deadline.map_or(Duration::ZERO, |deadline| deadline.saturating_sub(self.now))
    }

    /// Lets the time pass that a thread has waited for which gives up now.
    pub(super) fn let_time_pass(&mut self, thread: ThreadId) {
        self.now = self.now.saturating_add(self.time_until(thread));
    }

    /// Who goes next where the schedule has `thread` give up waiting: `thread`, if nobody else can go on. Of others it may
    /// not be known yet that they have to wait: they go until they do. `None` if somebody could make a step.
    pub(super) fn wait_in_vain(&mut self, thread: ThreadId) -> Option<ThreadId> {
        self.threads[thread.index()].deadline?;
        let mut enabled = self.order.iter().copied().filter(|other| self.is_enabled(*other)).peekable();
        let Some(first) = enabled.peek().copied() else {
            self.threads[thread.index()].elapsed = true;
            return Some(thread);
        };
        enabled.all(|other| self.next_of(other).is_none()).then_some(first)
    }
}
