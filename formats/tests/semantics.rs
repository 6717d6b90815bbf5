//! What operations mean: a fact per kind, and the laws that the analyzer rests on.

mod arbitrary;

use frontrun_formats::semantics::{UNKNOWN_RESULT, channels, effect, enabled, has_written, incoherent};
use frontrun_formats::*;
use proptest::prelude::*;

/// A state as the list of all writes, the simplest thing that does what [`State`] says.
#[derive(Clone, Debug, Default)]
struct Log(Vec<(Location, Value)>);

impl State for Log {
    fn value(&self, at: Location) -> Value {
        let covers =
            |written: &Location| *written == at || *written == whole(at.object) && !at.part.is_awaited();
        self.0
            .iter()
            .rev()
            .find(|(written, _)| covers(written))
            .map_or(Value::Int(0), |(_, value)| value.clone())
    }

    /// Any predicate of the location's own value obeys the laws as well.
    fn has_changed(&self, at: Location, _: ThreadId) -> bool {
        self.value(at) != Value::Int(0)
    }
}

impl Log {
    fn after(&self, effect: &Effect) -> Log {
        Log(self.0.iter().chain(&effect.values).cloned().collect())
    }
}

const T0: ThreadId = ThreadId(0);
const T1: ThreadId = ThreadId(1);
const A: ObjectId = ObjectId(0);
const B: ObjectId = ObjectId(1);
const C: ObjectId = ObjectId(2);
const K: KeyId = KeyId(0);

fn whole(object: ObjectId) -> Location {
    Location::new(object, Part::Whole)
}

fn state(object: ObjectId) -> Location {
    Location::new(object, Part::State)
}

fn shape(object: ObjectId) -> Location {
    Location::new(object, Part::Shape)
}

fn key() -> Location {
    Location::new(A, Part::Key(K))
}

fn index(index: u32) -> Location {
    Location::new(A, Part::Index(index))
}

fn notified(thread: ThreadId) -> Location {
    Location::new(B, Part::Notified(thread))
}

fn log(values: &[(Location, i64)]) -> Log {
    Log(values.iter().map(|(at, value)| (*at, Value::Int(*value))).collect())
}

fn unknown(at: Location) -> Log {
    Log(vec![(at, Value::Unknown)])
}

/// Checks result, reads and writes of thread 0, and gives the state after it.
#[track_caller]
fn check(operation: Operation, before: &Log, result: u8, reads: &[Location], writes: &[Location]) -> Log {
    assert!(enabled(&operation, T0, before), "{operation:?} is not enabled");
    let effect = effect(&operation, T0, before);
    assert_eq!(
        (effect.result, &effect.reads[..], &effect.writes[..]),
        (result, reads, writes),
        "{operation:?}"
    );
    before.after(&effect)
}

#[track_caller]
fn check_disabled(operation: Operation, before: &Log) {
    assert!(!enabled(&operation, T0, before), "{operation:?} is enabled");
}

#[test]
fn plain_accesses_touch_what_they_name() {
    let at = Location::new(A, Part::Name(StringId(0)));
    check(Operation::Read { at }, &Log::default(), 1, &[at], &[]);
    let after = check(Operation::Write { at }, &Log::default(), 1, &[], &[at]);
    assert_eq!(after.value(at), Value::Int(1));
    check(Operation::Pause, &Log::default(), 1, &[], &[]);
    let after = check(Operation::Write { at: whole(A) }, &log(&[(shape(A), 3)]), 1, &[], &[whole(A)]);
    assert_eq!(after.value(shape(A)), Value::Unknown);
    // A list whose shape was written has a length that nobody knows, not length 1.
    let after = check(Operation::Write { at: shape(A) }, &log(&[(shape(A), 3)]), 1, &[], &[shape(A)]);
    assert_eq!(after.value(shape(A)), Value::Unknown);
}

