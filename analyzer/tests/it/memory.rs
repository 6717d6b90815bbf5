//! What the operations do, concretely, written without a look at the analyzer or the operation table; and how
//! each is recorded.
//!
//! # Invariants
//! Whenever an operation is executed, the operation table predicts its enabledness and its result (asserted
//! here, which tests the table).

use crate::channel::Channels;
use crate::program::{Initial, Inner, Op, drive};
use frontrun_formats::semantics::changes::Changes;
use frontrun_formats::semantics::{self, Effect, State, UNKNOWN_RESULT, Value};
use frontrun_formats::{KeyId, Location, ObjectId, Operation, Part, StringId, ThreadId};
use std::collections::{BTreeMap, BTreeSet};

/// A number for an operation's object that is the same in all executions of a program.
pub fn object(kind: u32, number: u32) -> ObjectId {
    ObjectId(kind * 10_000 + number)
}

/// How many elements of a list are followed.
const ITEMS: u32 = 8;

const VARIABLES: u32 = 0;
const DICT: u32 = 1;
const LIST: u32 = 2;
const LOCK: u32 = 3;
const SEMAPHORE: u32 = 4;
const EVENT: u32 = 5;
const CONDITION: u32 = 6;
const BARRIER: u32 = 7;
const QUEUE: u32 = 8;
const CHANNEL: u32 = 9;

/// Variables are attributes of a few objects, so that several are parts of one.
fn variable(number: u32) -> Location {
    Location::new(object(VARIABLES, number / 4), Part::Name(StringId(number % 4)))
}

fn item(list: u32, index: u32) -> Location {
    Location::new(object(LIST, list), Part::Index(index))
}

fn channels(of: &[u32]) -> Box<[Location]> {
    of.iter().map(|number| Location::new(object(CHANNEL, *number), Part::State)).collect()
}

