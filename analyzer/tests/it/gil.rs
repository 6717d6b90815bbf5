//! Which classes an interpreter with a GIL can have: the contraction of each class against every interleaving that
//! switches threads at the noted places only.

use crate::exploration::{self, depends, hash, signature};
use crate::memory::{self, Memory};
use crate::program::{Op, Program};
use crate::random::{Feature, Script};
use frontrun_analyzer::{Tuning, is_gil_reachable};
use frontrun_formats::semantics::Effect;
use std::collections::{BTreeSet, HashSet};
use std::rc::Rc;

/// Whether threads can switch right before the operation with this index: always where a thread can have to wait.
fn can_switch(seed: u64, thread: usize, index: usize, op: &Op) -> bool {
    let waits = match op {
        Op::Block(gate, _) => gate.is_some(),
        op => !memory::operation(op).is_access(),
    };
    index == 0 || waits || hash(&(seed, thread, index)).is_multiple_of(3)
}

/// The classes that the analyzer says can be had, of all that there are.
fn contracted(program: &Program, seed: u64, limit: usize) -> Option<(BTreeSet<u64>, usize)> {
    let mut reachable = BTreeSet::new();
    let found = exploration::visit(program, limit, Tuning::default(), &mut |run| {
        let mut execution = run.execution.clone();
        let units: Vec<_> = execution.units().collect();
        for (unit, (thread, index, _)) in units.into_iter().zip(&run.log) {
            let op = program.next(*thread, &run.results[*thread][..*index]).expect("was executed");
            execution.events[unit.start].gil_switch = can_switch(seed, *thread, *index, &op);
            execution.events[unit.start + 1..unit.end].iter_mut().for_each(|event| event.gil_switch = false);
        }
        if is_gil_reachable(&execution).expect("a whole execution") {
            reachable.insert(signature(&run.log, program.threads.len()));
        }
    })?;
    Some((reachable, found.complete.len() + found.stuck.len()))
}

#[derive(Clone)]
struct Prefix {
    memory: Memory,
    results: Vec<Vec<i64>>,
    created: Vec<bool>,
    log: Vec<(usize, usize, Effect)>,
    clocks: Vec<Rc<[usize]>>,
    /// Who made the last step.
    running: Option<usize>,
}

impl Prefix {
    fn step(&self, thread: usize, op: &Op) -> Prefix {
        let mut next = self.clone();
        let (value, _, effect) = next.memory.execute(thread, op);
        let index = self.results[thread].len();
        let mut clock = vec![0; self.results.len()];
        for ((other, _, other_effect), other_clock) in self.log.iter().zip(&self.clocks) {
            if *other == thread || depends(&effect, other_effect) {
                clock
                    .iter_mut()
                    .zip(other_clock.iter())
                    .for_each(|(mine, theirs)| *mine = (*mine).max(*theirs));
            }
        }
        clock[thread] = index + 1;
        next.log.push((thread, index, effect));
        next.clocks.push(clock.into());
        next.results[thread].push(value);
        if let Op::Spawn(child) = op {
            next.created[*child] = true;
        }
        next.running = Some(thread);
        next
    }

    /// Equal prefixes have the same future: the same class of prefixes, and the same thread at work.
    fn key(&self) -> u64 {
        let mut events: Vec<(usize, usize, &[usize])> = self
            .log
            .iter()
            .zip(&self.clocks)
            .map(|((thread, index, _), clock)| (*thread, *index, &**clock))
            .collect();
        events.sort();
        hash(&(events, self.running))
    }
}

/// The classes of all interleavings in which the thread at work goes on up to where it can be switched.
fn enumerated(program: &Program, seed: u64, limit: usize) -> Option<BTreeSet<u64>> {
    let n = program.threads.len();
    let mut classes = BTreeSet::new();
    let mut seen = HashSet::new();
    let mut stack = vec![Prefix {
        memory: Memory::new(&program.initial),
        results: vec![Vec::new(); n],
        created: program.spawned.iter().map(|spawned| !spawned).collect(),
        log: Vec::new(),
        clocks: Vec::new(),
        running: None,
    }];
    while let Some(prefix) = stack.pop() {
        let next: Vec<Option<Op>> = (0..n)
            .map(|thread| program.next(thread, &prefix.results[thread]).filter(|_| prefix.created[thread]))
            .collect();
        let goes_on = prefix.running.filter(|thread| {
            let index = prefix.results[*thread].len();
            next[*thread].as_ref().is_some_and(|op| !can_switch(seed, *thread, index, op))
        });
        let may_run = |thread: &usize| goes_on.is_none_or(|running| running == *thread);
        let mut is_over = true;
        for thread in (0..n).filter(may_run) {
            if let Some(op) = next[thread].as_ref().filter(|op| prefix.memory.enabled(thread, op)) {
                is_over = false;
                let after = prefix.step(thread, op);
                if seen.insert(after.key()) {
                    stack.push(after);
                }
            }
        }
        if is_over {
            assert_eq!(goes_on, None, "only places to switch wait");
            classes.insert(signature(&prefix.log, n));
        }
        if seen.len() > limit {
            return None;
        }
    }
    Some(classes)
}

fn check(features: &[Feature], seeds: std::ops::Range<u64>) {
    let (mut compared, mut all, mut some) = (0, 0, 0);
    for seed in seeds {
        let program = Script::random(seed, features).program();
        let Some((reachable, classes)) = contracted(&program, seed, 400) else { continue };
        let Some(enumerated) = enumerated(&program, seed, 10_000) else { continue };
        assert_eq!(reachable, enumerated, "seed {seed}");
        compared += 1;
        all += classes;
        some += reachable.len();
    }
    println!("{compared} programs, {some} of {all} classes with a GIL");
    assert!(compared > 10 && some < all, "the comparison says something");
}

#[test]
fn data_and_locks() {
    use Feature::{Data, Lock, Rmw, Touch, Try};
    check(&[Data, Rmw, Touch, Lock, Try], 0..30);
}

#[test]
fn containers() {
    use Feature::{Data, Dict, List, Lock};
    check(&[Dict, List, Data, Lock], 1000..1030);
}

#[test]
fn whatever_waits() {
    use Feature::{Barrier, Condition, Data, Event, Queue, Semaphore};
    check(&[Data, Semaphore, Event, Queue, Barrier, Condition], 2000..2030);
}

#[test]
fn opaque_blocks() {
    use Feature::{Blocks, Data, Dict, Lock};
    check(&[Blocks(60), Data, Dict, Lock], 3000..3030);
}

#[test]
fn an_increment_loses_nothing_where_it_is_not_interrupted() {
    use crate::program::{Op::Read, Op::Write, seq};
    // Seeds for which the second operation of both threads is no place to switch.
    let together = |seed: &u64| (0..2).all(|thread| !can_switch(*seed, thread, 1, &Write(0, 1)));
    let seed = (0..100).find(together).expect("some seed");
    let program = Program::new(vec![seq([Read(0), Write(0, 1)]), seq([Read(0), Write(0, 2)])]);
    let (reachable, classes) = contracted(&program, seed, 100).expect("few classes");
    assert_eq!((reachable.len(), classes), (2, 4));
}