#[test]
fn touch_without_the_shape_keeps_entries() {
    let touch = |writes: &[Location]| Operation::Touch { reads: Box::new([state(B)]), writes: writes.into() };
    let present = log(&[(key(), 1)]);
    let after = check(touch(&[key()]), &present, 1, &[state(B)], &[key()]);
    assert_eq!(after.value(key()), Value::Int(1));
    let after = check(touch(&[key(), shape(A)]), &present, 1, &[state(B)], &[key(), shape(A)]);
    assert_eq!(after.value(key()), Value::Unknown);
    let after = check(touch(&[whole(A), key()]), &present, 1, &[state(B)], &[whole(A), key()]);
    assert_eq!(after.value(key()), Value::Unknown);
}

#[test]
fn touch_leaves_what_threads_wait_for() {
    let held = log(&[(state(A), 2)]);
    let touch = Operation::Touch { reads: Box::new([]), writes: Box::new([whole(A)]) };
    let after = check(touch, &held, 1, &[], &[whole(A)]);
    check_disabled(Operation::Acquire { lock: A }, &after);
    let after = check(Operation::Write { at: state(A) }, &held, 1, &[], &[state(A)]);
    check_disabled(Operation::Acquire { lock: A }, &after);
}

#[test]
fn threads_start_after_spawn_and_join_after_end() {
    let started = Location::new(ObjectId::THREADS, Part::Started(T0));
    let ended = Location::new(ObjectId::THREADS, Part::Ended(T0));
    check_disabled(Operation::Start, &Log::default());
    let after = check(Operation::Spawn { thread: T0 }, &Log::default(), 1, &[], &[started]);
    check(Operation::Start, &after, 1, &[started], &[]);
    check_disabled(Operation::Join { thread: T0 }, &after);
    let after = check(Operation::End, &after, 1, &[], &[ended]);
    check(Operation::Join { thread: T0 }, &after, 1, &[ended], &[]);
}

#[test]
fn locks_have_one_owner() {
    let lock = A;
    let held = check(Operation::Acquire { lock }, &Log::default(), 1, &[], &[state(A)]);
    assert_eq!(held.value(state(A)), Value::Int(1));
    check_disabled(Operation::Acquire { lock }, &held);
    check(Operation::TryAcquire { lock }, &held, 0, &[state(A)], &[]);
    let free = check(Operation::Release { lock }, &held, 1, &[], &[state(A)]);
    check(Operation::Release { lock }, &free, 0, &[state(A)], &[]);
    let held = check(Operation::TryAcquire { lock }, &free, 1, &[], &[state(A)]);
    check_disabled(Operation::Acquire { lock }, &held);
    check(Operation::TryAcquire { lock }, &unknown(state(A)), UNKNOWN_RESULT, &[], &[state(A)]);
    check(Operation::Acquire { lock }, &unknown(state(A)), 1, &[], &[state(A)]);
    check(Operation::Release { lock }, &unknown(state(A)), UNKNOWN_RESULT, &[], &[state(A)]);
}

#[test]
fn dictionaries_change_shape_only_when_entries_come_or_go() {
    let (dict, key_id) = (A, K);
    let store = Operation::DictStore { dict, key: key_id };
    let remove = Operation::DictRemove { dict, key: key_id };
    let default = Operation::DictSetDefault { dict, key: key_id };
    let add = Operation::SetAdd { set: dict, key: key_id };
    let both = [key(), shape(A)];
    let empty = Log::default();
    let full = check(store.clone(), &empty, 0, &[], &both);
    check(store.clone(), &full, 1, &[], &[key()]);
    check(default.clone(), &full, 1, &[key()], &[]);
    check(add.clone(), &full, 1, &[key()], &[]);
    check(default.clone(), &empty, 0, &[], &both);
    check(add, &empty, 0, &[], &both);
    check(remove.clone(), &empty, 0, &[key()], &[]);
    let after = check(remove.clone(), &full, 1, &[], &both);
    assert_eq!(after.value(key()), Value::Int(0));
    for operation in [store, remove, default] {
        check(operation, &unknown(key()), UNKNOWN_RESULT, &[], &both);
    }
    let cleared = check(Operation::Clear { container: A }, &full, 1, &[], &[whole(A)]);
    assert_eq!((cleared.value(key()), cleared.value(shape(A))), (Value::Int(0), Value::Int(0)));
}