/// How the operation is recorded.
pub fn operation(op: &Op) -> Operation {
    let d = |number: &u32| object(DICT, *number);
    let l = |number: &u32| object(LIST, *number);
    let part = |object, part| Location::new(object, part);
    let touch = |reads: Vec<Location>, writes: Vec<Location>| Operation::Touch {
        reads: reads.into(),
        writes: writes.into(),
    };
    match op {
        Op::Patiently(op) => operation(op),
        Op::Block(Some(gate), _) => operation(gate),
        Op::Block(None, body) => match &body[0] {
            Inner::Do(op) => operation(op),
            Inner::WriteLast(x) => operation(&Op::Write(*x, 0)),
            Inner::If(..) => unreachable!("a block begins with an operation"),
        },
        Op::Read(x) => Operation::Read { at: variable(*x) },
        Op::Write(x, _) => Operation::Write { at: variable(*x) },
        Op::Add(x, _) => touch(vec![], vec![variable(*x)]),
        Op::Touch(reads, writes, _) => {
            let reads = reads.iter().filter(|x| !writes.contains(x)).map(|x| variable(*x));
            touch(reads.collect(), writes.iter().map(|x| variable(*x)).collect())
        }
        Op::DictGet(n, key) => Operation::Read { at: part(d(n), Part::Key(KeyId(*key))) },
        Op::DictStore(n, key, _) => Operation::DictStore { dict: d(n), key: KeyId(*key) },
        Op::DictSetDefault(n, key, _) => Operation::DictSetDefault { dict: d(n), key: KeyId(*key) },
        Op::DictRemove(n, key) => Operation::DictRemove { dict: d(n), key: KeyId(*key) },
        Op::DictLen(n) => Operation::Read { at: part(d(n), Part::Shape) },
        Op::DictItems(n) => Operation::Read { at: part(d(n), Part::Whole) },
        Op::DictClear(n) => Operation::Clear { container: d(n) },
        Op::DictUpdate(n, from) => touch(vec![part(d(from), Part::Whole)], vec![part(d(n), Part::Whole)]),
        Op::DictBump(n, key) => touch(vec![], vec![part(d(n), Part::Key(KeyId(*key)))]),
        Op::SetAdd(n, key) => Operation::SetAdd { set: d(n), key: KeyId(*key) },
        Op::Append(n, _) => Operation::ListAppend { list: l(n) },
        Op::Pop(n) => Operation::ListPop { list: l(n) },
        Op::ListGet(n, index) => Operation::ListGet { list: l(n), index: *index },
        Op::ListSet(n, index, _) => Operation::ListSet { list: l(n), index: *index },
        Op::ListLen(n) => Operation::Read { at: part(l(n), Part::Shape) },
        Op::ListItems(n) => Operation::Read { at: part(l(n), Part::Whole) },
        Op::Insert(n, _) => Operation::ListChange { list: l(n), delta: 1 },
        Op::PopFront(n) => Operation::ListChange { list: l(n), delta: -1 },
        Op::Reverse(n) => Operation::ListChange { list: l(n), delta: 0 },
        Op::ListClear(n) => Operation::Clear { container: l(n) },
        Op::Rotate(n, _) => Operation::Write { at: part(l(n), Part::Whole) },
        Op::Acquire(n) => Operation::Acquire { lock: object(LOCK, *n) },
        Op::Try(n) => Operation::TryAcquire { lock: object(LOCK, *n) },
        Op::Release(n) => Operation::Release { lock: object(LOCK, *n) },
        Op::Locked(n) => Operation::Read { at: part(object(LOCK, *n), Part::State) },
        Op::SemAcquire(n) => Operation::SemaphoreAcquire { semaphore: object(SEMAPHORE, *n) },
        Op::SemTry(n) => Operation::SemaphoreTry { semaphore: object(SEMAPHORE, *n) },
        Op::SemRelease(n, permits, bound) => {
            Operation::SemaphoreRelease { semaphore: object(SEMAPHORE, *n), permits: *permits, bound: *bound }
        }
        Op::EventWait(n) => Operation::EventWait { event: object(EVENT, *n) },
        Op::EventSet(n) => Operation::EventSet { event: object(EVENT, *n) },
        Op::EventClear(n) => Operation::EventClear { event: object(EVENT, *n) },
        Op::EventIsSet(n) => Operation::EventIsSet { event: object(EVENT, *n) },
        Op::Enter(n, m) => Operation::Enter { gate: object(EVENT, *n), place: object(EVENT, *m) },
        Op::TryEnter(n, m) => Operation::TryEnter { gate: object(EVENT, *n), place: object(EVENT, *m) },
        Op::ReleaseAndSet(n, m) => {
            Operation::ReleaseAndSet { lock: object(LOCK, *n), event: object(EVENT, *m) }
        }
        Op::CondWait(n, m) => {
            Operation::ConditionWait { condition: object(CONDITION, *n), lock: object(LOCK, *m) }
        }
        Op::CondWake(n, m) => {
            Operation::ConditionWake { condition: object(CONDITION, *n), lock: object(LOCK, *m) }
        }
        Op::CondWakeTimed(n, m) => {
            Operation::ConditionWakeTimed { condition: object(CONDITION, *n), lock: object(LOCK, *m) }
        }
        Op::CondNotify(n, count) => {
            Operation::ConditionNotify { condition: object(CONDITION, *n), count: *count }
        }
        Op::BarrierArrive(n, parties) => {
            Operation::BarrierArrive { barrier: object(BARRIER, *n), parties: *parties }
        }
        Op::BarrierLeave(n, generation) => {
            Operation::BarrierLeave { barrier: object(BARRIER, *n), generation: *generation }
        }
        Op::QueuePut(n, _, bound) => Operation::QueuePut { queue: object(QUEUE, *n), bound: *bound },
        Op::QueueGet(n) => Operation::QueueGet { queue: object(QUEUE, *n) },
        Op::QueueTryPut(n, _, bound) => Operation::QueueTryPut { queue: object(QUEUE, *n), bound: *bound },
        Op::QueueTryGet(n) => Operation::QueueTryGet { queue: object(QUEUE, *n) },
        Op::ChannelOpen(n) => Operation::ChannelOpen { channel: object(CHANNEL, *n) },
        Op::ChannelPut(n, _, count) => Operation::ChannelPut { channel: object(CHANNEL, *n), count: *count },
        Op::ChannelTake(n, most) => Operation::ChannelTake { channel: object(CHANNEL, *n), most: *most },
        Op::ChannelTryTake(n, most) => {
            Operation::ChannelTryTake { channel: object(CHANNEL, *n), most: *most }
        }
        Op::ChannelWait(of) => Operation::ChannelWait { of: channels(of) },
        Op::ChannelClose(ended, refused) => {
            let ended = ended.iter().map(|number| semantics::channels::ended(object(CHANNEL, *number)));
            let refused = refused.iter().map(|number| semantics::channels::refused(object(CHANNEL, *number)));
            Operation::ChannelClose { of: ended.chain(refused).collect() }
        }
        Op::Spawn(thread) => Operation::Spawn { thread: ThreadId(*thread as u32) },
        Op::Join(thread) => Operation::Join { thread: ThreadId(*thread as u32) },
        Op::Start => Operation::Start,
        Op::End => Operation::End,
        Op::Pause => Operation::Pause,
        Op::AwaitItem(n, index) => Operation::AwaitChange { of: [item(*n, *index)].into() },
        Op::AwaitChange(of) => Operation::AwaitChange { of: of.iter().map(|x| variable(*x)).collect() },
        Op::ResumeOnChange(of, event) => Operation::ResumeOnChange {
            of: of.iter().map(|x| variable(*x)).collect(),
            host: object(EVENT, *event),
        },
    }
}

