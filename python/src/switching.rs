//! Where an interpreter with a GIL can let another thread run: between which events of a thread its eval breaker is looked at,
//! or the GIL is released.
//!
//! # Model
//! CPython 3.11 to 3.14 look at the eval breaker in `RESUME` (where a function begins, and behind a `yield`, but not behind an
//! `await`), at jumps backwards, and at the end of calls of C code (`CALL`, `CALL_KW`, `CALL_FUNCTION_EX`); the call of one
//! Python function by another has the `RESUME` alone. No other instruction does: not attributes, items, operators,
//! `with`, nor a return.
//! The hooks tell this by what they see: each thread has a stack of *activations*, the frames in which it has come to a hook.
//! A frame that is not on it has begun since, an earlier place in the frame means a jump backwards, and an
//! instruction that can run Python code without hooks, or C code that nobody knows, counts as one in which all of
//! that happens. I/O releases the GIL, and so may any operation that is recorded by other means than a hook.
//!
//! # Invariants
//! In doubt a switch is possible. Not counted, because it could be everywhere, is code that a collection of
//! garbage runs, which 3.11 may begin at any allocation; and code without hooks that compares keys.
//!
//! # Not here
//! What follows from it (`frontrun_analyzer::is_gil_reachable`).

use crate::interpreter::Frame;
use crate::site::Site;
use crate::switches::{self, After};
use frontrun_formats::Operation;
use frontrun_recorder::bytecode::SiteKind;
use std::cell::{Cell, RefCell};

/// A frame in which the thread has come to a hook.
struct Activation {
    frame: usize,
    /// `co_qualname`, which tells it from a later frame at the same place.
    function: usize,
    /// Where its last hook was.
    unit: u32,
    /// What the instruction of that hook can do.
    after: After,
    /// C code has called it.
    from_c: bool,
}

thread_local! {
    static ACTIVATIONS: RefCell<Vec<Activation>> = const { RefCell::new(Vec::new()) };
    /// Whether a switch is possible between the last event of this thread and its next one.
    static POSSIBLE: Cell<bool> = const { Cell::new(true) };
    /// The next event is that of a hook.
    static AT_HOOK: Cell<bool> = const { Cell::new(false) };
}

/// Forgets what the calling thread has executed.
pub fn forget() {
    ACTIVATIONS.with_borrow_mut(Vec::clear);
    POSSIBLE.set(true);
}

/// Notes that the calling thread has come to the hook of `site`, in `frame`.
///
/// # Safety
/// Called from the hook of `site`, with its frame, before anything else happens there.
pub unsafe fn pass(site: &Site, frame: Frame) {
    // SAFETY: as the caller promises.
    let after = unsafe { switches::after(site, frame) };
    ACTIVATIONS.with_borrow_mut(|all| {
        // SAFETY: as above.
        if unsafe { enter(all, site, frame) } {
            POSSIBLE.set(true);
        }
        let Some(here) = all.last_mut() else { return };
        (here.unit, here.after) = (site.position.unit, after);
        if matches!(site.kind, SiteKind::Return | SiteKind::YieldValue) {
            all.pop();
        }
    });
}

/// Makes the activation of `frame` the last one. Returns whether a switch was possible since the hook before.
unsafe fn enter(all: &mut Vec<Activation>, site: &Site, frame: Frame) -> bool {
    let (address, function) = (frame.address(), site.function as usize);
    let known = all.iter().rposition(|known| known.frame == address && known.function == function);
    let Some(at) = known else {
        // SAFETY: the frame is live.
        unsafe { begin(all, frame, function) };
        return true;
    };
    all.truncate(at + 1);
    let here = &all[at];
    here.after != After::Nothing
        || site.position.unit <= here.unit
        || site.around
        // C code may have called the same function twice, and the first time ended before it came here.
        || site.first && here.from_c
}

/// Adds the activation of a frame that has begun, and takes away those that have ended.
unsafe fn begin(all: &mut Vec<Activation>, frame: Frame, function: usize) {
    // SAFETY: callers of a live frame are live.
    unsafe {
        let mut caller = frame.caller();
        let mut below = None;
        while let Some(outer) = caller {
            below = all.iter().rposition(|known| known.frame == outer.address());
            if below.is_some() {
                break;
            }
            caller = outer.caller();
        }
        all.truncate(below.map_or(0, |at| at + 1));
        let from_c = frame.caller_through_c().is_some() || below.is_none();
        if let Some(caller) = all.last_mut()
            && caller.after == After::Python
        {
            // That the function began has been counted here.
            caller.after = After::Nothing;
        }
        all.push(Activation { frame: frame.address(), function, unit: 0, after: After::Nothing, from_c });
    }
}

/// Lets `execute` record the event of the hook that the thread is at, if it does.
pub fn at_hook(execute: impl FnOnce()) {
    AT_HOOK.set(true);
    execute();
    AT_HOOK.set(false);
}

/// Whether a switch was possible before `operation`, which is the thread's next event.
pub fn take(operation: &Operation) -> bool {
    let at_hook = AT_HOOK.replace(false);
    let attempt = matches!(operation, Operation::TryAcquire { .. } | Operation::Release { .. });
    let possible = if at_hook || attempt { POSSIBLE.replace(false) } else { true };
    // Once a lock is there, its C function goes on without releasing the GIL. Of other operations nobody knows.
    POSSIBLE.set(!at_hook && !attempt && !matches!(operation, Operation::Acquire { .. }));
    possible
}
