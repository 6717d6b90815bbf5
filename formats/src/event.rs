//! One visible operation that was executed, and one that a thread was about to execute.
//!
//! Events can be tied together to an *opaque block*: what one thread did without a switch, as one atomic thing whose
//! footprint nobody can tell before it has run (a call of code out of scope, an asyncio task between two awaits, a
//! marked segment of code). Every other event is atomic by itself.
//!
//! # Invariants
//! The events of a block are consecutive and of one thread. Only the first can have to wait, so it decides whether the
//! block is enabled; what would have to wait later on ends the block and is an event of its own. What a block does
//! hangs on nothing but what its thread observed before and on the locations that its events touch.

use crate::id::{SiteId, ThreadId};
use crate::operation::Operation;

/// How an event is tied to the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Block {
    /// Not at all: the operation table says what it does in which state.
    #[default]
    Alone,
    /// It is the first event of an opaque block, perhaps the only one this time.
    First,
    /// It belongs to the block of the event before it.
    Later,
}

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
    /// Whether it belongs to an opaque block.
    pub block: Block,
    /// Whether an interpreter with a GIL can let another thread run between the thread's event before and this one: its
    /// eval breaker is looked at there, or the GIL is released. True where nobody knows.
    pub gil_switch: bool,
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
    /// [`Block::First`] when an opaque block would have begun with it.
    pub block: Block,
}