/// The concrete state. Ordered containers, so that equal states have equal hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Concrete {
    variables: BTreeMap<u32, i64>,
    /// Which threads are up to date with a variable that somebody has written.
    informed: BTreeMap<u32, BTreeSet<usize>>,
    /// The same for elements of lists.
    item_informed: BTreeMap<(u32, u32), BTreeSet<usize>>,
    /// Lists whose length the table does not follow, so that it takes what is done to an element as done to all.
    unfollowed: BTreeSet<u32>,
    dicts: BTreeMap<u32, Vec<(u32, i64)>>,
    lists: BTreeMap<u32, Vec<i64>>,
    locks: BTreeMap<u32, usize>,
    semaphores: BTreeMap<u32, i64>,
    events: BTreeMap<u32, bool>,
    waiters: BTreeMap<u32, Vec<usize>>,
    notified: BTreeMap<(u32, usize), bool>,
    barriers: BTreeMap<u32, (u32, u32)>,
    queues: BTreeMap<u32, Vec<i64>>,
    channels: Channels,
    started: BTreeMap<usize, bool>,
    ended: BTreeMap<usize, bool>,
}

impl Concrete {
    pub fn new(initial: &Initial) -> Concrete {
        let mut memory = Concrete::default();
        memory.variables.extend(initial.variables.iter().copied());
        for (dict, keys) in &initial.dicts {
            memory.dicts.insert(*dict, keys.iter().map(|key| (*key, 7)).collect());
        }
        memory.lists.extend(initial.lists.iter().cloned());
        memory.semaphores.extend(initial.semaphores.iter().copied());
        memory
    }

