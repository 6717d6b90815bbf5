//! The gate's watches: what loops have read, and whether it has been written since.
//!
//! Not here: the watches themselves (watch), when one begins (the interpreter's side).

use super::Gate;
use frontrun_formats::{Location, ObjectId, Operation, Part, ThreadId, Value};

impl Gate {
    /// Takes note of an event in the watches of all threads.
    pub(super) fn watch_over(
        &mut self,
        thread: ThreadId,
        reads: &[Location],
        writes: bool,
        hits: impl Fn(Location) -> bool,
    ) {
        let watches = &mut self.state.watches;
        if writes {
            watches.end(thread);
            watches.written(thread, hits);
            // A thread that waits for a change may be enabled now.
            self.stale = true;
        } else {
            reads.iter().for_each(|at| watches.read(thread, *at));
        }
    }

    /// Begins to gather what the thread reads, since it may be going round a loop.
    pub fn begin_watch(&mut self, thread: ThreadId) {
        self.state.watches.begin(thread);
    }

    /// Ends that, since the thread has made progress of which the gate knows nothing.
    pub fn end_watch(&mut self, thread: ThreadId) {
        self.state.watches.end(thread);
    }

    /// Whether the thread has changed nothing since then.
    pub fn is_watching(&self, thread: ThreadId) -> bool {
        self.state.watches.gathered(thread).is_some()
    }

    /// Tells the gate how long a list is before an operation on it, as far as a watch hangs on that.
    pub fn tell_length(&mut self, list: ObjectId, length: i64) {
        if self.state.watches.any() {
            self.state.values.insert(Location::new(list, Part::Shape), Value::Int(length));
        }
    }

    /// What the thread has read since then, unless it has changed anything.
    pub fn watched(&self, thread: ThreadId) -> Option<Box<[Location]>> {
        self.state.watches.gathered(thread).map(|read| read.iter().map(|(at, _)| *at).collect())
    }
}

/// The locations of an operation that does nothing but read locations that it names.
pub(super) fn plain_reads(operation: &Operation) -> &[Location] {
    match operation {
        Operation::Read { at } => std::slice::from_ref(at),
        Operation::Touch { reads, writes } if writes.is_empty() => reads,
        Operation::AwaitChange { of } => of,
        _ => &[],
    }
}

/// Whether an operation on data changes nothing.
pub fn only_reads(operation: &Operation) -> bool {
    matches!(operation, Operation::ListGet { .. }) || !plain_reads(operation).is_empty()
}

pub(super) fn is_of_a_list(operation: &Operation) -> bool {
    use Operation as O;
    matches!(
        operation,
        O::ListAppend { .. }
            | O::ListPop { .. }
            | O::ListGet { .. }
            | O::ListSet { .. }
            | O::ListChange { .. }
    )
}
