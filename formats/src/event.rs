//! One visible operation that was executed, and one that a thread was about to execute.

use crate::id::{SiteId, ThreadId};
use crate::operation::Operation;

/// An executed operation. Its position in [`crate::Execution::events`] is its place in the total order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Who.
    pub thread: ThreadId,
    /// Where in the source.
    pub site: SiteId,
    /// What.
    pub operation: Operation,
    /// What the operation reported, as the recorder saw it happen: 1 for success, present or set, 0 for
    /// failure, absent or clear. The analyzer compares it with the semantics; a mismatch is an error, never
    /// ignored.
    pub result: u8,
}

/// What an unfinished thread was about to do when the execution ended. Without it, alternatives of a deadlock
/// would be lost: an offline analyzer cannot ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Who.
    pub thread: ThreadId,
    /// Where in the source.
    pub site: SiteId,
    /// What.
    pub operation: Operation,
}
