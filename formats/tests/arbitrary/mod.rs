//! Arbitrary executions whose ids are all defined: every operation, part and value, any text, empty tables.

#![allow(dead_code, reason = "each test binary uses a part of this")]

use frontrun_formats::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::strategy::Union;

/// Row counts of an execution's tables.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub strings: u32,
    pub keys: u32,
    pub sites: u32,
    pub objects: u32,
    pub threads: u32,
}

type Strategies<T> = Vec<BoxedStrategy<T>>;

/// Row counts from 0; a table whose rows need strings is empty when there are none.
pub fn sizes() -> impl Strategy<Value = Sizes> {
    (0..5u32, 0..5u32, 0..5u32, 0..5u32, 0..5u32).prop_map(|(strings, keys, sites, objects, threads)| {
        let some = u32::from(strings > 0);
        Sizes { strings, keys: keys * some, sites: sites * some, objects: objects * some, threads }
    })
}

/// Any location that names defined things.
pub fn location(sizes: Sizes) -> BoxedStrategy<Location> {
    let mut all: Strategies<Location> = vec![Just(Location::new(ObjectId::THREADS, Part::Whole)).boxed()];
    if sizes.threads > 0 {
        let thread = (0..sizes.threads).prop_map(ThreadId);
        let flag = prop_oneof![thread.clone().prop_map(Part::Started), thread.prop_map(Part::Ended)];
        all.push(flag.prop_map(|part| Location::new(ObjectId::THREADS, part)).boxed());
    }
    if sizes.objects > 0 {
        let mut parts: Strategies<Part> = vec![
            prop_oneof![Just(Part::Whole), Just(Part::Shape), Just(Part::State), Just(Part::Generation)]
                .boxed(),
            prop_oneof![0..4u32, any::<u32>()].prop_map(Part::Index).boxed(),
        ];
        if sizes.strings > 0 {
            parts.push((0..sizes.strings).prop_map(|id| Part::Name(StringId(id))).boxed());
        }
        if sizes.keys > 0 {
            parts.push((0..sizes.keys).prop_map(|id| Part::Key(KeyId(id))).boxed());
        }
        if sizes.threads > 0 {
            parts.push((0..sizes.threads).prop_map(|id| Part::Notified(ThreadId(id))).boxed());
        }
        let object = (0..sizes.objects).prop_map(ObjectId);
        let at = (object, Union::new(parts)).prop_map(|(object, part)| Location::new(object, part));
        // Twice, because these are most locations.
        all.extend([at.clone().boxed(), at.boxed()]);
    }
    Union::new(all).boxed()
}

/// Any operation that names defined things.
pub fn operation(sizes: Sizes) -> BoxedStrategy<Operation> {
    let mut all: Strategies<Operation> =
        vec![prop_oneof![Just(Operation::Start), Just(Operation::End), Just(Operation::Pause)].boxed()];
    let at = location(sizes);
    let set = vec(at.clone(), 0..4).prop_map(Vec::into_boxed_slice);
    all.push(set.clone().prop_map(|of| Operation::AwaitChange { of }).boxed());
    all.push(set.clone().prop_map(|of| Operation::ChannelWait { of }).boxed());
    all.push(set.clone().prop_map(|of| Operation::ChannelClose { of }).boxed());
    all.push(at.clone().prop_map(|at| Operation::Read { at }).boxed());
    all.push(at.prop_map(|at| Operation::Write { at }).boxed());
    all.push(
        (set.clone(), set.clone()).prop_map(|(reads, writes)| Operation::Touch { reads, writes }).boxed(),
    );
    if sizes.threads > 0 {
        let thread = (0..sizes.threads).prop_map(ThreadId);
        all.push(thread.clone().prop_map(|thread| Operation::Spawn { thread }).boxed());
        all.push(thread.prop_map(|thread| Operation::Join { thread }).boxed());
    }
    if sizes.objects > 0 {
        let object = (0..sizes.objects).prop_map(ObjectId).boxed();
        let resumes = (object.clone(), set.clone());
        all.push(resumes.prop_map(|(host, of)| Operation::ResumeOnChange { of, host }).boxed());
        all.extend(on_objects(object.clone()));
        if sizes.keys > 0 {
            all.push(on_keys(object, (0..sizes.keys).prop_map(KeyId).boxed()));
        }
    }
    Union::new(all).boxed()
}

fn on_keys(object: BoxedStrategy<ObjectId>, key: BoxedStrategy<KeyId>) -> BoxedStrategy<Operation> {
    (object, key, 0..4)
        .prop_map(|(dict, key, which)| match which {
            0 => Operation::DictStore { dict, key },
            1 => Operation::DictSetDefault { dict, key },
            2 => Operation::DictRemove { dict, key },
            _ => Operation::SetAdd { set: dict, key },
        })
        .boxed()
}

