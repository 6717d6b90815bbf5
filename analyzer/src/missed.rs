//! What could have ended a wait, had it come at another time: a notification before anybody waited, a flag that was
//! cleared again, a permit that went to another thread.
//!
//! Model: a wait for a notification has *lost its wake-up* if what the thread had looked at before it waited was changed
//! afterwards and nobody notified it then, or if it had looked at nothing that changes and a notification came before it
//! waited. Only what was looked at with the lock held counts, which is where a thread decides to wait. Where a thread
//! waits for an event, it is that the event was set and cleared again.
//!
//! Not here: who holds what a thread waits for (deadlock).

use crate::describe;
use crate::simulation::Simulation;
use frontrun_formats::{Execution, Location, ObjectId, Operation, SiteId, ThreadId, ThreadPath};

/// Something that a thread did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// Who.
    pub thread: ThreadPath,
    /// Where in the source.
    pub site: SiteId,
    /// What.
    pub deed: Deed,
}

/// What a thread did to what another one waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// It notified a condition when nobody waited.
    NotifiedNobody,
    /// It notified a condition, and the notification went to this thread.
    NotifiedOther(ThreadPath),
    /// It set an event.
    Set,
    /// It cleared an event.
    Cleared,
    /// It took what there was: a permit, an item.
    Took,
    /// It changed this location.
    Changed(String),
}

/// What was missed by one wait, and whether its wake-up is lost.
#[derive(Debug, Default)]
pub(crate) struct Search {
    found: Vec<(usize, Deed)>,
    pub(crate) lost: bool,
}

impl Search {
    /// What was missed by `waiter`, which waits with `operation` at the end.
    pub(crate) fn new(
        execution: &Execution,
        simulation: &Simulation,
        waiter: ThreadId,
        operation: &Operation,
    ) -> Search {
        let mut search = Search::default();
        match *operation {
            Operation::ConditionWake { condition, lock } => {
                search.notifications(execution, simulation, waiter, (condition, lock));
            }
            Operation::EventWait { event } => search.flags(execution, event),
            Operation::SemaphoreAcquire { semaphore: object } | Operation::QueueGet { queue: object } => {
                search.takers(execution, object);
            }
            Operation::AwaitChange { ref of } | Operation::ResumeOnChange { ref of, .. } => {
                search.changes(execution, simulation, waiter, of)
            }
            _ => {}
        }
        search.found.sort_by_key(|(at, _)| *at);
        search
    }

    /// The findings in the order in which they happened.
    pub(crate) fn missed(self, execution: &Execution) -> Vec<Missed> {
        let missed = self.found.into_iter().map(|(at, deed)| {
            let event = &execution.events[at];
            Missed { thread: path(execution, event.thread), site: event.site, deed }
        });
        missed.collect()
    }

