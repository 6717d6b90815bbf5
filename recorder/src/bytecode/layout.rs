//! Where everything goes in the rewritten code, and the code itself.
//!
//! # Model
//! A hook is `LOAD_CONST site; LOAD_CONST site; DELETE_SUBSCR`: it leaves the stack as it was, needs two
//! values of room, and contains no point at which the interpreter looks at its eval breaker.
//! A hook belongs to the instruction it is placed before: whatever jumps to that instruction, or starts a
//! protected range with it, lands on the hook.
//!
//! A longer jump may need one more prefix, which makes other jumps longer.
//! Sizes only grow, from the smallest, until all fit; the usual code needs two rounds.

use super::BytecodeError;
use super::decode::{Instruction, Program};
use super::offset_map::OffsetMap;
use super::opcode::Direction;
use super::plan::Hook;

/// Rounds after which all jumps get the longest form, so that no input takes quadratic time.
const MAX_ROUNDS: usize = 16;
const MAX_ARG_UNITS: u8 = 4;

/// One instruction in the rewritten code.
#[derive(Debug, Clone, Copy)]
struct Placed {
    /// First unit, that of the hook if there is one.
    start: u32,
    /// Units of the hook, zero if there is none.
    hook_units: u8,
    /// Units of the prefixes and the opcode.
    arg_units: u8,
    /// The argument, which differs from the original for jumps.
    arg: u32,
}

/// The places of all instructions.
#[derive(Debug)]
pub(super) struct Layout<'a> {
    program: &'a Program,
    placed: Vec<Placed>,
    end: u32,
}

impl<'a> Layout<'a> {
    /// The layout of a program with these hooks, whose constants start at `first_const`.
    pub fn new(program: &'a Program, hooks: &[Hook], first_const: u32) -> Result<Layout<'a>, BytecodeError> {
        let place = |instruction: &Instruction| Placed {
            start: 0,
            hook_units: 0,
            arg_units: arg_units(instruction.arg),
            arg: instruction.arg,
        };
        let mut placed: Vec<Placed> = program.instructions.iter().map(place).collect();
        let n_hooks = u32::try_from(hooks.len()).map_err(|_| BytecodeError::TooLarge)?;
        let end_const = first_const.checked_add(n_hooks).ok_or(BytecodeError::TooLarge)?;
        for (constant, hook) in (first_const..end_const).zip(hooks) {
            placed[hook.before as usize].hook_units = 2 * arg_units(constant) + 1;
        }
        let mut layout = Layout { program, placed, end: 0 };
        for round in 0.. {
            layout.assign_starts();
            if !layout.fit_jumps() {
                break;
            }
            if round == MAX_ROUNDS {
                layout.widen_all_jumps();
            }
        }
        Ok(layout)
    }

    /// The first unit of an instruction, that of its hook if there is one, or the end of the code.
    pub fn start(&self, index: u32) -> u32 {
        self.placed.get(index as usize).map_or(self.end, |placed| placed.start)
    }

    /// Units of an instruction, its hook and its caches.
    pub fn n_units(&self, index: u32) -> u32 {
        self.start(index + 1) - self.start(index)
    }

    /// The code, with hooks that use the constants from `first_const` on.
    pub fn code(&self, first_const: u32) -> Vec<u8> {
        let named = &self.program.table.named;
        let mut code = Vec::with_capacity(2 * self.end as usize);
        let mut constant = first_const;
        for (placed, instruction) in self.placed.iter().zip(&self.program.instructions) {
            if placed.hook_units > 0 {
                for _ in 0..2 {
                    let units = arg_units(constant);
                    push_instruction(&mut code, named.extended_arg, named.load_const, constant, units);
                }
                code.extend([named.delete_subscr, 0]);
                constant += 1;
            }
            let op = instruction.op;
            push_instruction(&mut code, named.extended_arg, op.code, placed.arg, placed.arg_units);
            // The interpreter fills the caches when it makes the code object.
            code.resize(code.len() + 2 * usize::from(op.caches), 0);
        }
        code
    }

    /// The way back to the original positions.
    pub fn offset_map(&self) -> OffsetMap {
        let mut map = OffsetMap::default();
        for (placed, instruction) in self.placed.iter().zip(&self.program.instructions) {
            let opcode = placed.start + u32::from(placed.hook_units + placed.arg_units) - 1;
            map.record(placed.start, opcode, instruction.start, instruction.unit);
        }
        map
    }

    fn assign_starts(&mut self) {
        let mut unit = 0;
        for (placed, instruction) in self.placed.iter_mut().zip(&self.program.instructions) {
            placed.start = unit;
            unit += u32::from(placed.hook_units + placed.arg_units + instruction.op.caches);
        }
        self.end = unit;
    }

    /// Sets the arguments of jumps; says whether one of them needs more prefixes.
    fn fit_jumps(&mut self) -> bool {
        let mut grown = false;
        for (index, instruction) in self.program.instructions.iter().enumerate() {
            let (Some(target), Some(direction)) = (instruction.target, instruction.op.flow.direction())
            else {
                continue;
            };
            let end = self.start(index as u32 + 1);
            let target = self.start(target);
            let placed = &mut self.placed[index];
            placed.arg = match direction {
                Direction::Forward => target - end,
                Direction::Backward => end - target,
            };
            let needed = arg_units(placed.arg);
            if needed > placed.arg_units {
                placed.arg_units = needed;
                grown = true;
            }
        }
        grown
    }

    fn widen_all_jumps(&mut self) {
        for (placed, instruction) in self.placed.iter_mut().zip(&self.program.instructions) {
            if instruction.target.is_some() {
                placed.arg_units = MAX_ARG_UNITS;
            }
        }
    }
}

/// Units of an instruction with this argument, caches aside.
fn arg_units(arg: u32) -> u8 {
    match arg {
        0..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xff_ffff => 3,
        _ => MAX_ARG_UNITS,
    }
}

/// Appends an instruction of `units` units, without its caches.
fn push_instruction(code: &mut Vec<u8>, extended_arg: u8, opcode: u8, arg: u32, units: u8) {
    for group in (1..units).rev() {
        code.extend([extended_arg, (arg >> (8 * u32::from(group))) as u8]);
    }
    code.extend([opcode, arg as u8]);
}
