//! The abstract state at any cut of an execution.
//!
//! # Model
//! A location holds what the last write inside the cut left there; writes of one location are ordered by
//! happens-before, so "last" does not depend on the order in which the cut is executed. What is written to the
//! whole of an object is written to each part.

use crate::changes::Asking;
use crate::index::Rows;
use crate::locations::Locations;
use crate::simulation::Simulation;
use frontrun_formats::semantics::{State, Value};
use frontrun_formats::{Execution, Location, Part, ThreadId};
use std::ops::Range;

/// The values that nodes left, by location and thread.
#[derive(Debug, Default)]
pub(crate) struct History {
    rows: Rows,
    /// In execution order: index of the node in its thread, and the value.
    entries: Vec<(u32, Value)>,
    initial: Vec<Option<(u32, Value)>>,
}

impl History {
    /// `nodes` are the relevant units in execution order: events, thread, index among the thread's nodes.
    pub(crate) fn new(
        execution: &Execution,
        simulation: &Simulation,
        nodes: impl Iterator<Item = (Range<usize>, usize, u32)>,
        locations: &mut Locations,
        width: usize,
    ) -> History {
        let mut entries = Vec::new();
        let mut places = Vec::new();
        let mut written = simulation.written.iter().peekable();
        for (events, thread, index) in nodes {
            while written.next_if(|written| (written.event as usize) < events.start).is_some() {}
            while let Some(value) = written.next_if(|written| (written.event as usize) < events.end) {
                let location = locations.intern(simulation.locations.name(value.location));
                places.push(location * width as u32 + thread as u32);
                entries.push((index, value.value.clone()));
            }
        }
        let mut initial = Vec::new();
        for (order, (at, value)) in execution.initial.iter().enumerate() {
            let named = match at.part {
                Part::Key(_) | Part::Name(_) | Part::Index(_) => locations.number(*at).is_some(),
                _ => locations.object(at.object).is_some(),
            };
            if named {
                let location = locations.intern(*at) as usize;
                initial.resize(initial.len().max(location + 1), None);
                initial[location] = Some((order as u32, value.clone()));
            }
        }
        initial.resize(locations.len(), None);
        let pairs = places.iter().enumerate().map(|(entry, place)| (*place, entry as u32));
        let rows = if entries.is_empty() { 0 } else { locations.len() * width };
        History { rows: Rows::new(rows, pairs), entries, initial }
    }

    /// The last entry of the location inside the cut.
    fn last(&self, location: u32, cut: &[u32]) -> Option<u32> {
        if self.entries.is_empty() {
            return None;
        }
        let rows = location as usize * cut.len();
        (0..cut.len())
            .filter_map(|thread| {
                let row = self.rows.row(rows + thread);
                let inside = row.partition_point(|entry| self.entries[*entry as usize].0 < cut[thread]);
                row[..inside].last().copied()
            })
            .max()
    }
}

/// The state behind a cut, and behind one more operation that left the values `after`.
pub(crate) struct CutState<'t> {
    pub(crate) asking: Asking<'t>,
    pub(crate) history: &'t History,
    pub(crate) locations: &'t Locations,
    pub(crate) cut: &'t [u32],
    pub(crate) after: &'t [(Location, Value)],
}

impl State for CutState<'_> {
    fn value(&self, at: Location) -> Value {
        let hides = |(written, _): &&(Location, Value)| {
            *written == at || written.overlaps(at) && !at.part.is_awaited()
        };
        if let Some((_, value)) = self.after.iter().rev().find(hides) {
            return value.clone();
        }
        let history = self.history;
        let own = self.locations.number(at);
        let whole = self.locations.whole_around(at);
        let last = |location: Option<u32>| location.and_then(|location| history.last(location, self.cut));
        if let Some(entry) = last(own).max(last(whole)) {
            return history.entries[entry as usize].1.clone();
        }
        let first = |location: Option<u32>| history.initial[location? as usize].as_ref();
        match (first(own), first(whole)) {
            (Some((own, value)), Some((whole, _))) if own > whole => value.clone(),
            (_, Some((_, value))) | (Some((_, value)), None) => value.clone(),
            (None, None) => Value::Int(0),
        }
    }

    /// Those who ask have not executed the one more operation themselves.
    fn has_changed(&self, at: Location, thread: ThreadId) -> bool {
        self.after.iter().any(|(written, _)| written.overlaps(at))
            || self.asking.has_changed(at, thread, self.cut)
    }
}
