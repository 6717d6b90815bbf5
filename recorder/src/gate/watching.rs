//! The gate's watches: what loops have read, and whether it has been written since.
//!
//! Not here: the watches themselves (watch), when one begins (the interpreter's side).

use super::Gate;
use frontrun_formats::semantics::waits;
use frontrun_formats::{Location, ObjectId, Operation, Part, ThreadId, Value};

impl Gate {
    /// Takes note of an event in the watches of all threads: whether it writes, and whether that leaves a change.
    pub(super) fn watch_over(
        &mut self,
        thread: ThreadId,
        reads: &[Location],
        (writes, changes): (bool, bool),
        hits: impl Fn(Location) -> bool,
    ) {
        let watches = &mut self.state.watches;
        if writes {
            if changes {
                watches.end(thread);
            }
            watches.written(thread, hits);
            // A thread that waits for a change may be enabled now.
            self.stale = true;
        } else {
            reads.iter().for_each(|at| watches.read(thread, *at));
        }
    }

    /// Whether threads of which none can go on are a livelock: one loops for ever, and nothing else is the cause.
    /// `is_served` says which objects are what a server keeps.
    pub fn is_livelock(&self, is_served: impl Fn(ObjectId) -> bool) -> bool {
        let waiting: Vec<_> = self.unfinished().filter_map(|(thread, wait)| Some((thread, wait?))).collect();
        waits::is_livelock(&waiting, |thread| thread.index() < self.threads.len(), is_served, &self.state)
    }

    /// Begins to gather what the thread reads, since it may be going round a loop. The watch is known by `mark`.
    pub fn begin_watch(&mut self, thread: ThreadId, mark: u64) {
        self.state.watches.begin(thread, mark);
    }

    /// The same for a thread that may be going round by sleeping.
    pub fn begin_round(&mut self, thread: ThreadId, mark: u64) {
        self.begin_watch(thread, mark);
        self.threads[thread.index()].wrote = false;
    }

    /// What the watch of the thread is known by; `None` when it has none, or has changed anything since.
    pub fn watch_mark(&self, thread: ThreadId) -> Option<u64> {
        self.state.watches.mark(thread)
    }

    /// Whether the thread has changed anything since its last round began.
    pub fn has_written(&self, thread: ThreadId) -> bool {
        self.threads[thread.index()].wrote
    }

    /// The thread is going to wait for a change of what it has read, and of `also`. Returns all of that; `None` if it does
    /// not watch, be it that it has read too much.
    pub fn rest_until_change(&mut self, thread: ThreadId, also: Location) -> Option<Box<[Location]>> {
        self.state.watches.read(thread, also);
        self.state.watches.rest(thread);
        self.watched(thread)
    }

    /// Has the thread watch this location as well, if it watches.
    pub fn watch_also(&mut self, thread: ThreadId, at: Location) {
        self.state.watches.read(thread, at);
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
            let known = !self.state.reshaped.contains(&list);
            let length = if known { Value::Int(length) } else { Value::Unknown };
            self.state.values.insert(Location::new(list, Part::Shape), length);
        }
    }

    /// Remembers which lists have a length that only a look at them tells. The analyzer, which cannot look, takes an
    /// operation on such a list as one on all elements; so a loop that reads one is not a wait.
    pub(super) fn follow_shapes(&mut self, thread: ThreadId, operation: &Operation) {
        let reshaped = &mut self.state.reshaped;
        let writes = match operation {
            Operation::Write { at } => std::slice::from_ref(at),
            Operation::Touch { writes, .. } => writes,
            Operation::Clear { container } => {
                reshaped.remove(container);
                return;
            }
            Operation::ListGet { list, .. } if reshaped.contains(list) => return self.end_watch(thread),
            _ => return,
        };
        let shapes = writes.iter().filter(|at| matches!(at.part, Part::Whole | Part::Shape));
        reshaped.extend(shapes.map(|at| at.object));
    }

    /// Whether the thread has a lock that it has taken since then.
    pub fn has_taken(&self, thread: ThreadId) -> bool {
        self.state.watches.has_taken(thread)
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

/// The key that an operation has looked for, if it changed nothing because of what it found.
pub(super) fn read_in_vain(operation: &Operation, result: u8) -> Option<Location> {
    match (operation, result) {
        (Operation::DictRemove { dict: container, key }, 0)
        | (Operation::SetAdd { set: container, key }, 1) => Some(Location::new(*container, Part::Key(*key))),
        _ => None,
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

#[cfg(test)]
mod tests {
    use super::*;
    use frontrun_formats::{Block, Schedule, semantics};

    const LIST: ObjectId = ObjectId(3);
    const ME: ThreadId = ThreadId(0);
    const OTHER: ThreadId = ThreadId(1);

    fn execute(gate: &mut Gate, thread: ThreadId, operation: &Operation) {
        gate.execute(thread, operation, 1, Block::Alone, || 1).unwrap();
    }

    #[test]
    fn an_append_that_leaves_an_element_alone_is_no_change_of_it() {
        let (mut gate, first) = (Gate::new(Schedule::default()), Location::new(LIST, Part::Index(0)));
        assert_eq!(gate.seat(ME), OTHER);
        gate.begin_watch(ME, 0);
        gate.tell_length(LIST, 2);
        execute(&mut gate, ME, &Operation::ListGet { list: LIST, index: 0 });
        assert_eq!(gate.watched(ME).as_deref(), Some(&[first][..]));
        execute(&mut gate, OTHER, &Operation::ListAppend { list: LIST });
        assert!(!semantics::enabled(&Operation::AwaitChange { of: [first].into() }, ME, gate.state()));
    }

    #[test]
    fn a_loop_that_reads_a_list_of_a_length_that_is_not_followed_is_no_wait() {
        let (mut gate, first) = (Gate::new(Schedule::default()), Location::new(LIST, Part::Index(0)));
        assert_eq!(gate.seat(ME), OTHER);
        gate.begin_watch(ME, 0);
        gate.tell_length(LIST, 2);
        execute(&mut gate, ME, &Operation::ListGet { list: LIST, index: 0 });
        execute(&mut gate, OTHER, &Operation::Write { at: Location::new(LIST, Part::Whole) });
        let wait = Operation::AwaitChange { of: [first].into() };
        assert!(semantics::enabled(&wait, ME, gate.state()));
        execute(&mut gate, ME, &wait);
        gate.tell_length(LIST, 2);
        execute(&mut gate, OTHER, &Operation::ListAppend { list: LIST });
        assert!(semantics::enabled(&wait, ME, gate.state()), "as the analyzer takes it");
        execute(&mut gate, ME, &Operation::ListGet { list: LIST, index: 0 });
        assert!(!gate.is_watching(ME));
        execute(&mut gate, OTHER, &Operation::Clear { container: LIST });
        gate.begin_watch(ME, 0);
        execute(&mut gate, ME, &Operation::ListGet { list: LIST, index: 0 });
        assert!(gate.is_watching(ME), "an empty list has a known length");
    }
}
