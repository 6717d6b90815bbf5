//! Tasks that poll: they sleep for a moment, look whether something has happened, and sleep again.
//!
//! Model: a task that comes to sleep has gone round since it woke. If it has changed nothing in between, and its frames hold
//! what they held when it came here the last time, it will do the same again until somebody writes a location that it has
//! read, or asks it to be cancelled. So it waits for that, in place of a moment of sleep. The watch of what it reads begins
//! when it wakes, and is known by the state.
//!
//! Not here: what sleeping is otherwise (package `frontrun._sleeping`), loops that do not sleep (spinning).

use crate::flags::{flag, number};
use crate::frames::State;
use crate::interpreter::Frame;
use crate::{controlled, run, spinning};
use frontrun_formats::{Location, Operation, Part, ThreadId};
use pyo3::ffi;
use pyo3::prelude::*;
use std::cell::RefCell;
use std::time::Duration;

/// A round has changed something, has changed nothing, or has changed nothing and ended in the state that it began in.
const CHANGED: u8 = 0;
const QUIET: u8 = 1;
const SAME: u8 = 2;

/// Frames of coroutines that are not the program's: that of `asyncio.sleep`, and the one that it calls.
const OWN: usize = 2;

thread_local! {
    /// What the task waits for that comes to sleep on this thread.
    static AWAITED: RefCell<Box<[Location]>> = RefCell::default();
}

/// Called by the coroutine that `asyncio.sleep` awaits, in the task that this coroutine belongs to. Returns what the task's
/// round was, and what the next one is to begin with.
#[pyfunction]
pub fn come_to_sleep(
    task: &Bound<'_, PyAny>,
    coroutine: &Bound<'_, PyAny>,
    delay: &Bound<'_, PyAny>,
    result: &Bound<'_, PyAny>,
) -> (u8, u64) {
    let Some(me) = controlled::controlled_thread() else { return (CHANGED, 0) };
    let state = |first| {
        // SAFETY: called from the bytecode of a coroutine; the calling thread holds the lock, and the objects are live.
        unsafe { state(me, coroutine.as_ptr(), [delay.as_ptr(), result.as_ptr()], first) }
    };
    let task = number(task);
    // SAFETY: the calling thread holds the turn and the lock.
    let Some(run) = (unsafe { run::get() }) else { return (CHANGED, 0) };
    if let Some(mark) = run.gate.watch_mark(me)
        && state(false) == Some(mark)
        && run.gate.watched(me).is_some_and(|of| !of.is_empty())
    {
        let cancelled = Location::new(task, Part::Name(run.recording.string("_must_cancel")));
        // One that reads too much is not watched any more.
        if let Some(of) = run.gate.rest_until_change(me, cancelled) {
            AWAITED.set(of);
            return (SAME, mark);
        }
    }
    let what = if run.gate.has_written(me) { CHANGED } else { QUIET };
    (what, state(true).unwrap_or_default())
}

/// The digest of what the frames of a task hold, which is never 0. `None` where the coroutine is not one that the task is in.
///
/// # Safety
/// As [`come_to_sleep`] is called.
unsafe fn state(
    me: ThreadId,
    coroutine: *mut ffi::PyObject,
    arguments: [*mut ffi::PyObject; 2],
    first: bool,
) -> Option<u64> {
    // SAFETY: callers of a live frame are live.
    unsafe {
        let mut state = State::begin(me, first)?;
        arguments.into_iter().for_each(|argument| state.add(argument));
        let (mut at, mut own) = (Some(Frame::current()), 0);
        while own < OWN {
            let frame = at?;
            own += usize::from(!frame.generator().is_null());
            at = frame.caller();
        }
        let reached = state.add_frames(at, |frame| frame.generator() == coroutine);
        state.finish().filter(|_| reached).map(|digest| digest | 1)
    }
}

/// Called when the task goes on, with what [`come_to_sleep`] has returned: another round begins.
#[pyfunction]
pub fn wake_from_sleep(mark: u64) {
    if let Some(me) = controlled::controlled_thread()
        // SAFETY: the calling thread holds the turn and the lock.
        && let Some(run) = unsafe { run::get() }
    {
        spinning::forget();
        run.gate.begin_round(me, mark.max(1));
    }
}

/// Says that a task goes on once something has changed that it has read; unless `forever`, also when no thread can.
#[pyfunction]
pub fn await_change_in_task(task: u32, host: &Bound<'_, PyAny>, forever: bool) {
    let next = Operation::ResumeOnChange { of: AWAITED.take(), host: flag(host, 0) };
    // SAFETY: the calling thread holds the turn and the lock.
    if let Some(run) = unsafe { run::get() } {
        run.gate.propose(ThreadId(task), next, (!forever).then_some(Duration::MAX));
    }
}