    fn notifications(
        &mut self,
        execution: &Execution,
        simulation: &Simulation,
        waiter: ThreadId,
        (condition, lock): (ObjectId, ObjectId),
    ) {
        let mut waiters: Vec<ThreadId> = Vec::new();
        let (mut wait, mut early, mut late) = (0, None, None);
        for (at, event) in execution.events.iter().enumerate() {
            match event.operation {
                Operation::ConditionWait { condition: of, .. } if of == condition => {
                    waiters.push(event.thread);
                    if event.thread == waiter {
                        (wait, late) = (at, None);
                    }
                }
                Operation::ConditionWakeTimed { condition: of, .. } if of == condition => {
                    waiters.retain(|thread| *thread != event.thread);
                }
                Operation::ConditionNotify { condition: of, count } if of == condition => {
                    let woken = waiters.len().min(count as usize);
                    let first = waiters.drain(..woken).next();
                    match first {
                        Some(first) if first != waiter => late = Some((at, first)),
                        None if !waiters.contains(&waiter) => early = Some(at),
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        let looked = looked_at(execution, simulation, waiter, lock, wait);
        let change = looked.iter().filter_map(|(read, location)| {
            let (at, by) = last_write(execution, simulation, waiter, *location, *read)?;
            Some((at, *location, by))
        });
        let change = change.filter(|(at, ..)| late.is_none_or(|(notified, _)| notified < *at)).max();
        if let Some((at, location, _)) = change {
            self.found.push((at, changed(execution, simulation, location)));
        }
        self.found.extend(early.map(|at| (at, Deed::NotifiedNobody)));
        self.found.extend(late.map(|(at, to)| (at, Deed::NotifiedOther(path(execution, to)))));
        self.lost = change.is_some() || looked.is_empty() && early.is_some();
    }

    fn flags(&mut self, execution: &Execution, event: ObjectId) {
        let last = |wanted: Operation| execution.events.iter().rposition(|at| at.operation == wanted);
        let Some(set) = last(Operation::EventSet { event }) else { return };
        self.found.push((set, Deed::Set));
        self.found.extend(
            last(Operation::EventClear { event }).filter(|at| *at > set).map(|at| (at, Deed::Cleared)),
        );
        self.lost = true;
    }

    fn takers(&mut self, execution: &Execution, object: ObjectId) {
        let takes = |operation: &Operation, result: u8| match *operation {
            Operation::SemaphoreAcquire { semaphore: of } | Operation::QueueGet { queue: of } => of == object,
            Operation::SemaphoreTry { semaphore: of } | Operation::QueueTryGet { queue: of } => {
                of == object && result == 1
            }
            _ => false,
        };
        let taker = execution.events.iter().rposition(|event| takes(&event.operation, event.result));
        self.found.extend(taker.map(|at| (at, Deed::Took)));
    }

    fn changes(&mut self, execution: &Execution, simulation: &Simulation, waiter: ThreadId, of: &[Location]) {
        let numbers = of.iter().filter_map(|at| simulation.locations.number(*at));
        let writes = numbers
            .filter_map(|number| Some((last_write(execution, simulation, waiter, number, 0)?, number)));
        let last = writes.max();
        self.found.extend(last.map(|((at, _), number)| (at, changed(execution, simulation, number))));
    }
}

/// What the thread read with the lock held before it waited at event `wait`, as far as anybody changes it: the event and
/// the number of the location.
fn looked_at(
    execution: &Execution,
    simulation: &Simulation,
    waiter: ThreadId,
    lock: ObjectId,
    wait: usize,
) -> Vec<(usize, u32)> {
    let takes = |operation: &Operation| match *operation {
        Operation::Acquire { lock: of }
        | Operation::TryAcquire { lock: of }
        | Operation::ConditionWake { lock: of, .. }
        | Operation::ConditionWakeTimed { lock: of, .. } => of == lock,
        _ => false,
    };
    let own = |at: &usize| execution.events[*at].thread == waiter;
    let taken = (0..wait).rev().filter(own).find(|at| takes(&execution.events[*at].operation));
    let reads =
        (taken.unwrap_or(wait)..wait).filter(own).filter(|at| execution.events[*at].operation.is_access());
    let reads =
        reads.flat_map(|at| simulation.accesses(at..at + 1).iter().map(move |access| (at, access.location)));
    let is_changed = |location: u32| {
        (0..execution.events.len()).any(|at| {
            execution.events[at].operation.is_access()
                && simulation
                    .accesses(at..at + 1)
                    .iter()
                    .any(|access| access.write && access.location == location)
        })
    };
    reads.filter(|(_, location)| is_changed(*location)).collect()
}

/// The last write of a location by another thread after the event `after`, and who made it.
fn last_write(
    execution: &Execution,
    simulation: &Simulation,
    waiter: ThreadId,
    location: u32,
    after: usize,
) -> Option<(usize, ThreadId)> {
    let writes = |at: &usize| {
        execution.events[*at].thread != waiter
            && simulation
                .accesses(*at..at + 1)
                .iter()
                .any(|access| access.write && access.location == location)
    };
    let at = (after..execution.events.len()).rev().find(writes)?;
    Some((at, execution.events[at].thread))
}

fn changed(execution: &Execution, simulation: &Simulation, location: u32) -> Deed {
    Deed::Changed(describe::location(execution, simulation.locations.at(location)))
}

fn path(execution: &Execution, thread: ThreadId) -> ThreadPath {
    execution.path(thread).cloned().unwrap_or_default()
}
