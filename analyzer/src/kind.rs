//! What the search may assume about an operation without evaluating it: everything that it could touch at any
//! cut, whether that depends on the state at all, and whether it can be blocked.
//!
//! # Invariants
//! For every state, `semantics::effect` touches at most what [`possible`] lists, exactly that when
//! [`Nature::fixed`], and `semantics::enabled` holds when not [`Nature::gated`] (test `kinds.rs`). What is wrong
//! here in the other direction costs time only.
//!
//! # Not here
//! The meaning of operations: `frontrun_formats::semantics`.

use frontrun_formats::semantics::channels;
use frontrun_formats::{Location, ObjectId, Operation, Part, ThreadId};
use smallvec::{SmallVec, smallvec};

/// What is known of an operation in a given execution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Nature {
    /// The footprint is the same in every state.
    pub(crate) fixed: bool,
    /// There are states in which the operation has to wait.
    pub(crate) gated: bool,
    /// The footprint may be changed by an event that does not write where it changes (algorithm, section 6).
    pub(crate) incoherent: bool,
}

/// Locations, each with whether it is written.
pub(crate) type Possible = SmallVec<[(Location, bool); 3]>;

/// What decides a footprint and is worth following: the presence of one key, the length of one list.
pub(crate) fn deciding(operation: &Operation) -> Option<Location> {
    match *operation {
        Operation::DictStore { dict: object, key }
        | Operation::DictSetDefault { dict: object, key }
        | Operation::DictRemove { dict: object, key }
        | Operation::SetAdd { set: object, key } => Some(Location::new(object, Part::Key(key))),
        Operation::ListAppend { list }
        | Operation::ListPop { list }
        | Operation::ListGet { list, .. }
        | Operation::ListSet { list, .. }
        | Operation::ListChange { list, .. } => Some(Location::new(list, Part::Shape)),
        _ => None,
    }
}

/// Whether the operation names its locations itself: nothing about it is in the operation table.
pub(crate) fn raw(operation: &Operation) -> bool {
    matches!(operation, Operation::Read { .. } | Operation::Write { .. } | Operation::Touch { .. })
}

/// The object whose abstract value the operation looks at or keeps; a condition is followed by its lock.
pub(crate) fn tracked(operation: &Operation) -> SmallVec<[ObjectId; 2]> {
    match *operation {
        Operation::Read { .. }
        | Operation::Write { .. }
        | Operation::Touch { .. }
        | Operation::AwaitChange { .. }
        | Operation::Pause
        | Operation::Elapse { .. } => {
            smallvec![]
        }
        Operation::ChannelWait { ref of } | Operation::ChannelClose { ref of } => {
            of.iter().map(|at| at.object).collect()
        }
        Operation::Resume { awaited, after, host } => {
            [host, ObjectId::THREADS].into_iter().chain(awaited).chain(after).collect()
        }
        Operation::ResumeOnChange { host, .. } => smallvec![host],
        Operation::RunLoop { until: one, host: other, .. }
        | Operation::Enter { gate: one, place: other }
        | Operation::TryEnter { gate: one, place: other }
        | Operation::ReleaseAndSet { lock: one, event: other } => smallvec![one, other],
        Operation::Spawn { .. } | Operation::Start | Operation::End | Operation::Join { .. } => {
            smallvec![ObjectId::THREADS]
        }
        Operation::Acquire { lock } | Operation::TryAcquire { lock } | Operation::Release { lock } => {
            smallvec![lock]
        }
        Operation::DictStore { dict: object, .. }
        | Operation::DictSetDefault { dict: object, .. }
        | Operation::DictRemove { dict: object, .. }
        | Operation::SetAdd { set: object, .. }
        | Operation::ListAppend { list: object }
        | Operation::ListPop { list: object }
        | Operation::ListGet { list: object, .. }
        | Operation::ListSet { list: object, .. }
        | Operation::ListChange { list: object, .. }
        | Operation::Clear { container: object }
        | Operation::SemaphoreAcquire { semaphore: object }
        | Operation::SemaphoreTry { semaphore: object }
        | Operation::SemaphoreRelease { semaphore: object, .. }
        | Operation::EventWait { event: object }
        | Operation::EventSet { event: object }
        | Operation::EventClear { event: object }
        | Operation::EventIsSet { event: object }
        | Operation::ConditionNotify { condition: object, .. }
        | Operation::BarrierArrive { barrier: object, .. }
        | Operation::BarrierLeave { barrier: object, .. }
        | Operation::QueuePut { queue: object, .. }
        | Operation::QueueGet { queue: object }
        | Operation::QueueTryPut { queue: object, .. }
        | Operation::QueueTryGet { queue: object }
        | Operation::ChannelOpen { channel: object }
        | Operation::ChannelPut { channel: object, .. }
        | Operation::ChannelTake { channel: object, .. }
        | Operation::ChannelTryTake { channel: object, .. } => smallvec![object],
        Operation::ConditionWait { condition, lock }
        | Operation::ConditionWake { condition, lock }
        | Operation::ConditionWakeTimed { condition, lock } => smallvec![condition, lock],
    }
}

