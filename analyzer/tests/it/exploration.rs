//! The exploration loop: run an item, take its children, until none is left.

use crate::machine::{self, Run};
use crate::program::Program;
use frontrun_analyzer::{Alternative, Probe, Tuning, explore_with};
use frontrun_formats::{Schedule, semantics::Effect};
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// What an exploration found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub executions: usize,
    /// Runs that were made only to see what a block does.
    pub redundant: usize,
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

/// A work item, whose run may have been made as a probe.
enum Item {
    Schedule(Schedule),
    Run(Box<Run>),
}

/// Explores everything; `None` when that takes more than `limit` runs.
pub fn exhaust(program: &Program, limit: usize, tuning: Tuning) -> Option<Found> {
    visit(program, limit, tuning, &mut |_| ())
}

/// The same, with a look at every execution.
pub fn visit(program: &Program, limit: usize, tuning: Tuning, look: &mut dyn FnMut(&Run)) -> Option<Found> {
    let mut found = Found::default();
    let mut stack = vec![Item::Schedule(Schedule::default())];
    while let Some(item) = stack.pop() {
        let run = match item {
            Item::Schedule(schedule) => machine::run(program, &schedule),
            Item::Run(run) => *run,
        };
        found.executions += 1;
        look(&run);
        let (class, alternatives, mut probes) = children(program, &run, tuning);
        found.redundant += probes.len();
        let signature = signature(&run.log, program.threads.len());
        let set = if run.done { &mut found.complete } else { &mut found.stuck };
        found.duplicates += usize::from(!set.insert(signature));
        found.classes.insert(class);
        found.outcomes.insert(outcome(&run));
        for Alternative { schedule, .. } in alternatives {
            let probed = probes.iter().position(|probe| probe.execution.header.schedule == schedule);
            found.redundant -= usize::from(probed.is_some());
            stack.push(match probed {
                Some(probe) => Item::Run(Box::new(probes.swap_remove(probe))),
                None => Item::Schedule(schedule),
            });
        }
        if found.executions + found.redundant > limit {
            return None;
        }
    }
    Some(found)
}

/// Class and alternatives of a run, and the probes that had to be made for them.
fn children(program: &Program, run: &Run, tuning: Tuning) -> (u64, Vec<Alternative>, Vec<Run>) {
    let mut probes: Vec<Run> = Vec::new();
    loop {
        let known: Result<Vec<Probe>, _> = probes.iter().map(|probe| Probe::new(&probe.execution)).collect();
        let explored = known.and_then(|known| explore_with(&run.execution, &known, tuning));
        let explored = match explored {
            Ok(explored) => explored,
            Err(error) => panic!("{error} in {:?}", run.execution.events),
        };
        if explored.wanted.is_empty() {
            return (explored.class, explored.alternatives, probes);
        }
        probes.extend(explored.wanted.iter().map(|schedule| machine::run(program, schedule)));
    }
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
