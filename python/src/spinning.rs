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

/// A stack that is deeper is not compared, nor is a tuple that is deeper or longer.
const DEEPEST: usize = 200;
const DEEPEST_TUPLE: usize = 4;
const LONGEST_TUPLE: isize = 64;

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
        } else if unsafe { State::of(me, site, frame, false) } == Some(anchor.state)
            && let Some(of) = run.gate.watched(me).filter(|of| !of.is_empty())
        {
            return wait(me, site, of, anchor);
        }
    }
    // SAFETY: as the caller promises.
    match unsafe { State::of(me, site, frame, true) } {
        Some(state) => {
            run.gate.begin_watch(me);
            ANCHOR.set(Anchor { state, ..here });
        }
        None => run.gate.end_watch(me),
    }
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

/// A digest of what a thread's frames hold: where they are, their variables, and the operands of the innermost one.
///
/// An object counts by its address, and some of those that can come and go without a trace by their contents, too. The
/// others are held: once one of them is freed, the digest says nothing any more.
struct State {
    digest: FxHasher,
    me: ThreadId,
    /// Whether this is the first look, which holds what the state hangs on.
    first: bool,
    comparable: bool,
}

impl State {
    /// The digest; `None` when it cannot be compared with another one, or with the first one any more.
    ///
    /// # Safety
    /// As for [`await_change`].
    unsafe fn of(me: ThreadId, site: &Site, frame: Frame, first: bool) -> Option<u64> {
        // SAFETY: the calling thread holds the lock of the interpreter; the borrow ends here.
        let identities = unsafe { run::identities() }?;
        if first {
            identities.held.begin(me);
        }
        let mut state =
            State { digest: FxHasher::default(), me, first, comparable: identities.held.is_intact(me) };
        // SAFETY: the slots below `top` and the variables of callers are initialized.
        unsafe {
            for slot in 0..site.top as usize {
                state.add(frame.slot(slot), 0);
            }
            let mut at = frame.caller();
            let mut depth = 0;
            while let Some(frame) = at.filter(|_| state.comparable) {
                let (instruction, variables) = frame.progress();
                (frame.address(), instruction).hash(&mut state.digest);
                for slot in 0..variables {
                    state.add(frame.slot(slot), 0);
                }
                at = frame.caller();
                depth += 1;
                state.comparable &= depth < DEEPEST;
            }
        }
        state.comparable.then(|| state.digest.finish())
    }

    unsafe fn add(&mut self, object: *mut ffi::PyObject, depth: usize) {
        (object as usize).hash(&mut self.digest);
        if object.is_null() {
            return;
        }
        // SAFETY: a live object; the exact types hash by their contents and run no Python code.
        unsafe {
            if ffi::PyFloat_CheckExact(object) != 0 {
                ffi::PyFloat_AS_DOUBLE(object).to_bits().hash(&mut self.digest);
            } else if ffi::PyLong_CheckExact(object) != 0 || ffi::PyUnicode_CheckExact(object) != 0 {
                interpreter::exact_hash(object).hash(&mut self.digest);
            } else if ffi::PyTuple_CheckExact(object) != 0 {
                self.add_items(object, depth);
            } else if ffi::PySlice_Check(object) != 0 {
                // The interpreter keeps one for reuse without freeing it.
                self.comparable = false;
            } else if self.first
                && let Some(identities) = run::identities()
            {
                identities.held.hold(self.me, interpreter::block(object));
            }
        }
    }

    /// Tuples are kept for reuse without being freed.
    unsafe fn add_items(&mut self, tuple: *mut ffi::PyObject, depth: usize) {
        // SAFETY: a live tuple.
        unsafe {
            let size = ffi::PyTuple_GET_SIZE(tuple);
            if depth == DEEPEST_TUPLE || size > LONGEST_TUPLE {
                self.comparable = false;
                return;
            }
            for nth in 0..size {
                self.add(ffi::PyTuple_GET_ITEM(tuple, nth), depth + 1);
            }
        }
    }
}
