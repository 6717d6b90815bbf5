//! The trace file `.frz`, format 6: one recorded run, readable to the last whole frame whatever killed it.
//!
//! # Model
//! A file is a sequence of zstd frames, so `zstd -d` unpacks it; what zstd does not know hides in its skippable
//! frames.
//!
//! ```text
//! skippable 0x184D2A50   prefix: "FRONTRUN", format version (u32)
//! then, for every record:
//!   skippable 0x184D2A51   head: kind, ordinal, sizes, checksums        (`frame`)
//!   zstd frame             one MessagePack record                       (`record`)
//! skippable 0x184D2A52   footer: the index, its checksum, its length, "FRONTRUN"   (`index`)
//! ```
//!
//! All integers outside MessagePack are little endian. The records are, in this order: one [`Header`], written
//! before the run; any number of [`Delta`]s, and of batches of [`Input`]s among them; the sources and the [`End`]. Events are stored in columns, grouped
//! by thread, and the order between the threads as runs of (thread, count) (`events`, `columns`, `operands`).
//!
//! # Invariants
//! * A frame reaches the file in one `write_all`, and nothing waits in memory after it: after `kill -9` the file
//!   ends in a whole frame or in a part of one, which the reader drops.
//! * The reader never panics and never allocates what the input does not justify: sizes are compared with the
//!   bytes that are left, a record is at most [`FRAME_LIMIT`] bytes, and every id is compared with its table.
//! * The writer makes the same comparisons, so that what was written can be read.
//!
//! # Evolution
//! A version is a meaning. Whatever changes what a reader would understand (a new operation kind, part or field,
//! another order of columns, another meaning of a number) bumps [`FORMAT_VERSION`]; a reader refuses the
//! versions that it does not know by name and never guesses. `tests/golden/` keeps a file of each version.
//!
//! Version 2 tells of each event where an interpreter with a GIL can switch threads. Version 1 does not; its events are
//! read as if it could do so everywhere. Version 3 may hold inputs, which no record of version 2 does. Version 4 knows
//! gates: entering, trying to, and giving a lock back while opening one. Version 5 says in its schedule what each step
//! touches. Version 6 knows tasks that go on once something has changed.
//!
//! # Not here
//! What the records mean (the modules beside this one); when a recorder flushes; compression of anything else.

mod columns;
mod error;
mod events;
mod frame;
mod index;
mod operands;
mod reader;
mod record;
mod tables;
mod varint;
mod writer;

pub use error::{ReadError, WriteError};
pub use frame::FRAME_LIMIT;
pub use index::{FrameEntry, Index, read_index};
pub use reader::{read, read_file, read_header};
pub use writer::{Writer, write_file};

use crate::event::{Event, Pending};
use crate::execution::{ObjectInfo, Site, Source, ThreadInfo};
use crate::id::StringId;
use crate::input::Input;
use crate::location::Location;
use crate::outcome::Outcome;
use crate::semantics::Value;

/// The version of the format that this crate writes.
pub const FORMAT_VERSION: u32 = 6;

/// The oldest version that it reads.
pub const OLDEST_VERSION: u32 = 1;

/// What is new since the last delta: table rows, and the events that refer to these and to earlier rows.
///
/// An id counts from the first row of its table in the file, not in the delta.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// New rows of [`crate::Execution::strings`].
    pub strings: Vec<String>,
    /// New rows of [`crate::Execution::keys`].
    pub keys: Vec<StringId>,
    /// New rows of [`crate::Execution::sites`].
    pub sites: Vec<Site>,
    /// New rows of [`crate::Execution::objects`].
    pub objects: Vec<ObjectInfo>,
    /// New rows of [`crate::Execution::threads`]. A thread that somebody is about to spawn has a row, too.
    pub threads: Vec<ThreadInfo>,
    /// Values before the first event, for locations that were first seen since the last delta.
    pub initial: Vec<(Location, Value)>,
    /// The next events, in execution order.
    pub events: Vec<Event>,
    /// The next inputs.
    pub inputs: Vec<Input>,
}

/// What is known when a run has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// What each unfinished thread was about to do. It refers to rows of the deltas only.
    pub pending: Vec<Pending>,
    /// The source files. A text too large for a frame is left out.
    pub sources: Vec<Source>,
    /// `repr` of what the caller asked to observe.
    pub observed: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
}
