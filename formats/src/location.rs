//! The shared thing that an operation reads or writes: a part of an object.
//!
//! Invariant: what cannot be named precisely is [`Part::Whole`], which conflicts with every part of its
//! object. A coarse location costs executions; a missing one costs soundness.

use crate::id::{KeyId, ObjectId, StringId, ThreadId};
use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};

/// A part of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Location {
    /// Whose part.
    pub object: ObjectId,
    /// Which part.
    pub part: Part,
}

/// Which part of its object a [`Location`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Part {
    /// All of it: conflicts with every part of the same object.
    Whole,
    /// Which keys or how many elements there are, and their order. Its abstract value for a list is the length. Of a
    /// channel: whether nobody puts anything there any more.
    Shape,
    /// The state of a lock, semaphore, event, barrier count, queue, cell or iterator: the object's one value.
    State,
    /// An attribute or a global variable. Its value is 1 when present, 0 when absent, where that is tracked.
    Name(StringId),
    /// A dictionary entry or set element. Its abstract value is 1 when present, 0 when absent.
    Key(KeyId),
    /// A list element, counted from the front. Present exactly when it is below the length.
    Index(u32),
    /// A barrier's generation (how often it has opened). Of a channel: whether nobody takes anything any more.
    Generation,
    /// Whether a condition's waiter has been notified.
    Notified(ThreadId),
    /// Whether a thread has been started. The object is [`ObjectId::THREADS`].
    Started(ThreadId),
    /// Whether a thread has ended. The object is [`ObjectId::THREADS`].
    Ended(ThreadId),
}

impl Part {
    /// Whether threads wait for its value, which none but the operations that wait and wake change: an access that is
    /// not followed, to it or to the whole of its object, conflicts with them and leaves it as it was.
    pub fn is_awaited(self) -> bool {
        matches!(self, Part::State | Part::Generation | Part::Notified(_) | Part::Started(_) | Part::Ended(_))
    }
}

impl Location {
    /// The part `part` of `object`.
    pub fn new(object: ObjectId, part: Part) -> Self {
        Location { object, part }
    }

    /// Whether the two name a common part of one object.
    pub fn overlaps(self, other: Location) -> bool {
        self.object == other.object
            && (self.part == other.part || self.part == Part::Whole || other.part == Part::Whole)
    }
}

/// Each location once, in the order in which they are come upon: that is the same in every execution, and their numbers
/// are not.
pub fn distinct(locations: impl IntoIterator<Item = Location>) -> Box<[Location]> {
    let mut known = FxHashSet::default();
    locations.into_iter().filter(|at| known.insert(*at)).collect()
}
