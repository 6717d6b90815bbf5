//! Whether a location has been written since a thread last touched it, at any cut.
//!
//! # Model
//! A touch conflicts with each write, so whether a write comes before it does not depend on the order in which the
//! cut is executed: the location has changed exactly if some write inside the cut stands behind the thread's last
//! touch inside the cut in the recorded order.

use frontrun_formats::{Location, ThreadId};

/// For each location that somebody waits to be changed: by whom, and when, it was written and touched.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    awaited: Vec<Awaited>,
}

/// Nodes, in execution order: index in its thread, and position in the execution.
type Places = Vec<(u32, u32)>;

#[derive(Debug)]
struct Awaited {
    at: Location,
    /// By thread rank.
    writes: Vec<Places>,
    touches: Vec<Places>,
}

impl Changes {
    /// Follows these locations in a trace with so many threads.
    pub(crate) fn of(locations: Vec<Location>, width: usize) -> Changes {
        let follow = |at| Awaited { at, writes: vec![Vec::new(); width], touches: vec![Vec::new(); width] };
        Changes { awaited: locations.into_iter().map(follow).collect() }
    }

    /// Whether nobody waits for a change.
    pub(crate) fn is_empty(&self) -> bool {
        self.awaited.is_empty()
    }

    /// Takes note of an access of a node: of the thread with this rank, at this place.
    pub(crate) fn add(&mut self, rank: usize, place: (u32, u32), at: Location, write: bool) {
        for awaited in self.awaited.iter_mut().filter(|awaited| awaited.at.overlaps(at)) {
            awaited.touches[rank].push(place);
            if write {
                awaited.writes[rank].push(place);
            }
        }
    }

    /// Whether `at` has changed at the cut for the thread with this rank.
    pub(crate) fn has_changed(&self, at: Location, rank: usize, cut: &[u32]) -> bool {
        let Some(awaited) = self.awaited.iter().find(|awaited| awaited.at == at) else { return false };
        let last = |places: &Places, thread: usize| {
            let inside = places.partition_point(|(index, _)| *index < cut[thread]);
            places[..inside].last().map(|(_, position)| *position)
        };
        let written = (0..cut.len()).filter_map(|thread| last(&awaited.writes[thread], thread)).max();
        written > last(&awaited.touches[rank], rank)
    }
}

/// What a state behind a cut has to know to ask.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'t> {
    pub(crate) changes: &'t Changes,
    pub(crate) threads: &'t crate::threads::Threads,
}

impl Asking<'_> {
    /// See [`Changes::has_changed`].
    pub(crate) fn has_changed(&self, at: Location, thread: ThreadId, cut: &[u32]) -> bool {
        !self.changes.is_empty()
            && self.threads.rank(thread).is_ok_and(|rank| self.changes.has_changed(at, rank, cut))
    }
}
