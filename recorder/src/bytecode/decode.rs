//! The instructions of a code object, with their arguments and jump targets resolved.
//!
//! # Model
//! Code is a sequence of units of two bytes, opcode and argument byte.
//! An instruction is zero to three `EXTENDED_ARG` prefixes, the opcode, and its inline caches.
//! Jumps count units from the end of the instruction, caches included.
//!
//! # Invariants
//! Every target is the index of an instruction; every opcode has a row in the table.

use super::BytecodeError;
use super::opcode::{Direction, Op, Table};

/// One instruction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Instruction {
    pub op: &'static Op,
    /// The argument, prefixes included.
    pub arg: u32,
    /// First unit, which is a prefix if there are any.
    pub start: u32,
    /// Unit of the opcode.
    pub unit: u32,
    /// Index of the instruction that the argument names, if it does: the one jumped to, unless nothing goes there.
    pub target: Option<u32>,
}

impl Instruction {
    /// The unit after the instruction and its caches.
    pub fn end(&self) -> u32 {
        self.unit + 1 + u32::from(self.op.caches)
    }

    /// Index of the instruction jumped to.
    pub fn jumps_to(&self) -> Option<usize> {
        self.target.filter(|_| self.op.flow.jumps()).map(|target| target as usize)
    }
}

/// A decoded code object.
#[derive(Debug)]
pub(super) struct Program {
    pub table: &'static Table,
    pub instructions: Vec<Instruction>,
    /// For each unit and the end: index of the instruction that starts there.
    index_at: Vec<u32>,
    /// For each instruction: whether something other than its predecessor may continue there.
    is_target: Vec<bool>,
}

/// So that every position in rewritten code, at most 13 units for one, fits an exception table entry.
const MAX_UNITS: usize = 1 << 26;

/// Mark in `index_at` of a unit where no instruction starts.
const INSIDE: u32 = u32::MAX;

impl Program {
    /// The instructions of `code`.
    pub fn decode(table: &'static Table, code: &[u8]) -> Result<Program, BytecodeError> {
        if !code.len().is_multiple_of(2) {
            return Err(BytecodeError::OddLength);
        }
        let n_units = code.len() / 2;
        if n_units > MAX_UNITS {
            return Err(BytecodeError::TooLarge);
        }
        let mut program = Program {
            table,
            instructions: Vec::with_capacity(n_units),
            index_at: vec![INSIDE; n_units + 1],
            is_target: Vec::new(),
        };
        let mut start = 0;
        while start < n_units as u32 {
            let instruction = read_instruction(table, code, start)?;
            program.index_at[start as usize] = program.instructions.len() as u32;
            start = instruction.end();
            program.instructions.push(instruction);
        }
        program.index_at[n_units] = program.instructions.len() as u32;
        program.is_target = vec![false; program.instructions.len() + 1];
        program.resolve_jumps()?;
        Ok(program)
    }

    /// The index of the instruction that starts at `unit`, or the number of instructions for the end.
    pub fn index_of(&self, unit: u32) -> Result<u32, BytecodeError> {
        match self.index_at.get(unit as usize) {
            Some(&index) if index != INSIDE => Ok(index),
            _ => Err(BytecodeError::NotAnInstruction { unit }),
        }
    }

    /// The index of an instruction, other than the end, that execution may jump to.
    pub fn mark_target(&mut self, unit: u32) -> Result<u32, BytecodeError> {
        let index = self.index_of(unit)?;
        if index as usize == self.instructions.len() {
            return Err(BytecodeError::NotAnInstruction { unit });
        }
        self.is_target[index as usize] = true;
        Ok(index)
    }

    /// Whether an instruction may be reached in another way than from its predecessor.
    pub fn is_target(&self, index: usize) -> bool {
        self.is_target[index]
    }

    fn resolve_jumps(&mut self) -> Result<(), BytecodeError> {
        for index in 0..self.instructions.len() {
            let instruction = self.instructions[index];
            let Some(direction) = instruction.op.flow.direction() else { continue };
            let end = instruction.end();
            let unit = match direction {
                Direction::Forward => end.checked_add(instruction.arg),
                Direction::Backward => end.checked_sub(instruction.arg),
            };
            // A target that wraps around is certainly not in the code; report the jump itself.
            let unit = unit.ok_or(BytecodeError::NotAnInstruction { unit: instruction.unit })?;
            let target = self.mark_target(unit)?;
            self.instructions[index].target = Some(target);
            if instruction.op.code == self.table.named.for_iter {
                self.check_loop_epilogue(&instruction, target)?;
            }
        }
        Ok(())
    }

    /// The interpreter assumes that the epilogue follows, unit by unit, wherever the loop jumps to.
    fn check_loop_epilogue(&self, loop_head: &Instruction, target: u32) -> Result<(), BytecodeError> {
        let found = self.instructions[target as usize..].iter().map(|instruction| instruction.op.code);
        if found.take(self.table.named.loop_epilogue.len()).eq(self.table.named.loop_epilogue.iter().copied())
        {
            Ok(())
        } else {
            Err(BytecodeError::LoopEpilogue { unit: loop_head.unit })
        }
    }
}

/// The instruction whose first prefix, or opcode, is at `start`; `code` has an even length.
fn read_instruction(table: &'static Table, code: &[u8], start: u32) -> Result<Instruction, BytecodeError> {
    let truncated = BytecodeError::Truncated { unit: start };
    let mut arg: u32 = 0;
    for n_prefixes in 0..4 {
        let unit = start + n_prefixes;
        let Some(&[opcode, low]) = code.get(2 * unit as usize..2 * unit as usize + 2) else {
            return Err(truncated);
        };
        arg = arg << 8 | u32::from(low);
        if opcode == table.named.extended_arg {
            continue;
        }
        let op = table.get(opcode).ok_or(BytecodeError::UnknownOpcode { unit, opcode })?;
        let instruction = Instruction { op, arg, start, unit, target: None };
        if instruction.end() as usize > code.len() / 2 {
            return Err(truncated);
        }
        return Ok(instruction);
    }
    Err(BytecodeError::ArgumentTooLong { unit: start })
}
