//! Which instructions get a hook, and what the hook is told.
//!
//! # Model
//! A hook is placed before the instruction it guards, or before the `KW_NAMES` that belongs to it.
//!
//! # Invariants
//! The interpreter executes some instructions as one, or looks at the neighbours of one.
//! No hook is placed
//! - in the prologue, up to and including the first `RESUME`: until then the frame is not complete;
//! - between `KW_NAMES` and the call;
//! - between `SEND` and its `YIELD_VALUE`: `gen.throw()` of 3.11 reads the argument of the `SEND` there;
//! - between a comparison and the jump on its result, which 3.11 specialises as one instruction;
//! - in unreachable code, which has no stack depth.

use super::arrival::arrivals;
use super::decode::{Instruction, Program};
use super::exception_table::Entry;
use super::line_table::Location;
use super::opcode::Visible;
use super::{KindSet, SiteKind, SiteSpec};

/// A site and the place of its hook.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hook {
    /// Index of the instruction that the hook is placed before.
    pub before: u32,
    pub site: SiteSpec,
}

/// The hooks of a program, in the order of the code.
pub(super) fn plan(
    program: &Program,
    handlers: &[Entry],
    depths: &[Option<u32>],
    locations: &[Location],
    kinds: KindSet,
) -> Vec<Hook> {
    let instructions = &program.instructions;
    let is_resume = |instruction: &Instruction| instruction.op.code == program.table.named.resume;
    // Code without RESUME does not come from the compiler; nobody knows where its prologue ends.
    let body = instructions.iter().position(is_resume).map_or(instructions.len(), |resume| resume + 1);
    let is_repeated = repeated(program, locations);
    let mut hooks = Vec::with_capacity(instructions.len() / 3);
    for index in body..instructions.len() {
        let Some(depth) = depths[index] else { continue };
        let keyword_names = keyword_names(program, index);
        let enters = index == body && kinds.contains(SiteKind::Enter);
        let operation =
            if enters { Some((SiteKind::Enter, 0, false)) } else { visible_operation(program, index) };
        let Some((kind, arg, method_form)) = operation.filter(|(kind, ..)| kinds.contains(*kind)) else {
            continue;
        };
        let (line, end_line, column, end_column) = coordinates(locations[index]);
        let site = SiteSpec {
            in_loop: is_repeated(index),
            first: false,
            around: false,
            kind,
            arg,
            method_form,
            keyword_names,
            depth,
            original_unit: instructions[index].unit,
            line,
            end_line,
            column,
            end_column,
        };
        let before = index as u32 - u32::from(keyword_names.is_some());
        hooks.push(Hook { before, site });
    }
    note_arrivals(program, handlers, body, &mut hooks);
    hooks
}

/// Notes how each hook can be reached.
fn note_arrivals(program: &Program, handlers: &[Entry], body: usize, hooks: &mut [Hook]) {
    let hooked: Vec<usize> = hooks.iter().map(|hook| hook.before as usize).collect();
    let arrivals = arrivals(program, handlers, &hooked, body);
    for hook in hooks {
        let index = hook.before as usize;
        (hook.site.first, hook.site.around) = (arrivals.first[index], arrivals.around[index]);
    }
}

/// Tells of an instruction whether it, or another one for the same piece of source, lies inside a loop that may come round
/// without having got on. One that begins by taking from an iterator gets on each time.
fn repeated<'p>(program: &'p Program, locations: &'p [Location]) -> impl Fn(usize) -> bool + 'p {
    let jumps = program.instructions.iter().enumerate();
    let loops: Vec<(usize, usize)> = jumps
        .filter_map(|(index, instruction)| Some((instruction.jumps_to()?, index)))
        .filter(|(target, jump)| target <= jump && !takes(program, *target))
        .collect();
    let inside: Vec<Location> =
        loops.iter().flat_map(|(target, jump)| &locations[*target..=*jump]).copied().collect();
    move |index| {
        loops.iter().any(|(target, jump)| (*target..=*jump).contains(&index))
            || (matches!(locations[index], Location::Range { .. }) && inside.contains(&locations[index]))
    }
}

/// Whether an instruction takes from an iterator, or from what is awaited.
fn takes(program: &Program, index: usize) -> bool {
    matches!(program.instructions[index].op.visible, Visible::As(SiteKind::ForIter | SiteKind::Send))
}

