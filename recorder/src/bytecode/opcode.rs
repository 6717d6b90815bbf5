//! What one opcode is: its inline caches, successors, stack effect and visibility.
//!
//! # Model
//! Each minor version has one ordered list of [`Op`] rows (`v3_11.rs` and its siblings), made into a
//! [`Table`] at compile time.
//! Everything that differs between versions is in those rows or in a field of the table, so the other
//! modules never ask which version they work for.
//!
//! # Invariants
//! The Python tests (`recorder/tests/python/test_opcode_tables.py`) compare every row with the opcode
//! module and `dis.stack_effect` of the interpreter they run on.

use super::{PyVersion, SiteKind};

/// One opcode of one minor version.
#[derive(Debug, Clone, Copy)]
pub(super) struct Op {
    pub code: u8,
    pub name: &'static str,
    /// Code units of inline cache that follow the instruction.
    pub caches: u8,
    pub flow: Flow,
    pub effect: Effect,
    pub visible: Visible,
}

/// A row of a version's table.
pub(super) const fn op(
    code: u8,
    name: &'static str,
    caches: u8,
    flow: Flow,
    effect: Effect,
    visible: Visible,
) -> Op {
    Op { code, name, caches, flow, effect, visible }
}

/// Where execution continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// At the next instruction.
    Next,
    /// Nowhere: it returns or raises.
    Stop,
    /// At the target only.
    Jump(Direction),
    /// At the next instruction or at the target.
    Branch(Direction),
    /// At the next instruction. The argument says where another one is, as that of a jump does, but nothing goes there.
    Mention(Direction),
}

impl Flow {
    /// In which direction another instruction lies that the argument names, if it does.
    pub fn direction(self) -> Option<Direction> {
        match self {
            Flow::Jump(direction) | Flow::Branch(direction) | Flow::Mention(direction) => Some(direction),
            Flow::Next | Flow::Stop => None,
        }
    }

    /// Whether that instruction is a successor.
    pub fn jumps(self) -> bool {
        matches!(self, Flow::Jump(_) | Flow::Branch(_))
    }

    /// Whether the next instruction is a successor.
    pub fn falls_through(self) -> bool {
        matches!(self, Flow::Next | Flow::Branch(_) | Flow::Mention(_))
    }
}

/// Whether the argument of a jump is added to or subtracted from the position after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Forward,
    Backward,
}

/// The change of the number of values on the stack, as a function of the argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Fixed(i8),
    /// `Affine(b, k)` is `b + k * arg`.
    Affine(i8, i8),
    /// `LowBit(b, k)` is `b + k * (arg & 1)`.
    LowBit(i8, i8),
    /// The two successors see different depths.
    ByEdge {
        next: i8,
        jump: i8,
    },
    /// `UNPACK_EX`: the low byte counts the targets before the star, the rest those after it.
    StarredTargets,
    /// `MAKE_FUNCTION` up to 3.12: one more value for each of the low four bits.
    FunctionParts,
    /// `BUILD_SLICE`: three values if the argument is three, else two.
    SliceParts,
    /// `FORMAT_VALUE`: bit 2 says that a format specification is on top of the value.
    FormatSpec,
}

impl Effect {
    /// The change seen by the next instruction.
    pub fn to_next(self, arg: u32) -> i64 {
        let arg = i64::from(arg);
        match self {
            Effect::Fixed(change) | Effect::ByEdge { next: change, .. } => i64::from(change),
            Effect::Affine(base, step) => i64::from(base) + i64::from(step) * arg,
            Effect::LowBit(base, step) => i64::from(base) + i64::from(step) * (arg & 1),
            Effect::StarredTargets => (arg & 0xff) + (arg >> 8),
            Effect::FunctionParts => -i64::from((arg & 0xf).count_ones()),
            Effect::SliceParts => {
                if arg == 3 {
                    -2
                } else {
                    -1
                }
            }
            Effect::FormatSpec => -(arg >> 2 & 1),
        }
    }

