//! A fixed execution with every operation, part, value and table, and files of it in several frames.

#![allow(dead_code, reason = "each test binary uses a part of this")]

use frontrun_formats::file::{Delta, End, Writer};
use frontrun_formats::*;

const OBJECT: ObjectId = ObjectId(1);
const OTHER: ObjectId = ObjectId(2);
const T0: ThreadId = ThreadId(0);
const T1: ThreadId = ThreadId(1);

fn locations() -> Vec<Location> {
    let parts = [
        Part::Whole,
        Part::Shape,
        Part::State,
        Part::Name(StringId(3)),
        Part::Key(KeyId(1)),
        Part::Index(70_000),
        Part::Generation,
        Part::Notified(T1),
    ];
    let flags = [Part::Whole, Part::Started(T1), Part::Ended(T0)];
    let of_object = parts.map(|part| Location::new(OBJECT, part)).into_iter();
    of_object.chain(flags.map(|part| Location::new(ObjectId::THREADS, part))).collect()
}

/// One operation of each kind, and reads and writes of each part.
pub fn operations() -> Vec<Operation> {
    let (object, lock, key) = (OBJECT, OTHER, KeyId(1));
    let mut all = vec![
        Operation::Spawn { thread: T1 },
        Operation::Start,
        Operation::End,
        Operation::Join { thread: T1 },
        Operation::Acquire { lock },
        Operation::TryAcquire { lock },
        Operation::Release { lock },
        Operation::DictStore { dict: object, key },
        Operation::DictSetDefault { dict: object, key },
        Operation::DictRemove { dict: object, key },
        Operation::SetAdd { set: object, key },
        Operation::ListAppend { list: object },
        Operation::ListPop { list: object },
        Operation::ListGet { list: object, index: -1 },
        Operation::ListSet { list: object, index: 1 << 40 },
        Operation::ListChange { list: object, delta: -3 },
        Operation::Clear { container: object },
        Operation::SemaphoreAcquire { semaphore: object },
        Operation::SemaphoreTry { semaphore: object },
        Operation::SemaphoreRelease { semaphore: object, permits: 2, bound: 300 },
        Operation::EventWait { event: object },
        Operation::EventSet { event: object },
        Operation::EventClear { event: object },
        Operation::EventIsSet { event: object },
        Operation::ConditionWait { condition: object, lock },
        Operation::ConditionWake { condition: object, lock },
        Operation::ConditionWakeTimed { condition: object, lock },
        Operation::ConditionNotify { condition: object, count: u32::MAX },
        Operation::BarrierArrive { barrier: object, parties: 5 },
        Operation::BarrierLeave { barrier: object, generation: 7 },
        Operation::QueuePut { queue: object, bound: 1 },
        Operation::QueueGet { queue: object },
        Operation::QueueTryPut { queue: object, bound: 0 },
        Operation::QueueTryGet { queue: object },
        Operation::Pause,
        Operation::AwaitChange { of: locations().into() },
        Operation::ChannelOpen { channel: object },
        Operation::ChannelPut { channel: object, count: 300 },
        Operation::ChannelTake { channel: object, most: u32::MAX },
        Operation::ChannelTryTake { channel: object, most: 1 },
        Operation::ChannelWait { of: locations().into() },
        Operation::ChannelClose { of: locations().into() },
        Operation::Resume { awaited: None, after: Some(lock), host: object },
        Operation::Resume { awaited: Some(lock), after: None, host: object },
        Operation::RunLoop { until: lock, host: object, leaves: true },
        Operation::Elapse { of: Box::new(Operation::ConditionWake { condition: object, lock }) },
        Operation::Touch { reads: locations().into(), writes: Box::new([]) },
        Operation::Touch { reads: Box::new([]), writes: locations().into() },
    ];
    all.extend(locations().into_iter().map(|at| Operation::Read { at }));
    all.extend(locations().into_iter().map(|at| Operation::Write { at }));
    all
}

/// The operations that no version before 6 knows.
pub fn since_version_6() -> Vec<Operation> {
    vec![Operation::ResumeOnChange { of: locations().into(), host: OBJECT }]
}

/// The operations that no version before 4 knows.
pub fn since_version_4() -> Vec<Operation> {
    let (one, other) = (OBJECT, OTHER);
    vec![
        Operation::Enter { gate: one, place: other },
        Operation::TryEnter { gate: one, place: other },
        Operation::ReleaseAndSet { lock: one, event: other },
    ]
}

