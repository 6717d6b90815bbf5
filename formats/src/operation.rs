//! The closed list of visible operations: what a thread does, atomically, between two switch points.
//!
//! An operation carries its *parameters* (which object, which key); what it reads and writes in a given state,
//! and when it is enabled, is in [`crate::semantics`]. A kind is never reused for another meaning: a change of
//! meaning is a new kind and a new format version.

use crate::id::{KeyId, ObjectId, ThreadId};
use crate::location::Location;
use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};

/// What a thread does next, or did. The footprint may depend on the state, see [`crate::semantics::effect`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the variants' docs say what their parameters are")]
pub enum Operation {
    /// Reads one location. Its result is always 1: what was read is not the semantics' business.
    Read { at: Location },
    /// Writes one location (and may read it). Its result is always 1. Of a dictionary entry or list element: one
    /// that exists, because a new one also changes the shape.
    Write { at: Location },
    /// Reads and writes fixed sets of locations, in one step; what it does both to is in `writes`. Its result is
    /// always 1. If entries may come or go, the shape is in `writes`, too; if elements of a list do, all of the list.
    Touch { reads: Box<[Location]>, writes: Box<[Location]> },

    /// Creates a thread and lets it start.
    Spawn { thread: ThreadId },
    /// The first step of a thread: enabled once it has been spawned.
    Start,
    /// The last step of a thread.
    End,
    /// Waits until a thread has ended.
    Join { thread: ThreadId },

    /// Takes a lock (of a re-entrant one: the outermost acquisition); enabled when it is free.
    Acquire { lock: ObjectId },
    /// Tries to take a lock without waiting, or with a timeout that may always elapse.
    TryAcquire { lock: ObjectId },
    /// Gives a lock back (of a re-entrant one: the outermost release); on a free lock an error that reads it.
    Release { lock: ObjectId },

    /// `d[key] = …`: updates an entry, or inserts it, which also changes the shape.
    DictStore { dict: ObjectId, key: KeyId },
    /// `d.setdefault(key, …)`: reads an entry, or inserts it.
    DictSetDefault { dict: ObjectId, key: KeyId },
    /// `d.pop(key)`, `del d[key]`, `s.discard(key)`: removes an entry, or reads its absence.
    DictRemove { dict: ObjectId, key: KeyId },
    /// `s.add(key)`: inserts an element, or reads its presence.
    SetAdd { set: ObjectId, key: KeyId },

    /// `l.append(…)`.
    ListAppend { list: ObjectId },
    /// `l.pop()`.
    ListPop { list: ObjectId },
    /// `l[index]`, a negative index counted from the end; also one step of an iteration.
    ListGet { list: ObjectId, index: i64 },
    /// `l[index] = …`.
    ListSet { list: ObjectId, index: i64 },

    /// Any other change of a list, which leaves it `delta` elements longer: `insert`, `remove`, `sort`, slices.
    ListChange { list: ObjectId, delta: i32 },
    /// `c.clear()` of a container: empties it.
    Clear { container: ObjectId },

    /// Takes one permit; enabled when there is one.
    SemaphoreAcquire { semaphore: ObjectId },
    /// Takes one permit if there is one.
    SemaphoreTry { semaphore: ObjectId },
    /// Gives `permits` back; with a `bound` above 0, giving back more than that is an error that reads.
    SemaphoreRelease { semaphore: ObjectId, permits: u32, bound: u32 },

    /// Waits until an event's flag is set.
    EventWait { event: ObjectId },
    /// Sets an event's flag.
    EventSet { event: ObjectId },
    /// Clears an event's flag.
    EventClear { event: ObjectId },
    /// Reads an event's flag (`is_set`, or `wait` with a timeout).
    EventIsSet { event: ObjectId },

