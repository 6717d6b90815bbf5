//! The exploration loop: run an item, take its children, until none is left.

use crate::machine::{self, Run};
use crate::program::Program;
use frontrun_analyzer::{Tuning, explore};
use frontrun_formats::{Schedule, semantics::Effect};
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// What an exploration found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub executions: usize,
    pub duplicates: usize,
    pub complete: BTreeSet<u64>,
    pub stuck: BTreeSet<u64>,
    pub outcomes: BTreeSet<u64>,
    pub classes: BTreeSet<u64>,
}

impl Found {
    /// The number of executions, of which so many are stuck, when nothing was explored twice.
    pub fn counts(&self) -> (usize, usize) {
        assert_eq!(self.executions, self.complete.len() + self.stuck.len(), "no duplicates");
        (self.complete.len(), self.stuck.len())
    }
}

/// Explores everything; `None` when there are more than `limit` executions.
pub fn exhaust(program: &Program, limit: usize, tuning: Tuning) -> Option<Found> {
    let mut found = Found::default();
    let mut stack = vec![Schedule::default()];
    while let Some(schedule) = stack.pop() {
        found.executions += 1;
        if found.executions > limit {
            return None;
        }
        let run = machine::run(program, &schedule);
        let explored = match explore(&run.execution, tuning) {
            Ok(explored) => explored,
            Err(error) => panic!("{error} in {:?}", run.execution.events),
        };
        let signature = signature(&run.log, program.threads.len());
        let set = if run.done { &mut found.complete } else { &mut found.stuck };
        found.duplicates += usize::from(!set.insert(signature));
        found.classes.insert(explored.class);
        found.outcomes.insert(outcome(&run));
        stack.extend(explored.alternatives.into_iter().map(|alternative| alternative.schedule));
    }
    Some(found)
}

/// What a result says of an event that comes after all that were executed before it.
const AFTER_EVERYTHING: u8 = 9;

/// The effect of giving up: none, but it comes after everything.
pub fn after_everything() -> Effect {
    let none = smallvec::SmallVec::new();
    Effect { result: AFTER_EVERYTHING, reads: none.clone(), writes: none, values: smallvec::SmallVec::new() }
}

/// Whether an event with the effect `later` comes after an earlier one in every execution of the class.
pub fn depends(later: &Effect, earlier: &Effect) -> bool {
    later.result == AFTER_EVERYTHING || later.conflicts(earlier)
}

/// The canonical set of `(thread, index, clock)`, computed the slow and obvious way.
pub fn signature(log: &[(usize, usize, Effect)], threads: usize) -> u64 {
    let mut clocks: Vec<(usize, usize, Vec<usize>)> = Vec::new();
    for (position, (thread, index, effect)) in log.iter().enumerate() {
        let mut clock = vec![0; threads];
        for (earlier, (other, _, other_effect)) in log[..position].iter().enumerate() {
            if other == thread || depends(effect, other_effect) {
                for (mine, theirs) in clock.iter_mut().zip(&clocks[earlier].2) {
                    *mine = (*mine).max(*theirs);
                }
            }
        }
        clock[*thread] = index + 1;
        clocks.push((*thread, *index, clock));
    }
    clocks.sort();
    hash(&clocks)
}

/// Everything that was observed, the final state, and whether the program got stuck.
pub fn outcome(run: &Run) -> u64 {
    hash(&(run.done, &run.results, &run.memory.concrete))
}

pub fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