    pub fn enabled(&self, thread: usize, op: &Op) -> bool {
        if let Op::Patiently(op) = op {
            return self.enabled(thread, op);
        }
        if let Op::Block(gate, _) = op {
            return gate.as_ref().is_none_or(|gate| self.enabled(thread, gate));
        }
        let free = |lock: &u32| !self.locks.contains_key(lock);
        match op {
            Op::Start => self.started.contains_key(&thread),
            Op::Join(other) => self.ended.contains_key(other),
            Op::Acquire(lock) => free(lock),
            Op::SemAcquire(s) => self.semaphores.get(s).is_some_and(|count| *count > 0),
            Op::EventWait(e) => self.is_set(e),
            Op::Enter(gate, place) => self.is_set(gate) && self.is_set(place),
            Op::CondWake(c, lock) => self.notified.contains_key(&(*c, thread)) && free(lock),
            Op::CondWakeTimed(_, lock) => free(lock),
            Op::BarrierLeave(b, generation) => self.barriers.get(b).is_some_and(|(_, now)| now > generation),
            Op::QueuePut(q, _, bound) => *bound == 0 || self.queue_len(q) < *bound as usize,
            Op::QueueGet(q) => self.queue_len(q) > 0,
            Op::ChannelTake(c, _) => self.channels.is_ready(c),
            Op::ChannelWait(of) => of.iter().any(|c| self.channels.is_ready(c)),
            Op::AwaitItem(list, index) => {
                self.item_informed.get(&(*list, *index)).is_some_and(|informed| !informed.contains(&thread))
            }
            Op::AwaitChange(of) => {
                of.iter().any(|x| self.informed.get(x).is_some_and(|informed| !informed.contains(&thread)))
            }
            Op::ResumeOnChange(of, event) => {
                self.is_set(event) && self.enabled(thread, &Op::AwaitChange(of.clone()))
            }
            _ => true,
        }
    }

    fn is_set(&self, event: &u32) -> bool {
        self.events.get(event).copied().unwrap_or_default()
    }

    fn queue_len(&self, queue: &u32) -> usize {
        self.queues.get(queue).map_or(0, Vec::len)
    }

    /// Executes the operation; gives what the thread observes and what the recorder reports.
    pub fn execute(&mut self, thread: usize, op: &Op) -> (i64, bool) {
        match op {
            Op::Patiently(op) => self.execute(thread, op),
            Op::Block(gate, body) => {
                (drive(gate.as_deref(), body, &mut |op| self.execute(thread, op).0), true)
            }
            Op::Read(_)
            | Op::AwaitChange(_)
            | Op::ResumeOnChange(..)
            | Op::Write(..)
            | Op::Add(..)
            | Op::Touch(..) => (self.variable_op(thread, op), true),
            Op::Spawn(other) => {
                self.started.insert(*other, true);
                (0, true)
            }
            Op::End => {
                self.ended.insert(thread, true);
                (0, true)
            }
            Op::Start | Op::Join(_) | Op::Pause => (0, true),
            Op::Acquire(_) | Op::Try(_) | Op::Release(_) | Op::Locked(_) => self.lock_op(thread, op),
            Op::CondWait(..) | Op::CondWake(..) | Op::CondWakeTimed(..) | Op::CondNotify(..) => {
                self.condition_op(thread, op)
            }
            Op::DictGet(..)
            | Op::DictStore(..)
            | Op::DictSetDefault(..)
            | Op::DictRemove(..)
            | Op::DictLen(..)
            | Op::DictItems(..)
            | Op::DictClear(..)
            | Op::DictUpdate(..)
            | Op::DictBump(..)
            | Op::SetAdd(..) => self.dict_op(op),
            Op::Append(..)
            | Op::Pop(..)
            | Op::ListGet(..)
            | Op::ListSet(..)
            | Op::ListLen(..)
            | Op::ListItems(..)
            | Op::Insert(..)
            | Op::PopFront(..)
            | Op::Reverse(..)
            | Op::ListClear(..)
            | Op::Rotate(..) => {
                self.inform(thread, op);
                self.list_op(op)
            }
            Op::AwaitItem(list, index) => {
                self.inform(thread, op);
                (
                    self.lists.get(list).and_then(|items| items.get(*index as usize)).copied().unwrap_or(-1),
                    true,
                )
            }
            Op::ChannelOpen(..)
            | Op::ChannelPut(..)
            | Op::ChannelTake(..)
            | Op::ChannelTryTake(..)
            | Op::ChannelWait(..)
            | Op::ChannelClose(..) => self.channels.execute(op),
            _ => self.counting_op(op),
        }
    }

