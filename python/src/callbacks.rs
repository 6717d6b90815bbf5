//! C code that calls back into Python: what it does in between is a step of its own.
//!
//! Model: the C code of one instruction is atomic as long as it stays in C. When it calls a Python function (a sort key,
//! `__eq__`, the function of `map`, a generator that is consumed), other threads can run there, and afterwards it looks
//! at its operands again. So the return from such a function is an operation: what the instruction touches, once more.
//!
//! Invariant: operands are looked at only while the instruction that has them is under way, which the position of its
//! frame tells.

use crate::class;
use crate::handed::{Handed, Look};
use crate::interpreter::Frame;
use crate::site::Site;
use frontrun_formats::semantics;
use frontrun_formats::{Location, Operation, Part, ThreadId};
use frontrun_recorder::bytecode::SiteKind;
use pyo3::ffi;
use std::cell::RefCell;

/// Instructions under way that are remembered; further out nobody looks.
const DEEPEST: usize = 64;

/// Size of a code unit in bytes.
const UNIT: usize = 2;

/// Whether the C code of an instruction that iterates is a step for each element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steps {
    /// It is one step, apart from callbacks.
    None,
    /// It is, and nobody else holds the iterator that it is given, if it is given one.
    Own,
    /// It is, and others hold that iterator, too.
    Shared,
}

/// An instruction that runs C code on what threads share.
#[derive(Clone, Copy)]
pub struct Instruction {
    frame: usize,
    /// Where the hook of the instruction is.
    hook: usize,
    /// The instruction's site.
    pub site: *const Site,
    /// How it iterates.
    pub steps: Steps,
}

thread_local! {
    static UNDER_WAY: RefCell<Vec<Instruction>> = const { RefCell::new(Vec::new()) };

    /// What callbacks have returned to instructions that look into it later, by the frame of the instruction.
    static RETURNED: RefCell<Vec<(usize, Location)>> = const { RefCell::new(Vec::new()) };
}

/// Notes that the instruction of `site`, which touches something, is about to run in `frame`.
///
/// # Safety
/// Called from the hook of `site`.
pub unsafe fn enter(site: &Site, frame: Frame, steps: Steps) {
    if reach(site.kind) == 0 {
        return;
    }
    // SAFETY: the frame is live.
    let hook = unsafe { frame.instruction() };
    let frame = frame.address();
    RETURNED.with_borrow_mut(|returned| returned.retain(|(of, _)| *of != frame));
    UNDER_WAY.with_borrow_mut(|under_way| {
        // What was noted later may belong to frames further out: this one can be where an earlier call had its frame.
        if let Some(at) = under_way.iter().rposition(|known| known.frame == frame) {
            under_way.remove(at);
        }
        if under_way.len() == DEEPEST {
            under_way.remove(0);
        }
        under_way.push(Instruction { frame, hook, site, steps });
    });
}

/// The instruction whose C code called the function of `frame`, with its frame, if it touches anything.
///
/// # Safety
/// The frame is live.
pub unsafe fn instruction_behind(frame: Frame) -> Option<(Instruction, Frame)> {
    // SAFETY: callers of a live frame are live.
    unsafe {
        let caller = frame.caller_through_c()?;
        Some((instruction_of(caller)?, caller))
    }
}

/// What a callback returns to an instruction that looks into what all its callbacks have returned, such as `max` with a
/// key: that, and what came before it.
///
/// # Safety
/// The instruction is under way; `object` is live or null.
pub unsafe fn read_returned(instruction: &Instruction, object: *mut ffi::PyObject, handed: &mut Handed) {
    // SAFETY: as the caller promises.
    unsafe { handed.read(object, Look::Deep) };
    RETURNED.with_borrow_mut(|returned| {
        returned.iter().filter(|(of, _)| *of == instruction.frame).for_each(|(_, at)| handed.add(*at, false));
        returned.retain(|(of, _)| *of != instruction.frame);
        returned.extend(handed.reads().iter().map(|at| (instruction.frame, *at)));
    });
}

/// The instruction of `frame` that is under way, if it runs C code that touches anything.
///
/// # Safety
/// The frame is live.
pub unsafe fn instruction_of(frame: Frame) -> Option<Instruction> {
    let address = frame.address();
    let known = UNDER_WAY.with_borrow(|known| known.iter().rfind(|at| at.frame == address).copied())?;
    // SAFETY: the frame is live; sites live as long as the code that has them, which is under way if the place fits.
    unsafe {
        let distance = frame.instruction().wrapping_sub(known.hook) / UNIT;
        let reach = reach((*known.site).kind);
        (1..=reach).contains(&distance).then_some(known)
    }
}

/// Whether the instruction does nothing more once the function of `frame`, which its C code has called, has returned:
/// what `__missing__` gives is what `container[key]` gives.
///
/// # Safety
/// Both frames are live, and `caller` is that of the instruction.
pub unsafe fn is_last(instruction: &Instruction, frame: Frame, caller: Frame) -> bool {
    // SAFETY: the instruction is under way, so that its operands lie where its site says; a function has a slot for each
    // of its arguments, and its code has room for locals or a stack.
    unsafe {
        let site = &*instruction.site;
        if site.kind != SiteKind::BinarySubscr {
            return false;
        }
        let container = caller.slot((site.top - 2) as usize);
        let missing = class::lookup_text(ffi::Py_TYPE(container), c"__missing__");
        !missing.is_null()
            && ffi::PyFunction_Check(missing) != 0
            && frame.runs(ffi::PyFunction_GetCode(missing))
            && frame.slot(0) == container
    }
}

/// How many code units behind its hook an instruction that can call back begins at most, counting what belongs to it;
/// the instruction after it begins later. 0 for instructions that do not call back.
fn reach(kind: SiteKind) -> usize {
    use SiteKind as K;
    match kind {
        K::Call | K::CallKw => 4,
        K::ForIter => 2,
        K::CallFunctionEx
        | K::GetIter
        | K::Compare
        | K::Contains
        | K::BinaryOp
        | K::InplaceOp
        | K::BinarySubscr
        | K::StoreSubscr
        | K::DeleteSubscr
        | K::UnpackSequence
        | K::UnpackEx
        | K::ListExtend
        | K::SetUpdate
        | K::DictUpdate
        | K::DictMerge
        | K::FormatValue => 1,
        _ => 0,
    }
}

/// What an operation does when it goes on after a callback: it touches the same objects, in ways that are no longer
/// told apart.
pub fn again(operation: Operation, me: ThreadId, state: &impl semantics::State, handed: &mut Handed) {
    let effect = semantics::effect(&operation, me, state);
    let all = |at: &Location| match at.part {
        Part::Key(_) | Part::Index(_) | Part::Shape => Location::new(at.object, Part::Whole),
        _ => *at,
    };
    for at in &effect.reads {
        handed.add(all(at), false);
    }
    for at in &effect.writes {
        handed.add(all(at), true);
    }
}