/// The nature of an operation as far as its kind tells; `known_length` says that the list's length is known at
/// every cut.
pub(crate) fn nature(operation: &Operation, known_length: bool) -> Nature {
    let fixed = match *operation {
        Operation::TryAcquire { .. }
        | Operation::TryEnter { .. }
        | Operation::Release { .. }
        | Operation::DictStore { .. }
        | Operation::DictSetDefault { .. }
        | Operation::DictRemove { .. }
        | Operation::SetAdd { .. }
        | Operation::ListAppend { .. }
        | Operation::ListPop { .. }
        | Operation::ListSet { .. }
        | Operation::SemaphoreTry { .. }
        | Operation::EventSet { .. }
        | Operation::EventClear { .. }
        | Operation::ConditionWakeTimed { .. }
        | Operation::ConditionNotify { .. }
        | Operation::BarrierArrive { .. }
        | Operation::QueueTryPut { .. }
        | Operation::QueueTryGet { .. }
        | Operation::ChannelPut { .. }
        | Operation::ChannelTake { .. }
        | Operation::ChannelTryTake { .. }
        | Operation::ChannelClose { .. } => false,
        // Counted from the front, the element is read whether it exists or not.
        Operation::ListGet { index, .. } => index >= 0 && known_length,
        Operation::SemaphoreRelease { bound, .. } => bound == 0,
        _ => true,
    };
    let gated = match *operation {
        Operation::Start
        | Operation::Resume { .. }
        | Operation::ResumeOnChange { .. }
        | Operation::RunLoop { .. }
        | Operation::Enter { .. }
        | Operation::Join { .. }
        | Operation::Acquire { .. }
        | Operation::SemaphoreAcquire { .. }
        | Operation::EventWait { .. }
        | Operation::ConditionWake { .. }
        | Operation::ConditionWakeTimed { .. }
        | Operation::BarrierLeave { .. }
        | Operation::AwaitChange { .. }
        | Operation::ChannelTake { .. }
        | Operation::ChannelWait { .. }
        | Operation::QueueGet { .. } => true,
        Operation::QueuePut { bound, .. } => bound > 0,
        _ => false,
    };
    // Whether `l[i] = …` writes is changed only by events that write element i; the table calls it incoherent
    // for the sake of negative indices and unknown lengths.
    let coherent_store = matches!(*operation, Operation::ListSet { index, .. } if index >= 0 && known_length);
    let incoherent = !fixed && !coherent_store && frontrun_formats::semantics::incoherent(operation);
    Nature { fixed, gated, incoherent }
}