#[test]
fn lists_know_their_length() {
    let list = A;
    let empty = Log::default();
    check(Operation::ListPop { list }, &empty, 0, &[shape(A)], &[]);
    check(Operation::ListGet { list, index: 0 }, &empty, 0, &[index(0)], &[]);
    let one = check(Operation::ListAppend { list }, &empty, 1, &[], &[shape(A), index(0)]);
    let two = check(Operation::ListAppend { list }, &one, 1, &[], &[shape(A), index(1)]);
    assert_eq!(two.value(shape(A)), Value::Int(2));
    check(Operation::ListGet { list, index: 1 }, &two, 1, &[index(1)], &[]);
    check(Operation::ListGet { list, index: -1 }, &two, 1, &[index(1), shape(A)], &[]);
    check(Operation::ListGet { list, index: -3 }, &two, 0, &[index(0), shape(A)], &[]);
    check(Operation::ListSet { list, index: 0 }, &two, 1, &[], &[index(0)]);
    check(Operation::ListSet { list, index: -2 }, &two, 1, &[shape(A)], &[index(0)]);
    check(Operation::ListSet { list, index: 2 }, &two, 0, &[index(2)], &[]);
    let popped = check(Operation::ListPop { list }, &two, 1, &[], &[shape(A), index(1)]);
    assert_eq!(popped.value(shape(A)), Value::Int(1));
    let longer = check(Operation::ListChange { list, delta: 3 }, &two, 1, &[], &[whole(A)]);
    assert_eq!(longer.value(shape(A)), Value::Int(5));
    let shorter = check(Operation::ListChange { list, delta: -9 }, &two, 1, &[], &[whole(A)]);
    assert_eq!(shorter.value(shape(A)), Value::Int(0));
    let lost = unknown(shape(A));
    check(Operation::ListGet { list, index: 0 }, &lost, UNKNOWN_RESULT, &[whole(A)], &[]);
    check(Operation::ListSet { list, index: 0 }, &lost, UNKNOWN_RESULT, &[], &[whole(A)]);
    check(Operation::ListAppend { list }, &lost, UNKNOWN_RESULT, &[], &[whole(A)]);
}

#[test]
fn semaphores_count_permits() {
    let semaphore = A;
    let release = |permits, bound| Operation::SemaphoreRelease { semaphore, permits, bound };
    let none = Log::default();
    check_disabled(Operation::SemaphoreAcquire { semaphore }, &none);
    check(Operation::SemaphoreTry { semaphore }, &none, 0, &[state(A)], &[]);
    check(release(3, 2), &none, 0, &[state(A)], &[]);
    let two = check(release(2, 2), &none, 1, &[], &[state(A)]);
    check(release(1, 0), &two, 1, &[], &[state(A)]);
    let one = check(Operation::SemaphoreTry { semaphore }, &two, 1, &[], &[state(A)]);
    let none = check(Operation::SemaphoreAcquire { semaphore }, &one, 1, &[], &[state(A)]);
    assert_eq!(none.value(state(A)), Value::Int(0));
    let lost = unknown(state(A));
    check(Operation::SemaphoreAcquire { semaphore }, &lost, 1, &[], &[state(A)]);
    check(Operation::SemaphoreTry { semaphore }, &lost, UNKNOWN_RESULT, &[], &[state(A)]);
    check(release(1, 0), &lost, 1, &[], &[state(A)]);
    check(release(1, 1), &lost, UNKNOWN_RESULT, &[], &[state(A)]);
}

#[test]
fn a_task_goes_on_when_its_loop_is_idle_and_what_it_awaits_is_done() {
    let (host, awaited, after) = (A, B, C);
    let started = Location::new(ObjectId::THREADS, Part::Started(T0));
    let born = check(Operation::Spawn { thread: T0 }, &Log::default(), 1, &[], &[started]);
    let resume = Operation::Resume { awaited: Some(awaited), after: Some(after), host };
    let set = |log: &Log, event| check(Operation::EventSet { event }, log, 1, &[], &[state(event)]);
    let (one, other) = (set(&set(&born, host), awaited), set(&set(&born, host), after));
    check_disabled(resume.clone(), &one);
    check_disabled(resume.clone(), &other);
    check_disabled(resume.clone(), &set(&set(&born, awaited), after));
    let ready = set(&one, after);
    check(resume.clone(), &ready, 1, &[state(host), state(awaited), state(after), started], &[]);
    let run = |leaves| Operation::RunLoop { until: after, host, leaves };
    check_disabled(run(true), &one);
    check(run(false), &ready, 1, &[state(host), state(after)], &[]);
    let left = check(run(true), &ready, 1, &[state(after)], &[state(host)]);
    check_disabled(resume, &left);
}