    fn variable_op(&mut self, thread: usize, op: &Op) -> i64 {
        match op {
            Op::Read(x) => self.look(thread, x),
            Op::AwaitChange(of) | Op::ResumeOnChange(of, _) => {
                let seen: Vec<i64> = of.iter().map(|x| self.look(thread, x)).collect();
                seen[0]
            }
            Op::Write(x, value) => {
                self.set(thread, x, *value);
                0
            }
            Op::Add(x, value) => {
                let old = self.variable(x);
                self.set(thread, x, old + value);
                old
            }
            Op::Touch(reads, writes, value) => {
                let seen = reads.iter().fold(0, |sum, x| sum * 31 + self.look(thread, x));
                writes.iter().for_each(|x| self.set(thread, x, *value));
                seen
            }
            _ => unreachable!("{op:?}"),
        }
    }

    fn look(&mut self, thread: usize, number: &u32) -> i64 {
        if let Some(informed) = self.informed.get_mut(number) {
            informed.insert(thread);
        }
        self.variable(number)
    }

    fn set(&mut self, thread: usize, number: &u32, value: i64) {
        self.variables.insert(*number, value);
        self.informed.insert(*number, BTreeSet::from([thread]));
    }

    fn variable(&self, number: &u32) -> i64 {
        self.variables.get(number).copied().unwrap_or_default()
    }

    fn lock_op(&mut self, thread: usize, op: &Op) -> (i64, bool) {
        match op {
            Op::Acquire(lock) => {
                assert!(self.locks.insert(*lock, thread).is_none());
                (0, true)
            }
            Op::Try(lock) => {
                let free = !self.locks.contains_key(lock);
                if free {
                    self.locks.insert(*lock, thread);
                }
                (free.into(), free)
            }
            Op::Release(lock) => {
                let held = self.locks.remove(lock).is_some();
                (held.into(), held)
            }
            Op::Locked(lock) => (self.locks.contains_key(lock).into(), true),
            _ => unreachable!(),
        }
    }

    fn condition_op(&mut self, thread: usize, op: &Op) -> (i64, bool) {
        match op {
            Op::CondWait(condition, lock) => {
                self.locks.remove(lock);
                self.waiters.entry(*condition).or_default().push(thread);
                (0, true)
            }
            Op::CondWake(condition, lock) => {
                self.notified.remove(&(*condition, thread));
                self.locks.insert(*lock, thread);
                (0, true)
            }
            Op::CondWakeTimed(condition, lock) => {
                let notified = self.notified.remove(&(*condition, thread)).is_some();
                self.locks.insert(*lock, thread);
                self.waiters.entry(*condition).or_default().retain(|waiter| *waiter != thread || notified);
                (notified.into(), notified)
            }
            Op::CondNotify(condition, count) => {
                let waiters = self.waiters.entry(*condition).or_default();
                let count = waiters.len().min(*count as usize);
                let woken: Vec<usize> = waiters.drain(..count).collect();
                for waiter in woken {
                    self.notified.insert((*condition, waiter), true);
                }
                (count as i64, count > 0)
            }
            _ => unreachable!(),
        }
    }

    fn dict_op(&mut self, op: &Op) -> (i64, bool) {
        if let Op::DictUpdate(dict, from) = op {
            for (key, value) in self.dicts.get(from).cloned().unwrap_or_default() {
                store(self.dicts.entry(*dict).or_default(), key, value);
            }
            return (0, true);
        }
        let (Op::DictGet(dict, _)
        | Op::DictStore(dict, ..)
        | Op::DictSetDefault(dict, ..)
        | Op::DictRemove(dict, _)
        | Op::DictLen(dict)
        | Op::DictItems(dict)
        | Op::DictClear(dict)
        | Op::DictBump(dict, _)
        | Op::SetAdd(dict, _)) = op
        else {
            unreachable!()
        };
        let entries = self.dicts.entry(*dict).or_default();
        let find = |entries: &[(u32, i64)], key: &u32| entries.iter().position(|(k, _)| k == key);
        match op {
            Op::DictGet(_, key) => match find(entries, key) {
                Some(at) => (entries[at].1, true),
                None => (-1, false),
            },
            Op::DictStore(_, key, value) => (0, store(entries, *key, *value)),
            Op::DictSetDefault(_, key, value) => match find(entries, key) {
                Some(at) => (entries[at].1, true),
                None => {
                    entries.push((*key, *value));
                    (*value, false)
                }
            },
            Op::SetAdd(_, key) => match find(entries, key) {
                Some(_) => (0, true),
                None => {
                    entries.push((*key, 0));
                    (0, false)
                }
            },
            Op::DictRemove(_, key) => match find(entries, key) {
                Some(at) => (entries.remove(at).1, true),
                None => (-1, false),
            },
            Op::DictLen(_) => (entries.len() as i64, true),
            Op::DictItems(_) => {
                (entries.iter().fold(1, |sum, (k, v)| sum * 37 + i64::from(*k) * 5 + v), true)
            }
            Op::DictClear(_) => {
                entries.clear();
                (0, true)
            }
            Op::DictBump(_, key) => {
                if let Some(at) = find(entries, key) {
                    entries[at].1 += 1;
                    return (entries[at].1, true);
                }
                (-1, true)
            }
            _ => unreachable!(),
        }
    }

