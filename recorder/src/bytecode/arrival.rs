//! How execution comes from one hook to the next: whether the interpreter may have looked at its eval breaker on the way.
//!
//! # Model
//! Of the instructions without a hook, two look at the eval breaker: the `RESUME` with which a frame begins or goes on after a
//! `yield`, and jumps backwards. (Calls do so, too, and have hooks.) The hook can tell that a frame has begun when it sees a
//! frame that it does not know, and that a jump went backwards when it is at an earlier place than the hook before. What it
//! cannot tell is noted here.
//!
//! # Invariants
//! Paths of exceptions count as paths, so what is noted is never too little. `JUMP_BACKWARD_NO_INTERRUPT` counts as if it looked.

use super::decode::{Instruction, Program};
use super::exception_table::Entry;
use super::opcode::Direction;

/// What is noted about the hooks of a program.
pub(super) struct Arrivals {
    /// By instruction: it may be the first one with a hook that a frame comes to.
    pub first: Vec<bool>,
    /// By instruction: it may be reached by a jump backwards from a hook that stands before it.
    pub around: Vec<bool>,
}

/// What there is to note, if hooks stand before the instructions `hooked`, and code begins at `body`.
pub(super) fn arrivals(program: &Program, handlers: &[Entry], hooked: &[usize], body: usize) -> Arrivals {
    let count = program.instructions.len();
    let mut has_hook = vec![false; count];
    hooked.iter().for_each(|index| has_hook[*index] = true);
    let mut walk = Walk { program, handlers, has_hook, visited: vec![0; count], round: 0 };
    let mut arrivals = Arrivals { first: vec![false; count], around: vec![false; count] };
    for index in walk.onwards(vec![body]).0 {
        arrivals.first[index] = true;
    }
    let is_back = |instruction: &Instruction| instruction.op.flow.direction() == Some(Direction::Backward);
    if program.instructions.iter().any(is_back) {
        for hook in hooked {
            let start = walk.successors(*hook);
            let jumps = walk.onwards(start).1;
            let behind = |index: &usize| index > hook;
            for index in walk.onwards(jumps).0.into_iter().filter(behind) {
                arrivals.around[index] = true;
            }
        }
    }
    arrivals
}

struct Walk<'p> {
    program: &'p Program,
    handlers: &'p [Entry],
    has_hook: Vec<bool>,
    /// By instruction: the last round that came there.
    visited: Vec<u32>,
    round: u32,
}

impl Walk<'_> {
    /// From some instructions on, up to hooks: the instructions that have these, and the targets of jumps backwards on the way.
    fn onwards(&mut self, start: Vec<usize>) -> (Vec<usize>, Vec<usize>) {
        self.round += 1;
        let (mut hooks, mut jumps, mut pending) = (Vec::new(), Vec::new(), start);
        while let Some(index) = pending.pop() {
            if index >= self.visited.len()
                || std::mem::replace(&mut self.visited[index], self.round) == self.round
            {
                continue;
            }
            if self.has_hook[index] {
                hooks.push(index);
                continue;
            }
            let instruction = &self.program.instructions[index];
            if instruction.op.flow.direction() == Some(Direction::Backward) {
                jumps.extend(instruction.jumps_to());
            }
            pending.extend(self.successors(index));
        }
        (hooks, jumps)
    }

    fn successors(&self, index: usize) -> Vec<usize> {
        let instruction = &self.program.instructions[index];
        let covers = |entry: &&Entry| (entry.start..entry.end).contains(&instruction.start);
        let handlers =
            self.handlers.iter().filter(covers).filter_map(|entry| self.program.index_of(entry.target).ok());
        let next = instruction.op.flow.falls_through().then_some(index + 1);
        next.into_iter().chain(instruction.jumps_to()).chain(handlers.map(|index| index as usize)).collect()
    }
}