#[test]
fn who_enters_takes_a_place_behind_an_open_gate() {
    let (gate, place, lock) = (A, B, C);
    let (enter, attempt) = (Operation::Enter { gate, place }, Operation::TryEnter { gate, place });
    let shut = check(Operation::EventSet { event: place }, &Log::default(), 1, &[], &[state(B)]);
    check_disabled(enter.clone(), &shut);
    check(attempt.clone(), &shut, 0, &[state(A)], &[]);
    let open = check(Operation::EventSet { event: gate }, &shut, 1, &[], &[state(A)]);
    let within = check(enter.clone(), &open, 1, &[state(A)], &[state(B)]);
    assert_eq!(within.value(state(B)), Value::Int(0));
    check(attempt.clone(), &open, 1, &[state(A)], &[state(B)]);
    check_disabled(enter, &within);
    check(attempt.clone(), &within, 0, &[state(B), state(A)], &[]);
    check(attempt, &unknown(state(A)), UNKNOWN_RESULT, &[state(A)], &[state(B)]);
    let held = check(Operation::Acquire { lock }, &shut, 1, &[], &[state(C)]);
    let opened = check(Operation::ReleaseAndSet { lock, event: gate }, &held, 1, &[], &[state(C), state(A)]);
    assert_eq!((opened.value(state(A)), opened.value(state(C))), (Value::Int(1), Value::Int(0)));
}

#[test]
fn events_hold_a_flag() {
    let event = A;
    let clear = Log::default();
    check_disabled(Operation::EventWait { event }, &clear);
    check(Operation::EventIsSet { event }, &clear, 0, &[state(A)], &[]);
    check(Operation::EventClear { event }, &clear, 1, &[state(A)], &[]);
    let set = check(Operation::EventSet { event }, &clear, 1, &[], &[state(A)]);
    check(Operation::EventWait { event }, &set, 1, &[state(A)], &[]);
    check(Operation::EventIsSet { event }, &set, 1, &[state(A)], &[]);
    check(Operation::EventSet { event }, &set, 1, &[state(A)], &[]);
    let clear = check(Operation::EventClear { event }, &set, 1, &[], &[state(A)]);
    check_disabled(Operation::EventWait { event }, &clear);
    let lost = unknown(state(A));
    check(Operation::EventIsSet { event }, &lost, UNKNOWN_RESULT, &[state(A)], &[]);
    check(Operation::EventSet { event }, &lost, 1, &[], &[state(A)]);
    check(Operation::EventClear { event }, &lost, 1, &[], &[state(A)]);
}

#[test]
fn conditions_notify_the_first_waiters() {
    let (lock, condition) = (A, B);
    let wake = Operation::ConditionWake { condition, lock };
    let notify = |count| Operation::ConditionNotify { condition, count };
    let held = log(&[(state(A), 1)]);
    check(notify(1), &held, 0, &[state(B)], &[]);
    let waiting = check(Operation::ConditionWait { condition, lock }, &held, 1, &[], &[state(A), state(B)]);
    assert_eq!(waiting.value(state(B)), Value::Waiters(vec![T0]));
    check_disabled(wake.clone(), &waiting);
    let waiting = Log([waiting.0, vec![(state(B), Value::Waiters(vec![T0, T1]))]].concat());
    check(notify(0), &waiting, 0, &[state(B)], &[]);
    let told = check(notify(1), &waiting, 1, &[], &[state(B), notified(T0)]);
    assert_eq!(told.value(state(B)), Value::Waiters(vec![T1]));
    check(notify(u32::MAX), &waiting, 1, &[], &[state(B), notified(T0), notified(T1)]);
    let awake = check(wake.clone(), &told, 1, &[], &[state(A), notified(T0)]);
    assert_eq!((awake.value(state(A)), awake.value(notified(T0))), (Value::Int(1), Value::Int(0)));
    check_disabled(wake, &awake);
    check(notify(1), &unknown(state(B)), UNKNOWN_RESULT, &[], &[whole(B)]);
}