/// The kind, decoded argument and method form of an instruction, if other threads can see what it does.
fn visible_operation(program: &Program, index: usize) -> Option<(SiteKind, u32, bool)> {
    /// The first in-place operator of `BINARY_OP`, the same in all versions.
    const NB_INPLACE_ADD: u32 = 13;
    /// The subscript of `BINARY_OP`, which is behind the in-place operators from 3.14 on.
    const NB_SUBSCR: u32 = 26;
    const INTRINSIC_IMPORT_STAR: u32 = 2;
    const INTRINSIC_UNARY_POSITIVE: u32 = 5;

    let Instruction { op, arg, target, .. } = program.instructions[index];
    let plain = |kind| Some((kind, arg, false));
    match op.visible {
        Visible::No => None,
        Visible::As(SiteKind::YieldValue) if follows_send(program, index) => None,
        // The argument of a jump has no meaning outside the code.
        Visible::As(kind) if target.is_some() => Some((kind, 0, false)),
        Visible::As(kind) => Some((kind, arg, kind == SiteKind::LoadMethod)),
        Visible::AttrOrMethod if arg & 1 != 0 => Some((SiteKind::LoadMethod, arg >> 1, true)),
        Visible::AttrOrMethod => Some((SiteKind::LoadAttr, arg >> 1, false)),
        Visible::SuperAttr => Some((SiteKind::LoadSuperAttr, arg >> 2, arg & 1 != 0)),
        Visible::Global => Some((SiteKind::LoadGlobal, arg >> 1, false)),
        Visible::Comparison { shift } => Some((SiteKind::Compare, arg >> shift, false)),
        Visible::BinaryOrInplace if arg == NB_SUBSCR => Some((SiteKind::BinarySubscr, 0, false)),
        Visible::BinaryOrInplace if arg >= NB_INPLACE_ADD => plain(SiteKind::InplaceOp),
        Visible::BinaryOrInplace => plain(SiteKind::BinaryOp),
        Visible::Spread => Some((SiteKind::CallFunctionEx, 1, false)),
        Visible::Truth if operand_is_bool(program, index) => None,
        Visible::Truth => Some((SiteKind::IsTrue, 0, false)),
        Visible::WithSpec => Some((SiteKind::FormatValue, 4, false)),
        Visible::Intrinsic if arg == INTRINSIC_IMPORT_STAR => Some((SiteKind::ImportStar, 0, false)),
        Visible::Intrinsic if arg == INTRINSIC_UNARY_POSITIVE => Some((SiteKind::UnaryOp, 0, false)),
        Visible::Intrinsic => None,
    }
}

/// The constant that names the keyword arguments of a call, if `KW_NAMES` is right before it.
fn keyword_names(program: &Program, index: usize) -> Option<u32> {
    if program.instructions[index].op.visible != Visible::As(SiteKind::Call) {
        return None;
    }
    let before = &program.instructions[index.checked_sub(1)?];
    (Some(before.op.code) == program.table.named.kw_names).then_some(before.arg)
}

/// Whether a `YIELD_VALUE` hands on what the `SEND` right before it received.
fn follows_send(program: &Program, index: usize) -> bool {
    index
        .checked_sub(1)
        .is_some_and(|before| program.instructions[before].op.code == program.table.named.send)
}

/// Whether straight-line code leaves a bool on the stack right before the instruction.
fn operand_is_bool(program: &Program, index: usize) -> bool {
    let named = &program.table.named;
    let mut index = index;
    while index > 0 && !program.is_target(index) {
        index -= 1;
        let Instruction { op, arg, .. } = program.instructions[index];
        let duplicates_top = op.code == named.copy && arg == 1;
        if !duplicates_top {
            return named.leaves_bool.contains(&op.code);
        }
    }
    false
}

/// First and last line, first column and column after the end, in the terms of [`SiteSpec`].
fn coordinates(location: Location) -> (u32, u32, i32, i32) {
    let known = |line: i32| u32::try_from(line).unwrap_or(0);
    match location {
        Location::Unknown => (0, 0, -1, -1),
        Location::Line(line) => (known(line), known(line), -1, -1),
        Location::Range { line, end_line, column, end_column } => {
            (known(line), known(end_line), column, end_column)
        }
    }
}
