//! Races: two accesses of one location by two threads that nothing orders but their own conflict.
//!
//! # Model
//! The two conflict, belong to different threads, are accesses of data (not of locks and the like), and no
//! chain of other events leads from one to the other; inside opaque blocks that may be a lock given back behind the
//! first access and taken before the second one. In the recorded order one of them came first; another
//! order of the same program has them the other way round.
//!
//! # Not here
//! Whether the race matters: `Analysis::alternatives` are the executions in which it goes the other way.

use crate::describe;
use crate::happens_before::covered_by;
use crate::kind;
use crate::trace::Trace;
use frontrun_formats::{Location, ObjectId, Operation, Part, SiteId, ThreadPath};
use std::collections::BTreeMap;
use std::ops::Range;

/// Two accesses that race.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Race {
    /// The access that came first in the recorded order.
    pub first: Access,
    /// The other one.
    pub second: Access,
    /// What both touch.
    pub location: Location,
    /// The same as text.
    pub location_text: String,
    /// How many pairs of events race at these two sites on this kind of location.
    pub occurrences: usize,
    /// Locks that both threads held. A common lock does not order what happens under it only when it was given
    /// away in between, so this is almost always empty.
    pub common_locks: Vec<ObjectId>,
}

/// One side of a race.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Position in the execution.
    pub event: usize,
    /// Who.
    pub thread: ThreadPath,
    /// Where in the source.
    pub site: SiteId,
    /// Whether it writes the location.
    pub writes: bool,
    /// What it does, e.g. `writes`.
    pub action: &'static str,
    /// Locks that the thread held.
    pub locks: Vec<ObjectId>,
}

/// What tells races apart: the sites in a fixed order, and the kind of location.
type Key = (SiteId, SiteId, u8, Option<u32>);

/// The races of a trace, in the order of their second accesses.
pub(crate) fn races(trace: &Trace) -> Vec<Race> {
    let mut found: Vec<Race> = Vec::new();
    let mut known: BTreeMap<Key, usize> = BTreeMap::new();
    let locks = Locks::of(trace);
    for later in 0..trace.nodes.len() {
        for earlier in covered_by(trace, later) {
            if trace.nodes[earlier].subject.thread == trace.nodes[later].subject.thread {
                continue;
            }
            let Some((location, first, second)) = conflict(trace, earlier, later) else { continue };
            if synchronised(trace, (earlier, first), (later, second)) {
                continue;
            }
            let key = key(trace, first, second, location);
            if let Some(at) = known.get(&key) {
                found[*at].occurrences += 1;
                continue;
            }
            known.insert(key, found.len());
            let first = access(trace, earlier, first, location, &locks);
            let second = access(trace, later, second, location, &locks);
            found.push(Race {
                common_locks: first
                    .locks
                    .iter()
                    .filter(|lock| second.locks.contains(lock))
                    .copied()
                    .collect(),
                first,
                second,
                location,
                location_text: describe::location(trace.execution, location),
                occurrences: 1,
            });
        }
    }
    found
}

/// Where two nodes access data in conflict, and the events that do it.
fn conflict(trace: &Trace, first: usize, second: usize) -> Option<(Location, usize, usize)> {
    let accesses = |node: usize| trace.accesses(&trace.nodes[node].subject);
    accesses(first).iter().find_map(|x| {
        accesses(second).iter().filter(|y| x.conflicts(**y)).find_map(|y| {
            let location = trace.locations.name(if x.whole { y.location } else { x.location });
            Some((location, event(trace, first, location)?, event(trace, second, location)?))
        })
    })
}

/// Whether something that the first block gives behind its access, such as a lock, is taken by the other one before its
/// own access. Each side is a node with one of its events.
fn synchronised(trace: &Trace, first: (usize, usize), second: (usize, usize)) -> bool {
    let accesses = |(node, _): (usize, usize), events: Range<usize>| {
        let subject = &trace.nodes[node].subject;
        let possible = move |event: usize| {
            let operation = &trace.execution.events[event].operation;
            (!operation.is_access()).then(|| kind::possible(operation, subject.id, true))
        };
        events.filter_map(possible).flatten()
    };
    let unit = |(node, _): (usize, usize)| trace.units.events(trace.nodes[node].unit);
    let taken: Vec<_> = accesses(second, unit(second).start..second.1).collect();
    !taken.is_empty()
        && accesses(first, first.1 + 1..unit(first).end)
            .any(|(at, write)| taken.iter().any(|(other, also)| (write || *also) && other.overlaps(at)))
}

