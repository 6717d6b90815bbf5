//! What every unit touched, in words that another execution would use of the same unit.
//!
//! # Model
//! A unit with the same past touches the same, in whichever execution it is: the alternatives of an execution rest on
//! that. So a schedule says of each unit that it repeats what it touched where it comes from
//! ([`frontrun_formats::ScheduleEntry::touches`]), and an execution in which that is different is refused: the
//! program hangs on time, chance, or something else that is not controlled.
//!
//! Objects and keys are numbered anew in each execution, and identifiers have other names. So an object is known by its
//! type and by how many others its thread had come upon before, and so is a key. How often and in which order a unit
//! touches things does not matter. Left out is
//!
//! * what lies outside the process: earlier executions have left files there, and to open one that exists touches less;
//! * in steps of tasks all but locks: whoever drops the last reference to a task makes weak sets forget it, and who that
//!   is hangs on the order of steps that touch nothing in common; and which of the connections to a server that is not
//!   followed are ready together hangs on the server.
//!
//! # Invariants
//! A fingerprint depends on nothing but what the unit's thread did up to the unit's end. Two units with different
//! fingerprints differ; that two are alike does not say that it is the same thread-local object they touched.

use crate::units::Units;
use crate::{describe, kind};
use frontrun_formats::execution::{is_of_a_loop, outside};
use frontrun_formats::{Execution, KeyId, Location, ObjectId, Operation, Part, ThreadId, location};
use rustc_hash::{FxHashMap, FxHasher};
use std::hash::{Hash, Hasher};
use std::ops::Range;

/// How many locations are listed.
const LISTED: usize = 4;

/// Of the first `count` units: the fingerprints of what they touched. Never 0.
pub(crate) fn fingerprints(execution: &Execution, units: &Units, count: usize) -> Vec<u32> {
    let mut words = Words { execution, known: FxHashMap::default(), counts: FxHashMap::default() };
    let mut touched: Vec<u64> = Vec::new();
    let mut next = |unit: usize| {
        touched.clear();
        let events = &execution.events[units.events(unit)];
        let of_a_loop = is_of_a_loop(events[0].operation.kind());
        for event in events.iter().filter(|event| !of_a_loop || is_of_a_lock(&event.operation)) {
            let possible = kind::possible(&event.operation, event.thread, false);
            touched.extend(possible.iter().filter_map(|(at, write)| words.word(event.thread, *at, *write)));
        }
        touched.sort_unstable();
        touched.dedup();
        (hash(&touched) >> 32) as u32 | 1
    };
    (0..count.min(units.len())).map(&mut next).collect()
}

fn is_of_a_lock(operation: &Operation) -> bool {
    matches!(operation, Operation::Acquire { .. } | Operation::TryAcquire { .. } | Operation::Release { .. })
}

/// What the events touched, for a reader: the first few locations.
pub(crate) fn listed(execution: &Execution, events: Range<usize>) -> String {
    let operations = execution.events[events].iter();
    let possible = operations.flat_map(|event| kind::possible(&event.operation, event.thread, false));
    let all = location::distinct(possible.map(|(at, _)| at));
    let named: Vec<String> = all.iter().take(LISTED).map(|at| describe::location(execution, *at)).collect();
    match (named.is_empty(), all.len().saturating_sub(LISTED)) {
        (true, _) => "nothing".to_owned(),
        (false, 0) => named.join(", "),
        (false, more) => format!("{} and {more} more", named.join(", ")),
    }
}

/// What has a number of its own in each execution.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Numbered {
    Object(ObjectId),
    Key(KeyId),
}

/// The words for locations.
struct Words<'e> {
    execution: &'e Execution,
    /// What each thread has come upon, and how much of it there was before.
    known: FxHashMap<(ThreadId, Numbered), u32>,
    counts: FxHashMap<ThreadId, u32>,
}

impl Words<'_> {
    /// `None` of what lies outside the process, where earlier executions leave things behind.
    fn word(&mut self, thread: ThreadId, at: Location, write: bool) -> Option<u64> {
        let execution = self.execution;
        let object = match at.object {
            ObjectId::THREADS => None,
            object => {
                let info = execution.objects.get(object.index());
                let type_name = info.map_or("", |info| execution.text(info.type_name));
                if outside::ALL.contains(&type_name) {
                    return None;
                }
                Some((self.number(thread, Numbered::Object(object)), type_name))
            }
        };
        let path = |thread: ThreadId| execution.path(thread);
        let part = match at.part {
            Part::Name(text) => hash(&execution.text(text)),
            Part::Key(key) => hash(&self.number(thread, Numbered::Key(key))),
            Part::Notified(thread) | Part::Started(thread) | Part::Ended(thread) => hash(&path(thread)),
            Part::Index(index) => index.into(),
            Part::Whole | Part::Shape | Part::State | Part::Generation => 0,
        };
        Some(hash(&(object, std::mem::discriminant(&at.part), part, write)))
    }

    fn number(&mut self, thread: ThreadId, of: Numbered) -> u32 {
        let count = self.counts.entry(thread).or_default();
        *self.known.entry((thread, of)).or_insert_with(|| {
            *count += 1;
            *count
        })
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = FxHasher::default();
    value.hash(&mut hasher);
    hasher.finish()
}
