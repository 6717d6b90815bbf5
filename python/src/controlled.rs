//! Which controlled thread the calling thread is, and whether it is visible.
//!
//! Not here: whose turn it is (run).

use crate::shim;
use crate::site::Site;
use frontrun_formats::ThreadId;
use std::cell::Cell;

thread_local! {
    /// The calling thread's number plus 1; 0 for a thread that is not controlled.
    static ME: Cell<u32> = const { Cell::new(0) };
    /// How many calls into code that must stay invisible are under way on this thread.
    static QUIET: Cell<u32> = const { Cell::new(0) };
    /// The site that this thread reached last: where a lock operation that follows is said to happen.
    static LAST: Cell<*const Site> = const { Cell::new(std::ptr::null()) };
    /// Whether this thread has reached a site since [`enter_call`].
    static MOVED: Cell<bool> = const { Cell::new(true) };
}

/// The calling thread, when it is controlled and not inside code that must stay invisible.
#[inline]
pub fn visible_thread() -> Option<ThreadId> {
    if QUIET.get() > 0 { None } else { ME.get().checked_sub(1).map(ThreadId) }
}

/// The calling thread, when it is controlled.
pub fn controlled_thread() -> Option<ThreadId> {
    ME.get().checked_sub(1).map(ThreadId)
}

/// Makes the calling thread the controlled thread `thread`, or an uncontrolled one.
pub fn become_thread(thread: Option<ThreadId>) {
    ME.set(thread.map_or(0, |id| id.0 + 1));
    shim::control(thread.is_some());
}

/// Notes the site that this thread has reached.
#[inline]
pub fn set_last_site(site: &Site) {
    LAST.set(site);
    MOVED.set(true);
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
    // SAFETY: sites are constants of code objects whose frames are still running, or of functions that live on.
    unsafe { LAST.get().as_ref() }
}

/// Makes what follows on this thread invisible until [`loud`].
pub fn quiet() {
    QUIET.set(QUIET.get() + 1);
}

/// Ends the latest [`quiet`].
pub fn loud() {
    QUIET.set(QUIET.get().saturating_sub(1));
}