    /// Keeps track of who knows which elements, before the operation is executed. A look at an element that is not
    /// there counts as well.
    fn inform(&mut self, thread: usize, op: &Op) {
        const ALL: std::ops::Range<u32> = 0..ITEMS;
        let length = |list: &u32| self.lists.get(list).map_or(0, |items| items.len() as i64);
        let place =
            |list: &u32, index: i64| (if index < 0 { index + length(list) } else { index }).max(0) as u32;
        let inside =
            |list: &u32, index: i64| i64::from(place(list, index)) < length(list) && index >= -length(list);
        let (list, items, writes) = match op {
            Op::Append(list, _) => (list, length(list) as u32..length(list) as u32 + 1, true),
            Op::Pop(list) if length(list) == 0 && !self.unfollowed.contains(list) => return,
            Op::Pop(list) => (list, (length(list) as u32).saturating_sub(1)..length(list) as u32, true),
            Op::ListGet(list, index) => (list, place(list, *index)..place(list, *index) + 1, false),
            Op::ListSet(list, index, _) => {
                (list, place(list, *index)..place(list, *index) + 1, inside(list, *index))
            }
            Op::ListItems(list) => (list, ALL, false),
            Op::AwaitItem(list, index) => (list, *index..*index + 1, false),
            Op::ListLen(_) => return,
            Op::Insert(list, _)
            | Op::PopFront(list)
            | Op::Reverse(list)
            | Op::ListClear(list)
            | Op::Rotate(list, _) => (list, ALL, true),
            _ => unreachable!("{op:?}"),
        };
        let (items, writes) = match op {
            Op::ListItems(_) | Op::AwaitItem(..) => (items, writes),
            Op::ListGet(..) if self.unfollowed.contains(list) => (ALL, false),
            _ if self.unfollowed.contains(list) => (ALL, true),
            _ => (items, writes),
        };
        match op {
            Op::Rotate(..) => _ = self.unfollowed.insert(*list),
            Op::ListClear(_) => _ = self.unfollowed.remove(list),
            _ => {}
        }
        for index in items {
            let informed = self.item_informed.entry((*list, index));
            if writes {
                informed.and_modify(BTreeSet::clear).or_default().insert(thread);
            } else {
                informed.and_modify(|informed| {
                    informed.insert(thread);
                });
            }
        }
    }