#[test]
fn timed_waits_wake_by_themselves() {
    let (lock, condition) = (A, B);
    let wake = Operation::ConditionWakeTimed { condition, lock };
    let waiting = Log(vec![(state(B), Value::Waiters(vec![T1, T0]))]);
    let late = check(wake.clone(), &waiting, 0, &[notified(T0)], &[state(A), state(B)]);
    assert_eq!(late.value(state(B)), Value::Waiters(vec![T1]));
    check_disabled(wake.clone(), &late);
    check(wake.clone(), &log(&[(notified(T0), 1)]), 1, &[], &[state(A), notified(T0)]);
    check(wake, &unknown(notified(T0)), UNKNOWN_RESULT, &[], &[state(A), notified(T0), state(B)]);
}

#[test]
fn barriers_open_for_the_last_one() {
    let barrier = A;
    let generation = Location::new(A, Part::Generation);
    let arrive = Operation::BarrierArrive { barrier, parties: 2 };
    let leave = Operation::BarrierLeave { barrier, generation: 0 };
    let one = check(arrive.clone(), &Log::default(), 0, &[generation], &[state(A)]);
    check_disabled(leave.clone(), &one);
    let open = check(arrive.clone(), &one, 1, &[], &[state(A), generation]);
    assert_eq!((open.value(state(A)), open.value(generation)), (Value::Int(0), Value::Int(1)));
    check(leave, &open, 1, &[generation], &[]);
    check(arrive, &unknown(state(A)), UNKNOWN_RESULT, &[], &[state(A), generation]);
}

#[test]
fn channels_count_what_can_be_taken() {
    let channel = A;
    let (ended, refused) = (channels::ended(A), channels::refused(A));
    let wait = || Operation::ChannelWait { of: Box::new([state(A)]) };
    let close = |at| Operation::ChannelClose { of: Box::new([at]) };
    let put = |count| Operation::ChannelPut { channel, count };
    let (take, try_take) =
        (|most| Operation::ChannelTake { channel, most }, |most| Operation::ChannelTryTake { channel, most });
    let empty = Log::default();
    check_disabled(take(1), &empty);
    check_disabled(wait(), &empty);
    check(try_take(1), &empty, 0, &[state(A), ended, refused], &[]);
    let three = check(put(3), &empty, 1, &[refused, ended], &[state(A)]);
    check(wait(), &three, 1, &[state(A), ended], &[]);
    let one = check(take(2), &three, 1, &[refused], &[state(A)]);
    let closed = check(close(ended), &one, 1, &[], &[ended]);
    check(close(ended), &closed, 1, &[ended], &[]);
    check(put(1), &closed, 0, &[state(A), refused, ended], &[]);
    let end = check(try_take(u32::MAX), &closed, 1, &[refused], &[state(A)]);
    check(take(1), &end, 0, &[state(A), ended, refused], &[]);
    let gone = check(close(refused), &three, 1, &[], &[refused]);
    check(put(1), &gone, 0, &[state(A), refused, ended], &[]);
    check(close(refused), &gone, 1, &[refused], &[]);
    check(take(1), &gone, 1, &[refused], &[state(A)]);
    let again = check(Operation::ChannelOpen { channel }, &gone, 1, &[], &[state(A), refused]);
    check_disabled(take(1), &again);
    let lost = unknown(state(A));
    check(take(1), &lost, UNKNOWN_RESULT, &[ended, refused], &[state(A)]);
    check(put(1), &lost, 1, &[refused, ended], &[state(A)]);
}

