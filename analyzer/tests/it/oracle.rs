//! Brute force, twice, without a line of the analyzer.
//!
//! [`traces`] goes through all interleavings and merges only prefixes that are the same Mazurkiewicz prefix; it
//! shares the footprints of the operation table with the analyzer. [`outcomes`] merges only equal concrete
//! states and knows no footprints, so it sees a footprint that is wrong.

use crate::exploration::{after_everything, depends, hash};
use crate::memory::{Concrete, Memory};
use crate::program::{GAVE_UP, Op, Program};
use frontrun_formats::semantics::Effect;
use std::collections::{BTreeSet, HashSet};
use std::rc::Rc;

/// What there is.
#[derive(Debug, Default)]
pub struct Truth {
    pub complete: BTreeSet<u64>,
    pub stuck: BTreeSet<u64>,
    pub outcomes: BTreeSet<u64>,
}

/// An event of a prefix; the footprint is shared between the prefixes that contain it.
type Logged = (usize, usize, Vec<usize>, Rc<Effect>);

struct Prefix {
    memory: Memory,
    results: Vec<Vec<i64>>,
    created: Vec<bool>,
    log: Vec<Logged>,
}

/// All traces; `None` when there are more than `limit` of them or more than `prefixes` prefixes.
pub fn traces(program: &Program, limit: usize, prefixes: usize) -> Option<Truth> {
    let n = program.threads.len();
    let mut truth = Truth::default();
    let mut seen = HashSet::new();
    let mut stack = vec![Prefix {
        memory: Memory::new(&program.initial),
        results: vec![Vec::new(); n],
        created: program.spawned.iter().map(|spawned| !spawned).collect(),
        log: Vec::new(),
    }];
    while let Some(prefix) = stack.pop() {
        let next: Vec<Option<Op>> =
            (0..n).map(|thread| program.next(thread, &prefix.results[thread])).collect();
        let mut stuck = true;
        for (thread, op) in next.iter().enumerate() {
            let Some(op) = op.as_ref().filter(|op| prefix.memory.enabled(thread, op)) else {
                continue;
            };
            stuck = false;
            let extended = extend(&prefix, thread, op);
            let mut key: Vec<(usize, usize, &[usize])> =
                extended.log.iter().map(|(thread, index, clock, _)| (*thread, *index, &clock[..])).collect();
            key.sort();
            if seen.insert(hash(&key)) {
                stack.push(extended);
            }
            if seen.len() > prefixes {
                return None;
            }
        }
        if stuck && let Some(thread) = Op::first_to_give_up(&next, |thread| prefix.created[thread]) {
            let mut after = prefix;
            after.give_up(thread);
            stack.push(after);
            continue;
        }
        if stuck {
            let done = (0..n).all(|thread| next[thread].is_none() || !prefix.created[thread]);
            let mut clocks: Vec<(usize, usize, Vec<usize>)> =
                prefix.log.iter().map(|(thread, index, clock, _)| (*thread, *index, clock.clone())).collect();
            clocks.sort();
            let set = if done { &mut truth.complete } else { &mut truth.stuck };
            set.insert(hash(&clocks));
            truth.outcomes.insert(hash(&(done, &prefix.results, &prefix.memory.concrete)));
            if truth.complete.len() + truth.stuck.len() > limit {
                return None;
            }
        }
    }
    Some(truth)
}

impl Prefix {
    fn give_up(&mut self, thread: usize) {
        let index = self.results[thread].len();
        let mut clock: Vec<usize> = self.results.iter().map(Vec::len).collect();
        clock[thread] = index + 1;
        self.log.push((thread, index, clock, Rc::new(after_everything())));
        self.results[thread].push(GAVE_UP);
    }
}

fn extend(prefix: &Prefix, thread: usize, op: &Op) -> Prefix {
    let mut memory = prefix.memory.clone();
    let (value, _, effect) = memory.execute(thread, op);
    let index = prefix.results[thread].len();
    let mut clock = vec![0; prefix.results.len()];
    for (other, _, other_clock, other_effect) in &prefix.log {
        if *other == thread || depends(&effect, other_effect) {
            for (mine, theirs) in clock.iter_mut().zip(other_clock) {
                *mine = (*mine).max(*theirs);
            }
        }
    }
    clock[thread] = index + 1;
    let mut log = prefix.log.clone();
    log.push((thread, index, clock, Rc::new(effect)));
    let mut results = prefix.results.clone();
    results[thread].push(value);
    let mut created = prefix.created.clone();
    if let Op::Spawn(child) = op {
        created[*child] = true;
    }
    Prefix { memory, results, created, log }
}

/// All outcomes; `None` when there are more than `limit` states.
pub fn outcomes(program: &Program, limit: usize) -> Option<BTreeSet<u64>> {
    let n = program.threads.len();
    let mut outcomes = BTreeSet::new();
    let mut seen = HashSet::new();
    let created = program.spawned.iter().map(|spawned| !spawned).collect::<Vec<bool>>();
    let mut stack = vec![(Concrete::new(&program.initial), vec![Vec::<i64>::new(); n], created)];
    while let Some((memory, results, created)) = stack.pop() {
        if !seen.insert(hash(&(&memory, &results))) {
            continue;
        }
        if seen.len() > limit {
            return None;
        }
        let next: Vec<Option<Op>> = (0..n).map(|thread| program.next(thread, &results[thread])).collect();
        let mut stuck = true;
        for (thread, op) in next.iter().enumerate() {
            let Some(op) = op.as_ref().filter(|op| memory.enabled(thread, op)) else { continue };
            stuck = false;
            let (mut memory, mut results, mut created) = (memory.clone(), results.clone(), created.clone());
            results[thread].push(memory.execute(thread, op).0);
            if let Op::Spawn(child) = op {
                created[*child] = true;
            }
            stack.push((memory, results, created));
        }
        if stuck && let Some(thread) = Op::first_to_give_up(&next, |thread| created[thread]) {
            let mut results = results;
            results[thread].push(GAVE_UP);
            stack.push((memory, results, created));
            continue;
        }
        if stuck {
            let done = (0..n).all(|thread| next[thread].is_none() || !created[thread]);
            outcomes.insert(hash(&(done, &results, &memory)));
        }
    }
    Some(outcomes)
}