    fn list_op(&mut self, op: &Op) -> (i64, bool) {
        let (Op::Append(list, _)
        | Op::Pop(list)
        | Op::ListGet(list, _)
        | Op::ListSet(list, ..)
        | Op::ListLen(list)
        | Op::ListItems(list)
        | Op::Insert(list, _)
        | Op::PopFront(list)
        | Op::Reverse(list)
        | Op::ListClear(list)
        | Op::Rotate(list, _)) = op
        else {
            unreachable!()
        };
        let items = self.lists.entry(*list).or_default();
        let place = |index: i64| {
            let at = if index < 0 { index + items.len() as i64 } else { index };
            (0..items.len() as i64).contains(&at).then_some(at as usize)
        };
        match op {
            Op::Append(_, value) => items.push(*value),
            Op::Pop(_) => return items.pop().map_or((-1, false), |value| (value, true)),
            Op::ListGet(_, index) => return place(*index).map_or((-1, false), |at| (items[at], true)),
            Op::ListSet(_, index, value) => {
                return match place(*index) {
                    Some(at) => {
                        items[at] = *value;
                        (0, true)
                    }
                    None => (-1, false),
                };
            }
            Op::ListLen(_) => return (items.len() as i64, true),
            Op::ListItems(_) => return (items.iter().fold(1, |sum, value| sum * 37 + value), true),
            Op::Insert(_, value) => items.insert(0, *value),
            Op::PopFront(_) => {
                if items.is_empty() {
                    return (-1, true);
                }
                return (items.remove(0), true);
            }
            Op::Reverse(_) => items.reverse(),
            Op::ListClear(_) => items.clear(),
            Op::Rotate(_, value) => {
                if !items.is_empty() {
                    items.rotate_left(1);
                }
                items.push(*value);
            }
            _ => unreachable!(),
        }
        (0, true)
    }

    /// Semaphores, events, barriers and queues.
    fn counting_op(&mut self, op: &Op) -> (i64, bool) {
        match op {
            Op::SemAcquire(s) => {
                *self.semaphores.entry(*s).or_default() -= 1;
                (0, true)
            }
            Op::SemTry(s) => {
                let count = self.semaphores.entry(*s).or_default();
                let ok = *count > 0;
                *count -= i64::from(ok);
                (ok.into(), ok)
            }
            Op::SemRelease(s, permits, bound) => {
                let count = self.semaphores.entry(*s).or_default();
                let sum = *count + i64::from(*permits);
                let ok = *bound == 0 || sum <= i64::from(*bound);
                if ok {
                    *count = sum;
                }
                (ok.into(), ok)
            }
            Op::EventWait(e) | Op::EventIsSet(e) => {
                let set = self.is_set(e);
                (set.into(), set)
            }
            Op::Enter(gate, place) | Op::TryEnter(gate, place) => {
                let ok = self.is_set(gate) && self.is_set(place);
                if ok {
                    self.events.insert(*place, false);
                }
                (ok.into(), ok)
            }
            Op::ReleaseAndSet(lock, event) => {
                self.locks.remove(lock);
                self.events.insert(*event, true);
                (0, true)
            }
            Op::EventSet(e) => {
                self.events.insert(*e, true);
                (0, true)
            }
            Op::EventClear(e) => {
                self.events.insert(*e, false);
                (0, true)
            }
            Op::BarrierArrive(b, parties) => {
                let (arrived, generation) = self.barriers.entry(*b).or_default();
                let seen = *generation;
                *arrived += 1;
                let last = *arrived == *parties;
                if last {
                    *arrived = 0;
                    *generation += 1;
                }
                (seen.into(), last)
            }
            Op::BarrierLeave(..) => (0, true),
            Op::QueuePut(q, value, _) => {
                self.queues.entry(*q).or_default().push(*value);
                (0, true)
            }
            Op::QueueGet(q) => (self.queues.entry(*q).or_default().remove(0), true),
            Op::QueueTryPut(q, value, bound) => {
                let items = self.queues.entry(*q).or_default();
                let ok = *bound == 0 || items.len() < *bound as usize;
                if ok {
                    items.push(*value);
                }
                (ok.into(), ok)
            }
            Op::QueueTryGet(q) => {
                let items = self.queues.entry(*q).or_default();
                if items.is_empty() { (-1, false) } else { (items.remove(0), true) }
            }
            _ => unreachable!("{op:?}"),
        }
    }
}

fn store(entries: &mut Vec<(u32, i64)>, key: u32, value: i64) -> bool {
    match entries.iter().position(|(k, _)| *k == key) {
        Some(at) => {
            entries[at].1 = value;
            true
        }
        None => {
            entries.push((key, value));
            false
        }
    }
}