/// The event of a node that accesses the location: of a block the first that may write it, or else touches it.
fn event(trace: &Trace, node: usize, location: Location) -> Option<usize> {
    let node = &trace.nodes[node];
    let operation = |event: &usize| &trace.execution.events[*event].operation;
    if !node.subject.opaque {
        return Some(node.event).filter(|event| operation(event).is_access());
    }
    let touches = |event: &usize, written: bool| {
        let possible = kind::possible(operation(event), node.subject.id, true);
        operation(event).is_access()
            && possible.iter().any(|(at, write)| at.overlaps(location) && (*write || !written))
    };
    let mut events = trace.units.events(node.unit);
    events.clone().find(|event| touches(event, true)).or_else(|| events.find(|event| touches(event, false)))
}

fn key(trace: &Trace, earlier: usize, later: usize, location: Location) -> Key {
    let site = |event: usize| trace.execution.events[event].site;
    let (a, b) = (site(earlier).min(site(later)), site(earlier).max(site(later)));
    let (kind, name) = match location.part {
        Part::Whole => (0, None),
        Part::Shape => (1, None),
        Part::State => (2, None),
        Part::Name(name) => (3, Some(name.0)),
        Part::Key(_) => (4, None),
        Part::Index(_) => (5, None),
        Part::Generation | Part::Notified(_) | Part::Started(_) | Part::Ended(_) => (6, None),
    };
    (a, b, kind, name)
}

/// The side of a race that an event of a node is.
fn access(trace: &Trace, node: usize, event: usize, location: Location, locks: &Locks) -> Access {
    let subject = &trace.nodes[node].subject;
    let writes = trace
        .accesses(subject)
        .iter()
        .any(|access| access.write && trace.locations.name(access.location).overlaps(location));
    Access {
        event,
        thread: trace.execution.path(subject.id).cloned().unwrap_or_default(),
        site: trace.execution.events[event].site,
        writes,
        action: describe::verb(&trace.execution.events[event].operation),
        locks: locks.held(event, subject.id.index()),
    }
}

/// Who held which lock when.
struct Locks {
    /// By thread: event, lock, whether it is taken.
    changes: Vec<Vec<(usize, ObjectId, bool)>>,
}

impl Locks {
    fn of(trace: &Trace) -> Locks {
        let mut changes = vec![Vec::new(); trace.execution.threads.len()];
        let mut owner: BTreeMap<ObjectId, usize> = BTreeMap::new();
        for (position, event) in trace.execution.events.iter().enumerate() {
            let thread = event.thread.index();
            match event.operation {
                Operation::Acquire { lock }
                | Operation::ConditionWake { lock, .. }
                | Operation::ConditionWakeTimed { lock, .. } => {
                    changes[thread].push((position, lock, true));
                    owner.insert(lock, thread);
                }
                Operation::TryAcquire { lock } if event.result == 1 => {
                    changes[thread].push((position, lock, true));
                    owner.insert(lock, thread);
                }
                // A lock may be given back by another thread than the one that took it.
                Operation::Release { lock }
                | Operation::ReleaseAndSet { lock, .. }
                | Operation::ConditionWait { lock, .. } => {
                    if let Some(owner) = owner.remove(&lock) {
                        changes[owner].push((position, lock, false));
                    }
                }
                _ => {}
            }
        }
        Locks { changes }
    }

    /// The locks that the thread held at an event, in the order in which it took them.
    fn held(&self, event: usize, thread: usize) -> Vec<ObjectId> {
        let mut held: Vec<ObjectId> = Vec::new();
        for (position, lock, taken) in &self.changes[thread] {
            if *position >= event {
                break;
            }
            held.retain(|other| other != lock);
            if *taken {
                held.push(*lock);
            }
        }
        held
    }
}
