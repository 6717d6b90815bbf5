//! Loops that wait for other threads by reading the same again and again.
//!
//! Model: a thread is at an *anchor* when it reads something inside a loop and nothing is known of the loop yet. When it
//! comes round to its anchor, in the same state, and has changed nothing in between, it will read the same until
//! somebody writes a location that it has read: its next operation is to await that. The state is what the frames of
//! the thread hold. Whatever can advance without being seen counts as progress: an iterator, a generator, a clock, a C
//! function that is not known.
//!
//! A wait of this kind is given up when no thread is enabled, a few times in a row, in case the loop hangs on something
//! that cannot be seen.
//!
//! Not here: what was read, and whether somebody wrote it (recorder::watch).

use crate::interpreter::{self, Frame};
use crate::site::Site;
use crate::{controlled, run};
use frontrun_formats::{Location, Operation, ThreadId};
use pyo3::ffi;
use rustc_hash::FxHasher;
use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::time::Duration;

/// After so many reads elsewhere the thread is in another loop than its anchor is.
const LONGEST_ROUND: u32 = 64;

/// How often a wait is given up before it counts as one without end.
const MOST_GIVEN_UP: u32 = 3;

/// Callers beyond this depth do not change while a loop goes round.
const DEEPEST: usize = 32;

#[derive(Clone, Copy, Default)]
struct Anchor {
    frame: usize,
    /// Line, column, and column of the end: the source that is read from here.
    place: (u32, i32, i32),
    state: u64,
    /// Reads elsewhere since the thread was here.
    elsewhere: u32,
    given_up: u32,
}

thread_local! {
    static ANCHOR: Cell<Anchor> = const {
        Cell::new(Anchor { frame: 0, place: (0, 0, 0), state: 0, elsewhere: 0, given_up: 0 })
    };
}

/// Notes that the calling thread has done something that may have advanced what cannot be seen.
pub fn progress() {
    if let Some(me) = controlled::visible_thread()
        // SAFETY: a controlled thread that runs holds the turn and the lock.
        && let Some(run) = unsafe { run::get() }
    {
        run.gate.end_watch(me);
    }
}

/// Called before a read inside a loop. Where the thread has come round, waits for a change and executes the read as
/// part of that; returns whether it did.
///
/// # Safety
/// Called from the hook of `site`, with its frame.
pub unsafe fn await_change(me: ThreadId, site: &'static Site, frame: Frame) -> bool {
    // SAFETY: the thread holds the turn and the lock.
    let Some(run) = (unsafe { run::get() }) else { return false };
    let place = (site.position.line, site.position.column, site.position.end_column);
    let here = Anchor { frame: frame.address(), place, ..Anchor::default() };
    let anchor = ANCHOR.get();
    if run.gate.is_watching(me) {
        if (anchor.frame, anchor.place) != (here.frame, here.place) {
            if anchor.elsewhere < LONGEST_ROUND {
                ANCHOR.set(Anchor { elsewhere: anchor.elsewhere + 1, ..anchor });
                return false;
            }
        // SAFETY: as the caller promises.
        } else if unsafe { state_of(site, frame) } == anchor.state
            && let Some(of) = run.gate.watched(me).filter(|of| !of.is_empty())
        {
            return wait(me, site, of, anchor);
        }
    }
    // SAFETY: as the caller promises.
    let state = unsafe { state_of(site, frame) };
    run.gate.begin_watch(me);
    ANCHOR.set(Anchor { state, ..here });
    false
}

fn wait(me: ThreadId, site: &'static Site, of: Box<[Location]>, anchor: Anchor) -> bool {
    let patience = (anchor.given_up < MOST_GIVEN_UP).then_some(Duration::MAX);
    let await_change = Operation::AwaitChange { of };
    let gave_up = run::reach_patiently(me, Some(site), await_change.clone(), patience);
    if !gave_up {
        run::execute(me, Some(site), await_change, 1);
    }
    let given_up = if gave_up { anchor.given_up + 1 } else { 0 };
    ANCHOR.set(Anchor { elsewhere: 0, given_up, ..anchor });
    !gave_up
}

/// A digest of what the thread's frames hold: where they are, their variables, and the operands of the innermost one.
///
/// # Safety
/// As for [`await_change`].
unsafe fn state_of(site: &Site, frame: Frame) -> u64 {
    let mut digest = FxHasher::default();
    // SAFETY: the slots below `top` and the variables of callers are initialized.
    unsafe {
        for slot in 0..site.top as usize {
            hash(frame.slot(slot), &mut digest);
        }
        let mut at = frame.caller();
        for _ in 0..DEEPEST {
            let Some(frame) = at else { break };
            let (instruction, variables) = frame.progress();
            (frame.address(), instruction).hash(&mut digest);
            for slot in 0..variables {
                hash(frame.slot(slot), &mut digest);
            }
            at = frame.caller();
        }
    }
    digest.finish()
}

/// An object counts by its address, one that can be replaced by an equal-looking one at the same address by its value.
unsafe fn hash(object: *mut ffi::PyObject, digest: &mut FxHasher) {
    (object as usize).hash(digest);
    // SAFETY: a null or live object; the exact types have functions of their own that run no Python code.
    unsafe {
        if object.is_null() {
        } else if ffi::PyFloat_CheckExact(object) != 0 {
            ffi::PyFloat_AS_DOUBLE(object).to_bits().hash(digest);
        } else if ffi::PyLong_CheckExact(object) != 0 || ffi::PyUnicode_CheckExact(object) != 0 {
            interpreter::exact_hash(object).hash(digest);
        }
    }
}
