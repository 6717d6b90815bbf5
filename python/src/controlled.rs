//! Which controlled thread the calling thread is, and whether it is visible.
//!
//! Not here: whose turn it is (run).

use crate::site::Site;
use crate::{epoch, shim};
use frontrun_formats::{ObjectId, ThreadId};
use pyo3::ffi;
use std::cell::Cell;
use std::ffi::c_int;

thread_local! {
    /// The run that the calling thread belongs to, and its number there plus 1; 0 for a thread that is not controlled.
    static ME: Cell<(u32, u32)> = const { Cell::new((0, 0)) };
    /// How many calls into code that must stay invisible are under way on this thread.
    static QUIET: Cell<u32> = const { Cell::new(0) };
    /// The site that this thread reached last: where a lock operation that follows is said to happen. Owned, since the
    /// code of a module is gone as soon as it has run.
    static LAST: Cell<*const Site> = const { Cell::new(std::ptr::null()) };
    /// Where the frame is in which it did.
    static LAST_FRAME: Cell<usize> = const { Cell::new(0) };
    /// The step of an event loop that is under way on this thread.
    static STEP: Cell<Option<Step>> = const { Cell::new(None) };
    /// Whether this thread has reached a site since [`enter_call`].
    static MOVED: Cell<bool> = const { Cell::new(true) };
}

/// What an event loop does on behalf of a task or callback, up to where that suspends or ends.
#[derive(Clone, Copy)]
pub struct Step {
    /// The event loop.
    pub host: ObjectId,
    /// It is one opaque block so far: no other thread can come in between.
    pub whole: bool,
}

/// The step of an event loop that is under way on this thread.
#[inline]
pub fn step() -> Option<Step> {
    STEP.get()
}

/// The same, if it is one block so far.
#[inline]
pub fn whole_step() -> Option<Step> {
    STEP.get().filter(|step| step.whole)
}

/// Begins or ends a step.
pub fn set_step(step: Option<Step>) {
    STEP.set(step);
}

/// The calling thread, when it is controlled and not inside code that must stay invisible.
#[inline]
pub fn visible_thread() -> Option<ThreadId> {
    if QUIET.get() > 0 { None } else { controlled_thread() }
}

/// The calling thread, when it is controlled.
#[inline]
pub fn controlled_thread() -> Option<ThreadId> {
    let (run, number) = ME.get();
    if run == epoch::current() { number.checked_sub(1).map(ThreadId) } else { None }
}

/// Makes the calling thread the controlled thread `thread`, or an uncontrolled one, which is in no step.
pub fn become_thread(thread: Option<ThreadId>) {
    STEP.set(None);
    ME.set(thread.map_or((0, 0), |id| (epoch::current(), id.0 + 1)));
    keep_last_site(std::ptr::null());
    crate::clock::forget_rests();
    crate::switching::forget();
    shim::control(thread.is_some());
}

/// Makes the calling thread one of a run that is over.
pub fn become_stale() {
    ME.set((0, 1));
}

/// Whether the calling thread belongs to a run that is over: it has to end.
#[inline]
pub fn is_stale() -> bool {
    let (run, number) = ME.get();
    number > 0 && run != epoch::current()
}

/// Raises `SystemExit` in a thread whose run is over.
pub fn refuse() -> c_int {
    // SAFETY: the interpreter's lock is held.
    unsafe { ffi::PyErr_SetNone(ffi::PyExc_SystemExit) };
    -1
}

/// Notes the site that this thread has reached, and where its frame is.
#[inline]
pub fn set_last_site(site: &Site, frame: usize) {
    keep_last_site(site);
    LAST_FRAME.set(frame);
    MOVED.set(true);
}

/// The site that this thread has reached last, if the frame at this address is the one that has reached it.
pub fn last_site_of(frame: usize) -> Option<&'static Site> {
    if LAST_FRAME.get() == frame { last_site() } else { None }
}

#[inline]
fn keep_last_site(site: *const Site) {
    if LAST.get() == site {
        return;
    }
    // SAFETY: the interpreter's lock is held; sites are objects, and what was kept is owned. The end of one runs no code
    // of the program.
    unsafe {
        ffi::Py_XINCREF(site.cast_mut().cast());
        ffi::Py_XDECREF(LAST.replace(site).cast_mut().cast());
    }
}

/// Marks the call of C code that is under way.
pub fn enter_call() {
    MOVED.set(false);
}

/// Whether the call that was marked is still under way: no code in scope has been executed since.
pub fn is_same_call() -> bool {
    !MOVED.get()
}

/// The site that this thread reached last.
pub fn last_site() -> Option<&'static Site> {
    // SAFETY: the site is kept until the thread reaches another one.
    unsafe { LAST.get().as_ref() }
}

/// Whether what this thread does must stay invisible.
pub fn is_quiet() -> bool {
    QUIET.get() > 0
}

/// Makes what follows on this thread invisible until [`loud`].
pub fn quiet() {
    QUIET.set(QUIET.get() + 1);
}

/// Ends the latest [`quiet`].
pub fn loud() {
    QUIET.set(QUIET.get().saturating_sub(1));
}