    /// First half of `Condition.wait`: releases the lock and joins the waiters, atomically.
    ConditionWait { condition: ObjectId, lock: ObjectId },
    /// Second half of `Condition.wait`: enabled when notified and the lock is free; takes the lock.
    ConditionWake { condition: ObjectId, lock: ObjectId },
    /// Second half of `Condition.wait(timeout)`: enabled when the lock is free, notified or not.
    ConditionWakeTimed { condition: ObjectId, lock: ObjectId },
    /// Notifies the first `count` waiters; `u32::MAX` for all.
    ConditionNotify { condition: ObjectId, count: u32 },

    /// Arrives at a barrier of `parties`; the last one opens the next generation.
    BarrierArrive { barrier: ObjectId, parties: u32 },
    /// Leaves a barrier: enabled when its generation is beyond `generation`.
    BarrierLeave { barrier: ObjectId, generation: u32 },

    /// Puts an item; enabled when fewer than `bound` are there (0: no bound).
    QueuePut { queue: ObjectId, bound: u32 },
    /// Takes an item; enabled when there is one.
    QueueGet { queue: ObjectId },
    /// Puts an item if there is room.
    QueueTryPut { queue: ObjectId, bound: u32 },
    /// Takes an item if there is one.
    QueueTryGet { queue: ObjectId },

    /// Makes a channel (a pipe, a direction of a connection, the connections that wait at a listening socket) that is
    /// open and has nothing to take.
    ChannelOpen { channel: ObjectId },
    /// Puts `count` things (bytes, messages, connections) into a channel; where nobody takes any more, an error that reads.
    ChannelPut { channel: ObjectId, count: u32 },
    /// Takes what is there, up to `most`; enabled when there is something, or nobody puts any more. Of nothing but the end
    /// it is a read.
    ChannelTake { channel: ObjectId, most: u32 },
    /// Takes what is there, up to `most`, without waiting.
    ChannelTryTake { channel: ObjectId, most: u32 },
    /// Waits until one of these channels, each given by any part of it, has something to take or has ended. If there are several,
    /// no other thread takes from any of them.
    ChannelWait { of: Box<[Location]> },
    /// Closes ends of channels: nobody puts any more (the shape), or nobody takes any more (the generation).
    ChannelClose { of: Box<[Location]> },

    /// A switch point that touches nothing: a marker, `sleep`, a yield.
    Pause,

    /// Reads these locations once one of them has been written since the thread last touched it: what a loop does that
    /// read them all, changed nothing, and would read them again.
    AwaitChange { of: Box<[Location]> },

    /// An asyncio task, or a callback of an event loop, goes on: enabled once it has been spawned, what it awaits is
    /// done, as well as what it comes after, and the loop that hosts it is idle. What is done is an event that is set, as
    /// is a loop that is idle.
    Resume { awaited: Option<ObjectId>, after: Option<ObjectId>, host: ObjectId },
    /// An asyncio task goes on that polls: enabled when its loop is idle and one of these locations has been written since
    /// the task last touched it. Reads them.
    ResumeOnChange { of: Box<[Location]>, host: ObjectId },
    /// The thread that runs an event loop has waited for something there: enabled when `until` is set and the loop is
    /// idle. If it leaves, the loop is idle no more.
    RunLoop { until: ObjectId, host: ObjectId, leaves: bool },

    /// Goes in behind a gate: enabled when the flags of the gate and of the place are set; clears that of the place. Others
    /// that go in, at other places, are not in the way.
    Enter { gate: ObjectId, place: ObjectId },
    /// The same without waiting.
    TryEnter { gate: ObjectId, place: ObjectId },
    /// Gives a lock back and sets an event's flag, in one step.
    ReleaseAndSet { lock: ObjectId, event: ObjectId },

    /// Gives up waiting for `of`, since its time ran out while no thread was enabled. It comes after everything that
    /// was executed before it, and never before anything else.
    Elapse { of: Box<Operation> },
}

