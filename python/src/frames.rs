//! What the frames of a thread hold, as a number, so that a thread can be told to be in the same state again.
//!
//! Model: a digest of where frames are, and of their variables. An object counts by its address, and some of those that can
//! come and go without a trace by their contents, too. The others are held: once one of them is freed, the digest says nothing
//! any more.
//!
//! Not here: what objects keep; whether that has changed is known from what was read and written (recorder::watch).

use crate::interpreter::{self, Frame};
use crate::run;
use frontrun_formats::ThreadId;
use pyo3::ffi;
use rustc_hash::FxHasher;
use std::hash::{Hash, Hasher};

/// A stack that is deeper is not compared, nor is a tuple that is deeper or longer.
const DEEPEST: usize = 200;
const DEEPEST_TUPLE: usize = 4;
const LONGEST_TUPLE: isize = 64;

/// The digest under way.
pub struct State {
    digest: FxHasher,
    me: ThreadId,
    /// Whether this is the first look, which holds what the state hangs on.
    first: bool,
    comparable: bool,
}

impl State {
    /// Begins with nothing; `None` where no run is under way.
    ///
    /// # Safety
    /// The calling thread holds the interpreter's lock.
    pub unsafe fn begin(me: ThreadId, first: bool) -> Option<State> {
        // SAFETY: as the caller promises; the borrow ends here.
        let identities = unsafe { run::identities() }?;
        if first {
            identities.held.begin(me);
        }
        Some(State { digest: FxHasher::default(), me, first, comparable: identities.held.is_intact(me) })
    }

    /// The digest; `None` when it cannot be compared with another one, or with the first one any more.
    pub fn finish(self) -> Option<u64> {
        self.comparable.then(|| self.digest.finish())
    }

    /// Adds a frame and its callers, up to one of which `is_last` holds. Returns whether there was one.
    ///
    /// # Safety
    /// The frame is live; the calling thread holds the interpreter's lock.
    pub unsafe fn add_frames(&mut self, mut at: Option<Frame>, is_last: impl Fn(Frame) -> bool) -> bool {
        let mut depth = 0;
        while let Some(frame) = at.filter(|_| self.comparable) {
            // SAFETY: callers of a live frame are live; their variables are initialized.
            unsafe {
                let (instruction, variables) = frame.progress();
                (frame.address(), instruction).hash(&mut self.digest);
                for slot in 0..variables {
                    self.add(frame.slot(slot));
                }
                if is_last(frame) {
                    return true;
                }
                at = frame.caller();
            }
            depth += 1;
            self.comparable &= depth < DEEPEST;
        }
        false
    }

    /// Adds an object, which may be null.
    ///
    /// # Safety
    /// It is live; the calling thread holds the interpreter's lock.
    pub unsafe fn add(&mut self, object: *mut ffi::PyObject) {
        // SAFETY: as the caller promises.
        unsafe { self.add_nested(object, 0) }
    }

    unsafe fn add_nested(&mut self, object: *mut ffi::PyObject, depth: usize) {
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
                self.add_nested(ffi::PyTuple_GET_ITEM(tuple, nth), depth + 1);
            }
        }
    }
}