fn on_objects(object: BoxedStrategy<ObjectId>) -> Strategies<Operation> {
    let simple = (object.clone(), 0..15).prop_map(|(object, which)| match which {
        0 => Operation::Acquire { lock: object },
        1 => Operation::TryAcquire { lock: object },
        2 => Operation::Release { lock: object },
        3 => Operation::ListAppend { list: object },
        4 => Operation::ListPop { list: object },
        5 => Operation::Clear { container: object },
        6 => Operation::SemaphoreAcquire { semaphore: object },
        7 => Operation::SemaphoreTry { semaphore: object },
        8 => Operation::EventWait { event: object },
        9 => Operation::EventSet { event: object },
        10 => Operation::EventClear { event: object },
        11 => Operation::EventIsSet { event: object },
        12 => Operation::QueueGet { queue: object },
        13 => Operation::ChannelOpen { channel: object },
        _ => Operation::QueueTryGet { queue: object },
    });
    let pairs = (object.clone(), object.clone(), 0..6).prop_map(|(condition, lock, which)| match which {
        3 => Operation::Enter { gate: condition, place: lock },
        4 => Operation::TryEnter { gate: condition, place: lock },
        5 => Operation::ReleaseAndSet { lock: condition, event: lock },
        0 => Operation::ConditionWait { condition, lock },
        1 => Operation::ConditionWake { condition, lock },
        _ => Operation::ConditionWakeTimed { condition, lock },
    });
    let maybe = proptest::option::of(object.clone());
    let loops = (object.clone(), object.clone(), maybe.clone(), maybe, any::<bool>()).prop_map(
        |(host, until, awaited, after, leaves)| match leaves {
            true => Operation::Resume { awaited, after, host },
            false => Operation::RunLoop { until, host, leaves: after.is_some() },
        },
    );
    let number = prop_oneof![0..4u32, any::<u32>(), Just(u32::MAX)];
    let numbers =
        (object.clone(), number.clone(), number, 0..9).prop_map(|(object, a, b, which)| match which {
            0 => Operation::SemaphoreRelease { semaphore: object, permits: a, bound: b },
            1 => Operation::ConditionNotify { condition: object, count: a },
            2 => Operation::BarrierArrive { barrier: object, parties: a },
            3 => Operation::BarrierLeave { barrier: object, generation: a },
            4 => Operation::QueuePut { queue: object, bound: a },
            5 => Operation::ChannelPut { channel: object, count: a },
            6 => Operation::ChannelTake { channel: object, most: a },
            7 => Operation::ChannelTryTake { channel: object, most: a },
            _ => Operation::QueueTryPut { queue: object, bound: a },
        });
    let index = prop_oneof![-3..4i64, any::<i64>()];
    let lists =
        (object, index, prop_oneof![-3..4i32, any::<i32>()], 0..3).prop_map(|(list, index, delta, which)| {
            match which {
                0 => Operation::ListGet { list, index },
                1 => Operation::ListSet { list, index },
                _ => Operation::ListChange { list, delta },
            }
        });
    let given_up = simple.clone().prop_map(|operation| Operation::Elapse { of: Box::new(operation) });
    vec![
        simple.clone().boxed(),
        simple.boxed(),
        given_up.boxed(),
        loops.boxed(),
        pairs.boxed(),
        numbers.boxed(),
        lists.boxed(),
    ]
}

fn value(sizes: Sizes) -> BoxedStrategy<Value> {
    let waiters = match sizes.threads {
        0 => Just(Vec::new()).boxed(),
        threads => vec((0..threads).prop_map(ThreadId), 0..4).boxed(),
    };
    prop_oneof![any::<i64>().prop_map(Value::Int), waiters.prop_map(Value::Waiters), Just(Value::Unknown)]
        .boxed()
}

fn path() -> impl Strategy<Value = ThreadPath> {
    vec(any::<u32>(), 0..4).prop_map(ThreadPath)
}

