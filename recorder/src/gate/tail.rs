//! Who goes next behind the prefix of a schedule, where that is not the lowest enabled thread: see [`Tail`].
//!
//! Not here: how a thread is drawn among those that are enabled (`sampling`).
//!
//! [`Tail`]: frontrun_formats::Tail

use super::Gate;
use frontrun_formats::{Operation, ThreadId, semantics};

impl Gate {
    /// Who goes before the lowest thread if that is to clear an event: a thread that waits for the event, which has been set.
    /// It would be woken up by that, so it goes on before it could miss it.
    pub(super) fn first_to_notice(&self, lowest: ThreadId) -> ThreadId {
        let Some(&Operation::EventClear { event }) = self.threads[lowest.index()].announced.as_ref() else {
            return lowest;
        };
        let waits = |thread: &ThreadId| {
            self.threads[thread.index()].pending == Some(Operation::EventWait { event })
                && self.is_enabled(*thread)
        };
        self.order.iter().copied().find(waits).unwrap_or(lowest)
    }

    /// Draws one of the enabled threads, if there are any.
    pub(super) fn draw(&mut self) -> Option<ThreadId> {
        let enabled: Vec<ThreadId> =
            self.order.iter().copied().filter(|thread| self.is_enabled(*thread)).collect();
        if enabled.is_empty() {
            return None;
        }
        // Spawns and starts conflict with nobody else's steps. Doing them at once loses no class of executions, and
        // leaves all threads to draw from.
        let begins = |next: &Operation| matches!(next, Operation::Spawn { .. } | Operation::Start);
        if let Some(begun) = enabled.iter().copied().find(|thread| self.next_of(*thread).is_some_and(begins))
        {
            return Some(begun);
        }
        let mut draws = self.draws.take()?;
        let next = draws.draw(&enabled, |one, other| self.conflict(one, other));
        self.draws = Some(draws);
        Some(next)
    }

    /// The thread whose turn it is by the caller's list.
    pub(super) fn take_turn(&mut self) -> Option<ThreadId> {
        let enabled = |thread: &ThreadId| self.is_enabled(*thread);
        let is_main = |thread: &ThreadId| *thread == ThreadId(0);
        let begins_or_ends = |thread: &ThreadId| self.next_of(*thread).is_some_and(Operation::is_lifecycle);
        // What a task has its loop do, such as to wake it, is no step that the caller could name.
        let is_of_a_task = |thread: &ThreadId| {
            let resumes = self.next_of(*thread).is_some_and(Operation::resumes);
            resumes && self.threads[thread.index()].path.0.len() > 2
        };
        let first = |thread: &ThreadId| is_main(thread) || begins_or_ends(thread) || is_of_a_task(thread);
        if let Some(thread) = self.order.iter().copied().filter(enabled).find(first) {
            return Some(thread);
        }
        while let Some(path) = self.turns.pop_front() {
            let named = self.order.iter().copied().find(|thread| self.threads[thread.index()].path == path);
            if let Some(thread) = named.filter(|thread| self.is_enabled(*thread)) {
                return Some(thread);
            }
        }
        self.order.iter().copied().find(|thread| self.is_enabled(*thread))
    }

    /// Whether what two threads are about to do conflicts, as far as it is known.
    fn conflict(&self, one: ThreadId, other: ThreadId) -> bool {
        let effect =
            |thread: ThreadId| self.next_of(thread).map(|next| semantics::effect(next, thread, &self.state));
        effect(one).zip(effect(other)).is_some_and(|(one, other)| one.conflicts(&other))
    }
}