/// The execution.
pub fn execution() -> Execution {
    let path = |parts: &[u32]| ThreadPath(parts.to_vec());
    let site = |line| Site {
        file: StringId(0),
        function: StringId(1),
        line,
        end_line: line + 1,
        column: 4,
        end_column: -1,
        unit: line * 3,
    };
    let event = |(number, operation)| Event {
        thread: ThreadId(number as u32 / 3 % 2),
        site: SiteId(number as u32 % 5),
        operation,
        result: (number % 3) as u8,
        block: match number % 12 {
            6 => Block::First,
            7 | 8 => Block::Later,
            _ => Block::Alone,
        },
        gil_switch: number % 5 < 3,
    };
    let operations = operations();
    let twice = operations.iter().chain(operations.iter().rev()).cloned();
    let twice = twice.chain(since_version_4()).chain(since_version_6());
    let initial = locations().into_iter().enumerate().map(|(number, at)| match number % 4 {
        0 => (at, Value::Int(number as i64 * -1_000_000_007)),
        1 => (at, Value::Unknown),
        2 => (at, Value::Waiters(vec![T1, T0])),
        _ => (at, Value::Waiters(Vec::new())),
    });
    Execution {
        header: header(),
        strings: ["app.py", "Counter.bump", "κλειδί 🔑", "value", "", "Lock made at app.py:12"]
            .map(String::from)
            .into(),
        keys: vec![StringId(2), StringId(4)],
        sites: (0..5).map(site).collect(),
        objects: (0..4).map(|n| ObjectInfo { type_name: StringId(n), label: StringId(5) }).collect(),
        threads: vec![
            ThreadInfo { path: path(&[0]), name: "MainThread".into() },
            ThreadInfo { path: path(&[0, 0]), name: "worker".into() },
            ThreadInfo { path: path(&[0, 1, u32::MAX]), name: String::new() },
        ],
        initial: initial.collect(),
        events: twice.enumerate().map(event).collect(),
        pending: vec![
            Pending {
                thread: T0,
                site: SiteId(1),
                operation: Operation::Join { thread: T1 },
                block: Block::Alone,
            },
            Pending {
                thread: T1,
                site: SiteId(4),
                operation: Operation::Acquire { lock: OTHER },
                block: Block::First,
            },
        ],
        inputs: inputs(),
        sources: vec![
            Source { path: "app.py".into(), hash: u64::MAX, text: Some("print('hello')\n".into()) },
            Source { path: "/usr/lib/python3/threading.py".into(), hash: 1, text: None },
        ],
        observed: Some("{'a': 1}".into()),
        outcome: Some(Outcome::Failed(Failure {
            kind: FailureKind::Deadlock,
            message: "no thread can go on".into(),
            thread: Some(path(&[0, 0])),
            details: "t0 waits for t0.0".into(),
        })),
        truncated: false,
    }
}

fn inputs() -> Vec<Input> {
    vec![
        Input::Connected { server: "127.0.0.1:5432".into(), error: 0 },
        Input::Sent { connection: 0, length: 1 << 40 },
        Input::Received { connection: 0, bytes: vec![0, 255, 7] },
        Input::Answered { connection: 0, question: u64::MAX, answer: b"1".to_vec() },
        Input::Ended { connection: 0 },
        Input::Unrecorded { reason: "a connection is encrypted".into() },
    ]
}

fn header() -> Header {
    let entry = |thread, expect| ScheduleEntry {
        thread,
        expect,
        head: expect == 0,
        opens_step: true,
        touches: !expect,
    };
    Header {
        target: Target {
            command: vec!["python".into(), "app.py".into()],
            call: Some("app.py:3:main#0".into()),
        },
        environment: Environment {
            tool: "0.1.0".into(),
            directory: "/work".into(),
            python: "3.13.5 (main)".into(),
            python_version: (3, 13, 5),
            executable: "/usr/bin/python3".into(),
            flags: vec![("-O".into(), "1".into())],
            hash_seed: "0".into(),
            platform: "linux x86_64".into(),
        },
        schedule: Schedule {
            threads: vec![ThreadPath::main(), ThreadPath::main().child(0)],
            entries: vec![entry(0, 0), entry(1, u32::MAX)],
            ..Schedule::default()
        },
        parent: Some(1 << 63),
    }
}

/// The file of an execution that was recorded in deltas of `piece` events.
pub fn file(execution: &Execution, piece: usize) -> Vec<u8> {
    let mut writer = Writer::create(Vec::new(), &execution.header).unwrap();
    let mut delta = Delta {
        strings: execution.strings.clone(),
        keys: execution.keys.clone(),
        sites: execution.sites.clone(),
        objects: execution.objects.clone(),
        threads: execution.threads.clone(),
        initial: execution.initial.clone(),
        inputs: execution.inputs.clone(),
        ..Delta::default()
    };
    for events in execution.events.chunks(piece) {
        delta.events = events.to_vec();
        writer.append(&delta).unwrap();
        delta = Delta::default();
    }
    let end = End {
        pending: execution.pending.clone(),
        sources: execution.sources.clone(),
        observed: execution.observed.clone(),
        outcome: execution.outcome.clone().unwrap(),
    };
    writer.finish(&end).unwrap()
}
