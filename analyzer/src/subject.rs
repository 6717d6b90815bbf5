//! Operations as the search sees them: what a thread did, or was about to do, in one atomic step.

use crate::kind::Nature;
use frontrun_formats::{Operation, ThreadId};
use std::ops::Range;

/// Where an operation is written in the execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// Position in [`frontrun_formats::Execution::events`]; of an opaque block that of its first event.
    Event(usize),
    /// Position in [`frontrun_formats::Execution::pending`].
    Pending(usize),
    /// What was given up at this position in [`frontrun_formats::Execution::events`]: it was not executed.
    Elapsed(usize),
}

/// An operation that was executed, or was pending at the end; or an opaque block, by its first operation.
#[derive(Clone, Debug)]
pub(crate) struct Subject<'e> {
    pub(crate) origin: Origin,
    pub(crate) operation: &'e Operation,
    /// It is an opaque block: what it does in which state is not in the operation table.
    pub(crate) opaque: bool,
    pub(crate) id: ThreadId,
    pub(crate) thread: usize,
    /// How many nodes of the thread come before it.
    pub(crate) index: u32,
    /// How many units of the thread come before it.
    pub(crate) unit_index: u32,
    pub(crate) nature: Nature,
    /// What it touched, or may touch, in the list of accesses of the trace.
    pub(crate) accesses: Range<u32>,
    pub(crate) possible: Range<u32>,
}

/// A relevant unit.
#[derive(Clone, Debug)]
pub(crate) struct Node<'e> {
    pub(crate) subject: Subject<'e>,
    /// Position among the units of the execution, and that of its first event.
    pub(crate) unit: usize,
    pub(crate) event: usize,
    pub(crate) head: bool,
    /// The node at which its step begins, and the unit at which it does.
    pub(crate) step: usize,
    pub(crate) step_unit: usize,
}