#[test]
fn queues_count_items() {
    let queue = A;
    let empty = Log::default();
    check_disabled(Operation::QueueGet { queue }, &empty);
    check(Operation::QueueTryGet { queue }, &empty, 0, &[state(A)], &[]);
    let full = check(Operation::QueuePut { queue, bound: 1 }, &empty, 1, &[], &[state(A)]);
    check_disabled(Operation::QueuePut { queue, bound: 1 }, &full);
    check(Operation::QueuePut { queue, bound: 0 }, &full, 1, &[], &[state(A)]);
    check(Operation::QueueTryPut { queue, bound: 1 }, &full, 0, &[state(A)], &[]);
    check(Operation::QueueTryPut { queue, bound: 0 }, &full, 1, &[], &[state(A)]);
    let empty = check(Operation::QueueTryGet { queue }, &full, 1, &[], &[state(A)]);
    let full = check(Operation::QueueTryPut { queue, bound: 1 }, &empty, 1, &[], &[state(A)]);
    let empty = check(Operation::QueueGet { queue }, &full, 1, &[], &[state(A)]);
    assert_eq!(empty.value(state(A)), Value::Int(0));
    let lost = unknown(state(A));
    check(Operation::QueueGet { queue }, &lost, 1, &[], &[state(A)]);
    check(Operation::QueuePut { queue, bound: 1 }, &lost, 1, &[], &[state(A)]);
    check(Operation::QueueTryPut { queue, bound: 1 }, &lost, UNKNOWN_RESULT, &[], &[state(A)]);
}

/// Tables with two of everything: few enough that random operations meet.
const TWO: arbitrary::Sizes = arbitrary::Sizes { strings: 2, keys: 2, sites: 2, objects: 2, threads: 2 };

/// Every location that an operation on those tables can touch.
fn locations() -> Vec<Location> {
    let parts = |n| [Part::Name(StringId(n)), Part::Key(KeyId(n)), Part::Notified(ThreadId(n))];
    let fixed = [Part::Whole, Part::Shape, Part::State, Part::Generation];
    let parts: Vec<Part> = (0..2).flat_map(parts).chain(fixed).chain((0..9).map(Part::Index)).collect();
    let flags = [Part::Started(T0), Part::Started(T1), Part::Ended(T0), Part::Ended(T1), Part::Whole];
    let of_objects = [A, B].into_iter().flat_map(|o| parts.iter().map(move |part| Location::new(o, *part)));
    of_objects.chain(flags.map(|part| Location::new(ObjectId::THREADS, part))).collect()
}

/// A state that operations could have led to: each part has values of its own sort.
fn some_state() -> impl Strategy<Value = Log> {
    let value = |at: Location| {
        let waiters = prop::sample::subsequence(vec![T0, T1], 0..=2).prop_map(Value::Waiters);
        let known = match at.part {
            Part::State => prop_oneof![(0..3i64).prop_map(Value::Int), waiters].boxed(),
            _ => (0..3i64).prop_map(Value::Int).boxed(),
        };
        prop_oneof![9 => known, 1 => Just(Value::Unknown)].prop_map(move |value| (at, value))
    };
    locations().into_iter().filter(|at| at.part != Part::Whole).map(value).collect::<Vec<_>>().prop_map(Log)
}

fn some_operation() -> impl Strategy<Value = (Operation, ThreadId)> {
    (arbitrary::operation(TWO), (0..2u32).prop_map(ThreadId))
}

/// Whether an effect's footprint includes `at`, and as what: 0 not, 1 read, 2 written.
fn mode(effect: &Effect, at: Location) -> u8 {
    match (effect.writes.contains(&at), effect.reads.contains(&at)) {
        (true, _) => 2,
        (false, read) => u8::from(read),
    }
}

fn below_length(index: u32, list: ObjectId, state: &Log) -> Option<bool> {
    match state.value(shape(list)) {
        Value::Unknown => None,
        known => Some(i64::from(index) < known.int()),
    }
}

/// Whether `event` is a plain write of a shape that `operation` takes for a list's. Of lists, [`Operation`] asks
/// to write the whole, because elements come and go with the length.
fn reshapes_a_list(event: &Operation, operation: &Operation) -> bool {
    let shape = |at: &Location| at.part == Part::Shape;
    let reshapes = match event {
        Operation::Write { at } => shape(at),
        Operation::Touch { writes, .. } => writes.iter().any(shape),
        _ => false,
    };
    reshapes && matches!(operation.kind(), 14..=17 | 36)
}

