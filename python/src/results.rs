//! What functions and generators give to the C code that called them, which may look into it without an instruction that
//! would tell.
//!
//! Model: C code that compares, adds or prints looks into whatever it has been given, at any time until its instruction is
//! over (`max` with a key). What takes apart the elements of an iterator looks into each as it gets it
//! (`chain.from_iterable`). Of other C code nothing is known, and a result is not looked into.
//!
//! Not here: iterators that a function returns (iteration), the elements that an instruction takes itself (consumption).

use crate::actions::{self, Action};
use crate::callbacks::{self, Instruction};
use crate::handed::{self, Handed, Look};
use crate::interpreter::Frame;
use crate::site::Site;
use crate::{class, iterators, operands};
use frontrun_recorder::bytecode::SiteKind;
use pyo3::ffi;
use std::ptr;

/// What a function returns, or a generator yields, to C code; null if it does neither, or if that is a constant.
///
/// # Safety
/// Called from the hook of `site`, with its frame.
pub unsafe fn given(site: &Site, frame: Frame) -> *mut ffi::PyObject {
    // SAFETY: the frame is live; what is given is the topmost operand, unless it is a constant.
    unsafe {
        let (_, variables) = frame.progress();
        let is_given = matches!(site.kind, SiteKind::Return | SiteKind::YieldValue);
        if !is_given || site.top as usize <= variables || frame.caller_through_c().is_none() {
            return ptr::null_mut();
        }
        frame.slot(site.top as usize - 1)
    }
}

/// Whether C code of the instruction at `site` may use what functions give it, although it touches nothing itself.
///
/// # Safety
/// As for [`given`].
pub unsafe fn are_used(site: &Site, frame: Frame) -> bool {
    use SiteKind as K;
    // SAFETY: as the caller promises.
    unsafe {
        match site.kind {
            // A function that it calls may return an iterator, of which this instruction takes nothing.
            K::GetIter => return true,
            K::Call | K::CallKw | K::CallFunctionEx => {
                let Some(callable) = operands::called_c_code(site, frame) else { return false };
                if is_iterator(callable) || keeps(callable) {
                    return true;
                }
            }
            _ => {}
        }
        are_taken_apart(site, frame, ptr::null_mut())
    }
}

/// Whether the call at `site` makes an iterator and takes nothing from it, or from those that it is made of.
///
/// # Safety
/// As for [`given`].
pub unsafe fn makes_iterator(site: &Site, frame: Frame) -> bool {
    // SAFETY: as the caller promises.
    unsafe { operands::called_c_code(site, frame).is_some_and(|callable| is_iterator(callable)) }
}

/// Whether calling C code makes an iterator.
unsafe fn is_iterator(callable: *mut ffi::PyObject) -> bool {
    // SAFETY: a live object.
    unsafe {
        ffi::PyType_Check(callable) != 0 && handed::is_native_iterator(callable.cast::<ffi::PyTypeObject>())
            || actions::at(actions::address(callable)) == Some(Action::ReadShape)
    }
}

/// Whether C code compares, adds or prints what it is given.
unsafe fn keeps(callable: *mut ffi::PyObject) -> bool {
    // SAFETY: a live object has a live type.
    unsafe {
        actions::at(actions::address(callable)).is_some_and(Action::looks_into_results)
            || handed::getter(class::native(ffi::Py_TYPE(callable))) == Some(Look::Everything)
    }
}

/// Whether the instruction at `site` takes from an iterator that takes apart what `source`, or anybody, gives it.
unsafe fn are_taken_apart(site: &Site, frame: Frame, source: *mut ffi::PyObject) -> bool {
    use SiteKind as K;
    // SAFETY: as for `given`; the operands of these instructions lie where their site says.
    unsafe {
        match site.kind {
            K::Call | K::CallKw | K::CallFunctionEx => {
                operands::operands(site, frame).is_some_and(|operands| {
                    operands.arguments.iter().any(|at| iterators::takes_apart(*at, source))
                })
            }
            K::ForIter
            | K::UnpackSequence
            | K::UnpackEx
            | K::ListExtend
            | K::SetUpdate
            | K::DictUpdate
            | K::Contains
            | K::InplaceOp => iterators::takes_apart(frame.slot(site.top as usize - 1), source),
            _ => false,
        }
    }
}

/// Reads what a function, or `generator`, gives to an instruction whose C code has called it.
///
/// # Safety
/// The instruction is under way in the live frame `caller`; the objects are live or null.
pub unsafe fn read(
    given: *mut ffi::PyObject,
    generator: *mut ffi::PyObject,
    instruction: &Instruction,
    caller: Frame,
    handed: &mut Handed,
) {
    // SAFETY: as the caller promises.
    unsafe {
        let site = &*instruction.site;
        if operands::called_c_code(site, caller).is_some_and(|callable| keeps(callable)) {
            callbacks::read_returned(instruction, given, handed);
        }
        if !generator.is_null() && !given.is_null() && are_taken_apart(site, caller, generator) {
            handed.read(given, Look::Items);
        }
    }
}
