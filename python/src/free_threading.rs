//! Steps inside the C code of one instruction, as a build without the GIL can have them (PEP 703).
//!
//! # Model
//! C code that iterates calls `tp_iternext` of an iterator for each element. In a run that asks for it, this slot of the
//! iterators of built-in containers is replaced by [`step`], which makes a switch point of its own of each element, with what
//! the iterator touches, and another one of what the C code does with it. The C code itself, and what it calls, is as it is,
//! so errors such as that a dictionary has changed its size come about as they do in reality.
//!
//! # Invariants
//! Only the iteration of an instruction that is under way in the innermost frame, and that is known not to be atomic
//! (`consumers`), has steps. A GIL build has no switch at any of them, and the events say so.
//!
//! # Not here
//! Which C code is atomic (`consumers`), what it touches (`consumption`), which iterators there are (`iterators`).

use crate::callbacks::Steps;
use crate::consumption::Consumption;
use crate::handed::Handed;
use crate::interpreter::Frame;
use crate::observed::Observed;
use crate::site::Site;
use crate::{callbacks, consumers, controlled, iteration, iterators, run, switching};
use frontrun_formats::{Operation, ThreadId};
use pyo3::ffi;
use pyo3::prelude::*;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

type Object = *mut ffi::PyObject;

/// Whether the runs of this process have such steps.
static WANTED: AtomicBool = AtomicBool::new(false);

/// Lets the runs of this process have steps inside C code, or not.
#[pyfunction]
pub fn set_free_threaded(wanted: bool) {
    WANTED.store(wanted, Ordering::Relaxed);
}

/// Whether the run has steps inside C code.
#[inline]
pub fn is_on() -> bool {
    WANTED.load(Ordering::Relaxed)
}

/// Replaces the slots for the rest of this process, if the run is to have such steps.
///
/// # Errors
/// When a module cannot be imported.
pub fn install(py: Python<'_>) -> PyResult<()> {
    if !is_on() || iterators::are_replaced() {
        return Ok(());
    }
    consumers::install(py)?;
    iterators::replace(py, step)
}

/// The consumption of the instruction that is about to execute, and how it is to be split, if it is.
///
/// # Safety
/// Called from the hook of `site`, with its frame.
pub unsafe fn split(site: &Site, frame: Frame) -> Option<(Consumption, Steps)> {
    if !is_on() {
        return None;
    }
    // SAFETY: as the caller promises.
    unsafe {
        let consumption = Consumption::at(site, frame)?;
        let steps = consumption.steps();
        (steps != Steps::None).then_some((consumption, steps))
    }
}

/// `tp_iternext` of the iterators of built-in containers.
unsafe extern "C" fn step(iterator: Object) -> Object {
    // SAFETY: called through the slot of a type whose own function is known.
    unsafe {
        let Some(original) = iterators::original(iterator) else { return ptr::null_mut() };
        let Some((me, site)) = place() else { return original(iterator) };
        if !make(me, site, || before(me, iterator)) {
            return ptr::null_mut();
        }
        let element = original(iterator);
        if element.is_null() {
            return element;
        }
        let taken = || consumption().and_then(|(of, steps)| of.taken(iterator, element, steps));
        if !make(me, site, taken) {
            ffi::Py_DECREF(element);
            return ptr::null_mut();
        }
        element
    }
}

/// Who iterates, and at which site, if the elements are steps.
unsafe fn place() -> Option<(ThreadId, &'static Site)> {
    if !run::is_recording() {
        return None;
    }
    let me = controlled::visible_thread()?;
    // SAFETY: C code that the innermost frame has called holds the lock, and the turn if it is controlled.
    unsafe {
        let instruction = callbacks::instruction_of(Frame::current())?;
        // Nobody comes in between within a block.
        (instruction.steps != Steps::None && !run::is_in_block(me)).then(|| (me, &*instruction.site))
    }
}

/// The consumption that is under way in the innermost frame.
unsafe fn consumption() -> Option<(Consumption, Steps)> {
    // SAFETY: as for `place`.
    unsafe {
        let frame = Frame::current();
        let instruction = callbacks::instruction_of(frame)?;
        Some((Consumption::at(&*instruction.site, frame)?, instruction.steps))
    }
}

/// What taking the next element from `iterator` touches.
unsafe fn before(me: ThreadId, iterator: Object) -> Option<Observed> {
    // SAFETY: as for `place`.
    unsafe {
        let next = iteration::next(iterator);
        let mut handed = Handed::default();
        if let Some((of, steps)) = consumption() {
            of.share(steps, &mut handed);
        }
        let Some(shared) = handed.observed() else { return next };
        let mut handed = Handed::default();
        for (operation, _) in [Some(shared), next].into_iter().flatten() {
            callbacks::again(operation, me, run::get()?.gate.state(), &mut handed);
        }
        handed.observed()
    }
}

/// Makes a step of what is `observed`, if that is anything. Returns whether the thread goes on; else an exception is set.
fn make(me: ThreadId, site: &'static Site, observed: impl Fn() -> Option<Observed>) -> bool {
    let Some((mut operation, mut result)) = observed() else { return true };
    run::announce(me, &operation);
    let waited = run::reach(me, Some(site), None);
    if controlled::is_stale() {
        controlled::refuse();
        return false;
    }
    if waited {
        controlled::set_last_site(site, 0);
        (operation, result) = observed().unwrap_or((Operation::Pause, 1));
    }
    switching::at_hook(|| run::execute(me, Some(site), operation, result));
    true
}