impl Operation {
    /// Reads and writes locations, each of which is named once ([`distinct`](crate::location::distinct)). `None` if there
    /// are none.
    pub fn touching(
        reads: impl IntoIterator<Item = Location>,
        writes: impl IntoIterator<Item = Location>,
    ) -> Option<Operation> {
        let mut known = FxHashSet::default();
        let writes: Box<[Location]> = writes.into_iter().filter(|at| known.insert(*at)).collect();
        let reads: Box<[Location]> = reads.into_iter().filter(|at| known.insert(*at)).collect();
        (!known.is_empty()).then_some(Operation::Touch { reads, writes })
    }

    /// Whether it is about the life of threads, not about what they share.
    pub fn is_lifecycle(&self) -> bool {
        use Operation::{End, Join, Spawn, Start};
        matches!(self, Spawn { .. } | Start | End | Join { .. })
    }

    /// Whether a task or callback goes on with it.
    pub fn resumes(&self) -> bool {
        matches!(self, Operation::Resume { .. } | Operation::ResumeOnChange { .. })
    }

    /// Whether it accesses data, rather than synchronising.
    pub fn is_access(&self) -> bool {
        matches!(
            self,
            Operation::Read { .. }
                | Operation::Write { .. }
                | Operation::Touch { .. }
                | Operation::DictStore { .. }
                | Operation::DictSetDefault { .. }
                | Operation::DictRemove { .. }
                | Operation::SetAdd { .. }
                | Operation::ListAppend { .. }
                | Operation::ListPop { .. }
                | Operation::ListGet { .. }
                | Operation::ListSet { .. }
                | Operation::ListChange { .. }
                | Operation::Clear { .. }
        )
    }

    /// A number for the kind of operation, stable within a format version.
    pub fn kind(&self) -> u8 {
        match self {
            Operation::Read { .. } => 0,
            Operation::Write { .. } => 1,
            Operation::Touch { .. } => 2,
            Operation::Spawn { .. } => 3,
            Operation::Start => 4,
            Operation::End => 5,
            Operation::Join { .. } => 6,
            Operation::Acquire { .. } => 7,
            Operation::TryAcquire { .. } => 8,
            Operation::Release { .. } => 9,
            Operation::DictStore { .. } => 10,
            Operation::DictSetDefault { .. } => 11,
            Operation::DictRemove { .. } => 12,
            Operation::SetAdd { .. } => 13,
            Operation::ListAppend { .. } => 14,
            Operation::ListPop { .. } => 15,
            Operation::ListGet { .. } => 16,
            Operation::ListSet { .. } => 17,
            Operation::SemaphoreAcquire { .. } => 18,
            Operation::SemaphoreTry { .. } => 19,
            Operation::SemaphoreRelease { .. } => 20,
            Operation::EventWait { .. } => 21,
            Operation::EventSet { .. } => 22,
            Operation::EventClear { .. } => 23,
            Operation::EventIsSet { .. } => 24,
            Operation::ConditionWait { .. } => 25,
            Operation::ConditionWake { .. } => 26,
            Operation::ConditionWakeTimed { .. } => 27,
            Operation::ConditionNotify { .. } => 28,
            Operation::BarrierArrive { .. } => 29,
            Operation::BarrierLeave { .. } => 30,
            Operation::QueuePut { .. } => 31,
            Operation::QueueGet { .. } => 32,
            Operation::QueueTryPut { .. } => 33,
            Operation::QueueTryGet { .. } => 34,
            Operation::Pause => 35,
            Operation::Elapse { .. } => 38,
            Operation::AwaitChange { .. } => 39,
            Operation::Resume { .. } => 46,
            Operation::RunLoop { .. } => 47,
            Operation::Enter { .. } => 48,
            Operation::TryEnter { .. } => 49,
            Operation::ReleaseAndSet { .. } => 50,
            Operation::ResumeOnChange { .. } => 51,
            Operation::ListChange { .. } => 36,
            Operation::Clear { .. } => 37,
            Operation::ChannelOpen { .. } => 40,
            Operation::ChannelPut { .. } => 41,
            Operation::ChannelTake { .. } => 42,
            Operation::ChannelTryTake { .. } => 43,
            Operation::ChannelWait { .. } => 44,
            Operation::ChannelClose { .. } => 45,
        }
    }
}