/// The objects of an operation, each with the sort of thing that it takes it for.
fn uses(operation: &Operation) -> Vec<(ObjectId, &'static str)> {
    match *operation {
        Operation::Acquire { lock } | Operation::TryAcquire { lock } | Operation::Release { lock } => {
            vec![(lock, "lock")]
        }
        Operation::DictStore { dict, .. }
        | Operation::DictSetDefault { dict, .. }
        | Operation::DictRemove { dict, .. }
        | Operation::SetAdd { set: dict, .. } => vec![(dict, "dict")],
        Operation::ListAppend { list }
        | Operation::ListPop { list }
        | Operation::ListGet { list, .. }
        | Operation::ListSet { list, .. }
        | Operation::ListChange { list, .. } => vec![(list, "list")],
        Operation::ConditionWait { condition, lock }
        | Operation::ConditionWake { condition, lock }
        | Operation::ConditionWakeTimed { condition, lock } => vec![(condition, "condition"), (lock, "lock")],
        Operation::ConditionNotify { condition, .. } => vec![(condition, "condition")],
        Operation::SemaphoreAcquire { semaphore }
        | Operation::SemaphoreTry { semaphore }
        | Operation::SemaphoreRelease { semaphore, .. } => vec![(semaphore, "semaphore")],
        Operation::EventWait { event }
        | Operation::EventSet { event }
        | Operation::EventClear { event }
        | Operation::EventIsSet { event } => vec![(event, "event")],
        Operation::Resume { awaited, after, host } => {
            [Some(host), awaited, after].into_iter().flatten().map(|flag| (flag, "event")).collect()
        }
        Operation::RunLoop { until: one, host: other, .. }
        | Operation::Enter { gate: one, place: other }
        | Operation::TryEnter { gate: one, place: other } => vec![(one, "event"), (other, "event")],
        Operation::ReleaseAndSet { lock, event } => vec![(lock, "lock"), (event, "event")],
        Operation::BarrierArrive { barrier, .. } | Operation::BarrierLeave { barrier, .. } => {
            vec![(barrier, "barrier")]
        }
        Operation::QueuePut { queue, .. }
        | Operation::QueueGet { queue }
        | Operation::QueueTryPut { queue, .. }
        | Operation::QueueTryGet { queue } => vec![(queue, "queue")],
        Operation::ChannelOpen { channel }
        | Operation::ChannelPut { channel, .. }
        | Operation::ChannelTake { channel, .. }
        | Operation::ChannelTryTake { channel, .. } => vec![(channel, "channel")],
        Operation::ChannelWait { ref of } | Operation::ChannelClose { ref of } => {
            of.iter().map(|at| (at.object, "channel")).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether the two take one object for different things, which no program does.
fn confused(operation: &Operation, other: &Operation) -> bool {
    let all = [uses(operation), uses(other)].concat();
    all.iter().any(|(object, sort)| all.iter().any(|(same, other)| same == object && other != sort))
}

fn is_plain_or_of_a_container(operation: &Operation) -> bool {
    let sorts = uses(operation);
    matches!(operation, Operation::Read { .. } | Operation::Write { .. } | Operation::Touch { .. })
        || sorts.iter().any(|(_, sort)| matches!(*sort, "dict" | "list"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn conflicts_are_symmetric(
        (one, t) in some_operation(), (other, u) in some_operation(), before in some_state(),
    ) {
        let (one, other) = (effect(&one, t, &before), effect(&other, u, &before));
        prop_assert_eq!(one.conflicts(&other), other.conflicts(&one));
        prop_assert_eq!(one.conflicts(&one), !one.writes.is_empty());
    }

    #[test]
    fn values_are_left_only_where_something_is_written((operation, thread) in some_operation(), before in some_state()) {
        let effect = effect(&operation, thread, &before);
        for (at, _) in &effect.values {
            let covered = effect.writes.iter().any(|w| w == at || *w == whole(at.object));
            prop_assert!(covered, "{:?} leaves a value at {:?}", operation, at);
        }
        for at in &effect.writes {
            prop_assert!(effect.values.iter().any(|(v, _)| v == at), "{:?} leaves no value at {:?}", operation, at);
        }
        let after = before.after(&effect);
        for at in locations() {
            let untouched = !effect.writes.iter().any(|w| w.overlaps(at));
            prop_assert!(!untouched || after.value(at) == before.value(at), "{:?} changes {:?}", operation, at);
        }
    }

    #[test]
    fn what_has_been_written_can_be_told_from_the_result(
        (operation, thread) in some_operation(), before in some_state(),
    ) {
        let effect = effect(&operation, thread, &before);
        if effect.result != UNKNOWN_RESULT && is_plain_or_of_a_container(&operation) {
            for at in locations().into_iter().filter(|at| !matches!(at.part, Part::Index(_))) {
                let written = effect.writes.iter().any(|written| written.overlaps(at));
                prop_assert_eq!(has_written(&operation, effect.result, at), written, "{:?} {:?}", operation, at);
            }
        }
    }

    /// Rule F: what an operation does is decided by the locations that it touches.
    #[test]
    fn an_operation_depends_only_on_what_it_touches(
        (operation, thread) in some_operation(), before in some_state(), other in some_state(),
    ) {
        let first = effect(&operation, thread, &before);
        let touched = |at: Location| first.reads.iter().chain(&first.writes).any(|l| l.overlaps(at));
        let mixed = locations().into_iter().filter(|at| at.part != Part::Whole).map(|at| {
            (at, if touched(at) { before.value(at) } else { other.value(at) })
        });
        let mixed = Log(mixed.collect());
        // An element is present exactly when it is below the length: no state has one without the other.
        let agrees = |at: &Location| match at.part {
            Part::Index(index) => below_length(index, at.object, &mixed) == below_length(index, at.object, &before),
            _ => true,
        };
        prop_assume!(first.reads.iter().chain(&first.writes).all(agrees));
        prop_assert_eq!(&effect(&operation, thread, &mixed), &first, "{:?}", operation);
        prop_assert_eq!(enabled(&operation, thread, &mixed), enabled(&operation, thread, &before));
    }

    /// Independent operations commute: same effects, same enabledness, same state in both orders.
    #[test]
    fn independent_operations_commute(
        (one, t) in some_operation(), (other, u) in some_operation(), before in some_state(),
    ) {
        let (first, second) = (effect(&one, t, &before), effect(&other, u, &before));
        let odd = confused(&one, &other) || reshapes_a_list(&one, &other) || reshapes_a_list(&other, &one);
        if !odd && !first.conflicts(&second) {
            let (middle, middle2) = (before.after(&first), before.after(&second));
            prop_assert_eq!(&effect(&other, u, &middle), &second);
            prop_assert_eq!(&effect(&one, t, &middle2), &first);
            prop_assert_eq!(enabled(&other, u, &middle), enabled(&other, u, &before));
            prop_assert_eq!(enabled(&one, t, &middle2), enabled(&one, t, &before));
            for at in locations() {
                prop_assert_eq!(middle.after(&second).value(at), middle2.after(&first).value(at));
            }
        }
    }

    /// What `incoherent` says (see there for the exception).
    #[test]
    fn coherent_footprints_change_only_where_the_changing_event_writes(
        (operation, t) in some_operation(), (event, u) in some_operation(), before in some_state(),
    ) {
        let renews = matches!(event, Operation::Write { at } if matches!(at.part, Part::Key(_) | Part::Index(_)));
        // Of one thread there is one event at a time.
        if t != u && !incoherent(&operation) && !renews && !confused(&operation, &event) && enabled(&event, u, &before) {
            let change = effect(&event, u, &before);
            let old = effect(&operation, t, &before);
            let new = effect(&operation, t, &before.after(&change));
            let touched = old.reads.iter().chain(&old.writes).chain(&new.reads).chain(&new.writes);
            for at in touched.copied().filter(|at| mode(&old, *at) != mode(&new, *at)) {
                let written = change.writes.iter().any(|w| w.overlaps(at));
                let notifies = matches!(operation, Operation::ConditionNotify { .. });
                let flag = notifies && matches!(at.part, Part::Notified(_));
                prop_assert!(written || flag, "{:?} changes {:?} of {:?}", event, at, operation);
            }
        }
    }
}
