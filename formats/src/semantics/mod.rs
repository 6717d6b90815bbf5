//! What an operation means: when it is enabled, what it reads and writes in a given state, what it reports.
//!
//! Model: the state maps locations to abstract values, which hold just what footprints and enabledness need (a
//! key is present, a list's length, a lock's owner). Rule F: a footprint contains every location that decides
//! the result, the footprint itself, or the enabledness; a write implies a read. The events that can disable
//! one given operation conflict with each other pairwise.
//!
//! The recorder's gate and the analyzer evaluate the same table, so they cannot disagree.
//!
//! What is not known ([`Value::Unknown`]) never decides anything: such an operation counts as enabled, touches
//! all that it could touch, reports [`UNKNOWN_RESULT`], and leaves what it computes from it unknown.
//!
//! Not here: the state itself (recorder and analyzer keep theirs, see [`State`]).

pub mod changes;
pub mod channels;
mod containers;
mod synchronization;
pub mod waits;

use crate::id::{ObjectId, ThreadId};
use crate::location::{Location, Part};
use crate::operation::Operation;
use serde::{Deserialize, Serialize};
use smallvec::{SmallVec, smallvec};

/// An abstract value. Locations that nobody has written and that have no initial value hold `Int(0)`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Value {
    /// A flag, count, length, or owner (thread index plus 1).
    Int(i64),
    /// A condition's waiters, first come first served.
    Waiters(Vec<ThreadId>),
    /// Not known: something wrote the location in a way that the table does not follow. An operation whose
    /// footprint hangs on it touches all that it could touch.
    Unknown,
}

impl Value {
    /// The number; waiters count by how many they are, and what is not known counts as 0.
    pub fn int(&self) -> i64 {
        match self {
            Value::Int(value) => *value,
            Value::Waiters(waiters) => waiters.len() as i64,
            Value::Unknown => 0,
        }
    }

    /// The number, where it is known.
    fn known(&self) -> Option<i64> {
        match self {
            Value::Unknown => None,
            known => Some(known.int()),
        }
    }

    /// The waiters, where they are known.
    fn waiters(&self) -> Option<Vec<ThreadId>> {
        match self {
            Value::Unknown => None,
            Value::Int(_) => Some(Vec::new()),
            Value::Waiters(waiters) => Some(waiters.clone()),
        }
    }
}

/// The abstract state at some cut of an execution.
pub trait State {
    /// The value of a location: what the last write that overlaps it left there. A write of
    /// [`Part::Whole`] leaves its value in every part of the object but those that are [awaited](Part::is_awaited).
    fn value(&self, at: Location) -> Value;

    /// Whether somebody has written the location, or a part of it, since `thread` last touched it.
    fn has_changed(&self, at: Location, thread: ThreadId) -> bool;
}

/// The result of an operation whose outcome hangs on an unknown value; it agrees with every recorded result.
pub const UNKNOWN_RESULT: u8 = 2;

/// What an operation does in one state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// 1 for success, present or set; 0 for failure, absent or clear; [`UNKNOWN_RESULT`] where the state does
    /// not tell. See [`crate::Event::result`].
    pub result: u8,
    /// Locations that it only reads.
    pub reads: SmallVec<[Location; 2]>,
    /// Locations that it writes.
    pub writes: SmallVec<[Location; 2]>,
    /// The abstract values that it leaves, where they are tracked; a later one overrides an earlier one that
    /// it overlaps.
    pub values: SmallVec<[(Location, Value); 2]>,
}

impl Effect {
    /// Whether one of the two writes what the other touches.
    pub fn conflicts(&self, other: &Effect) -> bool {
        let hits = |writes: &[Location], others: &Effect| {
            writes.iter().any(|w| others.writes.iter().chain(&others.reads).any(|l| l.overlaps(*w)))
        };
        hits(&self.writes, other) || hits(&other.writes, self)
    }

    fn reads(at: Location, result: bool) -> Effect {
        Effect { result: result.into(), reads: smallvec![at], writes: smallvec![], values: smallvec![] }
    }

