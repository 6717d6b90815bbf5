//! Static stack depths: how many values are on the stack before each instruction.
//!
//! # Model
//! Abstract interpretation over the control flow.
//! The compiler guarantees that all paths to an instruction agree, so one visit of each instruction is enough.
//! Code starts with an empty stack, a handler with what its exception table entry says.
//!
//! # Invariants
//! Every depth is between 0 and the declared stack size, and does not depend on the path.

use super::BytecodeError;
use super::decode::Program;
use super::exception_table::Entry;

/// The depth before each instruction; nothing for unreachable ones.
pub(super) fn depths(
    program: &mut Program,
    handlers: &[Entry],
    stack_size: u32,
) -> Result<Vec<Option<u32>>, BytecodeError> {
    let mut walk =
        Walk { depths: vec![None; program.instructions.len()], pending: Vec::with_capacity(16), stack_size };
    if !program.instructions.is_empty() {
        walk.pending.push((0, 0));
    }
    for entry in handlers {
        let index = program.mark_target(entry.target)?;
        walk.check(entry.handler_depth().into(), entry.target)?;
        walk.pending.push((index, entry.handler_depth()));
    }
    while let Some((index, depth)) = walk.pending.pop() {
        walk.follow(program, index as usize, depth)?;
    }
    Ok(walk.depths)
}

struct Walk {
    depths: Vec<Option<u32>>,
    /// Instructions still to be visited, with the depth on the path that found them.
    pending: Vec<(u32, u32)>,
    stack_size: u32,
}

impl Walk {
    /// Walks straight on from an instruction until it meets a visited one or an end.
    fn follow(&mut self, program: &Program, mut index: usize, mut depth: u32) -> Result<(), BytecodeError> {
        loop {
            let Some(instruction) = program.instructions.get(index) else {
                let unit = program.instructions.last().map_or(0, |last| last.unit);
                return Err(BytecodeError::Truncated { unit });
            };
            let unit = instruction.unit;
            match self.depths[index] {
                Some(first) if first == depth => return Ok(()),
                Some(first) => return Err(BytecodeError::DepthConflict { unit, first, second: depth }),
                None => self.depths[index] = Some(depth),
            }
            let effect = instruction.op.effect;
            if let Some(target) = instruction.jumps_to() {
                let there = self.check(i64::from(depth) + effect.to_target(instruction.arg), unit)?;
                self.pending.push((target as u32, there));
            }
            if !instruction.op.flow.falls_through() {
                return Ok(());
            }
            depth = self.check(i64::from(depth) + effect.to_next(instruction.arg), unit)?;
            index += 1;
        }
    }

    fn check(&self, depth: i64, unit: u32) -> Result<u32, BytecodeError> {
        match u32::try_from(depth) {
            Ok(depth) if depth <= self.stack_size => Ok(depth),
            _ => Err(BytecodeError::DepthOutOfRange { unit, limit: self.stack_size }),
        }
    }
}