fn header() -> impl Strategy<Value = Header> {
    let target = (vec(any::<String>(), 0..3), option::of(any::<String>()));
    let texts = vec(any::<String>(), 6);
    let flags = vec(any::<(String, String)>(), 0..3);
    let entry =
        any::<(u32, u32, bool, bool, u32)>().prop_map(|(thread, expect, head, opens_step, touches)| {
            ScheduleEntry { thread, expect, head, opens_step, touches }
        });
    let schedule = (vec(path(), 0..3), vec(entry, 0..4));
    (target, texts, any::<(u8, u8, u8)>(), flags, schedule, any::<Option<u64>>()).prop_map(
        |((command, call), texts, python_version, flags, (threads, entries), parent)| {
            let mut texts = texts.into_iter();
            let mut next = || texts.next().unwrap();
            let environment = Environment {
                tool: next(),
                directory: next(),
                python: next(),
                python_version,
                executable: next(),
                flags,
                hash_seed: next(),
                platform: next(),
            };
            let schedule = Schedule { threads, entries, ..Schedule::default() };
            Header { target: Target { command, call }, environment, schedule, parent }
        },
    )
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let kind = prop::sample::select(vec![
        FailureKind::Exception,
        FailureKind::Invariant,
        FailureKind::Assertion,
        FailureKind::Deadlock,
        FailureKind::ExitCode,
        FailureKind::Crash,
        FailureKind::Hang,
        FailureKind::Race,
        FailureKind::Livelock,
    ]);
    let failure = (kind, any::<String>(), option::of(path()), any::<String>())
        .prop_map(|(kind, message, thread, details)| Failure { kind, message, thread, details });
    let diverged = any::<(u64, String, String)>().prop_map(|(step, expected, actual)| Outcome::Diverged {
        step,
        expected,
        actual,
    });
    prop_oneof![Just(Outcome::Passed), failure.prop_map(Outcome::Failed), diverged]
}

/// The tables of an execution, without events.
fn tables(sizes: Sizes) -> impl Strategy<Value = Execution> {
    let string = 0..sizes.strings.max(1);
    let keys = vec(string.clone().prop_map(StringId), sizes.keys as usize);
    let position = any::<(u32, u32, i32, i32, u32)>();
    let site = (string.clone(), string.clone(), position).prop_map(
        |(file, function, (line, end_line, column, end_column, unit))| Site {
            file: StringId(file),
            function: StringId(function),
            line,
            end_line,
            column,
            end_column,
            unit,
        },
    );
    let object = (string.clone(), string)
        .prop_map(|(name, label)| ObjectInfo { type_name: StringId(name), label: StringId(label) });
    let thread = (path(), any::<String>()).prop_map(|(path, name)| ThreadInfo { path, name });
    (
        vec(any::<String>(), sizes.strings as usize),
        keys,
        vec(site, sizes.sites as usize),
        vec(object, sizes.objects as usize),
        vec(thread, sizes.threads as usize),
    )
        .prop_map(|(strings, keys, sites, objects, threads)| Execution {
            strings,
            keys,
            sites,
            objects,
            threads,
            ..Execution::default()
        })
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        (any::<String>(), any::<i32>()).prop_map(|(server, error)| Input::Connected { server, error }),
        any::<(u32, u64)>().prop_map(|(connection, length)| Input::Sent { connection, length }),
        any::<(u32, Vec<u8>)>().prop_map(|(connection, bytes)| Input::Received { connection, bytes }),
        any::<u32>().prop_map(|connection| Input::Ended { connection }),
        any::<(u32, u64, Vec<u8>)>().prop_map(|(connection, question, answer)| Input::Answered {
            connection,
            question,
            answer
        }),
        any::<String>().prop_map(|reason| Input::Unrecorded { reason }),
    ]
}

/// Any execution that a file can hold. One without an outcome has no pending operations and is truncated.
pub fn execution() -> impl Strategy<Value = Execution> {
    sizes().prop_flat_map(|sizes| {
        let most = if sizes.threads > 0 && sizes.sites > 0 { 40 } else { 0 };
        let step = (0..sizes.threads.max(1), 0..sizes.sites.max(1), operation(sizes));
        let block = || prop_oneof![Just(Block::Alone), Just(Block::First), Just(Block::Later)];
        let event = (step.clone(), prop_oneof![0..3u8, any::<u8>()], block(), any::<bool>()).prop_map(
            |((thread, site, operation), result, block, gil_switch)| Event {
                thread: ThreadId(thread),
                site: SiteId(site),
                operation,
                result,
                block,
                gil_switch,
            },
        );
        let pending = (step, block()).prop_map(|((thread, site, operation), block)| Pending {
            thread: ThreadId(thread),
            site: SiteId(site),
            operation,
            block,
        });
        let initial = vec((location(sizes), value(sizes)), 0..6);
        let source = (any::<String>(), any::<u64>(), any::<Option<String>>())
            .prop_map(|(path, hash, text)| Source { path, hash, text });
        let end = (
            vec(pending, 0..=most.min(4)),
            vec(source, 0..3),
            any::<Option<String>>(),
            option::weighted(0.8, outcome()),
        );
        let happened = (vec(event, 0..=most), vec(input(), 0..4));
        (header(), tables(sizes), initial, happened, end).prop_map(
            |(header, tables, initial, (events, inputs), (pending, sources, observed, outcome))| {
                let whole = outcome.is_some();
                Execution {
                    header,
                    initial,
                    events,
                    inputs,
                    pending: if whole { pending } else { Vec::new() },
                    sources,
                    observed: observed.filter(|_| whole),
                    outcome,
                    truncated: !whole,
                    ..tables
                }
            },
        )
    })
}
