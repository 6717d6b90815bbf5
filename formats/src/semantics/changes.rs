//! Which locations have been written since a thread last touched them, as an execution goes on.
//!
//! Model: only locations that some loop waits for ([`awaited`]) are followed. Every event has a number; a
//! location has changed for a thread when its last write is later than the thread's last touch. A location that a thread
//! has never touched has changed for it with the first write.

use super::Effect;
use crate::id::ThreadId;
use crate::location::Location;
use crate::operation::Operation;

/// The locations that an operation waits to be changed, also one that was given up.
pub fn awaited(operation: &Operation) -> &[Location] {
    match operation {
        Operation::AwaitChange { of } | Operation::ResumeOnChange { of, .. } => of,
        // What is given up is a wait, so this does not nest.
        Operation::Elapse { of } => awaited(of),
        _ => &[],
    }
}

/// Follows the changes of some locations.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    followed: Vec<Followed>,
    /// The number of the next event.
    now: u64,
}

#[derive(Clone, Debug)]
struct Followed {
    at: Location,
    written: Option<u64>,
    touched: Vec<(ThreadId, u64)>,
}

impl Changes {
    /// Follows these locations from the first event on.
    pub fn of(locations: impl IntoIterator<Item = Location>) -> Changes {
        let follow = |at| Followed { at, written: None, touched: Vec::new() };
        Changes { followed: locations.into_iter().map(follow).collect(), now: 0 }
    }

    /// Takes note of an event.
    pub fn executed(&mut self, thread: ThreadId, effect: &Effect) {
        self.now += 1;
        for followed in &mut self.followed {
            let hit = |at: &Location| at.overlaps(followed.at);
            let written = effect.writes.iter().any(hit);
            if written {
                followed.written = Some(self.now);
            }
            if written || effect.reads.iter().any(hit) {
                followed.touched.retain(|(other, _)| *other != thread);
                followed.touched.push((thread, self.now));
            }
        }
    }

    /// See [`super::State::has_changed`]. A location that is not followed has not.
    pub fn has_changed(&self, at: Location, thread: ThreadId) -> bool {
        let Some(followed) = self.followed.iter().find(|followed| followed.at == at) else { return false };
        let touched = followed.touched.iter().find(|(other, _)| *other == thread);
        followed.written > touched.map(|(_, number)| *number)
    }
}