    fn writes(at: Location, value: i64) -> Effect {
        Effect {
            result: 1,
            reads: smallvec![],
            writes: smallvec![at],
            values: smallvec![(at, Value::Int(value))],
        }
    }

    fn and_writes(mut self, at: Location, value: Value) -> Effect {
        self.reads.retain(|read| *read != at);
        self.writes.push(at);
        self.values.push((at, value));
        self
    }

    fn with_result(mut self, result: bool) -> Effect {
        self.result = result.into();
        self
    }

    /// Touches nothing.
    fn nothing() -> Effect {
        Effect { result: 1, reads: smallvec![], writes: smallvec![], values: smallvec![] }
    }

    /// Writes all of an object.
    fn whole(object: ObjectId, value: Value) -> Effect {
        Effect::nothing().and_writes(Location::new(object, Part::Whole), value)
    }

    /// Writes a location, and what it leaves there and reports hang on something unknown.
    fn unknown(at: Location) -> Effect {
        Effect { result: UNKNOWN_RESULT, ..Effect::nothing() }.and_writes(at, Value::Unknown)
    }

    /// The same, but what it reports hangs on something unknown.
    fn with_unknown_result(self) -> Effect {
        Effect { result: UNKNOWN_RESULT, ..self }
    }
}

fn state_of(object: ObjectId) -> Location {
    Location::new(object, Part::State)
}

fn started(thread: ThreadId) -> Location {
    Location::new(ObjectId::THREADS, Part::Started(thread))
}

fn ended(thread: ThreadId) -> Location {
    Location::new(ObjectId::THREADS, Part::Ended(thread))
}

/// What a lock that `thread` holds has as its state.
fn owner(thread: ThreadId) -> i64 {
    i64::from(thread.0) + 1
}

/// Whether `thread` could execute `operation` in this state. What is not known does not stop it.
pub fn enabled(operation: &Operation, thread: ThreadId, state: &impl State) -> bool {
    let holds = |at: Location, test: &dyn Fn(i64) -> bool| state.value(at).known().is_none_or(test);
    let set = |at| holds(at, &|flag| flag != 0);
    let free = |lock| holds(state_of(lock), &|owner| owner == 0);
    match *operation {
        Operation::Start => set(started(thread)),
        Operation::Join { thread } => set(ended(thread)),
        Operation::Acquire { lock } => free(lock),
        Operation::SemaphoreAcquire { semaphore } => holds(state_of(semaphore), &|count| count > 0),
        Operation::EventWait { event } => set(state_of(event)),
        Operation::ConditionWake { condition, lock } => {
            set(Location::new(condition, Part::Notified(thread))) && free(lock)
        }
        Operation::ConditionWakeTimed { lock, .. } => free(lock),
        Operation::BarrierLeave { barrier, generation } => {
            holds(Location::new(barrier, Part::Generation), &|now| now > i64::from(generation))
        }
        Operation::QueuePut { queue, bound } => {
            bound == 0 || holds(state_of(queue), &|count| count < i64::from(bound))
        }
        Operation::QueueGet { queue } => holds(state_of(queue), &|count| count > 0),
        Operation::ChannelTake { channel, .. } => channels::is_ready(channel, state),
        Operation::ChannelWait { ref of } => of.iter().any(|at| channels::is_ready(at.object, state)),
        Operation::Resume { awaited, after, host } => {
            let flags = [Some(host), awaited, after].into_iter().flatten();
            set(started(thread)) && flags.into_iter().all(|flag| set(state_of(flag)))
        }
        Operation::RunLoop { until, host, .. } => set(state_of(until)) && set(state_of(host)),
        Operation::Enter { gate, place } => set(state_of(gate)) && set(state_of(place)),
        Operation::AwaitChange { ref of } => of.iter().any(|at| state.has_changed(*at, thread)),
        Operation::ResumeOnChange { ref of, host } => {
            set(state_of(host)) && of.iter().any(|at| state.has_changed(*at, thread))
        }
        _ => true,
    }
}