/// The abstract state that goes with the concrete one, kept the simplest way that the definition allows.
#[derive(Clone, Debug, Default)]
pub struct Abstract(Vec<(Location, Value)>, Changes);

impl State for Abstract {
    fn value(&self, at: Location) -> Value {
        let covers =
            |written: &Location| *written == at || written.part == Part::Whole && !at.part.is_awaited();
        let covering = |(written, _): &&(Location, Value)| written.overlaps(at) && covers(written);
        let value = self.0.iter().rev().find(covering);
        value.map_or(Value::Int(0), |(_, value)| value.clone())
    }

    fn has_changed(&self, at: Location, thread: ThreadId) -> bool {
        self.1.has_changed(at, thread)
    }
}

impl Abstract {
    pub fn initial(initial: &Initial) -> Vec<(Location, Value)> {
        let mut values = Vec::new();
        for (dict, keys) in &initial.dicts {
            for key in keys {
                values.push((Location::new(object(DICT, *dict), Part::Key(KeyId(*key))), Value::Int(1)));
            }
        }
        for (list, items) in &initial.lists {
            values.push((Location::new(object(LIST, *list), Part::Shape), Value::Int(items.len() as i64)));
        }
        for (semaphore, count) in &initial.semaphores {
            values.push((Location::new(object(SEMAPHORE, *semaphore), Part::State), Value::Int(*count)));
        }
        values
    }
}

/// Both states.
#[derive(Clone, Debug)]
pub struct Memory {
    pub concrete: Concrete,
    pub table: Abstract,
}

impl Memory {
    pub fn new(initial: &Initial) -> Memory {
        Memory {
            concrete: Concrete::new(initial),
            table: Abstract(
                Abstract::initial(initial),
                Changes::of((0..8).map(variable).chain((0..ITEMS).map(|index| item(0, index)))),
            ),
        }
    }

    pub fn enabled(&self, thread: usize, op: &Op) -> bool {
        let enabled = self.concrete.enabled(thread, op);
        let table = semantics::enabled(&operation(op), ThreadId(thread as u32), &self.table);
        assert_eq!(enabled, table, "{op:?} in {self:?}");
        enabled
    }

    /// Gives what the thread observes, what the recorder writes down, and what the table says was touched.
    pub fn execute(&mut self, thread: usize, op: &Op) -> (i64, Vec<(Operation, u8)>, Effect) {
        let Op::Block(gate, body) = op else {
            let (value, result, effect) = self.execute_one(thread, op);
            return (value, vec![(operation(op), result)], effect);
        };
        let (mut events, mut effects) = (Vec::new(), Vec::new());
        let value = drive(gate.as_deref(), body, &mut |op| {
            let (value, result, effect) = self.execute_one(thread, op);
            events.push((operation(op), result));
            effects.push(effect);
            value
        });
        let mut whole = effects[0].clone();
        whole.writes = effects.iter().flat_map(|effect| effect.writes.clone()).collect();
        whole.reads = effects.iter().flat_map(|effect| effect.reads.clone()).collect();
        (value, events, whole)
    }

    fn execute_one(&mut self, thread: usize, op: &Op) -> (i64, u8, Effect) {
        let recorded = operation(op);
        let effect = semantics::effect(&recorded, ThreadId(thread as u32), &self.table);
        let (value, result) = self.concrete.execute(thread, op);
        self.table.1.executed(ThreadId(thread as u32), &effect);
        let plain =
            matches!(recorded, Operation::Read { .. } | Operation::Write { .. } | Operation::Touch { .. });
        if !plain && effect.result != UNKNOWN_RESULT {
            assert_eq!(u8::from(result), effect.result, "{op:?} in {self:?}");
        }
        for (at, value) in &effect.values {
            self.table
                .0
                .retain(|(old, _)| *old != *at && (at.part != Part::Whole || old.object != at.object));
            self.table.0.push((*at, value.clone()));
        }
        (value, result.into(), effect)
    }
}