/// Everything that the operation touches in some state, including what its enabledness looks at.
pub(crate) fn possible(operation: &Operation, thread: ThreadId, known_length: bool) -> Possible {
    let part = |object, part, write| (Location::new(object, part), write);
    let state = |object| part(object, Part::State, true);
    let threads = |at, write| part(ObjectId::THREADS, at, write);
    match *operation {
        Operation::Read { at } => smallvec![(at, false)],
        Operation::Write { at } => smallvec![(at, true)],
        Operation::Touch { ref reads, ref writes } => {
            reads.iter().map(|at| (*at, false)).chain(writes.iter().map(|at| (*at, true))).collect()
        }
        Operation::Spawn { thread } => smallvec![threads(Part::Started(thread), true)],
        Operation::Start => smallvec![threads(Part::Started(thread), false)],
        Operation::End => smallvec![threads(Part::Ended(thread), true)],
        Operation::Join { thread } => smallvec![threads(Part::Ended(thread), false)],
        Operation::Acquire { lock } | Operation::TryAcquire { lock } | Operation::Release { lock } => {
            smallvec![state(lock)]
        }
        Operation::DictStore { dict: object, key }
        | Operation::DictSetDefault { dict: object, key }
        | Operation::DictRemove { dict: object, key }
        | Operation::SetAdd { set: object, key } => {
            smallvec![part(object, Part::Key(key), true), part(object, Part::Shape, true)]
        }
        Operation::ListGet { list, index } | Operation::ListSet { list, index }
            if index >= 0 && known_length =>
        {
            let write = matches!(operation, Operation::ListSet { .. });
            smallvec![part(list, Part::Index(u32::try_from(index).unwrap_or(u32::MAX)), write)]
        }
        Operation::ListGet { list, .. } => smallvec![part(list, Part::Whole, false)],
        Operation::ListAppend { list: object }
        | Operation::ListPop { list: object }
        | Operation::ListSet { list: object, .. }
        | Operation::ListChange { list: object, .. }
        | Operation::Clear { container: object } => smallvec![part(object, Part::Whole, true)],
        Operation::SemaphoreAcquire { semaphore: object }
        | Operation::SemaphoreTry { semaphore: object }
        | Operation::SemaphoreRelease { semaphore: object, .. }
        | Operation::EventSet { event: object }
        | Operation::EventClear { event: object }
        | Operation::QueuePut { queue: object, .. }
        | Operation::QueueGet { queue: object }
        | Operation::QueueTryPut { queue: object, .. }
        | Operation::QueueTryGet { queue: object } => smallvec![state(object)],
        Operation::ChannelOpen { channel } => smallvec![state(channel), (channels::refused(channel), true)],
        Operation::ChannelPut { channel, .. } => {
            smallvec![state(channel), (channels::refused(channel), false), (channels::ended(channel), false)]
        }
        Operation::ChannelTake { channel, .. } | Operation::ChannelTryTake { channel, .. } => {
            smallvec![state(channel), (channels::refused(channel), false), (channels::ended(channel), false)]
        }
        Operation::EventWait { event } | Operation::EventIsSet { event } => {
            smallvec![part(event, Part::State, false)]
        }
        Operation::ConditionWait { condition, lock } => smallvec![state(condition), state(lock)],
        Operation::Enter { gate, place } | Operation::TryEnter { gate, place } => {
            smallvec![part(gate, Part::State, false), state(place)]
        }
        Operation::ReleaseAndSet { lock, event } => smallvec![state(lock), state(event)],
        Operation::ConditionWake { condition, lock } => {
            smallvec![part(condition, Part::Notified(thread), true), state(lock)]
        }
        Operation::ConditionWakeTimed { condition, lock } => {
            smallvec![part(condition, Part::Notified(thread), true), state(condition), state(lock)]
        }
        Operation::ConditionNotify { condition, .. } => smallvec![part(condition, Part::Whole, true)],
        Operation::BarrierArrive { barrier, .. } => {
            smallvec![state(barrier), part(barrier, Part::Generation, true)]
        }
        Operation::BarrierLeave { barrier, .. } => smallvec![part(barrier, Part::Generation, false)],
        Operation::AwaitChange { ref of } => of.iter().map(|at| (*at, false)).collect(),
        Operation::ResumeOnChange { ref of, host } => {
            of.iter().map(|at| (*at, false)).chain([part(host, Part::State, false)]).collect()
        }
        Operation::ChannelWait { ref of } => of
            .iter()
            .flat_map(|at| [Location::new(at.object, Part::State), channels::ended(at.object)])
            .map(|at| (at, false))
            .collect(),
        Operation::ChannelClose { ref of } => of.iter().map(|at| (*at, true)).collect(),
        Operation::RunLoop { until, host, leaves } => {
            smallvec![part(until, Part::State, false), part(host, Part::State, leaves)]
        }
        Operation::Resume { awaited, after, host } => {
            let states =
                [host].into_iter().chain(awaited).chain(after).map(|object| part(object, Part::State, false));
            states.chain([threads(Part::Started(thread), false)]).collect()
        }
        Operation::Pause | Operation::Elapse { .. } => smallvec![],
    }
}