/// What `thread` does when it executes `operation` in this state, in which the operation is enabled.
pub fn effect(operation: &Operation, thread: ThreadId, state: &impl State) -> Effect {
    match *operation {
        Operation::Read { at } => Effect::reads(at, true),
        Operation::Write { at } => write(at, state),
        Operation::Touch { ref reads, ref writes } => touch(reads, writes, state),
        Operation::Spawn { thread } => Effect::writes(started(thread), 1),
        Operation::Start => Effect::reads(started(thread), true),
        Operation::End => Effect::writes(ended(thread), 1),
        Operation::Join { thread } => Effect::reads(ended(thread), true),
        Operation::Pause | Operation::Elapse { .. } => Effect::nothing(),
        Operation::Resume { awaited, after, host } => {
            let flags = [Some(host), awaited, after].into_iter().flatten().map(state_of);
            Effect { reads: flags.chain([started(thread)]).collect(), ..Effect::nothing() }
        }
        Operation::RunLoop { until, host, leaves } => {
            let host = state_of(host);
            let mut effect = if leaves { Effect::writes(host, 0) } else { Effect::reads(host, true) };
            effect.reads.push(state_of(until));
            effect
        }
        Operation::AwaitChange { ref of } => {
            Effect { reads: of.iter().copied().collect(), ..Effect::nothing() }
        }
        Operation::ResumeOnChange { ref of, host } => {
            Effect { reads: of.iter().copied().chain([state_of(host)]).collect(), ..Effect::nothing() }
        }
        Operation::ChannelOpen { channel } => channels::open(channel),
        Operation::ChannelPut { channel, count } => channels::put(channel, count, state),
        Operation::ChannelTake { channel, most } | Operation::ChannelTryTake { channel, most } => {
            channels::take(channel, most, state)
        }
        Operation::ChannelWait { ref of } => channels::look(of),
        Operation::ChannelClose { ref of } => channels::close(of, state),
        Operation::DictStore { dict, key } => containers::dict_store(dict, key, state),
        Operation::DictSetDefault { dict, key } | Operation::SetAdd { set: dict, key } => {
            containers::dict_set_default(dict, key, state)
        }
        Operation::DictRemove { dict, key } => containers::dict_remove(dict, key, state),
        Operation::Clear { container } => Effect::whole(container, Value::Int(0)),
        Operation::ListAppend { list }
        | Operation::ListPop { list }
        | Operation::ListGet { list, .. }
        | Operation::ListSet { list, .. }
        | Operation::ListChange { list, .. } => containers::list(operation, list, state),
        Operation::Acquire { lock } | Operation::TryAcquire { lock } | Operation::Release { lock } => {
            synchronization::lock(operation, lock, thread, state)
        }
        Operation::SemaphoreAcquire { semaphore: counter }
        | Operation::SemaphoreTry { semaphore: counter }
        | Operation::SemaphoreRelease { semaphore: counter, .. }
        | Operation::QueuePut { queue: counter, .. }
        | Operation::QueueGet { queue: counter }
        | Operation::QueueTryPut { queue: counter, .. }
        | Operation::QueueTryGet { queue: counter } => synchronization::counter(operation, counter, state),
        Operation::EventWait { event }
        | Operation::EventIsSet { event }
        | Operation::EventSet { event }
        | Operation::EventClear { event } => synchronization::event(operation, event, state),
        Operation::Enter { gate, place } => synchronization::enter(gate, place),
        Operation::TryEnter { gate, place } => synchronization::try_enter(gate, place, state),
        Operation::ReleaseAndSet { lock, event } => {
            Effect::writes(state_of(lock), 0).and_writes(state_of(event), Value::Int(1))
        }
        Operation::ConditionWait { condition, lock } => {
            synchronization::condition_wait(condition, lock, thread, state)
        }
        Operation::ConditionWake { condition, lock } => {
            synchronization::condition_wake(condition, lock, thread)
        }
        Operation::ConditionWakeTimed { condition, lock } => {
            synchronization::condition_wake_timed(condition, lock, thread, state)
        }
        Operation::ConditionNotify { condition, count } => {
            synchronization::condition_notify(condition, count, state)
        }
        Operation::BarrierArrive { barrier, parties } => {
            synchronization::barrier_arrive(barrier, parties, state)
        }
        Operation::BarrierLeave { barrier, .. } => {
            Effect::reads(Location::new(barrier, Part::Generation), true)
        }
    }
}