    /// The change seen by the target of the jump.
    pub fn to_target(self, arg: u32) -> i64 {
        match self {
            Effect::ByEdge { jump, .. } => i64::from(jump),
            _ => self.to_next(arg),
        }
    }
}

/// How the argument of a visible operation is decoded; see [`SiteKind`] for the results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Visible {
    /// Not visible to other threads.
    No,
    /// The argument means the same as in the instruction.
    As(SiteKind),
    /// `LOAD_ATTR` from 3.12 on: bit 0 asks for a method.
    AttrOrMethod,
    /// `LOAD_SUPER_ATTR`: bit 0 asks for a method, bit 1 says that `super` had arguments.
    SuperAttr,
    /// `LOAD_GLOBAL`: bit 0 asks for a NULL beside the value.
    Global,
    /// `COMPARE_OP`: the low bits hold hints for specialisation.
    Comparison { shift: u8 },
    /// `BINARY_OP`: arguments from `NB_INPLACE_ADD` on are in-place operators, and `NB_SUBSCR` is a subscript.
    BinaryOrInplace,
    /// `CALL_FUNCTION_EX` from 3.14 on: there is always a place for keywords, which may be NULL.
    Spread,
    /// Truth test that is visible only if its operand may be something else than a bool.
    Truth,
    /// `FORMAT_WITH_SPEC`.
    WithSpec,
    /// `CALL_INTRINSIC_1`: unary plus and `import *` among others that are not visible.
    Intrinsic,
}

/// The opcodes of one minor version.
#[derive(Debug)]
pub(super) struct Table {
    ops: [Option<Op>; 256],
    /// The few opcodes that the rewriter must know by name.
    pub named: Named,
}

/// The opcodes that the rewriter must know by name.
#[derive(Debug)]
pub(super) struct Named {
    pub extended_arg: u8,
    pub load_const: u8,
    pub delete_subscr: u8,
    pub resume: u8,
    pub for_iter: u8,
    pub send: u8,
    /// With argument 1 it duplicates the top value.
    pub copy: u8,
    /// Names the keyword arguments of the call that follows; gone in 3.13.
    pub kw_names: Option<u8>,
    /// Instructions at the target of `FOR_ITER` that the interpreter skips when the iterator is exhausted.
    pub loop_epilogue: &'static [u8],
    /// Instructions that leave a bool on top of the stack.
    pub leaves_bool: &'static [u8],
}

impl Table {
    /// The table with these rows.
    pub const fn new(rows: &[Op], named: Named) -> Table {
        let mut ops = [None; 256];
        let mut row = 0;
        while row < rows.len() {
            ops[rows[row].code as usize] = Some(rows[row]);
            row += 1;
        }
        Table { ops, named }
    }

    /// The row of an opcode, or nothing if the compiler does not emit it.
    pub fn get(&self, code: u8) -> Option<&Op> {
        self.ops[usize::from(code)].as_ref()
    }
}

/// What the tables say about one opcode, for checks against a real interpreter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpcodeFacts {
    /// The name in the `dis` module.
    pub name: &'static str,
    /// Code units of inline cache.
    pub caches: u8,
    /// Whether its argument names another instruction, as that of a jump does.
    pub jumps: bool,
    /// Whether the next instruction is a successor.
    pub falls_through: bool,
    /// Change of the stack depth seen by the next instruction.
    pub effect_next: i64,
    /// Change of the stack depth seen by the target of the jump.
    pub effect_target: i64,
}

/// What the tables say about an opcode with this argument, or nothing if the opcode is not emitted.
pub fn opcode_facts(version: PyVersion, opcode: u8, arg: u32) -> Option<OpcodeFacts> {
    let op = version.table().get(opcode)?;
    Some(OpcodeFacts {
        name: op.name,
        caches: op.caches,
        jumps: op.flow.direction().is_some(),
        falls_through: op.flow.falls_through(),
        effect_next: op.effect.to_next(arg),
        effect_target: op.effect.to_target(arg),
    })
}
