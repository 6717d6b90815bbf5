//! How often a schedule takes the turn from a thread that could have gone on.
//!
//! Every event of a derived schedule also happened, or was pending, in the execution that it was derived from:
//! the nth unit of a thread there is its nth unit here. So the operations are known, and replaying them
//! abstractly tells at each switch whether the thread that lost the turn was enabled. The number is exact for
//! the given order, unless an opaque block does something else in it; an equivalent order may need fewer. The part after the schedule is not counted: there the
//! lowest thread goes first, whatever that costs.

use crate::state::AbstractState;
use frontrun_formats::{
    Execution, Location, ObjectId, Operation, Part, Schedule, State, ThreadId, ThreadPath, semantics,
};
use rustc_hash::FxHashMap;

/// What the threads of one execution did, unit by unit.
pub struct Preemptions<'e> {
    parent: &'e Execution,
    programs: FxHashMap<ThreadId, Vec<Vec<&'e Operation>>>,
    start: AbstractState,
}

impl<'e> Preemptions<'e> {
    /// Those of schedules that are derived from `parent`.
    pub fn of(parent: &'e Execution) -> Preemptions<'e> {
        let mut programs: FxHashMap<ThreadId, Vec<Vec<&Operation>>> = FxHashMap::default();
        for unit in parent.units() {
            let events = &parent.events[unit];
            let operations = events.iter().map(|event| &event.operation).collect();
            programs.entry(events[0].thread).or_default().push(operations);
        }
        for pending in &parent.pending {
            programs.entry(pending.thread).or_default().push(vec![&pending.operation]);
        }
        Preemptions { parent, programs, start: AbstractState::of(parent) }
    }

    /// How many `schedule` has. Where the parent does not tell what a thread does next, a switch away from it counts.
    pub fn count(&self, schedule: &Schedule) -> u32 {
        let threads = &self.parent.threads;
        let id = |path: &ThreadPath| {
            threads.iter().position(|info| info.path == *path).map(|number| ThreadId(number as u32))
        };
        let ids: Vec<Option<ThreadId>> = schedule.threads.iter().map(id).collect();
        let id_of = |thread: u32| ids.get(thread as usize).copied().flatten();
        let mut state = self.start.clone();
        let mut done: FxHashMap<ThreadId, usize> = FxHashMap::default();
        let next_of = |id: ThreadId, done: &FxHashMap<ThreadId, usize>| {
            self.programs.get(&id)?.get(done.get(&id).copied().unwrap_or(0))
        };
        let mut previous: Option<u32> = None;
        let mut preemptions = 0;
        for entry in &schedule.entries {
            if let Some(before) = previous.filter(|before| *before != entry.thread) {
                let could_go_on = id_of(before).is_none_or(|id| match next_of(id, &done) {
                    Some(operations) => semantics::enabled(operations[0], id, &state),
                    None => state.value(Location::new(ObjectId::THREADS, Part::Ended(id))).int() == 0,
                });
                preemptions += u32::from(could_go_on);
            }
            if let Some(id) = id_of(entry.thread) {
                for operation in next_of(id, &done).into_iter().flatten() {
                    state.execute(operation, id);
                }
                *done.entry(id).or_default() += 1;
            }
            previous = Some(entry.thread);
        }
        preemptions
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frontrun_formats::{Block, Event, ScheduleEntry, SiteId, ThreadInfo};

    fn count(schedule: &Schedule, parent: &Execution) -> u32 {
        Preemptions::of(parent).count(schedule)
    }

    const LOCK: ObjectId = ObjectId(0);

    fn execution(operations: &[(u32, Operation)]) -> Execution {
        let path = |n: u32| if n == 0 { ThreadPath::main() } else { ThreadPath::main().child(n - 1) };
        let threads = (0..3).map(|n| ThreadInfo { path: path(n), name: String::new() }).collect();
        let events = operations
            .iter()
            .map(|(thread, operation)| Event {
                thread: ThreadId(*thread),
                site: SiteId(0),
                operation: operation.clone(),
                result: 1,
                block: Block::Alone,
                gil_switch: true,
            })
            .collect();
        Execution { threads, events, ..Execution::default() }
    }

    fn order(threads: &[u32], of: &Execution) -> Schedule {
        let entry = |thread: &u32| ScheduleEntry {
            thread: *thread,
            expect: 0,
            head: true,
            opens_step: true,
            touches: 0,
        };
        Schedule {
            threads: of.threads.iter().map(|info| info.path.clone()).collect(),
            entries: threads.iter().map(entry).collect(),
            ..Schedule::default()
        }
    }

    #[test]
    fn leaving_a_blocked_or_ended_thread_is_no_preemption() {
        let of = execution(&[
            (0, Operation::Spawn { thread: ThreadId(1) }),
            (0, Operation::Join { thread: ThreadId(1) }),
            (1, Operation::Start),
            (1, Operation::End),
        ]);
        assert_eq!(count(&order(&[0, 1, 1, 0], &of), &of), 0);
    }

    #[test]
    fn leaving_a_thread_that_could_go_on_is_one() {
        let of = execution(&[
            (1, Operation::Acquire { lock: LOCK }),
            (1, Operation::Release { lock: LOCK }),
            (2, Operation::Acquire { lock: LOCK }),
            (2, Operation::Release { lock: LOCK }),
        ]);
        assert_eq!(
            count(&order(&[1, 1, 2, 2], &of), &of),
            1,
            "after its release, thread 1 is not known to end"
        );
        assert_eq!(count(&order(&[1, 2], &of), &of), 1);
        let blocked = execution(&[
            (1, Operation::Acquire { lock: LOCK }),
            (2, Operation::Pause),
            (2, Operation::Acquire { lock: LOCK }),
            (1, Operation::Release { lock: LOCK }),
        ]);
        assert_eq!(
            count(&order(&[1, 2, 1], &blocked), &blocked),
            1,
            "only thread 1 lost the turn while enabled"
        );
    }
}