/// Whether an operation that was executed with this result has written `at`, which is not an element of a list. Agrees
/// with [`effect`] where the values are known; for those who do not follow the values of containers.
pub fn has_written(operation: &Operation, result: u8, at: Location) -> bool {
    let part = |object, part| Location::new(object, part).overlaps(at);
    let (succeeded, failed) = (result != 0, result == 0);
    match *operation {
        Operation::Write { at: written } => written.overlaps(at),
        Operation::Touch { ref writes, .. } => writes.iter().any(|written| written.overlaps(at)),
        Operation::DictStore { dict, key } => part(dict, Part::Key(key)) || failed && part(dict, Part::Shape),
        Operation::DictSetDefault { dict, key } | Operation::SetAdd { set: dict, key } => {
            failed && (part(dict, Part::Key(key)) || part(dict, Part::Shape))
        }
        Operation::DictRemove { dict, key } => {
            succeeded && (part(dict, Part::Key(key)) || part(dict, Part::Shape))
        }
        Operation::ListAppend { list } => part(list, Part::Shape),
        Operation::ListPop { list } => succeeded && part(list, Part::Shape),
        Operation::ListSet { list, .. } => succeeded && at == Location::new(list, Part::Whole),
        Operation::ListChange { list: object, .. } | Operation::Clear { container: object } => {
            part(object, Part::Whole)
        }
        _ => false,
    }
}

/// A plain write leaves a variable, entry or element present, and a lock as it was; what it does to a length is not known.
fn write(at: Location, state: &impl State) -> Effect {
    match at.part {
        Part::Name(_) | Part::Key(_) | Part::Index(_) => Effect::writes(at, 1),
        part if part.is_awaited() => Effect::nothing().and_writes(at, state.value(at)),
        _ => Effect::nothing().and_writes(at, Value::Unknown),
    }
}

/// Without writing the shape, entries and elements are neither added nor removed; what threads wait for stays as it was;
/// all else is unknown after.
fn touch(reads: &[Location], writes: &[Location], state: &impl State) -> Effect {
    let shapes = writes.iter().filter(|at| at.part == Part::Shape);
    let reshaped: SmallVec<[ObjectId; 4]> = shapes.map(|at| at.object).collect();
    let value = |at: &Location| match at.part {
        Part::Key(_) | Part::Index(_) if !reshaped.contains(&at.object) => state.value(*at),
        part if part.is_awaited() => state.value(*at),
        _ => Value::Unknown,
    };
    // Whole objects go last, so that they override what is said of their parts.
    let parts = writes.iter().filter(|at| at.part != Part::Whole);
    let wholes = writes.iter().filter(|at| at.part == Part::Whole);
    Effect {
        result: 1,
        reads: reads.into(),
        writes: writes.into(),
        values: parts.chain(wholes).map(|at| (*at, value(at))).collect(),
    }
}

/// Whether a change of the operation's footprint can come from an event that does not write the locations in
/// which the footprints differ. Such operations need the wider search of the analyzer ("late" work).
///
/// A notification counts as coherent although which flags it writes is changed by events that write the waiters
/// only: a flag orders nothing that the waiters do not. Notifications write these, too, and a thread that has
/// touched its flag must wait again, which writes them, before the flag is anybody's concern.
pub fn incoherent(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::ListAppend { .. }
            | Operation::ListPop { .. }
            | Operation::ListGet { .. }
            | Operation::ListSet { .. }
            | Operation::ListChange { .. }
            | Operation::BarrierArrive { .. }
            | Operation::ChannelTake { .. }
            | Operation::ChannelTryTake { .. }
            | Operation::TryEnter { .. }
    )
}
