//! Which controlled thread the calling thread is, and whether it is visible.
//!
//! Not here: whose turn it is (run).

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
}

/// Notes the site that this thread has reached.
#[inline]
pub fn set_last_site(site: &Site) {
    LAST.set(site);
}

/// The site that this thread reached last.
pub fn last_site() -> Option<&'static Site> {
    // SAFETY: sites are constants of code objects whose frames are still running, or of functions that live on.
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
