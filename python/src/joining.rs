//! Operations on locks and the like that join the opaque block under way.
//!
//! Model: code of the standard library that is out of scope is taken to be right about its own locks, so that it takes
//! one is no place to switch. Where it would have to wait, it does: that it could not take the lock is the last thing
//! that the block says, and with the wait a new block begins. In all other code each operation is a step of its own.
//!
//! Not here: what the operations do (locks, simple_queue, threads).

use crate::site::{Seen, Site};
use crate::{controlled, run};
use frontrun_formats::{Operation, ThreadId};

/// The site that the thread reached last, if it is one of code whose locks are its own.
fn closed() -> Option<&'static Site> {
    controlled::last_site().filter(|site| site.seen == Seen::Closed)
}

/// Reaches an operation that cannot block.
pub fn reach(me: ThreadId) {
    if closed().is_none() || !run::is_in_block(me) {
        run::reach(me, controlled::last_site(), None);
    }
}

/// Reaches an operation that can block, for as long as it takes. Returns what is to be executed: an attempt where it
/// cannot fail. Without one, the operation never joins a block.
pub fn await_turn(me: ThreadId, wait: Operation, attempt: Option<Operation>) -> Operation {
    let Some(site) = closed() else {
        run::reach_patiently(me, controlled::last_site(), wait.clone(), None);
        return wait;
    };
    if let Some(attempt) = attempt.filter(|_| run::is_in_block(me)) {
        if run::is_possible(me, &wait) {
            return attempt;
        }
        run::execute_in_block(me, site, attempt, 0);
    }
    run::reach_block(me, site, wait.clone());
    wait
}

/// Records an operation that may have been waited for.
pub fn execute_awaited(me: ThreadId, operation: Operation, result: u8) {
    match closed().filter(|_| run::is_of_block(me)) {
        Some(site) => run::execute_in_block(me, site, operation, result),
        None => run::execute(me, controlled::last_site(), operation, result),
    }
}

/// Records an operation that could not block and has been reached.
pub fn execute(me: ThreadId, operation: Operation, result: u8) {
    match closed() {
        Some(site) => run::execute_in_block(me, site, operation, result),
        None => run::execute(me, controlled::last_site(), operation, result),
    }
}
