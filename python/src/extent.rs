//! Which bytes of a file a call reads and writes.
//!
//! Model: every byte is a part of the contents, and so is the length (the shape). A call of many bytes touches all contents.
//! Whoever reads beyond the end reads the length; whoever writes beyond it writes the length and the bytes in between. The
//! end of the file is where an appending write takes place, whatever place it was given.
//!
//! Invariant: two calls that touch no part in common have the same results in either order, and touch the same parts.
//!
//! Not here: calls at the position of an open file that read, since they may read on.

use crate::behind::{flags, length_of};
use crate::shim::IoEvent;
use frontrun_formats::Part;

/// From so many bytes on, a call touches all contents.
const MANY: u64 = 64;

/// The place of a write in append mode, wherever the end is.
const AT_END: i64 = -2;

/// The parts that a read at a given place reads.
pub fn read(event: &IoEvent) -> Vec<Part> {
    let Ok(start) = u64::try_from(event.offset) else { return vec![Part::Whole] };
    let (end, length) = (start.saturating_add(event.length), length_of(event.fd));
    let shape = (end > length).then_some(Part::Shape);
    bytes(start.min(length), end.min(length)).map_or(vec![Part::Whole], |parts| parts.chain(shape).collect())
}

/// The parts that a write writes.
pub fn written(event: &IoEvent) -> Vec<Part> {
    let length = length_of(event.fd);
    let appends = event.offset == AT_END || flags(event.fd) & libc::O_APPEND != 0;
    let start = if appends { Ok(length) } else { u64::try_from(event.offset) };
    let Ok(start) = start else { return vec![Part::Whole] };
    let end = start.saturating_add(event.length);
    let shape = (end > length || appends).then_some(Part::Shape);
    bytes(start.min(length), end).map_or(vec![Part::Whole], |parts| parts.chain(shape).collect())
}

/// The parts that a change of the length to this one writes.
pub fn cut(event: &IoEvent, length: u64) -> Vec<Part> {
    let before = length_of(event.fd);
    bytes(before.min(length), before.max(length))
        .map_or(vec![Part::Whole], |parts| parts.chain([Part::Shape]).collect())
}

/// The bytes of a range; `None` if they are many.
fn bytes(start: u64, end: u64) -> Option<impl Iterator<Item = Part>> {
    let (start, end) = (u32::try_from(start).ok()?, u32::try_from(end).ok()?);
    (u64::from(end.saturating_sub(start)) <= MANY).then(|| (start..end).map(Part::Index))
}
